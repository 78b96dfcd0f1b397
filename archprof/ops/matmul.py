"""Matrix products: linear, matmul of any rank and its relatives, bilinear, and distances between rows.

Products written as a formula (einsum, tensordot) are in `einsum`.
"""

from __future__ import annotations

import math
from typing import Any

from archprof.ops import rule
from archprof.ops.shapes import broadcast, fit, floating, named, promoted
from archprof.records import Facts, Tensor, contraction

Number = int | float | complex


def linear_shape(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return [*, m], or [*] where the weight is a vector."""
    fit(bool(input.shape) and input.shape[-1] == weight.shape[-1], "the input has the wrong number of features")
    fit(input.dtype == weight.dtype and (bias is None or bias.dtype == input.dtype), "the dtypes differ")
    fit(bias is None or bias.shape == weight.shape[:-1], "the bias does not fit")
    return Tensor(input.shape[:-1] + weight.shape[:-1], input.dtype)


@rule("linear", shape=linear_shape)
def linear(out: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Facts:
    """[*, f] * [m, f] -> [*, m]

    MACs: every output is a row times a column: * x f x m. FLOPs: + 1 per output for a bias.
    """
    return contraction(input.shape + weight.shape[:-1], flops=out.elements if bias else 0)


def matmul_shape(input: Tensor, other: Tensor) -> Tensor:
    """Return [*, t, s]; a vector's axis is missing from the result."""
    a, b = input.shape, other.shape
    fit(bool(a) and bool(b) and input.dtype == other.dtype, "matmul of a scalar or of two dtypes")
    fit(a[-1] == b[-2 if len(b) > 1 else -1], f"{a} and {b} do not multiply")
    return Tensor((*broadcast(a[:-2], b[:-2]), *a[-2:-1], *(b[-1:] if len(b) > 1 else ())), input.dtype)


@rule("matmul", shape=matmul_shape)
def matmul(out: Tensor, input: Tensor, other: Tensor) -> Facts:
    """[*, t, f] * [*, f, s] -> [*, t, s]

    MACs: * x t x f x s, batches broadcast; a vector counts as one row or column.
    """
    return _product(input, other)


@rule("rmatmul", shape=lambda input, other: matmul_shape(other, input))
def rmatmul(out: Tensor, input: Tensor, other: Tensor) -> Facts:
    """[*, f, s] * [*, t, f] -> [*, t, s]

    MACs: * x t x f x s: the operands of matmul the other way round.
    """
    return _product(other, input)


@rule("bmm", "mm", shape=lambda input, mat2: matmul_shape(input, mat2))
def mm(out: Tensor, input: Tensor, mat2: Tensor) -> Facts:
    """[n, t, f] * [n, f, s] -> [n, t, s]

    MACs: n x t x f x s; without a batch, t x f x s.
    """
    return _product(input, mat2)


@rule("mv", shape=lambda input, vec: matmul_shape(input, vec))
def mv(out: Tensor, input: Tensor, vec: Tensor) -> Facts:
    """[t, f] * [f] -> [t]

    MACs: t x f.
    """
    return _product(input, vec)


@rule("dot", "vdot", "inner", shape=lambda input, other: _inner_shape(input, other))
def dot(out: Tensor, input: Tensor, other: Tensor) -> Facts:
    """[*, f] * [+, f] -> [*, +]

    MACs: * x + x f; two vectors take f.
    """
    return contraction(input.shape + other.shape[:-1])


def _inner_shape(input: Tensor, other: Tensor) -> Tensor:
    fit(input.shape[-1] == other.shape[-1] and input.dtype == other.dtype, "the vectors do not fit")
    return Tensor(input.shape[:-1] + other.shape[:-1], input.dtype)


@rule("outer", "ger", shape=lambda input, vec2: Tensor(input.shape + vec2.shape, promoted(input, vec2)))
def outer(out: Tensor, input: Tensor, vec2: Tensor) -> Facts:
    """[t] * [s] -> [t, s]

    FLOPs: 1 per output. No MACs, as nothing is accumulated.
    """
    return Facts(flops=out.elements)


def _scaled(beta: Number, alpha: Number) -> int:
    """Return what beta * input + alpha * product costs per output, factors of 1 left out, and the input with a 0."""
    return (alpha != 1) + (beta != 0) + (beta not in {0, 1})


def _added_shape(input: Tensor, a: Tensor, b: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    result = matmul_shape(a, b)
    fit(broadcast(input.shape, result.shape) == result.shape and input.dtype == a.dtype, "the summand does not fit")
    return result


@rule("addmm", shape=lambda input, mat1, mat2, **rest: _added_shape(input, mat1, mat2, **rest))
def addmm(out: Tensor, input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Facts:
    """[t, s] + [t, f] * [f, s] -> [t, s]

    MACs: t x f x s. FLOPs: + 1 per output for the sum, and 1 for each factor that is not 1.
    """
    return _product(mat1, mat2, flops=_scaled(beta, alpha) * out.elements)


@rule("baddbmm", shape=lambda input, batch1, batch2, **rest: _added_shape(input, batch1, batch2, **rest))
def baddbmm(out: Tensor, input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Number = 1,
            alpha: Number = 1) -> Facts:  # fmt: skip
    """[n, t, s] + [n, t, f] * [n, f, s] -> [n, t, s]

    MACs: n x t x f x s. FLOPs: + 1 per output for the sum, and 1 for each factor that is not 1.
    """
    return _product(batch1, batch2, flops=_scaled(beta, alpha) * out.elements)


@rule("addbmm")
def addbmm(out: Tensor, input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Number = 1,
           alpha: Number = 1) -> Facts:  # fmt: skip
    """[t, s] + sum over n of [n, t, f] * [n, f, s] -> [t, s]

    MACs: n x t x f x s. FLOPs: + 1 per output for the sum, and 1 for each factor that is not 1.
    """
    return _product(batch1, batch2, flops=_scaled(beta, alpha) * out.elements)


@rule("addmv", shape=lambda input, mat, vec, **rest: _added_shape(input, mat, vec, **rest))
def addmv(out: Tensor, input: Tensor, mat: Tensor, vec: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Facts:
    """[t] + [t, f] * [f] -> [t]

    MACs: t x f. FLOPs: + 1 per output for the sum, and 1 for each factor that is not 1.
    """
    return _product(mat, vec, flops=_scaled(beta, alpha) * out.elements)


@rule("addr")
def addr(out: Tensor, input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Facts:
    """[t, s] + [t] * [s] -> [t, s]

    FLOPs: 2 per output, and 1 for each factor that is not 1. No MACs: nothing is accumulated over an axis.
    """
    return Facts(flops=(1 + _scaled(beta, alpha)) * out.elements)


def _bilinear_shape(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    fit(input1.shape[:-1] == input2.shape[:-1], "the inputs differ in more than their features")
    fit((input1.shape[-1], input2.shape[-1]) == weight.shape[1:], "the weight does not fit")
    return Tensor((*input1.shape[:-1], weight.shape[0]), input1.dtype)


@rule("bilinear", shape=_bilinear_shape)
def bilinear(out: Tensor, input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Facts:
    """[*, i] * [m, i, j] * [*, j] -> [*, m]

    MACs: the first input times the weight, * x m x i x j, then that times the second, * x m x j. FLOPs: + 1 per output
    for a bias.
    """
    rows, (maps, i, j) = math.prod(input1.shape[:-1]), weight.shape
    return contraction((rows, i, maps, j), (rows, maps, j), flops=out.elements if bias else 0)


def _rows_shape(a: Tensor, b: Tensor) -> Tensor:
    fit(len(a.shape) > 1 < len(b.shape) and a.shape[-1] == b.shape[-1], "the rows differ in length")
    return Tensor((*broadcast(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-2]), promoted(a, b))


@rule("rbf", shape=lambda input, centres: _rows_shape(input, centres))
def rbf(out: Tensor, input: Tensor, centres: Tensor) -> Facts:
    """[n, f], [m, f] -> [n, m]

    MACs: n x f x m, counting the squared distance as a contraction over f (each pair one product, one sum). FLOPs: 3
    per pair of features: a difference, a square and a sum.
    """
    features = input.shape[-1]
    return contraction((out.shape[0], features, out.shape[1]), flops=features * out.elements)


@rule("cdist", shape=lambda x1, x2, p=2.0, compute_mode="": _floats(_rows_shape(x1, x2)))
def cdist(out: Tensor, x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str | None = None) -> Facts:
    """[*, n, f], [*, m, f] -> [*, n, m]

    FLOPs: 3f per output: f differences, f powers, f - 1 sums and a root. No MACs, although large inputs use a product.
    """
    return Facts(flops=3 * x1.shape[-1] * out.elements)


@rule("pairwise_distance")
def pairwise_distance(out: Tensor, x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6,
                      keepdim: bool = False) -> Facts:  # fmt: skip
    """[*, f], [*, f] -> [*]

    FLOPs: 4 per pair of features: a difference, its shift by eps, a power, a sum.
    """
    return Facts(flops=4 * max(x1.shape[-1], x2.shape[-1]) * out.elements)


@rule("pdist")
def pdist(out: Tensor, input: Tensor, p: float = 2.0) -> Facts:
    """[n, f] -> [n(n - 1)/2]

    FLOPs: 3f per output: f differences, f powers, f - 1 sums and a root.
    """
    return Facts(flops=3 * input.shape[-1] * out.elements)


def _grouped_shape(input: Tensor, mat2: Tensor, offs: Tensor | None = None, bias: Tensor | None = None,
                   out_dtype: object = None) -> Tensor:  # fmt: skip
    fit(input.dtype == mat2.dtype and input.shape[-1] == mat2.shape[-2], "the matrices do not multiply")
    stacked = [tensor.shape[0] for tensor in (input, mat2) if len(tensor.shape) == 3]
    fit((offs is None) == (len(stacked) == 2), "offsets go with a matrix whose rows or columns are grouped")
    groups = (offs.shape[0],) if offs and not stacked else tuple(stacked[:1]) if len(stacked) == 2 else ()
    return Tensor((*groups, input.shape[-2], mat2.shape[-1]), named(out_dtype) if out_dtype else input.dtype)


@rule("grouped_mm", shape=_grouped_shape)
def grouped_mm(out: Tensor, input: Tensor, mat2: Tensor, offs: Tensor | None = None, bias: Tensor | None = None,
               out_dtype: object = None) -> Facts:  # fmt: skip
    """[rows, f] * [groups, f, s] -> [rows, s]

    MACs: rows x f x s, every row going through the one matrix of its group; stacks of both are a batched product, and
    groups along the summed axis share it. FLOPs: + 1 per output for a bias.
    """
    biases = out.elements if bias else 0
    if len(input.shape) == len(mat2.shape) == 2:  # [t, rows] * [rows, s]: each group sums over its own rows
        return contraction((*input.shape, mat2.shape[-1]), flops=biases)
    return contraction((*out.shape[:-1], input.shape[-1], out.shape[-1]), flops=biases)


@rule("int_mm")
def int_mm(out: Tensor, input: Tensor, mat2: Tensor) -> Facts:
    """[t, f] * [f, s] -> [t, s], int8 into int32

    MACs: t x f x s.
    """
    return _product(input, mat2)


@rule("scaled_mm")
def scaled_mm(out: Tensor, input: Tensor, mat2: Tensor, *settings: Any, **options: Any) -> Facts:
    """[t, f] * [f, s] -> [t, s], of narrow floats

    MACs: t x f x s. FLOPs: + 1 per output, the scale, whatever it is shared by.
    """
    return _product(input, mat2, flops=out.elements)


def _floats(result: Tensor) -> Tensor:
    return Tensor(result.shape, floating(result.dtype))


def _product(a: Tensor, b: Tensor, flops: int = 0) -> Facts:
    """Return the MACs of a matrix product whose operands may be vectors."""
    batch = broadcast(a.shape[:-2], b.shape[:-2])
    return contraction((*batch, *a.shape[-2:-1], a.shape[-1], *(b.shape[-1:] if len(b.shape) > 1 else ())), flops=flops)
