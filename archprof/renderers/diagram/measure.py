"""What each op of a diagram weighs under the chosen metric, and how such sums are written.

An op nobody knows the cost of is counted as unknown, beside the sum and never as 0. What belongs to outputs and does not add
up, such as a receptive field, is that of the last of some ops, and its share is of the largest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

from archprof import units
from archprof.conventions import CONVENTIONS, column
from archprof.errors import UnknownName
from archprof.records import Column, Facts

if TYPE_CHECKING:
    from archprof.graph import Graph
    from archprof.records import Op


@dataclass(frozen=True, slots=True)
class Metric:
    """A measure that shares are taken of: its name in sentences, what it means, and how an amount is written."""

    name: str
    meaning: str
    text: Callable[[float], str]
    needs_facts: bool = False


METRICS: Mapping[str, Metric] = {
    "macs": Metric("MACs", "multiply-accumulates of contractions", lambda n: units.count(n, "MAC"), needs_facts=True),
    "flops": Metric("FLOPs", "2 x MACs and the other arithmetic", lambda n: units.count(n, "FLOP"), needs_facts=True),
    "params": Metric("parameters", "each tensor once, buffers apart", lambda n: f"{units.count(n)} params"),
    "bytes": Metric("activation bytes", "outputs of the ops, views apart", units.size),
    "elements": Metric("activations", "scalars of the ops' outputs, views apart", lambda n: f"{units.count(n)} el."),
}


@dataclass(frozen=True, slots=True)
class Amount:
    """A sum over some ops: how many ops, how many of them nobody knows, their parameters, the metric and its share."""

    ops: int
    unknown: int
    params: int
    value: float
    share: float


@dataclass(frozen=True)
class Costs:
    """The metric and the parameters of every op of a graph."""

    metric: Metric
    value: Mapping[str, float]
    params: Mapping[str, int]
    unknown: frozenset[str]
    adds_up: bool = True

    @cached_property
    def largest(self) -> float:
        """The largest value of an op."""
        return max(self.value.values(), default=0)

    @cached_property
    def order(self) -> Mapping[str, int]:
        """The places of the ops."""
        return {name: place for place, name in enumerate(self.value)}

    @cached_property
    def total(self) -> float:
        """The sum of the metric over the ops it is known of."""
        return sum(self.value.values())

    def of(self, names: Iterable[str]) -> Amount:
        """Return the sum over the ops called `names`, or what the last of them has."""
        listed = list(names)
        if not self.adds_up and listed:
            last = max(listed, key=self.order.__getitem__)
            value, params = self.value[last], sum(self.params[name] for name in listed)
            share = max(0.0, value / self.largest) if self.largest else 0.0
            return Amount(len(listed), int(last in self.unknown), params, value, share)
        value = sum(self.value[name] for name in listed)
        params = sum(self.params[name] for name in listed)
        unknown = sum(name in self.unknown for name in listed)
        return Amount(len(listed), unknown, params, value, value / self.total if self.total else 0.0)

    def amount_text(self, amount: Amount) -> str:
        """Return an amount with its share, `118.0 MMAC · 2.9 %`; empty where it is a known nothing."""
        if not self.adds_up:
            return self.part_text(amount) or "?" * bool(amount.unknown)
        if amount.unknown and self.metric.needs_facts:
            return f"≥ {self.metric.text(amount.value)}, {amount.unknown} ?" if amount.value else "?"
        return f"{self.metric.text(amount.value)} · {percent(amount.share)}" if amount.value else ""

    def part_text(self, amount: Amount) -> str:
        """Return the share alone, or an amount that is none of a whole; empty where it is a known nothing."""
        if not amount.value:
            return ""
        return percent(amount.share) if self.adds_up else f"{self.metric.name} {self.metric.text(amount.value)}"

    def together(self, copies: int) -> str:
        """Return the word in front of what several copies have: one after the other, they have that of the last."""
        return "together " if copies > 1 and self.adds_up else ""


Listed = tuple[Column, Sequence[Any]]
"""A column of a profile with its values, in the order of the graph's ops."""


def costs(graph: Graph, metric: str, listed: Listed | None = None) -> Costs:
    """Return what every op of `graph` weighs under `metric`, which is the column `listed` where that is given.

    Raises UnknownName for a metric there is none of.
    """
    if metric not in METRICS and listed is None and metric not in CONVENTIONS:
        raise UnknownName("diagram metric", metric, [*METRICS, *CONVENTIONS])
    params = {
        op.name: sum(w.tensor.elements for w in graph.owned_weights[op.name] if not w.is_buffer) for op in graph.ops
    }
    unknown = frozenset(op.name for op in graph.ops if not isinstance(graph.facts.get(op.name), Facts))
    if listed is not None:
        meaning, found = listed
        shown = Metric(
            metric, meaning.meaning, lambda n: units.written(n, meaning.unit.removeprefix("text")), needs_facts=True
        )
        rows = dict(zip((op.name for op in graph.ops), found, strict=True))
        missing = frozenset(name for name, value in rows.items() if value is None)
        if meaning.total == "output":
            return Costs(shown, {name: number(value) for name, value in rows.items()}, params, missing, adds_up=False)
        return Costs(shown, {name: value or 0 for name, value in rows.items()}, params, missing)
    if metric in CONVENTIONS:
        meaning, found = column(graph, metric)
        counted = {op.name: count or 0 for op, count in zip(graph.ops, found, strict=True)}
        return Costs(Metric(metric, meaning.meaning, units.count, needs_facts=True), counted, params, unknown)
    value = params if metric == "params" else {op.name: _value(graph, op, metric) for op in graph.ops}
    return Costs(METRICS[metric], value, params, unknown)


def number(value: Any) -> float:
    """Return a value as a number: the largest of several axes, 0 for what is none.

    >>> number("3x11"), number("1/2"), number("-"), number(None), number(7)
    (11, 0.5, 0, 0, 7)
    """
    if isinstance(value, (int, float)):
        return value
    try:
        most = max(Fraction(part) for part in str(value).split("x"))
    except ValueError:
        return 0
    return int(most) if most == int(most) else float(most)


def percent(share: float) -> str:
    """Return a share as people print it: two digits, or three from 10 % on.

    >>> percent(0.0288), percent(0.1234), percent(0.00004), percent(1.0)
    ('2.9 %', '12.3 %', '< 0.1 %', '100 %')
    """
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return "100 %" if share >= 0.9995 else f"{100 * share:.1f} %"


def _value(graph: Graph, op: Op, metric: str) -> int:
    facts = graph.facts.get(op.name)
    known = facts if isinstance(facts, Facts) else Facts()
    if metric in ("macs", "flops"):
        return int(getattr(known, metric))
    outputs = () if known.is_view else op.outputs
    return sum(tensor.bytes if metric == "bytes" else tensor.elements for tensor in outputs)
