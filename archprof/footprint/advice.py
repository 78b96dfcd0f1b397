"""What makes a model fit a device: another batch, context, type or optimizer, or blocks that run again, each measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archprof.devices import Device
from archprof.errors import ArchprofError
from archprof.footprint import ACTIVATIONS, Memory
from archprof.footprint.fit import MOST, Change, Fit, largest

Work = Callable[[Sequence[str]], Mapping[str, int]]

LIGHTER = ("adam8bit", "momentum", "adafactor", "sgd")
"""Optimizers that may need less memory, those first that are closest to Adam."""


NAMED = 3
"""So many blocks are named one by one."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a model and may be changed; see `archprof.footprint.measure.memory`."""

    train: str = ""
    batch: int = 1
    dtype: str | None = None
    checkpoint: int | Sequence[str] = 0
    cache: int = 0


def fit(
    found: Memory,
    device: Device,
    ask: Callable[[Asked], Memory],
    asked: Asked,
    work: Work,
    why: str = "",
    *,
    has_dtype: bool,
) -> Fit:
    """Return whether a model's memory fits a device; `ask` measures it otherwise than it was `asked` for.

    `work` tells the multiply-accumulates of blocks, and of all under ""; `why` why its batch is not known, where it is not.
    """
    limit = device.memory_bytes or 0

    def peak(**changed: Any) -> int:
        return ask(dataclasses.replace(asked, **changed)).peak_bytes

    batches, contexts = {asked.batch: found.peak_bytes}, {asked.cache: found.peak_bytes}
    most, longest = None, None
    if found.on != "meta":
        why = why or "it runs on the CPU, where larger ones may not fit"
    if not why:
        try:
            most = largest(lambda batch: peak(batch=batch), limit, batches)
        except ArchprofError as error:
            why = str(error)
    if found.cache is not None:
        positions = found.cache.positions or MOST
        longest = largest(lambda tokens: peak(cache=tokens), limit, contexts, min(positions, MOST))
    result = Fit(
        device,
        limit,
        found.peak_bytes,
        most,
        None if most is None else batches.get(most or asked.batch),
        note=f"the largest batch is not known: {why}" if why else "",
        largest_context=longest,
        largest_context_peak_bytes=None if longest is None else contexts.get(longest or asked.cache),
    )
    if result.does_fit:
        return result
    changes = [Change(f"batch {most}", batches[most], most, does_fit=True)] if most else []
    if longest:
        changes.append(Change(f"context of {longest:,} tokens", contexts[longest], asked.batch, does_fit=True))
    changes += _checkpointing(found, limit, lambda paths: peak(checkpoint=paths), work(found.blocks), asked.batch)
    for what, changed in _lighter(asked, has_dtype=has_dtype):
        try:
            bytes_ = peak(**changed)
        except ArchprofError:  # what it cannot be is no advice
            continue
        changes.append(Change(what, bytes_, asked.batch, does_fit=bytes_ <= limit))
    changes.sort(key=lambda change: not change.does_fit)
    return dataclasses.replace(result, changes=tuple(changes))


def _lighter(asked: Asked, *, has_dtype: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield smaller types and optimizers, and both."""
    half = {"dtype": "bfloat16"} if has_dtype and asked.dtype in {None, "float32", "float64"} else {}
    if half:
        yield "dtype bfloat16", half
    if asked.train in {"adam", "adamw"}:
        yield from ((f"optimizer {name}", {"train": name}) for name in LIGHTER)
        if half:
            yield from ((f"dtype bfloat16, optimizer {name}", {"train": name, **half}) for name in LIGHTER)


def _checkpointing(
    found: Memory, limit: int, peak: Callable[[Sequence[str]], int], work: Mapping[str, int], batch: int
) -> list[Change]:
    """Return what checkpointing the fewest blocks that make it fit gives; all of them where that is not enough.

    Those come first that keep most for the multiply-accumulates that they would do again.
    """
    if found.training is None or not found.blocks:
        return []
    kept = dict.fromkeys(found.blocks, 0)
    for block in found.training.blocks:
        home = next((path for path in kept if f"{block.path}.".startswith(f"{path}.")), None)
        if home is not None and block.is_saved and block.kind == ACTIVATIONS:
            kept[home] += block.bytes
    order = sorted(found.blocks, key=lambda path: -kept[path] / (work.get(path, 0) or 1))
    low, high = 0, len(order)
    known = {high: peak(order)}
    while known[high] <= limit and high - low > 1:
        middle = (low + high) // 2
        known[middle] = peak(order[:middle])
        low, high = (low, middle) if known[middle] <= limit else (middle, high)
    what = f"checkpointing {_listed(found.blocks, order[:high])} ({high} of {len(order)} blocks"
    again = sum(work.get(path, 0) for path in order[:high])
    if again:
        what += f", {again / work['']:.0%} of the forward pass again"
    return [Change(f"{what})", known[high], batch, does_fit=known[high] <= limit)]


def _listed(blocks: Sequence[str], chosen: Sequence[str]) -> str:
    """Return blocks as people name them: from the first to the last where they are neighbours, a few, or how many more.

    >>> _listed("abcdef", "cb"), _listed("abcdef", "fad"), _listed("abcdefgh", "acegh")
    ('b to c', 'a, d, f', 'a, c, e and 2 more')
    """
    places = sorted(map(blocks.index, chosen))
    names = [blocks[place] for place in places]
    if len(places) > 1 and places[-1] - places[0] == len(places) - 1:
        return f"{names[0]} to {names[-1]}"
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
