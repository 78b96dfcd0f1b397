"""Reductions over axes and running sums. What sorts or searches is in `order`."""

from __future__ import annotations

import math
from typing import Any

from archprof.ops import rule
from archprof.ops.shapes import Axes, broadcast, category, chosen, fit, floating, named, promoted, reduced
from archprof.records import Facts, Tensor


def _kept(input: Tensor, dim: Axes | None = None, keepdim: bool = False, **_: object) -> Tensor:
    return Tensor(reduced(input.shape, dim, keepdim=keepdim), input.dtype)


def _sum_shape(input: Tensor, dim: Axes | None = None, keepdim: bool = False, dtype: object = None) -> Tensor:
    wide = input.dtype if category(input.dtype) > 1 else "int64"
    return Tensor(reduced(input.shape, dim, keepdim=keepdim), named(dtype) if dtype else wide)


@rule("sum", "nansum", "prod", shape=_sum_shape)
def total(out: Tensor, input: Tensor, dim: Axes | None = None, keepdim: bool = False, dtype: object = None) -> Facts:
    """[*, k] -> [*]

    FLOPs: k - 1 per output.
    """
    return Facts(flops=input.elements - out.elements)


def _mean_shape(input: Tensor, dim: Axes | None = None, keepdim: bool = False, dtype: object = None) -> Tensor:
    result = named(dtype) if dtype else input.dtype
    fit(category(result) > 1, "torch has no mean of integers")
    return Tensor(reduced(input.shape, dim, keepdim=keepdim), result)


@rule("mean", "nanmean", shape=_mean_shape)
def mean(out: Tensor, input: Tensor, dim: Axes | None = None, keepdim: bool = False, dtype: object = None) -> Facts:
    """[*, k] -> [*]

    FLOPs: k per output: k - 1 sums and a division.
    """
    return Facts(flops=input.elements)


def _extreme_shape(input: Tensor, dim: int | Tensor | None = None, keepdim: bool = False,
                   other: Tensor | None = None) -> Tensor:  # fmt: skip
    second = dim if isinstance(dim, Tensor) else other
    if second is not None:
        return Tensor(broadcast(input.shape, second.shape), promoted(input, second))
    # With an axis torch returns a named tuple, whose fields callers use: only torch can make one.
    fit(dim is None, "values and indices")
    return Tensor((), input.dtype)


@rule("max", "min", shape=_extreme_shape)
def extreme(out: Tensor | tuple[Tensor, ...], input: Tensor, dim: int | Tensor | None = None, keepdim: bool = False,
            other: Tensor | None = None) -> Facts:  # fmt: skip
    """[*, k] -> [*], with an axis also the indices

    FLOPs: k - 1 comparisons per output; with a second tensor in place of an axis 1 per output.
    """
    values = out if isinstance(out, Tensor) else out[0]
    two = isinstance(dim, Tensor) or other is not None
    return Facts(flops=values.elements if two else input.elements - values.elements)


@rule("amax", "amin", shape=_kept)
def amax(out: Tensor, input: Tensor, dim: Axes | None = None, keepdim: bool = False) -> Facts:
    """[*, k] -> [*]

    FLOPs: k - 1 comparisons per output.
    """
    return Facts(flops=input.elements - out.elements)


