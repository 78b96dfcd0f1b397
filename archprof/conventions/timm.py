"""timm's tables of results (`gmacs`), which fvcore counts on models whose attention is not fused."""

from __future__ import annotations

from archprof.conventions import convention
from archprof.conventions.fvcore import DIFFERENCES, fvcore
from archprof.graph import Graph
from archprof.records import Facts, Op

ATTENTION = frozenset({"scaled_dot_product_attention", "multi_head_attention_forward"})


@convention(
    "timm",
    {
        "einsum": DIFFERENCES["einsum"],
        "scaled_dot_product_attention": "0 in timm's model cards, which are made with fused attention: see fvcore",
    },
)
def timm(op: Op, facts: Facts, graph: Graph) -> int | None:
    """`GMACs` = fvcore's flops, attention written out: MACs without bias, + 2 a batch-norm element, 5 a layer-norm element."""
    return facts.macs if op.kind in ATTENTION else fvcore(op, facts, graph)
