"""Which rows a table has: ops and modules of a Profile, to a depth, sorted and cut as a View asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from archprof import units
from archprof.errors import UnknownName, UserError
from archprof.renderers import View
from archprof.result import Group, Profile, shape

ENOUGH = 48
"""Rows at most of the deepest level that is open by itself; a terminal's table then leaves out what is small of them."""


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
    rows = list(walk(profile, subtree(profile, view.path), depth, fold=view.fold and not view.sort))
    if view.sort:
        leaves = largest_first(profile, leaves_of(rows), view.sort)
        rows = [Row(row.path, row.path, row.kind, row.shape, row.ops, is_group=row.is_group) for row in leaves]
    return rows[: view.top] if view.top is not None else rows


def largest_first(profile: Profile, rows: Sequence[Row], column: str) -> list[Row]:
    """Return rows by a column, those without a value last; raise UserError for a column that is not there or has no order."""
    if column not in profile.columns:
        raise UnknownName("column", column, profile.columns)
    if profile.columns[column].is_text:
        raise UserError(f"{column!r} is text and has no order, so no rows can be sorted by it")
    found = [(row, value(profile, row, column)) for row in rows]
    return [row for row, _ in sorted(found, key=lambda pair: (pair[1] is None, -(pair[1] or 0)))]