def _index_shape(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    return Tensor(reduced(input.shape, dim, keepdim=keepdim), "int64")


@rule("argmax", "argmin", shape=_index_shape)
def argmax(out: Tensor, input: Tensor, dim: int | None = None, keepdim: bool = False) -> Facts:
    """[*, k] -> [*], int64

    FLOPs: k - 1 comparisons per output.
    """
    return Facts(flops=input.elements - out.elements)


@rule("all", "any", "is_all_true", "is_any_true", "count_nonzero", "median", "nanmedian", "mode", "kthvalue", "aminmax",
      "nonzero", "argwhere", "nonzero_static", "unique_consecutive")  # fmt: skip
def scan(out: Tensor | tuple[Tensor, ...], input: Tensor, *settings: Any, **options: Any) -> Facts:
    """[*, k] -> [*]

    FLOPs: 1 per input element, one pass over it.
    """
    return Facts(flops=input.elements)


@rule("var", "std", "var_mean", "std_mean")
def spread(out: Tensor | tuple[Tensor, ...], input: Tensor, dim: Axes | bool | None = None, unbiased: bool = True,
           keepdim: bool = False, correction: float = 1) -> Facts:  # fmt: skip
    """[*, k] -> [*]

    FLOPs: 4k per output: k for the mean, then k differences, k squares, k - 1 sums and a division. No root is counted.
    """
    return Facts(flops=4 * input.elements)


def _norm_shape(input: Tensor, p: Any = "fro", dim: Axes | None = None, keepdim: bool = False,
                dtype: object = None) -> Tensor:  # fmt: skip
    return Tensor(reduced(input.shape, dim, keepdim=keepdim), named(dtype) if dtype else input.dtype)


@rule("norm", shape=_norm_shape)
def norm(out: Tensor, input: Tensor, p: Any = "fro", dim: Axes | None = None, keepdim: bool = False,
         dtype: object = None) -> Facts:  # fmt: skip
    """[*, k] -> [*]

    FLOPs: 2k per output: k powers, k - 1 sums and a root.
    """
    return Facts(flops=2 * input.elements)


def _vector_norm_shape(x: Tensor, ord: float = 2, dim: Axes | None = None, keepdim: bool = False,
                       dtype: object = None) -> Tensor:  # fmt: skip
    return _norm_shape(x, ord, dim, keepdim, dtype)


@rule("linalg_vector_norm", shape=_vector_norm_shape)
def vector_norm(out: Tensor, x: Tensor, ord: float = 2, dim: Axes | None = None, keepdim: bool = False,
                dtype: object = None) -> Facts:  # fmt: skip
    """[*, k] -> [*]

    FLOPs: 2k per output: k powers, k - 1 sums and a root.
    """
    return Facts(flops=2 * x.elements)


def _logsumexp_shape(input: Tensor, dim: Axes, keepdim: bool = False) -> Tensor:
    return Tensor(reduced(input.shape, dim, keepdim=keepdim), floating(input.dtype))


@rule("logsumexp", "special_logsumexp", shape=_logsumexp_shape)
def logsumexp(out: Tensor, input: Tensor, dim: Axes, keepdim: bool = False) -> Facts:
    """[*, k] -> [*]

    FLOPs: 4k per output: k - 1 comparisons, k differences, k exponentials, k - 1 sums, a logarithm and a sum.
    """
    return Facts(flops=4 * input.elements)


def _running_shape(input: Tensor, dim: int, dtype: object = None) -> Tensor:
    chosen(dim, len(input.shape))
    wide = input.dtype if category(input.dtype) > 1 else "int64"
    return Tensor(input.shape, named(dtype) if dtype else wide)


@rule("cumsum", "cumprod", shape=_running_shape)
def cumsum(out: Tensor, input: Tensor, dim: int, dtype: object = None) -> Facts:
    """[*, k] -> [*, k]

    FLOPs: k - 1 per row.
    """
    length = input.shape[dim] if input.shape else 1
    return Facts(flops=input.elements - input.elements // max(1, length))


@rule("cummax", "cummin")
def cummax(out: tuple[Tensor, ...], input: Tensor, dim: int) -> Facts:
    """[*, k] -> [*, k], [*, k] int64

    FLOPs: k - 1 comparisons per row.
    """
    length = input.shape[dim] if input.shape else 1
    return Facts(flops=input.elements - input.elements // max(1, length))


@rule("logcumsumexp")
def logcumsumexp(out: Tensor, input: Tensor, dim: int) -> Facts:
    """[*, k] -> [*, k]

    FLOPs: 5 for each of k - 1 steps per row: the larger, a difference, an exponential, a logarithm, a sum.
    """
    length = input.shape[dim] if input.shape else 1
    return Facts(flops=5 * (input.elements - input.elements // max(1, length)))


@rule("diff")
def diff(out: Tensor, input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None,
         append: Tensor | None = None) -> Facts:  # fmt: skip
    """[*, k] -> [*, k - n]

    FLOPs: 1 per difference; n rounds, each one shorter than the last.
    """
    length = out.shape[dim]
    rows = out.elements // max(1, length)
    return Facts(flops=rows * sum(length + i for i in range(n)))


@rule("dist")
def dist(out: Tensor, input: Tensor, other: Tensor, p: float = 2) -> Facts:
    """[*], [*] -> []

    FLOPs: 3 per pair: a difference, a power, a sum.
    """
    return Facts(flops=3 * math.prod(broadcast(input.shape, other.shape)))


@rule("trace")
def trace(out: Tensor, input: Tensor) -> Facts:
    """[n, m] -> []

    FLOPs: one sum less than there are elements on the diagonal.
    """
    return Facts(flops=max(0, min(input.shape) - 1))


@rule("segment_reduce")
def segment_reduce(out: Tensor, data: Tensor, reduce: str, *settings: Any, **options: Any) -> Facts:
    """[k, *], [segments] -> [segments, *]

    FLOPs: 1 per element put in.
    """
    return Facts(flops=data.elements)
