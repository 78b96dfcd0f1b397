"""The page about receptive fields: what each layer sees of the input, where that changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from archprof import units
from archprof.receptive import ANYWHERE, Field, Fields, by_axis
from archprof.renderers import View
from archprof.renderers.terminal import grid, percent, printed, short
from archprof.result import Profile, shape

SHOWN = 5
"""So many warnings are printed."""


def page(profile: Profile, found: Fields, view: View) -> str:
    """Return what ops see: those at or below the view's path, or all that see something else than what they read.

    Where a module is at that path, it is the first row: its output is that of its last op, and sees what that one sees.
    Raises UserError where there is nothing at that path.
    """
    ops = profile.network.ops
    numbers = (
        profile.ops_at(view.path) if view.path else [i for i, op in enumerate(ops) if changes(profile, found, op.name)]
    )
    sizes = " x ".join(map(str, found.sizes))
    line = f"{profile.model}: what an output sees of the input {found.input!r}, along axes of {sizes}"
    rows: list[tuple[str, ...]] = [("op", "type", "output", "size", "stride", "padding", "of input", "")]
    listed = [(ops[number], short(ops[number].name), ops[number].layer or ops[number].kind) for number in numbers]
    if view.path and len(listed) > 1:
        listed.insert(0, (ops[numbers[-1]], short(view.path), units.several(len(listed), "op")))
    for op, name, kind in listed:
        fields = found.fields[op.name]
        cells = ["?", "?", "?", "?", "unknown"] if fields is None else described(fields, found.sizes)
        if op.kind in ANYWHERE and fields is not None:
            cells[-1] = "; ".join(filter(None, (cells[-1], "anywhere: data say where")))
        rows.append((name, kind, shape(op), *cells))
    lines, heads = grid(), rows.pop(0)
    for number, head in enumerate(heads):
        justify = "left" if number in {0, 1, 2, len(heads) - 1} else "right"
        lines.add_column(
            Text(head), no_wrap=True, justify=justify, min_width=max(map(len, (head, *(row[number] for row in rows))))
        )
    for row in rows:
        lines.add_row(*map(Text, row))
    below = [Text(f"! {warning}") for warning in found.warnings[:SHOWN]]
    if len(found.warnings) > SHOWN:
        below.append(Text(f"! {len(found.warnings) - SHOWN} more branches do not line up"))
    if found.unknown:
        names = ", ".join(found.unknown[:SHOWN])
        below.append(Text(f"! of {units.several(len(found.unknown), 'op')} nobody knows what they see: {names}"))
    below.append(
        Text(
            "size = positions of the receptive field from the first to the last, as if the input had no borders; padding = "
            "how far that of the first output begins before the input. Holes (dilation) and masks of attention are not "
            "looked at."
        )
    )
    return printed([Text(line), lines, *below], view)


def changes(profile: Profile, found: Fields, name: str) -> bool:
    """Tell whether an op sees something else than what it reads, or joins paths of different length."""
    mine = found.fields[name]
    if mine is not None and all(field.size == 0 for field in mine):
        return False
    producers = profile.network.producers(name)
    if not producers or mine is None or any(field.paths for field in mine):
        return True
    return all(_told(found.fields.get(producer)) != _told(mine) for producer in producers)


def _told(fields: Sequence[Field] | None) -> list[Any]:
    return [(field.size, field.stride, field.padding, field.sizes, field.is_whole) for field in fields or ()]


def described(fields: Sequence[Field], sizes: Sequence[int]) -> list[str]:
    """Return the cells of a row: size, stride, padding, share of the input, and what is to be said."""
    share = 1.0
    for field, size in zip(fields, sizes, strict=True):
        share *= field.seen / size
    notes = []
    if all(field.is_whole for field in fields):
        notes.append("whole input")
    for name, values in (("phases", [f.sizes for f in fields]), ("paths", [f.paths for f in fields])):
        kept = [value for value in values if value]
        if kept:
            notes.append(f"{name} {', '.join(map(str, dict.fromkeys(kept[0])))}")
    return [
        by_axis([field.size for field in fields]),
        by_axis([field.stride_text for field in fields]),
        by_axis([_known(field.padding) for field in fields]),
        percent(share),
        "; ".join(notes),
    ]


def _known(value: Any) -> str:
    return "-" if value is None else str(value)
