"""What is seen where elements are put into another tensor, or taken off a diagonal: scatters, diagonals, cells, folds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from archprof.receptive.gathering import gathered
from archprof.receptive.indexing import part, written
from archprof.receptive.mixing import everything
from archprof.receptive.moving import settings
from archprof.receptive.region import NOTHING, Extent, Region, aligned, mixed, permuted, reduced, reshaped, union
from archprof.receptive.rules import Answer, Call, dims, ints, sees
from archprof.receptive.sliding import still


@sees("scatter", "scatter_add", "scatter_reduce", "index_copy", "index_add", "index_reduce", "index_put", "masked_scatter",
      "put", "index_fill", "fill_diagonal")  # fmt: skip
def scatter(call: Call) -> Answer:
    """Its own place, and anything that is put: data say where."""
    base, *others = call.regions
    seen = [mixed(region, range(len(region.shape))) for region in others if not region.is_nothing]
    return union([base, still(seen, call.out)], call.out) if seen else base


@sees("slice_scatter", "select_scatter")
def into_slice(call: Call) -> Answer:
    """Its own place, or what was put over it."""
    base, value = call.regions
    rest, named = settings(call)
    rest = [item for item in rest if not isinstance(item, Region)]
    names = ("dim", "start", "end", "step") if call.op.kind == "slice_scatter" else ("dim", "index")
    given = {**dict(zip(names, rest, strict=False)), **{name: named[name] for name in names if name in named}}
    axis = given.get("dim", 0) % len(call.out)
    at = given["index"] if "index" in given else slice(given.get("start"), given.get("end"), given.get("step"))
    return written(base, (*[slice(None)] * axis, at), value)


@sees("diagonal", "diag")
def diagonal(call: Call) -> Answer:
    """The elements on a diagonal, along a last axis; `diag` of a vector is a matrix."""
    rest, named = settings(call)
    region, rank = call.input, len(call.input.shape)
    names = ("offset", "dim1", "dim2") if call.op.kind == "diagonal" else ("diagonal",)
    given = {**dict(zip(names, rest, strict=False)), **named}
    offset = given.get("offset", given.get("diagonal", 0))
    if rank == 1:
        return on_diagonal(region, call.out, offset)
    one, two = dims((given.get("dim1", 0), given.get("dim2", 1)), rank)

    def change(extent: Extent) -> Extent:
        ends = extent.ends
        sizes = [s if i not in {one, two} else region.shape[i] for i, s in enumerate(ends.shape[1:])]
        ends = np.diagonal(np.broadcast_to(ends, (4, *sizes)), offset, one + 1, two + 1)
        return Extent(np.ascontiguousarray(ends))

    return region.shaped(call.out, change)


@sees("diag_embed", "diagflat")
def embedded(call: Call) -> Answer:
    """The elements on a diagonal, and nothing beside it."""
    rest, named = settings(call)
    offset = named.get("offset", rest[0] if rest else 0)
    region = call.input
    if len(call.out) != len(region.shape) + 1 or len(rest) > 1 or {"dim1", "dim2"} & named.keys():
        return None
    return on_diagonal(region, call.out, offset)


def on_diagonal(region: Region, shape: tuple[int, ...], offset: int) -> Region:
    """Return what is seen by matrices whose diagonal is a tensor's last axis."""
    size = shape[-1]
    rows, columns = np.arange(size)[:, None], np.arange(size)[None]
    is_on = columns - rows == offset

    def change(extent: Extent) -> Extent:
        ends = np.broadcast_to(extent.ends, (*extent.ends.shape[:-1], region.shape[-1]))
        place = np.minimum(rows, columns).clip(0, region.shape[-1] - 1)
        return Extent(np.where(is_on, ends[..., place], NOTHING))

    return region.shaped(shape, change)


@sees("rot90")
def rotate(call: Call) -> Answer:
    """The elements turned by quarters."""
    rest, named = settings(call)
    turns = named.get("k", rest[0] if rest else 1) % 4
    one, two = dims(named.get("dims", rest[1] if len(rest) > 1 else (0, 1)), len(call.out))
    region, order = call.input, list(range(len(call.out)))
    order[one], order[two] = order[two], order[one]
    for axis in {0: (), 1: (two,), 2: (one, two), 3: (one,)}[turns]:
        line = np.arange(region.shape[axis])[::-1]
        region = gathered(region, axis, line[:, None], None)
    return permuted(region, order) if turns % 2 else region


