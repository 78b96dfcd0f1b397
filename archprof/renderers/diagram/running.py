"""Concats of all that came before, drawn as running ones: each reads the concat before it and what is new.

That is the same tensor, along wires that a page can hold: a dense block of 48 layers has 1,128 wires otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archprof.graph import Edge
from archprof.renderers.diagram.fuse import CONCATS

if TYPE_CHECKING:
    from archprof.graph import Graph

FEWEST = 2
"""A concat of so many tensors at least may stand for them in a later one."""


def running(graph: Graph) -> list[Edge]:
    """Return the edges of `graph`, those of a concat that begins as an earlier one does replaced by one from that one."""
    edges: list[Edge] = []
    whole: dict[object, str] = {}
    for op in graph.nodes.values():
        reads = graph.reads(op.name)
        if op.kind not in CONCATS or len(reads) != len(op.inputs) or len(op.outputs) != 1:
            edges.extend(reads)
            continue
        axis = repr(op.arguments.get("dim", op.arguments.get("axis", 0)))
        sources = tuple((edge.producer, edge.output) for edge in reads)
        known = next((n for n in range(len(sources) - 1, FEWEST - 1, -1) if (axis, sources[:n]) in whole), 0)
        if known:
            earlier = whole[axis, sources[:known]]
            edges.append(Edge(earlier, op.name, 0, 0, graph[earlier].outputs[0]))
        edges.extend(reads[known:])
        whole.setdefault((axis, sources), op.name)
    return edges
