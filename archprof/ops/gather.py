"""Reading and writing by position: indexing, embedding, gather and scatter, one-hot.

A gather reads the elements it is asked for and the indices, not the whole table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from archprof.ops import rule, tensors
from archprof.ops.shapes import broadcast, category, chosen, fit, same
from archprof.records import ITEM_BYTES, Facts, Tensor


def indexed(shape: tuple[int, ...], index: Any) -> tuple[int, ...]:
    """Return the shape of `x[index]`.

    Raises ValueError for what only the data decides (masks). Whole numbers are taken first, as torch does; the axes of
    tensors come where the tensors stand if these are neighbours, else in front.
    """
    parts = list(index) if isinstance(index, tuple) else [index]
    named = sum(part is not None and part is not Ellipsis for part in parts)
    fit(named <= len(shape), f"{named} indices for {len(shape)} axes")
    if Ellipsis not in [part for part in parts if not isinstance(part, Tensor)]:
        parts.append(Ellipsis)
    rest = list(shape)
    result: list[int | tuple[int, ...]] = []
    for part in parts:
        if part is None:
            result.append(1)
        elif part is Ellipsis:
            free = len(shape) - named
            result += rest[:free]
            rest = rest[free:]
        else:
            result += _taken(rest.pop(0), part)
    places = [i for i, size in enumerate(result) if isinstance(size, tuple)]
    if not places:
        return tuple(size for size in result if isinstance(size, int))
    wide = broadcast(*(size for size in result if isinstance(size, tuple)))
    at = places[0] if places[-1] - places[0] == len(places) - 1 else 0
    before = [size for size in result[:at] if isinstance(size, int)]
    after = [size for size in result[at:] if isinstance(size, int)]
    return (*before, *wide, *after)


def _taken(size: int, part: Any) -> list[int | tuple[int, ...]]:
    """Return what one index leaves of an axis: nothing, its length, or as a tuple the axes of an index tensor."""
    if isinstance(part, slice):
        bounds = (part.start, part.stop, part.step)
        fit(all(bound is None or isinstance(bound, int) for bound in bounds), "a slice whose ends the data decide")
        return [len(range(*part.indices(size)))]
    if isinstance(part, Tensor):
        fit(part.dtype not in {"bool", "uint8"}, "a mask")
        return [part.shape]
    if isinstance(part, int) and not isinstance(part, bool):
        fit(-size <= part < size, f"no element {part} in {size}")
        return []
    if isinstance(part, (list, tuple, range)) and all(type(item) is int for item in part):
        return [(len(part),)]
    raise ValueError("an index that only torch understands")


def _is_plain(index: Any) -> bool:
    """Tell whether an index only selects and slices, which makes a view."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is None or part is Ellipsis or isinstance(part, slice) or type(part) is int for part in parts)


@rule("getitem", shape=lambda input, index: Tensor(indexed(input.shape, index), input.dtype))
def getitem(out: Tensor, input: Tensor, index: Any) -> Facts:
    """[*] -> [+]

    FLOPs: 0. Numbers and slices make a view; an index tensor or a list reads what it picks and itself.
    """
    return Facts(is_view=True) if _is_plain(index) else _picked(out, *tensors(index))


@rule("setitem")
def setitem(out: Tensor | tuple[()], input: Tensor, index: Any, value: Any) -> Facts:
    """[*], [+] -> [*]

    FLOPs: 0; the value and the indices are read, the elements they name are written.
    """
    given = tensors(value)
    try:
        elements = math.prod(indexed(input.shape, index))
    except (ValueError, IndexError):
        elements = given[0].elements if given and given[0].shape else input.elements
    read = sum(tensor.bytes for tensor in (*given, *tensors(index)))
    return Facts(bytes_read=read, bytes_written=elements * ITEM_BYTES[input.dtype])


def _picked(out: Tensor, *indices: Tensor) -> Facts:
    return Facts(bytes_read=out.bytes + sum(index.bytes for index in indices))


def _embedding_shape(input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None,
                     norm_type: float = 2.0, scale_grad_by_freq: bool = False,
                     sparse: bool = False) -> Tensor:  # fmt: skip
    indices, table = _table(input, weight)
    fit(len(table.shape) == 2, "the table is no matrix")
    fit(indices.dtype in {"int64", "int32"}, "the indices are no integers")
    return Tensor((*indices.shape, table.shape[1]), table.dtype)


