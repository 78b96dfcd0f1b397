"""Networks side by side: one column a model, totals and ratios to the first. It only arranges what profiles know."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from archprof import units
from archprof.errors import UnknownName
from archprof.renderers import View
from archprof.renderers.delimited import separated
from archprof.renderers.document import as_dict
from archprof.renderers.markup import escaped, pipes
from archprof.renderers.rows import total_cell, usual
from archprof.renderers.terminal import gaps_line, grid, printed, width_of

if TYPE_CHECKING:
    from archprof.result import Profile

MEASURES = ("params", "macs", "flops", "activation_bytes", "param_bytes")


def compare(profiles: Sequence[Profile], format: str = "table", view: View | None = None) -> str:
    """Return profiles side by side as `table`, `tsv`, `csv`, `markdown` or `json` (a list of whole documents).

    Raises UnknownName for another format or an unknown column.
    """
    if format not in FORMATS:
        raise UnknownName("comparison format", format, FORMATS)
    return FORMATS[format](profiles, view or View())


def measures(profiles: Sequence[Profile], view: View) -> list[str]:
    """Return the totals to compare."""
    names = view.columns or [name for name in usual(profiles[0], MEASURES) if name in profiles[0].totals]
    for name in names:
        if name not in profiles[0].totals:
            raise UnknownName("total", name, profiles[0].totals)
    return list(names)


def ratio(number: int, first: int) -> str:
    """Return how much more or less than the first this is, as a factor.

    >>> ratio(12_443_648, 120_422_400), ratio(3, 0), ratio(2, 2)
    ('0.1033x', '-', '1.000x')
    """
    return f"{units.digits(number / first)}x" if first else "-"


def as_table(profiles: Sequence[Profile], view: View) -> str:
    """Return a terminal table: models are columns, the ratio to the first stands behind each total.

    Where the models do not fit the width side by side, they become rows, of as many totals as fit.
    """
    names = measures(profiles, view)
    totals = {name: [both(profiles[0], p, name, raw=view.raw) for p in profiles] for name in names}
    totals["ops"] = [str(len(p.network)) for p in profiles]
    cells = {
        "": list(totals),
        **{f"{i} {p.model}": [texts[i] for texts in totals.values()] for i, p in enumerate(profiles)},
    }
    headings = ["", *(p.model for p in profiles)]
    below = [f"! {p.model}: {gaps_line(p)}" for p in profiles if p.gaps]
    below += [f"time_s: {profiles[0].columns[name].meaning}" for name in names if name == "time_s"]
    below += [f"(x): as a multiple of {profiles[0].model}"] * (len(profiles) > 1)
    if (
        width_of({f"{i}": [head, *texts] for i, (head, texts) in enumerate(zip(headings, cells.values(), strict=True))})
        > view.width
    ):
        cells = {"model": headings[1:], **totals}
        dropped = []
        while width_of(cells) > view.width and len(cells) > 2:
            dropped.append(list(cells)[-1])
            del cells[dropped[-1]]
        headings = list(cells)
        if dropped:
            below.append(f"left out for lack of width: {', '.join(reversed(dropped))}")
    lines = grid()
    for number, head in enumerate(headings):
        lines.add_column(Text(head), no_wrap=True, justify="right" if number else "left")
    for texts in zip(*cells.values(), strict=True):
        lines.add_row(*map(Text, texts))
    return printed([lines, *map(Text, below)], view).strip("\n") + "\n"


def both(first: Profile, p: Profile, measure: str, *, raw: bool) -> str:
    """Return a total and, but for the first model, its ratio to the first's; none of sums that miss an op (`>`)."""
    text = total_cell(p, measure, raw=raw)
    if p is first:
        return text
    is_known = measure not in first.partial | p.partial
    return f"{text} ({ratio(p.totals[measure], first.totals[measure]) if is_known else '-'})"


def as_delimited(separator: str) -> Callable[[Sequence[Profile], View], str]:
    """Return the function that writes a comparison with `separator`: raw numbers, one row a model."""

    def write(profiles: Sequence[Profile], view: View) -> str:
        names = measures(profiles, view)
        rows = [[p.model, *(p.totals[m] for m in names), len(p.network), len(p.gaps)] for p in profiles]
        return separated([["model", *names, "ops", "gaps"], *rows], separator)

    return write


def as_markdown(profiles: Sequence[Profile], view: View) -> str:
    """Return a Markdown table, one row a model."""
    names = measures(profiles, view)
    rows = [[escaped(p.model), *(both(profiles[0], p, m, raw=view.raw) for m in names)] for p in profiles]
    return pipes(["model", *names], rows, texts=1) + "\n"


def as_json(profiles: Sequence[Profile], view: View) -> str:  # noqa: ARG001 - documents are whole
    """Return a list of the profiles' JSON documents."""
    return json.dumps([as_dict(p) for p in profiles], indent=2, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[[Sequence[Profile], View], str]] = {
    "table": as_table, "tsv": as_delimited("\t"), "csv": as_delimited(","), "markdown": as_markdown, "json": as_json,
}  # fmt: skip
