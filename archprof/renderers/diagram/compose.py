"""From a graph to a scene that can be written in any language: the steps of the pipeline in their order.

    drop_glue -> fuse_followers -> focus -> fold_repeats -> compress -> cut -> wire_up

Every step is a pure function in a file of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from archprof import units
from archprof.errors import UserError
from archprof.renderers.diagram.alt import prose
from archprof.renderers.diagram.cut import Cut, cut, fits
from archprof.renderers.diagram.focus import focused
from archprof.renderers.diagram.fold import fold_repeats
from archprof.renderers.diagram.fuse import Box, drop_glue, fuse_followers, single
from archprof.renderers.diagram.labels import span_text
from archprof.renderers.diagram.measure import costs
from archprof.renderers.diagram.page import COLUMNS, LEGIBLE, PAGES, extent, printed
from archprof.renderers.diagram.scene import Scene, painter
from archprof.renderers.diagram.scene import key as shares
from archprof.renderers.diagram.sketch import Frame, Piece, Sketcher, is_input
from archprof.renderers.diagram.style import STYLES, Paint, Style
from archprof.renderers.diagram.tree import Group, compress, drawn_groups, grow, parted
from archprof.renderers.diagram.wiring import split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archprof.graph import Graph
    from archprof.renderers.diagram.measure import Costs, Listed
    from archprof.renderers.diagram.scene import Painter
    from archprof.renderers.diagram.sketch import Sketch

DIRECTIONS = ("TB", "LR")
FOLDS = ("exact", "similar", "none")
RUNNING = "a concat that begins as an earlier one does is drawn as reading that one"

Key = tuple["Sequence[tuple[str, str, str]]", str]
"""A legend: fill, words and colour of text of each cell, and what they mean."""


@dataclass(frozen=True)
class Composed:
    """A picture before it is written: the lines above it, the scene, the way of the flow and the legend, if any."""

    heading: tuple[str, ...]
    scene: Scene
    direction: str
    key: Key | None

    def without_legend(self) -> Composed:
        """Return the picture without its legend, for a writer that draws its own."""
        return replace(self, key=None)


def compose(
    graph: Graph,
    *,
    title: str,
    metric: str = "macs",
    depth: int | None = None,
    expand: Sequence[str] = (),
    collapse: Sequence[str] = (),
    focus: str = "",
    direction: str = "TB",
    fold: str = "exact",
    glue: bool = False,
    everything: bool = False,
    style: str = "auto",
    page: str = "",
    columns: int | None = None,
    legend: bool = True,
    note: str = "",
    listed: Listed | None = None,
    paint: Painter | Mapping[str, Paint] | None = None,
    key: Key | None = None,
) -> Composed:
    """Return the picture of `graph`, coloured by each part's share of `metric`.

    `depth` opens the groups uniformly down to that level (0 opens none), as far as the budgets of `style` go; without
    it the costliest open first, and `everything` opens all. `expand` and `collapse` are globs on the paths of groups;
    with a `focus`, the path of one, all else is stubs. `glue` draws the ops too that go without saying.

    `page` is the one the text must be legible on, `columns` how many stand side by side; without it as many as it takes
    where there is a page or the style is for one. `note` is added to the legend. `metric` may be any name where `listed`
    has a column and its values.

    `paint` gives pieces and frames other looks, by path or by a function of the part (a diff: added, removed, changed);
    `key` is the legend that goes with them in place of the shares'. Equal graphs give equal pictures. Raises UserError
    for an option that is none.
    """
    _choice("direction", direction, DIRECTIONS)
    _choice("fold", fold, FOLDS)
    _choice("style", style, tuple(STYLES))
    _choice("page", page, ("", *PAGES))
    looks = STYLES[style]
    measured = costs(graph, metric, listed)
    tree = _tree(graph, fold, focus, glue=glue)
    sketcher = Sketcher(graph, tree)
    if everything:
        chosen = Cut(frozenset(group.path for group in drawn_groups(tree)))
        sketch = sketcher.sketch(chosen.opened)
    else:
        plan = _Plan(sketcher, measured, looks, depth, (*expand, focus) if focus else expand, collapse)
        chosen, sketch, columns = plan.best(page, direction, columns)
    heading = [title, _totals(graph, measured)]
    if focus:
        heading.append(f"only {focus} is open")
    if measured.unknown:
        heading.append(
            f"unknown cost: {len(measured.unknown)} of {units.several(len(graph), 'op')}{', not in the sums' * measured.adds_up}"
        )
    if chosen.refused:
        heading.append(f"{chosen.refused} groups kept closed, to fit a page")
    elif not fits(sketch, looks):
        heading.append("larger than a page")
    if sketcher.has_running:
        note = f"{note}\n{RUNNING}"
    look = painter(paint) if isinstance(paint, Mapping) else paint
    cells, words = key or shares(measured, looks)
    scene = Scene(graph, sketch, measured, looks, look, columns or 1)
    return Composed(tuple(heading), scene, direction, (cells, f"{words}\n{note}") if legend else None)


@dataclass(frozen=True)
class _Plan:
    """What is asked of a cut; the page and the columns decide how much of it can be had."""

    sketcher: Sketcher
    costs: Costs
    style: Style
    depth: int | None
    expand: Sequence[str]
    collapse: Sequence[str]

    def best(self, page: str, direction: str, columns: int | None) -> tuple[Cut, Sketch, int]:
        """Return the cut, what it draws, and its columns: the fewest in which the text is legible, if none are given."""
        if columns is None and (direction == "LR" or not (page or self.style.name == "paper")):
            columns = 1
        page = page or "a4"
        if columns is not None:
            return (*self._cut(self.style.legible, page, direction, columns), columns)
        open_ended = [self._cut(0.0, page, direction, 1)]
        _, sketch = open_ended[0]
        sizes = [printed(extent(sketch, split(sketch, n)), page) for n in range(1, COLUMNS + 1)]
        best = next((n for n, size in enumerate(sizes) if size >= LEGIBLE), sizes.index(max(sizes)))
        if sizes[best] >= LEGIBLE:
            return (*open_ended[0], best + 1)
        return (*self._cut(LEGIBLE, page, direction, best + 1), best + 1)

    def _cut(self, legible: float, page: str, direction: str, columns: int) -> tuple[Cut, Sketch]:
        def is_legible(sketch: Sketch) -> bool:
            starts = split(sketch, columns) if columns > 1 else (0,)
            return not legible or printed(extent(sketch, starts, direction), page) >= legible

        chosen = cut(self.sketcher, self.costs, self.depth, self.expand, self.collapse, self.style, is_legible)
        return chosen, self.sketcher.sketch(chosen.opened)


def description(graph: Graph, metric: str = "macs", listed: Listed | None = None) -> str:
    """Return in prose what the diagram of `graph` shows: its stages in order, and its five costliest boxes."""
    sketcher = Sketcher(graph, _tree(graph, "exact"))
    stages = [part for part in sketcher.sketch(()).root.children if not (isinstance(part, Piece) and is_input(part))]
    groups = {group.path for group in drawn_groups(sketcher.root)}
    return prose(graph, sketcher.sketch(groups), list(map(_stage, stages)), costs(graph, metric, listed))


def _boxes(graph: Graph, *, glue: bool = False) -> tuple[Box, ...]:
    return fuse_followers(graph, single(graph) if glue else drop_glue(graph, single(graph)))


def _tree(graph: Graph, fold: str, focus: str = "", *, glue: bool = False) -> Group:
    root = grow(_boxes(graph, glue=glue))
    if focus:
        root = focused(graph, root, focus)
    tree = parted(compress(root if fold == "none" else fold_repeats(graph, root, similar=fold == "similar")))
    if not isinstance(tree, Group):  # compress keeps the root
        raise TypeError(tree)
    return tree


def _stage(part: Piece | Frame) -> str:
    name = span_text(part.paths, "")
    return name if part.copies == 1 else f"{name} ({part.copies} copies)"


def _totals(graph: Graph, measured: Costs) -> str:
    every = measured.of(op.name for op in graph)
    at_least = "at least " if measured.unknown and measured.metric.needs_facts else ""
    total = f"{at_least}{measured.metric.text(measured.total)}"
    if not measured.adds_up:
        total = f"{measured.metric.name} up to {measured.metric.text(measured.largest)}"
    parts = [units.several(len(graph), "op"), total]
    if measured.metric.name != "parameters":
        parts.append(f"{units.count(every.params)} params")
    return " · ".join(parts)


def _choice(what: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise UserError(f"a diagram's {what} is {' or '.join(filter(None, allowed))}, not {value!r}")
