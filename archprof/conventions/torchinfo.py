"""torchinfo.summary, 1.8: it looks at the parameters and the output of every module without children."""

from __future__ import annotations

import math

from archprof.conventions import convention
from archprof.graph import Graph
from archprof.records import Facts, Op, Weight


@convention(
    "torchinfo",
    {
        "*": "a weight that its module changes before use (weight standardisation) counts by the module's output",
        "lstm": "a packed sequence counts by rows and features of its data",
    },
)
def torchinfo(op: Op, facts: Facts, graph: Graph) -> int | None:
    """`mult-adds` = for each sample every weight and bias of a leaf module once; of a convolution at each output position.

    So a Linear counts once a sample, however many tokens it sees (torchinfo#77), an Embedding its whole table, and a
    transposed convolution by its output grid. Functions called outside a leaf module, and parameters that are not called
    weight or bias, are 0; so is all of nn.MultiheadAttention, whose one child is never called.
    """
    if not op.layer or op.kind == "multi_head_attention_forward":
        return 0
    return sum(_times(op, weight) * weight.tensor.elements for weight in op.weights if not weight.is_buffer)


def _times(op: Op, weight: Weight) -> int:
    """Return how often a weight counts, after the shape of the output."""
    name, shape = weight.name.rpartition(".")[2], op.outputs[0].shape
    if name in {"weight", "bias"}:
        return math.prod(shape[:1] + shape[2:]) if "Conv" in op.layer else math.prod(shape[:1])
    return math.prod(shape[:2]) if "weight" in name or "bias" in name else 0
