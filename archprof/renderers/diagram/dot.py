"""Writes a scene as DOT text, through the `graphviz` package.

Whatever a user named reaches the text through `markup` or `plain` only, so that it stays text.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import graphviz

from archprof.renderers.diagram import style as look
from archprof.renderers.diagram.scene import GROUP, INPUT, MINOR, OUTPUT, SIGN, Mark, Scene
from archprof.renderers.diagram.sketch import Frame, Piece, pieces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archprof.renderers.diagram.sketch import Wire

Key = tuple["Sequence[tuple[str, str, str]]", str]
"""A legend: fill, words and colour of text of each cell, and what they mean."""


def write(scene: Scene, *, heading: Sequence[str], direction: str, key: Key | None) -> str:
    """Return the DOT text of a scene; `heading` are the lines above it, and a `key` of None leaves the legend out."""
    return _Writer(scene).write(heading, direction, key)


def markup(text: str) -> str:
    r"""Return `text` so that it stays text inside an HTML-like label.

    Backslashes are doubled, since Graphviz expands `\N` and `\G` even here.

    >>> markup("<b>&amp;")
    '&lt;b&gt;&amp;amp;'
    """
    return html.escape(printable(text)).replace("\\", "&#92;&#92;")


def plain(text: str) -> str:
    """Return `text` so that it stays text in an ordinary attribute, where Graphviz reads backslashes and entities."""
    return graphviz.escape(printable(text).replace("&", "&amp;"))


def printable(text: str) -> str:
    """Return `text` with a blank in place of every letter that does not print."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


