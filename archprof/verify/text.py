"""A Verification for people and for programs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.text import Text

from archprof import units
from archprof.errors import UnknownName
from archprof.renderers import View
from archprof.renderers.terminal import grid, printed
from archprof.verify import Check, Count, Verification

if TYPE_CHECKING:
    from rich.console import RenderableType

SHOWN = 10
"""So many signatures without an oracle, or that differ, are named."""


def written(found: Verification, format: str, view: View) -> str:
    """Return a verification as `table` or `json`; raise UnknownName for another format."""
    if format not in FORMATS:
        raise UnknownName("format of a verification", format, FORMATS)
    return FORMATS[format](found, view)


def as_json(found: Verification, view: View) -> str:  # noqa: ARG001 - a document is whole
    """Return everything as one JSON document."""
    document = {
        "model": found.model,
        "macs": found.macs,
        "is_right": found.is_right,
        "checks": [dataclasses.asdict(check) | {"outcome": check.outcome} for check in found.checks],
        "counts": [dataclasses.asdict(count) | {"is_explained": count.is_explained} for count in found.counts],
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def as_table(found: Verification, view: View) -> str:
    """Return the terminal's page: both oracles, and what they cannot say."""
    ops = sum(len(check.ops) for check in found.checks)
    of = f"{units.several(ops, 'op')} with {units.several(len(found.checks), 'signature')}"
    head = f"{found.model}: {units.count(found.macs, 'MAC')}, {of}"
    parts: list[RenderableType] = [Text(head), Text(), *rules(found)]
    for count in found.counts:
        parts += [Text(), *tool(count)]
    verdict = "every rule that torch's formulas can judge is right" if found.is_right else "rules differ"
    return printed([*parts, Text(), Text(verdict)], view)


def rules(found: Verification) -> list[RenderableType]:
    """Return the first oracle's lines: a row a kind that contracts, then what differs, then what nobody can say."""
    lines = grid()
    for name in ("op kind", "signatures", "ops", "rule", "torch", ""):
        lines.add_column(Text(name), no_wrap=True, justify="right" if name and name != "op kind" else "left")
    kinds: dict[str, list[Check]] = {}
    for check in found.checks:
        kinds.setdefault(check.kind, []).append(check)
    silent = 0
    for kind, checks in kinds.items():
        outcomes = {check.outcome for check in checks}
        if outcomes == {"equal"} and not any(check.rule for check in checks):
            silent += len(checks)
            continue
        worst = next(outcome for outcome in ("differs", "no oracle", "equal") if outcome in outcomes)
        sums = [total([check.rule for check in checks], checks), total([c.decomposition for c in checks], checks)]
        ops = sum(len(check.ops) for check in checks)
        lines.add_row(*map(Text, [kind, f"{len(checks):,}", f"{ops:,}", *sums, worst]))
    parts: list[RenderableType] = [Text("rules against torch's own formulas on the ATen operations"), lines]
    if silent:
        parts.append(Text(f"{silent} signatures of other kinds: no contraction, by the rule or in ATen"))
    for outcome in ("differs", "no oracle"):
        checks = found.of(outcome)
        parts += [Text(f"{outcome}: {named(check)}") for check in checks[:SHOWN]]
        if len(checks) > SHOWN:
            parts.append(Text(f"{outcome}: {len(checks) - SHOWN} more (--format json has all)"))
    return parts


def total(values: Sequence[int | None], checks: Sequence[Check]) -> str:
    """Return the sum over the ops of checks, `-` where one is unknown."""
    if any(value is None for value in values):
        return "-"
    return units.count(sum((value or 0) * len(check.ops) for value, check in zip(values, checks, strict=True)))


def named(check: Check) -> str:
    """Return a check that is not equal, in one line."""
    more = f" and {len(check.ops) - 1} more" if len(check.ops) > 1 else ""
    what = check.reason or f"rule {check.rule:,}, torch {check.decomposition:,} MACs"
    return f"{check.kind} of {check.shapes or 'nothing'} ({check.ops[0]}{more}): {what}"


def tool(count: Count) -> list[RenderableType]:
    """Return the lines on another tool's total."""
    if count.total is None:
        return [Text(f"{count.tool} did not run: {count.failure}")]
    apart = count.total - count.macs
    head = f"{count.tool}, run on {count.on}: {units.count(count.total, 'MAC')}"
    parts: list[RenderableType] = [Text(f"{head}, {signed(apart)} from ours" if apart else f"{head}, as ours")]
    lines = grid()
    lines.show_header, lines.box = False, None
    lines.add_column(justify="right", no_wrap=True)
    lines.add_column()
    for difference in count.differences:
        lines.add_row(Text(signed(difference.macs)), Text(f"{difference.kind}: {difference.reason}"))
    for name, number in count.unexplained.items():
        lines.add_row(Text(signed(number)), Text(f"unexplained, in {name}"))
    if not count.unexplained:
        lines.add_row(Text("0"), Text("unexplained"))
    return [*parts, Padding(lines, (0, 0, 0, 2)), *(Text(f"  known: {hint}") for hint in count.hints)]


def signed(number: int) -> str:
    """Return a difference with its sign.

    >>> signed(-696_000_000), signed(12)
    ('-696.0 M', '+12')
    """
    return f"{'-' if number < 0 else '+'}{units.count(abs(number))}"


FORMATS: dict[str, Callable[[Verification, View], str]] = {"table": as_table, "json": as_json}
