"""Which rows a table has: ops and modules of a Profile, to a depth, sorted and cut as a View asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from archprof import units
from archprof.errors import UnknownName
from archprof.renderers import View
from archprof.result import Group, Profile, shape

ENOUGH = 48
"""Rows that a table has at most where the reader has not said how deep to go."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line: an op, or a module with its `ops` added up, whose own rows follow where it `is_open`.

    `last` says on each level whether it is its parent's last.
    """

    name: str
    path: str
    kind: str
    shape: str
    ops: tuple[int, ...]
    last: tuple[bool, ...] = ()
    is_group: bool = False
    is_open: bool = False


def rows_of(profile: Profile, view: View) -> list[Row]:
    """Return the rows that `view` asks for, in execution order or by the column `sort`, largest first."""
    depth = fitting_depth(profile, view) if view.depth is None else view.depth
    rows = list(walk(profile, subtree(profile, view.path), depth))
    if view.sort:
        if view.sort not in profile.totals:
            raise UnknownName("column", view.sort, profile.totals)
        leaves = sorted(leaves_of(rows), key=lambda row: -profile.total(view.sort, row.ops))
        rows = [Row(row.path, row.path, row.kind, row.shape, row.ops, is_group=row.is_group) for row in leaves]
    return rows[: view.top] if view.top is not None else rows


def leaves_of(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that add up to the total: none of them is part of another."""
    return [row for row in rows if not row.is_open]


def fitting_depth(profile: Profile, view: View) -> int:
    """Return the deepest level at which the table still has few rows, at least 1."""
    if view.sort:
        return depth_of(profile)
    deepest = depth_of(profile)
    root = subtree(profile, view.path)
    for depth in range(deepest, 1, -1):
        if sum(1 for _ in walk(profile, root, depth)) <= ENOUGH:
            return depth
    return 1


def depth_of(profile: Profile) -> int:
    """Return how many levels the module tree has."""
    return max((op.path.count(".") + 2 for op in profile.graph.ops), default=1)


def subtree(profile: Profile, path: str) -> Group:
    """Return the part of the module tree at `path`; raise UserError where there is none."""
    if not path:
        return profile.tree
    profile.ops_at(path)
    group = profile.tree
    while True:
        inner = [part for part in group.parts if isinstance(part, Group) and f"{path}.".startswith(f"{part.path}.")]
        if not inner:
            return Group(path.rpartition(".")[0], parts=list(profile.ops_at(path)))
        group = inner[0]
        if group.path == path:
            return group


def walk(profile: Profile, group: Group, depth: int, last: tuple[bool, ...] = ()) -> Iterator[Row]:
    """Yield the rows below `group`, `depth` levels deep; what lies deeper is added up."""
    for number, part in enumerate(group.parts):
        ends = (*last, number == len(group.parts) - 1)
        if isinstance(part, int):
            op = profile.graph.ops[part]
            name = op.name.removeprefix(f"{group.path}.") if op.path != group.path else op.kind
            yield Row(name, op.name, op.layer or op.kind, shape(op), (part,), ends)
            continue
        ops = tuple(part.ops())
        name = part.path.removeprefix(f"{group.path}.") if group.path else part.path
        kind, made = f"{len(ops)} op{'s' * (len(ops) != 1)}", shape(profile.graph.ops[ops[-1]])
        yield Row(name, part.path, kind, made, ops, ends, is_group=True, is_open=depth > 1)
        if depth > 1:
            yield from walk(profile, part, depth - 1, ends)


def columns_of(profile: Profile, names: Iterable[str]) -> list[str]:
    """Return the names of columns, each once; raise UnknownName where there is no such column."""
    names = list(dict.fromkeys(names))
    for name in names:
        if name not in profile.columns:
            raise UnknownName("column", name, profile.columns)
    return names


def value(profile: Profile, row: Row, column: str) -> Any:  # noqa: ANN401 - whatever the column holds
    """Return a row's value in a column, over those of its ops that are known; None where none is."""
    values = profile.values[column]
    if len(row.ops) == 1:
        return values[row.ops[0]]
    if profile.columns[column].total == "none" or all(values[number] is None for number in row.ops):
        return None
    return profile.total(column, row.ops)


def is_partial(profile: Profile, row: Row, column: str) -> bool:
    """Tell whether the row misses the value of some of its ops."""
    return any(profile.values[column][number] is None for number in row.ops)


def cell(profile: Profile, row: Row, column: str, *, raw: bool) -> str:
    """Return a value for people: `-` is unknown, `>` in front means that some of it is unknown."""
    number = value(profile, row, column)
    if number is None:
        return "-"
    return ">" * is_partial(profile, row, column) + units.written(number, profile.columns[column].unit, raw=raw)


def total_cell(profile: Profile, column: str, *, raw: bool) -> str:
    """Return a column's total for people, in the same way."""
    if column not in profile.totals:
        return ""
    unknown = any(value is None for value in profile.values[column])
    return ">" * unknown + units.written(profile.totals[column], profile.columns[column].unit, raw=raw)
