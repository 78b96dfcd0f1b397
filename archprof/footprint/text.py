"""A Memory for people and for programs."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from archprof import units
from archprof.errors import UnknownName
from archprof.footprint import KINDS, Block, Cache, Live, Memory
from archprof.footprint.allocator import arena_bytes, reserved
from archprof.footprint.fit import MOST, Fit
from archprof.renderers import View
from archprof.renderers.terminal import grid, printed

if TYPE_CHECKING:
    from rich.console import RenderableType

SHOWN = 12
"""So many of what is alive at the peak are named."""
BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = " .:-=+*#"
NOT_MODELLED = "workspace of kernels, fragmentation and the device's own context are not modelled"


def written(found: Memory, format: str, view: View) -> str:
    """Return a memory as `table` or `json`; raise UnknownName for another format."""
    if format not in FORMATS:
        raise UnknownName("format of memory", format, FORMATS)
    return FORMATS[format](found, view)


def as_table(found: Memory, view: View) -> str:
    """Return the terminal's page: by kind, who is alive at the peak, the course of a pass, and whether it fits."""
    live = found.last
    what = f"a training step with {found.optimizer}" if found.training else "inference"
    if found.cache is not None:
        what = f"decoding a token after {found.cache.tokens:,}"
    head = f"{found.model}: {units.size(found.peak_bytes)} at the peak of {what}"
    parts: list[RenderableType] = [Text(head), kinds(found), *numbers(found), Text(), *peak(live), Text()]
    parts += [*course(live, view)]
    if found.fit is not None:
        parts += [Text(), *fits(found.fit)]
    parts += [Text(), *map(Text, found.notes), Text(NOT_MODELLED)]
    return printed(parts, view)


def table_of(names: Sequence[str], rows: Sequence[Sequence[str]]) -> Any:
    """Return a table whose first column is text and whose others are numbers."""
    lines = grid()
    for number, name in enumerate(names):
        lines.add_column(Text(name), no_wrap=True, justify="right" if number else "left")
    for row in rows:
        lines.add_row(*map(Text, row))
    return lines


def kinds(found: Memory) -> RenderableType:
    """Return the bytes by kind at the peaks."""
    passes = found.passes
    parts = [live.by_kind(live.peak_at) for live in passes.values()]
    rows = [[kind, *(units.size(part[kind]) for part in parts)] for kind in KINDS if any(part[kind] for part in parts)]
    together = ["together", *(units.size(live.peak_bytes) for live in passes.values())]
    return table_of(["at the peak of", *passes], [*rows, together])


def numbers(found: Memory) -> list[Text]:
    """Return the numbers that go by the name of activation memory."""
    of = "sum of the prefill's outputs" if found.cache else "sum of outputs"
    lines = [f"{of} {units.size(found.sum_of_outputs)}, if nothing were freed"]
    if found.saved_for_backward is not None:
        lines.append(f"saved for backward {units.size(found.saved_for_backward)}")
    held = reserved(found.last)
    below = f"CUDA's allocator: {units.size(held.allocated_bytes)} in blocks of 512 B, {units.size(held.reserved_bytes)} reserved"
    if found.last is found.inference:
        below += f"; one arena for all it makes: {units.size(arena_bytes(found.inference))}"
    kept = [Text(f"KV cache: {cached(found.cache)}")] if found.cache is not None else []
    return [*kept, Text("; ".join(lines)), Text(below)]


def cached(cache: Cache) -> str:
    """Return how large a cache is, and how it grows."""
    of = f"{cache.tokens:,} tokens" if cache.batch == 1 else f"{cache.batch:,} x {cache.tokens:,} tokens"
    grows = (
        f"{cache.bytes_per_token:,} bytes more for the next token" if cache.bytes_per_token else "no more from here on"
    )
    return f"{units.size(cache.bytes)} for {of}, {grows}{' of a text' if cache.batch > 1 and cache.bytes_per_token else ''}"


def peak(live: Live) -> list[RenderableType]:
    """Return who is alive at the peak: the largest one by one, the others together."""
    alive = live.at_peak
    rows = [[block.name, block.kind, units.size(block.bytes)] for block in alive[:SHOWN]]
    if len(alive) > SHOWN:
        rows.append([f"{len(alive) - SHOWN} more", "", units.size(sum(block.bytes for block in alive[SHOWN:]))])
    rows.append(["together", "", units.size(live.peak_bytes)])
    maker = next((block.name for block in live.blocks if block.born == live.peak_at and live.peak_at), "")
    where = f"alive at the peak, in {live.peak_phase}{f', as {maker} is made' if maker else ''}"
    return [Text(where), table_of(["", "", "bytes"], rows)]


