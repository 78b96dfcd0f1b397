"""What makes a model fit a device: another batch, context, type or optimizer, or blocks that run again, each measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from archprof.devices import Device
from archprof.errors import UserError
from archprof.footprint import Memory
from archprof.footprint.fit import MOST, Change, Fit, largest

LIGHTER = ("adam8bit", "momentum", "adafactor", "sgd")
"""Optimizers that may need less memory, those first that are closest to Adam."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a model and may be changed; see `archprof.footprint.measure.memory`."""

    train: str = ""
    batch: int = 1
    dtype: str | None = None
    checkpoint: int | Sequence[str] = 0
    cache: int = 0


def fit(
    found: Memory, device: Device, ask: Callable[[Asked], Memory], asked: Asked, why: str = "", *, has_dtype: bool
) -> Fit:
    """Return whether a model's memory fits a device; `ask` measures it otherwise than it was `asked` for.

    `why` says why its batch is not known, where it is not.
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
        except UserError as error:
            why = str(error)
    if found.cache is not None:
        positions = found.cache.positions or MOST
        longest = largest(lambda tokens: peak(cache=tokens), limit, contexts, min(positions, MOST))
    result = Fit(
        device,
        limit,
        found.peak_bytes,
        most,
        batches.get(most or 0),
        note=f"the largest batch is not known: {why}" if why else "",
        largest_context=longest,
        largest_context_peak_bytes=contexts.get(longest or 0),
    )
    if result.does_fit:
        return result
    changes = [Change(f"batch {most}", batches[most], most, does_fit=True)] if most else []
    if longest:
        changes.append(Change(f"context of {longest:,} tokens", contexts[longest], asked.batch, does_fit=True))
    changes += _checkpointing(found, limit, lambda number: peak(checkpoint=number), asked.batch)
    for what, changed in _lighter(asked, has_dtype=has_dtype):
        bytes_ = peak(**changed)
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


def _checkpointing(found: Memory, limit: int, peak: Callable[[int], int], batch: int) -> list[Change]:
    """Return what checkpointing the fewest blocks that make it fit gives; all of them where that is not enough."""
    if found.training is None or not found.blocks:
        return []
    low, high = 0, len(found.blocks)
    known = {high: peak(high)}
    while known[high] <= limit and high - low > 1:
        middle = (low + high) // 2
        known[middle] = peak(middle)
        low, high = (low, middle) if known[middle] <= limit else (middle, high)
    which = found.blocks[0] if high == 1 else f"{found.blocks[0]} to {found.blocks[high - 1]}"
    what = f"checkpointing {which} ({high} of {len(found.blocks)} blocks)"
    return [Change(what, known[high], batch, does_fit=known[high] <= limit)]
