"""Ops that slide a window over the last axes: convolutions (plain, transposed, sparse), pooling, subsampling."""

from __future__ import annotations

import math

from archprof.ops import rule
from archprof.records import Facts, Tensor, Window, contraction

Axes = int | tuple[int, ...]


def axes(value: Axes | list[int], count: int) -> tuple[int, ...]:
    """Return `value` once per axis: `3` and `(3,)` become `(3, 3)` for two axes."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * count if len(values) == 1 else values


def conv_padding(kernel: tuple[int, ...], padding: Axes | str, dilation: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Return (before, after) per axis; `same` puts an odd pixel after, as torch does."""
    if padding == "same":
        totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    sides = (0,) * len(kernel) if padding == "valid" else axes(padding, len(kernel))  # type: ignore[arg-type]
    return tuple((side, side) for side in sides)


def slid(size: tuple[int, ...], window: Window, *, ceil: bool = False) -> tuple[int, ...]:
    """Return the output sizes of sliding `window` over `size`.

    With `ceil` the last window may hang over the end, but has to start inside the input or the padding before it.
    """
    result = []
    parts = zip(size, window.kernel, window.stride, window.padding, window.dilation, strict=True)
    for length, kernel, stride, (before, after), dilation in parts:
        room = length + before + after - dilation * (kernel - 1) - 1
        steps = -(-room // stride) if ceil else room // stride
        if ceil and steps * stride >= length + before:
            steps -= 1
        result.append(steps + 1)
    return tuple(result)


def conv_window(weight: Tensor, stride: Axes, padding: Axes | str, dilation: Axes) -> Window:
    """Return the window of a convolution whose weight is [m, c/groups, *k]."""
    kernel = weight.shape[2:]
    spread = axes(dilation, len(kernel))
    return Window(kernel, axes(stride, len(kernel)), conv_padding(kernel, padding, spread), spread)


def conv_shape(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Axes = 1, padding: Axes | str = 0,
               dilation: Axes = 1, groups: int = 1) -> Tensor:  # fmt: skip
    """Return [n, m, *y] of a convolution, or [m, *y] where the input has no batch."""
    spatial = len(weight.shape) - 2
    size = slid(input.shape[-spatial:], conv_window(weight, stride, padding, dilation))
    return Tensor((*input.shape[: -spatial - 1], weight.shape[0], *size), input.dtype)


@rule("conv1d", "conv2d", "conv3d", shape=conv_shape)
def conv(out: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Axes = 1,
         padding: Axes | str = 0, dilation: Axes = 1, groups: int = 1) -> Facts:  # fmt: skip
    """[n, c, *x] * [m, c/groups, *k] -> [n, m, *y]

    MACs: every output reads c/groups channels under the kernel: n * y * c/groups * k * m. FLOPs: + 1 per output for a bias.
    """
    window = conv_window(weight, stride, padding, dilation)
    maps, channels, *kernel = weight.shape
    size = out.shape[-len(kernel) :]
    batch = math.prod(out.shape[: -len(kernel) - 1])
    return contraction((batch, *size, channels, *kernel, maps), flops=out.elements if bias else 0, window=window)


def pool_window(input: Tensor, kernel_size: Axes, stride: Axes | None, padding: Axes, dilation: Axes, count: int) -> Window:
    """Return the window of a pooling over `count` axes; without a stride windows do not overlap."""
    kernel = axes(kernel_size, count)
    sides = axes(padding, count)
    step = kernel if stride is None or stride == [] else axes(stride, count)
    return Window(kernel, step, tuple((side, side) for side in sides), axes(dilation, count))


def max_pool_shape(input: Tensor, kernel_size: Axes, stride: Axes | None = None, padding: Axes = 0, dilation: Axes = 1,
                   ceil_mode: bool = False, return_indices: bool = False) -> Tensor | tuple[Tensor, ...]:  # fmt: skip
    """Return [n, c, *y], twice (the second int64) with indices."""
    spatial = len(input.shape) - 2
    window = pool_window(input, kernel_size, stride, padding, dilation, spatial)
    shape = input.shape[:-spatial] + slid(input.shape[-spatial:], window, ceil=ceil_mode)
    pooled = Tensor(shape, input.dtype)
    return (pooled, Tensor(shape, "int64")) if return_indices else pooled


@rule("max_pool1d", "max_pool2d", "max_pool3d", shape=max_pool_shape)
def max_pool(out: Tensor | tuple[Tensor, ...], input: Tensor, kernel_size: Axes, stride: Axes | None = None, padding: Axes = 0,
             dilation: Axes = 1, ceil_mode: bool = False, return_indices: bool = False) -> Facts:  # fmt: skip
    """[n, c, *x] -> [n, c, *y]

    FLOPs: k - 1 comparisons per output. No MACs.
    """
    pooled = out if isinstance(out, Tensor) else out[0]
    window = pool_window(input, kernel_size, stride, padding, dilation, len(input.shape) - 2)
    return Facts(flops=(math.prod(window.kernel) - 1) * pooled.elements, window=window)
