"""What every op has of one measure, below the modules that it stands in: for flame graphs and speedscope."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from archprof.errors import UnknownName, UserError
from archprof.records import Op
from archprof.renderers import View, renderer
from archprof.result import Profile

SHORT = {"bytes": "activation_bytes", "time": "measured_s"}
"""What diagrams call some columns."""
USUAL = ("macs", "params", "activation_bytes")
SEPARATORS = re.compile(r"[;\s]+")
"""What separates the frames of a stack, and stacks."""
NANO = 1e9
"""Weights are whole numbers; seconds are counted in billionths."""


def column_of(profile: Profile, view: View) -> str:
    """Return the column of numbers that a view asks for, MACs by default; raise the user's mistake where it is none."""
    name = SHORT.get(view.sort, view.sort) or "macs"
    if name == "measured_s" and name not in profile.columns:
        raise UserError(f"{profile.model} was not measured: archprof time measures it")
    if name not in profile.columns:
        raise UnknownName("column", name, profile.columns)
    if profile.columns[name].is_text:
        raise UserError(f"{name!r} is text and no measure; there are {', '.join(profile.totals)}")
    return name


def metric_of(profile: Profile, view: View) -> str:
    """Return the column that stacks are of; raise UserError for one whose parts do not make up a whole."""
    name = column_of(profile, view)
    if name not in profile.summed:
        raise UserError(f"{name!r} does not add up, so a stack has no size; there are {', '.join(profile.summed)}")
    if any((value or 0) < 0 for value in profile.values[name]):
        raise UserError(f"{name!r} of some ops is below 0, and no part of a stack has such a size")
    return name


def weights(profile: Profile, metric: str) -> Iterator[tuple[Op, int]]:
    """Yield the ops that have something of a measure, and how much; what is unknown is left out."""
    is_time = profile.columns[metric].unit == "s"
    for op, value in zip(profile.network.ops, profile.values[metric], strict=True):
        if value:
            yield op, round(value * NANO) if is_time else value


def paths(op: Op) -> list[str]:
    """Return the modules around an op by their paths, outermost first, and the op by its name."""
    parts = op.path.split(".")
    return [*(".".join(parts[:depth]) for depth in range(1, len(parts))), op.name]


@renderer("folded", ".folded")
def folded(profile: Profile, view: View) -> str:
    """Collapsed stacks, `model;layer1;0;conv1 118013952`, for flame graphs: --sort says of what (macs)."""
    lines = []
    for op, weight in weights(profile, metric_of(profile, view)):
        frames = [profile.model, *op.path.split("."), *([op.name] if op.name != op.path else [])]
        lines.append(f"{';'.join(SEPARATORS.sub(' ', frame) for frame in frames)} {weight}\n")
    return "".join(lines) or "\n"


def sampled(profile: Profile, metric: str, numbers: dict[str, int]) -> dict[str, Any]:
    """Return a measure as speedscope reads it; `numbers` are those of the frames, new ones are added."""
    found = list(weights(profile, metric))
    unit = {"bytes": "bytes", "s": "nanoseconds"}.get(profile.columns[metric].unit, "none")
    return {
        "type": "sampled",
        "name": metric,
        "unit": unit,
        "startValue": 0,
        "endValue": sum(weight for _, weight in found),
        "samples": [[numbers.setdefault(path, len(numbers)) for path in paths(op)] for op, _ in found],
        "weights": [weight for _, weight in found],
    }
