"""What every element of a tensor sees of the network's input: an interval of positions along each input axis.

A Region has one Extent an input axis: arrays that broadcast to the tensor's shape, so that a channel axis of size 1 says
that all channels see the same. Structure (views, unions, reductions) is here; which positions a window reads is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from archprof.receptive.axes import carried, groups

Array = np.ndarray
NOTHING = 1 << 29
"""In place of an end of an interval that is empty: larger than any end."""
MOST = 12_000_000
"""Elements of one input axis's intervals that are worked with at most: a matrix of scores between tokens has many."""
SIGNS = np.array([1, -1, 1, -1], np.int32)


@dataclass(frozen=True, slots=True)
class Extent:
    """Intervals along one input axis: `ends` is [4, *shape], with 1 in the shape where nothing changes along an axis.

    Its rows are first, -last, and the same as if the input had no borders: so that a union is the smaller of each. Without
    borders, `pitch` = (p, s) says that p positions further along tensor axis `axis` the interval lies s further, however far;
    None where that is not so or not known.
    """

    ends: Array
    axis: int | None = None
    pitch: tuple[int, int] | None = None

    def varies(self, axis: int) -> bool:
        """Tell whether the interval moves with the position along a tensor axis."""
        return self.ends.shape[axis + 1] > 1 or self.axis == axis

    @property
    def is_still(self) -> bool:
        """Whether it is the same for the whole tensor."""
        return self.ends.size == 4 and self.axis is None

    def settled(self) -> Extent:
        """Return the extent after everything along its axis was mixed: then there is nothing beyond the borders."""
        return Extent(np.concatenate([self.ends[:2], self.ends[:2]]))


@dataclass(frozen=True, slots=True)
class Region:
    """What the elements of a tensor of `shape` see: an Extent for each axis of the input that is looked at."""

    shape: tuple[int, ...]
    extents: tuple[Extent, ...]

    @property
    def is_nothing(self) -> bool:
        """Whether no element sees any of the input: a constant or a weight."""
        return all(bool((extent.ends[0] >= NOTHING).all()) for extent in self.extents)

    def shaped(self, shape: Sequence[int], change: Callable[[Extent], Extent]) -> Region:
        """Return a region of another shape with every extent changed."""
        return Region(tuple(shape), tuple(map(change, self.extents)))


def nothing(shape: Sequence[int], axes: int) -> Region:
    """Return the region of a tensor that sees nothing."""
    return Region(tuple(shape), (Extent(np.full((4, *([1] * len(shape))), NOTHING, np.int32)),) * axes)


def start(shape: Sequence[int], axes: Sequence[int]) -> Region:
    """Return the region of the input itself: every element sees its own place along `axes`."""
    extents = []
    for axis in axes:
        line = np.arange(shape[axis], dtype=np.int32).reshape([-1 if i == axis else 1 for i in range(len(shape))])
        extents.append(Extent(SIGNS.reshape(-1, *([1] * len(shape))) * line, axis, (1, 1)))
    return Region(tuple(shape), tuple(extents))


def permuted(region: Region, order: Sequence[int]) -> Region:
    """Return the region with its tensor axes in another order."""
    order = [axis % len(order) for axis in order]

    def change(extent: Extent) -> Extent:
        axis = None if extent.axis is None else order.index(extent.axis)
        return Extent(extent.ends.transpose(0, *(i + 1 for i in order)), axis, extent.pitch)

    return region.shaped([region.shape[i] for i in order], change)


def reshaped(region: Region, shape: Sequence[int]) -> Region:
    """Return the region as a view of another shape."""
    if tuple(shape) == region.shape:
        return region
    if 0 in shape:
        return nothing(shape, len(region.extents))
    parts = groups(region.shape, shape)

    def change(extent: Extent) -> Extent:
        inner, outer, axis, pitch = [4], [4], None, None
        for left, right in parts:
            here = [extent.ends.shape[i + 1] for i in left]
            changes = math.prod(here) > 1
            inner += [region.shape[i] for i in left] if changes else here
            outer += [shape[j] for j in right] if changes else [1] * len(right)
            if extent.axis in left and extent.pitch and right:
                axis, pitch = carried(extent.axis, extent.pitch, region.shape, left, shape, right)
        ends = np.broadcast_to(extent.ends, inner).reshape(outer)
        return squashed(Extent(ends, axis, pitch))

    return found_again(region.shaped(shape, change))


def found_again(region: Region) -> Region:
    """Return the region with pitches where its intervals show them: an axis was flattened, and is one of its own again."""

    def of(extent: Extent, others: Sequence[Extent]) -> Extent:
        if extent.axis is not None or extent.ends.size == 4:
            return extent
        alone = [i for i in range(len(region.shape)) if extent.varies(i) and not any(e.varies(i) for e in others)]
        moves = [(s * region.shape[i] / p, i, (p, s)) for i in alone for p, s in [shown(extent, i)] if s]
        if not moves:
            return extent
        _, axis, pitch = max(moves)
        return replace(extent, axis=axis, pitch=pitch)

    extents = region.extents
    return replace(region, extents=tuple(of(e, [o for o in extents if o is not e]) for e in extents))


