"""What the report's script reads: everything about each network in columns, one entry an op, as plain JSON.

A node is a number: an op its place in the execution order, an input of the network the numbers after the last op, a module
-1, -2 ... in the order of `modules`, whose first is the network itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from archprof import units
from archprof.records import Facts, Op
from archprof.renderers.diagram.fold import fold_repeats
from archprof.renderers.diagram.fuse import Box, single
from archprof.renderers.diagram.tree import Group as Drawn
from archprof.renderers.diagram.tree import Node, Run, grow
from archprof.result import Group, Profile, shape
from archprof.roofline import dtype_of

if TYPE_CHECKING:
    from archprof.renderers.report import Chapter
    from archprof.roofline import Roofline

VERSION = 1
Copies = tuple[tuple[Node, ...], ...]
LONG = 200
"""Characters of an op's settings that are told."""


def document(models: Sequence[Any], profiles: Sequence[Profile], diffs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return all that the script reads."""
    columns = {name: column for profile in profiles for name, column in profile.columns.items()}
    told = {
        name: {
            "unit": column.unit,
            "total": "last" if column.total == "output" else column.total,  # over some ops, the same
            "meaning": column.meaning,
            "parts": list(column.parts),
        }
        for name, column in columns.items()
    }
    return {"version": VERSION, "columns": told, "models": list(models), "diffs": list(diffs)}


def described(chapter: Chapter) -> dict[str, Any]:
    """Return all about one network."""
    profile = chapter.profile
    graph = profile.network
    modules, parents, homes = _modules(profile)
    number = {name: place for place, name in enumerate([op.name for op in (*graph.ops, *graph.inputs)])}
    timing = profile.timing
    return {
        "name": profile.model,
        "source": profile.source,
        "inputs": [{"name": op.name, "shape": shape(op), "dtype": op.outputs[0].dtype} for op in graph.inputs],
        "totals": profile.totals,
        "outside": dict(profile.outside),
        "convention": profile.convention,
        "modules": {
            "path": list(modules),
            "parent": parents,
            "block": [graph.modules.get(path, "") for path in modules],
        },
        "ops": {
            "name": [op.name for op in graph.ops],
            "path": coded(op.path if op.path != op.name else "" for op in graph.ops),
            "module": homes,
            "kind": coded(op.kind for op in graph.ops),
            "layer": coded(op.layer for op in graph.ops),
            "shape": coded(shape(op) for op in graph.ops),
            "formula": coded(_formula(graph.facts[op.name]) for op in graph.ops),
            "settings": coded(map(settings, graph.ops)),
            "weights": coded(_weights(op) for op in graph.ops),
        },
        "values": {name: list(map(_plain, values)) for name, values in profile.values.items()},
        "edges": {
            "from": [number[edge.producer] for edge in graph.edges],
            "to": [number[edge.consumer] for edge in graph.edges],
            "shape": coded(str(edge.tensor) for edge in graph.edges),
        },
        "outputs": sorted({number[name] for name, _ in graph.outputs.values() if name in number}),
        "runs": _runs(profile, {path: place for place, path in enumerate(modules)}, number),
        "gaps": [[number[gap.op], gap.reason] for gap in profile.gaps],
        "rooflines": roofs(chapter.rooflines, profile),
        "memory": chapter.memory,
        "field": chapter.field,
        "missing": dict(chapter.missing),
        "accuracy": chapter.accuracy,
        "timing": None if timing is None else {"device": timing.device, "bare": dataclasses.asdict(timing.bare)},
    }


def coded(values: Iterable[Any]) -> dict[str, list[Any]]:
    """Return a column whose values repeat as its distinct values and the place of each.

    >>> coded(["a", "b", "a"])
    {'of': ['a', 'b'], 'at': [0, 1, 0]}
    """
    places: dict[Any, int] = {}
    at = [places.setdefault(value, len(places)) for value in values]
    return {"of": list(places), "at": at}


def settings(op: Op) -> str:
    """Return the arguments of an op that are no tensors, as text.

    >>> from archprof.records import Op, Tensor
    >>> settings(Op("a", "conv2d", "a", arguments={"input": Tensor((1, 8)), "stride": (2, 2), "bias": None}))
    'stride=2x2'
    """
    found = [f"{name}={_setting(value)}" for name, value in op.arguments.items() if _is_setting(value)]
    text = ", ".join(found)
    return text if len(text) <= LONG else f"{text[:LONG]}..."


def roofs(found: Sequence[Roofline], profile: Profile) -> dict[str, Any] | None:
    """Return the kernels of a network, what each was measured to take, and the least time of each on some devices."""
    macs = [count or 0 for count in profile.values["macs"]]
    if not found or not macs:
        return None
    times = profile.values.get("measured_s")
    kernels = found[0].kernels
    dtype = dtype_of(profile.network.ops[max(range(len(macs)), key=macs.__getitem__)])
    return {
        "kernels": {
            "op": [kernel.ops[0] for kernel in kernels],
            "size": [len(kernel.ops) for kernel in kernels],
            "work": [kernel.work for kernel in kernels],
            "macs": [kernel.macs for kernel in kernels],
            "moved": [sum(kernel.moved) for kernel in kernels],
            "measured_s": None if times is None else [kernel.measured_s(times) for kernel in kernels],
        },
        "devices": [_device(roof, dtype) for roof in found],
    }


def _device(roof: Roofline, dtype: str) -> dict[str, Any]:
    device = roof.device
    return {
        "name": str(device),
        "dtype": dtype,
        "peak": device.peak(dtype),
        "vector_peak": device.vector_peak,
        "bandwidth": device.bandwidth,
        "time_s": roof.time_s,
        "compute_share": roof.share("compute"),
        "times_s": [float(f"{kernel.time_s:.4g}") for kernel in roof.kernels],
        "bounds": "".join(kernel.bound[0] for kernel in roof.kernels),
    }


def _modules(profile: Profile) -> tuple[dict[str, int], list[int], list[int]]:
    """Return the modules with their numbers, the number of the module around each, and around each op."""
    numbers = {"": 0}
    parents = [-1]
    homes = [0] * len(profile.network)

    def walk(group: Group) -> None:
        for part in group.parts:
            if isinstance(part, Group):
                numbers[part.path] = len(parents)
                parents.append(numbers[group.path])
                walk(part)
            else:
                homes[part] = numbers[group.path]

    walk(profile.tree)
    return numbers, parents, homes


def _runs(profile: Profile, modules: Mapping[str, int], ops: Mapping[str, int]) -> list[list[list[int]]]:
    """Return the runs of exact repeats: each a list of copies, each copy a list of nodes."""
    folded = fold_repeats(profile.network, grow(single(profile.network)))
    found = [copies for child in folded.children for copies in _below(child)]
    return [[[number for part in copy for number in _numbers(part, modules, ops)] for copy in run] for run in found]


def _below(child: Node) -> Iterator[Copies]:
    """Yield the copies of every run of exact repeats in what is drawn, those inside other copies included."""
    if isinstance(child, Run) and not child.told:
        yield child.copies
    for part in _parts(child):
        yield from _below(part)


def _numbers(child: Node, modules: Mapping[str, int], ops: Mapping[str, int]) -> list[int]:
    """Return the nodes that a child stands for: more than one where it is a run itself."""
    if isinstance(child, Box):
        return [ops[child.ops[0].name]]
    if isinstance(child, Drawn):
        return [-1 - modules[child.path]]
    return [number for part in _parts(child) for number in _numbers(part, modules, ops)]


def _parts(child: Node) -> list[Node]:
    if isinstance(child, Run):
        return [part for copy in child.copies for part in copy]
    return list(child.children) if isinstance(child, Drawn) else []


def _formula(facts: object) -> str:
    return facts.formula if isinstance(facts, Facts) else ""


def _weights(op: Op) -> str:
    return ", ".join(f"{weight.name.rpartition('.')[2]} {weight.tensor}" for weight in op.weights)


def _is_setting(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return bool(value) and all(map(_is_setting, value))
    return isinstance(value, (str, int, float, bool)) and value != ""


def _setting(value: Any) -> str:
    return "x".join(map(_setting, value)) if isinstance(value, (list, tuple)) else str(value)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: what is neither a number nor unknown is written out."""
    return value if value is None or isinstance(value, (int, float)) else units.written(value, "text")
