"""What every drawn node and frame says and how it looks, whatever language it is written in.

It returns plain text and colours; quoting and geometry are the business of the writers (`dot`, `mermaid`, `tikz`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from archprof import units
from archprof.renderers.diagram import style as look
from archprof.renderers.diagram.alike import arrows
from archprof.renderers.diagram.fuse import CONCATS, FOLLOWERS, JOINS, Box
from archprof.renderers.diagram.labels import batch_of, box_text, join_text, shape_text, shapes_text, span_text
from archprof.renderers.diagram.measure import costs as measured
from archprof.renderers.diagram.sketch import Frame, Piece, Sketch, Wire, is_input
from archprof.renderers.diagram.style import Paint, Style
from archprof.renderers.diagram.tree import Run
from archprof.renderers.diagram.wiring import wire_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archprof.graph import Graph
    from archprof.renderers.diagram.measure import Amount, Costs

Painter: TypeAlias = Callable[[Piece | Frame], Paint | None]
"""Says how a piece or frame looks, by its `paths` and the `names` of all its ops; None leaves it to the style."""

INPUT, OUTPUT, OP, MINOR, GROUP, SIGN, LETTER = "input", "output", "op", "minor", "group", "sign", "letter"
"""Roles of a mark: an end of the network, a box, one of a mere follower, a closed group, a sign such as `+`, and the
letter of a connector."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A drawn node: a bold name with small words beside and below it, and its colours."""

    name: str
    role: str
    text: str
    beside: str = ""
    below: tuple[str, ...] = ()
    bold: bool = True
    fill: str = ""
    ink: str = ""
    pen: str = ""
    copies: int = 1
    unknown: bool = False
    tooltip: str = ""
    classes: str = ""


