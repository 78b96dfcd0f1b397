"""The page about a network's critical path: how long it is, what is on it, and what runs beside what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from archprof import units
from archprof.errors import UnknownName, UserError
from archprof.parallelism import Region, critical_path, regions
from archprof.renderers import View
from archprof.renderers.terminal import gaps_line, grid, percent, printed, short
from archprof.result import Profile

if TYPE_CHECKING:
    from rich.table import Table


def page(profile: Profile, by: str, view: View) -> str:
    """Return the critical path by a column that adds up, its costliest ops, and the regions with branches.

    Raises UserError for another column.
    """
    if by not in profile.columns:
        raise UnknownName("column", by, profile.columns)
    if profile.columns[by].total != "sum":
        raise UserError(f"a path is as long as its ops together, and {by} does not add up")
    costs, unit = profile.values[by], profile.columns[by].unit
    found = critical_path(profile.network, costs)
    where = {op.name: number for number, op in enumerate(profile.network.ops)}
    ops = [where[name] for name in found.ops]
    costly = sorted((number for number in ops if costs[number]), key=lambda number: -costs[number])[: view.top]
    shown = [units.written(value, unit) for value in (found.length, found.total)]
    line = (
        f"{profile.model}: the longest path by {by} has {shown[0]} of {shown[1]} and {len(ops)} of "
        f"{units.several(len(profile.network), 'op')}; parallelism {units.digits(found.parallelism)}"
    )
    lines = table("costliest ops on it", "type", by, "of the path")
    for number in sorted(costly):
        op = profile.network.ops[number]
        cost = costs[number]
        lines.add_row(
            *map(Text, (short(op.name), op.layer or op.kind, units.written(cost, unit), percent(cost / found.length)))
        )
    beside = grouped(regions(profile.network, costs))
    below: list[Text] = [Text(f"! {gaps_line(profile)}")] if profile.gaps else []
    below.append(
        Text("parallelism = all / longest path: what more units could gain at most by running branches at once")
    )
    if not beside:
        return printed([Text(line), lines, Text("no branches that cost something run beside each other"), *below], view)
    branches = table("branches that meet at", "all", "longest", "parallelism")
    branches.add_column(Text("each branch"))  # the one that wraps
    for same in beside:
        first, last = same[0], same[-1]
        names = [short(first.join, 28), short(last.join, 28)]
        name = names[0] if len(same) == 1 else f"{len(same)} × {names[0]} … {names[1]}"
        each = " | ".join(units.written(branch.total, unit) for branch in first.branches)
        texts = (
            units.written(first.total, unit),
            units.written(first.longest, unit),
            units.digits(first.parallelism, 3),
        )
        branches.add_row(*map(Text, (name, *texts, each)))
    return printed([Text(line), lines, branches, *below], view).replace("\n\n\n", "\n\n")


def table(*heads: str) -> Table:
    """Return an empty table whose first column is text."""
    lines = grid()
    for number, head in enumerate(heads):
        lines.add_column(Text(head), no_wrap=True, justify="right" if number else "left")
    return lines


def grouped(found: Sequence[Region]) -> list[list[Region]]:
    """Return regions with equal branches together, in the order of the first of each."""
    alike: dict[object, list[Region]] = {}
    for region in found:
        alike.setdefault(tuple((branch.total, branch.longest) for branch in region.branches), []).append(region)
    return list(alike.values())
