"""Writes a scene as DOT text, through the `graphviz` package.

Whatever a user named reaches the text through `markup` or `plain` only, so that it stays text.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, TypeAlias

import graphviz

from archprof.renderers.diagram import style as look
from archprof.renderers.diagram.scene import GROUP, INPUT, LETTER, MINOR, OUTPUT, SIGN, Mark, Scene, Title
from archprof.renderers.diagram.sketch import Frame, Piece, pieces
from archprof.renderers.diagram.wiring import column_frames
from archprof.renderers.markup import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archprof.renderers.diagram.compose import Composed


Ends: TypeAlias = "Sequence[tuple[int, Mark, int]]"


def write(picture: Composed) -> str:
    """Return a picture as DOT text."""
    return _Writer(picture.scene).write(picture)


def named(picture: Composed) -> tuple[str, dict[str, Mark], dict[str, Title]]:
    """Return a picture as DOT text, what its nodes are by their names, and its clusters likewise."""
    writer = _Writer(picture.scene)
    return writer.write(picture), writer.marks, writer.titles


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


class _Writer:
    """Builds one DOT text."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.sketch, self.style = scene, scene.sketch, scene.style
        self.clusters = 0
        self.marks: dict[str, Mark] = {}
        self.titles: dict[str, Title] = {}

    def write(self, picture: Composed) -> str:
        alone = len(self.scene.wiring.starts) == 1
        lines = [f"<B>{markup(picture.heading[0])}</B>", *map(_small, picture.heading[1:])]
        if picture.key and not alone:
            lines.append(_legend(*picture.key))
        rows = "".join(f"<TR><TD>{line}</TD></TR>" for line in lines)
        title = f'<<TABLE BORDER="0" CELLSPACING="0" CELLPADDING="2">{rows}</TABLE>>'
        hurry = look.HURRY if self.scene.wiring.placed > self.style.virtual else {}
        attributes = {**self.style.graph, **hurry, "rankdir": picture.direction, "label": title}
        dot = graphviz.Digraph("archprof", graph_attr=attributes, node_attr=self.style.node, edge_attr=self.style.edge)
        ends = self.scene.outputs()
        if alone:
            self._children(dot, self.sketch.root)
            self._links(dot)
            self._ends(dot, ends)
        else:
            self._columns(dot, ends)
            self._links(dot)
        for place, mark, size in ends:
            dot.edge(self.scene.names[place], mark.name, penwidth=look.line_width(size), weight="8")
        if picture.key and alone:
            plaintext = {"shape": "plaintext", "style": "", "margin": "0", "class": "legend"}
            dot.node(self.scene.unique("legend"), f"<{_legend(*picture.key)}>", **plaintext)
        return dot.source

    def _columns(self, dot: graphviz.Digraph, ends: Ends) -> None:
        """Draw the columns side by side: each begins at the top, for no line leads from one to the next."""
        wiring = self.scene.wiring
        for number, frame in enumerate(column_frames(self.sketch, wiring.starts)):
            column = graphviz.Digraph(f"cluster_column_{number + 1}")
            column.attr(label="", peripheries="0", margin="4", style="", fillcolor=self.style.ground)
            self._letters(column, "column", number)
            self._children(column, frame)
            self._ends(column, [end for end in ends if wiring.column(end[0]) == number])
            dot.subgraph(column)

    def _ends(self, dot: graphviz.Digraph, ends: Ends) -> None:
        for _, mark, _ in ends:
            self._mark(dot, mark)

    def _links(self, dot: graphviz.Digraph) -> None:
        for link in self.scene.links:
            label = {"label": plain(f" {link.text}")} if link.text else {}
            dot.edge(link.source, link.target, penwidth=link.width, weight=str(link.weight), **label)

    def _letters(self, dot: graphviz.Digraph, home: str, number: int) -> None:
        for mark in self.scene.letters.get((home, number), ()):
            self._mark(dot, mark)

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
        letters = max(len(title.text + title.badge + title.said), len(title.told))
        told = f'<BR ALIGN="LEFT"/>{_small(title.told)}<BR ALIGN="LEFT"/>' if title.told else ""
        room = "&#160;" * (0 if self._has_neighbours(frame) else min(45, round(2 * letters)))
        badge = f' <FONT COLOR="{self.style.repeat}"><B>{title.badge}</B></FONT>' if title.badge else ""
        attributes = {
            "label": f"<<B>{markup(title.text)}</B>{badge}{_small(title.said)}{room}{told}>",
            "fontsize": str(look.SIZE), "fontcolor": title.ink, "labeljust": "l", "style": "rounded,filled",
            "fillcolor": title.fill, "color": title.pen, "penwidth": "1.8" if repeats else "0.7", "margin": "5",
            "tooltip": plain(title.tooltip), "class": title.classes,
        }  # fmt: skip
        if len(self.scene.wiring.starts) > 1:
            attributes["peripheries"] = "1"  # the column around it has none
        self.titles[f"cluster_{self.clusters}"] = title
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
        place = self.scene.place[id(piece)]
        self._mark(dot, self.scene.mark(piece), fan=len(self.scene.out.get(place, ())) > 1)
        self._letters(dot, "piece", place)

    def _mark(self, dot: graphviz.Digraph, mark: Mark, *, fan: bool = False) -> None:
        self.marks[mark.name] = mark
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
        if mark.role == LETTER:
            attributes |= {"color": mark.pen, "penwidth": "1.4", "height": "0.24", "margin": "0.03"}
            dot.node(
                mark.name, f"<<B>{markup(mark.text)}</B>>", shape="circle", style="filled", width="0.24", **attributes
            )
            return
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
    width = f"{0.7 + 0.1 * len(text) + 0.04 * max(0, len(text) - 18):.2f}"
    return {"shape": "invtrapezium", "style": "filled", "width": width, "height": "0.27", "fixedsize": "true"}