def shown(extent: Extent, axis: int) -> tuple[int, int]:
    """Return the smallest pitch that all intervals along a tensor axis keep, twice over at least; a step of 0: there is none."""
    lines = np.moveaxis(extent.ends[2:], axis + 1, 0).astype(np.int64)
    lines = lines.reshape(len(lines), 2, -1)
    for period in range(1, len(lines) // 2 + 1):
        step = int(lines[period, 0, 0] - lines[0, 0, 0])
        if step <= 0 or step >= NOTHING // 2:
            continue
        is_blank = lines >= NOTHING
        wanted = lines[:-period] + step * SIGNS[:2, None]
        if np.where(is_blank[:-period], is_blank[period:], lines[period:] == wanted).all():
            return period, step
    return 1, 0


def squashed(extent: Extent) -> Extent:
    """Return the extent with size 1 wherever nothing changes."""
    ends = extent.ends
    for axis in range(1, ends.ndim):
        if ends.shape[axis] > 1:
            first = ends.take([0], axis)
            if (ends == first).all():
                ends = first
    return replace(extent, ends=ends)


def reduced(region: Region, axes: Sequence[int], *, keep: bool = True) -> Region:
    """Return what is seen where elements along tensor axes are brought together; without `keep` the axes are gone."""
    axes = sorted({axis % max(1, len(region.shape)) for axis in axes})
    region = agreed(region, axes)

    def change(extent: Extent) -> Extent:
        moves = any(extent.varies(axis) for axis in axes)
        if moves:
            extent = replace(extent, ends=extent.ends.min(axis=tuple(i + 1 for i in axes), keepdims=True))
            if extent.axis in axes:
                extent = extent.settled()
        return extent

    shape = [1 if i in axes else size for i, size in enumerate(region.shape)]
    region = region.shaped(shape, change)
    if keep:
        return region
    return dropped(region, axes)


def mixed(region: Region, axes: Sequence[int]) -> Region:
    """Return what is seen where every element reads all those along tensor axes."""
    return replace(reduced(region, axes), shape=region.shape)


def dropped(region: Region, axes: Sequence[int]) -> Region:
    """Return the region without tensor axes along which it does not vary."""

    def change(extent: Extent) -> Extent:
        axis = None if extent.axis is None or extent.axis in axes else extent.axis - sum(i < extent.axis for i in axes)
        return Extent(extent.ends.squeeze(tuple(i + 1 for i in axes)), axis, extent.pitch if axis is not None else None)

    return region.shaped([size for i, size in enumerate(region.shape) if i not in axes], change)


def aligned(region: Region, rank: int) -> Region:
    """Return the region with axes of size 1 in front, as broadcasting has it."""
    more = rank - len(region.shape)
    if more <= 0:
        return region

    def change(extent: Extent) -> Extent:
        axis = None if extent.axis is None else extent.axis + more
        ends = extent.ends.reshape(4, *([1] * more), *extent.ends.shape[1:])
        return Extent(ends, axis, extent.pitch)

    return region.shaped((1,) * more + region.shape, change)


def agreed(region: Region, axes: Sequence[int] = ()) -> Region:
    """Return the region where an element that sees nothing along one input axis sees nothing along any.

    The extents are looked at one by one otherwise, which is right as long as those that vary do so along different axes;
    only where two vary along one of `axes` (without `axes`: always) is there something to do.
    """
    if axes and not any(sum(extent.ends.shape[axis + 1] > 1 for extent in region.extents) > 1 for axis in axes):
        return region
    blanks = [extent.ends[[0, 2]] >= NOTHING for extent in region.extents]
    if not any(blank.any() for blank in blanks):
        return region
    blank = np.logical_or.reduce(np.broadcast_arrays(*blanks)) if len(blanks) > 1 else blanks[0]
    rows = blank[[0, 0, 1, 1]]
    return replace(region, extents=tuple(replace(e, ends=np.where(rows, NOTHING, e.ends)) for e in region.extents))


def union(regions: Sequence[Region], shape: Sequence[int]) -> Region:
    """Return what is seen by the elements of `shape` that read elements of several tensors, which broadcast to it."""
    parts = [aligned(region, len(shape)) for region in regions if not region.is_nothing]
    if not parts:
        return nothing(shape, len(regions[0].extents) if regions else 0)
    if len(parts) == 1:
        return parts[0] if parts[0].shape == tuple(shape) else replace(parts[0], shape=tuple(shape))
    parts = [agreed(part) for part in parts]
    return Region(tuple(shape), tuple(map(joint, zip(*(part.extents for part in parts), strict=True))))


def joint(extents: Sequence[Extent]) -> Extent:
    """Return what is seen along one input axis where several extents come together."""
    ends = extents[0].ends
    if np.prod(np.broadcast_shapes(*(extent.ends.shape[1:] for extent in extents))) > MOST:
        raise ValueError("too many intervals")
    for other in extents[1:]:
        ends = np.minimum(ends, other.ends)
    axis, pitch = common_pitch(extents)
    if axis is None:
        return squashed(Extent(ends))
    if all(extent.varies(axis) for extent in extents):
        return Extent(ends, axis, pitch)
    true = squashed(Extent(ends[:2]))  # with what sees the same everywhere, nothing moves any more
    return Extent(np.concatenate([true.ends, true.ends])) if true.ends.shape[axis + 1] == 1 else Extent(ends)


def common_pitch(extents: Sequence[Extent]) -> tuple[int | None, tuple[int, int] | None]:
    """Return the axis and the smallest pitch that all share that move at all; None where they do not move alike."""
    moving = [extent for extent in extents if extent.axis is not None or extent.ends.size > 4]
    if not moving:
        return None, None
    axes, pitches = {extent.axis for extent in moving}, {extent.pitch for extent in moving}
    if len(axes) > 1 or None in pitches or None in axes:
        return None, None
    (axis,) = axes
    steps = {s / p for p, s in pitches if p}  # type: ignore[misc]
    if len(steps) > 1:
        return None, None
    period = math.lcm(*(p for p, _ in pitches))  # type: ignore[misc]
    p, s = next(iter(pitches))  # type: ignore[misc]
    return axis, (period, s * period // p)
