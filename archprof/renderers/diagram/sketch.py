"""What is drawn once some groups are open: frames with pieces in them, and the wires between the pieces.

It knows the structure only: no colours, no labels, no Graphviz.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from archprof.graph import INPUT
from archprof.renderers.diagram.fuse import Box
from archprof.renderers.diagram.running import running
from archprof.renderers.diagram.tree import Group, Node, Run, copy_numbers, last_path_of, ops, path_of, representatives

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

    from archprof.graph import Graph
    from archprof.records import Tensor


@dataclass(frozen=True)
class Piece:
    """A drawn node: a box, or a closed group, once or `copies` times.

    `names` are all the ops it stands for, `within` is the group it is drawn in, `paths` are those of the first and the
    last copy, and copies that are not equal have `told` what varies.
    """

    node: Box | Group
    copies: int
    within: str
    names: tuple[str, ...]
    paths: tuple[str, str]
    told: str = ""


@dataclass(frozen=True)
class Frame:
    """A drawn cluster: an open group, or the members of a run, once or `copies` times.

    It may be `continued` from another column.
    """

    node: Group | Run
    copies: int
    within: str
    names: tuple[str, ...]
    paths: tuple[str, str]
    children: tuple[Frame | Piece, ...]
    level: int = 0
    continued: bool = False
    told: str = ""


Part: TypeAlias = Frame | Piece


@dataclass
class Wire:
    """All tensors that go from one piece to another, as one line: the most bytes of any, and the first one's place."""

    source: int
    target: int
    tensor: Tensor
    output: tuple[str, int]
    bytes: int


@dataclass(frozen=True)
class Sketch:
    """Frames and pieces, the pieces in the order of execution, and the wires by the places of their pieces.

    `copies` are all the ops that are drawn as one, by the name of any of them.
    """

    root: Frame
    pieces: tuple[Piece, ...]
    wires: tuple[Wire, ...]
    ranks: tuple[int, ...]
    tails: tuple[int, ...]
    copies: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def is_main(self, wire: Wire) -> bool:
        """Tell whether a wire is part of a longest way through the network, which is to be drawn straight."""
        adjacent = self.ranks[wire.target] == self.ranks[wire.source] + 1
        return adjacent and self.ranks[wire.source] + 1 + self.tails[wire.target] == self._longest

    @cached_property
    def _longest(self) -> int:
        return max(map(sum, zip(self.ranks, self.tails, strict=True)))

    @cached_property
    def virtual(self) -> int:
        """What a layered layout has to place: a node for each piece and one for each rank a wire passes."""
        spans = (self.ranks[wire.target] - self.ranks[wire.source] for wire in self.wires)
        return len(self.pieces) + sum(max(0, span - 1) for span in spans)


class Sketcher:
    """Draws one tree under different sets of open groups, without looking at the graph anew."""

    def __init__(self, graph: Graph, root: Group) -> None:
        """Find out which op stands for which, and which wires a fold swallows."""
        self.graph = graph
        self.root = root
        self.model = representatives(root)
        self._names: dict[int, tuple[str, ...]] = {}
        self.standing: dict[str, list[str]] = {}
        for op in (*graph.inputs, *graph.ops):
            self.standing.setdefault(self.model[op.name], []).append(op.name)
        self._copies = {name: self.standing[first] for name, first in self.model.items()}
        numbers = copy_numbers(root)
        edges = running(graph)
        self.edges = [edge for edge in edges if not _loops(numbers[edge.producer], numbers[edge.consumer])]
        own = {(edge.producer, edge.consumer) for edge in graph.edges}
        self.has_running = any((edge.producer, edge.consumer) not in own for edge in self.edges)

    def names(self, node: Node) -> tuple[str, ...]:
        """Return the ops that `node`, a drawn copy, stands for."""
        if id(node) not in self._names:
            self._names[id(node)] = self._standing(node)
        return self._names[id(node)]

    def _standing(self, node: Node) -> tuple[str, ...]:
        return tuple(name for op in ops([node]) if self.model[op.name] == op.name for name in self.standing[op.name])

    def sketch(self, opened: Container[str]) -> Sketch:
        """Return what is drawn when the groups whose paths are in `opened` are open; the root always is."""
        root = self._part(self.root, "", opened, 0)
        if not isinstance(root, Frame):  # the root is always open
            raise TypeError(root)
        found = tuple(pieces(root))
        wires = tuple(self._wires(found))
        return Sketch(root, found, wires, *_ranks(len(found), wires), copies=self._copies)

    def _part(self, node: Node, within: str, opened: Container[str], level: int) -> Part:
        """Return what is drawn of `node`, which stands in the group `within`."""
        if isinstance(node, Run) and len(node.copies[0]) == 1:
            part = self._part(node.copies[0][0], within, opened, level)
            # a copy may be a run itself, where a group held nothing else: three blocks of two layers are six layers
            copies, last = len(node.copies) * part.copies, last_path_of(node)
            return replace(part, copies=copies, paths=(part.paths[0], last), told=_joined(node.told, part.told))
        if isinstance(node, Run):
            is_dense = isinstance(node.copies[0][0], Group) and node.told
            ends = (path_of(node.copies[0][0]), path_of(node.copies[-1][0]) if is_dense else last_path_of(node))
            members = tuple(self._part(child, within, opened, level + 1) for child in node.copies[0])
            return Frame(node, len(node.copies), within, self.names(node), ends, members, level, told=node.told)
        ends = (isinstance(node, Group) and node.span) or (node.path, node.path)
        if isinstance(node, Group) and (node is self.root or node.path in opened):
            children = tuple(self._part(child, node.within, opened, level + 1) for child in node.children)
            return Frame(node, 1, within, self.names(node), ends, children, level)
        return Piece(node, 1, within, self.names(node), ends)

    def _wires(self, found: tuple[Piece, ...]) -> list[Wire]:
        place = {name: number for number, piece in enumerate(found) for name in piece.names}
        wires: dict[tuple[int, int], Wire] = {}
        for edge in self.edges:
            ends = place[edge.producer], place[edge.consumer]
            if ends[0] == ends[1]:
                continue
            wire = wires.setdefault(ends, Wire(*ends, edge.tensor, (edge.producer, edge.output), 0))
            wire.bytes = max(wire.bytes, edge.tensor.bytes)
        return list(wires.values())


def is_input(piece: Piece) -> bool:
    """Tell whether a piece stands for an input of the network."""
    return isinstance(piece.node, Box) and piece.node.ops[0].kind == INPUT


def pieces(part: Part) -> Iterator[Piece]:
    """Iterate the pieces in a part, itself if it is one, in the order of execution."""
    if isinstance(part, Piece):
        yield part
    else:
        for child in part.children:
            yield from pieces(child)


def _joined(*words: str) -> str:
    return "; ".join(filter(None, words))


def _loops(one: Mapping[int, int], other: Mapping[int, int]) -> bool:
    """Tell whether two ops are in different copies of one run."""
    return any(other.get(run, number) != number for run, number in one.items())


def _ranks(count: int, wires: tuple[Wire, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the longest way from a beginning to each piece, and from it to an end.

    A wire against the order of execution (there are some into closed groups) is ignored.
    """
    ranks, tails = [0] * count, [0] * count
    forward = [wire for wire in wires if wire.source < wire.target]
    for wire in sorted(forward, key=lambda wire: wire.target):
        ranks[wire.target] = max(ranks[wire.target], ranks[wire.source] + 1)
    for wire in sorted(forward, key=lambda wire: -wire.source):
        tails[wire.source] = max(tails[wire.source], tails[wire.target] + 1)
    return tuple(ranks), tuple(tails)