class _Writer:
    """Builds one DOT text."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.sketch, self.style = scene, scene.sketch, scene.style
        self.clusters = 0

    def write(self, heading: Sequence[str], direction: str, key: Key | None) -> str:
        lines = [f"<B>{markup(heading[0])}</B>", *map(_small, heading[1:])]
        rows = "".join(f"<TR><TD>{line}</TD></TR>" for line in lines)
        title = f'<<TABLE BORDER="0" CELLSPACING="0" CELLPADDING="2">{rows}</TABLE>>'
        hurry = look.HURRY if self.sketch.virtual > self.style.virtual else {}
        attributes = {**self.style.graph, **hurry, "rankdir": direction, "label": title}
        dot = graphviz.Digraph("archprof", graph_attr=attributes, node_attr=self.style.node, edge_attr=self.style.edge)
        self._children(dot, self.sketch.root)
        for wire in self.sketch.wires:
            self._wire(dot, wire)
        for place, mark, size in self.scene.outputs():
            self._mark(dot, mark)
            dot.edge(self.scene.names[place], mark.name, penwidth=look.line_width(size), weight="8")
        if key is not None:
            plaintext = {"shape": "plaintext", "style": "", "margin": "0", "class": "legend"}
            dot.node(self.scene.unique("legend"), f"<{_legend(*key)}>", **plaintext)
        return dot.source

    def _wire(self, dot: graphviz.Digraph, wire: Wire) -> None:
        names = self.scene.names[wire.source], self.scene.names[wire.target]
        said = self.scene.wire_text(wire)
        label = {"label": plain(f" {said}")} if said else {}
        dot.edge(*names, penwidth=look.line_width(wire.bytes), weight=str(self.scene.weight(wire)), **label)

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
        mine = self.sketch.ranks[self.scene.place[id(piece)]]
        frames = [child for child in frame.children if isinstance(child, Frame)]
        spans = [[self.sketch.ranks[self.scene.place[id(other)]] for other in pieces(child)] for child in frames]
        return max((max(span) - mine for span in spans if min(span) == mine), default=0)

    def _pillar(self, dot: graphviz.Digraph, piece: Piece, height: int) -> None:
        """Draw a branch of one piece as tall as the framed ones beside it: dot would push a shorter one to the side."""
        self.clusters += 1
        foot = self.scene.unique(f"{piece.paths[0]}.foot")
        alone = graphviz.Digraph(f"cluster_{self.clusters}")
        alone.attr(label="", peripheries="0", margin="0")
        self._piece(alone, piece)
        alone.node(foot, "", style="invis", width="0.1", height="0.1")
        alone.edge(self.scene.names[self.scene.place[id(piece)]], foot, style="invis", weight="12", minlen=str(height))
        dot.subgraph(alone)

    def _frame(self, dot: graphviz.Digraph, frame: Frame) -> None:
        self.clusters += 1
        title, repeats = self.scene.title(frame), frame.copies > 1
        letters = len(title.text + title.badge + title.said)
        room = "&#160;" * (0 if self._has_neighbours(frame) else min(45, round(2 * letters)))
        badge = f' <FONT COLOR="{self.style.repeat}"><B>{title.badge}</B></FONT>' if title.badge else ""
        attributes = {
            "label": f"<<B>{markup(title.text)}</B>{badge}{_small(title.said)}{room}>",
            "fontsize": str(look.SIZE), "fontcolor": title.ink, "labeljust": "l", "style": "rounded,filled",
            "fillcolor": title.fill, "color": title.pen, "penwidth": "1.8" if repeats else "0.7", "margin": "5",
            "tooltip": plain(title.tooltip), "class": title.classes,
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
        fan = len(self.scene.out.get(self.scene.place[id(piece)], ())) > 1
        self._mark(dot, self.scene.mark(piece), fan=fan)

    def _mark(self, dot: graphviz.Digraph, mark: Mark, *, fan: bool = False) -> None:
        if mark.role in (INPUT, OUTPUT):
            ends = {"shape": "plaintext", "style": "", "tooltip": plain(mark.tooltip), "class": mark.classes}
            dot.node(mark.name, plain(mark.text), **ends, **({"ordering": "out"} if mark.role == INPUT else {}))
            return
        attributes = {
            "fillcolor": mark.fill, "fontcolor": mark.ink, "tooltip": plain(mark.tooltip), "class": mark.classes,
        }  # fmt: skip
        if fan:
            attributes["ordering"] = "out"
        if mark.pen != self.style.pen:
            attributes |= {"color": mark.pen, "penwidth": "1.8"}
        if mark.unknown:
            attributes |= {"style": "rounded,filled,dashed", "penwidth": "1.4"}
        if mark.role == SIGN and not mark.below:
            dot.node(mark.name, plain(mark.text), **attributes, **_sign(mark.text))
            return
        if mark.role == MINOR:
            attributes |= {"width": "0.6", "height": "0.22", "margin": "0.06,0.01"}
        if mark.role == GROUP:
            attributes |= {"peripheries": "2", "margin": "0.1,0.015"}
        text = f"<B>{markup(mark.text)}</B>" if mark.bold else markup(mark.text)
        beside = _small(mark.beside) if mark.beside else ""
        dot.node(mark.name, f"<{text}{beside}{''.join(f'<BR/>{_small(line)}' for line in mark.below)}>", **attributes)


def _legend(cells: Sequence[tuple[str, str, str]], words: str) -> str:
    drawn = "".join(
        f'<TD BORDER="1" COLOR="#4d4d4d" BGCOLOR="{fill}" WIDTH="34"><FONT COLOR="{ink}">{markup(name)}</FONT></TD>'
        for fill, name, ink in cells
    )
    margin = "&#160;" * 4  # for fonts wider than Graphviz thought: the edge of the picture is near
    lines = filter(None, words.splitlines())
    texts = "".join(f'<TR><TD ALIGN="LEFT">{markup(line)}{margin}</TD></TR>' for line in lines)
    return (
        f'<FONT POINT-SIZE="{look.SMALL}"><TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1">'
        f'<TR><TD ALIGN="LEFT"><TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="2"><TR>{drawn}</TR>'
        f"</TABLE></TD></TR>{texts}</TABLE></FONT>"
    )


def _small(text: str) -> str:
    return f'<FONT POINT-SIZE="{look.SMALL}">{markup(text)}</FONT>'


def _sign(text: str) -> dict[str, str]:
    """Return the shape of a sign; its size is fixed, since Graphviz makes a trapezium twice as high as its text."""
    if len(text) == 1:
        return {"shape": "circle", "style": "filled", "width": "0.24", "height": "0.24", "fixedsize": "true"}
    width = f"{0.7 + 0.1 * len(text):.2f}"
    return {"shape": "invtrapezium", "style": "filled", "width": width, "height": "0.27", "fixedsize": "true"}
