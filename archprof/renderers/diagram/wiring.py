"""Where the wires of a sketch run: in columns side by side, and as lettered connectors where they would be too long.

A connector is a pair of equal letters, one behind the box a tensor leaves and one before each place that reads it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from archprof.renderers.diagram.page import row_heights
from archprof.renderers.diagram.sketch import Frame, Piece, pieces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archprof.renderers.diagram.sketch import Sketch, Wire

LONG = 12
"""Wires that pass more ranks than this are the first to become connectors, where a layout has too much to place."""

LETTERS = 3
"""So many tensors may cross from one column to the next."""


@dataclass
class Wiring:
    """The columns by the places of their first pieces, and the wires that are drawn as connectors.

    `letters` are those of the pieces whose tensors go through connectors, by place; `placed` is what a layout has to
    place, ranks that wires pass included.
    """

    starts: tuple[int, ...] = (0,)
    cut: set[int] = field(default_factory=set)
    letters: dict[int, str] = field(default_factory=dict)
    placed: int = 0

    def column(self, place: int) -> int:
        """Return which column the piece at `place` stands in."""
        return sum(start <= place for start in self.starts) - 1


def wire_up(sketch: Sketch, columns: int, virtual: int) -> Wiring:
    """Return how a sketch is wired in so many columns (or fewer, where there is no place to cut it)."""
    wiring = Wiring(split(sketch, columns) if columns > 1 else (0,))
    over = [n for n, w in enumerate(sketch.wires) if wiring.column(w.source) != wiring.column(w.target)]
    wiring.cut.update(over)
    placed = sketch.virtual
    longest = sorted(range(len(sketch.wires)), key=lambda n: -_span(sketch, sketch.wires[n]))
    for number in longest:
        span = _span(sketch, sketch.wires[number])
        if placed <= virtual or span <= LONG:
            break
        placed -= span - 3
        wiring.cut.add(number)
    wiring.placed = placed
    for source in sorted({sketch.wires[number].source for number in wiring.cut}):
        wiring.letters[source] = _letter(len(wiring.letters))
    return wiring


def split(sketch: Sketch, columns: int) -> tuple[int, ...]:
    """Return the places where up to `columns` columns begin: nearly of one height, and cut where few tensors cross.

    The members of a repeated block stay together.
    """
    count = len(sketch.pieces)
    heights, depth = _heights(sketch), _depths(sketch)
    crossing: list[set[int]] = [set() for _ in range(count + 1)]
    for wire in sketch.wires:
        for place in range(min(wire.source, wire.target) + 1, max(wire.source, wire.target) + 1):
            crossing[place].add(wire.source if wire.source < wire.target else -1 - wire.source)
    allowed = [
        place
        for place in range(1, count)
        if depth[place] is not None and 1 <= len(crossing[place]) <= LETTERS and min(crossing[place]) >= 0
    ]
    starts = [0]
    for number in range(1, columns):
        goal = heights[-1] * number / columns

        def badness(place: int, goal: float = goal) -> float:
            off = abs(heights[place] - goal) / heights[-1]
            return off + 0.08 * (len(crossing[place]) - 1) + 0.02 * (depth[place] or 0)

        later = [place for place in allowed if place > starts[-1]]
        if later:
            starts.append(min(later, key=badness))
    return tuple(starts)


def column_frames(sketch: Sketch, starts: tuple[int, ...]) -> Iterator[Frame]:
    """Iterate the root cut into columns; a frame that goes on in the next one is there a second time."""
    place = {id(piece): number for number, piece in enumerate(sketch.pieces)}
    for begin, end in pairwise((*starts, len(sketch.pieces))):
        yield _within(sketch.root, place, begin, end)


def _within(frame: Frame, place: dict[int, int], begin: int, end: int) -> Frame:
    children: list[Frame | Piece] = []
    for child in frame.children:
        if isinstance(child, Piece):
            if begin <= place[id(child)] < end:
                children.append(child)
            continue
        places = [place[id(piece)] for piece in pieces(child)]
        if begin <= places[0] and places[-1] < end:
            children.append(child)
        elif places[0] < end and begin <= places[-1]:
            part = _within(child, place, begin, end)
            children.append(replace(part, continued=places[0] < begin))
    return replace(frame, children=tuple(children))


def _heights(sketch: Sketch) -> list[float]:
    """Return how far down each piece begins, and the whole height last."""
    rows = row_heights(sketch)
    tops, at = {}, 0.0
    for rank in sorted(rows):
        tops[rank] = at
        at += rows[rank]
    return [*(tops[rank] for rank in sketch.ranks), at]


def _depths(sketch: Sketch) -> list[int | None]:
    """Return how many frames a cut before each piece goes through; None where it would cut a repeated one."""
    found: list[int | None] = [0] * len(sketch.pieces)
    place = {id(piece): number for number, piece in enumerate(sketch.pieces)}

    def walk(frame: Frame, depth: int | None) -> None:
        for child in frame.children:
            if isinstance(child, Piece):
                continue
            inner = None if depth is None or child.copies > 1 else depth + 1
            for piece in list(pieces(child))[1:]:
                found[place[id(piece)]] = inner
            walk(child, inner)

    walk(sketch.root, 0)
    return found


def _span(sketch: Sketch, wire: Wire) -> int:
    return sketch.ranks[wire.target] - sketch.ranks[wire.source]


def _letter(number: int) -> str:
    """Return A to Z, then AA, AB and so on.

    >>> _letter(0), _letter(25), _letter(26), _letter(27)
    ('A', 'Z', 'AA', 'AB')
    """
    letters = ""
    number += 1
    while number:
        number, place = divmod(number - 1, 26)
        letters = chr(ord("A") + place) + letters
    return letters
