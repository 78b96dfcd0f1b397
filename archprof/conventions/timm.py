"""timm's tables of results and model cards, which fvcore counts."""

from __future__ import annotations

from archprof.conventions import convention
from archprof.conventions.fvcore import DIFFERENCES, fvcore
from archprof.graph import Graph
from archprof.records import Facts, Op


@convention("timm", DIFFERENCES)
def timm(op: Op, facts: Facts, graph: Graph) -> int | None:
    """`GMACs` = fvcore's flops: MACs without bias, and norms; since timm fuses attention (0.9), its products are 0."""
    return fvcore(op, facts, graph)
