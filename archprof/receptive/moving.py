"""What ops see that move elements: views, slices, concatenations, copies into a part."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from archprof.receptive.gathering import gathered
from archprof.receptive.indexing import part
from archprof.receptive.region import (
    Extent,
    Region,
    aligned,
    common_pitch,
    dropped,
    permuted,
    reshaped,
)
from archprof.receptive.rules import Answer, Call, dims, sees


def settings(call: Call) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments behind the first, by position and by name, of a rule that takes any."""
    arguments = dict(call.arguments)
    if "inputs" not in arguments and "settings" not in arguments and "input" not in arguments:
        rest = [value for name, value in arguments.items() if name.isdecimal()][1:]
        return rest, {name: value for name, value in arguments.items() if not name.isdecimal()}
    loose = arguments.pop("settings", {})
    options = arguments.pop("options", {})
    named = {**(loose if isinstance(loose, dict) else {}), **options}
    rest = list(arguments.pop("inputs", ())) or [
        arguments.pop("input", None),
        *(loose if isinstance(loose, tuple) else ()),
    ]
    return rest[1:], {**named, **arguments}


def given(rest: Sequence[Any], named: Mapping[str, Any], *names: Sequence[str]) -> list[Any]:
    """Return arguments in the order of `names`, those that are there: by position first, then by any name they go by."""
    found = list(rest[: len(names)])
    for spellings in names[len(found) :]:
        found += [named[name] for name in spellings if name in named][:1]
    return found


def whole_numbers(values: Sequence[Any]) -> list[int]:
    """Return sizes or axes given as one tuple or one by one."""
    flat = values[0] if len(values) == 1 and isinstance(values[0], (list, tuple)) else values
    return list(flat)


@sees("flatten", "view", "reshape", "ravel", "unflatten", "view_as", "reshape_as", "squeeze", "unsqueeze", "atleast_1d",
      "atleast_2d", "atleast_3d")  # fmt: skip
def reshape(call: Call) -> Answer:
    """The same elements in the same order."""
    return reshaped(call.input, call.out) if math.prod(call.input.shape) == math.prod(call.out) else None


@sees("permute", "transpose", "swapaxes", "swapdims", "t", "adjoint", "movedim", "moveaxis", "get")
def permute(call: Call) -> Answer:
    """The same elements with their axes in another order."""
    rank = len(call.input.shape)
    rest, named = settings(call)
    order = list(range(rank))
    kind = call.op.kind
    if kind == "permute":
        order = [axis % rank for axis in whole_numbers(given(rest, named, ("dims",)) if named else rest)]
    elif kind in {"movedim", "moveaxis"}:
        left, right = (dims(value, rank) for value in given(rest, named, ("source",), ("destination",)))
        order = [axis for axis in order if axis not in left]
        for place, axis in sorted(zip(right, left, strict=True)):
            order.insert(place, axis)
    elif kind in {"transpose", "swapaxes", "swapdims"} or rank > 1:
        rest = given(rest, named, ("dim0", "axis0"), ("dim1", "axis1"))
        a, b = dims(whole_numbers(rest), rank) if kind[:1] == "s" or kind == "transpose" else (rank - 2, rank - 1)
        if kind == "get" and call.out == call.input.shape:
            return None if call.out[-1] == call.out[-2] else call.input
        order[a], order[b] = order[b], order[a]
    found = permuted(call.input, order)
    return found if found.shape == call.out else None


@sees("expand", "expand_as", "broadcast_to", "expand_copy")
def expand(call: Call) -> Answer:
    """The same elements again and again."""
    return replace(aligned(call.input, len(call.out)), shape=call.out)


@sees("broadcast_tensors", "meshgrid")
def spread(call: Call) -> Answer:
    """Each tensor broadcast; a grid only of constants."""
    if call.op.kind == "broadcast_tensors":
        return tuple(replace(aligned(region, len(call.out)), shape=call.out) for region in call.regions)
    return call.blank() if all(region.is_nothing for region in call.regions) else None


@sees("repeat", "tile")
def repeat(call: Call) -> Answer:
    """The tensor several times along its axes."""
    region = aligned(call.input, len(call.out))
    for axis, size in enumerate(call.out):
        if size != region.shape[axis]:
            line = np.arange(size) % region.shape[axis]
            region = gathered(region, axis, line[:, None], None)
    return region


