"""Which axes of a tensor become which in a reshape, and what becomes of a pitch along one of them."""

from __future__ import annotations

import math
from collections.abc import Sequence


def groups(old: Sequence[int], new: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Return which axes of `old` become which of `new` in a reshape, in the smallest groups of equal size.

    >>> groups((2, 3, 4), (6, 2, 2))
    [([0, 1], [0]), ([2], [1, 2])]
    """
    found, i, j = [], 0, 0
    while i < len(old) or j < len(new):
        left, right = [i] if i < len(old) else [], [j] if j < len(new) else []
        a, b = (old[i] if left else 1), (new[j] if right else 1)
        i, j = i + len(left), j + len(right)
        while a != b:
            if a < b:
                a, left, i = a * old[i], [*left, i], i + 1
            else:
                b, right, j = b * new[j], [*right, j], j + 1
        found.append((left, right))
    return found


def carried(
    axis: int, pitch: tuple[int, int], old: Sequence[int], left: Sequence[int], new: Sequence[int], right: Sequence[int]
) -> tuple[int | None, tuple[int, int] | None]:
    """Return axis and pitch after axes `left` of a shape became axes `right` of another: of the outermost ones.

    >>> carried(0, (1, 1), (8,), [0], (4, 2), [0, 1])  # blocks of two: one further is two positions further
    (0, (1, 2))
    >>> carried(0, (1, 1), (4, 2), [0, 1], (8,), [0])  # two in a row have the same place
    (0, (2, 1))
    """
    if math.prod(old[i] for i in left if i < axis) != 1:
        return None, None  # what is around it begins again and again
    outer = next((j for j in right if new[j] > 1), right[0])
    unit = pitch[0] * math.prod(old[i] for i in left if i > axis)
    tail = math.prod(new[j] for j in right if j > outer)
    whole = math.lcm(unit, tail)
    return outer, (whole // tail, pitch[1] * whole // unit)
