"""What ops see that bring elements together: sums, products of matrices, attention, norms, recurrent nets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from archprof.receptive.gathering import gathered
from archprof.receptive.indexing import part
from archprof.receptive.moving import joined, settings
from archprof.receptive.region import Extent, Region, agreed, aligned, mixed, permuted, reduced, reshaped, union
from archprof.receptive.rules import Answer, Call, dims, regions_in, sees
from archprof.receptive.sliding import channels, still


@sees("linear")
def linear(call: Call) -> Answer:
    """All features of its own row."""
    region = mixed(call("input"), [-1])
    return replace(region, shape=call.out)


@sees("embedding", "one_hot")
def embedding(call: Call) -> Answer:
    """The number it looks up."""
    region = next((region for region in call.regions if not region.is_nothing), call.input)
    return reshaped(region, (*region.shape, 1)).shaped(call.out, lambda extent: extent)


@sees("matmul", "mm", "bmm", "linalg_matmul", "rmatmul", "mv", "dot", "addmm", "baddbmm", "int_mm")
def matmul(call: Call) -> Answer:
    """A row of the first and a column of the second."""
    *added, a, b = call.regions
    if call.op.kind == "rmatmul":
        a, b = b, a
    left, right = len(a.shape) == 1, len(b.shape) == 1
    a = reshaped(a, (1, *a.shape)) if left else a
    b = reshaped(b, (*b.shape, 1)) if right else b
    rank = max(len(a.shape), len(b.shape))
    a, b = aligned(reduced(a, [-1]), rank), aligned(reduced(b, [-2]), rank)
    shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    found = reshaped(union([a, b], shape), call.out)
    return union([found, *added], call.out) if added else found


@sees("einsum")
def einsum(call: Call) -> Answer:
    """Of each operand, all along the letters that are summed."""
    equation = next((value for value in _strings(call.arguments)), None)
    if equation is None or "." in equation:
        return None
    left, _, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if not _:
        letters = left.replace(",", "")
        right = "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    parts = []
    for term, region in zip(terms, call.regions, strict=True):
        if len(set(term)) != len(term):
            return None
        gone = [i for i, c in enumerate(term) if c not in right]
        rest = [c for c in term if c in right]
        ranks = [right.index(c) for c in rest]
        kept = permuted(reduced(region, gone, keep=False), sorted(range(len(rest)), key=ranks.__getitem__))
        sizes = dict(zip(sorted(rest, key=right.index), kept.shape, strict=True))
        parts.append(reshaped(kept, [sizes.get(c, 1) for c in right]))
    return union(parts, call.out)


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [text for item in value for text in _strings(item)] if isinstance(value, (list, tuple)) else []


@sees("scaled_dot_product_attention", "flex_attention")
def attention(call: Call) -> Answer:
    """Its query, and every key and value: masks are values, and not looked at.

    A causal one leaves query i the keys from 0 to i, however many of either there are.
    """
    query, key, value = call.regions[:3]
    keys = [
        running(reduced(r, [-1]), len(r.shape) - 2) if call("is_causal") else reduced(r, [-2, -1]) for r in (key, value)
    ]
    if call("is_causal") and key.shape[-2] != query.shape[-2]:
        taps = np.minimum(np.arange(query.shape[-2]), key.shape[-2] - 1)
        keys = [gathered(r, len(r.shape) - 2, taps[:, None], None) for r in keys]
    rank = len(call.out)
    parts = []
    for one in (reduced(query, [-1]), *keys):
        part = aligned(one, rank)
        if rank > 2 and part.shape[-3] not in {1, call.out[-3]}:
            part = reduced(part, [-3])  # groups of heads share their keys
        parts.append(part)
    found = union(parts, call.out)
    return (found,) + (None,) * (len(call.op.outputs) - 1)


@sees("multi_head_attention_forward")
def multi_head_attention(call: Call) -> Answer:
    """Its query, and every key and value: [tokens, batch, features]."""
    query, key, value = (call(name) for name in ("query", "key", "value"))
    axis = len(query.shape) - 3 if len(query.shape) == 3 else 0
    others = [mixed(reduced(r, [axis]), [-1]) for r in (key, value)]
    found = union([mixed(query, [-1]), *others], call.out)
    return (found, None)[: len(call.op.outputs)]


@sees("sum", "nansum", "prod", "mean", "nanmean", "amax", "amin", "max", "min", "argmax", "argmin", "logsumexp",
      "special_logsumexp", "norm", "linalg_vector_norm", "var", "std", "var_mean", "std_mean", "all", "any", "median",
      "aminmax", "count_nonzero")  # fmt: skip
def reduction(call: Call) -> Answer:
    """All along the axes that go."""
    if len(call.regions) == 2 and call.op.kind in {"max", "min"}:
        return union(call.regions, call.out)
    rest, named = settings(call)
    wanted = named.get("dim", call.arguments.get("dim"))
    if wanted is None:
        wanted = next(
            (value for value in rest if isinstance(value, (int, list, tuple)) and not isinstance(value, bool)), None
        )
    if isinstance(wanted, bool):
        wanted = None
    rank = len(call.input.shape)
    axes = dims(wanted, rank)
    found = reduced(call.input, axes)
    if len(call.out) != rank:
        found = reduced(call.input, axes, keep=False)
    return (found,) * len(call.op.outputs) if found.shape == call.out else None


@sees("softmax", "log_softmax", "softmin", "special_softmax", "special_log_softmax", "normalize", "sort", "argsort",
      "topk", "gumbel_softmax", "renorm", "cosine_similarity")  # fmt: skip
def along(call: Call) -> Answer:
    """All along its axis; of `renorm`, which scales every slice across an axis by its norm, all along the others."""
    rank = len(call.input.shape)
    default = {"normalize": 1, "cosine_similarity": 1}.get(call.op.kind, -1)
    axis = call("dim", default)
    if not isinstance(axis, (int, tuple)) or isinstance(axis, bool):
        return None
    axes = dims(axis, rank)
    if call.op.kind == "renorm":
        axes = [other for other in range(rank) if other not in axes]
    region = mixed(union(call.regions, call.input.shape) if len(call.regions) > 1 else call.input, axes)
    if call.op.kind == "cosine_similarity":
        return reduced(region, axes, keep=False)
    return tuple(replace(region, shape=tensor.shape) for tensor in call.op.outputs)


@sees("batch_norm")
def batch_norm(call: Call) -> Answer:
    """Its own place; in training the statistics of the whole batch."""
    region = call("input")
    return mixed(region, [i for i in range(len(region.shape)) if i != 1]) if call("training") else region


@sees("layer_norm", "rms_norm")
def layer_norm(call: Call) -> Answer:
    """All along the last axes it normalises."""
    return mixed(call("input"), [-1 - i for i in range(len(call("normalized_shape")))])


@sees("group_norm", "instance_norm")
def group_norm(call: Call) -> Answer:
    """The whole map, over the channels of a group; with statistics of the training its own place."""
    region = call("input")
    if call.op.kind == "instance_norm" and call("use_input_stats", True) is False:
        return region
    groups = call("num_groups", region.shape[1])
    region = mixed(region, range(2, len(region.shape)))
    return channels(region, region.shape[1], len(region.shape) - 2, groups)


@sees("local_response_norm")
def local_response_norm(call: Call) -> Answer:
    """Channels beside it."""
    region, size = call("input"), call("size")
    if not any(extent.varies(1) for extent in region.extents):
        return region
    taps = np.arange(region.shape[1])[:, None] - size // 2 + np.arange(size)
    return gathered(region, 1, taps, None)


@sees("cumsum", "cumprod", "logcumsumexp", "cummax", "cummin")
def cumulative(call: Call) -> Answer:
    """All up to its own place."""
    return (running(call.input, call("dim") % len(call.out)),) * len(call.op.outputs)


def running(region: Region, axis: int, *, back: bool = False) -> Region:
    """Return what is seen where every place along an axis reads all before it, or all behind it."""
    region = agreed(region, [axis])

    def change(extent: Extent) -> Extent:
        if not extent.varies(axis):
            return extent
        ends = np.flip(extent.ends, axis + 1) if back else extent.ends
        ends = np.minimum.accumulate(ends, axis=axis + 1)
        ends = np.flip(ends, axis + 1) if back else ends
        return Extent(np.concatenate([ends[:2], ends[:2]])) if extent.axis == axis else replace(extent, ends=ends)

    return region.shaped(region.shape, change)


@sees("lstm", "gru", "rnn_tanh", "rnn_relu")
def recurrent(call: Call) -> Answer:
    """All times up to its own; in the other direction, all from its own on; a second layer on both, all times.

    The states it begins with are seen by all of their sample.
    """
    region = call("input")
    if len(region.shape) != 3:
        return None
    time = 1 if call("batch_first") else 0
    region = mixed(region, [2])
    last = reduced(region, [time])
    shown = running(region, time)
    if call("bidirectional"):
        half = call.out[2] // 2
        ways = [replace(r, shape=(*r.shape[:2], half)) for r in (shown, running(region, time, back=True))]
        shown = joined(ways, 2, call.out) if call("num_layers") == 1 else mixed(region, [time])
    state = permuted(last, (1, 0, 2)) if time else last
    began = [reduced(r, [0, 2]) for r in regions_in(call("hx"))]
    in_order = [permuted(r, (1, 0, 2)) if time else r for r in began]
    parts = ([shown, *in_order], [state, *began], [state, *began])
    return tuple(union(each, tensor.shape) for each, tensor in zip(parts, call.op.outputs, strict=False))


@sees("rope")
def rope(call: Call) -> Answer:
    """Pairs of its own features."""
    return mixed(call.input, [-1])


@sees("glu")
def glu(call: Call) -> Answer:
    """Itself and the gate half the axis behind."""
    axis = call("dim", -1) % len(call.out)
    taps = np.arange(call.out[axis])[:, None] + np.array([0, call.out[axis]])
    return gathered(call.input, axis, taps, (1, 1))


@sees("index_select", "gather", "take_along_dim")
def looked_up(call: Call) -> Answer:
    """Anything along its axis, at its own place along the others; and the index, which is as long as the output."""
    region, index = call.regions
    axis = call("dim")
    if axis is None or not region.shape:
        return everything(call)
    axis %= len(region.shape)
    if call.op.kind == "index_select":
        index = reshaped(index, [call.out[axis] if i == axis else 1 for i in range(len(region.shape))])
    shape = [call.out[i] if i == axis else size for i, size in enumerate(region.shape)]
    seen = replace(mixed(region, [axis]), shape=tuple(shape))
    for other, size in enumerate(call.out):
        if other != axis and size != seen.shape[other] != 1:
            seen = part(seen, other, slice(size))  # gather reads from the front of the other axes
    return union([seen, index], call.out)


@sees("searchsorted", "bucketize", "isin")
def looked_for(call: Call) -> Answer:
    """Its own value, and all it is compared with: a set, or numbers in order, of which each row of values may have its own."""
    values = regions_in([call("input"), call("elements")])
    ordered = regions_in([call("sorted_sequence"), call("sorter"), call("boundaries")])
    rows = [reduced(region, [-1]) for region in ordered if len(region.shape) > 1]
    sets = [region for region in ordered if len(region.shape) == 1] + regions_in(call("test_elements"))
    return union([*values, *rows, *(still([mixed(r, range(len(r.shape)))], call.out) for r in sets)], call.out)


@sees("nms", "unique", "nonzero", "argwhere", "masked_select", "trace", "dist", "bincount", "histc")
def everything(call: Call) -> Answer:
    """Everything there is to see in what it reads: data say where, or each output is made of all."""
    whole = [mixed(region, range(len(region.shape))) for region in call.regions]
    return tuple(still(whole, tensor.shape) for tensor in call.op.outputs)
