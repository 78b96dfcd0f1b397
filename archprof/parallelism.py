"""What waits for what: the critical path of a network, and the branches that could run side by side.

A cost is any number an op has: MACs, seconds, bytes. An op whose cost is unknown (None) makes no path longer, so that
lengths are lower bounds then. It knows no device and computes no cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from archprof.graph import Graph

Costs = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class CriticalPath:
    """The longest chain of ops that wait for each other, its length, and the cost of all ops."""

    ops: tuple[str, ...]
    length: float
    total: float

    @property
    def parallelism(self) -> float:
        """How many units could be busy on average where they never wait for anything but the path."""
        return self.total / self.length if self.length else 1.0


@dataclass(frozen=True, slots=True)
class Branch:
    """Ops between a fork and a join that depend on no other branch; `longest` is the longest path in them."""

    ops: tuple[str, ...]
    total: float
    longest: float


@dataclass(frozen=True, slots=True)
class Region:
    """Branches beside each other: all that reaches `join` passed `fork` (`""`: it came in by several inputs)."""

    fork: str
    join: str
    branches: tuple[Branch, ...]

    @property
    def total(self) -> float:
        """The cost of all branches."""
        return sum(branch.total for branch in self.branches)

    @property
    def longest(self) -> float:
        """The longest path through any branch."""
        return max(branch.longest for branch in self.branches)

    @property
    def parallelism(self) -> float:
        """How many units could be busy on average."""
        return self.total / self.longest


def critical_path(graph: Graph, costs: Costs) -> CriticalPath:
    """Return the longest path through a network; of several that are as long, one that goes on to the end."""
    priced = _priced(graph, costs)
    lengths, before = _longest(graph, priced, set(priced))
    if not lengths:
        return CriticalPath((), 0, 0)
    at: str | None = max(reversed(lengths), key=lambda name: lengths[name])  # free ops at the end belong to it
    length = lengths[at or ""]
    ops = []
    while at is not None:
        ops.append(at)
        at = before[at]
    return CriticalPath(tuple(reversed(ops)), length, sum(priced.values()))


def regions(graph: Graph, costs: Costs) -> list[Region]:
    """Return where at least two branches that cost something run beside each other, by their joins in execution order.

    The fork of a join is its immediate dominator: the last op that every way to the join passes. Branches are what is
    connected between the two; regions may stand inside a branch of another.
    """
    import networkx

    priced = _priced(graph, costs)
    flow: networkx.DiGraph[str] = networkx.DiGraph()
    flow.add_nodes_from(graph.nodes)
    flow.add_edges_from((edge.producer, edge.consumer) for edge in graph.edges)
    flow.add_edges_from([("", name) for name, degree in list(flow.in_degree()) if not degree])
    dominators = networkx.immediate_dominators(flow, "")
    places = {name: number for number, name in enumerate(priced)}
    found = []
    for op in graph.ops:
        if flow.in_degree(op.name) < 2:
            continue
        fork = dominators[op.name]
        inside = _between(flow, fork, op.name)
        parts = networkx.connected_components(flow.subgraph(inside).to_undirected(as_view=True))
        branches = [_branch(graph, priced, set(part)) for part in parts]
        costly = sorted((b for b in branches if b.total), key=lambda branch: places[branch.ops[0]])
        if len(costly) > 1:
            found.append(Region(fork, op.name, tuple(costly)))
    return found


def _priced(graph: Graph, costs: Costs) -> dict[str, float]:
    return {op.name: cost or 0 for op, cost in zip(graph.ops, costs, strict=True)}


def _longest(
    graph: Graph, priced: Mapping[str, float], inside: set[str]
) -> tuple[dict[str, float], dict[str, str | None]]:
    """Return, for every op of `inside` in execution order, how long the longest path to its end is, and the op before."""
    lengths: dict[str, float] = {}
    before: dict[str, str | None] = {}
    for name in priced:
        if name in inside:
            sources = [source for source in dict.fromkeys(graph.producers(name)) if source in lengths]
            last = max(sources, key=lambda source: lengths[source], default=None)
            lengths[name] = priced[name] + (lengths[last] if last is not None else 0)
            before[name] = last
    return lengths, before


def _between(flow: object, fork: str, join: str) -> set[str]:
    """Return what lies on the ways from a fork to its join, without the two."""
    inside: set[str] = set()
    waiting = [join]
    while waiting:
        for source in flow.predecessors(waiting.pop()):  # type: ignore[attr-defined]
            if source != fork and source not in inside:
                inside.add(source)
                waiting.append(source)
    return inside


def _branch(graph: Graph, priced: Mapping[str, float], part: set[str]) -> Branch:
    lengths, _ = _longest(graph, priced, part)
    return Branch(tuple(lengths), sum(priced[name] for name in lengths), max(lengths.values(), default=0))
