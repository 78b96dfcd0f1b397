"""Ops without arithmetic: views, which move nothing, and copies, which move bytes; dropout and conversions with them.

Whether a reshape can be a view depends on strides, which archprof does not follow: it is taken to be one, as it is for
a contiguous tensor. `contiguous` is taken to copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archprof.ops import rule, tensors
from archprof.ops.shapes import Axes, axes, chosen, fit, named, promoted, same
from archprof.records import ITEM_BYTES, Facts, Tensor


@rule(
    "flatten", "view", "reshape", "ravel", "unflatten", "view_as", "reshape_as", "transpose", "t", "permute", "adjoint",
    "swapaxes", "swapdims", "movedim", "moveaxis", "squeeze", "unsqueeze", "expand", "expand_as", "broadcast_to",
    "narrow", "select", "diagonal", "chunk", "split", "split_with_sizes", "tensor_split", "hsplit", "vsplit", "dsplit",
    "unbind", "detach", "as_strided", "view_as_real", "view_as_complex", "real", "imag", "conj", "requires_grad",
    "atleast_1d", "atleast_2d", "atleast_3d", "broadcast_tensors", "meshgrid", "get", "resolve_conj", "resolve_neg",
    "unsafe_chunk", "unsafe_split", "unsafe_split_with_sizes",
)  # fmt: skip
def view(out: Tensor | tuple[Tensor, ...], *inputs: Any, **settings: Any) -> Facts:
    """[*] -> [+]

    FLOPs: 0, a view; a reshape as of a contiguous tensor.
    """
    return Facts(is_view=True)


@rule(
    "repeat", "tile", "repeat_interleave", "flip", "fliplr", "flipud", "rot90", "diag", "diag_embed", "diagflat",
    "block_diag", "masked_select", "hstack", "vstack", "dstack", "column_stack", "take", "pack_padded_sequence",
    "pad_packed_sequence", "row_stack", "cartesian_prod", "combinations", "fft_fftshift", "fft_ifftshift", "reversed",
    "narrow_copy", "expand_copy", "deepcopy", "pad_sequence",
)  # fmt: skip
def move(out: Tensor | tuple[Tensor, ...], *inputs: Any, **settings: Any) -> Facts:
    """[*] -> [+]

    FLOPs: 0, but the elements move.
    """
    return Facts()


@rule("contiguous", "clone", "triu", "tril", "roll", shape=same)
def copy(out: Tensor, input: Tensor, *settings: Any, **options: Any) -> Facts:
    """[*] -> [*]

    FLOPs: 0, but the elements move.
    """
    return Facts()


@rule("copy", shape=same)
def copy_into(out: Tensor, input: Tensor, src: Tensor) -> Facts:
    """[*], [*] -> [*]

    FLOPs: 0; the second tensor is read and written over the first.
    """
    return Facts(bytes_read=src.bytes)


def _cat_shape(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    parts = [tensor for tensor in tensors if tensor.shape != (0,)] or list(tensors)
    head = parts[0].shape
    (axis,) = chosen(dim, len(head))
    for part in parts[1:]:
        fit(len(part.shape) == len(head), "the tensors differ in their number of axes")
        fit(all(a == b for i, (a, b) in enumerate(zip(part.shape, head, strict=True)) if i != axis), "sizes differ")
    total = sum(part.shape[axis] for part in parts)
    return Tensor((*head[:axis], total, *head[axis + 1 :]), promoted(*tensors))


@rule("cat", "concat", "concatenate", shape=_cat_shape)
def cat(out: Tensor, tensors: Sequence[Tensor], dim: int = 0) -> Facts:
    """[*, a], [*, b], ... -> [*, a + b + ...]

    FLOPs: 0, but the elements move.
    """
    return Facts()


def _stack_shape(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    shape = tensors[0].shape
    fit(all(tensor.shape == shape for tensor in tensors), "the shapes differ")
    (axis,) = chosen(dim, len(shape) + 1)
    return Tensor((*shape[:axis], len(tensors), *shape[axis:]), promoted(*tensors))


@rule("stack", shape=_stack_shape)
def stack(out: Tensor, tensors: Sequence[Tensor], dim: int = 0) -> Facts:
    """[*], [*], ... k times -> [k, *]

    FLOPs: 0, but the elements move.
    """
    return Facts()


def _pad_shape(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    fit(len(pad) % 2 == 0 and len(pad) <= 2 * len(input.shape), "pad has the wrong length")
    size = list(input.shape)
    for i in range(len(pad) // 2):
        size[-1 - i] += pad[2 * i] + pad[2 * i + 1]
    fit(min(size, default=1) >= 0, "more is cut off than there is")
    return Tensor(tuple(size), input.dtype)


@rule("pad", "constant_pad_nd", shape=_pad_shape)
def pad(out: Tensor, input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Facts:
    """[*x] -> [*y]

    FLOPs: 0, but the elements move.
    """
    return Facts()


def _pad_channels_shape(input: Tensor, channels: int, stride: int = 1) -> Tensor:
    n, c, *size = input.shape
    fit(channels >= c, f"{c} channels cannot be padded to {channels}")
    return Tensor((n, channels, *(-(-x // stride) for x in size)), input.dtype)


@rule("pad_channels", shape=_pad_channels_shape)
def pad_channels(out: Tensor, input: Tensor, channels: int, stride: int = 1) -> Facts:
    """[n, c, *x] -> [n, m, *x/stride]

    FLOPs: 0, but the elements move: every stride-th pixel, then zero maps (He et al. 2015, option A).
    """
    kept = input.shape[1] * (out.elements // max(1, out.shape[1]))
    return Facts(bytes_read=kept * ITEM_BYTES[input.dtype])


def _center_crop_shape(input: Tensor, size: Axes) -> Tensor:
    wanted = axes(size, 2)
    fit(wanted[0] <= input.shape[-2] and wanted[1] <= input.shape[-1], "the crop is larger than the input")
    return Tensor((*input.shape[:-2], *wanted), input.dtype)


@rule("center_crop", shape=_center_crop_shape)
def center_crop(out: Tensor, input: Tensor, size: Axes) -> Facts:
    """[n, c, *x] -> [n, c, *y]

    FLOPs: 0, a view.
    """
    return Facts(is_view=True)


def _crop_like_shape(input: Tensor, reference: Tensor) -> Tensor:
    sizes = zip(input.shape[2:], reference.shape[2:], strict=True)
    fit(all(x >= y for x, y in sizes), "the crop is larger than the input")
    return Tensor(input.shape[:2] + reference.shape[2:], input.dtype)


@rule("crop_like", shape=_crop_like_shape)
def crop_like(out: Tensor, input: Tensor, reference: Tensor) -> Facts:
    """[n, c, *x], [n, m, *y] -> [n, c, *y]

    FLOPs: 0, a view; the second input gives only its size.
    """
    return Facts(is_view=True)


@rule(
    "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout", "feature_dropout",
    shape=same,
)  # fmt: skip
def dropout(out: Tensor, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Facts:
    """[*] -> [*]

    FLOPs: 2 per element in training (mask, scale); in evaluation 0, the input itself. Random numbers are not counted.
    """
    return Facts(flops=2 * out.elements) if training and p else Facts(is_view=True)


def _wanted(input: Tensor, settings: Sequence[Any], options: dict[str, Any]) -> str:
    """Return the dtype `to` and `type` are asked for, wherever it stands; a tensor stands for its own."""
    for value in (*settings, *options.values()):
        if isinstance(value, Tensor):
            return value.dtype
        if named(value) in ITEM_BYTES:
            return named(value)
    return input.dtype


def _to_shape(input: Tensor, *settings: Any, **options: Any) -> Tensor:
    return Tensor(input.shape, _wanted(input, settings, options))


@rule("to", "type_as", "cpu", shape=_to_shape)
def to(out: Tensor, input: Tensor, *settings: Any, **options: Any) -> Facts:
    """[*] -> [*], another dtype

    FLOPs: 0; the elements move if the dtype changes, else it is a view. A change of device is not counted.
    """
    return _converted(out, input)


@rule("type")
def of_type(out: Tensor, input: Tensor, *settings: Any, **options: Any) -> Facts:
    """[*] -> [*], another dtype

    FLOPs: 0; the elements move if the dtype changes, else it is a view.
    """
    return _converted(out, input)


def _converted(out: Tensor, input: Tensor) -> Facts:
    is_same = isinstance(out, Tensor) and out.dtype == input.dtype
    return Facts(is_view=True) if is_same else Facts(bytes_read=input.bytes)


def _register_conversion(kind: str, dtype: str) -> None:
    """File a method named after a dtype."""

    @rule(kind, shape=lambda input: Tensor(input.shape, dtype))
    def convert(out: Tensor, input: Tensor) -> Facts:
        """[*] -> [*], another dtype

        FLOPs: 0; the elements move if the dtype changes, else it is a view.
        """
        return _converted(out, input)


for _kind, _dtype in {
    "float": "float32", "half": "float16", "bfloat16": "bfloat16", "double": "float64", "int": "int32", "long": "int64",
    "short": "int16", "char": "int8", "byte": "uint8", "bool": "bool", "cfloat": "complex64", "cdouble": "complex128",
}.items():  # fmt: skip
    _register_conversion(_kind, _dtype)


@rule(
    "zeros", "ones", "full", "empty", "eye", "arange", "linspace", "logspace", "rand", "randn", "randint",
    "randperm", "tensor", "as_tensor", "asarray", "scalar_tensor", "tril_indices", "triu_indices",
    "hann_window", "hamming_window", "zeros_like", "ones_like", "full_like", "empty_like", "rand_like",
    "randn_like", "randint_like", "new_zeros", "new_ones", "new_full", "new_empty", "new_tensor", "uniform", "normal",
    "bernoulli", "random", "exponential", "zero", "fill", "multinomial", "poisson", "log_normal", "cauchy",
    "empty_strided", "new_empty_strided", "empty_permuted", "bartlett_window", "blackman_window",
    "kaiser_window", "fft_fftfreq", "fft_rfftfreq", "new", "binomial",
)  # fmt: skip
def make(out: Tensor | tuple[Tensor, ...], *settings: Any, **options: Any) -> Facts:
    """-> [*]

    FLOPs: 0; the elements are written, nothing is read. Making random numbers is not counted.
    """
    return Facts(bytes_read=0, bytes_written=sum(tensor.bytes for tensor in tensors(out)))
