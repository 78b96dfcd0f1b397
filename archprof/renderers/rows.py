"""Which rows a table has: ops and modules of a Profile, to a depth, sorted and cut as a View asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from archprof.errors import UnknownName
from archprof.renderers import View
from archprof.result import Group, Profile, shape

ENOUGH = 48
"""Rows that a table has at most where the reader has not said how deep to go."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line: an op, or a module (`count` ops added up); `last` says on each level whether it is its parent's last."""

    name: str
    path: str
    kind: str
    shape: str
    ops: tuple[int, ...]
    last: tuple[bool, ...] = ()
    is_group: bool = False


def rows_of(profile: Profile, view: View) -> list[Row]:
    """Return the rows that `view` asks for, in execution order or by the column `sort`, largest first."""
    depth = fitting_depth(profile, view) if view.depth is None else view.depth
    rows = list(walk(profile, subtree(profile, view.path), depth))
    if view.sort:
        check_columns(profile, [view.sort])
        leaves = [row for row in rows if not row.is_group]
        key = {id(row): profile.total(view.sort, row.ops) for row in leaves}
        rows = [
            Row(row.path, row.path, row.kind, row.shape, row.ops) for row in sorted(leaves, key=lambda row: -key[id(row)])
        ]
    return rows[: view.top] if view.top is not None else rows


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
            return Group(path, parts=list(profile.ops_at(path)))
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
        yield Row(name, part.path, f"{len(ops)} op{'s' * (len(ops) != 1)}", shape(profile.graph.ops[ops[-1]]), ops, ends, True)
        if depth > 1:
            yield from walk(profile, part, depth - 1, ends)


def check_columns(profile: Profile, names: Sequence[str]) -> None:
    """Raise UnknownName where a column does not exist."""
    for name in names:
        if name not in profile.columns:
            raise UnknownName("column", name, profile.columns)


def value(profile: Profile, row: Row, column: str) -> Any:  # noqa: ANN401 - a number or None
    """Return a row's value in a column; None where none of its ops is known."""
    known = [number for number in row.ops if profile.values[column][number] is not None]
    return profile.total(column, known) if known or not row.ops else None


def is_partial(profile: Profile, row: Row, column: str) -> bool:
    """Tell whether the row misses the value of some of its ops."""
    return any(profile.values[column][number] is None for number in row.ops)
