"""Layers that join, split or rearrange tensors and have no weights: they are functions, so they get no name in the state dict."""

from __future__ import annotations

import itertools
import math
from typing import Literal

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import handle_torch_function, has_torch_function

from archprof.layers import Built, Count, ShapeError, Size, layer
from archprof.layers.window import axis_of, inside, spatial, tupled
from archprof.records import Tensor


@layer
def Concat(*xs: Tensor, dim: int = 1) -> Built:
    """Inputs side by side along an axis (1 is the channels, 0 the batch)."""
    axis = axis_of(xs[0], dim)
    others = {x.shape[:axis] + x.shape[axis + 1 :] for x in xs}
    if len(others) > 1:
        raise ShapeError(f"Concat needs equal shapes but for axis {dim}, and gets {', '.join(map(inside, xs))}")
    return lambda *tensors: torch.cat(tensors, dim)


@layer
def Add(*xs: Tensor) -> Built:
    """Sum of inputs of one shape (`a + b`)."""
    return lambda first, *rest: sum(rest, first)


@layer
def Multiply(*xs: Tensor) -> Built:
    """Product of inputs (`a * b`); an axis of size 1 is a gate over the whole axis."""
    _broadcast(xs, "Multiply")
    return lambda *tensors: math.prod(tensors[1:], start=tensors[0])


@layer
def Subtract(a: Tensor, b: Tensor, /) -> Built:
    """Difference of two inputs of one shape (`a - b`)."""
    return lambda a, b: a - b


@layer
def Divide(a: Tensor, b: Tensor, /) -> Built:
    """Quotient of two inputs (`a / b`)."""
    _broadcast((a, b), "Divide")
    return lambda a, b: a / b


@layer
def Scale(x: Tensor, /, factor: float) -> Built:
    """Input times a number (`x * 2`)."""
    return lambda x: x * factor


@layer
def Shift(x: Tensor, /, amount: float) -> Built:
    """Input plus a number (`x + 1`)."""
    return lambda x: x + amount


@layer
def MatMul(a: Tensor, b: Tensor, /) -> Built:
    """Matrix product of the last two axes."""
    if a.shape[-1] != b.shape[-2 if len(b.shape) > 1 else 0]:
        raise ShapeError(f"MatMul needs rows as long as the columns, and gets {inside(a)} and {inside(b)}")
    return lambda a, b: a @ b


@layer
def Flatten(x: Tensor, /, start_dim: int = 1, end_dim: int = -1) -> Built:
    """Axes from start to end made one; by default all but the batch."""
    return lambda x: torch.flatten(x, start_dim, end_dim)


@layer
def Reshape(x: Tensor, /, shape: list[int]) -> Built:
    """Same elements in another shape, the batch left out; one size may be -1."""
    known = math.prod(size for size in shape if size != -1)
    elements = x.elements // x.shape[0]
    if (
        shape.count(-1) > 1
        or any(s < -1 for s in shape)
        or (elements % known if -1 in shape and known else elements != known)
    ):
        raise ShapeError(f"{inside(x)} cannot be reshaped to {shape}")
    sizes = tuple(shape)
    return lambda x: x.reshape(x.shape[0], *sizes)


@layer
def Permute(x: Tensor, /, dims: list[int]) -> Built:
    """Axes in another order (0 is the batch)."""
    if sorted(dims) != list(range(len(x.shape))):
        raise ShapeError(f"Permute needs each of the axes 0 to {len(x.shape) - 1} once, and gets {dims}")
    return lambda x: x.permute(dims)


@layer
def Transpose(x: Tensor, /, dim0: int, dim1: int) -> Built:
    """Two axes exchanged (0 is the batch)."""
    axis_of(x, dim0), axis_of(x, dim1)
    return lambda x: x.transpose(dim0, dim1)


@layer
def Mean(x: Tensor, /, dim: Size, keepdim: bool = False) -> Built:
    """Mean over axes (0 is the batch)."""
    return lambda x: x.mean(tupled(dim), keepdim)


@layer
def Select(x: Tensor, /, index: int, dim: int = 1) -> Built:
    """One slice of an axis, which goes."""
    size = x.shape[axis_of(x, dim)]
    if not -size <= index < size:
        raise ShapeError(f"there is no item {index} on an axis of {size} ({inside(x)})")
    return lambda x: x.select(dim, index)


@layer
def Slice(x: Tensor, /, start: int, end: int, dim: int = 1) -> Built:
    """Part of an axis, from start up to but not including end."""
    size = x.shape[axis_of(x, dim)]
    if not 0 <= start < end <= size:
        raise ShapeError(f"there is no part {start}:{end} on an axis of {size} ({inside(x)})")
    return lambda x: x.narrow(dim, start, end - start)


@layer
def Chunk(x: Tensor, /, chunks: Count, dim: int = 1) -> Built:
    """Equal parts of an axis, as that many outputs (`a, b: in -> Chunk(2)`)."""
    if chunks < 1 or x.shape[axis_of(x, dim)] % chunks:
        raise ShapeError(f"an axis of {x.shape[axis_of(x, dim)]} does not divide into {chunks} parts ({inside(x)})")
    return lambda x: x.chunk(chunks, dim)


@layer
def Shuffle(x: Tensor, /, groups: Count) -> Built:
    """Channels of the groups interleaved (ShuffleNet)."""
    spatial(x, 2, "Shuffle")
    if x.shape[1] % groups:
        raise ShapeError(f"{x.shape[1]} channels do not divide into {groups} groups")
    return lambda x: functional.channel_shuffle(x, groups)


