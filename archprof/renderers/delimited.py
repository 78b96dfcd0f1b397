"""Tables for other programs: one row an op, raw numbers, a header line; unknown is empty, never 0."""

from __future__ import annotations

import csv
import io

from archprof.renderers import View, renderer
from archprof.renderers.rows import check_columns, depth_of, rows_of, value
from archprof.result import Profile


@renderer("csv", ".csv")
def comma_separated(profile: Profile, view: View) -> str:
    """Comma-separated values, one row an op (or module, with --depth)."""
    return delimited(profile, view, ",")


@renderer("tsv", ".tsv")
def tab_separated(profile: Profile, view: View) -> str:
    """Tab-separated values, one row an op (or module, with --depth); what a pipe gets."""
    return delimited(profile, view, "\t")


def records(profile: Profile, view: View) -> tuple[list[str], list[list[object]]]:
    """Return the header and the rows: leaves only, so that columns add up."""
    columns = list(view.columns or profile.columns)
    check_columns(profile, columns)
    whole = View(view.path, depth_of(profile) if view.depth is None else view.depth, view.columns, view.sort, view.top)
    rows = rows_of(profile, whole)
    opened = {row.path for row in rows if row.is_group and any(r.path.startswith(f"{row.path}.") for r in rows)}
    opened |= {row.path for row in rows if row.is_group and any(not r.is_group and r.ops[0] in row.ops for r in rows)}
    lines = [
        [row.path, row.kind, row.shape, *(value(profile, row, name) for name in columns)] for row in rows if row.path not in opened or not row.is_group
    ]
    return ["name", "type", "output_shape", *columns], lines


def delimited(profile: Profile, view: View, separator: str) -> str:
    """Return the rows as delimited text, quoted where needed."""
    header, lines = records(profile, view)
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=separator, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([["" if cell is None else cell for cell in line] for line in lines])
    return buffer.getvalue()