def leaves_of(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that add up to the total: none of them is part of another."""
    return [row for row in rows if not row.is_open]


def fitting_depth(profile: Profile, view: View) -> int:
    """Return the deepest level at which the table still has few rows, at least 1."""
    if view.sort or view.everything:
        return depth_of(profile)
    deepest = depth_of(profile)
    root = subtree(profile, view.path)
    for depth in range(deepest, 1, -1):
        if sum(1 for _ in walk(profile, root, depth, fold=view.fold)) <= ENOUGH:
            return depth
    return 1


def depth_of(profile: Profile) -> int:
    """Return how many levels the module tree has."""
    return max((op.path.count(".") + 2 for op in profile.network.ops), default=1)


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


def walk(profile: Profile, group: Group, depth: int, *, fold: bool) -> Iterator[Row]:
    """Yield the rows below `group`, `depth` levels deep; what lies deeper is added up.

    With `fold`, modules in a row that are exactly alike are one row, and what is below it stands for all of them.
    """
    yield from _below(profile, [group], depth, (), fold=fold)


def _below(
    profile: Profile, copies: Sequence[Group], depth: int, last: tuple[bool, ...], *, fold: bool
) -> Iterator[Row]:
    first = copies[0]
    runs = list(_runs(profile, first, fold=fold))
    for number, (start, end) in enumerate(runs):
        ends = (*last, number == len(runs) - 1)
        parts = [copy.parts[place] for copy in copies for place in range(start, end)]
        times = f"{len(parts)} × " if len(parts) > 1 else ""
        groups = [part for part in parts if isinstance(part, Group)]
        if not groups:
            ops = tuple(part for part in parts if isinstance(part, int))
            op = profile.network.ops[ops[0]]
            name = op.name.removeprefix(f"{first.path}.") if op.path != first.path else op.kind
            yield Row(name, op.name, times + (op.layer or op.kind), shape(op), ops, ends)
            continue
        ops = tuple(op for part in groups for op in part.ops())
        names = [part.path.removeprefix(f"{first.path}.") for part in groups[: end - start]]
        name = names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"
        kind = times + _size(profile, groups[0])
        made = shape(profile.network.ops[ops[-1]])
        yield Row(name, groups[0].path, kind, made, ops, ends, is_group=True, is_open=depth > 1)
        if depth > 1:
            yield from _below(profile, groups, depth - 1, ends, fold=fold)


def _size(profile: Profile, group: Group) -> str:
    """Return what a module is: its block and how many ops it has, or both ops of a nameless pair."""
    ops = [profile.network.ops[number] for number in group.ops()]
    block = profile.network.modules.get(group.path)
    if len(ops) == 2 and not block:
        return " + ".join(op.layer or op.kind for op in ops)
    size = f"{len(ops)} op{'s' * (len(ops) != 1)}"
    return f"{block}, {size}" if block else size


def _runs(profile: Profile, group: Group, *, fold: bool) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of the parts that make one row: lone ones, and modules in a row that are exactly alike."""
    start = 0
    while start < len(group.parts):
        end = start + 1
        part = group.parts[start]
        if fold and isinstance(part, Group):
            looks = _look(profile, part)
            while (
                end < len(group.parts)
                and isinstance(group.parts[end], Group)
                and looks == _look(profile, group.parts[end])
            ):
                end += 1
        yield start, end
        start = end


def _look(profile: Profile, group: Group | int) -> object:
    """Return all that two modules must share to be alike: paths, signatures, wiring inside and sizes of own weights."""
    if isinstance(group, int):
        return None
    graph = profile.network
    numbers = list(group.ops())
    place = {graph.ops[number].name: i for i, number in enumerate(numbers)}
    return [
        (
            op.path.removeprefix(group.path),
            op.signature,
            [place.get(producer, -1) for producer in graph.producers(op.name)],
            [weight.tensor for weight in graph.owned_weights[op.name]],
        )
        for op in (graph.ops[number] for number in numbers)
    ]


TIMED = ("measured_s", "backward_s", "macs", "achieved_flops_per_s", "roof_share", "host_s")
ON_TOP = (
    "activation_rms", "gradient_rms", "dead_share", "weight_gradient_rms", "backward_macs", "time_s", "bound", "fused_bytes",
    "intensity",
)  # fmt: skip
"""Columns that a profile has only where they were asked for; those that matter most come first, as the last give way."""


def usual(profile: Profile, names: Iterable[str]) -> list[str]:
    """Return the columns a table has by default: another tool's counts in place of MACs, and what was asked for on top."""
    found = names if profile.timing is None else [name for name in TIMED if name in profile.columns]
    counts = [profile.convention or name if name == "macs" else name for name in found]
    return [*counts, *(name for name in ON_TOP if name in profile.columns)]


def columns_of(profile: Profile, names: Iterable[str]) -> list[str]:
    """Return the names of columns, each once; raise UnknownName where there is no such column."""
    names = list(dict.fromkeys(names))
    for name in names:
        if name not in profile.columns:
            raise UnknownName("column", name, profile.columns)
    return names


def share_of(profile: Profile, view: View, columns: Sequence[str]) -> str:
    """Return the column that a table's share is of: the one it is sorted by, time, MACs, or else the first that adds up.

    It is empty where the table is sorted by one that does not add up: no row has a share of that.
    """
    if view.sort:
        return view.sort if view.sort in profile.summed else ""
    summed = [name for name in columns if name in profile.summed]
    counts = next((name for name in ("measured_s", "time_s") if name in columns), profile.convention or "macs")
    return counts if counts in columns or not summed else summed[0]


def value(profile: Profile, row: Row, column: str) -> Any:
    """Return a row's value in a column, over those of its ops that are known; None where none is.

    What belongs to an output, such as its receptive field, is that of the last op, whose shape the row shows too. What else
    does not add up has a value where it is the same for all.
    """
    values = profile.values[column]
    if len(row.ops) == 1 or profile.columns[column].total == "output":
        return values[row.ops[-1]]
    if profile.columns[column].total == "none":
        distinct = {values[number] for number in row.ops}
        return distinct.pop() if len(distinct) == 1 else None
    if all(values[number] is None for number in row.ops):
        return None
    return profile.total(column, row.ops)


def is_partial(profile: Profile, row: Row, column: str) -> bool:
    """Tell whether the row misses the value of some of its ops."""
    ops = row.ops[-1:] if profile.columns[column].total == "output" else row.ops
    return any(profile.values[column][number] is None for number in ops)


def cell(profile: Profile, row: Row, column: str, *, raw: bool) -> str:
    """Return a value for people: `-` is unknown, `>` in front means that some of it is, `~` that it varies."""
    number = value(profile, row, column)
    if number is None:
        return "-"
    return mark(profile, row, column) + units.written(number, profile.columns[column].unit, raw=raw)


def mark(profile: Profile, row: Row, column: str) -> str:
    """Return what stands before a number that is not quite sure."""
    return "~" if is_unresolved(profile, row, column) else ">" * is_partial(profile, row, column)


def cells_of(profile: Profile, rows: Sequence[Row], column: str, *, raw: bool) -> list[str]:
    """Return the cells of a column in one unit, padded so that their points stand below each other."""
    unit = profile.columns[column].unit
    found = {place: value(profile, row, column) for place, row in enumerate(rows)}
    numbers = {place: number for place, number in found.items() if isinstance(number, (int, float))}
    texts = [cell(profile, row, column, raw=raw) for row in rows]
    if raw or not numbers:
        return texts
    for place, text in zip(numbers, units.together(list(numbers.values()), unit), strict=True):
        texts[place] = mark(profile, rows[place], column) + text
    return units.on_point(texts) if len(numbers) == sum(number is not None for number in found.values()) else texts


def is_unresolved(profile: Profile, row: Row, column: str) -> bool:
    """Tell whether this is the time of one op, and too short or too uneven to stand for itself."""
    flagged = len(row.ops) == 1 and column == "measured_s"
    return flagged and profile.values["measured_flag"][row.ops[0]] == "unresolved"


def total_cell(profile: Profile, column: str, *, raw: bool) -> str:
    """Return a column's total for people, in the same way."""
    if column not in profile.totals:
        return ""
    return ">" * (column in profile.partial) + units.written(
        profile.totals[column], profile.columns[column].unit, raw=raw
    )