@layer
def PixelShuffle(x: Tensor, /, upscale_factor: Count) -> Built:
    """Channels laid out as pixels of a larger map."""
    spatial(x, 2, "PixelShuffle")
    if x.shape[1] % upscale_factor**2:
        raise ShapeError(f"{x.shape[1]} channels do not divide by {upscale_factor}**2")
    return lambda x: functional.pixel_shuffle(x, upscale_factor)


@layer
def PixelUnshuffle(x: Tensor, /, downscale_factor: Count) -> Built:
    """Pixels laid out as channels of a smaller map."""
    spatial(x, 2, "PixelUnshuffle")
    return lambda x: functional.pixel_unshuffle(x, downscale_factor)


@layer
def Upsample(x: Tensor, /, size: Size | None = None, scale_factor: float | None = None,
             mode: Literal["nearest", "bilinear", "bicubic", "trilinear", "linear", "area"] = "nearest",
             align_corners: bool | None = None) -> Built:  # fmt: skip
    """Larger maps by interpolation."""
    if (size is None) == (scale_factor is None):
        raise ShapeError("Upsample needs either size or scale_factor")
    return nn.Upsample(tupled(size), scale_factor, mode, align_corners)


@layer
def ZeroPad2d(x: Tensor, /, padding: Size) -> Built:
    """Zeros around the maps: one number, or left, right, top, bottom."""
    spatial(x, 2, "ZeroPad2d")
    if isinstance(padding, list) and len(padding) != 4:
        raise ShapeError(f"padding is one number, or four (left, right, top, bottom), not {len(padding)}")
    left, right, top, bottom = [padding] * 4 if isinstance(padding, int) else padding
    return nn.ZeroPad2d((left, right, top, bottom))


@layer
def ExpandLike(token: Tensor, x: Tensor, /) -> Built:
    """First input (a Parameter, batch 1), repeated for every sample of the second without copying."""
    if token.shape[0] != 1:
        raise ShapeError(f"ExpandLike needs a first axis of 1, and gets {list(token.shape)}")
    rest = token.shape[1:]
    return lambda token, x: token.expand(x.shape[0], *rest)


@layer
def CenterCrop(x: Tensor, /, size: Size) -> Built:
    """Middle of the maps (U-Net, 2015)."""
    spatial(x, 2, "CenterCrop")
    height, width = (size, size) if isinstance(size, int) else size
    if height > x.shape[2] or width > x.shape[3]:
        raise ShapeError(f"a crop of {height}x{width} is larger than the input {inside(x)}")
    return lambda x: center_crop(x, (height, width))


@layer
def Crop(x: Tensor, reference: Tensor, /) -> Built:
    """Middle of the maps, as large as the second input's (U-Net, 2015)."""
    spatial(x, 2, "Crop")
    if any(have < want for have, want in zip(x.shape[2:], reference.shape[2:], strict=True)):
        raise ShapeError(f"{inside(x)} cannot be cropped to the larger {inside(reference)}")
    return crop_like


@layer
def PadChannels(x: Tensor, /, channels: Count, stride: int = 1) -> Built:
    """Every stride-th pixel, and zero channels added behind (option A of the CIFAR ResNets: no weights)."""
    spatial(x, 2, "PadChannels")
    if channels < x.shape[1]:
        raise ShapeError(f"PadChannels adds channels: {channels} is less than the input's {x.shape[1]}")
    return lambda x: pad_channels(x, channels, stride)


@layer
def DropPath(x: Tensor, /, p: float = 0.0) -> Built:
    """Whole branch dropped for some samples while training (stochastic depth)."""
    return StochasticDepth(p)


class StochasticDepth(nn.Module):
    """Zeroes its input for a fraction `p` of the samples while training; the rest is scaled up by 1 / (1 - p)."""

    def __init__(self, p: float) -> None:
        """Keep the fraction."""
        super().__init__()
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[n, *x] -> [n, *x]."""
        if not self.training or self.p == 0.0:
            return x
        keep = torch.rand((x.shape[0], *[1] * (x.dim() - 1)), device=x.device) >= self.p
        return x * keep / (1 - self.p)

    def extra_repr(self) -> str:
        """Show the fraction."""
        return f"p={self.p}"


def center_crop(input: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """[n, c, *x] -> [n, c, *size]: the middle of the maps, a view."""
    if has_torch_function((input,)):
        return handle_torch_function(center_crop, (input,), input, size)
    top, left = ((have - want) // 2 for have, want in zip(input.shape[-2:], size, strict=True))
    return input[..., top : top + size[0], left : left + size[1]]


def crop_like(input: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """[n, c, *x], [n, d, *y] -> [n, c, *y]: the middle of the maps, a view."""
    if has_torch_function((input, reference)):
        return handle_torch_function(crop_like, (input, reference), input, reference)
    height, width = reference.shape[-2:]
    return center_crop(input, (height, width))


def pad_channels(input: torch.Tensor, channels: int, stride: int = 1) -> torch.Tensor:
    """[n, c, *x] -> [n, channels, *x/stride]: strided pixels, zero channels behind."""
    if has_torch_function((input,)):
        return handle_torch_function(pad_channels, (input,), input, channels, stride)
    return functional.pad(input[:, :, ::stride, ::stride], (0, 0, 0, 0, 0, channels - input.shape[1]))


def _broadcast(xs: tuple[Tensor, ...], name: str) -> None:
    aligned = itertools.zip_longest(*(reversed(x.shape) for x in xs), fillvalue=1)
    if any(len({size for size in sizes if size != 1}) > 1 for sizes in aligned):
        raise ShapeError(f"{name} needs axes equal or 1, and gets {', '.join(map(inside, xs))}")
