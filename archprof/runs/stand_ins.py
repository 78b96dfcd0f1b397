"""Linear functions with positive weights that read what the op they stand for reads, for the oracle of receptive fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

CHANNELWISE = ("max_pool", "avg_pool", "adaptive_", "interpolate", "center_crop", "crop_like")
"""How kinds begin that do to every channel the same."""


class Thin:
    """One channel for all channels of a tensor: it depends on what any of them does, so that a convolution need read no more.

    Any positive weights have the same gradients that are not zero. Those of a thin convolution are a product, one for each
    input channel x kernel x output channel, and going back through it costs one channel in place of all pairs.
    """

    def __init__(self) -> None:
        """Know no channel yet."""
        self.known: dict[int, tuple[torch.Tensor, int, torch.Tensor]] = {}

    def of(self, tensor: Any) -> torch.Tensor | None:
        """Return a tensor's channel; None where there is none, or where the tensor was written over since."""
        kept = self.known.get(id(tensor))
        return kept[2] if kept and kept[0] is tensor and kept[1] == tensor._version else None  # noqa: SLF001

    def keep(self, tensor: torch.Tensor, channel: torch.Tensor | None) -> None:
        """Remember a tensor's channel."""
        if channel is not None:
            self.known[id(tensor)] = tensor, tensor._version, channel  # noqa: SLF001

    def layer(self, kind: str, func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> torch.Tensor | None:
        """Return what a thin convolution or linear layer makes; None for groups, and for weights that are computed."""
        given = dict(zip(("input", "weight", "bias"), args, strict=False)) | kwargs
        x, weight = given.get("input"), given.get("weight")
        if not isinstance(x, torch.Tensor) or not isinstance(weight, torch.Tensor) or not weight.is_leaf:
            return None
        if kind == "linear":
            found = x.mean(-1, keepdim=True) * weight.sum(1).mean()
            return found.expand(*x.shape[:-1], weight.shape[0]).contiguous()
        if (args[6] if len(args) > 6 else kwargs.get("groups", 1)) != 1:
            return None
        ins, outs = (0, 1) if kind.startswith("conv_transpose") else (1, 0)
        axis = x.ndim - weight.ndim + 1
        rest = {name: value for name, value in kwargs.items() if name not in {"input", "weight", "bias"}}
        one = self.of(x)
        one = x.mean(axis, keepdim=True) if one is None else one
        found = func(one, weight.sum(ins, keepdim=True).mean(outs, keepdim=True), None, *args[3:], **rest)
        sizes = list(found.shape)
        sizes[axis] = weight.shape[outs]
        result = found.expand(sizes).contiguous()
        self.keep(result, found if axis == 1 else None)
        return result

    def joined(self, kind: str, args: Any, kwargs: dict[str, Any]) -> torch.Tensor | None:
        """Return the channel of tensors that are added or put behind each other as channels."""
        tensors = args[0] if kind == "cat" else args
        if kind == "cat" and kwargs.get("dim", args[1] if len(args) > 1 else 0) != 1:
            return None
        parts = [self.of(tensor) for tensor in tensors if isinstance(tensor, torch.Tensor)]
        if (
            len(parts) < 2
            or any(part is None for part in parts)
            or len({part.shape for part in parts if part is not None}) > 1
        ):
            return None
        return sum(part / len(parts) for part in parts if part is not None)  # type: ignore[return-value]


def mixed(kind: str, x: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
    """Return what stands for an op that brings elements together; None where it will do itself."""
    if kind.startswith(("max_pool", "adaptive_max_pool")):
        return _averaged(kind, x, *args, **kwargs)
    if kind in {"softmax", "log_softmax", "softmin", "normalize"}:
        dim = kwargs.get("dim", args[0] if args and kind != "normalize" else (1 if kind == "normalize" else -1))
        return x + x.sum(dim, keepdim=True)
    if kind in {"layer_norm", "rms_norm"}:
        shape = kwargs.get("normalized_shape", args[0] if args else ())
        return x + x.mean(tuple(range(-len(shape), 0)), keepdim=True)
    if kind == "instance_norm" and not kwargs.get("use_input_stats", args[4] if len(args) > 4 else True):
        return None
    if kind in {"group_norm", "instance_norm"}:
        groups = kwargs.get("num_groups", args[0] if args and kind == "group_norm" else x.shape[1])
        parts = x.reshape(x.shape[0], groups, -1)
        return (parts + parts.mean(-1, keepdim=True)).reshape(x.shape)
    if kind == "scaled_dot_product_attention":
        return _attended(x, *args, **kwargs)
    return None


def _averaged(kind: str, x: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
    """Return the average over the windows of a max-pooling."""
    count = int(kind.partition("pool")[2][0])
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
    names = ("output_size", "return_indices") if kind.startswith("adaptive") else names
    asked = {**dict(zip(names, args, strict=False)), **{k: v for k, v in kwargs.items() if k in names}}
    if kind.startswith("adaptive"):
        found = getattr(functional, f"adaptive_avg_pool{count}d")(x, asked["output_size"])
    elif asked.get("dilation", 1) in {1, (1,) * count}:
        stride = asked.get("stride") or asked["kernel_size"]
        more = {"ceil_mode": asked.get("ceil_mode", False)}
        found = getattr(functional, f"avg_pool{count}d")(
            x, asked["kernel_size"], stride, asked.get("padding", 0), **more
        )
    else:
        kernel = asked["kernel_size"]
        sizes = (kernel,) * count if isinstance(kernel, int) else tuple(kernel)
        ones = torch.ones((x.shape[1], 1, *sizes), dtype=x.dtype)
        settings = {name: asked.get(name, 1 if name == "dilation" else 0) for name in ("padding", "dilation")}
        conv = getattr(functional, f"conv{count}d")
        found = conv(x, ones, stride=asked.get("stride") or kernel, groups=x.shape[1], **settings)
    has_indices = kind.endswith("indices") or asked.get("return_indices")
    return (found, torch.zeros(found.shape, dtype=torch.int64)) if has_indices else found


def _attended(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    """Return attention without a softmax: products of positive numbers."""
    if query.ndim > 2 and key.shape[-3] != query.shape[-3]:
        key, value = (t.repeat_interleave(query.shape[-3] // t.shape[-3], -3) for t in (key, value))
    scores = query @ key.transpose(-1, -2)
    is_causal = kwargs.get("is_causal", args[2] if len(args) > 2 else False)
    return tamed((scores.tril() if is_causal else scores) @ value)


def tamed(result: torch.Tensor) -> torch.Tensor:
    """Return a product of activations, of size 1 on average: else it grows from layer to layer beyond all numbers."""
    return result / result.detach().mean().clamp_min(1e-9)
