"""Which rows of a table matter: those that make up nearly all of what its columns add up to; the rest is one line."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

from archprof import units
from archprof.renderers import View
from archprof.renderers.rows import Row, depth_of, fitting_depth, is_partial, leaves_of, rows_of, value
from archprof.result import Profile

NEARLY_ALL = 0.95
"""What the rows of a table add up to, of every column of it."""
LITTLE = 0.01
"""A row with so large a share of a column is never small, whatever the others have."""
SCREEN = 16
"""So many ops are shown whatever they cost: with heading and footer they fit a terminal of 24 lines."""
MOST = 32
"""With more rows that matter, modules are shut from the deepest level up, but none that `rows.ENOUGH` leaves open."""


def essential_rows(profile: Profile, view: View, measures: Sequence[str]) -> tuple[list[Row], Row | None]:
    """Return the rows that `view` asks for, without those that cost little, and one row for all of these.

    All rows are returned where the reader has said how deep to go or how many to show. Otherwise each of `measures`,
    columns that add up, is nearly whole in the rows that stay; what nobody knows stays too.
    """
    if view.everything or view.depth is not None or view.top is not None:
        return rows_of(profile, view), None
    if view.sort:
        return _split(profile, rows_of(profile, view), [view.sort] if view.sort in profile.summed else measures)
    whole = rows_of(profile, dataclasses.replace(view, depth=depth_of(profile)))
    rows, rest = _split(profile, whole, measures)
    least = fitting_depth(profile, view)
    for depth in range(depth_of(profile) - 1, least - 1, -1):
        if len(rows) <= MOST:
            break
        rows, rest = _split(profile, rows_of(profile, dataclasses.replace(view, depth=depth)), measures)
    return rows, rest


def _split(profile: Profile, rows: list[Row], measures: Sequence[str]) -> tuple[list[Row], Row | None]:
    leaves = leaves_of(rows)
    if len(leaves) <= SCREEN or not measures:
        return rows, None
    kept = {id(row) for row in leaves if any(is_partial(profile, row, name) for name in measures)}
    for name in measures:
        kept |= _largest(profile, leaves, name)
    ops = {number for row in leaves if id(row) in kept for number in row.ops}
    shown = _shut([row for row in rows if id(row) in kept or (row.is_open and not ops.isdisjoint(row.ops))])
    told = {number for row in leaves_of(shown) for number in row.ops}
    numbers = tuple(sorted(number for row in leaves for number in row.ops if number not in told))
    if len(shown) > len(rows) - 2:
        return rows, None
    kinds = Counter(profile.network.ops[number].layer or profile.network.ops[number].kind for number in numbers)
    words = ", ".join(kind for kind, _ in kinds.most_common())
    rest = Row(f"+{units.several(len(numbers), 'small op')}", "", words, "", numbers, (True,))
    return _branches([*shown, rest]), rest


def _shut(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with every module shut of which one part alone is left: it would say the same twice."""
    found: list[Row] = []  # last row first
    for row in reversed(rows):
        below = next((n for n, other in enumerate(reversed(found)) if len(other.last) <= len(row.last)), len(found))
        if row.is_open and below == 1:
            found[-1] = dataclasses.replace(row, is_open=False)
        else:
            found.append(row)
    return found[::-1]


def _largest(profile: Profile, leaves: Sequence[Row], name: str) -> set[int]:
    """Return the rows that make up nearly all of a column, those that have as much as the last of them or no small share."""
    costs = {id(row): value(profile, row, name) or 0 for row in leaves}
    total, found, least = sum(costs.values()), 0.0, 0.0
    for cost in sorted(costs.values(), reverse=True):
        if found >= NEARLY_ALL * total:
            break
        found, least = found + cost, cost
    least = min(least, LITTLE * total)
    return {row for row, cost in costs.items() if cost and cost >= least}


def _branches(rows: Sequence[Row]) -> list[Row]:
    """Return rows of a tree, some of whose siblings are gone, with the branches that lead to those that are left."""
    follows: list[bool] = []
    lasts = []
    for row in reversed(rows):
        level = len(row.last)
        follows = [*follows, *[False] * level][:level]
        lasts.append(tuple(not later for later in follows))
        follows[level - 1 :] = [True] if level else []
    return [dataclasses.replace(row, last=last) for row, last in zip(rows, reversed(lasts), strict=True)]
