"""What functions of whole matrices see, and products of them: zeros by structure (triangles) are values, not looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from archprof.ops.einsum import contracted
from archprof.receptive.gathering import gathered
from archprof.receptive.mixing import reduction
from archprof.receptive.moving import joined
from archprof.receptive.region import Region, aligned, mixed, nothing, permuted, reduced, reshaped, union
from archprof.receptive.rules import Answer, Call, sees
from archprof.records import Tensor


def matrices(call: Call, parts: Sequence[Region]) -> Answer:
    """Return what sees the whole of matrices, each of its own place in the batch: `parts` have the batch's axes alone."""
    rank = max(len(part.shape) for part in parts)
    batch = np.broadcast_shapes(*(part.shape for part in parts))
    found = union([aligned(part, rank) for part in parts], batch)

    def on(shape: Sequence[int]) -> Region:
        return replace(reshaped(found, (*batch, *([1] * (len(shape) - rank)))), shape=tuple(shape))

    return tuple(on(tensor.shape) for tensor in call.op.outputs)


@sees("cholesky_inverse", "det", "geqrf", "inverse", "linalg_cholesky", "linalg_cholesky_ex", "linalg_cond", "linalg_det",
      "linalg_eig", "linalg_eigh", "linalg_eigvals", "linalg_eigvalsh", "linalg_inv", "linalg_inv_ex", "linalg_lu",
      "linalg_lu_factor", "linalg_lu_factor_ex", "linalg_matrix_power", "linalg_matrix_rank", "linalg_pinv", "linalg_qr",
      "linalg_slogdet", "linalg_svd", "linalg_svdvals", "logdet", "matrix_power", "pinverse", "slogdet", "svd")  # fmt: skip
def matrix(call: Call) -> Answer:
    """The whole matrix; those beside it in a batch are not read."""
    return matrices(call, [reduced(call.input, [-2, -1], keep=False)])


@sees("cholesky_solve", "linalg_householder_product", "linalg_lstsq", "linalg_lu_solve", "linalg_solve", "linalg_solve_ex",
      "linalg_solve_triangular", "orgqr")  # fmt: skip
def solved(call: Call) -> Answer:
    """Both whole matrices, but of several right sides only their own column."""
    rank = max(len(region.shape) for region in call.regions)
    if len(call.out) != rank or call("left", True) is False or call.op.kind not in {"linalg_solve", "cholesky_solve"}:
        short = min(len(region.shape) for region in call.regions) < rank or "householder" in call.op.kind
        tails = [min(len(r.shape), 1 if short and len(r.shape) < rank else 2) for r in call.regions]
        return matrices(call, [reduced(r, range(-tail, 0), keep=False)
                               for r, tail in zip(call.regions, tails, strict=True)])  # fmt: skip
    right = call.regions[call.op.kind == "linalg_solve"]
    factor = call.regions[call.op.kind != "linalg_solve"]
    if len(right.shape) != len(factor.shape):
        return matrices(call, [reduced(factor, [-2, -1], keep=False), reduced(right, [-1], keep=False)])
    return union([reduced(factor, [-2, -1]), reduced(right, [-2])], call.out)


@sees("linalg_matrix_norm", "linalg_norm", "linalg_vecdot")
def norm(call: Call) -> Answer:
    """All along the axes that go."""
    if call.op.kind == "linalg_vecdot":
        axis = call("dim", -1)
        return union([reduced(region, [axis], keep=False) for region in call.regions], call.out)
    if call.op.kind == "linalg_norm":
        return reduction(call)
    whole = reduced(call.input, [-2, -1], keep=len(call.input.shape) == len(call.out))
    options = call("options", {})
    return whole if whole.shape == call.out and "dim" not in options and not call("settings") else None


@sees("linalg_multi_dot")
def chain(call: Call) -> Answer:
    """A row of the first, a column of the last, and all between them."""
    first, *inner, end = call.regions
    first = reshaped(first, (1, *first.shape)) if len(first.shape) == 1 else first
    end = reshaped(end, (*end.shape, 1)) if len(end.shape) == 1 else end
    parts = [reduced(first, [-1]), reduced(end, [-2]), *(reduced(region, [-2, -1]) for region in inner)]
    return reshaped(union(parts, (first.shape[0], end.shape[1])), call.out)


