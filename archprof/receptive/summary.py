"""What is said of a region: size, stride and padding along each input axis, and where joined branches do not line up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from archprof.receptive.region import NOTHING, Extent, Region
from archprof.records import Column, Op

COLUMNS = {
    column.name: column
    for column in (
        Column("receptive_field", "text", "output", "positions of the input one output sees, first to last, per axis"),
        Column(
            "effective_stride",
            "text",
            "output",
            "how far they move from one output to the next; shared: two axes of the input lie along one (tokens)",
        ),
        Column("effective_padding", "text", "output", "how far those of the first output begin before the input"),
    )
}


def by_axis(values: Sequence[Any]) -> str:
    """Return values along the axes as text, only one where all are equal.

    >>> by_axis([3, 3]), by_axis([3, 1])
    ('3', '3x1')
    """
    return str(values[0]) if len(set(values)) == 1 else "x".join(map(str, values))


@dataclass(frozen=True, slots=True)
class Field:
    """What an op's output sees along one input axis.

    `size` is the most positions any element sees, first to last, as if the input had no borders (as far as the elements
    have such an order that they could go on), `seen` with its borders. `stride` is how far the interval moves
    from one output to the next, on average where it differs, `padding` how far that of the first one begins before the
    input; None where the op has no such order along an axis, and `reason` says why: `shared`, where two axes of the input
    lie along one of the output (tokens), or `uneven`.
    `sizes` are those of one period (phases of a transposed convolution), `paths` those of the inputs it joins.
    """

    size: int
    stride: Fraction | None
    padding: int | None
    seen: int
    sizes: tuple[int, ...]
    is_whole: bool
    paths: tuple[int, ...] = ()
    reason: str = ""

    @property
    def stride_text(self) -> str:
        """The stride, or in a word why there is none."""
        return (self.reason or "-") if self.stride is None else str(self.stride)


def summary(
    region: Region | None, sizes: Sequence[int], joined: Sequence[Region | None] = ()
) -> tuple[Field, ...] | None:
    """Return the Field of a region along every axis of the input, of those `sizes`; None where it is unknown."""
    if region is None:
        return None
    found = []
    for number, (extent, size) in enumerate(zip(region.extents, sizes, strict=True)):
        first, last, low, high = extent.ends
        has = first < NOTHING
        if not has.any():
            found.append(Field(0, None, None, 0, (), is_whole=False))
            continue
        seen = int((-last - first + 1)[has].max())
        is_whole = bool(((first == 0) & (last == 1 - size))[has].all())
        if extent.axis is None and extent.ends.size == 4:
            found.append(Field(seen, Fraction(0), 0, seen, (), is_whole))
            continue
        there = low < NOTHING
        widths = (-high - low + 1) * there
        stride = padding = None
        others = [other for i, other in enumerate(region.extents) if i != number]
        is_shared = any(extent.varies(i) and o.varies(i) for o in others for i in range(len(region.shape)))
        phases: tuple[int, ...] = ()
        if extent.pitch is not None and moves_alone(region, number):
            period, step = extent.pitch
            stride = Fraction(step, period)
            rest = tuple(i for i in range(widths.ndim) if i != extent.axis)
            line = widths.max(axis=rest)
            phases = tuple(map(int, line[:period]))
            begin = low.min(axis=rest)[: max(1, period)].min()
            padding = -int(begin)
        paths = tuple(path for r in joined if r is not None and (path := _size(r, number)))
        found.append(
            Field(
                int(widths.max()),
                stride,
                padding,
                seen,
                phases if len(set(phases)) > 1 else (),
                is_whole,
                paths if len(set(paths)) > 1 else (),
                "" if phases else "shared" if is_shared else "uneven",
            )
        )
    return tuple(found)


def moves_alone(region: Region, number: int) -> bool:
    """Tell whether an interval moves along an axis of the tensor that no other input axis lies along: not tokens."""
    extent = region.extents[number]
    others = [other for i, other in enumerate(region.extents) if i != number]
    return extent.axis is not None and extent.pitch is not None and not any(o.varies(extent.axis) for o in others)


def _size(region: Region, number: int) -> int:
    extent = region.extents[number]
    low, high = extent.ends[2:]
    return int(((-high - low + 1) * (low < NOTHING)).max())


def misaligned(op: Op, regions: Sequence[Region | None]) -> list[str]:
    """Return how the branches that an op joins do not line up: other strides, or other middles."""
    parts = [region for region in regions if region is not None and not region.is_nothing]
    found = []
    if len(parts) < 2 or len({len(part.shape) for part in parts}) > 1:
        return []
    for number in range(len(parts[0].extents)):
        moving = [(p.extents[number], p) for p in parts if moves_alone(p, number)]
        if len(moving) < 2 or len({e.axis for e, _ in moving}) > 1:
            continue
        strides = [Fraction(s, p) for e, _ in moving for p, s in [e.pitch or (1, 0)]]
        if len(set(strides)) > 1:
            found.append(
                f"{op.name}: axis {number}: its branches move by {' and '.join(map(str, dict.fromkeys(strides)))}"
            )
            continue
        middles = [_middle(e) for e, _ in moving]
        if len(set(middles)) > 1:
            off = max(middles) - min(middles)
            found.append(f"{op.name}: axis {number}: the middles of its branches are {float(off):g} apart")
    return found


def _middle(extent: Extent) -> Fraction:
    """Return where the middle of the first output's interval is, on the line that fits those of a period best."""
    period, step = extent.pitch or (1, 0)
    low, high = extent.ends[2], -extent.ends[3]
    others = tuple(i for i in range(low.ndim) if i != extent.axis)
    there = low < NOTHING
    low = np.where(there, low, NOTHING).min(axis=others)[:period]
    high = np.where(there, high, -NOTHING).max(axis=others)[:period]
    places = [
        Fraction(int(a + b), 2) - Fraction(i * step, period)
        for i, (a, b) in enumerate(zip(low, high, strict=True))
        if a < NOTHING
    ]
    return sum(places, Fraction(0)) / max(1, len(places))
