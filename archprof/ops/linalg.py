"""Linear algebra: factorisations, inverses, solutions, by the textbook counts of Golub and Van Loan (LAPACK's).

Their leading terms count, as FLOPs; iterations are as many as the textbook takes. No MACs but where a function is made
of matrix products.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from archprof.ops import rule
from archprof.ops.matmul import matmul_shape
from archprof.ops.shapes import Axes, fit
from archprof.records import Facts, Tensor, Unknown, contraction


def svd_flops(rows: int, columns: int, *, vectors: bool) -> float:
    """Return the FLOPs of a singular value decomposition (Golub and Van Loan, figure 8.6.1)."""
    m, n = max(rows, columns), min(rows, columns)
    return 4 * m * m * n + 8 * m * n * n + 9 * n**3 if vectors else 4 * m * n * n - 4 * n**3 / 3


def qr_flops(rows: int, columns: int) -> float:
    """Return the FLOPs of Householder's triangularisation, which forming Q costs once more."""
    m, n = max(rows, columns), min(rows, columns)
    return 2 * m * n * n - 2 * n**3 / 3


FACTORISATIONS: dict[str, tuple[tuple[str, ...], str, Callable[[int, int], float]]] = {
    "cholesky": (("linalg_cholesky", "linalg_cholesky_ex"), "n^3/3", lambda m, n: n**3 / 3),
    "lu": (
        ("linalg_lu", "linalg_lu_factor", "linalg_lu_factor_ex", "det", "logdet", "slogdet", "linalg_det",
         "linalg_slogdet"),
        "m n^2 - n^3/3, of a square 2/3 n^3, an LU factorisation, with n the smaller side",
        lambda m, n: max(m, n) * min(m, n) ** 2 - min(m, n) ** 3 / 3,
    ),
    "inverse": (("inverse", "linalg_inv", "linalg_inv_ex"), "2n^3", lambda m, n: 2 * n**3),
    "cholesky_inverse": (("cholesky_inverse",), "2/3 n^3, from its factor", lambda m, n: 2 * n**3 / 3),
    "geqrf": (("geqrf", "linalg_householder_product", "orgqr"), "2mn^2 - 2/3 n^3, n the smaller side", qr_flops),
    "eigh": (("linalg_eigh",), "9n^3, with vectors", lambda m, n: 9 * n**3),
    "eigvalsh": (("linalg_eigvalsh",), "4/3 n^3, the values alone", lambda m, n: 4 * n**3 / 3),
    "eig": (("linalg_eig",), "25n^3, with vectors", lambda m, n: 25 * n**3),
    "eigvals": (("linalg_eigvals",), "10n^3, the values alone", lambda m, n: 10 * n**3),
    "svdvals": (
        ("linalg_svdvals", "linalg_cond", "linalg_matrix_rank"),
        "4mn^2 - 4/3 n^3, the singular values alone, n being the smaller side",
        lambda m, n: svd_flops(m, n, vectors=False),
    ),
    "pinv": (
        ("linalg_pinv", "pinverse"),
        "4m^2n + 8mn^2 + 9n^3, a singular value decomposition, n being the smaller side, and 2mn^2 to multiply back",
        lambda m, n: svd_flops(m, n, vectors=True) + 2 * max(m, n) * min(m, n) ** 2,
    ),
}  # fmt: skip
"""By name: torch's functions, the cost in words, the cost of one matrix."""


def _register(kinds: Sequence[str], words: str, cost: Callable[[int, int], float]) -> None:
    """File what takes one matrix, or a batch of them."""

    def factorise(out: Any, input: Tensor, *settings: Any, **options: Any) -> Facts:
        *batch, rows, columns = input.shape
        return Facts(flops=round(math.prod(batch) * cost(rows, columns)))

    factorise.__doc__ = f"""[*, m, n] -> [*, m, n]

    FLOPs: {words} for each matrix.
    """
    rule(*kinds)(factorise)


for _kinds, _words, _cost in FACTORISATIONS.values():
    _register(_kinds, _words, _cost)


