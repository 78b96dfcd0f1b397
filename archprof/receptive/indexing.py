"""What indices see, and what is written by them: numbers, slices, lists and tensors in square brackets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from archprof.receptive.gathering import gathered
from archprof.receptive.region import Extent, Region, aligned, dropped, mixed, nothing, reshaped, union
from archprof.receptive.rules import Answer, Call, sees
from archprof.receptive.sliding import still


def part(region: Region, axis: int, piece: slice) -> Region:
    """Return a slice along one axis."""
    line = np.arange(region.shape[axis])[piece]
    if len(line) == region.shape[axis]:
        return region
    if not any(extent.varies(axis) for extent in region.extents):
        return Region((*region.shape[:axis], len(line), *region.shape[axis + 1 :]), region.extents)
    return gathered(region, axis, line[:, None], (1, piece.step or 1))


def spelled(index: Any, rank: int) -> list[Any]:
    """Return an index with an entry for every axis and every new one: the ellipsis and what is left out written out."""
    entries = list(index) if isinstance(index, tuple) else [index]
    used = sum(e is not None and e is not Ellipsis for e in entries)
    at = next((i for i, e in enumerate(entries) if e is Ellipsis), len(entries))
    return [*entries[:at], *[slice(None)] * (rank - used), *entries[at + 1 :]]


@sees("getitem")
def getitem(call: Call) -> Answer:
    """What numbers, slices and lists name; what an index tensor names may lie anywhere along its axis."""
    region, index = call.input, call("index", position=1)
    if isinstance(index, tuple) and len(call.out) == len(region.shape) and all(type(e) is int for e in index):
        index = (index,)  # a list, which is kept as a tuple: numbers each would take an axis away
    entries = spelled(index, len(region.shape))
    picks = [e for e in entries if isinstance(e, Region)]
    if picks or any(isinstance(e, (list, tuple, bool)) for e in entries):
        return picked(call, region, entries)
    axis, gone, new, place = 0, [], [], 0
    for entry in entries:
        if entry is None:
            new.append(place)
            place += 1
            continue
        if isinstance(entry, slice):
            region = part(region, axis, entry)
            place += 1
        else:
            at = entry % (region.shape[axis] or 1)
            region = part(region, axis, slice(at, at + 1))
            gone.append(axis)
        axis += 1
    return reshaped(dropped(region, gone), call.out) if new else dropped(region, gone)


def picked(call: Call, region: Region, entries: list[Any]) -> Answer:
    """Return what an index with tensors in it sees: anything along the axes they stand for, and what they come from."""
    axes = [i for i, e in enumerate(e for e in entries if e is not None) if not isinstance(e, slice)]
    found: Any = entries[axes[0]] if None not in entries and len(axes) == 1 else None
    line = numbers(found)
    if len(call.out) != len(region.shape) or (line is None and not isinstance(found, Region)):
        return still([mixed(r, range(len(r.shape))) for r in call.regions], call.out)
    (axis,) = axes
    for other, entry in enumerate(entries):
        if isinstance(entry, slice):
            region = part(region, other, entry)
    if line is not None:
        return gathered(region, axis, line[:, None] % region.shape[axis], None)
    region = replace(mixed(region, [axis]), shape=call.out)
    return (
        region
        if found.is_nothing
        else union([region, still([mixed(found, range(len(found.shape)))], call.out)], call.out)
    )


def numbers(entry: Any) -> np.ndarray | None:
    """Return the places that a list of numbers names, or a list of True and False; None where it is none."""
    if not isinstance(entry, (list, tuple)) or not entry or {type(e) for e in entry} not in ({int}, {bool}):
        return None
    line = np.array(entry)
    return line.nonzero()[0] if line.dtype == bool else line


def written(base: Region, index: Any, value: Region) -> Region | None:
    """Return `base` with `value` written over what an index of numbers and slices names; None for another index."""
    entries = spelled(index, len(base.shape))
    if not all(type(e) is int or (isinstance(e, slice) and e.step in {None, 1}) for e in entries):
        return None
    lines = [np.arange(size)[e if isinstance(e, slice) else slice(e % size, e % size + 1)]
             for size, e in zip(base.shape, entries, strict=True)]  # fmt: skip
    sizes = [len(line) for line in lines]
    kept = [size for size, e in zip(sizes, entries, strict=True) if isinstance(e, slice)]
    if 0 in sizes:
        return base
    value = (
        replace(aligned(value, len(kept)), shape=tuple(kept))
        if len(value.shape) <= len(kept)
        else reshaped(value, kept)
    )
    value = reshaped(value, sizes)
    mask = np.ones((1,) * len(base.shape), bool)
    for axis, (size, line) in enumerate(zip(base.shape, lines, strict=True)):
        if len(line) == size:
            continue
        taps = np.arange(size) - line[0]
        value = gathered(value, axis, taps[:, None], (1, 1))
        mask = mask & ((taps >= 0) & (taps < len(line))).reshape(
            [-1 if i == axis else 1 for i in range(len(base.shape))]
        )
    if base.is_nothing:
        return value
    if mask.all():
        return value
    extents = [Extent(np.where(mask, new.ends, old.ends)) for new, old in zip(value.extents, base.extents, strict=True)]
    return Region(base.shape, tuple(extents))


@sees("setitem")
def setitem(call: Call) -> Answer:
    """What it saw before, but for the elements that are written over."""
    value = call("value", position=2)
    value = value if isinstance(value, Region) else nothing((), call.axes)
    found = written(call.input, call("index", position=1), value)
    if found is not None:
        return found
    return union(
        [
            call.input,
            still([mixed(r, range(len(r.shape))) for r in call.regions[1:]] or [nothing((), call.axes)], call.out),
        ],
        call.out,
    )
