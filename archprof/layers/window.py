"""Layers that slide a window: convolutions, transposed convolutions and pooling, for one to three spatial axes.

Names and argument order are torch.nn's, without `in_channels`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, overload

from torch import nn

from archprof.layers import Built, Count, ShapeError, Size, layer
from archprof.ops.window import axes, conv_padding, slid
from archprof.records import Tensor, Window

Sides = Size | Literal["same", "valid"]
AXES = {1: "length", 2: "height x width", 3: "depth x height x width"}


def spatial(x: Tensor, dims: int, name: str) -> None:
    """Raise ShapeError unless `x` is a batch of maps with `dims` spatial axes."""
    if len(x.shape) != dims + 2:
        raise ShapeError(f"{name} needs channels x {AXES[dims]}, and gets {inside(x)}")


def inside(x: Tensor) -> str:
    """Return the shape without the batch, as the spec writes it."""
    return str(list(x.shape[1:]))


def axis_of(x: Tensor, dim: int) -> int:
    """Return the place of an axis, counted from the front; raise ShapeError where there is none."""
    rank = len(x.shape)
    if not -rank <= dim < rank:
        raise ShapeError(f"there is no axis {dim}: the tensor has {rank} (0 is the batch), {inside(x)}")
    return dim % rank


@overload
def tupled(value: Size) -> int | tuple[int, ...]: ...
@overload
def tupled(value: str) -> str: ...
@overload
def tupled(value: None) -> None: ...
def tupled(value: Size | str | None) -> int | str | tuple[int, ...] | None:
    """Return a list from a spec as the tuple torch wants."""
    return tuple(value) if isinstance(value, list) else value


def check_sizes(dims: int, name: str, **settings: Sides) -> None:
    """Raise ShapeError where a window's setting has not one number an axis, or one that is too small."""
    for label, value in settings.items():
        if isinstance(value, list) and len(value) not in {1, dims}:
            raise ShapeError(f"{name} has {dims} spatial axes, and {label} has {len(value)} numbers")
        smallest = 0 if label.endswith("padding") else 1
        if not isinstance(value, str) and any(v < smallest for v in axes(tupled(value), dims)):
            raise ShapeError(f"{label} must be {smallest} or more, not {value}")


def check_window(
    x: Tensor, name: str, kernel: Size, stride: Size, padding: Sides, dilation: Size, *, ceil: bool = False
) -> None:
    """Raise ShapeError where the window is larger than the padded input or its sizes make no sense."""
    dims = len(x.shape) - 2
    check_sizes(dims, name, kernel_size=kernel, stride=stride, padding=padding, dilation=dilation)
    sizes, spread = axes(tupled(kernel), dims), axes(tupled(dilation), dims)
    window = Window(sizes, axes(tupled(stride), dims), conv_padding(sizes, tupled(padding), spread), spread)
    for length, reach, out in zip(x.shape[2:], _reach(window), slid(x.shape[2:], window, ceil=ceil), strict=True):
        if out < 1:
            raise ShapeError(f"a window of {reach} does not fit an input of {length} with this padding ({inside(x)})")


def _reach(window: Window) -> list[int]:
    return [d * (k - 1) + 1 for k, d in zip(window.kernel, window.dilation, strict=True)]


def check_groups(x: Tensor, out_channels: int, groups: int) -> None:
    """Raise ShapeError unless both sides divide into the groups."""
    if out_channels < 1 or groups < 1:
        raise ShapeError("out_channels and groups must be 1 or more")
    for side, channels in (("input", x.shape[1]), ("output", out_channels)):
        if channels % groups:
            raise ShapeError(f"{channels} {side} channels do not divide into {groups} groups")


def named(function: Callable[..., Built], name: str, doc: str) -> Callable[..., Built]:
    """Give one of several builders made alike its own name and docstring."""
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


