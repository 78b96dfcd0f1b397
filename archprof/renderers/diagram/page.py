"""How large a sketch will be when it is laid out, estimated from its ranks alone, and whether that is still legible.

It runs no layout: these are the sizes that the fonts and gaps of `style` lead to, a few percent off.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
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

PAGES: Mapping[str, tuple[float, float]] = {
    "a4": (523.0, 770.0), "letter": (540.0, 720.0), "column": (252.0, 648.0), "slide": (888.0, 468.0),
}  # fmt: skip
"""What is left of a page within margins of half an inch, in points: the two papers, a column of a paper in two of them
(3.5 by 9 inches), and a slide of 16:9."""

COLUMNS = 3

GAP, HEADING, LETTER = 7.5, 80.0, 7.4
FRAME = 30.0
"""Points between ranks, for the title with the input and the output, for a letter, and for a frame's rim and name."""


def printed(size: tuple[float, float], page: str = "a4") -> float:
    """Return the size in points of the smallest text once a picture of that size is scaled to fit a page."""
    width, height = PAGES[page]
    return SMALL * min(1.0, width / size[0], height / size[1])


def printed_size(svg: bytes, page: str, columns: int) -> tuple[float, str]:
    """Return the size in points of the smallest text of a drawn SVG on a page, and what would make it larger."""
    found = re.search(rb'viewBox="0.00 0.00 ([\d.]+) ([\d.]+)"', svg)
    width, height = (float(found[1]), float(found[2])) if found else (1.0, 1.0)
    is_tall = height / PAGES[page][1] > width / PAGES[page][0]
    remedy = f"--columns {columns + 1}, or less with --style paper or --depth 1"
    return printed(
        (width, height), page
    ), remedy if is_tall and columns < COLUMNS else "draw less, with --style paper or --depth 1"


def extent(sketch: Sketch, starts: tuple[int, ...] = (0,), direction: str = "TB") -> tuple[float, float]:
    """Return the estimated width and height in points, in columns that begin at the places `starts`."""
    rims = sum(FRAME for _ in _frames(sketch.root)) - FRAME
    if direction == "LR":
        tall = (sum(_height(p) + GAP for p in row) for row in _rows(sketch).values())
        wide = sum(max(map(_width, row)) + GAP for row in _rows(sketch).values())
        return max(wide + rims, HEADING * 5), max(tall, default=0.0) + FRAME + HEADING
    ends = (*starts[1:], len(sketch.pieces))
    spans = list(zip(starts, ends, strict=True))
    height = HEADING + rims / len(spans) + max(sum(row_heights(sketch, *span).values()) for span in spans)
    width = sum(
        max((sum(_width(piece) + GAP for piece in row) for row in _rows(sketch, *span).values()), default=0.0) + FRAME
        for span in spans
    )
    return max(width, HEADING * 5), height + (GAP + 19.0) * 2 * (len(spans) > 1)


def row_heights(sketch: Sketch, begin: int = 0, end: int | None = None) -> dict[int, float]:
    """Return the height of every rank of the pieces from `begin` on, to before `end`, gap included."""
    return {rank: GAP + max(map(_height, row)) for rank, row in _rows(sketch, begin, end).items()}


def _rows(sketch: Sketch, begin: int = 0, end: int | None = None) -> dict[int, list[Piece]]:
    rows: dict[int, list[Piece]] = {}
    for piece, rank in zip(sketch.pieces[begin:end], sketch.ranks[begin:end], strict=True):
        rows.setdefault(rank, []).append(piece)
    return rows


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
