"""Tables for papers: LaTeX with booktabs, written by pandas, which also does the escaping.

`latex` writes numbers with prefixes, `siunitx` aligns them on their points, one unit a column, as that package does. A
table of more rows than a page is a longtable.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from archprof import units
from archprof.renderers import View, renderer
from archprof.renderers.markup import has_total, printable, selected
from archprof.renderers.rows import Row, columns_of, is_partial, rows_of, total_cell, usual, value
from archprof.result import Profile

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

PAGE = 45
"""Rows that fit a page."""
SPECIAL = {letter: f"\\{letter}" for letter in "&%$#_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
}  # fmt: skip
"""How LaTeX writes a letter that means something to it; pandas escapes cells, but no caption."""


@renderer("latex", ".tex")
def latex(profile: Profile, view: View) -> str:
    """LaTeX table with booktabs rules and a caption; a longtable where it is longer than a page."""
    frame = selected(profile, view).map(printable)
    return _written(profile, view, frame, ["r"] * (len(frame.columns) - 3), ["booktabs"])


@renderer("siunitx")
def siunitx(profile: Profile, view: View) -> str:
    """LaTeX table whose numbers siunitx aligns on their points, one unit a column."""
    frame = selected(profile, view).map(printable)
    names = columns_of(profile, view.columns or usual(profile, ("params", "macs", "flops")))
    rows, heads, columns = rows_of(profile, view), [], []
    for name in names:
        unit, cells = _numbers(profile, name, rows, raw=view.raw, total=has_total(view))
        frame[name] = cells
        heads.append(f"{name} ({unit})" if unit else name)
        columns.append(_column(cells))
    frame.columns = [*frame.columns[:3], *heads]
    return _written(profile, view, frame, columns, ["booktabs", "siunitx"])


def _numbers(profile: Profile, name: str, rows: Sequence[Row], *, raw: bool, total: bool) -> tuple[str, list[str]]:
    """Return a column's unit and its cells as siunitx reads numbers, the total last; text stands in braces."""
    unit = profile.columns[name].unit
    found = [(value(profile, row, name), is_partial(profile, row, name)) for row in rows]
    if total:
        found.append((profile.totals.get(name, ""), total_cell(profile, name, raw=raw).startswith(">")))
    known = [number for number, _ in found if isinstance(number, (int, float))]
    factor, prefix = (1.0, "" if unit == "count" else unit) if raw else units.common(known, unit)
    cells = []
    for number, is_least in found:
        if number is None:
            cells.append("{--}")
        elif isinstance(number, (int, float)):
            whole = isinstance(number, int) and factor == 1
            cells.append(">" * is_least + (str(number) if whole else _decimal(number / factor)))
        else:
            cells.append(f"{{{_escaped(units.written(number, unit))}}}")
    return prefix, cells


def _decimal(number: float) -> str:
    """Return a number with four digits or three places, and two digits at least.

    >>> _decimal(118.013952), _decimal(0.642252), _decimal(0.000128), _decimal(0)
    ('118.0', '0.642', '0.00013', '0')
    """
    if 0.0095 <= abs(number) < 1:
        return f"{number:.3f}"
    return units.digits(number, 4 if abs(number) >= 1 else 2)


def _column(cells: Sequence[str]) -> str:
    """Return the column that holds these numbers: so many digits before the point and behind it.

    >>> _column(["118.0", ">0.5", "{--}"])
    'S[table-format=>3.1]'
    """
    numbers = [cell.lstrip(">").partition(".") for cell in cells if not cell.startswith("{")] or [("1", "", "")]
    mark = ">" * any(cell.startswith(">") for cell in cells)
    return f"S[table-format={mark}{max(len(n[0]) for n in numbers)}.{max(len(n[2]) for n in numbers)}]"


def _written(profile: Profile, view: View, frame: pd.DataFrame, columns: Sequence[str], packages: Sequence[str]) -> str:
    mark = "at least " if profile.gaps else ""
    is_long = len(frame) > PAGE
    needs = ",".join([*packages, *["longtable"] * is_long])
    names: Any = list(frame.columns[:3]) if "siunitx" in packages else list(frame.columns)
    style = frame.style.hide(axis="index").format(escape="latex", na_rep="--", subset=names)
    style = style.format_index(escape="latex", axis=1)
    table = style.to_latex(
        hrules=True,
        column_format="l" * 3 + "".join(columns),
        caption=f"{_escaped(profile.model)}: {units.count(profile.params)} parameters, {mark}{units.count(profile.macs, 'MAC')}",
        label=f"tab:{re.sub(r'[^A-Za-z0-9:.-]+', '-', profile.model)}",
        siunitx="siunitx" in packages,
        environment="longtable" if is_long else None,
        position_float=None if is_long else "centering",
    )
    rows, total, end = table.rpartition("\ntotal & ")
    if has_total(view):
        table = f"{rows}\n\\midrule{total}{end}"
    return f"% \\usepackage{{{needs}}}\n{table}"


def _escaped(text: str) -> str:
    return "".join(SPECIAL.get(letter, letter) for letter in printable(text))