@rule("linalg_svd", "svd")
def svd(out: tuple[Tensor, ...], input: Tensor, *settings: Any, **options: Any) -> Facts:
    """[*, m, n] -> [*, m, m], [*, n], [*, n, n]

    FLOPs: 4m^2n + 8mn^2 + 9n^3 for each matrix, n being the smaller side; also where less is asked for.
    """
    *batch, rows, columns = input.shape
    return Facts(flops=round(math.prod(batch) * svd_flops(rows, columns, vectors=True)))


@rule("linalg_qr")
def qr(out: tuple[Tensor, ...], input: Tensor, mode: Any = "reduced", **options: Any) -> Facts:
    """[*, m, n] -> [*, m, n], [*, n, n]

    FLOPs: 2mn^2 - 2/3 n^3 for R, n being the smaller side, and as much again for Q; a complete Q, m x m, takes
    4 (m^2 n - mn^2 + n^3/3).
    """
    *batch, rows, columns = input.shape
    m, n = max(rows, columns), min(rows, columns)
    flops = qr_flops(rows, columns)
    if mode == "complete" and rows > columns:
        flops += 4 * (m * m * n - m * n * n + n**3 / 3)
    elif mode != "r":
        flops += qr_flops(rows, columns)
    return Facts(flops=round(math.prod(batch) * flops))


@rule("linalg_solve", "linalg_solve_ex")
def solve(out: Tensor | tuple[Tensor, ...], input: Tensor, other: Tensor, *, left: bool = True,
          check_errors: bool = False) -> Facts:  # fmt: skip
    """[*, n, n], [*, n, k] -> [*, n, k]

    FLOPs: 2/3 n^3 for the factors of each matrix, 2n^2 for each of k right-hand sides.
    """
    *batch, _, n = input.shape
    answer = out if isinstance(out, Tensor) else out[0]
    return Facts(flops=round(math.prod(batch) * 2 * n**3 / 3) + 2 * n * answer.elements)


@rule("linalg_solve_triangular")
def solve_triangular(out: Tensor, input: Tensor, other: Tensor, *, upper: bool, left: bool = True,
                     unitriangular: bool = False) -> Facts:  # fmt: skip
    """[*, n, n], [*, n, k] -> [*, n, k]

    FLOPs: n^2 for each of k right-hand sides.
    """
    return Facts(flops=input.shape[-1] * out.elements)


@rule("cholesky_solve", "linalg_lu_solve")
def solve_factored(out: Tensor, *operands: Tensor, **options: Any) -> Facts:
    """[*, n, k], [*, n, n] -> [*, n, k]

    FLOPs: 2n^2 for each of k right-hand sides: two triangles.
    """
    return Facts(flops=2 * out.shape[-2] * out.elements)


@rule("linalg_lstsq")
def lstsq(out: tuple[Tensor, ...], input: Tensor, other: Tensor, rcond: float | None = None, *,
          driver: str | None = None) -> Facts:  # fmt: skip
    """[*, m, n], [*, m, k] -> [*, n, k]

    FLOPs: 2mn^2 - 2/3 n^3 for the triangle of each matrix, 4mn for each of k right-hand sides; whatever the driver.
    """
    *batch, rows, columns = input.shape
    sides = other.shape[-1] if len(other.shape) == len(input.shape) else 1
    return Facts(flops=round(math.prod(batch) * (qr_flops(rows, columns) + 4 * rows * columns * sides)))


@rule("linalg_matrix_power", "matrix_power")
def matrix_power(out: Tensor, input: Tensor, n: int) -> Facts:
    """[*, k, k] -> [*, k, k]

    MACs: k^3 for each product of repeated squaring: floor(log2 n) squares, and one for each further 1 among n's binary
    digits. FLOPs: + 2k^3 to invert first where n is negative.
    """
    *batch, size, _ = input.shape
    power = abs(n)
    products = max(0, power.bit_length() + power.bit_count() - 2)
    inverse = 2 * size**3 * math.prod(batch) if n < 0 else 0
    return contraction((products, *batch, size, size, size), flops=inverse)


