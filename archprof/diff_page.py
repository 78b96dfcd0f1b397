"""What became of a network as a page: for the terminal, a pull request, a spreadsheet or a program."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from archprof import units
from archprof.changes.lines import NOWHERE, Line, apart, lines
from archprof.changes.nouns import KINDS, Diff
from archprof.errors import UnknownName
from archprof.renderers.delimited import separated
from archprof.renderers.markup import escaped, pipes
from archprof.renderers.terminal import GAP, grid, printed, short, width_of

if TYPE_CHECKING:
    from archprof.renderers import View

DEFAULT = ("params", "macs", "activation_bytes")
SUMMARY = ("params", "macs", "flops", "activation_bytes", "param_bytes")
SIGNS = {"same": "=", "changed": "~", "moved": ">", "added": "+", "removed": "-"}
COLORS = {"same": "dim", "changed": "dark_orange", "moved": "blue", "added": "green", "removed": "red"}
SHORT = 20
"""Lines that a pull request shows at once; more fold away."""
DEEP = 99
"""Deeper than any network."""
NARROW = 16
"""Characters the description has at least."""


def render(diff: Diff, format: str, view: View) -> str:
    """Return a diff as `table`, `markdown`, `tsv`, `csv` or `json`; raise UnknownName for another format or column."""
    if format not in FORMATS:
        raise UnknownName("format of a diff", format, FORMATS)
    for name in view.columns:
        if name not in diff.columns:
            raise UnknownName("column that adds up", name, diff.columns)
    return FORMATS[format](diff, view)


def signed(number: int | None, unit: str, *, raw: bool = False) -> str:
    """Return a difference with its sign; `-` is unknown.

    >>> signed(1_500_000, "count"), signed(-2048, "bytes"), signed(0, "count"), signed(None, "count")
    ('+1.500 M', '-2.000 KiB', '0', '-')
    """
    if number is None:
        return "-"
    return "+" * (number > 0) + units.written(number, unit, raw=raw) if number else "0"


def part_of(delta: int | None, before: int) -> str:
    """Return a difference in percent of what there was; nothing where there was nothing.

    >>> part_of(5, 100), part_of(5, 0), part_of(1, 100_000)
    ('+5.0%', '', '+<0.1%')
    """
    if not delta or not before:
        return ""
    if abs(delta) < before * 0.0005:
        return f"{'+' if delta > 0 else '-'}<0.1%"
    return f"{delta / before:+.1%}"


def in_percent(diff: Diff, name: str) -> str:
    """Return the difference of a column in percent of the total before; nothing where that is a lower bound only."""
    return "" if name in diff.partial[0] else part_of(diff.delta(name), diff.totals[name][0])


def summary(diff: Diff, view: View) -> list[list[str]]:
    """Return a line a total: name, before, after, difference, percent."""
    found = []
    for name in view.columns or [name for name in SUMMARY if name in diff.totals]:
        unit, totals = diff.columns[name], diff.totals[name]
        marks = [">" * (name in partial) for partial in diff.partial]
        sides = [mark + units.written(total, unit, raw=view.raw) for mark, total in zip(marks, totals, strict=True)]
        delta = diff.delta(name)
        found.append([name, *sides, signed(delta, unit, raw=view.raw), in_percent(diff, name)])
    counts = diff.counts()
    before, after = (sum(counts.values()) - counts[kind] for kind in ("added", "removed"))
    return [*found, ["ops", f"{before:,}", f"{after:,}", signed(after - before, ""), part_of(after - before, before)]]


def verdict(diff: Diff) -> str:
    """Return in a sentence how many ops of which kind there are."""
    counts = diff.counts()
    if diff.is_same:
        rest = f", {counts['moved']:,} under another name" if counts["moved"] else ""
        return f"the same network: {units.several(sum(counts.values()), 'op')}{rest}"
    return "ops: " + ", ".join(f"{counts[kind]:,} {kind}" for kind in KINDS if counts[kind])


def as_table(diff: Diff, view: View) -> str:
    """Return tables for the terminal: the totals, then what changed, module by module."""
    totals = grid()
    for number, head in enumerate(("", diff.a, diff.b, "change", "")):
        totals.add_column(Text(short(head)), no_wrap=True, justify="right" if number else "left")
    for line in summary(diff, view):
        totals.add_row(*map(Text, line))
    below = [Text(text) for text in filter(None, (apart(diff), verdict(diff)))]
    below += [Text(f"! {units.several(gaps, 'op')} of unknown cost in {name}: totals are lower bounds")
              for name, gaps in zip((diff.a, diff.b), diff.gaps, strict=True) if gaps]  # fmt: skip
    if diff.is_same:
        return printed([totals, *below], view).lstrip("\n")
    shown = _lines(diff, view)
    cells = {
        "": [f"{SIGNS[line.kind]} {line.kind}" for line in shown],
        "layer": ["  " * line.level + short(line.name) for line in shown],
        "type": [short(line.type, 24) for line in shown],
        **{name: [signed(line.delta(name), diff.columns[name], raw=view.raw) for line in shown]
           for name in view.columns or _usual(diff)},
    }  # fmt: skip
    dropped = []
    while width_of(cells) + GAP + NARROW > view.width and len(cells) > 3:
        dropped.append(list(cells)[-1])
        del cells[dropped[-1]]
    if width_of(cells) + GAP + NARROW > view.width:
        del cells["type"]
        dropped.append("type")
    table = grid()
    for name in cells:
        table.add_column(Text(name), no_wrap=True, justify="left" if name in {"", "layer", "type"} else "right")
    table.add_column(Text("what"), overflow="fold")
    for line, *texts in zip(shown, *cells.values(), strict=True):
        table.add_row(*map(Text, texts), Text(line.what), style=COLORS[line.kind] if view.color else "")
    if dropped:
        below.append(Text(f"left out for lack of width: {', '.join(reversed(dropped))}"))
    if view.depth is None and any(line.kind == "changed" and not line.is_open and len(line.rows) > 1 for line in shown):
        below.append(Text("--depth opens more; --format tsv and json have every op"))
    return printed([totals, table, *below], view).lstrip("\n")


def as_markdown(diff: Diff, view: View) -> str:
    """Return Markdown for a pull request: the totals, the changes, and the long rest folded away."""
    rows = [[escaped(cell) for cell in line] for line in summary(diff, view)]
    heads = ["", escaped(diff.a), escaped(diff.b), "change", ""]
    totals = pipes(heads, rows, texts=1)
    text = [f"### {escaped(diff.a)} → {escaped(diff.b)}", totals, *filter(None, [escaped(apart(diff))]), verdict(diff)]
    if not diff.is_same:
        shown, deep = _lines(diff, view), _lines(diff, view, view.depth or DEEP)
        first, rest = (shown, []) if len(shown) <= SHORT else (_lines(diff, view, 1), deep)
        if len(first) > SHORT:
            first, rest = first[:SHORT], deep
        text.append(_table(diff, first, view))
        if rest:
            text += ["<details>", f"<summary>All {len(rest)} lines</summary>", _table(diff, rest, view), "</details>"]
    return "\n\n".join(text) + "\n"


def _table(diff: Diff, shown: Sequence[Line], view: View) -> str:
    names = view.columns or _usual(diff)
    rows = [
        [
            f"{SIGNS[line.kind]} {line.kind}".replace("~", "\\~"),
            "&emsp;" * line.level + escaped(line.name),
            escaped(line.type),
            escaped(line.what),
            *(escaped(signed(line.delta(name), diff.columns[name], raw=view.raw)) for name in names),
        ]
        for line in shown
    ]
    return pipes(["", "layer", "type", "what", *names], rows, texts=4)


def as_delimited(separator: str) -> Callable[[Diff, View], str]:
    """Return the function that writes one row an op with `separator`, raw numbers, nothing where one is unknown."""

    def write(diff: Diff, view: View) -> str:
        names = view.columns or _usual(diff)
        sides = [f"{name}_{side}" for name in names for side in ("before", "after", "delta")]
        rows: list[list[object]] = [["kind", "path_a", "path_b", "type", "what", *sides]]
        for row in diff.rows:
            numbers = [
                number for name in names for number in (row.before.get(name), row.after.get(name), row.delta(name))
            ]
            rows.append([row.kind, row.path_a, row.path_b, row.type, row.what, *numbers])
        return separated(rows, separator)

    return write


def as_json(diff: Diff, view: View) -> str:  # noqa: ARG001 - the document is always whole
    """Return the whole diff as one JSON document."""
    return json.dumps(diff.to_dict(), indent=2, allow_nan=False) + "\n"


def _lines(diff: Diff, view: View, depth: int | None = None) -> list[Line]:
    """Return the lines, without what belongs to no op where it makes no difference to what is shown."""
    names = view.columns or _usual(diff)
    found = lines(diff, depth or view.depth)
    return [line for line in found if line.name != NOWHERE or any(line.delta(name) != 0 for name in names)]


def _usual(diff: Diff) -> list[str]:
    return [name for name in DEFAULT if name in diff.columns]


FORMATS: dict[str, Callable[[Diff, View], str]] = {
    "table": as_table, "markdown": as_markdown, "tsv": as_delimited("\t"), "csv": as_delimited(","), "json": as_json,
}  # fmt: skip
