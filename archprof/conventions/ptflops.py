"""ptflops.get_model_complexity_info, 0.7.5 with its default backend (pytorch): it hooks modules and replaces functions.

A module whose class has a hook and whose forward calls a replaced function counts for both: ReLU, GELU and the poolings
count twice. With `backend_specific_config={"count_functional": False}` it would be once, with the backend `aten` never.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from archprof.conventions import convention
from archprof.conventions._recurrent import recurrent
from archprof.graph import Graph
from archprof.records import Facts, Op


def _read(op: Op) -> int:
    return op.arguments["input"].elements


def _conv(op: Op) -> int:
    """Return kernel x positions of the output, or of the input of a transposed one, and the bias."""
    grid = op.arguments["input"] if "transpose" in op.kind else op.outputs[0]
    positions = grid.shape[0] * math.prod(grid.shape[2:])
    return op.arguments["weight"].elements * positions + _bias(op)


def _linear(op: Op) -> int:
    return op.outputs[0].elements * op.arguments["weight"].shape[-1] + _bias(op)


def _bias(op: Op) -> int:
    return op.outputs[0].elements if op.arguments.get("bias") is not None else 0


def _norm(op: Op) -> int:
    """Return 2 an element with an affine map; a layer norm calls it by another name, and so has 1."""
    return _read(op) * (2 if op.arguments.get("weight") is not None and op.kind != "layer_norm" else 1)


def _recurrent(op: Op) -> int:
    """Return each cell's weights, biases and a few products a hidden unit, a step and a sample."""
    net = recurrent(op)
    total = 0
    for of_input, of_hidden in net.cells:
        rows = of_hidden.shape[0]
        others = {1: 1, 3: 7, 4: 10}[net.gates] * (rows // net.gates)
        total += of_input.elements + of_hidden.elements + others + 2 * rows * net.has_biases
    return net.steps * total


def _attention(op: Op) -> int:
    """Return scale, projections, products and softmax; the functions inside count again where weights are returned."""
    arguments = op.arguments
    query, key, value = (arguments[name] for name in ("query", "key", "value"))
    batch, heads = math.prod(query.shape[1:-1]), arguments["num_heads"]
    (t, s, r), (wide, wide_k, wide_v) = zip(*((x.shape[0], x.shape[-1]) for x in (query, key, value)), strict=True)
    total = t * wide + t * wide * wide + s * wide_k * wide_k + r * wide_v * wide_v
    total += (t + s + r) * wide if arguments.get("in_proj_bias") is not None else 0
    total += heads * (t * s * (wide // heads) + t * s + t * s * (wide_v // heads))
    total += t * wide_v * (wide_v + 1)
    if arguments.get("need_weights", True):
        total += 2 * t * s * wide + heads * t * s
    return batch * total


def _matmul(op: Op) -> int:
    first, second = [op.arguments[name] for name in ("input", "other", "mat2") if name in op.arguments]
    return first.elements * second.shape[-1]


def _added(op: Op) -> int:
    first, second = [op.arguments[name] for name in ("mat1", "batch1", "mat2", "batch2") if name in op.arguments]
    return first.elements * second.shape[-1] + (_read(op) if op.arguments.get("beta", 1) != 0 else 0)


POOLS = {
    f"{name}Pool{n}d": [f"{kind}_pool{n}d{end}" for end in ends]
    for n in (1, 2, 3)
    for name, kind, ends in (
        ("Max", "max", ("", "_with_indices")),
        ("Avg", "avg", ("",)),
        ("AdaptiveMax", "adaptive_max", ("", "_with_indices")),
        ("AdaptiveAvg", "adaptive_avg", ("",)),
    )
}
"""The functions that each pooling layer calls."""

HOOKS: Mapping[tuple[str, str], Callable[[Op], int]] = {
    **{(f"Conv{n}d", f"conv{n}d"): _conv for n in (1, 2, 3)},
    **{(f"ConvTranspose{n}d", f"conv_transpose{n}d"): _conv for n in (1, 2, 3)},
    **{(f"BatchNorm{n}d", "batch_norm"): _norm for n in (1, 2, 3)},
    **{(f"InstanceNorm{n}d", "instance_norm"): _norm for n in (1, 2, 3)},
    ("GroupNorm", "group_norm"): _norm, ("LayerNorm", "layer_norm"): _norm,
    ("Linear", "linear"): _linear,
    ("ReLU", "relu"): _read, ("PReLU", "prelu"): _read, ("ELU", "elu"): _read, ("LeakyReLU", "leaky_relu"): _read,
    ("ReLU6", "hardtanh"): _read, ("GELU", "gelu"): _read,
    **{(layer, kind): _read for layer, kinds in POOLS.items() for kind in kinds},
    ("Upsample", "interpolate"): lambda op: op.outputs[0].elements,
    **{("RNN", f"rnn_{name}"): _recurrent for name in ("tanh", "relu")},
    **{("RNNCell", f"rnn_{name}_cell"): _recurrent for name in ("tanh", "relu")},
    ("GRU", "gru"): _recurrent, ("GRUCell", "gru_cell"): _recurrent,
    ("LSTM", "lstm"): _recurrent, ("LSTMCell", "lstm_cell"): _recurrent,
}  # fmt: skip
"""What a module's hook adds, by its class and the function it calls."""

REPLACED: Mapping[str, Callable[[Op], int]] = {
    **dict.fromkeys(("relu", "prelu", "elu", "relu6", "gelu", "silu", "softmax"), _read),
    **{kind: _read for kinds in POOLS.values() for kind in kinds},
    "interpolate": lambda op: op.outputs[0].elements,
    "matmul": _matmul, "mm": _matmul, "bmm": _matmul, "addmm": _added, "baddbmm": _added,
    "multi_head_attention_forward": _attention,  # by a hook, but only nn.MultiheadAttention calls it
}  # fmt: skip
"""What a call of a replaced function adds, wherever it happens."""


@convention(
    "ptflops",
    {
        "*": "0 for a class of one's own that is called like torch's",
        "relu": "0 where the model holds the function itself (nn.TransformerEncoderLayer), so that it is not replaced",
        "interpolate": "the mode area counts its input too",
        "add": "1 an element where it is written torch.add(x, y) or x.add(y), not x + y; here always 0",
        "mul": "1 an element where it is written torch.mul(x, y) or x.mul(y), not x * y; here always 0",
        "matmul": "0 where it is written a @ b, which is not replaced; here it counts",
        "softmax": "0 where it is written x.softmax(), which is not replaced; here it counts",
        "deform_conv2d": "a convolution and 24 an input element sampled; here 0",
        "multi_head_attention_forward": "where weights are returned, a mask counts 1 an element more",
        "scaled_dot_product_attention": "with timm installed, its Attention counts by a formula, its projections as 0",
        "lstm": "a packed sequence cannot be counted",
    },
)
def ptflops(op: Op, facts: Facts, graph: Graph) -> int | None:
    """`MACs` = MACs, biases, norms (2 an element, LayerNorm 1), activations and poolings (1 an input element, most twice).

    Modules count by their exact class, and functions where they are replaced: F.relu and its kin, poolings, softmax,
    interpolate, matmul, bmm, addmm. F.linear, einsum and fused attention are 0, nn.MultiheadAttention has a formula.
    """
    hook, function = HOOKS.get((op.layer, op.kind)), REPLACED.get(op.kind)
    return (hook(op) if hook else 0) + (function(op) if function else 0)
