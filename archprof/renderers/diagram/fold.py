"""Repeats: which siblings are so equal that drawing one of them with `xN` loses nothing.

Equal means: the same ops with the same settings, shapes, weights, facts, names below the sibling's own, and wiring; and
each copy feeds the next, and nothing but the next. Dense runs are folded too (see `dense`). Siblings that are merely
similar, in all but their sizes, are folded where that is asked for only, and then it is said what varies.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeAlias

from archprof.records import Unknown
from archprof.renderers.diagram.alike import inside, is_renaming, likeness, varying
from archprof.renderers.diagram.dense import dense_run
from archprof.renderers.diagram.tree import Group, Node, Run, ops

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archprof.graph import Graph
    from archprof.records import Op

LONGEST_PERIOD = 4
Slot: TypeAlias = tuple[int, int]
"""A consumer's number within its copy and the position of the input, or a producer's and the number of the output."""

Source: TypeAlias = tuple[int, int] | tuple[str, int]
"""An output of an op, which goes by its number within the copy before, or by its name where it is outside the run."""


def fold_repeats(graph: Graph, root: Group, *, similar: bool = False) -> Group:
    """Return the tree with every run of exact repeats among siblings turned into a Run, at every level.

    With `similar`, siblings that differ in their sizes only are runs too.
    """

    def fold(group: Group) -> Group:
        if group.is_stub:
            return group
        siblings = _Siblings(
            graph, tuple(fold(child) if isinstance(child, Group) else child for child in group.children)
        )
        folded: list[Node] = []
        start = 0
        while start < len(siblings.nodes):
            run = siblings.longest_run(start, similar=similar)
            folded.append(run or siblings.nodes[start])
            start += sum(map(len, run.copies)) if run else 1
        return Group(group.path, tuple(folded))

    return fold(root)


@dataclass(frozen=True)
class _Copy:
    """What a stretch of siblings shows to the outside: its ops, where it reads, what is read of it and by whom."""

    ops: dict[str, int]
    inner: frozenset[tuple[Slot, Slot]]
    reads: dict[Slot, tuple[str, int]]
    exports: frozenset[Slot]
    readers: frozenset[str]
    leaves: bool

    @property
    def inside(self) -> object:
        """What equal copies have in common: inner wires, what is read of them, and which readings are of one tensor."""
        numbers: dict[tuple[str, int], int] = {}
        pattern = [(slot, numbers.setdefault(source, len(numbers))) for slot, source in sorted(self.reads.items())]
        return self.inner, self.exports, pattern


class _Siblings:
    """The children of one group, each with a number that says which of them have the same content."""

    def __init__(self, graph: Graph, nodes: tuple[Node, ...]) -> None:
        self.graph, self.nodes = graph, nodes
        kinds: dict[object, int] = {}
        told = partial(_alike, graph)
        self.classes = [kinds.setdefault(inside(graph, node, told), len(kinds)) for node in nodes]

    @cached_property
    def likes(self) -> tuple[list[int], list[tuple[int, ...]]]:
        """The siblings' contents without their sizes, equal ones by one number, and the sizes."""
        kinds: dict[object, int] = {}
        found = [likeness(self.graph, node) for node in self.nodes]
        return [kinds.setdefault(like.content, len(kinds)) for like in found], [like.sizes for like in found]

    def longest_run(self, start: int, *, similar: bool) -> Run | None:
        """Return the run beginning at `start` that covers most siblings, of the shortest period among those.

        An exact one goes before one that is not.
        """
        periods = range(1, LONGEST_PERIOD + 1)
        runs = [self.run(start, period, self.classes) for period in periods]
        runs.append(dense_run(self.graph, self.nodes, start))
        runs += [self.similar_run(start, period) for period in periods if similar]
        return max(filter(None, runs), key=lambda run: sum(map(len, run.copies)), default=None)

    def similar_run(self, start: int, period: int) -> Run | None:
        """Return the run of siblings that are equal but for their sizes; what is equal in the first is so in all."""
        contents, sizes = self.likes
        run = self.run(start, period, contents)
        if run is None:
            return None
        members = [
            tuple(size for place in range(at, at + period) for size in sizes[place])
            for at in range(start, start + period * len(run.copies), period)
        ]
        count = next((n for n, member in enumerate(members) if not is_renaming(members[0], member)), len(members))
        told = varying(members[:count])
        if count < 2 or not told:
            return None
        last = [self.graph[ops(copy)[-1].name].outputs[0].shape for copy in run.copies[:count]]
        return replace(run, copies=run.copies[:count], told=f"similar: {' · '.join(varying(last) or told[:1])}")

    def run(self, start: int, period: int, classes: Sequence[int]) -> Run | None:
        """Return the run of `period` siblings a copy beginning at `start`, or None where there are not two copies."""
        model = classes[start : start + period]
        if classes[start + period : start + 2 * period] != model:
            return None
        seen: list[_Copy] = []
        links: dict[Slot, Source] | None = None
        place = start
        while place + period <= len(self.nodes) and classes[place : place + period] == model:
            copy = _copy(self.graph, self.nodes[place : place + period])
            if seen:
                found = _links(seen[-1], copy)
                if found is None or found != (links or found) or copy.inside != seen[0].inside:
                    break
                links = found
            seen.append(copy)
            place += period
        if links is None:
            return None
        copies = tuple(self.nodes[at : at + period] for at in range(start, place, period))
        loops = ((source[0], source[1], *slot) for slot, source in sorted(links.items()) if isinstance(source[0], int))
        return Run(copies, tuple(loops))


