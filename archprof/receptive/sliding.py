"""What sliding and resampling ops see: convolutions, transposed ones, pooling, padding, interpolation, patches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from archprof.receptive.gathering import gathered
from archprof.receptive.region import Extent, Region, mixed, permuted, reduced, reshaped
from archprof.receptive.rules import Answer, Call, ints, sees
from archprof.records import Window

REACH = {"linear": 1, "bilinear": 1, "trilinear": 1, "bicubic": 2}


def slid(region: Region, window: Window, out: Sequence[int]) -> Region:
    """Return what a window sees that slides over the last tensor axes."""
    first = len(region.shape) - len(out)
    parts = zip(window.kernel, window.stride, window.padding, window.dilation, out, strict=True)
    for axis, (kernel, stride, (before, _), dilation, size) in enumerate(parts, first):
        taps = np.arange(size)[:, None] * stride - before + np.arange(kernel) * dilation
        region = gathered(region, axis, taps, (1, stride))
    return region


def channels(region: Region, out: int, count: int, groups: int = 1) -> Region:
    """Return what `out` channels see that each read all of their group; `count` axes stand behind the channels."""
    axis = len(region.shape) - count - 1
    if axis < 0 or not any(extent.varies(axis) for extent in region.extents) or groups == 1:
        region = mixed(region, [axis])
    else:
        shape = (*region.shape[:axis], groups, region.shape[axis] // groups, *region.shape[axis + 1 :])
        region = reduced(reshaped(region, shape), [axis + 1], keep=False)

        def spread(extent: Extent) -> Extent:
            wide = extent.ends.shape[axis + 1] > 1
            ends = extent.ends.repeat(out // groups, axis + 1) if wide else extent.ends
            return Extent(ends, extent.axis, extent.pitch)

        region = region.shaped(region.shape, spread)
    return Region((*region.shape[:axis], out, *region.shape[axis + 1 :]), region.extents)


@sees("conv1d", "conv2d", "conv3d", "convolution")
def convolution(call: Call) -> Answer:
    """Windows, over the channels of a group."""
    if call("transposed"):
        return transposed(call)
    weight = call("weight")
    count = len(weight.shape) - 2
    stride, dilation = ints(call("stride", 1), count), ints(call("dilation", 1), count)
    kernel = weight.shape[2:]
    padding = call("padding", 0)
    if padding == "same":
        totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        sides = tuple((total // 2, total - total // 2) for total in totals)
    else:
        sides = tuple((p, p) for p in ints(0 if isinstance(padding, str) else padding, count))
    region = channels(call("input"), call.out[-count - 1], count, call("groups", 1))
    return slid(region, Window(tuple(kernel), stride, sides, dilation), call.out[-count:])


@sees("sparse_conv2d")
def sparse(call: Call) -> Answer:
    """Windows, over the maps that each map of the output is connected to."""
    region, weight = call("input"), call("weight")
    stride, padding = ints(call("stride", 1), 2), ints(call("padding", 0), 2)
    region = slid(region, Window(weight.shape[-2:], stride, tuple((p, p) for p in padding), (1, 1)), call.out[-2:])
    axis = len(region.shape) - 3
    most = max(map(len, call("connections")))
    taps = np.array([[*maps, *[maps[0]] * (most - len(maps))] for maps in call("connections")])
    return gathered(region, axis, taps, None)


@sees("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def transposed(call: Call) -> Answer:
    """Every phase of the stride reads its own taps: output j reads (j + padding - dilation t) / stride where that is whole."""
    weight = call("weight")
    count = len(weight.shape) - 2
    settings = [ints(call(name, 1 - (name == "padding")), count) for name in ("stride", "padding", "dilation")]
    region = channels(call("input"), call.out[-count - 1], count, call("groups", 1))
    parts = zip(weight.shape[2:], *settings, call.out[-count:], strict=True)
    for axis, (kernel, stride, padding, dilation, size) in enumerate(parts, len(call.out) - count):
        place = np.arange(size)[:, None] + padding - dilation * np.arange(kernel)
        region = gathered(region, axis, place // stride, (stride, 1), reads=place % stride == 0)
    return region


@sees(*(f"{kind}_pool{n}d{more}" for kind, more in (("max", ""), ("max", "_with_indices"), ("avg", ""), ("lp", ""))
        for n in (1, 2, 3)), "subsample")  # fmt: skip
def pool(call: Call) -> Answer:
    """Windows, each channel for itself."""
    count = int(call.op.kind.partition("pool")[2][:1] or 2)
    kernel = ints(call("kernel_size"), count)
    stride = ints(call("stride") or kernel, count)
    sides = tuple((p, p) for p in ints(call("padding", 0), count))
    window = Window(kernel, stride, sides, ints(call("dilation", 1), count))
    return (slid(call.input, window, call.out[-count:]),) * len(call.op.outputs)


@sees(*(f"adaptive_{kind}_pool{n}d{more}" for kind, more in (("max", ""), ("max", "_with_indices"), ("avg", ""))
        for n in (1, 2, 3)))  # fmt: skip
def adaptive(call: Call) -> Answer:
    """Output i of m reads inputs from floor(i n / m) to ceil((i + 1) n / m)."""
    count = int(call.op.kind.partition("pool")[2][:1])
    region = areas(call.input, call.out[-count:])
    return (region,) * len(call.op.outputs)


def areas(region: Region, out: Sequence[int]) -> Region:
    """Return what adaptive windows over the last tensor axes see."""
    for axis, size in enumerate(out, len(region.shape) - len(out)):
        length = region.shape[axis]
        if size == 1:
            region = reduced(region, [axis])
            continue
        first = np.arange(size) * length // size
        last = -(-(np.arange(size) + 1) * length // size)
        taps = first[:, None] + np.arange(max(last - first))
        shared = math.gcd(size, length)
        region = gathered(region, axis, taps, (size // shared, length // shared), reads=taps < last[:, None])
    return region


@sees("fractional_max_pool2d", "fractional_max_pool3d", "fractional_max_pool2d_with_indices",
      "fractional_max_pool3d_with_indices", "max_unpool1d", "max_unpool2d", "max_unpool3d", "deform_conv2d",
      "grid_sample", "roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool")  # fmt: skip
def sampled(call: Call) -> Answer:
    """Where it reads depends on data, so that it may be anywhere: whole maps, and all that the places come from."""
    whole = [mixed(region, range(len(region.shape))) for region in call.regions]
    found = still(whole, call.out)
    return (found,) * len(call.op.outputs)


def still(regions: Sequence[Region], shape: Sequence[int]) -> Region:
    """Return the union of regions that vary along no axis, for a tensor of any shape."""
    extents = []
    for each in zip(*(region.extents for region in regions), strict=True):
        ends = np.minimum.reduce([extent.ends.reshape(4) for extent in each])
        extents.append(Extent(ends.reshape(4, *([1] * len(shape)))))
    return Region(tuple(shape), tuple(extents))


@sees("interpolate")
def interpolate(call: Call) -> Answer:
    """Nearest reads one input an axis; linear 2, cubic 4, less where a weight is 0; antialiased ones more; area as adaptive."""
    region, mode = call.input, call("mode", "nearest")
    count = len(call.out) - 2
    if mode == "area":
        return areas(region, call.out[2:])
    given = call("scale_factor") if call("size") is None and not call("recompute_scale_factor") else None
    factors = given if isinstance(given, Sequence) else (given,) * count
    for axis, (size, factor) in enumerate(zip(call.out[2:], factors, strict=True), 2):
        length = region.shape[axis]
        scale = Fraction(length, size) if factor is None else 1 / Fraction(factor).limit_denominator(10_000)
        corners = bool(call("align_corners")) and mode != "nearest"
        if corners:
            scale = Fraction(length - 1, max(1, size - 1))
        if length == size and scale == 1:
            continue
        nominal, reads = resampled(size, scale, mode, corners, antialias=bool(call("antialias")) and mode in REACH)
        taps = nominal if mode.startswith("nearest") and not call("antialias") else nominal.clip(0, length - 1)
        if mode.startswith("nearest"):
            taps = taps.clip(0, length - 1)
        elif call("antialias"):
            taps = nominal
        elif mode != "bicubic" and not corners:  # a place before the first input is moved onto it
            taps, reads = taps.copy(), reads.copy()
            taps[nominal[:, 0] < 0] = 0
        step = (scale.denominator, scale.numerator)
        region = gathered(region, axis, taps, step, nominal=nominal, reads=reads)
    return region


def resampled(
    size: int, scale: Fraction, mode: str, corners: bool, *, antialias: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the inputs each of `size` outputs reads as if there were no border, and which of them have a weight."""
    n, d = scale.numerator, scale.denominator
    j = np.arange(size)[:, None]
    if mode == "nearest":
        return j * n // d, np.ones((size, 1), bool)
    if mode == "nearest-exact":
        return (2 * j + 1) * n // (2 * d), np.ones((size, 1), bool)
    place = 2 * j * n if corners else (2 * j + 1) * n - d  # in units of 1 / (2 d)
    reach = REACH[mode]
    wide = max(1, math.ceil(scale)) if antialias else 1
    offsets = np.arange(1 - reach * wide, reach * wide + 1) if antialias or reach > 1 else np.arange(2)
    taps = place // (2 * d) + offsets
    far = np.abs(2 * d * taps - place)  # in the same units
    unit = 2 * max(n, d) if antialias else 2 * d
    zero = (far % unit == 0) & (far > 0)  # linear and cubic weights vanish at whole distances
    return taps, (far < reach * unit) & ~zero


