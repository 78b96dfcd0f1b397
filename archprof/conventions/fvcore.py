"""fvcore.nn.FlopCountAnalysis, 0.1.5: it looks at the functions of a traced module."""

from __future__ import annotations

from archprof.conventions import convention
from archprof.graph import Graph
from archprof.records import Facts, Op

CONTRACTIONS = frozenset({
    "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "linear", "bmm", "mm",
    "addmm", "rnn_tanh_cell", "rnn_relu_cell", "gru_cell", "lstm_cell",
})  # fmt: skip
NORMS = frozenset({"layer_norm", "group_norm", "instance_norm"})

DIFFERENCES = {
    "einsum": "three operands and more are contracted in the best order, here from the left",
    "multi_head_attention_forward": "less under torch.no_grad(), where PyTorch takes its fast path",
    "scaled_dot_product_attention": "0 by rule; written out as two products it counts",
}
"""Where fvcore's own total may be another."""


@convention("fvcore", DIFFERENCES)
def fvcore(op: Op, facts: Facts, graph: Graph) -> int | None:
    """`flops` = MACs without bias, + 2 a batch-norm element, 5 a layer- or group-norm element; fused attention is 0.

    It has a handle for each function it knows and leaves all others out: scaled_dot_product_attention, recurrent nets,
    baddbmm, activations, element-wise arithmetic and most poolings are 0.
    """
    arguments, out = op.arguments, op.outputs[0]
    if op.kind in CONTRACTIONS:
        return 0 if isinstance(arguments.get("padding"), str) else facts.macs  # "same" is a function without a handle
    if op.kind == "matmul":
        left, right = arguments["input"], arguments["other"]
        return left.elements * right.shape[-1] if len(right.shape) > 1 else facts.macs
    if op.kind == "rmatmul":
        return arguments["other"].elements * arguments["input"].shape[-1]
    if op.kind == "einsum":
        return _einsum(op, facts)
    if op.kind == "multi_head_attention_forward":
        return _attention(op, facts)
    if op.kind == "batch_norm":
        scale = arguments.get("weight") is not None
        return out.elements * ((4 + scale) if arguments.get("training") else (1 + scale))
    if op.kind in NORMS:
        return out.elements * (4 + (arguments.get("weight") is not None))
    if op.kind == "adaptive_avg_pool2d":
        return arguments["input"].elements
    if op.kind == "interpolate":
        return _interpolate(op)
    return 4 * out.elements if op.kind == "grid_sample" else 0


def _attention(op: Op, facts: Facts) -> int:
    """Return the projections, and the two products where weights are returned, since then they are no fused attention."""
    arguments = op.arguments
    query = arguments["query"]
    keys = arguments["key"].shape[0] + (arguments.get("bias_k") is not None) + bool(arguments.get("add_zero_attn"))
    product = query.elements * keys
    if not arguments.get("need_weights", True):
        return facts.macs - 2 * product
    masked = arguments.get("attn_mask") is not None or arguments.get("key_padding_mask") is not None
    return facts.macs - product * masked  # with a mask the scores come from baddbmm, which has no handle


def _einsum(op: Op, facts: Facts) -> int:
    """Return the MACs of a plain batched product; else half the FLOPs as numpy prints them, which is in four digits."""
    equation = str(op.arguments["equation"]).replace(" ", "")
    letters = dict.fromkeys(letter for letter in equation if letter.isalpha())
    plain = equation.translate(
        {ord(letter): "abcd"[i] for i, letter in enumerate(letters)} if len(letters) == 4 else {}
    )
    if plain in {"abc,abd->acd", "abc,adc->adb"}:
        return facts.macs
    read, flops = (*op.inputs, *(weight.tensor for weight in op.weights)), facts.flops
    if len(read) == 1:  # numpy counts what is moved, and what is summed twice
        flops = read[0].elements * (1 + (op.outputs[0].elements < read[0].elements))
    return int(float(f"{flops + 1:.3e}") / 2)  # numpy adds one


def _interpolate(op: Op) -> int:
    """Return 1 an element for nearest, 4 for bilinear, in two dimensions; area is an adaptive pooling."""
    tensor, out, mode = op.arguments["input"], op.outputs[0], op.arguments.get("mode", "nearest")
    if len(tensor.shape) != 4 or op.arguments.get("antialias"):
        return 0
    if mode == "area":
        return tensor.elements
    return {"nearest": 1, "bilinear": 4}.get(mode, 0) * out.elements
