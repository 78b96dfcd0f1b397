"""The diagram of a network: nested boxes that say where the cost is, folded so that they fit a page.

    compose (drop_glue -> fuse_followers -> fold_repeats -> compress -> cut -> wire_up) -> DOT -> Graphviz

`compose` returns what is drawn, `write` in a file of each language writes it down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archprof.renderers.diagram import mermaid, tikz
from archprof.renderers.diagram.alt import accessible
from archprof.renderers.diagram.compose import DIRECTIONS, FOLDS, Composed, compose, description
from archprof.renderers.diagram.dot import write
from archprof.renderers.diagram.layout import render
from archprof.renderers.diagram.measure import METRICS
from archprof.renderers.diagram.page import COLUMNS, LEGIBLE, PAGES, printed_size
from archprof.renderers.diagram.style import STYLES, Paint

if TYPE_CHECKING:
    from archprof.graph import Graph

__all__ = [
    "COLUMNS", "DIRECTIONS", "FOLDS", "LEGIBLE", "METRICS", "PAGES", "STYLES", "Composed", "Paint", "accessible",
    "compose", "description", "diagram", "mermaid", "printed_size", "render", "tikz",
]  # fmt: skip


def diagram(graph: Graph, **options: Any) -> str:
    """Return the DOT text of `graph`; see `compose` for the options."""
    return write(compose(graph, **options))
