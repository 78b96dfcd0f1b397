"""How large a sketch will be when it is laid out, estimated from its ranks alone, and whether that is still legible.

It runs no layout: these are the sizes that the fonts and gaps of `style` lead to, a few percent off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archprof.renderers.diagram.fuse import CONCATS, JOINS, Box
from archprof.renderers.diagram.labels import box_text, join_text
from archprof.renderers.diagram.sketch import Frame, Piece, is_input
from archprof.renderers.diagram.style import SMALL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archprof.renderers.diagram.sketch import Part, Sketch

LEGIBLE = 6.0
"""The smallest text on a printed page, in points."""

PAGE = (523.0, 770.0)
"""What an A4 page leaves within margins of 36 points, in points."""

GAP, HEADING, LETTER = 7.5, 80.0, 7.4
FRAME = 30.0
"""Points between ranks, for the title with the input and the output, for a letter, and for a frame's rim and name."""


def printed(sketch: Sketch) -> float:
    """Return the size in points of the smallest text once the picture is scaled to fit an A4 page."""
    width, height = extent(sketch)
    return SMALL * min(1.0, PAGE[0] / width, PAGE[1] / height)


def extent(sketch: Sketch) -> tuple[float, float]:
    """Return the estimated width and height in points."""
    rows: dict[int, list[Piece]] = {}
    for piece, rank in zip(sketch.pieces, sketch.ranks, strict=True):
        rows.setdefault(rank, []).append(piece)
    rims = sum(FRAME for _ in _frames(sketch.root)) - FRAME
    height = HEADING + rims + sum(GAP + max(map(_height, row)) for row in rows.values())
    width = max((sum(_width(piece) + GAP for piece in row) for row in rows.values()), default=0.0)
    return max(width + FRAME, HEADING * 5), height


def _frames(part: Part) -> Iterator[Frame]:
    if isinstance(part, Frame):
        yield part
        for child in part.children:
            yield from _frames(child)


def _height(piece: Piece) -> float:
    if is_input(piece):
        return 0.0
    if isinstance(piece.node, Box):
        return 19.0 if piece.node.spoken[0].kind in JOINS.keys() | CONCATS else 31.0
    return 36.0


def _width(piece: Piece) -> float:
    if not isinstance(piece.node, Box):
        return LETTER * 27
    return 30.0 if join_text(piece.node) else max(110.0, LETTER * (len(box_text(piece.node)) + 3))
