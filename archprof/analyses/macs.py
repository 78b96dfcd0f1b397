"""What each op computes and moves, as its rule says; None where no rule is known."""

from __future__ import annotations

from collections.abc import Sequence

from archprof.analyses import Values, analysis
from archprof.graph import Graph
from archprof.records import Column, Facts


@analysis(
    Column(
        "macs",
        "count",
        "sum",
        "multiply-accumulates of contractions (convolution, linear, matmul, attention, recurrent)",
    ),
    Column("effective_macs", "count", "sum", "multiply-accumulates that masks and windows leave"),
    Column("flops", "count", "sum", "2 x MACs and the other arithmetic (bias, norms, activations, pooling)"),
    Column("bytes_read", "bytes", "sum", "ideal traffic: every input and weight read once an op"),
    Column("bytes_written", "bytes", "sum", "ideal traffic: every output written once; a view moves nothing"),
)
def macs(graph: Graph) -> Sequence[Values]:
    """Multiply-accumulates, FLOPs and ideal memory traffic."""
    names = ("macs", "effective_macs", "flops", "bytes_read", "bytes_written")
    found = [graph.facts[op.name] for op in graph.ops]
    return [Values([getattr(facts, name) if isinstance(facts, Facts) else None for facts in found]) for name in names]
