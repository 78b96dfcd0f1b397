"""What outputs see that read given positions along one axis: the one function that all windows, slices and paddings use."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from archprof.receptive.region import NOTHING, Array, Extent, Region, agreed


def gathered(
    region: Region,
    axis: int,
    taps: Array,
    step: tuple[int, int] | None,
    *,
    nominal: Array | None = None,
    reads: Array | None = None,
) -> Region:
    """Return what the outputs of a window along a tensor axis see: output j reads the positions `taps[j]`.

    Positions outside the tensor are padding, which sees nothing. `step` = (p, s): output j + p reads what lies s further.
    `nominal` are the positions as if there were no border, `reads` which taps there are (others are left out).
    """
    size = region.shape[axis]
    nominal = taps if nominal is None else nominal
    reads = np.ones(taps.shape, bool) if reads is None else reads
    inside = (taps >= 0) & (taps < size) & reads
    region = agreed(region, [axis])
    moving = [extent.varies(axis) for extent in region.extents]
    blank = ~inside.any(axis=1)

    def change(extent: Extent, moves: bool) -> Extent:
        lines = np.moveaxis(extent.ends, axis + 1, -1)
        if not moves:
            if any(moving) or not blank.any():
                return extent
            rows = np.broadcast_to(lines, (*lines.shape[:-1], len(taps))).copy()
            rows[..., blank] = NOTHING
            return replace(extent, ends=np.moveaxis(rows, -1, axis + 1))
        if lines.shape[-1] != size:
            lines = np.broadcast_to(lines, (*lines.shape[:-1], size))
        true = np.where(inside, lines[:2][..., np.where(inside, taps, 0)], NOTHING).min(axis=-1)
        free = np.where(reads, beyond(lines[2:], nominal, extent.pitch if extent.axis == axis else None), NOTHING)
        ends = np.moveaxis(np.concatenate([true, free.min(axis=-1)]), -1, axis + 1)
        pitch = further(extent.pitch, step) if extent.axis == axis else None
        return Extent(ends, axis if pitch else None, pitch)

    shape = [*region.shape[:axis], len(taps), *region.shape[axis + 1 :]]
    return Region(tuple(shape), tuple(change(e, m) for e, m in zip(region.extents, moving, strict=True)))


def beyond(lines: Array, index: Array, pitch: tuple[int, int] | None) -> Array:
    """Return borderless intervals [2, ..., size] at any index, outside too: there they go on with the pitch."""
    size = lines.shape[-1]
    if ((index >= 0) & (index < size)).all():
        return lines[..., index]
    if pitch is None or pitch[0] > size:
        return lines[..., index.clip(0, size - 1)]
    period, step = pitch
    turns = np.where(index < 0, index // period, np.maximum(0, (index - size + period) // period))
    found = lines[..., index - turns * period]
    shift = np.multiply.outer(np.array([1, -1], np.int32), (turns * step).astype(np.int32))
    shift = shift.reshape(2, *([1] * (lines.ndim - 2)), *index.shape)
    return np.where(found >= NOTHING, NOTHING, found + shift)


def further(pitch: tuple[int, int] | None, step: tuple[int, int] | None) -> tuple[int, int] | None:
    """Return the pitch of outputs that move `step` over inputs with a pitch.

    >>> further((1, 4), (1, 2)), further((1, 4), (2, 1)), further((2, 1), (1, 3))
    ((1, 8), (2, 4), (2, 3))
    """
    if pitch is None or step is None:
        return None
    (period, shift), (outs, ins) = pitch, step
    turns = period // math.gcd(period, ins) if ins else 1
    whole, moved = outs * turns, shift * ins * turns // period
    return whole, moved