def _table(input: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return indices and table: torch.embedding takes them the other way round than torch.nn.functional.embedding."""
    return (input, weight) if category(weight.dtype) > 1 else (weight, input)


@rule("embedding", shape=_embedding_shape)
def embedding(out: Tensor, input: Tensor, weight: Tensor, padding_idx: int | None = None,
              max_norm: float | None = None, norm_type: float = 2.0, scale_grad_by_freq: bool = False,
              sparse: bool = False) -> Facts:  # fmt: skip
    """[*], [v, d] -> [*, d]

    FLOPs: 0. It reads the rows it gathers and the indices, not the table.
    """
    return _picked(out, _table(input, weight)[0])


def _bag_shape(input: Tensor, weight: Tensor, offsets: Tensor | None = None, max_norm: float | None = None,
               norm_type: float = 2.0, scale_grad_by_freq: bool = False, mode: str = "mean",
               sparse: bool = False, per_sample_weights: Tensor | None = None, include_last_offset: bool = False,
               padding_idx: int | None = None) -> Tensor:  # fmt: skip
    fit((len(input.shape) == 2) == (offsets is None), "offsets go with indices of one axis")
    bags = offsets.shape[0] - bool(include_last_offset) if offsets else input.shape[0]
    return Tensor((bags, weight.shape[1]), weight.dtype)


@rule("embedding_bag", shape=_bag_shape)
def embedding_bag(out: Tensor, input: Tensor, weight: Tensor, offsets: Tensor | None = None,
                  max_norm: float | None = None, norm_type: float = 2.0, scale_grad_by_freq: bool = False,
                  mode: str = "mean", sparse: bool = False, per_sample_weights: Tensor | None = None,
                  include_last_offset: bool = False, padding_idx: int | None = None) -> Facts:  # fmt: skip
    """[n, k], [v, d] -> [n, d]

    FLOPs: k - 1 per output for sum and max, k for mean, k more with weights. It reads the rows it gathers and the
    indices.
    """
    rows = input.elements * weight.shape[1]
    flops = rows if mode == "mean" else max(0, rows - out.elements)
    flops += rows if per_sample_weights else 0
    read = rows * ITEM_BYTES[weight.dtype] + sum(t.bytes for t in (input, offsets, per_sample_weights) if t)
    return Facts(flops=flops, bytes_read=read)


def _one_hot_shape(input: Tensor, num_classes: int = -1) -> Tensor:
    fit(num_classes > 0, "the number of classes depends on the data")
    return Tensor((*input.shape, num_classes), "int64")


@rule("one_hot", shape=_one_hot_shape)
def one_hot(out: Tensor, input: Tensor, num_classes: int = -1) -> Facts:
    """[*] -> [*, classes]

    FLOPs: 0, zeros and ones are written.
    """
    return Facts()


@rule("gather", shape=lambda input, dim, index, sparse_grad=False: Tensor(index.shape, input.dtype))
def gather(out: Tensor, input: Tensor, dim: int, index: Tensor, sparse_grad: bool = False) -> Facts:
    """[*x], [*y] -> [*y]

    FLOPs: 0. It reads the elements it picks and the indices.
    """
    return _picked(out, index)


@rule("take_along_dim")
def take_along_dim(out: Tensor, input: Tensor, indices: Tensor, dim: int | None = None) -> Facts:
    """[*x], [*y] -> [*y]

    FLOPs: 0. It reads the elements it picks and the indices.
    """
    return _picked(out, indices)


def _index_select_shape(input: Tensor, dim: int, index: Tensor) -> Tensor:
    (axis,) = chosen(dim, len(input.shape))
    return Tensor((*input.shape[:axis], index.elements, *input.shape[axis + 1 :]), input.dtype)


@rule("index_select", shape=_index_select_shape)
def index_select(out: Tensor, input: Tensor, dim: int, index: Tensor) -> Facts:
    """[*, k, *], [m] -> [*, m, *]

    FLOPs: 0. It reads the slices it picks and the indices.
    """
    return _picked(out, index)


@rule("scatter", "index_copy", "index_fill", "masked_scatter", "slice_scatter", "select_scatter", "diagonal_scatter",
      "as_strided_scatter", "put", "fill_diagonal", shape=same)  # fmt: skip
def scatter(out: Tensor, input: Tensor, *settings: Any, **options: Any) -> Facts:
    """[*x], [*y], [*y] -> [*x]

    FLOPs: 0, but the elements move.
    """
    return Facts()


@rule("scatter_add", "index_add", shape=same)
def scatter_add(out: Tensor, input: Tensor, dim: int, index: Tensor, src: Tensor | None = None,
                source: Tensor | None = None, alpha: float = 1) -> Facts:  # fmt: skip
    """[*x], [*y], [*y] -> [*x]

    FLOPs: 1 per element added, 2 with a factor.
    """
    added = src or source or index
    return Facts(flops=(1 + (alpha != 1)) * added.elements)


@rule("scatter_reduce", "index_reduce", shape=same)
def scatter_reduce(out: Tensor, input: Tensor, dim: int, index: Tensor, src: Tensor | None = None, reduce: str = "sum",
                   source: Tensor | None = None, include_self: bool = True) -> Facts:  # fmt: skip
    """[*x], [*y], [*y] -> [*x]

    FLOPs: 1 per element put in.
    """
    return Facts(flops=(src or source or index).elements)


@rule("index_put", shape=same)
def index_put(out: Tensor, input: Tensor, indices: Sequence[Tensor | None], values: Tensor,
              accumulate: bool = False) -> Facts:  # fmt: skip
    """[*x], [*y], [*y] -> [*x]

    FLOPs: 0, or 1 per value where it is added.
    """
    return Facts(flops=values.elements if accumulate else 0)
