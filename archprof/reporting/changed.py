"""What became of the first network in another, as a document: one row an op, with what it costs more or less."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archprof import units
from archprof.changes import KINDS, diff
from archprof.changes.lines import apart

if TYPE_CHECKING:
    from archprof.result import Profile

TOLD = ("params", "macs", "activation_bytes")


def changed(before: Profile, after: Profile) -> dict[str, Any]:
    """Return the document of two networks."""
    found = diff(before, after)
    counts = found.counts()
    parts = [f"{counts[kind]:,} {kind}" for kind in KINDS if counts[kind]]
    sums = [f"{_signed(found.delta(name))} {what}" for name, what in (("params", "parameters"), ("macs", "MACs"))]
    rows = [
        {
            "status": row.kind,
            "a": row.path_a,
            "b": row.path_b,
            "what": ": ".join(filter(None, (row.type, row.what))),
            "delta": {name: row.delta(name) for name in TOLD},
        }
        for row in found.rows
        if row.path or any(row.delta(name) for name in TOLD)  # of what no op reads, only what costs are told of
    ]
    little = apart(found)
    told = f"{little[:1].upper()}{little[1:]}{'. ' * bool(little)}{', '.join(sums)}. Ops: {', '.join(parts)}."
    return {"before": before.model, "after": after.model, "told": told, "rows": rows}


def _signed(number: int | None) -> str:
    if number is None:
        return "unknown"
    sign = "+" if number > 0 else "−" if number < 0 else ""
    return sign + units.count(abs(number))