@sees("pad", "constant_pad_nd")
def pad(call: Call) -> Answer:
    """What is put around sees nothing, or what it repeats."""
    region, mode = call.input, call("mode", "constant")
    sides = call("pad")
    how: Any = {"constant": None, "reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode]
    for i in range(len(sides) // 2):
        axis = len(region.shape) - 1 - i
        before, after = sides[2 * i], sides[2 * i + 1]
        if not before and not after:
            continue
        line = np.arange(-before, region.shape[axis] + after)
        taps = line
        if how:
            inner = np.arange(max(0, -before), region.shape[axis] + min(0, after))
            taps = np.pad(inner, (max(0, before), max(0, after)), mode=how)
        region = gathered(region, axis, taps[:, None], (1, 1), nominal=line[:, None])
    return region


@sees("pad_channels")
def pad_channels(call: Call) -> Answer:
    """Every stride-th place, then channels that see nothing."""
    region, stride = call.input, call("stride", 1)
    count = len(region.shape) - 2
    region = slid(region, Window((1,) * count, (stride,) * count, ((0, 0),) * count, (1,) * count), call.out[2:])
    line = np.arange(call.out[1])
    return gathered(region, 1, line[:, None], None)


@sees("pixel_shuffle")
def pixel_shuffle(call: Call) -> Answer:
    """Row r h + i, column r w + j of channel c read row h, column w of channel c r r + i r + j."""
    r = call("upscale_factor")
    *lead, c, h, w = call.input.shape
    n = len(lead)
    split = reshaped(call.input, (*lead, c // r**2, r, r, h, w))
    return reshaped(permuted(split, (*range(n + 1), n + 3, n + 1, n + 4, n + 2)), call.out)


@sees("pixel_unshuffle")
def pixel_unshuffle(call: Call) -> Answer:
    """Channel c r r + i r + j reads row r h + i, column r w + j."""
    r = call("downscale_factor")
    *lead, c, h, w = call.input.shape
    n = len(lead)
    split = reshaped(call.input, (*lead, c, h // r, r, w // r, r))
    return reshaped(permuted(split, (*range(n + 1), n + 2, n + 4, n + 1, n + 3)), call.out)


@sees("unfold")
def unfold(call: Call) -> Answer:
    """Rows of patches, k channels and one column a place; or the method: windows along one axis."""
    region = call.input
    if call("size") is not None or call("step") is not None or call("dimension") is not None:
        axis = (call("dimension") if call("dimension") is not None else call("kernel_size")) % len(region.shape)
        size, step = call("size"), call("step")
        line = np.arange(call.out[axis] * size)
        taps = (line // size) * step + line % size
        region = gathered(region, axis, taps[:, None], None)
        shape = (*region.shape[:axis], call.out[axis], size, *region.shape[axis + 1 :])
        region = reshaped(region, shape)
        return permuted(region, [*(i for i in range(len(shape)) if i != axis + 1), axis + 1])
    kernel = ints(call("kernel_size"), 2)
    stride, dilation, sides = (
        ints(call(name, value), 2) for name, value in (("stride", 1), ("dilation", 1), ("padding", 0))
    )
    *lead, c, h, w = region.shape
    n = len(lead)
    counts = [(size + 2 * p - d * (k - 1) - 1) // s + 1
              for size, p, d, k, s in zip((h, w), sides, dilation, kernel, stride, strict=True)]  # fmt: skip
    for axis, k, s, d, p, count in zip((n + 1, n + 2), kernel, stride, dilation, sides, counts, strict=True):
        line = np.arange(k * count)
        region = gathered(region, axis, ((line // count) * d + (line % count) * s - p)[:, None], None)
    region = reshaped(region, (*lead, c, kernel[0], counts[0], kernel[1], counts[1]))
    return reshaped(permuted(region, (*range(n + 2), n + 3, n + 2, n + 4)), call.out)


@sees("center_crop", "crop_like")
def crop(call: Call) -> Answer:
    """The middle; along each axis what is left over is cut off half before and half after."""
    region = call.input
    for axis in (len(call.out) - 2, len(call.out) - 1):
        extra = region.shape[axis] - call.out[axis]
        region = gathered(region, axis, (np.arange(call.out[axis]) + extra // 2)[:, None], (1, 1))
    return region
