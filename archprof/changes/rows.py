"""One row an op of both networks: what became of it, in words and in costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from archprof.changes.nouns import Change
from archprof.changes.words import differences, told

if TYPE_CHECKING:
    from archprof.changes.match import Match
    from archprof.result import Profile

COMMUTE = frozenset({"add", "add_", "iadd", "mul", "mul_"})
"""Kinds that do not mind the order of what they read."""
OUTSIDE = "weights and buffers that no op reads"

Place: TypeAlias = "tuple[int | None, int | None]"
"""The number of an op in the first network and in the second."""


def rows_of(a: Profile, b: Profile, found: Match, columns: Sequence[str]) -> tuple[list[Change], list[Place]]:
    """Return the rows and the ops that each is about.

    They come in the order of the second network; what was removed stands after the op it once followed.
    """
    wiring = _Wiring(a, b, found)
    costs_a, costs_b = _costs(a, columns), _costs(b, columns)
    ops_a, ops_b = a.network.ops, b.network.ops
    places = list(_order(len(ops_a), len(ops_b), found.partner))
    rows = []
    for i, j in places:
        if i is None or j is None:
            op = ops_b[j] if j is not None else ops_a[i or 0]
            kind, changes = "removed" if j is None else "added", []
        else:
            op = ops_b[j]
            one, other = found.looks_a[i], found.looks_b[j]
            changes = ([] if one is other else differences(one, other)) + wiring.changes(i, j)
            kind = "changed" if changes else "same" if ops_a[i].path == op.path else "moved"
        row = Change(
            kind,
            None if i is None else ops_a[i].name,
            None if j is None else ops_b[j].name,
            op.layer or op.kind,
            told(changes),
            {} if i is None else costs_a[i],
            {} if j is None else costs_b[j],
            tuple(changes),
        )
        rows.append(row)
    return rows, places


def outside(a: Profile, b: Profile, columns: Sequence[str]) -> list[Change]:
    """Return one row for what belongs to no op, so that the rows add up to the totals; none where there is nothing."""
    before, after = ({name: profile.outside.get(name, 0) for name in columns} for profile in (a, b))
    if not any((*before.values(), *after.values())):
        return []
    found = [(name, str(before[name]), str(after[name])) for name in columns if before[name] != after[name]]
    what = f"{OUTSIDE}: {told(found)}" if found else OUTSIDE
    return [Change("changed" if found else "same", "", "", "", what, before, after, tuple(found))]


def _order(first: int, second: int, partner: Mapping[int, int]) -> Iterator[Place]:
    reverse = {j: i for i, j in partner.items()}
    after: dict[int | None, list[int]] = {}
    last = None
    for i in range(first):
        if i in partner:
            last = partner[i]
        else:
            after.setdefault(last, []).append(i)
    yield from ((i, None) for i in after.get(None, ()))
    for j in range(second):
        yield reverse.get(j), j
        yield from ((i, None) for i in after.get(j, ()))


def _costs(profile: Profile, columns: Sequence[str]) -> list[dict[str, int | None]]:
    lines = zip(*(profile.values[name] for name in columns), strict=True)
    return [dict(zip(columns, line, strict=True)) for line in lines]


class _Wiring:
    """Who reads from whom, told where all of them were there before: what only came between is told by its own row."""

    def __init__(self, a: Profile, b: Profile, found: Match) -> None:
        self.a, self.b = a.network, b.network
        self.names = {one.name: other.name for one, other in zip(self.a.inputs, self.b.inputs, strict=False)}
        self.names |= {self.a.ops[i].name: self.b.ops[j].name for i, j in found.partner.items()}
        self.known = set(self.names.values())

    def changes(self, i: int, j: int) -> list[tuple[str, str, str]]:
        one, other = self.a.ops[i], self.b.ops[j]
        before = [(edge.producer, edge.output) for edge in self.a.reads(one.name)]
        after = [(edge.producer, edge.output) for edge in self.b.reads(other.name)]
        if len(before) != len(after) or not all(name in self.names for name, _ in before):
            return []
        mapped = [(self.names[name], output) for name, output in before]
        if mapped == after or not all(name in self.known for name, _ in after):
            return []
        if other.kind in COMMUTE and sorted(mapped) == sorted(after):
            return []
        pairs = zip(before, mapped, after, strict=True)
        return [("reads", old[0], new[0]) for old, was, new in pairs if was != new]
