"""Tables for other programs: one row an op, raw numbers, a header line; unknown is empty, never 0."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from collections.abc import Iterable, Sequence

from archprof.renderers import View, renderer
from archprof.renderers.rows import columns_of, depth_of, is_partial, leaves_of, rows_of, value
from archprof.result import Profile

SEPARATORS = {"csv": ",", "tsv": "\t"}
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a formula begins with in a spreadsheet."""
NUMBERS = re.compile(r"[-+\d.,x/ ]*")
"""Numbers along axes, or none: `-1x3`, `-`."""


@renderer("csv", ".csv")
def comma_separated(profile: Profile, view: View) -> str:
    """Comma-separated values, one row an op (or module, with --depth)."""
    return delimited([profile], view, ",")


@renderer("tsv", ".tsv")
def tab_separated(profile: Profile, view: View) -> str:
    """Tab-separated values, one row an op (or module, with --depth); what a pipe gets."""
    return delimited([profile], view, "\t")


def records(profile: Profile, view: View) -> tuple[list[str], list[list[object]]]:
    """Return the header and the rows: those that add up to the totals; a sum that misses an op is unknown too."""
    columns = columns_of(profile, view.columns or profile.columns)
    depth = depth_of(profile) if view.depth is None else view.depth
    rows = leaves_of(rows_of(profile, dataclasses.replace(view, depth=depth, fold=False)))
    return ["name", "type", "output_shape", *columns], [
        [
            row.path,
            row.kind,
            row.shape,
            *(None if is_partial(profile, row, name) else value(profile, row, name) for name in columns),
        ]
        for row in rows
    ]


def delimited(profiles: Sequence[Profile], view: View, separator: str) -> str:
    """Return the rows as delimited text; of several profiles below each other, behind the name of the model.

    A column that a profile does not have is empty there.
    """
    found = [records(profile, view) for profile in profiles]
    if len(found) == 1:
        ((header, rows),) = found
        return separated([header, *rows], separator)
    heads = dict.fromkeys(name for header, _ in found for name in header)
    lines: list[Sequence[object]] = [["model", *heads]]
    for profile, (header, rows) in zip(profiles, found, strict=True):
        cells = [dict(zip(header, row, strict=True)) for row in rows]
        lines += [[profile.model, *map(row.get, heads)] for row in cells]
    return separated(lines, separator)


def separated(rows: Iterable[Sequence[object]], separator: str) -> str:
    r"""Return rows as text with `separator` between cells, quoted where needed; None is empty.

    A text that a spreadsheet would take for a formula has an apostrophe in front, as spreadsheets want it.

    >>> print(separated([["=HYPERLINK(1)", -2.5, None, "-", "-1x3", "a,b"]], ","), end="")
    '=HYPERLINK(1),-2.5,,-,-1x3,"a,b"
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=separator, lineterminator="\n")
    writer.writerows([[f"'{cell}" if is_formula(cell) else cell for cell in row] for row in rows])
    return buffer.getvalue()


def is_formula(cell: object) -> bool:
    """Tell whether a spreadsheet would compute a cell; numbers, also several of them, are what they are."""
    return isinstance(cell, str) and cell.startswith(FORMULA) and not NUMBERS.fullmatch(cell)
