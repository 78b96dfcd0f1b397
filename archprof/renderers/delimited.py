"""Tables for other programs: one row an op, raw numbers, a header line; unknown is empty, never 0."""

from __future__ import annotations

import csv
import dataclasses
import io

from archprof.renderers import View, renderer
from archprof.renderers.rows import columns_of, depth_of, is_partial, leaves_of, rows_of, value
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


def delimited(profile: Profile, view: View, separator: str) -> str:
    """Return the rows as delimited text, quoted where needed."""
    header, lines = records(profile, view)
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=separator, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([["" if cell is None else cell for cell in line] for line in lines])
    return buffer.getvalue()
