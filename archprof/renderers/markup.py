"""Tables for pages: Markdown, written by tabulate."""

from __future__ import annotations

import re
from collections.abc import Sequence
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
    return pipes(list(frame.columns), frame.to_numpy().tolist(), texts=3) + "\n"


def pipes(heads: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int) -> str:
    """Return cells, escaped already, as a Markdown table whose first columns are `texts`, and all others numbers."""
    from tabulate import tabulate

    aligned = ["left"] * texts + ["right"] * (len(heads) - texts)
    return tabulate(rows, heads, "pipe", disable_numparse=True, colalign=aligned)


SPECIAL = re.compile(r"[\\`*\[\]|~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""What Markdown reads as something else than itself; an underscore within a word is none."""


def escaped(text: str) -> str:
    r"""Return text that stays text in a cell of a Markdown table.

    >>> escaped("a|b <img> _x_ conv_1 2 * 3")
    'a\\|b &lt;img> \\_x\\_ conv_1 2 \\* 3'
    """
    line = " ".join(text.split())
    return SPECIAL.sub(lambda found: f"\\{found[0]}", line.replace("&", "&amp;").replace("<", "&lt;"))


def printable(text: str, kept: str = "") -> str:
    """Return `text` with a blank in place of every letter that does not print, but for those of `kept`."""
    return "".join(letter if letter.isprintable() or letter in kept else " " for letter in text)


def has_total(view: View) -> bool:
    """Tell whether the rows are the whole network, so that a total stands below them."""
    return not view.path and view.top is None


def selected(profile: Profile, view: View) -> pd.DataFrame:
    """Return the rows as text cells, numbers with prefixes unless `raw`."""
    import pandas as pd

    columns = columns_of(profile, view.columns or usual(profile, ("params", "macs", "flops")))
    rows = rows_of(profile, view)
    cells = [
        [row.path, row.kind, row.shape, *(cell(profile, row, name, raw=view.raw) for name in columns)] for row in rows
    ]
    if has_total(view):
        totals = (total_cell(profile, name, raw=view.raw) for name in columns)
        cells.append(["total", units.several(len(profile.network), "op"), "", *totals])
    return pd.DataFrame(cells, columns=["layer", "type", "output", *columns])
