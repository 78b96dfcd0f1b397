"""The table people read in a terminal: a tree of modules with shapes, parameters, MACs and where the cost is."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from archprof import units
from archprof.records import Timing
from archprof.renderers import View, renderer
from archprof.renderers.essential import essential_rows
from archprof.renderers.rows import Row, cells_of, columns_of, share_of, usual, value
from archprof.result import Profile

DEFAULT = ("params", "macs")
BARS = (10, 4, 0)
"""Lengths of the share's bar: the longest that fits is taken; with 0 it is a percentage alone."""
GAP = 2
"""Characters between two columns."""
NARROW = 24
"""Characters of a name, with the branches in front of it, where the terminal is narrow."""
WIDE = 60
"""Characters of a type elsewhere."""
ROOM = len("BatchNorm2d, ...")
"""Characters of a type that the line of small ops may have anyway."""
FEWEST = 8
"""So many of them are always shown."""
PERCENT = 6
"""Characters of a percentage."""
FLAGS = {
    "unresolved": "~ too short, or its quartiles lie far apart",
    "launch-bound": "launch-bound, the host takes longer to launch it than the device to run it",
}
CLOCKS = {"thread": "CPU time of the thread", "wall": "wall clock", "events": "device events"}
UNEVEN = 0.1
"""A pass whose quartiles are further apart than this part of its median is told to be uneven."""
TOLD = 0.001
"""A part of a pass below this is not worth a word."""
FEW = 5
"""So many gaps are named."""


@renderer("table", ".txt")
def table(profile: Profile, view: View) -> str:
    """Tree table for the terminal, with totals, shares and definitions."""
    columns = columns_of(profile, view.columns or usual(profile, DEFAULT))
    metric = share_of(profile, view, columns)
    measures = [name for name in dict.fromkeys([*columns, metric]) if name in profile.summed]
    rows, rest = essential_rows(profile, view, measures)
    cells = {
        "layer": [prefix(row) + short(row.name) for row in rows],
        "type": kinds(rows, rest, WIDE),
        "output": [row.shape for row in rows],
        **{name: cells_of(profile, rows, name, raw=view.raw) for name in columns},
    }
    narrow = {
        "layer": [prefix(row) + short(row.name, max(FEWEST, NARROW - len(prefix(row)))) for row in rows],
        "type": kinds(rows, rest, NARROW),
    }
    dropped, bar = fitted(cells, columns, metric and f"share of {metric}", view.width, narrow)
    lines = grid()
    for name, texts in cells.items():
        width = max(map(len, [name, *texts]))
        if name in narrow:
            lines.add_column(Text(name), no_wrap=True)
        else:  # set here, as rich would cut the blanks that keep points below each other
            lines.add_column(Text(f"{name:>{width}}"), no_wrap=True, min_width=width)
            cells[name] = [f"{text:>{width}}" for text in texts]
    above = "" if bar is None else share_heading(f"share of {metric}", bar)
    if bar is not None:
        lines.add_column(Text(above), no_wrap=True, justify="left" if bar else "right")
    for row, *texts in zip(rows, *cells.values(), strict=True):
        part = [] if bar is None else [share(value(profile, row, metric), profile.totals[metric] or 1, bar)]
        lines.add_row(*map(Text, texts), *part, style="bold" if row.is_group and view.color else "")
    says = [
        *footer(profile, view, rows, rest, dropped),
        *([f"the last column: share of {metric}"] if above == "share" else []),
    ]
    below = [Text(line, style="dim" if view.color else "") for line in says]
    return printed([Text(heading(profile)), lines, *below], view)


def kinds(rows: Sequence[Row], rest: Row | None, longest: int) -> list[str]:
    """Return what each row is; the last, where it stands for many small ops, says of which kinds they are."""
    texts = [short(row.kind, longest) for row in rows]
    if rest is None:
        return texts
    room, words = max(ROOM, *map(len, texts[:-1])), rest.kind.split(", ")
    shown = [
        ", ".join([*words[:count], *(["..."] if count < len(words) else [])]) for count in range(len(words), 0, -1)
    ]
    return [*texts[:-1], next((text for text in shown if len(text) <= room), short(words[0], room))]


def printed(parts: Iterable[RenderableType], view: View) -> str:
    """Return what rich prints, without trailing blanks, in ASCII where the terminal knows no more.

    Tables keep their width even on a narrower terminal, so that no number is cut; running text wraps.
    """
    buffer = io.StringIO()
    colors = "truecolor" if view.color else None
    console = Console(file=buffer, width=view.width, force_terminal=view.color, color_system=colors,
                      no_color=not view.color, highlight=False, legacy_windows=False)  # fmt: skip
    for part in parts:
        width = max(view.width, console.measure(part).minimum) if isinstance(part, Table) else view.width
        console.print(part, width=width, crop=False, no_wrap=False)
    text = "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())
    return (text if view.unicode else plain(text)) + "\n"


