"""thop.profile, 0.1.1: it hooks modules by their exact class and knows no function."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from archprof.conventions import convention
from archprof.conventions._recurrent import recurrent
from archprof.graph import Graph
from archprof.records import Facts, Op


def _conv(op: Op) -> int:
    kernel = op.arguments["weight"].shape[2:]
    channels = op.arguments["input"].shape[1] // op.arguments.get("groups", 1)
    return op.outputs[0].elements * channels * math.prod(kernel)


def _norm(op: Op) -> int:
    return op.outputs[0].elements * (4 if op.arguments.get("weight") is not None else 2)


def _softmax(op: Op) -> int:
    features = op.outputs[0].shape[op.arguments.get("dim", -1)]
    return op.outputs[0].elements // features * (3 * features - 1)


def _adaptive_avg_pool(op: Op) -> int:
    """Return the mean length of a window and 1 an output, rounded as thop does: in floats, and cut."""
    out = op.outputs[0]
    sizes = zip(op.arguments["input"].shape[2:], out.shape[2:], strict=True)
    return int((math.prod(x / y for x, y in sizes) + 1) * out.elements)


def _upsample(op: Op) -> int:
    costs = {"nearest": 1, "linear": 5, "bilinear": 11, "bicubic": 259}
    return costs.get(op.arguments.get("mode", "nearest"), 0) * op.outputs[0].elements


def _recurrent(op: Op) -> int:
    """Return each cell's MACs, sums, biases and products, a step and a sample; a gate is one of 4, 3 or 1."""
    net = recurrent(op)
    total = 0
    for of_input, of_hidden in net.cells:
        hidden = of_hidden.shape[0] // net.gates
        gate = hidden * (of_input.shape[1] + hidden) + hidden + 2 * hidden * net.has_biases
        total += net.gates * gate + (4 * hidden if net.gates > 1 else 0)
    return net.steps * total


HOOKS: Mapping[tuple[str, str], Callable[[Op], int]] = {
    **{(f"Conv{n}d", f"conv{n}d"): _conv for n in (1, 2, 3)},
    **{(f"ConvTranspose{n}d", f"conv_transpose{n}d"): _conv for n in (1, 2, 3)},
    **{(f"BatchNorm{n}d", "batch_norm"): _norm for n in (1, 2, 3)},
    **{(f"InstanceNorm{n}d", "instance_norm"): _norm for n in (1, 2, 3)},
    ("SyncBatchNorm", "batch_norm"): _norm,
    ("LayerNorm", "layer_norm"): _norm,
    ("PReLU", "prelu"): lambda op: op.outputs[0].elements,
    ("Softmax", "softmax"): _softmax,
    **{(f"AvgPool{n}d", f"avg_pool{n}d"): lambda op: op.outputs[0].elements for n in (1, 2, 3)},
    **{(f"AdaptiveAvgPool{n}d", f"adaptive_avg_pool{n}d"): _adaptive_avg_pool for n in (1, 2, 3)},
    ("Linear", "linear"): lambda op: op.outputs[0].elements * op.arguments["weight"].shape[-1],
    **{(name, "interpolate"): _upsample for name in ("Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d")},
    **{("RNN", f"rnn_{name}"): _recurrent for name in ("tanh", "relu")},
    **{("RNNCell", f"rnn_{name}_cell"): _recurrent for name in ("tanh", "relu")},
    ("GRU", "gru"): _recurrent, ("GRUCell", "gru_cell"): _recurrent,
    ("LSTM", "lstm"): _recurrent, ("LSTMCell", "lstm_cell"): _recurrent,
}  # fmt: skip
"""What a hook adds, by the module's class and the function it calls; all other modules are 0."""


@convention(
    "thop",
    {
        "*": "0 for a class of one's own that is called like torch's; a module held by two parents counts for both",
        "lstm": "a packed sequence counts as padded, a projection is left out",
    },
)
def thop(op: Op, facts: Facts, graph: Graph) -> int | None:
    """`MACs` = MACs of torch's own layers without bias, + 4 a norm element, 2 without affine, poolings and softmax by module.

    Transposed convolutions count on the output grid (thop#20). Functions, nn.MultiheadAttention and subclasses are 0,
    and so are ReLU, GELU, SiLU, max pooling and GroupNorm.
    """
    hook = HOOKS.get((op.layer, op.kind))
    return hook(op) if hook else 0
