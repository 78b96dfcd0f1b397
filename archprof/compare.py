"""Networks side by side: one column a model, totals and their ratios to the first. It only arranges what profiles know."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from archprof import units
from archprof.errors import UnknownName
from archprof.renderers import View
from archprof.renderers.document import as_dict

if TYPE_CHECKING:
    from archprof.result import Profile

MEASURES = ("params", "macs", "flops", "activation_bytes", "param_bytes")


def compare(profiles: Sequence[Profile], format: str = "table", view: View | None = None) -> str:
    """Return profiles side by side as `table`, `tsv`, `csv`, `markdown` or `json` (a list of whole documents).

    Raises UnknownName for another format or an unknown column.
    """
    if format not in FORMATS:
        raise UnknownName("format for a comparison", format, FORMATS)
    return FORMATS[format](profiles, view or View())


def measures(profiles: Sequence[Profile], view: View) -> list[str]:
    """Return the totals to compare."""
    names = view.columns or MEASURES
    for name in names:
        if name not in profiles[0].columns:
            raise UnknownName("column", name, profiles[0].columns)
    return list(names)


def ratio(number: int, first: int) -> str:
    """Return how much more or less than the first this is, as a factor.

    >>> ratio(12_443_648, 120_422_400), ratio(3, 0), ratio(2, 2)
    ('0.1033x', '-', '1.000x')
    """
    return f"{units.digits(number / first)}x" if first else "-"


def written(profile: Profile, measure: str, *, raw: bool) -> str:
    """Return a total for people; `>` says that some ops are unknown."""
    number = profile.totals[measure]
    text = f"{number:,}" if raw else units.size(number) if profile.columns[measure].unit == "bytes" else units.count(number)
    unknown = any(value is None for value in profile.values[measure])
    return f">{text}" if unknown else text


def as_table(profiles: Sequence[Profile], view: View) -> str:
    """Return a terminal table: models are columns, the ratio to the first stands behind each total.

    Where the models do not fit the width side by side, they become rows.
    """
    first = profiles[0]
    names = measures(profiles, view)
    cells = {(p, m): _both(first, p, m, raw=view.raw) for p in profiles for m in names}
    rows = {m: [cells[p, m] for p in profiles] for m in names} | {"ops": [str(len(p.graph)) for p in profiles]}
    wide = sum(max(len(p.model), *(len(rows[m][i]) for m in rows)) + 3 for i, p in enumerate(profiles)) + 18 <= view.width
    lines = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    lines.add_column("" if wide else "model", no_wrap=True)
    for heading in [p.model for p in profiles] if wide else list(rows):
        lines.add_column(heading, justify="right", no_wrap=wide)
    if wide:
        for name, texts in rows.items():
            lines.add_row(name, *map(Text, texts))
    else:
        for i, p in enumerate(profiles):
            lines.add_row(p.model, *(Text(rows[m][i]) for m in rows))
    buffer = io.StringIO()
    console = Console(file=buffer, width=view.width, force_terminal=view.color, no_color=not view.color, highlight=False)
    console.print(lines)
    text = "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"
    if len(profiles) > 1:
        text += f"(x): as a multiple of {first.model}\n"
    return text if view.unicode else text.encode("ascii", "replace").decode("ascii").replace("?", "-")


def _both(first: Profile, p: Profile, measure: str, *, raw: bool) -> str:
    text = written(p, measure, raw=raw)
    return text if p is first else f"{text} ({ratio(p.totals[measure], first.totals[measure])})"


def as_delimited(separator: str) -> Callable[[Sequence[Profile], View], str]:
    """Return the function that writes a comparison with `separator`: raw numbers, one row a model."""

    def write(profiles: Sequence[Profile], view: View) -> str:
        names = measures(profiles, view)
        buffer = io.StringIO()
        writer = csv.writer(buffer, delimiter=separator, lineterminator="\n")
        writer.writerow(["model", *names, "ops", "gaps"])
        writer.writerows([p.model, *(p.totals[m] for m in names), len(p.graph), len(p.gaps)] for p in profiles)
        return buffer.getvalue()

    return write


def as_markdown(profiles: Sequence[Profile], view: View) -> str:
    """Return a Markdown table, one row a model."""
    from tabulate import tabulate  # noqa: PLC0415 - other formats do without it

    names = measures(profiles, view)
    rows = [[p.model, *(_both(profiles[0], p, m, raw=view.raw) for m in names)] for p in profiles]
    return tabulate(rows, ["model", *names], "pipe", disable_numparse=True, colalign=["left", *["right"] * len(names)]) + "\n"


def as_json(profiles: Sequence[Profile], view: View) -> str:  # noqa: ARG001 - documents are whole
    """Return a list of the profiles' JSON documents."""
    return json.dumps([as_dict(p) for p in profiles], indent=2, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[[Sequence[Profile], View], str]] = {
    "table": as_table, "tsv": as_delimited("\t"), "csv": as_delimited(","), "markdown": as_markdown, "json": as_json,
}  # fmt: skip