def grid() -> Table:
    """Return an empty table in our style."""
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, GAP - 1, 0, 0))


def width_of(cells: Mapping[str, Sequence[str]]) -> int:
    """Return how many characters wide a grid of these columns is."""
    return sum(max(map(len, [name, *texts])) + GAP for name, texts in cells.items())


def heading(profile: Profile) -> str:
    """Return the line above the table: name, totals, inputs."""
    inputs = ", ".join(f"{op.name} {op.outputs[0]} {op.outputs[0].dtype}" for op in profile.network.inputs)
    mark = "at least " if profile.gaps else ""
    totals = profile.totals
    parts = [
        f"{units.count(totals['params'])} parameters",
        f"{mark}{units.count(totals['macs'], 'MAC')}",
        f"{mark}{units.count(totals['flops'], 'FLOP')}",
        f"{len(profile.network):,} op{'s' * (len(profile.network) != 1)}",
    ]
    return f"{profile.model}: {', '.join(parts)}; input {inputs}"


def gaps_line(profile: Profile) -> str:
    """Return in words which ops are unknown, and why the first is; nothing where all are known."""
    gaps = profile.gaps
    if not gaps:
        return ""
    names = ", ".join(gap.op for gap in gaps[:FEW]) + ", ..." * (len(gaps) > FEW)
    return f"{len(gaps)} op{'s' * (len(gaps) != 1)} unknown, so totals are lower bounds: {names} ({gaps[0].reason})"


def fitted(
    cells: dict[str, list[str]], columns: Sequence[str], metric: str, width: int, narrow: Mapping[str, list[str]]
) -> tuple[list[str], int | None]:
    """Take columns out of `cells` until they and the share fit the width: shapes first, then all but two of the numbers.

    Where these do not fit, names are taken from `narrow`: they may be cut, a number never. Types, the share and the
    second number are the last to go. Without a `metric` there is no share.
    Return the names of the columns, and the length of the share's bar (None: no share).
    """
    dropped: list[str] = []
    for gone in ("", "output", *reversed(columns[2:]), "names", "type", "share", *columns[1:2]):
        if gone == "names":
            cells.update(narrow)
        elif gone and (metric or gone != "share"):
            cells.pop(gone, None)
            dropped.append(gone)
        has_share = bool(metric) and "share" not in dropped
        if not has_share and width_of(cells) <= width:
            break
        for bar in BARS if has_share else ():
            if width_of(cells) + max(bar + 1 + PERCENT, len(share_heading(metric, bar))) + GAP <= width:
                return dropped, bar
    return dropped, None


def share_heading(metric: str, bar: int) -> str:
    """Return the heading of the share, a short one where the bar is short."""
    return metric if bar == BARS[0] else "share"


def share(number: int | None, whole: int, length: int) -> Text:
    """Return a bar and a percentage; nothing for a share of nothing, and no bar for one that is below it."""
    if not number:
        return Text("-" if number is None else "")
    part = number / whole
    full, rest = divmod(round(min(max(part, 0), 1) * length * 8), 8)
    bar = "█" * full + ("" if not rest else "▏▎▍▌▋▊▉"[rest - 1])
    line = Text(f"{bar:<{length}} " if length else "", style="dark_orange")
    line.append(f"{percent(part):>{PERCENT}}", style="default")
    return line


def percent(part: float) -> str:
    """Return a share in percent, a small one as `<0.1%`.

    >>> percent(0.0288), percent(0.0001), percent(-0.5)
    ('2.9%', '<0.1%', '-50.0%')
    """
    return "<0.1%" if 0 <= part < 0.0005 else f"{part:.1%}"


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


def footer(profile: Profile, view: View, rows: list[Row], rest: Row | None, dropped: list[str]) -> list[str]:
    """Return the lines below: gaps, what is not shown, what the words mean."""
    lines = [f"! {gaps_line(profile)}"] if profile.gaps else []
    lines += profile.notes
    lines += [] if profile.timing is None else timed(profile, profile.timing)
    ops = len(profile.network)
    parts = [f"{ops - len(rest.ops):,} of {units.several(ops, 'op')}"] if rest else []
    if view.depth is None and any(row.is_group and not row.is_open for row in rows):
        parts.append(f"to depth {max(len(row.last) for row in rows)}")
    if parts:
        costliest = "" if view.sort else ", --sort macs --top 10 the costliest layers"
        lines.append(f"{', '.join(parts)}; --all shows every one{costliest}")
    if dropped:
        lines.append(f"left out for lack of width: {', '.join(dropped)}")
    unused = profile.outside.get("params", 0)
    if unused:
        lines.append(f"{units.count(unused)} parameters belong to modules that are never called")
    if profile.convention:
        lines.append(f"{profile.convention}: {profile.columns[profile.convention].meaning}")
    lines.append("MAC = multiply-accumulate of a contraction, bias apart; FLOPs = 2 x MACs + other arithmetic")
    return lines


