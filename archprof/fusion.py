"""Which ops a fusing compiler runs as one kernel, and what memory traffic that leaves to each of them.

An elementwise op or a norm rides along with the op whose output it alone reads, so that tensor is never moved. It is about
speed: `renderers/diagram/fuse.py` merges the boxes of a picture by other rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from archprof.graph import Edge, Graph
from archprof.ops import RULES
from archprof.records import Facts, Op, Unknown

RIDERS = frozenset(("archprof.ops.pointwise", "archprof.ops.norm"))
"""The families of rules whose ops work on each element as it comes, or on a row that a kernel can keep."""


@dataclass(slots=True)
class Group:
    """Ops that run as one kernel, by their numbers in execution order, with the bytes that each still moves."""

    ops: list[int] = field(default_factory=list)
    moved: list[int] = field(default_factory=list)


def groups(graph: Graph) -> list[Group]:
    """Return the kernels of a network; ops that move and compute nothing, and ops nobody knows, are in none.

    An op rides along with the last op before it that it can: one with one output of the same number of elements, which
    nobody else reads and which is no output of the network. Views in between move nothing and do not matter.
    """
    found: dict[str, Group] = {}
    kept = {name for name, _ in graph.outputs.values()}
    for number, op in enumerate(graph.ops):
        facts = graph.facts[op.name]
        moved = moved_by(facts)
        if moved is None or (moved == 0 and isinstance(facts, Facts) and not facts.flops):
            continue
        before = max(_carriers(graph, op, found, kept), default=None) if _rides(op) else None
        if before is None:
            found[op.name] = Group([number], [moved])
            continue
        _, carrier, saved = before
        group = found[op.name] = found[carrier]
        place = group.ops.index(next(i for i in group.ops if graph.ops[i].name == carrier))
        group.moved[place] = max(0, group.moved[place] - sum(tensor.bytes for tensor in graph[carrier].outputs))
        group.ops.append(number)
        group.moved.append(max(0, moved - saved))
    return list({id(group): group for group in found.values()}.values())


def _rides(op: Op) -> bool:
    rule = RULES.get(op.kind)
    return rule is not None and rule.function.__module__ in RIDERS and len(op.outputs) == 1


def moved_by(facts: Facts | Unknown) -> int | None:
    """Return the bytes that an op reads and writes, each tensor once; None where nobody knows."""
    if not isinstance(facts, Facts) or facts.bytes_read is None or facts.bytes_written is None:
        return None
    return facts.bytes_read + facts.bytes_written


def _carriers(graph: Graph, op: Op, found: dict[str, Group], kept: set[str]) -> Iterator[tuple[int, str, int]]:
    """Yield the ops that `op` can ride along with: place in the order, name, and the bytes `op` need not read."""
    for edge in graph.reads(op.name):
        carrier = _only_source(graph, edge, found, kept)
        if carrier is not None and edge.tensor.elements == op.outputs[0].elements:
            saved = sum(other.tensor.bytes for other in graph.reads(op.name) if other.producer == edge.producer)
            yield found[carrier].ops[-1], carrier, saved


def _only_source(graph: Graph, edge: Edge, found: dict[str, Group], kept: set[str]) -> str | None:
    """Return the op that made the tensor of an edge, found through views, if all of it is for this edge's reader."""
    reader, name = edge.consumer, edge.producer
    while graph.consumers(name) == [reader] and name not in kept:
        outputs = graph[name].outputs
        if len(outputs) != 1 or outputs[0].elements != edge.tensor.elements:
            return None
        if name in found:
            return name
        facts = graph.facts.get(name)
        if not isinstance(facts, Facts) or not facts.is_view or len(graph.producers(name)) != 1:
            return None
        reader, name = name, graph.producers(name)[0]
    return None
