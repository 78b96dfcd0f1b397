"""Dense runs: layers of which each reads all earlier ones, as in a DenseNet.

They are no copies of one another, since each reads more than the one before; but the first, their number and what each
adds tell all of them. Nothing is folded where one of them reads anything else, or differs in anything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from archprof.renderers.diagram.alike import Likeness, grows, likeness, varying
from archprof.renderers.diagram.fuse import CONCATS, Box
from archprof.renderers.diagram.tree import Group, Node, Run, ops

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archprof.graph import Graph

FEWEST = 3
"""Two layers are no run: the second of any chain reads all earlier ones."""
WORDS = "each layer reads all earlier ones"

Source = tuple[str, int]
"""A tensor: the op that made it, and which of its outputs it is."""


@dataclass(frozen=True)
class _Layer:
    """One of the run, with the concat behind it if there is one: what it reads, in order, the one tensor it makes."""

    graph: Graph
    nodes: tuple[Node, ...]
    reads: tuple[Source, ...]
    made: Source

    @cached_property
    def likes(self) -> tuple[Likeness, ...]:
        return tuple(likeness(self.graph, node) for node in self.nodes)

    @property
    def content(self) -> list[object]:
        return [part.content for part in self.likes]

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(size for part in self.likes for size in part.sizes)


def dense_run(graph: Graph, nodes: Sequence[Node], start: int) -> Run | None:
    """Return the dense run that begins at `start`: of groups alone, or each with the concat of all so far behind it."""
    for period in (2, 1):
        found: list[_Layer] = []
        for place in range(start, len(nodes) - period + 1, period):
            layer = _layer(graph, tuple(nodes[place : place + period]))
            if layer is None or (found and not _follows(found, layer)):
                break
            found.append(layer)
        if len(found) >= FEWEST and _is_closed(graph, found):
            words = varying([layer.sizes for layer in found])
            return Run(tuple(layer.nodes for layer in found), told=f"{WORDS}: {words[0]}")
    return None


def _layer(graph: Graph, nodes: tuple[Node, ...]) -> _Layer | None:
    """Return what a group and the concat behind it are to a dense run; None where they cannot be part of one."""
    group = nodes[0]
    if not isinstance(group, Group) or group.is_stub:
        return None
    names = [op.name for op in ops([group])]
    inside = set(names)
    outer = [edge for name in names for edge in graph.reads(name) if edge.producer not in inside]
    reads = tuple(dict.fromkeys(part for edge in outer for part in _parts(graph, (edge.producer, edge.output))))
    made = {(name, edge.output) for name in names for edge in graph.feeds(name) if edge.consumer not in inside}
    if len(made) != 1 or not inside.isdisjoint(name for name, _ in graph.outputs.values()):
        return None
    layer = _Layer(graph, nodes, reads, made.pop())
    if len(nodes) > 1:
        (last,) = nodes[1:]
        concats = [op.name for op in last.spoken if op.kind in CONCATS] if isinstance(last, Box) else []
        if len(concats) != 1 or _parts(graph, (concats[0], 0)) != [*reads, layer.made]:
            return None
    return layer


def _follows(found: Sequence[_Layer], layer: _Layer) -> bool:
    """Tell whether a layer reads all that the last one reads, and what that made, and grows as all before it did."""
    last = found[-1]
    if layer.reads != (*last.reads, last.made) or layer.content != last.content:
        return False
    return grows([*(one.sizes for one in found), layer.sizes])


def _is_closed(graph: Graph, found: Sequence[_Layer]) -> bool:
    """Tell whether the ops outside that read one layer read all of them, and read no concat but the last."""
    run = {op.name for layer in found for op in ops(layer.nodes)}
    readers = [{edge.consumer for edge in graph.feeds(layer.made[0])} - run for layer in found]
    between = [op.name for layer in found[:-1] for op in ops(layer.nodes[1:])]
    leaving = {name for name, _ in graph.outputs.values()}
    return (
        all(part == readers[0] for part in readers)
        and all(run.issuperset(graph.consumers(name)) for name in between)
        and leaving.isdisjoint(between)
    )


def _parts(graph: Graph, source: Source) -> list[Source]:
    """Return the tensors that a tensor is a concat of, at any depth along one axis; itself for any other.

    What holds one tensor twice is no dense concat, and counts as itself: written out, it could be of any length.
    """
    found: list[Source] = []
    seen: set[Source] = set()
    axis = ""
    left = [source]
    while left:
        part = left.pop()
        if part in seen:
            return [source]
        seen.add(part)
        op = graph[part[0]]
        own = repr(op.arguments.get("dim", op.arguments.get("axis", 0)))
        if op.kind in CONCATS and own == (axis or own):
            axis = own
            left += reversed([(edge.producer, edge.output) for edge in graph.reads(op.name)])
        else:
            found.append(part)
    return found