def _chain(sizes: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return the products of a chain of matrices in the order that costs least; `sizes` are the sides, in turn."""
    best: dict[tuple[int, int], tuple[int, list[tuple[int, int, int]]]] = {}
    count = len(sizes) - 1
    for first in range(count):
        best[first, first + 1] = (0, [])
    for width in range(2, count + 1):
        for first in range(count - width + 1):
            last = first + width
            ways = []
            for cut in range(first + 1, last):
                (a, left), (b, right) = best[first, cut], best[cut, last]
                product = (sizes[first], sizes[cut], sizes[last])
                ways.append((a + b + math.prod(product), [*left, *right, product]))
            best[first, last] = min(ways)
    return best[0, count][1]


@rule("linalg_multi_dot")
def multi_dot(out: Tensor, tensors: Sequence[Tensor]) -> Facts:
    """[t, f] * [f, g] * ... -> [t, s]

    MACs: those of the products in the order that costs least, which torch looks for.
    """
    first, *rest = tensors
    rows = 1 if len(first.shape) == 1 else first.shape[0]
    chain = [rows, *(tensor.shape[0] for tensor in rest), 1 if len(rest[-1].shape) == 1 else rest[-1].shape[-1]]
    return contraction(*_chain(chain))


@rule("linalg_matmul", shape=matmul_shape)
def linalg_matmul(out: Tensor, input: Tensor, other: Tensor) -> Facts:
    """[*, t, f] * [*, f, s] -> [*, t, s]

    MACs: * x t x f x s, batches broadcast.
    """
    return contraction((out.elements, input.shape[-1]))


@rule("linalg_vecdot")
def vecdot(out: Tensor, x: Tensor, y: Tensor, *, dim: int = -1) -> Facts:
    """[*, f] * [*, f] -> [*]

    MACs: * x f.
    """
    longer = max((x, y), key=lambda tensor: tensor.shape[dim])
    return contraction((out.elements, longer.shape[dim]))


@rule("linalg_matrix_norm")
def matrix_norm(out: Tensor, input: Tensor, ord: Any = "fro", *settings: Any, **options: Any) -> Facts:
    """[*, m, n] -> [*]

    FLOPs: 2 per element (a power or magnitude, and a sum); of singular values (nuc, 2, -2) 4mn^2 - 4/3 n^3.
    """
    if ord not in {"nuc", 2, -2}:
        return Facts(flops=2 * input.elements)
    *batch, rows, columns = input.shape
    return Facts(flops=round(math.prod(batch) * svd_flops(rows, columns, vectors=False)))


@rule("linalg_norm")
def linalg_norm(out: Tensor, input: Tensor, ord: Any = None, dim: Axes | None = None, keepdim: bool = False,
                dtype: object = None) -> Facts:  # fmt: skip
    """[*, k] -> [*]

    FLOPs: 2 per element, k powers, k - 1 sums and a root; of a matrix by its singular values (nuc, 2, -2) 4mn^2 - 4/3
    n^3.
    """
    axes = range(len(input.shape)) if dim is None else (dim,) if isinstance(dim, int) else dim
    if len(axes) != 2 or ord not in {"nuc", 2, -2}:
        return Facts(flops=2 * input.elements)
    rows, columns = (input.shape[axis] for axis in axes)
    batch = input.elements // max(1, rows * columns)
    return Facts(flops=round(batch * svd_flops(rows, columns, vectors=False)))


@rule("kron", shape=lambda input, other: _kron_shape(input, other))
def kron(out: Tensor, input: Tensor, other: Tensor) -> Facts:
    """[t, f], [s, g] -> [ts, fg]

    FLOPs: 1 per output. No MACs, as nothing is accumulated.
    """
    return Facts(flops=out.elements)


def _kron_shape(input: Tensor, other: Tensor) -> Tensor:
    fit(len(input.shape) == len(other.shape) and input.dtype == other.dtype, "the ranks or dtypes differ")
    return Tensor(tuple(a * b for a, b in zip(input.shape, other.shape, strict=True)), input.dtype)


@rule("cov", "corrcoef")
def cov(out: Tensor, input: Tensor, *, correction: int = 1, fweights: Tensor | None = None,
        aweights: Tensor | None = None) -> Facts | Unknown:  # fmt: skip
    """[f, n] -> [f, f]

    MACs: f x n x f. FLOPs: + 2 per input (mean, difference), 1 per output, the division; unknown with weights.
    """
    if fweights or aweights:
        return Unknown("a weighted covariance has no rule")
    rows, samples = (1, *input.shape) if len(input.shape) == 1 else input.shape
    return contraction((rows, samples, rows), flops=2 * input.elements + out.elements)