@dataclass(frozen=True, slots=True)
class Title:
    """What stands at the top of a frame, the frame's colours, and in a line below what its copies differ in."""

    text: str
    badge: str
    said: str
    fill: str
    pen: str
    tooltip: str
    classes: str
    ink: str = ""
    told: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A drawn line between two marks, by their names: its width, how straight it is to be, and what stands on it."""

    source: str
    target: str
    width: str
    weight: int
    text: str = ""


class Scene:
    """The marks of a sketch by the places of its pieces; `names` are unique and mean nothing to any language."""

    def __init__(
        self,
        graph: Graph,
        sketch: Sketch,
        costs: Costs,
        style: Style,
        paint: Painter | None = None,
        columns: int = 1,
    ) -> None:
        """Name the pieces; what they say is found when it is asked for."""
        self.wiring = wire_up(sketch, columns, style.virtual)
        self.graph, self.sketch, self.costs, self.style = graph, sketch, costs, style
        self.batch = batch_of(graph)
        self._paint: Painter = paint or (lambda _: None)
        self._bytes = measured(graph, "bytes") if style.details else None
        self._taken: set[str] = set()
        self.names = [self.unique(piece.paths[0]) for piece in sketch.pieces]
        self.place = {id(piece): number for number, piece in enumerate(sketch.pieces)}
        self.out: dict[int, list[Wire]] = {}
        for wire in sketch.wires:
            self.out.setdefault(wire.source, []).append(wire)
        self._main = {number: list(filter(sketch.is_main, wires)) for number, wires in self.out.items()}
        self.letters: dict[tuple[str, int], list[Mark]] = {}
        self.links = self._links()

    def unique(self, path: str) -> str:
        """Return a node name that reads like `path`, has no letter that means anything, and is used by nobody yet."""
        stem = re.sub(r"[^A-Za-z0-9_.\-]", "_", path) or "op"
        name, number = stem, 1
        while name in self._taken:
            number += 1
            name = f"{stem}#{number}"
        self._taken.add(name)
        return name

    def mark(self, piece: Piece) -> Mark:
        """Return what is drawn of a piece."""
        name, node = self.names[self.place[id(piece)]], piece.node
        if is_input(piece):
            words = f"{span_text(piece.paths, '')}  {shape_text(node.ops[0].outputs[0], self.batch)}"  # type: ignore[union-attr]
            return Mark(name, INPUT, words, tooltip=words, classes="input", ink=self.style.ink)
        amount, paint = self.costs.of(piece.names), self._paint(piece) or Paint()
        kind = node.spoken[0].kind if isinstance(node, Box) else "group"
        fill = paint.fill or self.style.fill(amount.share)
        ink = paint.ink or (look.readable(fill) if paint.fill else self.style.ink_on(amount.share))
        pen = self.style.alarm if amount.unknown else self.style.repeat if piece.copies > 1 else self.style.pen
        role, text, bold, beside, below = self._words(piece, amount, paint.extra)
        return Mark(
            name, role, text, beside, below, bold, fill, ink, paint.pen or pen, piece.copies, bool(amount.unknown),
            self._tooltip(piece.paths, piece.copies, amount, node),
            look.css_class("op" if isinstance(node, Box) else "collapsed", kind, _cost(amount)),
        )  # fmt: skip

    def title(self, frame: Frame) -> Title:
        """Return what is written at a frame."""
        amount, paint = self.costs.of(frame.names), self._paint(frame) or Paint()
        repeats = frame.copies > 1
        said = f"  {self.costs.together(frame.copies)}{self.costs.part_text(amount)}"
        if amount.unknown and self.costs.metric.needs_facts:
            said += f"  {amount.unknown} ?"
        return Title(
            span_text(frame.paths, frame.within) + (" (continued)" if frame.continued else ""),
            f"×{frame.copies}" if repeats else "",
            f"{said}  {paint.extra}" if paint.extra else said,
            paint.fill or self.style.frames[min(frame.level, len(self.style.frames) - 1)],
            paint.pen or (self.style.repeat if repeats else self.style.rim),
            self._tooltip(frame.paths, frame.copies, amount),
            look.css_class("run" if isinstance(frame.node, Run) else "group", _cost(amount)),
            paint.ink or (look.readable(paint.fill) if paint.fill else self.style.ink),
            frame.told,
        )

    def _links(self) -> list[Link]:
        """Return the lines of the picture, and file the letters of connectors with the piece or column they stand by."""
        found: list[Link] = []
        ends: dict[tuple[object, ...], str] = {}
        for number, wire in enumerate(self.sketch.wires):
            names, width = (self.names[wire.source], self.names[wire.target]), look.line_width(wire.bytes)
            if number not in self.wiring.cut:
                found.append(Link(*names, width, self.weight(wire), self.wire_text(wire)))
                continue
            letter = self.wiring.letters[wire.source]
            column = self.wiring.column(wire.target)
            crosses = self.wiring.column(wire.source) != column
            before, after = ("column", self.wiring.column(wire.source)), ("column", column)
            place = ("piece", wire.source), ("piece", wire.target)
            out = self._letter(ends, (wire.source,), letter, before if crosses else place[0], f"{names[0]}.to")
            if out:
                found.append(Link(names[0], out, width, 2, self.wire_text(wire)))
            enters = after if crosses else place[1]
            self._letter(ends, (wire.source, enters), letter, enters, f"{names[1]}.from")
            found.append(Link(ends[wire.source, enters], names[1], width, 8 if crosses else 2))
        return found

    def _letter(
        self,
        ends: dict[tuple[object, ...], str],
        which: tuple[object, ...],
        letter: str,
        home: tuple[str, int],
        path: str,
    ) -> str:
        """Make one end of a connector, and return its name; empty where it is there already."""
        if which in ends:
            return ""
        ends[which] = self.unique(path)
        mark = Mark(ends[which], LETTER, letter, ink=self.style.ink, fill=self.style.ground, pen=self.style.repeat,
                    tooltip=f"goes on at {letter}", classes="connector")  # fmt: skip
        self.letters.setdefault(home, []).append(mark)
        return mark.name

    def outputs(self) -> list[tuple[int, Mark, int]]:
        """Return the network's outputs: the place of the piece each comes from, its mark, its bytes."""
        home = {name: number for number, piece in enumerate(self.sketch.pieces) for name in piece.names}
        found = []
        for label, (name, output) in self.graph.outputs.items():
            tensor = self.graph[name].outputs[output]
            words = f"{label}  {shape_text(tensor, self.batch)}"
            own = self.unique(f"output.{label}")
            mark = Mark(own, OUTPUT, words, tooltip=words, classes="output", ink=self.style.ink)
            found.append((home[name], mark, tensor.bytes))
        return found

    def weight(self, wire: Wire) -> int:
        """Return how straight a wire is to be: the one way on most, the branches of a fan alike, what skips least."""
        if not self.sketch.is_main(wire):
            return 2 if len(self.out[wire.source]) > 1 else 1  # a short branch begins beside the long one
        return 12 if len(self._main[wire.source]) == 1 else 2

    def wire_text(self, wire: Wire) -> str:
        """Return what stands on a wire: its shape where that is new, in a style whose wires say so."""
        source = self.sketch.pieces[wire.source]
        if not self.style.wires_say or wire is not self.out[wire.source][0] or is_input(source):
            return ""
        return self.new_shape(source)

    def new_shape(self, piece: Piece) -> str:
        """Return the shape of what leaves a piece, where it is none of those it reads and not just a part of a concat."""
        wires = self.out.get(self.place[id(piece)], [])
        if not wires or all(_concatenates(self.sketch.pieces[wire.target]) for wire in wires):
            return ""
        inside = set(piece.names)
        read = [e.tensor for name in piece.names for e in self.graph.reads(name) if e.producer not in inside]
        name, output = wires[0].output
        made = [self.graph[copy].outputs[output] for copy in self.sketch.copies.get(name, (name,))]
        known = {shape_text(tensor, self.batch) for tensor in read}
        is_old = all(shape_text(tensor, self.batch) in known for tensor in made)
        return "" if is_old else shapes_text(made, self.batch)

    def _shape(self, piece: Piece) -> str:
        """Return a new shape that stands in the box: a label on the wire would cost the layout a rank."""
        return "" if self.style.wires_say else self.new_shape(piece)

    def _words(self, piece: Piece, amount: Amount, extra: str) -> tuple[str, str, bool, str, tuple[str, ...]]:
        """Return role, name, whether it is bold, the words beside it, and the lines below it."""
        node, badge = piece.node, f" ×{piece.copies}" if piece.copies > 1 else ""
        more = tuple(filter(None, (piece.told, extra)))
        if not isinstance(node, Box):
            params = f" · {units.count(amount.params)} params" if amount.params else ""
            size = f"  {units.several(amount.ops, 'op')}" + (params if self.costs.metric.name != "parameters" else "")
            line = " · ".join(filter(None, (self._said(piece.copies, amount), self._shape(piece))))
            text = span_text(piece.paths, piece.within) + badge
            return GROUP, text, True, size, (*filter(None, (line,)), *more)
        sign = join_text(self._copies(node)[-1]) if not badge and not amount.unknown else None
        if sign:
            text = f"{sign} {self._shape(piece)}".strip() if sign == "concat" else sign
            return SIGN, text, False, "", more
        minor = all(op.kind in FOLLOWERS or op.kind in JOINS for op in node.spoken)
        role = MINOR if node.spoken[0].kind in JOINS else OP
        shape = self._shape(piece)
        if minor and not (amount.unknown or badge or shape or amount.share >= 0.01):
            return role, self._box_text(node), False, "", more
        line = (span_text(piece.paths, piece.within), self._said(piece.copies, amount), shape)
        return (
            role,
            self._box_text(node) + badge,
            True,
            "",
            (" · ".join(filter(None, line)), *self._detail(piece, amount), *more),
        )

    def _box_text(self, box: Box) -> str:
        """Return what a box is; what differs between the copies it stands for is said for all of them."""
        words = [text.split(" ") for text in dict.fromkeys(map(box_text, self._copies(box)))]
        return " ".join(map(arrows, zip(*words, strict=False)))

    def _copies(self, box: Box) -> list[Box]:
        """Return all the boxes that are drawn as this one, in order."""
        every = [self.sketch.copies.get(op.name, (op.name,)) for op in box.ops]
        silent = [op.name in box.silent for op in box.ops]
        return [
            Box(box.path, tuple(self.graph[name] for name in names),
                frozenset(name for name, is_silent in zip(names, silent, strict=True) if is_silent))
            for names in zip(*every, strict=True)
        ]  # fmt: skip

    def _detail(self, piece: Piece, amount: Amount) -> tuple[str, ...]:
        if not self.style.details:
            return ()
        params = f"{units.count(amount.params)} params" if amount.params else ""
        made = units.size(self._bytes.of(piece.names).value) if self._bytes else ""
        return (" · ".join(filter(None, (params, f"{made} made"))),)

    def _said(self, copies: int, amount: Amount) -> str:
        text = self.costs.amount_text(amount)
        return f"{self.costs.together(copies)}{text}" if text else text

    def _tooltip(self, paths: tuple[str, str], copies: int, amount: Amount, node: object = None) -> str:
        parts = [paths[0] if paths[0] == paths[1] else f"{paths[0]} to {paths[1]}, {copies} copies"]
        if isinstance(node, Box):
            parts.append(box_text(node))
        parts.append(f"{amount.ops} op{'s' if amount.ops != 1 else ''}, {amount.params:,} params")
        parts.append(self.costs.amount_text(amount) or f"no {self.costs.metric.name}")
        if amount.unknown:
            parts.append(f"{amount.unknown} of unknown cost")
        return "; ".join(parts)


def painter(paints: Mapping[str, Paint]) -> Painter:
    """Return a painter from looks by path: of a box, a group, or the first of its copies."""
    return lambda part: paints.get(part.paths[0])


def key(costs: Costs, style: Style) -> tuple[Sequence[tuple[str, str, str]], str]:
    """Return the legend of colours by share: fill, words and colour of text of each, and what it is a share of."""
    of = "share of" if costs.adds_up else "part of the largest"
    return style.key, f"{of} {costs.metric.name}: {costs.metric.meaning}"


def _cost(amount: Amount) -> str:
    return f"cost-{look.level(amount.share)}"


def _concatenates(piece: Piece) -> bool:
    return isinstance(piece.node, Box) and piece.node.spoken[0].kind in CONCATS
