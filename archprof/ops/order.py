"""What sorts, searches and counts: sort, topk, unique, quantile, searchsorted, histograms.

One FLOP is one comparison. A sort of k costs k x ceil(log2 k), a merge sort's bound.
"""

from __future__ import annotations

import math
from typing import Any

from archprof.ops import rule
from archprof.records import Facts, Tensor


def _log2(count: int) -> int:
    return math.ceil(math.log2(count)) if count > 1 else 0


@rule("sort", "argsort")
def sort(out: Tensor | tuple[Tensor, ...], input: Tensor, dim: int = -1, descending: bool = False,
         stable: bool | None = None) -> Facts:  # fmt: skip
    """[*, k] -> [*, k], [*, k] int64

    FLOPs: k x ceil(log2 k) comparisons per row, a merge sort's bound.
    """
    length = input.shape[dim] if input.shape else 1
    return Facts(flops=input.elements * _log2(length))


@rule("msort")
def msort(out: Tensor, input: Tensor) -> Facts:
    """[k, *] -> [k, *]

    FLOPs: k x ceil(log2 k) comparisons along the first axis.
    """
    return Facts(flops=input.elements * _log2(input.shape[0] if input.shape else 1))


@rule("topk")
def topk(out: tuple[Tensor, ...], input: Tensor, k: int, dim: int = -1, largest: bool = True,
         sorted: bool = True) -> Facts:  # fmt: skip
    """[*, m] -> [*, k], [*, k] int64

    FLOPs: 1 + ceil(log2 k) comparisons per input element: each is held against a heap of the k best so far.
    """
    return Facts(flops=input.elements * (1 + _log2(k)))


@rule("unique")
def unique(out: Tensor | tuple[Tensor, ...], input: Tensor, sorted: bool = True, return_inverse: bool = False,
           return_counts: bool = False, dim: int | None = None) -> Facts:  # fmt: skip
    """[k] -> [kept], also where each went and how many there were of each

    FLOPs: a sort, k x ceil(log2 k), and a comparison of each with the next, k; rows of d elements are compared whole,
    d times that.
    """
    length = input.elements if dim is None else input.shape[dim]
    return Facts(flops=input.elements * (_log2(length) + 1))


@rule("quantile", "nanquantile")
def quantile(out: Tensor, input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *,
             interpolation: str = "linear") -> Facts:  # fmt: skip
    """[*, k], [q] -> [q, *]

    FLOPs: a sort, k x ceil(log2 k) per row, and 3 per output to interpolate: a difference, a product, a sum.
    """
    length = input.elements if dim is None else input.shape[dim]
    return Facts(flops=input.elements * _log2(length) + 3 * out.elements)


def _found(values: Any, narrow: bool) -> Tensor:
    return Tensor(values.shape if isinstance(values, Tensor) else (), "int32" if narrow else "int64")


@rule("searchsorted", shape=lambda sorted_sequence, input, *, out_int32=False, **_: _found(input, out_int32))
def searchsorted(out: Tensor, sorted_sequence: Tensor, input: Any, *, out_int32: bool = False, right: bool = False,
                 side: str | None = None, sorter: Tensor | None = None) -> Facts:  # fmt: skip
    """[*, m], [*, k] -> [*, k], int64

    FLOPs: ceil(log2(m + 1)) comparisons per value, a binary search.
    """
    return Facts(flops=out.elements * _log2(sorted_sequence.shape[-1] + 1))


@rule("bucketize", shape=lambda input, boundaries, *, out_int32=False, right=False: _found(input, out_int32))
def bucketize(out: Tensor, input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Facts:
    """[*], [m] -> [*], int64

    FLOPs: ceil(log2(m + 1)) comparisons per value, a binary search.
    """
    return Facts(flops=out.elements * _log2(boundaries.elements + 1))


@rule("isin")
def isin(out: Tensor, elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Facts:
    """[*], [m] -> [*], bool

    FLOPs: 1 comparison per element and candidate; from 10 x elements^0.145 candidates on, where torch changes its way,
    a sort of both.
    """
    tests = test_elements.elements if isinstance(test_elements, Tensor) else 1
    both = out.elements + tests
    return Facts(flops=out.elements * tests if tests < 10 * out.elements**0.145 else both * _log2(both))


@rule("histc", "histogram")
def histc(out: Tensor | tuple[Tensor, ...], input: Tensor, bins: Any = 100, *settings: Any, **options: Any) -> Facts:
    """[*] -> [bins]

    FLOPs: 3 per input: a difference and a product that find its bin, and a count; given edges, a binary search instead.
    """
    search = _log2(bins.elements) if isinstance(bins, Tensor) else 2
    return Facts(flops=input.elements * (search + 1))


@rule("bincount")
def bincount(out: Tensor, input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Facts:
    """[n] -> [classes]

    FLOPs: 1 per input, a count or the sum of a weight.
    """
    return Facts(flops=input.elements)
