"""Writes a picture as a Mermaid flowchart, which GitHub and many wikis draw by themselves.

Names are quoted: whatever a user named is text between two quotation marks, without a letter that means anything there.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from archprof.errors import UserError
from archprof.renderers.diagram.scene import GROUP, INPUT, LETTER, OUTPUT, SIGN, Mark, Scene
from archprof.renderers.diagram.sketch import Frame, Piece
from archprof.renderers.diagram.wiring import column_frames
from archprof.renderers.markup import printable

if TYPE_CHECKING:
    from archprof.renderers.diagram.compose import Composed

EDGES, LETTERS = 500, 50_000
"""What Mermaid refuses to go beyond, and nobody can change on GitHub."""

SHAPES = {INPUT: ("([", "])"), OUTPUT: ("([", "])"), GROUP: ("[[", "]]"), LETTER: ("((", "))")}
"""What stands before and after a node's text; a box is rounded, a sign is a circle or, for a concat, a trapezium."""


def write(picture: Composed, title: str, description: str) -> str:
    """Return a picture as Mermaid, with a title and a description for those who do not see it.

    Raises UserError where it is more than Mermaid draws.
    """
    text = _Writer(picture.scene).write(picture, title, description)
    edges = len(picture.scene.links) + len(picture.scene.outputs())
    if edges >= EDGES or len(text) > LETTERS:
        raise UserError(
            f"Mermaid draws fewer than {EDGES} edges and {LETTERS:,} letters, and these are {edges} and {len(text):,}: "
            "draw less, with --depth 1, or an .svg"
        )
    return text


def quoted(text: str) -> str:
    """Return `text` between quotation marks; letters that mean something to Mermaid or HTML become entities.

    >>> quoted('a "b" <c>')
    '"a #quot;b#quot; #lt;c#gt;"'
    """
    entities = {'"': "#quot;", "#": "#35;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "`": "#96;", "\\": "#92;",
                "*": "#42;", "_": "#95;", "~": "#126;", ";": "#59;"}  # fmt: skip
    return '"' + "".join(entities.get(letter, letter) for letter in printable(text)) + '"'


class _Writer:
    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.lines: list[str] = []
        self.names: dict[str, str] = {}
        self.looks: dict[tuple[str, str, str, bool, bool], list[str]] = {}

    def write(self, picture: Composed, title: str, description: str) -> str:
        scene, style = self.scene, self.scene.style
        self.lines += ["---", f"title: {json.dumps(' · '.join(map(printable, picture.heading)), ensure_ascii=False)}"]
        self.lines += ["---", f"flowchart {'LR' if picture.direction == 'LR' else 'TD'}"]
        self.lines += [f"    accTitle: {_line(title)}", f"    accDescr: {_line(description)}"]
        starts = scene.wiring.starts
        for number, frame in enumerate(column_frames(scene.sketch, starts) if len(starts) > 1 else [scene.sketch.root]):
            self._letters("column", number, 1)
            self._children(frame, 1)
        for place, mark, _ in scene.outputs():
            self._mark(mark, 1)
            self._link(scene.names[place], mark.name, "")
        for link in scene.links:
            self._link(link.source, link.target, link.text)
        for number, ((fill, pen, ink, dashed, thick), names) in enumerate(self.looks.items()):
            dash = ",stroke-dasharray:4 3" if dashed else ""
            width = "2px" if thick else "1px"
            self._say(1, f"classDef look{number} fill:{fill},stroke:{pen},color:{ink},stroke-width:{width}{dash}")
            self._say(1, f"class {','.join(names)} look{number}")
        self._say(1, f"linkStyle default stroke:{style.wire}")
        if picture.key:
            words = ", ".join(name for _, name, _ in picture.key[0])
            self._say(1, f"%% {printable(f'{words}: {picture.key[1]}')}".replace("{", "("))
        return "\n".join(self.lines) + "\n"

    def _children(self, frame: Frame, level: int) -> None:
        for child in frame.children:
            if isinstance(child, Piece):
                self._mark(self.scene.mark(child), level)
                self._letters("piece", self.scene.place[id(child)], level)
                continue
            title, name = self.scene.title(child), f"g{len(self.names)}"
            self.names[name] = name
            self._say(
                level,
                f"subgraph {name}[{quoted(' '.join(filter(None, (title.text, title.badge, title.said.strip(), title.told))))}]",
            )
            self._children(child, level + 1)
            self._say(level, "end")
            self.looks.setdefault((title.fill, title.pen, title.ink, False, child.copies > 1), []).append(name)

    def _letters(self, home: str, number: int, level: int) -> None:
        for mark in self.scene.letters.get((home, number), ()):
            self._mark(mark, level)

    def _mark(self, mark: Mark, level: int) -> None:
        name = self.names.setdefault(mark.name, f"n{len(self.names)}")
        before, after = SHAPES.get(mark.role, ("(", ")"))
        if mark.role == SIGN:
            before, after = ("((", "))") if len(mark.text) == 1 else ("[\\", "/]")
        first = f"{mark.text} {mark.beside}".replace("  ", " ").strip()
        words = "<br/>".join(quoted(line)[1:-1] for line in (first, *mark.below))
        self._say(level, f'{name}{before}"{words}"{after}')
        style = self.scene.style
        look = (mark.fill or style.ground, mark.pen or style.pen, mark.ink, mark.unknown, mark.copies > 1)
        self.looks.setdefault(look, []).append(name)

    def _link(self, source: str, target: str, text: str) -> None:
        said = f"|{quoted(text)}|" if text else ""
        self._say(1, f"{self.names[source]} -->{said} {self.names[target]}")

    def _say(self, level: int, text: str) -> None:
        self.lines.append("    " * level + text)


def _line(text: str) -> str:
    """Return `text` as the rest of a line: without what would begin a block, an entity or an element."""
    return "".join(" " if letter in "{}#<>" else letter for letter in printable(text)).strip()
