"""Receptive fields: what every op's outputs see of the input, axis by axis, as intervals of positions.

Intervals are exact for a network without particular weights: what lies beyond a border is padding and sees nothing.
Holes inside an interval (dilation, strides) are not told, and attention masks and zeros are values, and not looked at.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archprof.errors import UserError
from archprof.graph import Graph
from archprof.ops import RULES, tensors
from archprof.receptive.region import Region, nothing, start, union
from archprof.receptive.rules import SEES, Call, put, regions_in
from archprof.receptive.summary import COLUMNS, Field, by_axis, misaligned, summary
from archprof.records import Column, Facts, Op, Weight

ELSEWHERE = frozenset({"cross", "linalg_cross", "glu"})
"""Kinds in the family of elementwise ops that read more than the element of the same place."""
SAME = frozenset({
    "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout", "feature_dropout",
    "contiguous", "clone", "triu", "tril", "detach", "to", "type_as", "cpu", "type", "float", "half", "bfloat16", "double",
    "int", "long", "short", "char", "byte", "bool", "cfloat", "cdouble", "requires_grad", "resolve_conj",
    "resolve_neg", "conj", "real", "imag",
    "deepcopy", "scaled_tanh",
})  # fmt: skip
"""Kinds outside that family that read the element of the same place."""


ANYWHERE = frozenset({
    "roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool", "grid_sample", "deform_conv2d", "gather", "index_select",
    "take_along_dim", "nms", "topk", "sort", "argsort", "max_unpool1d", "max_unpool2d", "max_unpool3d",
    "fractional_max_pool2d", "fractional_max_pool3d", "masked_select",
})  # fmt: skip
"""Kinds whose data say where they read: what they may see is told, which is all there is along an axis."""


@dataclass(frozen=True, slots=True)
class Fields:
    """The receptive fields of a graph: by op name what each output sees (None: unknown), the input and its axes, warnings."""

    input: str
    axes: tuple[int, ...]
    sizes: tuple[int, ...]
    regions: Mapping[str, tuple[Region | None, ...]]
    fields: Mapping[str, tuple[Field, ...] | None]
    warnings: tuple[str, ...] = ()

    @property
    def unknown(self) -> tuple[str, ...]:
        """The ops of which nobody knows what they see, and all behind them."""
        return tuple(name for name, found in self.fields.items() if found is None)


def receptive_field(
    graph: Graph,
    reads: Mapping[str, Sequence[Weight | int | None]] | None = None,
    *,
    input: str = "",
    writes: Collection[str] = (),
) -> Fields:
    """Return what every op sees of an input (without a name: the first with enough axes) along its spatial axes.

    `reads` says of the tensors in an op's arguments which are inputs, as a trace does; without it they are found by their
    shapes. `writes` are ops that write into their first input.
    """
    name, axes = chosen(graph, input)
    known: dict[tuple[str, int], Region | None] = {}
    for node in graph.inputs:
        shape = node.outputs[0].shape
        known[node.name, 0] = start(shape, axes) if node.name == name else nothing(shape, len(axes))
    shape = graph[name].outputs[0].shape
    sizes = tuple(shape[axis] for axis in axes)
    fields: dict[str, tuple[Field, ...] | None] = {}
    told: dict[Any, tuple[Field, ...] | None] = {}
    warnings: list[str] = []
    for op in graph.ops:
        sources = {edge.position: (edge.producer, edge.output) for edge in graph.reads(op.name)}
        regions = [known.get(sources[i]) if i in sources else None for i in range(len(op.inputs))]
        found = _seen(op, regions, (reads or {}).get(op.name), len(axes))
        for place in range(len(op.outputs)):
            region = found[place] if place < len(found) else None
            fits = region is not None and region.shape == op.outputs[place].shape
            known[op.name, place] = region if fits else None
        into = next(iter((reads or {}).get(op.name, ())), 0)  # else it is a weight that is written into
        if into == 0 and (op.kind in {"copy", "setitem"} or op.name in writes):
            _write_through(graph, op, known)
        region, joins = known.get((op.name, 0)), op.kind in JOINS
        key = region and tuple(map(id, region.extents))  # most ops see what the one before them does
        if joins:
            fields[op.name] = summary(region, sizes, regions)
            warnings += misaligned(op, regions)
            continue
        if key not in told:
            told[key] = summary(region, sizes)
        fields[op.name] = told[key]
    regions_by = {op.name: tuple(known[op.name, i] for i in range(len(op.outputs))) for op in graph.ops}
    return Fields(name, axes, sizes, regions_by, fields, tuple(warnings))


def fields_of(traced: Any, input: str = "") -> Fields:
    """Return the receptive fields of what was traced, with what it knows beyond the graph: which op writes into its input."""
    writes = {
        name for name, seen in traced.seen.items() if seen.call and _writes(getattr(seen.call[0], "__name__", ""))
    }
    return receptive_field(traced.graph, traced.reads, input=input, writes=writes)


def _writes(name: str) -> bool:
    return (name.endswith("_") and not name.endswith("__")) or name in {
        "__iadd__",
        "__isub__",
        "__imul__",
        "__itruediv__",
    }


def columns(traced: Any) -> list[tuple[Column, list[Any]]]:
    """Return a column each for the size, stride and padding of what every op sees, per axis of the input."""
    found = fields_of(traced).fields
    rows = [found[op.name] for op in traced.graph.ops]
    texts = (
        [row and by_axis([field.size for field in row]) for row in rows],
        [row and by_axis([field.stride_text for field in row]) for row in rows],
        [row and by_axis(["-" if field.padding is None else field.padding for field in row]) for row in rows],
    )
    return list(zip(COLUMNS.values(), texts, strict=True))


JOINS = frozenset({"add", "cat", "concat", "sub", "stack"})


def chosen(graph: Graph, wanted: str = "") -> tuple[str, tuple[int, ...]]:
    """Return the input that is looked at, and its spatial axes: as many of its last as the network's first window has.

    Where nothing slides, they are all behind the batch, or behind batch and channels where there are more than two.
    """
    count = next(filter(None, map(_sliding, graph.ops)), 0)  # a later one may slide over keys, or over words
    inputs = {node.name: node.outputs[0].shape for node in graph.inputs}
    if wanted and wanted not in inputs:
        raise UserError(f"there is no input {wanted!r}: the inputs are {', '.join(inputs)}")
    for name, shape in inputs.items():
        rank = len(shape)
        if rank > max(1, count) - (name == wanted) and name == (wanted or name):
            return name, tuple(range(rank - count if count else 1 if rank < 4 else 2, rank))
    raise UserError("it has no input with an axis along which to look")


def _sliding(op: Op) -> int:
    """Return along how many axes an op slides or resamples."""
    if op.kind == "interpolate":
        return len(op.outputs[0].shape) - 2
    found = re.search(r"(conv|pool|conv_transpose)(\d)d", op.kind)
    return int(found[2]) if found else 2 * (op.kind in {"subsample", "pixel_shuffle", "roi_align", "grid_sample"})


def _seen(
    op: Op, regions: Sequence[Region | None], reads: Sequence[Weight | int | None] | None, axes: int
) -> tuple[Region | None, ...]:
    """Return what each output of an op sees."""
    if any(region is None for region in regions):
        return ()
    inputs = [region for region in regions if region is not None]
    blank = tuple(nothing(tensor.shape, axes) for tensor in op.outputs)
    if all(region.is_nothing for region in inputs):
        return blank
    own = RULES.get(op.kind)
    if own is not None and own.function.__name__ == "make":
        return blank
    named = _bound(op, inputs, reads, axes)
    if named is None:
        return ()
    call = Call(op, named, tuple(regions_in(named)), axes)
    rule = SEES.get(op.kind)
    try:
        if rule is not None:
            answer = rule(call)
        elif op.kind in SAME:
            answer = call.input
        elif own and own.function.__module__ == "archprof.ops.pointwise" and op.kind not in ELSEWHERE:
            answer = union(call.regions, call.out)
        else:
            return ()
    except (ValueError, IndexError, TypeError, AttributeError, KeyError, ArithmeticError):
        return ()  # arguments that the rule did not foresee
    return answer if isinstance(answer, tuple) else (answer,)


def _bound(
    op: Op, inputs: Sequence[Region], reads: Sequence[Weight | int | None] | None, axes: int
) -> Mapping[str, Any] | None:
    """Return an op's arguments with regions in place of tensors; None where it cannot be told which is which."""
    found = tensors(op.arguments)
    rest = list(range(len(inputs)))
    ordered = []
    if reads is not None and len(reads) == len(found):
        ordered = [inputs[r] if type(r) is int else nothing(t.shape, axes) for r, t in zip(reads, found, strict=True)]
        if all(region.shape == tensor.shape for region, tensor in zip(ordered, found, strict=True)):
            return put(op.arguments, ordered)
    ordered = []
    for tensor in found:
        match = next((i for i in rest if op.inputs[i] == tensor), None)
        ordered.append(nothing(tensor.shape, axes) if match is None else inputs[match])
        if match is not None:
            rest.remove(match)
    return None if rest else put(op.arguments, ordered)


def _write_through(graph: Graph, op: Op, known: dict[tuple[str, int], Region | None]) -> None:
    """Have a tensor see what is written into a part of it: what a view of it was, or a view of a view."""
    from archprof.receptive.indexing import written

    above = graph.reads(op.name)[:1]
    value = known.get((op.name, 0))
    seen = known.get((above[0].producer, above[0].output)) if above else None
    if value is not None and seen is not None and all(map(operator.is_, value.extents, seen.extents)):
        return  # it sees what it did before: an activation
    while above and _is_view(graph, view := graph[above[0].producer]):
        above = graph.reads(view.name)[:1]
        for base in above:
            key = base.producer, base.output
            before = known.get(key)
            simple = view.kind == "getitem" and before is not None and value is not None
            value = known[key] = written(before, view.arguments.get("index"), value) if simple else None  # type: ignore[bad-argument-type]


def _is_view(graph: Graph, op: Op) -> bool:
    facts = graph.facts.get(op.name)
    return op.kind != "input" and isinstance(facts, Facts) and facts.is_view