@sees("repeat_interleave")
def repeat_interleave(call: Call) -> Answer:
    """Every element several times, one after the other."""
    changed = [axis for axis, (a, b) in enumerate(zip(call.input.shape, call.out, strict=False)) if a != b]
    if len(call.input.shape) != len(call.out) or len(changed) > 1 or len(call.regions) > 1:
        return None
    region = call.input
    for axis in changed:
        times = call.out[axis] // region.shape[axis]
        region = gathered(region, axis, np.arange(call.out[axis])[:, None] // times, (times, 1))
    return region


@sees("flip", "fliplr", "flipud", "roll")
def turn(call: Call) -> Answer:
    """The elements backwards, or moved along with those that fall off put in front."""
    rest, named = settings(call)
    rank = len(call.out)
    region = call.input
    if call.op.kind == "roll":
        asked = given(rest, named, ("shifts",), ("dims",))
        if len(asked) < 2 or asked[1] is None:
            return None
        shifts, axes = asked
        shifts = (shifts,) if isinstance(shifts, int) else shifts
        moves = zip(dims(axes, rank), shifts, strict=True)
    else:
        fixed = {"fliplr": [1], "flipud": [0]}
        axes = fixed.get(call.op.kind) or dims(whole_numbers([*rest, *named.values()]), rank)
        moves = ((axis, None) for axis in axes)
    for axis, shift in moves:
        line = np.arange(region.shape[axis])
        line = line[::-1] if shift is None else (line - shift) % region.shape[axis]
        region = gathered(region, axis, line[:, None], None)
    return region


@sees("chunk", "split", "split_with_sizes", "tensor_split", "unsafe_chunk", "unsafe_split", "unsafe_split_with_sizes",
      "hsplit", "vsplit", "dsplit")  # fmt: skip
def split(call: Call) -> Answer:
    """Pieces along one axis, one after the other."""
    rank = len(call.input.shape)
    shapes = [tensor.shape for tensor in call.op.outputs]
    rest, named = settings(call)
    axis = named.get("dim", rest[1] if len(rest) > 1 else {"hsplit": 1, "dsplit": 2}.get(call.op.kind, 0)) % rank
    parts, begin = [], 0
    for shape in shapes:
        parts.append(part(call.input, axis, slice(begin, begin + shape[axis])))
        begin += shape[axis]
    return tuple(parts) if begin == call.input.shape[axis] else None


@sees("unbind")
def unbind(call: Call) -> Answer:
    """Slices along one axis."""
    rest, named = settings(call)
    axis = (rest[0] if rest else named.get("dim", 0)) % len(call.input.shape)
    return tuple(dropped(part(call.input, axis, slice(i, i + 1)), [axis]) for i in range(len(call.op.outputs)))


@sees("narrow", "narrow_copy", "select")
def narrow(call: Call) -> Answer:
    """A piece along one axis, or one place."""
    rest, named = settings(call)
    names = ("dim", "index") if call.op.kind == "select" else ("dim", "start", "length")
    axis, start, length = [*rest, *(named[name] for name in names[len(rest) :]), 1][:3]
    if not isinstance(start, int):
        return None
    axis %= len(call.input.shape)
    start %= call.input.shape[axis] or 1
    found = part(call.input, axis, slice(start, start + length))
    return dropped(found, [axis]) if call.op.kind == "select" else found


@sees("cat", "concat", "concatenate", "hstack", "vstack", "dstack", "row_stack", "column_stack")
def cat(call: Call) -> Answer:
    """The tensors one after the other."""
    stacked = {"vstack": 0, "row_stack": 0, "hstack": 1, "column_stack": 1, "dstack": 2}
    if call.op.kind in stacked and any(len(region.shape) != len(call.out) for region in call.regions):
        return None
    axis = stacked.get(call.op.kind, call("dim", 0)) % len(call.out)
    return joined([r for r in call.regions if len(r.shape) == len(call.out)], axis, call.out)


def joined(parts: Sequence[Region], axis: int, shape: Sequence[int]) -> Region:
    """Return tensors one after the other along an axis."""
    extents = []
    for each in zip(*(region.extents for region in parts), strict=True):
        varied = any(e.ends.shape[axis + 1] > 1 for e in each) or any(
            e.ends.shape != each[0].ends.shape or (e.ends != each[0].ends).any() for e in each[1:]
        )
        seen = [e for e, region in zip(each, parts, strict=True) if not region.is_nothing]
        where, pitch = common_pitch(seen)
        where, pitch = (None, None) if where == axis else (where, pitch)
        if not varied:
            extents.append(Extent(each[0].ends, where, pitch))
            continue
        wide = np.broadcast_shapes(*((*e.ends.shape[: axis + 1], 1, *e.ends.shape[axis + 2 :]) for e in each))
        pieces = [np.broadcast_to(e.ends, (*wide[: axis + 1], region.shape[axis], *wide[axis + 2 :]))
                  for e, region in zip(each, parts, strict=True)]  # fmt: skip
        extents.append(Extent(np.concatenate(pieces, axis + 1), where, pitch))
    return Region(tuple(shape), tuple(extents))


@sees("stack")
def stack(call: Call) -> Answer:
    """The tensors beside each other, along a new axis."""
    axis = call("dim", 0) % len(call.out)
    one = (*call.out[:axis], 1, *call.out[axis + 1 :])
    return joined([reshaped(region, one) for region in call.regions], axis, call.out)


@sees("channel_shuffle")
def channel_shuffle(call: Call) -> Answer:
    """Channel i of group g is channel g of group i."""
    region, groups = call.input, call("groups", position=1)
    c = region.shape[1]
    order = np.arange(c).reshape(groups, c // groups).T.reshape(-1)
    return gathered(region, 1, order[:, None], None)


@sees("copy")
def copy(call: Call) -> Answer:
    """What the tensor sees that is copied."""
    return replace(aligned(call.regions[1], len(call.out)), shape=call.out)


@sees("split_heads", "merge_heads")
def heads(call: Call) -> Answer:
    """Features to heads in front, or back."""
    *lead, a, b = call.input.shape
    if call.op.kind == "split_heads":
        count = call.out[-3]
        rank = len(lead)
        found = reshaped(call.input, (*lead, a, count, b // count))
        return permuted(found, (*range(rank), rank + 1, rank, rank + 2))
    rank = len(lead) - 1
    return reshaped(permuted(call.input, (*range(rank), rank + 1, rank, rank + 2)), call.out)
