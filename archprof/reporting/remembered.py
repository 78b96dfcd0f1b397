"""A network's memory as a document: bytes alive over a pass by kind, and who is alive at the peak."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from archprof.errors import UserError
from archprof.footprint import Live

if TYPE_CHECKING:
    from archprof.result import Profile

LISTED = 40
"""So many of those alive at a peak are told one by one."""


def remembered(profile: Profile, train: str = "") -> dict[str, Any]:
    """Return the memory of a pass of inference and, with an optimizer, of a training step.

    Raises UserError for a profile that cannot be run again, and where the model cannot run so.
    """
    from archprof.footprint.measure import measured
    from archprof.footprint.passes import Way

    run = profile._run  # noqa: SLF001 - the model, for those who run it again
    if run is None:
        raise UserError("only what `profile` returned can be asked for its memory")
    found = measured(run[1], train, {}, Way())
    homes = _homes(profile)
    passes = [_pass("inference", found.inference, homes)]
    if found.training is not None:
        passes.append(_pass(f"training with {train}", found.training, homes))
    return {"passes": passes, "notes": list(found.notes)}


def _pass(name: str, live: Live, homes: Mapping[str, int]) -> dict[str, Any]:
    """Return one pass; `changes` has, by kind, the moments at which bytes come or go, and how many."""
    makers = [[b.born, homes[b.path]] for b in live.blocks if b.bytes and b.born and b.path in homes]
    at_peak = live.at_peak
    return {
        "name": name,
        "end": live.end,
        "phases": [list(phase) for phase in live.phases],
        "peak": live.peak_bytes,
        "peak_at": live.peak_at,
        "peak_phase": live.peak_phase,
        "changes": {kind: [list(moved), list(moved.values())] for kind, moved in live.changes.items()},
        "makers": makers,
        "at_peak": [[block.name, block.kind, block.bytes, homes.get(block.path)] for block in at_peak[:LISTED]],
        "others": [len(at_peak[LISTED:]), sum(block.bytes for block in at_peak[LISTED:])],
    }


def _homes(profile: Profile) -> dict[str, int]:
    """Return, by path, the first op there; ops by their number."""
    homes: dict[str, int] = {}
    for number, op in enumerate(profile.network.ops):
        homes.setdefault(op.path, number)
        for weight in op.weights:
            homes.setdefault(weight.name, number)
    return homes
