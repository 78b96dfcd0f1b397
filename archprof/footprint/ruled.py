"""What ATen operations on meta make, by archprof's own rules: torch's kernels there are Python, and import much."""

from __future__ import annotations

import functools
import gc
import importlib
from collections.abc import Callable
from typing import Any

import torch

from archprof import aten
from archprof.meta import MetaMode, described, made
from archprof.ops import Shapes
from archprof.records import Tensor

aten_ops = torch.ops.aten
CONTIGUOUS = frozenset({
    aten_ops.mm.default, aten_ops.addmm.default, aten_ops.bmm.default, aten_ops.baddbmm.default,
    aten_ops.convolution.default,
})  # fmt: skip
"""They make a contiguous result of whatever they are given; for others that is known of contiguous tensors alone."""
SHAPING = ("memory_format", "layout", "device", "pin_memory")


def result_of(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], given: list[torch.Tensor]) -> Any:
    """Return new tensors as the operation would, or None where only torch knows them."""
    if any(kwargs.get(name) is not None for name in SHAPING):
        return None
    if func not in CONTIGUOUS and not all(tensor.is_contiguous() for tensor in given):
        return None
    shapes = _shapes(func, args, kwargs)
    more = MORE.get(func)
    if more is not None and isinstance(shapes, Tensor):
        shapes = shapes, *more(shapes, *described(args))
    expected = len(func._schema.returns)  # noqa: SLF001 - what torch itself looks at
    if shapes is None or expected != (len(shapes) if isinstance(shapes, tuple) else 1):
        return None
    return made(shapes)


def keeps_shape(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Tell whether it is known that an in-place operation can be carried out as it is."""
    shapes = _shapes(func, args, kwargs)
    return isinstance(shapes, Tensor) and shapes.shape == tuple(args[0].shape)


def _shapes(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Shapes | None:
    if func.namespace != "aten" or aten.kind_of(func) in ASKS_TORCH:
        return None
    try:
        _, rule, arguments = MetaMode.bound(func, described(args), described(kwargs))
    except (KeyError, TypeError):  # a type of numbers without a name
        return None
    if rule is None or "reduction" in arguments:  # ATen gives it as a number
        return None
    return rule.output(arguments)


ASKS_TORCH = frozenset({"to", "clone", "constant_pad_nd"})
"""Their layout is that of what they copy or crop."""
NATIVE = frozenset({
    "_to_copy", "_unsafe_view", "alias", "clone", "constant_pad_nd", "copy_", "detach", "empty", "expand", "fill_", "full",
    "new_zeros", "ones", "permute", "scalar_tensor", "select", "slice", "split", "squeeze", "t", "transpose", "unsqueeze",
    "view", "zero_", "zeros",
})  # fmt: skip
"""What torch runs on meta without any Python, of what is not ruled here."""


Made = tuple[Tensor, ...]


def _statistics(out: Tensor, *rest: Any) -> Made:
    """Mean and root of a batch; in evaluation there are none."""
    kept = Tensor((out.shape[1],), out.dtype) if rest[5] else Tensor((0,))
    return kept, kept


def _row_statistics(out: Tensor, _: Tensor, normalized: tuple[int, ...], *rest: Any) -> Made:  # noqa: ARG001
    """Mean and root of every row."""
    rows = len(out.shape) - len(normalized)
    kept = Tensor(out.shape[:rows] + (1,) * len(normalized), out.dtype)
    return kept, kept


def _indices(out: Tensor, *_: Any) -> Made:
    """Where each maximum was."""
    return (Tensor(out.shape, "int64"),)


def _mask(out: Tensor, *_: Any) -> Made:
    """What was kept."""
    return (Tensor(out.shape, "bool"),)


MORE: dict[Any, Callable[..., Made]] = {
    aten_ops.native_batch_norm.default: _statistics,
    aten_ops.native_layer_norm.default: _row_statistics,
    aten_ops.max_pool2d_with_indices.default: _indices,
    aten_ops.max_pool3d_with_indices.default: _indices,
    aten_ops.native_dropout.default: _mask,
}
"""What they make beyond what has a rule, for the backward pass, from that and their arguments."""


def run(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Have torch run an operation; what its kernel imports is imported first, or it would keep the tensors of its frames."""
    if func.overloadpacket.__name__ not in NATIVE:
        kernels_imported()
    return func(*args, **kwargs)


@functools.cache
def kernels_imported() -> None:
    """Import all that torch's kernels on meta import when they first run, and drop the frames that this leaves in cycles."""
    torch.mm(*[torch.empty(1, 1, device="meta")] * 2)
    importlib.import_module("torch._dynamo")
    gc.collect()
