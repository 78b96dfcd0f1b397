"""The table people read in a terminal: a tree of modules with shapes, parameters, MACs and where the cost is."""

from __future__ import annotations

import io

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from archprof import units
from archprof.renderers import View, renderer
from archprof.renderers.rows import Row, check_columns, depth_of, is_partial, rows_of, value
from archprof.result import Profile

DEFAULT = ("params", "macs")
GAP = 3
"""Characters between two columns."""
BARS = (10, 4)
"""Lengths of the share's bar: the longest that fits is taken."""


@renderer("table", ".txt")
def table(profile: Profile, view: View) -> str:
    """Tree table for the terminal, with totals, shares and definitions."""
    rows = rows_of(profile, view)
    columns = view.columns or DEFAULT
    check_columns(profile, columns)
    metric = view.sort or ("macs" if "macs" in columns else columns[0])
    wide, dropped, bar = fitted(rows, columns, view)
    buffer = io.StringIO()
    console = Console(file=buffer, width=view.width, force_terminal=view.color, color_system="truecolor" if view.color else None,
                      no_color=not view.color, highlight=False, legacy_windows=False)  # fmt: skip
    console.print(heading(profile), soft_wrap=True)
    console.print(grid(profile, rows, wide, metric, view, bar))
    for line in footer(profile, view, rows, dropped):
        console.print(Text(line, style="dim" if view.color else ""))
    text = "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())
    return (text if view.unicode else plain(text)) + "\n"


def heading(profile: Profile) -> str:
    """Return the line above the table: name, totals, inputs."""
    inputs = ", ".join(f"{op.name} {op.outputs[0]} {op.outputs[0].dtype}" for op in profile.graph.inputs)
    mark = "at least " if profile.gaps else ""
    totals = profile.totals
    parts = [
        f"{units.count(totals['params'])} parameters",
        f"{mark}{units.count(totals['macs'], 'MAC')}",
        f"{mark}{units.count(totals['flops'], 'FLOP')}",
        f"{len(profile.graph)} op{'s' * (len(profile.graph) != 1)}",
    ]
    return f"{profile.model}: {', '.join(parts)}; input {inputs}"


def fitted(rows: list[Row], columns: tuple[str, ...], view: View) -> tuple[list[str], list[str], int]:
    """Return the columns that fit the width, those that do not, and the bar's length: the last columns go first."""
    names = max((len(prefix(row)) + len(short(row.name)) for row in rows), default=5)
    kinds = max((len(row.kind) for row in rows), default=4)
    shapes = max((len(row.shape) for row in rows), default=6)
    room = view.width - max(names, 5) - kinds - GAP - 2
    wanted = ["shape", *columns, "share"]
    widths = {"shape": shapes + GAP}
    widths |= {name: max(len(name), 15 if view.raw else 9) + GAP for name in columns}
    dropped: list[str] = []
    order = [*reversed(columns[1:]), "shape", "share"]
    while True:
        for bar in BARS:
            widths["share"] = bar + 7 + GAP
            if sum(widths[name] for name in wanted) <= room or not order:
                return wanted, dropped, bar
        gone = order.pop(0)
        wanted.remove(gone)
        dropped.append("output" if gone == "shape" else gone)


def grid(profile: Profile, rows: list[Row], columns: list[str], metric: str, view: View, bar: int) -> Table:
    """Return the rich table."""
    lines = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_footer=False, expand=False)
    lines.add_column("layer", no_wrap=True, overflow="ellipsis")
    lines.add_column("type", no_wrap=True)
    for name in columns:
        if name == "shape":
            lines.add_column("output", no_wrap=True, justify="right")
        elif name == "share":
            lines.add_column(f"share of {metric}" if bar > 4 else "share", no_wrap=True)  # noqa: PLR2004 - room for both
        else:
            lines.add_column(name, no_wrap=True, justify="right")
    whole = profile.totals[metric] or 1
    for row in rows:
        cells: list[str | Text] = [Text(prefix(row) + short(row.name)), Text(row.kind)]
        for name in columns:
            if name == "shape":
                cells.append(Text(row.shape))
            elif name == "share":
                cells.append(share(value(profile, row, metric), whole, bar))
            else:
                cells.append(Text(cell(profile, row, name, raw=view.raw)))
        lines.add_row(*cells, style="bold" if row.is_group and view.color else "")
    return lines


def cell(profile: Profile, row: Row, column: str, *, raw: bool) -> str:
    """Return a value for people: `-` is unknown, `>` in front means that some of it is unknown."""
    number = value(profile, row, column)
    if number is None:
        return "-"
    mark = ">" if is_partial(profile, row, column) else ""
    if raw:
        return f"{mark}{number:,}"
    return mark + (units.size(number) if profile.columns[column].unit == "bytes" else units.count(number))


def share(number: int | None, whole: int, length: int) -> Text:
    """Return a bar and a percentage; nothing for a share of nothing."""
    if not number:
        return Text("?" if number is None else "")
    part = number / whole
    full, rest = divmod(round(part * length * 8), 8)
    bar = "█" * full + ("" if not rest else "▏▎▍▌▋▊▉"[rest - 1])
    percent = f"{part:.1%}" if part >= 0.0005 else "<0.1%"  # noqa: PLR2004 - what rounds to 0.0 %
    line = Text(f"{bar:<{length}} ", style="dark_orange")
    line.append(f"{percent:>6}", style="default")
    return line


def prefix(row: Row) -> str:
    """Return the branches of the tree in front of a row's name."""
    if not row.last:
        return ""
    stems = "".join("   " if ended else "│  " for ended in row.last[1:-1])
    return stems + ("" if len(row.last) == 1 else "└─ " if row.last[-1] else "├─ ")


def short(name: str, longest: int = 36) -> str:
    """Return a name, its middle left out where it is very long."""
    if len(name) <= longest:
        return name
    half = (longest - 1) // 2
    return f"{name[:half]}…{name[-half:]}"


def footer(profile: Profile, view: View, rows: list[Row], dropped: list[str]) -> list[str]:
    """Return the lines below: gaps, what is not shown, what the words mean."""
    lines = []
    if profile.gaps:
        first = ", ".join(gap.op for gap in profile.gaps[:5])
        lines.append(f"! {len(profile.gaps)} ops have no rule, so totals are lower bounds: {first}{', ...' * (len(profile.gaps) > 5)}")  # noqa: PLR2004
    shown = max((len(row.last) for row in rows), default=1)
    if not view.sort and view.depth is None and shown < depth_of(profile) - 1 and any(row.is_group for row in rows):
        lines.append(f"shown to depth {shown}; --depth {shown + 1} opens more, --sort macs --top 10 lists the costliest layers")
    if dropped:
        lines.append(f"left out for lack of width: {', '.join(dropped)}")
    unused = profile.outside.get("params", 0)
    if unused:
        lines.append(f"{units.count(unused)} parameters belong to modules that are never called")
    lines.append("MAC = multiply-accumulate of a contraction, bias apart; FLOPs = 2 x MACs + other arithmetic")
    return lines


def plain(text: str) -> str:
    """Return the table in ASCII, for terminals that know no other."""
    table = str.maketrans({"│": "|", "├": "+", "└": "+", "─": "-", "━": "-", "…": "~", "█": "#", **dict.fromkeys("▏▎▍▌▋▊▉", "#")})
    return text.translate(table).encode("ascii", "replace").decode("ascii")