def convolution(dims: int) -> Callable[..., Built]:
    """Return the builder of Conv1d, Conv2d or Conv3d."""
    name = f"Conv{dims}d"

    def build(x: Tensor, /, out_channels: Count, kernel_size: Size, stride: Size = 1, padding: Sides = 0,
              dilation: Size = 1, groups: Count = 1, bias: bool = True,
              padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros") -> Built:  # fmt: skip
        spatial(x, dims, name)
        check_groups(x, out_channels, groups)
        if padding == "same" and any(s != 1 for s in axes(tupled(stride), dims)):
            raise ShapeError("padding 'same' needs stride 1; write the padding as a number")
        check_window(x, name, kernel_size, stride, padding, dilation)
        sizes = (tupled(kernel_size), tupled(stride), tupled(padding), tupled(dilation))
        return getattr(nn, name)(x.shape[1], out_channels, *sizes, groups, bias, padding_mode)

    return named(build, name, f"Convolution over {AXES[dims]}.")


def transposed_convolution(dims: int) -> Callable[..., Built]:
    """Return the builder of ConvTranspose1d, 2d or 3d."""
    name = f"ConvTranspose{dims}d"

    def build(x: Tensor, /, out_channels: Count, kernel_size: Size, stride: Size = 1, padding: Size = 0,
              output_padding: Size = 0, groups: Count = 1, bias: bool = True, dilation: Size = 1) -> Built:  # fmt: skip
        spatial(x, dims, name)
        check_groups(x, out_channels, groups)
        check_sizes(
            dims, name, kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation,
            output_padding=output_padding,
        )  # fmt: skip
        steps = zip(*(axes(tupled(v), dims) for v in (output_padding, stride, dilation)), strict=True)
        if any(extra >= max(step, spread) for extra, step, spread in steps):
            raise ShapeError(f"output_padding {output_padding} must be smaller than the stride or the dilation")
        sizes = map(tupled, (kernel_size, stride, padding, output_padding))
        return getattr(nn, name)(x.shape[1], out_channels, *sizes, groups, bias, tupled(dilation))

    return named(build, name, f"Transposed (fractionally strided) convolution over {AXES[dims]}.")


def max_pooling(dims: int) -> Callable[..., Built]:
    """Return the builder of MaxPool1d, 2d or 3d."""
    name = f"MaxPool{dims}d"

    def build(x: Tensor, /, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1,
              ceil_mode: bool = False) -> Built:  # fmt: skip
        spatial(x, dims, name)
        check_window(x, name, kernel_size, kernel_size if stride is None else stride, padding, dilation, ceil=ceil_mode)
        sizes = (tupled(kernel_size), tupled(stride), tupled(padding), tupled(dilation))
        return getattr(nn, name)(*sizes, ceil_mode=ceil_mode)

    return named(build, name, f"Maximum over windows of {AXES[dims]}.")


def average_pooling(dims: int) -> Callable[..., Built]:
    """Return the builder of AvgPool1d, 2d or 3d."""
    name = f"AvgPool{dims}d"

    def build(x: Tensor, /, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False,
              count_include_pad: bool = True) -> Built:  # fmt: skip
        spatial(x, dims, name)
        check_window(x, name, kernel_size, kernel_size if stride is None else stride, padding, 1, ceil=ceil_mode)
        sizes = (tupled(kernel_size), tupled(stride), tupled(padding))
        return getattr(nn, name)(*sizes, ceil_mode, count_include_pad)

    return named(build, name, f"Mean over windows of {AXES[dims]}.")


def adaptive_pooling(dims: int, kind: str) -> Callable[..., Built]:
    """Return the builder of AdaptiveAvgPool1d..3d or AdaptiveMaxPool1d..3d."""
    name = f"Adaptive{kind}Pool{dims}d"

    def build(x: Tensor, /, output_size: Size) -> Built:
        spatial(x, dims, name)
        return getattr(nn, name)(tupled(output_size))

    return named(build, name, f"{'Mean' if kind == 'Avg' else 'Maximum'} over as many windows as the output size says.")


for _dims in AXES:
    for _build in (convolution, transposed_convolution, max_pooling, average_pooling):
        layer(_build(_dims))
    for _kind in ("Avg", "Max"):
        layer(adaptive_pooling(_dims, _kind))