@sees("reversed")
def backwards(call: Call) -> Answer:
    """The elements backwards along the first axis."""
    return gathered(call.input, 0, np.arange(call.out[0])[::-1, None], None)


@sees("diff")
def differences(call: Call) -> Answer:
    """So many more elements as often as differences are taken."""
    if len(call.regions) > 1:
        return None
    axis, count = call("dim", -1) % len(call.out), call("n", 1)
    taps = np.arange(call.out[axis])[:, None] + np.arange(count + 1)
    return gathered(call.input, axis, taps, (1, 1))


@sees("kthvalue", "mode", "nanmedian", "quantile", "nanquantile", "msort", "segment_reduce")
def ordered(call: Call) -> Answer:
    """All along the axis that is put in order."""
    region = call.input
    rest, named = settings(call)
    rest = [item for item in rest if type(item) is int]
    if call.op.kind in {"msort", "segment_reduce"}:
        return replace(mixed(region, [named.get("axis", 0)]), shape=call.out)
    if call.op.kind == "kthvalue" and "k" not in named:
        rest = rest[1:]
    default = -1 if call.op.kind in {"kthvalue", "mode"} else None
    axis = named.get("dim", call.arguments.get("dim", rest[0] if rest else default))
    if axis is None:
        return everything(call)
    kept = reduced(region, [axis])
    bare = reduced(region, [axis], keep=False)
    if call.op.kind.endswith("quantile"):
        found = kept if len(call.out) >= len(kept.shape) and call("keepdim") else bare
        return replace(aligned(found, len(call.out)), shape=call.out)
    return tuple(kept if kept.shape == tensor.shape else bare for tensor in call.op.outputs)


@sees("is_all_true", "is_any_true", "histogram", "unique_consecutive", "nonzero_static", "take", "affine_grid")
def all_there_is(call: Call) -> Answer:
    """Everything there is to see in what it reads."""
    return everything(call)


@sees("embedding_bag")
def bag(call: Call) -> Answer:
    """All words of its own bag; where offsets say which those are, all words."""
    if len(call.input.shape) == 2:
        return (replace(reduced(call.input, [1]), shape=call.out), *call.blank()[1:])
    return everything(call)


@sees("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell")
def cell(call: Call) -> Answer:
    """All features of its own sample; of the state of an LSTM's memory, its own element."""
    region, state, *memory = call.regions[: 3 if call.op.kind == "lstm_cell" else 2]
    parts = [mixed(region, [-1]), mixed(state, [-1]), *memory]
    return (union([replace(part, shape=call.out) for part in parts], call.out),) * len(call.op.outputs)


@sees("norm_except_dim", "weight_norm", "weight_norm_interface")
def weight_norm(call: Call) -> Answer:
    """All but along the axis that is kept."""
    axis = call("dim", 0) % len(call.input.shape)
    others = [i for i in range(len(call.input.shape)) if i != axis]
    if call.op.kind == "norm_except_dim":
        return reduced(call.input, others)
    whole = union([mixed(call.input, others), aligned(call.regions[1], len(call.out))], call.out)
    return (whole, reduced(call.input, others))[: len(call.op.outputs)]


@sees("fold")
def fold(call: Call) -> Answer:
    """Each place what all patches that reach it have there."""
    region = call.input
    settled = (ints(call(name, value), 2) for name, value in (("stride", 1), ("dilation", 1), ("padding", 0)))
    kernel, (strides, dilations, sides) = ints(call("kernel_size"), 2), settled
    *lead, _, _ = region.shape
    channels, height, width = call.out[-3:]
    n = len(lead)
    sizes = zip((height, width), sides, dilations, kernel, strides, strict=True)
    counts = [(size + 2 * p - d * (k - 1) - 1) // s + 1 for size, p, d, k, s in sizes]
    region = reshaped(region, (*lead, channels, *kernel, *counts))
    for axis, (size, k, s, d, p) in enumerate(
        zip((height, width), kernel, strides, dilations, sides, strict=True), n + 1
    ):
        parts = []
        for tap in range(k):
            place = np.arange(size)[:, None] + p - tap * d
            one = part(region, axis, slice(tap, tap + 1))
            parts.append(gathered(one, axis + 2, place // s, (s, 1), reads=place % s == 0))
        region = union(parts, parts[0].shape)
    return reshaped(region, call.out)