def course(live: Live, view: View) -> list[RenderableType]:
    """Return the bytes alive over a pass as a line of bars, with its phases below."""
    timeline = live.timeline
    width = max(8, min(view.width - 2, len(timeline)))
    bars = BARS if view.unicode else ASCII_BARS
    top = max(1, live.peak_bytes)
    ends = [len(timeline) * place // width for place in range(width + 1)]
    highest = [max(timeline[a : max(b, a + 1)]) for a, b in itertools.pairwise(ends)]
    line = "".join(bars[min(7, 8 * value // top)] for value in highest)
    below = [" "] * width
    for name, start in live.phases:
        place = start * width // len(timeline)
        text = f"|{name}"
        below[place : place + len(text)] = text
    return [Text("bytes alive"), Text(line), Text("".join(below)[:width])]


def fits(found: Fit) -> list[RenderableType]:
    """Return whether it fits, the largest batch, and what to change."""
    share = f"{units.size(found.peak_bytes)} of {units.size(found.limit_bytes)}"
    verdict = "fits" if found.does_fit else "does not fit"
    lines: list[RenderableType] = [Text(f"{found.device.name}: {verdict}, {share}")]
    if found.largest_batch and found.largest_peak_bytes is not None:
        more, size = "at least " * (found.largest_batch >= MOST), units.size(found.largest_peak_bytes)
        lines.append(Text(f"the largest batch that fits: {more}{found.largest_batch:,}, {size}"))
    elif found.largest_batch == 0:
        lines.append(Text("no batch fits, not even of 1"))
    if found.largest_context and found.largest_context_peak_bytes is not None:
        size = units.size(found.largest_context_peak_bytes)
        lines.append(Text(f"the largest context that fits: {found.largest_context:,} tokens, {size}"))
    elif found.largest_context == 0:
        lines.append(Text("no context fits, not even of 1 token"))
    if found.note:
        lines.append(Text(found.note))
    if found.changes:
        rows = [[c.what, units.size(c.peak_bytes), "fits" if c.does_fit else "does not fit"] for c in found.changes]
        lines.append(table_of(["with", "peak", ""], rows))
    lines.append(Text("held against all memory of the device, of which its driver and context take a part"))
    return lines


def as_json(found: Memory, view: View) -> str:  # noqa: ARG001 - a document is whole
    """Return everything as one JSON document."""
    document: dict[str, Any] = {
        "model": found.model,
        "optimizer": found.optimizer or None,
        "sum_of_outputs": found.sum_of_outputs,
        "saved_for_backward": found.saved_for_backward,
        "arena_bytes": arena_bytes(found.inference),
        "inference": pass_of(found.inference),
        "training": pass_of(found.training) if found.training else None,
        "decoding": pass_of(found.decoding) if found.decoding else None,
        "cache": dataclasses.asdict(found.cache) if found.cache else None,
        "fit": fit_of(found.fit) if found.fit else None,
        "notes": list(found.notes),
        "not_modelled": NOT_MODELLED,
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def pass_of(live: Live) -> dict[str, Any]:
    """Return a pass as plain values."""

    def row(block: Block) -> dict[str, Any]:
        return {"name": block.name, "kind": block.kind, "bytes": block.bytes}

    return {
        "peak_bytes": live.peak_bytes,
        "peak_phase": live.peak_phase,
        **dataclasses.asdict(reserved(live)),
        "by_kind": live.by_kind(live.peak_at),
        "at_peak": [row(block) for block in live.at_peak],
        "phases": [{"name": name, "start": start} for name, start in live.phases],
        "timeline": live.timeline,
    }


def fit_of(found: Fit) -> dict[str, Any]:
    """Return a fit as plain values."""
    return {
        "device": found.device.name,
        "limit_bytes": found.limit_bytes,
        "does_fit": found.does_fit,
        "largest_batch": found.largest_batch,
        "largest_peak_bytes": found.largest_peak_bytes,
        "largest_context": found.largest_context,
        "largest_context_peak_bytes": found.largest_context_peak_bytes,
        "note": found.note,
        "changes": [dataclasses.asdict(change) for change in found.changes],
    }


FORMATS: dict[str, Callable[[Memory, View], str]] = {"table": as_table, "json": as_json}
