"""Connections as LeCun et al. 1998 count them: every unit's inputs, plus one for its bias; no multiply-adds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from archprof.analyses import Values, analysis
from archprof.graph import Graph
from archprof.records import Column, Facts, Op


@analysis(Column("connections", "count", "sum", "inputs of every unit plus one for its bias (LeCun et al. 1998)"))
def connections(graph: Graph) -> Sequence[Values]:
    """Connections of weighted and pooling ops; elementwise ops have none."""
    return [Values([_connections(op, graph.facts[op.name]) for op in graph.ops])]


def _connections(op: Op, facts: object) -> int | None:
    if not isinstance(facts, Facts):
        return None
    units = sum(tensor.elements for tensor in op.outputs)
    has_bias = op.arguments.get("bias") is not None
    if facts.macs:
        return facts.macs + units * has_bias
    if facts.window is not None:
        return units * (math.prod(facts.window.kernel) + has_bias)
    return 0
