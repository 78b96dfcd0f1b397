"""What torchvision adds: deformable convolution, regions of interest, non-maximum suppression.

The arguments are those of the operators behind torchvision.ops, which is what a recorder sees.
"""

from __future__ import annotations

import math

from archprof.ops import rule
from archprof.records import Facts, Tensor, contraction


@rule("deform_conv2d")
def deform_conv(out: Tensor, input: Tensor, weight: Tensor, offset: Tensor, mask: Tensor, bias: Tensor, stride_h: int,
                stride_w: int, pad_h: int, pad_w: int, dil_h: int, dil_w: int, groups: int, offset_groups: int,
                use_mask: bool) -> Facts:  # fmt: skip
    """[n, c, *x] * [m, c/groups, *k], offsets [n, 2k, *y] -> [n, m, *y]

    MACs: those of a convolution, n x y x c/groups x k x m. FLOPs: + 7 for each of the n x y x c x k inputs, the
    weighted sum of 4 neighbours, 1 more with a mask; 2 per offset; 1 per output for the bias. No window: where it reads
    is learnt.
    """
    maps, channels, *kernel = weight.shape
    n, _, *size = out.shape
    samples = n * input.shape[1] * math.prod(kernel) * math.prod(size)
    flops = (7 + bool(use_mask)) * samples + 2 * offset.elements + out.elements
    return contraction((n, *size, channels, *kernel, maps), flops=flops)


@rule("roi_align", "ps_roi_align")
def roi_align(out: Tensor | tuple[Tensor, ...], input: Tensor, rois: Tensor, spatial_scale: float, pooled_height: int,
              pooled_width: int, sampling_ratio: int, aligned: bool = False) -> Facts:  # fmt: skip
    """[n, c, *x], [regions, 5] -> [regions, c, *y]

    FLOPs: 8 for each sample of an output: the weighted sum of 4 neighbours and the mean. Samples are sampling_ratio
    squared; where that is left to the size of each region, 4. Position-sensitive (ps), c is divided among the y, each
    of which reads maps of its own.
    """
    samples = sampling_ratio**2 if sampling_ratio > 0 else 4
    pooled = out if isinstance(out, Tensor) else out[0]
    return Facts(flops=8 * samples * pooled.elements)


@rule("roi_pool", "ps_roi_pool")
def roi_pool(out: tuple[Tensor, ...], input: Tensor, rois: Tensor, spatial_scale: float, pooled_height: int,
             pooled_width: int) -> Facts:  # fmt: skip
    """[n, c, *x], [regions, 5] -> [regions, c, *y]

    FLOPs: 1 per pixel of a map for each region and output channel, an upper bound: a region as large as the map, every
    pixel compared, or added, once.
    """
    regions, channels, *_ = out[0].shape
    return Facts(flops=regions * channels * math.prod(input.shape[2:]))


@rule("nms")
def nms(out: Tensor, dets: Tensor, scores: Tensor, iou_threshold: float) -> Facts:
    """[boxes, 4], [boxes] -> [kept]

    FLOPs: 12 per pair of boxes, an upper bound: 4 limits, 4 for the overlap, 2 for the union, a quotient, a comparison.
    """
    boxes = scores.elements
    return Facts(flops=12 * (boxes * (boxes - 1) // 2))
