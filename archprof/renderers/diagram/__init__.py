"""The diagram of a network: nested boxes that say where the cost is, folded so that they fit a page.

    drop_glue -> fuse_followers -> fold_repeats -> compress -> cut -> DOT -> Graphviz

Every step is a pure function in a file of its own; this one runs them in order and decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from archprof import units
from archprof.errors import UserError
from archprof.renderers.diagram.alt import accessible, prose
from archprof.renderers.diagram.cut import cut, fits
from archprof.renderers.diagram.dot import write
from archprof.renderers.diagram.fold import fold_repeats
from archprof.renderers.diagram.fuse import Box, drop_glue, fuse_followers, single
from archprof.renderers.diagram.labels import span_text
from archprof.renderers.diagram.layout import render
from archprof.renderers.diagram.measure import METRICS, costs
from archprof.renderers.diagram.scene import Scene, painter
from archprof.renderers.diagram.scene import key as shares
from archprof.renderers.diagram.sketch import Frame, Piece, Sketcher, is_input
from archprof.renderers.diagram.style import STYLES, Paint
from archprof.renderers.diagram.tree import Group, compress, drawn_groups, grow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archprof.graph import Graph
    from archprof.renderers.diagram.dot import Key
    from archprof.renderers.diagram.measure import Costs, Listed
    from archprof.renderers.diagram.scene import Painter

__all__ = [
    "DIRECTIONS", "FOLDS", "METRICS", "STYLES", "Paint", "accessible", "description", "diagram", "render",
]  # fmt: skip

DIRECTIONS = ("TB", "LR")
FOLDS = ("exact", "none")


def diagram(
    graph: Graph,
    *,
    title: str,
    metric: str = "macs",
    depth: int | None = None,
    expand: Sequence[str] = (),
    collapse: Sequence[str] = (),
    direction: str = "TB",
    fold: str = "exact",
    legend: bool = True,
    note: str = "",
    listed: Listed | None = None,
    style: str = "auto",
    paint: Painter | Mapping[str, Paint] | None = None,
    key: Key | None = None,
) -> str:
    """Return the DOT text of `graph`, coloured by each part's share of `metric`.

    `depth` opens the groups uniformly down to that level (0 opens none), as far as the page's budgets go; without it
    the costliest open first. `expand` and `collapse` are globs on the paths of groups. `note` is added to the legend.
    `metric` may be any name where `listed` has a column and its values. `style` is one of STYLES. `paint` gives pieces
    and frames other looks, by path or by a function of the part (a diff: added, removed, changed); `key` is the legend
    that goes with them, (fill, words, colour of text) of each and one text, in place of the shares'.
    Equal graphs give equal texts. Raises UserError for an option that is none.
    """
    _choice("direction", direction, DIRECTIONS)
    _choice("fold", fold, FOLDS)
    _choice("style", style, tuple(STYLES))
    chosen_style = STYLES[style]
    measured = costs(graph, metric, listed)
    sketcher = Sketcher(graph, _tree(graph, fold))
    chosen = cut(sketcher, measured, depth, expand, collapse, chosen_style)
    sketch = sketcher.sketch(chosen.opened)
    heading = [title, _totals(graph, measured)]
    if measured.unknown:
        heading.append(f"unknown cost: {len(measured.unknown)} of {len(graph)} ops, not in the sums")
    if chosen.refused:
        heading.append(f"{chosen.refused} groups kept closed, to fit a page")
    elif not fits(sketch, chosen_style):
        heading.append("larger than a page")
    look = painter(paint) if isinstance(paint, Mapping) else paint
    cells, words = key or shares(measured, chosen_style)
    shown = (cells, f"{words}\n{note}") if legend else None
    return write(Scene(graph, sketch, measured, chosen_style, look), heading=heading, direction=direction, key=shown)


def description(graph: Graph, metric: str = "macs", listed: Listed | None = None) -> str:
    """Return in prose what the diagram of `graph` shows: its stages in order, and its five costliest boxes."""
    sketcher = Sketcher(graph, _tree(graph, "exact"))
    stages = [part for part in sketcher.sketch(()).root.children if not (isinstance(part, Piece) and is_input(part))]
    groups = {group.path for group in drawn_groups(sketcher.root)}
    return prose(graph, sketcher.sketch(groups), list(map(_stage, stages)), costs(graph, metric, listed))


def _boxes(graph: Graph) -> tuple[Box, ...]:
    return fuse_followers(graph, drop_glue(graph, single(graph)))


def _tree(graph: Graph, fold: str) -> Group:
    root = grow(_boxes(graph))
    tree = compress(fold_repeats(graph, root) if fold == "exact" else root)
    if not isinstance(tree, Group):  # compress keeps the root
        raise TypeError(tree)
    return tree


def _stage(part: Piece | Frame) -> str:
    name = span_text(part.paths, "")
    return name if part.copies == 1 else f"{name} ({part.copies} copies)"


def _totals(graph: Graph, measured: Costs) -> str:
    every = measured.of(op.name for op in graph)
    at_least = "at least " if measured.unknown and measured.metric.needs_facts else ""
    parts = [f"{len(graph)} ops", f"{at_least}{measured.metric.text(measured.total)}"]
    if measured.metric.name != "parameters":
        parts.append(f"{units.count(every.params)} params")
    return " · ".join(parts)


def _choice(what: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise UserError(f"a diagram's {what} is {' or '.join(allowed)}, not {value!r}")
