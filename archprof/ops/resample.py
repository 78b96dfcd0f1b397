"""Changes of resolution: interpolation, sampling at given points, pixel (un)shuffle, and rows of patches."""

from __future__ import annotations

import math
from collections.abc import Sequence

from archprof.ops import rule
from archprof.ops.pool import adaptive_reads
from archprof.ops.shapes import Axes, axes, fit
from archprof.ops.window import slid
from archprof.records import Facts, Tensor, Window

TAPS = {"linear": 2, "bilinear": 2, "trilinear": 2, "bicubic": 4}
"""Inputs per axis one output is a weighted sum of."""

Scale = float | Sequence[float] | None


def _interpolate_shape(input: Tensor, size: Axes | None = None, scale_factor: Scale = None, mode: str = "nearest",
                       align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
                       antialias: bool = False) -> Tensor:  # fmt: skip
    old = input.shape[2:]
    fit(
        {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}.get(mode, len(old)) == len(old),
        f"{mode} in other axes",
    )
    if size is not None:
        return Tensor(input.shape[:2] + axes(size, len(old)), input.dtype)
    factors = scale_factor if isinstance(scale_factor, Sequence) else [scale_factor] * len(old)
    new = tuple(math.floor(float(x) * float(factor)) for x, factor in zip(old, factors, strict=True))  # type: ignore[arg-type]
    return Tensor(input.shape[:2] + new, input.dtype)


@rule("interpolate", shape=_interpolate_shape)
def interpolate(out: Tensor, input: Tensor, size: Axes | None = None, scale_factor: Scale = None, mode: str = "nearest",
                align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
                antialias: bool = False) -> Facts:  # fmt: skip
    """[n, c, *x] -> [n, c, *y]

    FLOPs: 0 for nearest; else 2k - 1 per output, the weighted sum of k inputs (linear 2, bilinear 4, trilinear 8,
    bicubic 16; antialiased, more by the reduction of each axis); area as an adaptive average pooling. The weights
    themselves are not counted.
    """
    old, new = input.shape[2:], out.shape[2:]
    if mode == "area":
        return Facts(flops=adaptive_reads(input, out, len(old)))
    if mode not in TAPS:
        return Facts()
    widths = (TAPS[mode] * (-(-x // y) if antialias and x > y > 0 else 1) for x, y in zip(old, new, strict=True))
    return Facts(flops=(2 * math.prod(widths) - 1) * out.elements)


def _grid_sample_shape(input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros",
                       align_corners: bool | None = None) -> Tensor:  # fmt: skip
    spatial = len(input.shape) - 2
    fit(spatial in {2, 3} and grid.shape[-1] == spatial and grid.shape[0] == input.shape[0], "the grid does not fit")
    return Tensor(input.shape[:2] + grid.shape[1:-1], input.dtype)


@rule("grid_sample", shape=_grid_sample_shape)
def grid_sample(out: Tensor, input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros",
                align_corners: bool | None = None) -> Facts:  # fmt: skip
    """[n, c, *x], [n, *y, d] -> [n, c, *y]

    FLOPs: 2 per coordinate (scale and shift), and per output the weighted sum of k inputs, 2k - 1, where k is 2 to the
    d for bilinear, 4 to the d for bicubic; nothing more for nearest. The weights themselves are not counted.
    """
    taps = {"bilinear": 2, "bicubic": 4}.get(mode, 0) ** (len(grid.shape) - 2)
    return Facts(flops=2 * grid.elements + max(0, 2 * taps - 1) * out.elements)


@rule("affine_grid")
def affine_grid(out: Tensor, theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Facts:
    """[n, d, d+1] -> [n, *y, d]

    FLOPs: 2d per output: d products and d sums.
    """
    return Facts(flops=2 * out.shape[-1] * out.elements)


def _pixel_shuffle_shape(input: Tensor, upscale_factor: int) -> Tensor:
    *lead, channels, height, width = input.shape
    r = upscale_factor
    fit(channels % (r * r) == 0, f"{channels} channels do not make blocks of {r} x {r}")
    return Tensor((*lead, channels // (r * r), height * r, width * r), input.dtype)


@rule("pixel_shuffle", shape=_pixel_shuffle_shape)
def pixel_shuffle(out: Tensor, input: Tensor, upscale_factor: int) -> Facts:
    """[*, c*r*r, h, w] -> [*, c, h*r, w*r]

    FLOPs: 0, but the elements move.
    """
    return Facts()


def _pixel_unshuffle_shape(input: Tensor, downscale_factor: int) -> Tensor:
    *lead, channels, height, width = input.shape
    r = downscale_factor
    fit(height % r == 0 == width % r, f"{height} x {width} do not make blocks of {r} x {r}")
    return Tensor((*lead, channels * r * r, height // r, width // r), input.dtype)


@rule("pixel_unshuffle", shape=_pixel_unshuffle_shape)
def pixel_unshuffle(out: Tensor, input: Tensor, downscale_factor: int) -> Facts:
    """[*, c, h*r, w*r] -> [*, c*r*r, h, w]

    FLOPs: 0, but the elements move.
    """
    return Facts()


@rule("channel_shuffle", shape=lambda input, groups: input)
def channel_shuffle(out: Tensor, input: Tensor, groups: int) -> Facts:
    """[n, c, *x] -> [n, c, *x]

    FLOPs: 0, but the elements move.
    """
    return Facts()


def _unfold_shape(input: Tensor, kernel_size: Axes = 1, size: int | None = None, step: int | None = None, *,
                  dilation: Axes = 1, padding: Axes = 0, stride: Axes = 1,
                  dimension: int | None = None) -> Tensor:  # fmt: skip
    if size is not None and step is not None:
        axis = (dimension if dimension is not None else kernel_size) % len(input.shape)  # type: ignore[operator]
        count = (input.shape[axis] - size) // step + 1
        return Tensor((*input.shape[:axis], count, *input.shape[axis + 1 :], size), input.dtype)
    kernel, sides = axes(kernel_size, 2), axes(padding, 2)
    window = Window(kernel, axes(stride, 2), tuple((side, side) for side in sides), axes(dilation, 2))
    *lead, channels, _, _ = input.shape
    return Tensor((*lead, channels * math.prod(kernel), math.prod(slid(input.shape[-2:], window))), input.dtype)


@rule("unfold", shape=_unfold_shape)
def unfold(out: Tensor, input: Tensor, kernel_size: Axes = 1, size: int | None = None, step: int | None = None, *,
           dilation: Axes = 1, padding: Axes = 0, stride: Axes = 1, dimension: int | None = None) -> Facts:  # fmt: skip
    """[n, c, h, w] -> [n, c*k, positions]

    FLOPs: 0, but every patch is copied. The method of the same name, unfold(dimension, size, step), is a view.
    """
    return Facts(is_view=size is not None)


@rule("fold")
def fold(out: Tensor, input: Tensor, output_size: Axes, kernel_size: Axes, dilation: Axes = 1, padding: Axes = 0,
         stride: Axes = 1) -> Facts:  # fmt: skip
    """[n, c*k, positions] -> [n, c, h, w]

    FLOPs: 1 per input, which is added to its place.
    """
    return Facts(flops=input.elements)
