"""The words of a diagram: what a box says about its layers, and how names, shapes and ranges of copies are written.

It returns plain text; escaping is the business of `dot`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archprof.records import Op, Tensor
from archprof.renderers.diagram.alike import arrows
from archprof.renderers.diagram.fuse import ACTIVATIONS, CONCATS, JOINS, NORMS, Box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archprof.graph import Graph

LONGEST = 44
SHORT = {
    "batch_norm": "BN", "layer_norm": "LayerNorm", "group_norm": "GroupNorm", "instance_norm": "InstanceNorm",
    "rms_norm": "RMSNorm", "local_response_norm": "LRN", "relu": "ReLU", "relu_": "ReLU", "relu6": "ReLU6",
    "gelu": "GELU", "silu": "SiLU", "elu": "ELU", "selu": "SELU", "softmax": "Softmax", "log_softmax": "LogSoftmax",
    "sigmoid": "Sigmoid", "tanh": "Tanh", "dropout": "Dropout", "flatten": "Flatten", "conv1d": "Conv1d",
    "conv2d": "Conv2d", "conv3d": "Conv3d", "linear": "Linear", "max_pool2d": "MaxPool2d", "avg_pool2d": "AvgPool2d",
    "adaptive_avg_pool2d": "AdaptiveAvgPool2d", "adaptive_max_pool2d": "AdaptiveMaxPool2d", "embedding": "Embedding",
    "scaled_dot_product_attention": "Attention", "multi_head_attention_forward": "MultiheadAttention",
}  # fmt: skip
"""How a kind is called where it is no layer of its own, and the usual short form of some layers."""


def box_text(box: Box) -> str:
    """Return what a box is, `Conv2d 3×3/2 + BN + ReLU`; a follower that comes twice in a row is said once."""
    words = [_op_text(op) for op in box.spoken]
    return " + ".join(word for number, word in enumerate(words) if number == 0 or word != words[number - 1])


def join_text(box: Box) -> str | None:
    """Return the sign of a box that only joins tensors, `+` or `concat`; None for any other box."""
    kind = box.spoken[0].kind
    if len(box.spoken) > 1 or len(box.spoken[0].inputs) < 2:
        return None
    return JOINS.get(kind) or ("concat" if kind in CONCATS else None)


def relative(path: str, within: str) -> str:
    """Return a path as it is called inside the group `within`; a mere number keeps the name before it.

    An op may have the path of its group: a lone layer has that of its step, and functions stand below it.

    >>> relative("layer1.0.conv1", "layer1.0"), relative("conv1", ""), relative("net.layer1.0", "net.layer1")
    ('conv1', 'conv1', 'layer1.0')
    >>> relative("attention.q_proj", "attention.q_proj")
    'q_proj'
    """
    if path == within:
        return path.rpartition(".")[2]
    name = path.removeprefix(f"{within}.") if within else path
    return f"{within.rpartition('.')[2]}.{name}" if within and name[:1].isdigit() else name


def span_text(paths: tuple[str, str], within: str) -> str:
    """Return the name of a piece, or the first and the last of the copies it stands for.

    >>> span_text(("layer3.1", "layer3.5"), ""), span_text(("layer3.1", "layer3.5"), "layer3")
    ('layer3.1…5', 'layer3.1…5')
    """
    first, last = (relative(path, within) for path in paths)
    if first == last:
        return shorten(first)
    stem = first.rstrip("0123456789")
    number = last.removeprefix(stem)
    return shorten(f"{first}…{number if stem and number.isdigit() else last}")


def batch_of(graph: Graph) -> int | None:
    """Return the size that the first axes of all inputs share, None where they differ."""
    sizes = {op.outputs[0].shape[:1] for op in graph.inputs}
    return sizes.pop()[0] if len(sizes) == 1 and () not in sizes else None


def shape_text(tensor: Tensor, batch: int | None) -> str:
    """Return a shape, without its first axis where that is the batch.

    >>> shape_text(Tensor((1, 64, 56, 56)), 1), shape_text(Tensor((12, 197, 64)), 1), shape_text(Tensor(()), 1)
    ('64×56×56', '12×197×64', 'scalar')
    """
    shape = tensor.shape
    return "×".join(map(str, shape[1:] if shape[1:] and shape[0] == batch else shape)) or "scalar"


def shapes_text(tensors: Sequence[Tensor], batch: int | None) -> str:
    """Return the shapes of one tensor in all copies, `64→96→…→256×56×56`."""
    shapes = [shape_text(tensor, batch).split("×") for tensor in tensors]
    return "×".join(map(arrows, zip(*shapes, strict=True))) if len(set(map(len, shapes))) == 1 else "×".join(shapes[0])


def shorten(text: str, longest: int = LONGEST) -> str:
    """Return `text`, its middle left out where it is longer than `longest`."""
    half = (longest - 1) // 2
    return text if len(text) <= longest else f"{text[:half]}…{text[-half:]}"


def _op_text(op: Op) -> str:
    follows = op.kind in NORMS | ACTIVATIONS or op.kind in JOINS
    name = SHORT.get(op.kind, op.layer or op.kind) if follows or not op.layer else op.layer
    return shorten(f"{name} {_settings(op)}".strip())


def _settings(op: Op) -> str:
    """Return the kernel and stride, or the width, that tell one such layer from the next: `3×3/2`, `1000`."""
    given = op.arguments
    weight = given.get("weight")
    if op.kind.startswith("conv") and isinstance(weight, Tensor):
        kernel = weight.shape[2:]
        text = _sizes(kernel, len(kernel)) + _stride(given.get("stride", 1), len(kernel))
        dilation = _sizes(given.get("dilation", 1), len(kernel))
        text += f" d{dilation.split('×')[0]}" if set(dilation.split("×")) != {"1"} else ""
        groups = given.get("groups", 1)
        depthwise = groups == weight.shape[0] and weight.shape[1] == 1 and groups > 1
        return text + (" depthwise" if depthwise else f" g{groups}" if groups != 1 else "")
    if op.kind == "linear" and isinstance(weight, Tensor):
        return str(weight.shape[0])
    if "adaptive" in op.kind and "output_size" in given:
        axes = int(op.kind[-2]) if op.kind[-2:-1].isdigit() else 1
        return f"→ {_sizes(given['output_size'], axes)}"
    if "pool" in op.kind and "kernel_size" in given:
        axes = int(op.kind[-2]) if op.kind[-2:-1].isdigit() else 1
        stride = given.get("stride") or given["kernel_size"]
        return _sizes(given["kernel_size"], axes) + _stride(stride, axes)
    return ""


def _sizes(value: object, axes: int) -> str:
    sizes: Sequence[object] = list(value) if isinstance(value, (list, tuple)) else [value]
    return "×".join(map(str, list(sizes) * axes if len(sizes) == 1 else sizes))


def _stride(value: object, axes: int) -> str:
    sizes = _sizes(value, axes).split("×")
    if set(sizes) == {"1"}:
        return ""
    return "/" + (sizes[0] if len(set(sizes)) == 1 else "×".join(sizes))
