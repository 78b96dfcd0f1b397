"""Writes a sketch as DOT text, through the `graphviz` package.

Whatever a user named reaches the text through `markup` or `plain` only, so that it stays text.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import graphviz

from archprof import units
from archprof.renderers.diagram import style
from archprof.renderers.diagram.cut import VIRTUAL
from archprof.renderers.diagram.fuse import CONCATS, FOLLOWERS, JOINS, Box
from archprof.renderers.diagram.labels import box_text, join_text, shape_text, span_text
from archprof.renderers.diagram.measure import percent
from archprof.renderers.diagram.sketch import Frame, Piece, Sketch, Wire, is_input, pieces
from archprof.renderers.diagram.tree import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archprof.graph import Graph
    from archprof.renderers.diagram.measure import Amount, Costs


def write(
    graph: Graph, sketch: Sketch, costs: Costs, *, heading: Sequence[str], direction: str, note: str | None
) -> str:
    """Return the DOT text of a sketch; `heading` are the lines above it, and a `note` of None leaves the legend out."""
    return _Writer(graph, sketch, costs).write(heading, direction, note)


def markup(text: str) -> str:
    r"""Return `text` so that it stays text inside an HTML-like label.

    Backslashes are doubled, since Graphviz expands `\N` and `\G` even here.

    >>> markup("<b>&amp;")
    '&lt;b&gt;&amp;amp;'
    """
    return html.escape(_printable(text)).replace("\\", "&#92;&#92;")


def plain(text: str) -> str:
    """Return `text` so that it stays text in an ordinary attribute, where Graphviz reads backslashes and entities."""
    return graphviz.escape(_printable(text).replace("&", "&amp;"))


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)


class _Writer:
    """Builds one DOT text; nodes get readable names, made unique."""

    def __init__(self, graph: Graph, sketch: Sketch, costs: Costs) -> None:
        self.graph, self.sketch, self.costs = graph, sketch, costs
        self.names: list[str] = []
        self.clusters = 0
        taken: set[str] = set()
        for piece in sketch.pieces:
            self.names.append(_unique(piece.paths[0], taken))
        self.taken = taken
        self.place = {id(piece): number for number, piece in enumerate(sketch.pieces)}
        self.out: dict[int, list[Wire]] = {}
        for wire in sketch.wires:
            self.out.setdefault(wire.source, []).append(wire)
        self.main = {number: list(filter(sketch.is_main, wires)) for number, wires in self.out.items()}

    def write(self, heading: Sequence[str], direction: str, note: str | None) -> str:
        lines = [f"<B>{markup(heading[0])}</B>", *map(_small, heading[1:])]
        rows = "".join(f"<TR><TD>{line}</TD></TR>" for line in lines)
        title = f'<<TABLE BORDER="0" CELLSPACING="0" CELLPADDING="2">{rows}</TABLE>>'
        hurry = style.HURRY if self.sketch.virtual > VIRTUAL else {}
        attributes = {**style.GRAPH, **hurry, "rankdir": direction, "label": title}
        dot = graphviz.Digraph("archprof", graph_attr=attributes, node_attr=style.NODE, edge_attr=style.EDGE)
        self._children(dot, self.sketch.root)
        self._wires(dot)
        self._outputs(dot)
        if note is not None:
            look = {"shape": "plaintext", "style": "", "margin": "0", "class": "legend"}
            dot.node(_unique("legend", self.taken), self._legend(note), **look)
        return dot.source

    def _children(self, dot: graphviz.Digraph, frame: Frame) -> None:
        for child in frame.children:
            if isinstance(child, Piece):
                height = self._height_beside(child, frame)
                if height:
                    self._pillar(dot, child, height)
                else:
                    self._piece(dot, child)
            else:
                self._frame(dot, child)

    def _height_beside(self, piece: Piece, frame: Frame) -> int:
        """Return how many ranks the frames that begin beside a piece go further down than it does."""
        mine = self.sketch.ranks[self.place[id(piece)]]
        frames = [child for child in frame.children if isinstance(child, Frame)]
        spans = [[self.sketch.ranks[self.place[id(other)]] for other in pieces(child)] for child in frames]
        return max((max(span) - mine for span in spans if min(span) == mine), default=0)

    def _pillar(self, dot: graphviz.Digraph, piece: Piece, height: int) -> None:
        """Draw a branch of one piece as tall as the framed ones beside it: dot would push a shorter one to the side."""
        self.clusters += 1
        foot = _unique(f"{piece.paths[0]}.foot", self.taken)
        alone = graphviz.Digraph(f"cluster_{self.clusters}")
        alone.attr(label="", peripheries="0", margin="0")
        self._piece(alone, piece)
        alone.node(foot, "", style="invis", width="0.1", height="0.1")
        alone.edge(self.names[self.place[id(piece)]], foot, style="invis", weight="12", minlen=str(height))
        dot.subgraph(alone)

    def _frame(self, dot: graphviz.Digraph, frame: Frame) -> None:
        self.clusters += 1
        amount = self.costs.of(frame.names)
        repeats = frame.copies > 1
        together = "  together " if repeats else "  "
        said = together + (percent(amount.share) if amount.value else "")
        if amount.unknown and self.costs.metric.needs_facts:
            said += f"  {amount.unknown} ?"
        name, badge = span_text(frame.paths, frame.within), f"×{frame.copies}" if repeats else ""
        room = "&#160;" * (0 if self._has_neighbours(frame) else min(45, round(2 * len(name + badge + said))))
        badge = f' <FONT COLOR="{style.REPEAT}"><B>{badge}</B></FONT>' if badge else ""
        attributes = {
            "label": f"<<B>{markup(name)}</B>{badge}{_small(said)}{room}>",
            "fontsize": str(style.SIZE), "fontcolor": style.INK, "labeljust": "l", "style": "rounded,filled",
            "fillcolor": style.FRAME_FILLS[min(frame.level, len(style.FRAME_FILLS) - 1)],
            "color": style.REPEAT if repeats else "#a6a6a6", "penwidth": "1.8" if repeats else "0.7", "margin": "5",
            "tooltip": plain(self._tooltip(frame.paths, frame.copies, amount)),
            "class": style.css_class("run" if isinstance(frame.node, Run) else "group", _cost(amount)),
        }  # fmt: skip
        inner = graphviz.Digraph(f"cluster_{self.clusters}")
        inner.attr(**attributes)
        self._children(inner, frame)
        dot.subgraph(inner)

    def _has_neighbours(self, frame: Frame) -> bool:
        """Tell whether something stands beside a frame; if nothing does, room right of its name keeps wires off it."""
        ranks, mine = self.sketch.ranks, set(map(id, pieces(frame)))
        taken = {ranks[number] for number, piece in enumerate(self.sketch.pieces) if id(piece) in mine}
        beside = (ranks[number] for number, piece in enumerate(self.sketch.pieces) if id(piece) not in mine)
        return not taken.isdisjoint(beside)

    def _piece(self, dot: graphviz.Digraph, piece: Piece) -> None:
        number = self.place[id(piece)]
        name, node = self.names[number], piece.node
        if is_input(piece):
            tensor = node.ops[0].outputs[0]  # type: ignore[union-attr]
            words = plain(f"{span_text(piece.paths, '')}  {shape_text(tensor)}")
            look = {"shape": "plaintext", "style": "", "class": "input", "ordering": "out"}
            dot.node(name, words, tooltip=words, **look)
            return
        amount = self.costs.of(piece.names)
        kind = node.spoken[0].kind if isinstance(node, Box) else "group"
        attributes = {
            "fillcolor": style.fill(amount.share),
            "fontcolor": style.ink(amount.share),
            "tooltip": plain(self._tooltip(piece.paths, piece.copies, amount, node)),
            "class": style.css_class("op" if isinstance(node, Box) else "collapsed", kind, _cost(amount)),
        }
        if len(self.out.get(number, ())) > 1:
            attributes["ordering"] = "out"
        if piece.copies > 1:
            attributes |= {"color": style.REPEAT, "penwidth": "1.8"}
        if amount.unknown:
            attributes |= {"color": style.ALARM, "style": "rounded,filled,dashed", "penwidth": "1.4"}
        sign = join_text(node) if isinstance(node, Box) and piece.copies == 1 and not amount.unknown else None
        if sign:
            text = f"{sign} {self._new_shape(piece)}".strip() if sign == "concat" else sign
            dot.node(name, plain(text), **attributes, **_join_look(text))
            return
        if isinstance(node, Box):
            if node.spoken[0].kind in JOINS:
                attributes |= {"width": "0.6", "height": "0.22", "margin": "0.06,0.01"}
            label = self._box_label(node, piece, amount)
        else:
            attributes |= {"peripheries": "2", "margin": "0.1,0.015"}
            label = self._group_label(piece, amount)
        dot.node(name, f"<{label}>", **attributes)

    def _box_label(self, box: Box, piece: Piece, amount: Amount) -> str:
        badge = f" ×{piece.copies}" if piece.copies > 1 else ""
        what = markup(box_text(box))
        said = self._said(piece.copies, amount)
        shape = self._new_shape(piece)
        minor = all(op.kind in FOLLOWERS or op.kind in JOINS for op in box.spoken)
        if minor and not (amount.unknown or badge or shape or amount.share >= 0.01):
            return what
        second = " · ".join(filter(None, (span_text(piece.paths, piece.within), said, shape)))
        return f"<B>{what}{badge}</B><BR/>{_small(second)}"

    def _group_label(self, piece: Piece, amount: Amount) -> str:
        badge = f" ×{piece.copies}" if piece.copies > 1 else ""
        params = f" · {units.count(amount.params)} params" if amount.params else ""
        size = f"  {amount.ops} ops" + (params if self.costs.metric.name != "parameters" else "")
        second = " · ".join(filter(None, (self._said(piece.copies, amount), self._new_shape(piece))))
        name = markup(span_text(piece.paths, piece.within))
        return f"<B>{name}{badge}</B>{_small(size)}" + (f"<BR/>{_small(second)}" if second else "")

    def _said(self, copies: int, amount: Amount) -> str:
        text = self.costs.amount_text(amount)
        return f"together {text}" if copies > 1 and text else text

    def _tooltip(self, paths: tuple[str, str], copies: int, amount: Amount, node: object = None) -> str:
        parts = [paths[0] if paths[0] == paths[1] else f"{paths[0]} to {paths[1]}, {copies} copies"]
        if isinstance(node, Box):
            parts.append(box_text(node))
        parts.append(f"{amount.ops} op{'s' if amount.ops != 1 else ''}, {amount.params:,} params")
        said = self.costs.amount_text(amount)
        parts.append(said or f"no {self.costs.metric.name}")
        if amount.unknown:
            parts.append(f"{amount.unknown} of unknown cost")
        return "; ".join(parts)

    def _wires(self, dot: graphviz.Digraph) -> None:
        for wire in self.sketch.wires:
            weight = str(self._weight(wire))
            names = self.names[wire.source], self.names[wire.target]
            dot.edge(*names, penwidth=style.line_width(wire.bytes), weight=weight)

    def _weight(self, wire: Wire) -> int:
        """Return how straight a wire is to be: the one way on most, the branches of a fan alike, what skips least."""
        if not self.sketch.is_main(wire):
            return 2 if len(self.out[wire.source]) > 1 else 1  # a short branch begins beside the long one
        return 12 if len(self.main[wire.source]) == 1 else 2

    def _new_shape(self, piece: Piece) -> str:
        """Return the shape of what leaves a piece, where it is none of those it reads and not just a part of a concat.

        It stands in the box: a label on the line would cost the layout a rank, and the page its height.
        """
        wires = self.out.get(self.place[id(piece)], [])
        if not wires or all(_concatenates(self.sketch.pieces[wire.target]) for wire in wires):
            return ""
        inside = set(piece.names)
        read = [e.tensor for name in piece.names for e in self.graph.reads(name) if e.producer not in inside]
        tensor = wires[0].tensor
        return "" if any(other.shape[1:] == tensor.shape[1:] for other in read) else shape_text(tensor)

    def _outputs(self, dot: graphviz.Digraph) -> None:
        home = {name: number for number, piece in enumerate(self.sketch.pieces) for name in piece.names}
        for label, (name, output) in self.graph.outputs.items():
            tensor = self.graph[name].outputs[output]
            own = _unique(f"output.{label}", self.taken)
            words = plain(f"{label}  {shape_text(tensor)}")
            dot.node(own, words, shape="plaintext", style="", tooltip=words, **{"class": "output"})
            dot.edge(self.names[home[name]], own, penwidth=style.line_width(tensor.bytes), weight="8")

    def _legend(self, note: str) -> str:
        metric = self.costs.metric
        lines = (f"share of {metric.name}: {metric.meaning}", *note.splitlines())
        cells = "".join(
            f'<TD BORDER="1" COLOR="#4d4d4d" BGCOLOR="{colour}" WIDTH="34"><FONT COLOR="{ink}">'
            f"{markup(words)}</FONT></TD>"
            for (_, colour), words, ink in style.bins()
        )
        margin = "&#160;" * 4  # for fonts wider than Graphviz thought: the edge of the picture is near
        texts = "".join(f'<TR><TD ALIGN="LEFT">{markup(line)}{margin}</TD></TR>' for line in lines if line)
        return (
            f'<<FONT POINT-SIZE="{style.SMALL}"><TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1">'
            f'<TR><TD ALIGN="LEFT"><TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="2"><TR>{cells}</TR>'
            f"</TABLE></TD></TR>{texts}</TABLE></FONT>>"
        )


def _cost(amount: Amount) -> str:
    return f"cost-{style.level(amount.share)}"


def _small(text: str) -> str:
    return f'<FONT POINT-SIZE="{style.SMALL}">{markup(text)}</FONT>'


def _concatenates(piece: Piece) -> bool:
    return isinstance(piece.node, Box) and piece.node.spoken[0].kind in CONCATS


def _join_look(text: str) -> dict[str, str]:
    """Return the shape of a sign; its size is fixed, since Graphviz makes a trapezium twice as high as its text."""
    if len(text) == 1:
        return {"shape": "circle", "style": "filled", "width": "0.24", "height": "0.24", "fixedsize": "true"}
    width = f"{0.7 + 0.1 * len(text):.2f}"
    return {"shape": "invtrapezium", "style": "filled", "width": width, "height": "0.27", "fixedsize": "true"}


def _unique(path: str, taken: set[str]) -> str:
    """Return a node name that reads like `path`, has no letter that means anything to DOT, and is not `taken`."""
    stem = re.sub(r"[^A-Za-z0-9_.\-]", "_", path) or "op"
    name, number = stem, 1
    while name in taken:
        number += 1
        name = f"{stem}#{number}"
    taken.add(name)
    return name
