"""Bounds that fail a check, `macs>2G`, `params>+5%`, `activation_bytes>+64Mi`: what they say, and whether they are broken.

A plain number is held against the total, one with a sign against the change from the first model, `%` says in percent of
it.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archprof import units
from archprof.errors import UnknownName, UserError

if TYPE_CHECKING:
    from archprof.changes import Diff
    from archprof.result import Profile

BOUND = re.compile(
    r"\s*(\w+)\s*(>=|<=|>|<)\s*([+-]?)\s*(\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*([kKMGT]i?)?B?\s*(%?)\s*"
)
TESTS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


@dataclass(frozen=True, slots=True)
class Bound:
    """A bound as it was written, and its parts; `is_change` is one on the change, `is_percent` in percent of the first."""

    text: str
    column: str
    test: str
    number: float
    is_change: bool
    is_percent: bool

    def __str__(self) -> str:
        """Return it as it was written."""
        return self.text


def parsed(text: str) -> Bound:
    """Return the bound that `text` writes; raise UserError for anything else.

    >>> parsed("macs > 2G").number, parsed("params>+5%").is_percent, parsed("param_bytes>64Mi").number
    (2000000000, True, 67108864)
    """
    match = BOUND.fullmatch(text)
    if match is None or (match[5] and match[6]):
        raise UserError(f"{text!r} is no bound such as 'macs>2G', 'macs>+5%' or 'params>+1M'")
    column, test, sign, number, prefix, percent = match.groups()
    value = units.parse(number) * units.factor(prefix or "")
    return Bound(text.strip(), column, test, -value if sign == "-" else value, bool(sign or percent), bool(percent))


def broken(bound: Bound, after: Profile, diff: Diff | None = None) -> str:
    """Return in one line why a bound is broken, nothing where it holds; what is unknown breaks it, as nobody can tell.

    `after` is what is looked at, `diff` leads there from the first model. Raises UserError where a change is asked for
    and there is no first, UnknownName for a column that has no total.
    """
    totals = {**after.totals, "ops": len(after.network)}
    if bound.column not in totals:
        raise UnknownName("total", bound.column, totals)
    unit = after.columns[bound.column].unit if bound.column in after.columns else "count"
    if bound.is_change:
        return _change(bound, diff, unit)
    value = totals[bound.column]
    missing = sum(number is None for number in after.values.get(bound.column, ()))
    if TESTS[bound.test](value, bound.number) and not (missing and bound.test.startswith("<")):
        return f"{bound}: {after.model} has {units.written(value, unit)}"
    if missing:
        least, ops = units.written(value, unit), units.several(missing, "op")
        return f"{bound}: nobody can tell, {after.model} has {ops} of unknown cost and {least} in the others"
    return ""


def _change(bound: Bound, diff: Diff | None, unit: str) -> str:
    if diff is None:
        raise UserError(f"{bound.text!r} asks for a change, and there is no first model to compare with")
    before, after = _ops(diff) if bound.column == "ops" else diff.totals.get(bound.column, (None, None))
    if before is None or after is None:
        raise UnknownName("column that adds up", bound.column, diff.columns)
    delta = after - before if bound.column == "ops" else diff.delta(bound.column)
    if delta is None:
        return f"{bound}: nobody can tell, since ops of unknown cost changed"
    is_least = bound.is_percent and bound.column in diff.partial[0]
    if bound.is_percent and not before and not is_least:
        return f"{bound}: {diff.a} has none" if delta and TESTS[bound.test](delta, 0) else ""
    value = delta
    if bound.is_percent:
        value = 100 * delta / before if before else math.copysign(math.inf, delta) if delta else 0
    tests = [TESTS[bound.test](end, bound.number) for end in ((value, 0) if is_least else (value,))]
    if not any(tests):
        return ""
    if not all(tests):  # of more than is known the percentage lies between both
        return f"{bound}: nobody can tell, since {diff.a} has ops of unknown cost"
    said = f"{value:+.4g}%" if bound.is_percent and not is_least else f"{'+' * (delta > 0)}{units.written(delta, unit)}"
    sides = " -> ".join(
        ">" * (bound.column in partial) + units.written(number, unit)
        for partial, number in zip(diff.partial, (before, after), strict=True)
    )
    return f"{bound}: {said} ({sides})"


def _ops(diff: Diff) -> tuple[int, int]:
    counts: Mapping[str, int] = diff.counts()
    every = sum(counts.values())
    return every - counts["added"], every - counts["removed"]