def beside(timing: Timing) -> dict[str, float]:
    """Return the seconds of a pass that are in no row, by what they are, where they are enough to be told.

    What the model does between its ops is the difference of two kinds of pass, and told where it is beyond chance.
    """
    bare, in_rows = timing.bare, timing.coverage * timing.marked.median
    between = "are the model's own Python between them" + " and what has no row" * bool(timing.without_rows)
    least = TOLD * bare.median
    parts = {
        "slow down some passes only, and no median has them": (in_rows - timing.rows_s, least),
        "are from the loss to the first gradient": (timing.marked.median - in_rows, least),
        between: (bare.median - timing.marked.median, max(least, (bare.high - bare.low) / 2)),
    }
    return {of: seconds for of, (seconds, least) in parts.items() if seconds > least}


def timed(profile: Profile, timing: Timing) -> list[str]:
    """Return what is to be known of a measured pass: how long it takes, how far the rows explain it, on what it ran."""
    bare, marked = timing.bare, timing.marked
    half = units.duration((bare.high - bare.low) / 2)
    first = (
        f"a pass takes {units.duration(bare.median)} (± {half}, {bare.n} passes, least {units.duration(bare.least)})"
    )
    if len(profile.network):
        first += f"; {marked.median / bare.median - 1:+.1%} with a mark after every op"
        first += f"; the ops add up to {timing.rows_s / bare.median:.1%} of it"
        first += "".join(f", {units.duration(seconds)} {of}" for of, seconds in beside(timing).items())
    says = [first]
    if timing.without_rows:
        names = [f"{name} ({number}x)" for name, number in timing.without_rows.items()]
        more = f" and {len(names) - FEW} more" * (len(names) > FEW)
        says.append(
            f"! without a row, since torch runs a checkpointed part again, or a layer as one kernel: "
            f"{', '.join(names[:FEW])}{more}"
        )
    if timing.compiled is not None:
        times = f"{bare.median / timing.compiled.median:.2f}x as fast"
        says.append(f"under torch.compile a pass takes {units.duration(timing.compiled.median)}, {times}")
        parts = [f"{name} {units.duration(seconds)}" for name, seconds in timing.compiled_kernels[:FEW]]
        more = f", and {len(timing.compiled_kernels) - FEW} more" * (len(timing.compiled_kernels) > FEW)
        says.append(f"its kernels, by torch's profiler in a pass of its own: {', '.join(parts)}{more}")
    if timing.peak_bytes:
        says.append(f"the allocator held at most {units.size(timing.peak_bytes)}")
    if bare.iqr > UNEVEN * bare.median:
        says.append(f"! uneven: the middle half of the passes spans {bare.iqr / bare.median:.0%} of their median")
    if behind := timing.settings.get("passes_not_ahead"):
        says.append(
            f"! in {behind} of the passes the host was not ahead all the time: what it takes may be in the rows"
        )
    load, threads = timing.machine.get("load", [0])[0], timing.machine.get("threads", 0)
    if load + threads > timing.machine.get("cores", load + threads) + 1 and timing.settings["clock"] == "wall":
        says.append(f"! other programs were running (load {load:.1f}): --threads 1 measures what this one takes itself")
    flags = profile.values["measured_flag"]
    says += [
        f"{FLAGS[flag]}: {flags.count(flag)} of {units.several(len(flags), 'op')}" for flag in FLAGS if flag in flags
    ]
    on = ", ".join(filter(None, [timing.machine.get("name", ""), units.several(threads, "thread") if threads else ""]))
    how = [name.replace("_", " ") for name, value in timing.settings.items() if value is True]
    how += [timing.settings["mode"], CLOCKS[timing.settings["clock"]]]
    says.append(f"on {timing.device} ({on}): {', '.join(how)}; random inputs; medians, never means")
    return says


def plain(text: str) -> str:
    """Return the table in ASCII, for terminals that know no other."""
    table = str.maketrans(
        {
            "│": "|",
            "├": "+",
            "└": "+",
            "─": "-",
            "━": "-",
            "…": "~",
            "×": "x",
            "█": "#",
            **dict.fromkeys("▏▎▍▌▋▊▉", "#"),
        }
    )
    return text.translate(table).encode("ascii", "replace").decode("ascii")
