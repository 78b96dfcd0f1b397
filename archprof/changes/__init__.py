"""What became of a network: every op of two profiles as same, changed, moved, added or removed, with the costs of each.

    match (align: execution order) -> words (setting by setting) -> modules (one tree of both)

It knows no torch and prints nothing: `archprof.diff_page` does. The changes of all rows add up to the difference of the
totals exactly; where a cost is unknown, so is the difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archprof.changes.match import match
from archprof.changes.modules import tree
from archprof.changes.nouns import KINDS, Change, Diff, Part
from archprof.changes.rows import outside, rows_of

if TYPE_CHECKING:
    from archprof.result import Profile

__all__ = ["KINDS", "Change", "Diff", "Part", "diff"]


def diff(a: Profile, b: Profile) -> Diff:
    """Return what became of `a` in `b`, op by op and module by module.

    >>> import archprof
    >>> found = diff(archprof.profile("inception-direct"), archprof.profile("inception-bottleneck"))
    >>> [(row.kind, row.path, row.what) for row in found.rows]
    [('added', 'reduction', ''), ('changed', 'conv', 'in_channels 192 -> 16')]
    >>> found.delta("macs")
    -107978752
    """
    columns = {name: a.columns[name].unit for name in a.summed if name in b.columns}
    rows, places = rows_of(a, b, match(a.network, b.network), list(columns))
    rows += outside(a, b, list(columns))
    totals = {name: (a.totals[name], b.totals[name]) for name in columns}
    gaps = (len(a.gaps), len(b.gaps))
    return Diff(a.model, b.model, columns, totals, tuple(rows), tree(a, b, rows, places), gaps, (a.partial, b.partial))
