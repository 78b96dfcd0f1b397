"""Convolutions: ops that slide a weighted window over the last axes (plain, transposed, sparse, subsampling).

Pooling without weights is in `pool`.
"""

from __future__ import annotations

import math

from archprof.ops import rule
from archprof.ops.shapes import Axes, axes, fit
from archprof.records import Facts, Tensor, Unknown, Window, contraction

Sides = tuple[tuple[int, int], ...]


def conv_padding(kernel: tuple[int, ...], padding: Axes | str, dilation: tuple[int, ...]) -> Sides:
    """Return (before, after) per axis; `same` puts an odd pixel after, as torch does."""
    if padding == "same":
        totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    sides = (0,) * len(kernel) if isinstance(padding, str) else axes(padding, len(kernel))
    return tuple((side, side) for side in sides)


def slid(size: tuple[int, ...], window: Window, *, ceil: bool = False) -> tuple[int, ...]:
    """Return the output sizes of sliding `window` over `size`.

    With `ceil` the last window may hang over the end, but has to start inside the input or the padding before it.
    """
    result = []
    parts = zip(size, window.kernel, window.stride, window.padding, window.dilation, strict=True)
    for length, kernel, stride, (before, after), dilation in parts:
        fit(stride > 0, "a stride of 0")
        room = length + before + after - dilation * (kernel - 1) - 1
        steps = -(-room // stride) if ceil else room // stride
        if ceil and steps * stride >= length + before:
            steps -= 1
        fit(steps >= 0, f"a window of {kernel} does not fit in {length}")
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
    fit(len(input.shape) - spatial in {1, 2}, "the input has the wrong number of axes")
    fit(input.shape[-spatial - 1] == weight.shape[1] * groups, "the input has the wrong number of channels")
    fit(weight.shape[0] % groups == 0 and input.dtype == weight.dtype, "groups or dtypes do not fit")
    fit(bias is None or bias.shape == weight.shape[:1], "the bias does not fit")
    size = slid(input.shape[-spatial:], conv_window(weight, stride, padding, dilation))
    return Tensor((*input.shape[: -spatial - 1], weight.shape[0], *size), input.dtype)


@rule("conv1d", "conv2d", "conv3d", shape=conv_shape)
def conv(out: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Axes = 1,
         padding: Axes | str = 0, dilation: Axes = 1, groups: int = 1) -> Facts:  # fmt: skip
    """[n, c, *x] * [m, c/groups, *k] -> [n, m, *y]

    MACs: every output reads c/groups channels under the kernel: n x y x c/groups x k x m. FLOPs: + 1 per output for a
    bias.
    """
    window = conv_window(weight, stride, padding, dilation)
    maps, channels, *kernel = weight.shape
    size = out.shape[-len(kernel) :]
    batch = math.prod(out.shape[: -len(kernel) - 1])
    return contraction((batch, *size, channels, *kernel, maps), flops=out.elements if bias else 0, window=window)


def conv_transpose_shape(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Axes = 1, padding: Axes = 0,
                         output_padding: Axes = 0, groups: int = 1, dilation: Axes = 1) -> Tensor:  # fmt: skip
    """Return [n, m, *y], the size a convolution with these settings would have come from."""
    channels, maps, *kernel = weight.shape
    spatial = len(kernel)
    fit(len(input.shape) - spatial in {1, 2}, "the input has the wrong number of axes")
    fit(input.shape[-spatial - 1] == channels and channels % groups == 0, "the input has the wrong number of channels")
    fit(input.dtype == weight.dtype, "the dtypes differ")
    fit(bias is None or bias.shape == (maps * groups,), "the bias does not fit")
    steps, sides, spread = axes(stride, spatial), axes(padding, spatial), axes(dilation, spatial)
    extras = axes(output_padding, spatial)
    fit(all(e < max(s, d) for e, s, d in zip(extras, steps, spread, strict=True)), "output_padding is too large")
    size = tuple(
        (x - 1) * s - 2 * p + d * (k - 1) + e + 1
        for x, k, s, p, d, e in zip(input.shape[-spatial:], kernel, steps, sides, spread, extras, strict=True)
    )
    fit(min(size) > 0, "the output would be empty")
    return Tensor((*input.shape[: -spatial - 1], maps * groups, *size), input.dtype)


@rule("conv_transpose1d", "conv_transpose2d", "conv_transpose3d", shape=conv_transpose_shape)
def conv_transpose(out: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Axes = 1,
                   padding: Axes = 0, output_padding: Axes = 0, groups: int = 1,
                   dilation: Axes = 1) -> Facts:  # fmt: skip
    """[n, c, *x] * [c, m/groups, *k] -> [n, m, *y]

    MACs: every *input* is spread over m/groups maps under the kernel: n x x x c x k x m/groups. FLOPs: + 1 per output
    for a bias. What padding crops is counted, as the matrix product computes it. No window: its stride is a fraction.
    """
    channels, maps, *kernel = weight.shape
    size = input.shape[-len(kernel) :]
    batch = math.prod(input.shape[: -len(kernel) - 1])
    return contraction((batch, *size, channels, *kernel, maps), flops=out.elements if bias else 0)


def convolution_shape(input: Tensor, weight: Tensor, bias: Tensor | None, stride: Axes, padding: Axes, dilation: Axes,
                      transposed: bool, output_padding: Axes, groups: int) -> Tensor:  # fmt: skip
    """Return [n, m, *y] of a convolution, or of a transposed one."""
    if transposed:
        return conv_transpose_shape(input, weight, bias, stride, padding, output_padding, groups, dilation)
    return conv_shape(input, weight, bias, stride, padding, dilation, groups)


@rule("convolution", shape=convolution_shape)
def convolution(out: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Axes, padding: Axes,
                dilation: Axes, transposed: bool, output_padding: Axes, groups: int) -> Facts | Unknown:  # fmt: skip
    """[n, c, *x] * [m, c/groups, *k] -> [n, m, *y]

    MACs: those of a convolution, or of a transposed one. FLOPs: likewise.
    """
    if transposed:
        return conv_transpose(out, input, weight, bias, stride, padding, output_padding, groups, dilation)
    return conv(out, input, weight, bias, stride, padding, dilation, groups)


Connections = tuple[tuple[int, ...], ...]


def sparse_conv_shape(input: Tensor, weight: Tensor, bias: Tensor | None, connections: Connections, stride: Axes = 1,
                      padding: Axes = 0) -> Tensor:  # fmt: skip
    """Return [n, m, *y]; m is the number of entries of `connections`."""
    fit(weight.shape[0] == sum(map(len, connections)), "there is not one kernel for each connection")
    spatial = len(weight.shape) - 1
    size = slid(input.shape[-spatial:], conv_window(Tensor((1, *weight.shape)), stride, padding, 1))
    return Tensor((*input.shape[: -spatial - 1], len(connections), *size), input.dtype)


@rule("sparse_conv2d", shape=sparse_conv_shape)
def sparse_conv(out: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None, connections: Connections,
                stride: Axes = 1, padding: Axes = 0) -> Facts:  # fmt: skip
    """[n, c, *x] * [connections, *k] -> [n, m, *y]

    MACs: each connection of an input map to an output map is one kernel: n x y x k x connections. FLOPs: + 1 per output
    for a bias.
    """
    count, *kernel = weight.shape
    size = out.shape[-len(kernel) :]
    batch = math.prod(out.shape[: -len(kernel) - 1])
    window = conv_window(Tensor((1, *weight.shape)), stride, padding, 1)
    return contraction((batch, *size, *kernel, count), flops=out.elements if bias else 0, window=window)


def subsample_window(kernel_size: Axes, stride: Axes | None) -> Window:
    """Return the window of a subsampling, whose windows do not overlap without a stride."""
    kernel = axes(kernel_size, 2)
    return Window(kernel, kernel if stride is None else axes(stride, 2), ((0, 0), (0, 0)), (1, 1))


def subsample_shape(input: Tensor, coefficient: Tensor, bias: Tensor, kernel_size: Axes,
                    stride: Axes | None = None) -> Tensor:  # fmt: skip
    """Return [n, c, *y]."""
    fit(coefficient.elements == input.shape[-3], "there is not one coefficient for each map")
    return Tensor(input.shape[:-2] + slid(input.shape[-2:], subsample_window(kernel_size, stride)), input.dtype)


@rule("subsample", shape=subsample_shape)
def subsample(out: Tensor, input: Tensor, coefficient: Tensor, bias: Tensor, kernel_size: Axes,
              stride: Axes | None = None) -> Facts:  # fmt: skip
    """[n, c, *x] -> [n, c, *y]

    FLOPs: k - 1 additions, a multiplication and an addition per output. No MACs: it is a pooling (LeCun et al. 1998).
    """
    window = subsample_window(kernel_size, stride)
    return Facts(flops=(math.prod(window.kernel) + 1) * out.elements, window=window)