def _links(before: _Copy, copy: _Copy) -> dict[Slot, Source] | None:
    """Return where `copy` reads: an output of `before`, or what `before` reads at the same slot; None where neither.

    None too where somebody else reads `before`, or where `copy` reads nothing of it.
    """
    if before.leaves or not before.readers <= copy.ops.keys():
        return None
    links: dict[Slot, Source] = {}
    for slot, (producer, output) in copy.reads.items():
        if producer in before.ops:
            links[slot] = (before.ops[producer], output)
        elif before.reads.get(slot) == (producer, output):
            links[slot] = (producer, output)
        else:
            return None
    return links if before.readers else None


def _copy(graph: Graph, nodes: Sequence[Node]) -> _Copy:
    """Return what the siblings `nodes`, taken together, show to the outside."""
    number = {op.name: place for place, op in enumerate(ops(nodes))}
    inner: set[tuple[Slot, Slot]] = set()
    reads: dict[Slot, tuple[str, int]] = {}
    exports: set[Slot] = set()
    readers: set[str] = set()
    for name, place in number.items():
        for edge in graph.reads(name):
            if edge.producer in number:
                inner.add(((number[edge.producer], edge.output), (place, edge.position)))
            else:
                reads[place, edge.position] = edge.producer, edge.output
        for edge in graph.feeds(name):
            if edge.consumer not in number:
                readers.add(edge.consumer)
                exports.add((place, edge.output))
    left = {(number[name], output) for name, output in graph.outputs.values() if name in number}
    return _Copy(number, frozenset(inner), reads, frozenset(exports | left), frozenset(readers), bool(left))


def _alike(graph: Graph, op: Op, prefix: str) -> object:
    """Return all that matters about one op; settings by their repr, since 1, 1.0 and True are equal but not alike."""
    path = op.path.removeprefix(prefix) if op.path.startswith(prefix) else None
    settings = tuple((name, repr(value)) for name, value in sorted(op.arguments.items()))
    facts = graph.facts.get(op.name)
    weights = tuple((w.tensor, w.is_trainable, w.is_buffer) for w in op.weights)
    owned = tuple(w.tensor for w in graph.owned_weights.get(op.name, ()))
    known = None if facts is None or isinstance(facts, Unknown) else facts
    return path, op.kind, op.layer, settings, op.inputs, op.outputs, weights, owned, known