@sees("kron")
def kron(call: Call) -> Answer:
    """Element i of the first and j of the second for place i n + j along each axis, n being the second's size."""
    rank = len(call.out)
    a, b = (aligned(region, rank) for region in call.regions)
    for axis in range(rank):
        inner, line = b.shape[axis], np.arange(call.out[axis])
        a = gathered(a, axis, (line // inner)[:, None], (inner, 1))
        b = gathered(b, axis, (line % inner)[:, None], None)
    return union([a, b], call.out)


@sees("cov", "corrcoef")
def covariance(call: Call) -> Answer:
    """Both variables, at all observations."""
    region = call.input
    if len(region.shape) < 2 or len(call.regions) > 1:
        return replace(aligned(reduced(region, range(len(region.shape)), keep=False), len(call.out)), shape=call.out)
    rows = reduced(region, [1])
    return union([rows, permuted(rows, (1, 0))], call.out)


@sees("cdist", "rbf")
def distances(call: Call) -> Answer:
    """A row of the first and a row of the second."""
    a, b = (reduced(region, [-1]) for region in call.regions)
    columns = permuted(b, (*range(len(b.shape) - 2), len(b.shape) - 1, len(b.shape) - 2))
    return union([a, columns], call.out)


@sees("pairwise_distance", "bilinear")
def rows(call: Call) -> Answer:
    """The same row of both."""
    parts = [reduced(region, [-1]) for region in call.regions[:2]]
    shape = np.broadcast_shapes(*(part.shape for part in parts))
    found = union(parts, shape)
    return reshaped(found, call.out) if len(call.out) < len(shape) else replace(found, shape=call.out)


@sees("pdist")
def pairs(call: Call) -> Answer:
    """Both rows of a pair."""
    region = reduced(call.input, [1], keep=False)
    first, second = np.triu_indices(region.shape[0], 1)
    return gathered(region, 0, np.stack([first, second], 1), None)


@sees("outer", "ger", "addr")
def outer(call: Call) -> Answer:
    """An element of each."""
    *added, a, b = call.regions
    found = union([reshaped(a, (*a.shape, 1)), reshaped(b, (1, *b.shape))], (a.shape[0], b.shape[0]))
    return union([found, *added], call.out) if added else found


@sees("inner", "vdot")
def inner(call: Call) -> Answer:
    """A row of each."""
    a, b = (reduced(region, [-1], keep=False) for region in call.regions)
    shape = (*a.shape, *b.shape)
    return union([reshaped(a, (*a.shape, *([1] * len(b.shape)))), aligned(b, len(shape))], shape)


@sees("addmv", "addbmm")
def added(call: Call) -> Answer:
    """What is added, a row of the first and a column of the second, over the batch too."""
    base, a, b = call.regions
    if call.op.kind == "addmv":
        product = union([reduced(a, [1], keep=False), replace(reduced(b, [0]), shape=(1,))], (a.shape[0],))
    else:
        parts = reduced(a, [0, 2]), reduced(b, [0, 1])
        product = reshaped(union(parts, (1, a.shape[1], b.shape[2])), (a.shape[1], b.shape[2]))
    return union([base, product], call.out)


@sees("tensordot")
def tensordot(call: Call) -> Answer:
    """All along the axes that are summed."""
    a, b = call.regions
    left, right = contracted(Tensor(a.shape), Tensor(b.shape), call("dims", 2))
    a, b = reduced(a, left, keep=False), reduced(b, right, keep=False)
    return union([reshaped(a, (*a.shape, *([1] * len(b.shape)))), aligned(b, len(call.out))], call.out)


@sees("scaled_mm")
def scaled(call: Call) -> Answer:
    """A row of the first and a column of the second; and the scales."""
    a, b, *scales = call.regions
    found = union([reduced(a, [-1]), reduced(b, [-2])], call.out)
    seen = [region for region in scales if not region.is_nothing]
    return found if not seen else None


@sees("grouped_mm")
def grouped(call: Call) -> Answer:
    """Its row, and a matrix of which data say which one it is."""
    a, b, *others = call.regions
    if len(a.shape) != 2 or len(b.shape) != 3 or not all(region.is_nothing for region in others):
        return None
    return union([reduced(a, [1]), reduced(reduced(b, [0], keep=False), [0])], call.out)


@sees("block_diag")
def blocks(call: Call) -> Answer:
    """The matrices one after the other along both axes, and nothing between them."""
    if any(len(region.shape) != 2 for region in call.regions):
        return None
    rows = []
    before = 0
    for region in call.regions:
        height, width = region.shape
        sides = [nothing((height, size), call.axes) for size in (before, call.out[1] - before - width)]
        parts = [part for part in (sides[0], region, sides[1]) if part.shape[1]]
        rows.append(joined(parts, 1, (height, call.out[1])))
        before += width
    return joined(rows, 0, call.out)


@sees("cross", "linalg_cross")
def cross(call: Call) -> Answer:
    """Both vectors of three."""
    default = -1
    if call.op.kind == "cross":
        default = call.out.index(3)
    axis = call("dim") if call("dim") is not None else default
    return union([mixed(region, [axis]) for region in call.regions], call.out)
