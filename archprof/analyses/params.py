"""How many parameters each op owns: every storage once, at the first op that reads it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from archprof.analyses import Values, analysis
from archprof.graph import Graph
from archprof.records import Column, Weight


@analysis(
    Column("params", "count", "sum", "scalars of distinct parameter tensors, each once; buffers apart"),
    Column("trainable_params", "count", "sum", "parameters that require a gradient"),
    Column("buffers", "count", "sum", "scalars kept in the state dict that are no parameters (running statistics)"),
    Column("param_bytes", "bytes", "sum", "memory of the parameters"),
)
def params(graph: Graph) -> Sequence[Values]:
    """Parameters and buffers, shared storage once; weights that no op reads count in the totals only."""
    return [
        _summed(graph, lambda weight: 0 if weight.is_buffer else weight.tensor.elements),
        _summed(graph, lambda weight: weight.tensor.elements if weight.is_trainable else 0),
        _summed(graph, lambda weight: weight.tensor.elements if weight.is_buffer else 0),
        _summed(graph, lambda weight: 0 if weight.is_buffer else weight.tensor.bytes),
    ]


def _summed(graph: Graph, measure: Callable[[Weight], int]) -> Values:
    owned = [sum(map(measure, graph.owned_weights[op.name])) for op in graph.ops]
    return Values(owned, sum(map(measure, graph.unused_weights)))
