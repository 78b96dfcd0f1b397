"""Tables for papers and pages: Markdown and LaTeX (booktabs), written by pandas, which also does the escaping."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from archprof import units
from archprof.renderers import View, renderer
from archprof.renderers.rows import cell, columns_of, rows_of, total_cell, usual
from archprof.result import Profile

if TYPE_CHECKING:
    import pandas as pd


@renderer("markdown", ".md")
def markdown(profile: Profile, view: View) -> str:
    """Markdown table, as a pull request shows it."""
    frame = selected(profile, view).map(escaped)
    return (
        frame.to_markdown(
            index=False, disable_numparse=True, colalign=["left"] * 3 + ["right"] * (len(frame.columns) - 3)
        )
        + "\n"
    )


LATEX = {letter: f"\\{letter}" for letter in "&%$#_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip
"""How LaTeX writes a letter that means something to it; pandas escapes cells, but no caption."""
SPECIAL = re.compile(r"[\\`*\[\]|~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""What Markdown reads as something else than itself; an underscore within a word is none."""


def escaped(text: str) -> str:
    r"""Return text that stays text in a cell of a Markdown table.

    >>> escaped("a|b <img> _x_ conv_1 2 * 3")
    'a\\|b &lt;img> \\_x\\_ conv_1 2 \\* 3'
    """
    line = " ".join(text.split())
    return SPECIAL.sub(lambda found: f"\\{found[0]}", line.replace("&", "&amp;").replace("<", "&lt;"))


@renderer("latex", ".tex")
def latex(profile: Profile, view: View) -> str:
    """LaTeX table with booktabs rules and a caption."""
    frame = selected(profile, view).map(lambda text: "".join(map(_printable, text)))
    name = "".join(LATEX.get(letter, letter) for letter in map(_printable, profile.model))
    mark = "at least " if profile.gaps else ""
    caption = f"{name}: {units.count(profile.params)} parameters, {mark}{units.count(profile.macs, 'MAC')}"
    style = frame.style.hide(axis="index").format(escape="latex", na_rep="--").format_index(escape="latex", axis=1)
    align = "l" * 3 + "r" * (len(frame.columns) - 3)
    return style.to_latex(
        hrules=True,
        column_format=align,
        caption=caption,
        label=f"tab:{re.sub(r'[^A-Za-z0-9:.-]+', '-', profile.model)}",
    )


def _printable(letter: str) -> str:
    return letter if letter.isprintable() else " "


def selected(profile: Profile, view: View) -> pd.DataFrame:
    """Return the rows as text cells, numbers with prefixes unless `raw`."""
    import pandas as pd

    columns = columns_of(profile, view.columns or usual(profile, ("params", "macs", "flops")))
    rows = rows_of(profile, view)
    cells = [
        [row.path, row.kind, row.shape, *(cell(profile, row, name, raw=view.raw) for name in columns)] for row in rows
    ]
    total = ["total", f"{len(profile.network)} ops", "", *(total_cell(profile, name, raw=view.raw) for name in columns)]
    if not view.path and view.top is None:
        cells.append(total)
    return pd.DataFrame(cells, columns=["layer", "type", "output", *columns])
