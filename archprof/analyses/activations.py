"""The size of what each op puts out; views share their input's memory and count as nothing."""

from __future__ import annotations

from collections.abc import Sequence

from archprof.analyses import Values, analysis
from archprof.graph import Graph
from archprof.records import Column, Facts


@analysis(
    Column("activation_elements", "count", "sum", "scalars of the op's outputs; views add none"),
    Column("activation_bytes", "bytes", "sum", "memory of the op's outputs, all kept; views add none"),
)
def activations(graph: Graph) -> Sequence[Values]:
    """Outputs of every op, in elements and bytes, without any reuse of memory."""
    elements, sizes = [], []
    for op in graph.ops:
        facts = graph.facts[op.name]
        is_view = isinstance(facts, Facts) and facts.is_view
        elements.append(0 if is_view else sum(tensor.elements for tensor in op.outputs))
        sizes.append(0 if is_view else sum(tensor.bytes for tensor in op.outputs))
    return [Values(elements), Values(sizes)]
