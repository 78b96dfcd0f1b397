"""A Profile as a picture in a file: which format, which title, which description."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archprof import units
from archprof.errors import UserError
from archprof.renderers import View, renderer

if TYPE_CHECKING:
    from archprof.renderers.diagram.measure import Listed
    from archprof.result import Profile

COLUMNS = {"time": "measured_s"}
"""Short names of metrics that are columns."""
SUFFIXES = (".svg", ".pdf", ".png", ".dot")


@renderer("dot", ".dot")
def dot(profile: Profile, view: View) -> str:
    """Graphviz source of the diagram."""
    return source(profile, depth=view.depth, metric=view.sort or "macs")


def source(profile: Profile, **options: Any) -> str:
    """Return the diagram as DOT, its title being the model's name; see `archprof.renderers.diagram.diagram` for options."""
    from archprof.renderers.diagram import diagram

    inputs = ", ".join(f"{op.name} {op.outputs[0]} {op.outputs[0].dtype}" for op in profile.network.inputs)
    listed = column(profile, options.get("metric", ""))
    return diagram(profile.network, title=profile.model, note=f"input {inputs}", listed=listed, **options)


def column(profile: Profile, metric: str) -> Listed | None:
    """Return the column that a metric names, where it is one that adds up and no metric of the diagram's own."""
    from archprof.renderers.diagram import METRICS

    name = COLUMNS.get(metric, metric)
    if metric == "time" and name not in profile.columns:
        raise UserError("time is measured first: draw archprof.time(...), or archprof draw --metric time")
    if metric in METRICS or name not in profile.totals:
        return None
    return profile.columns[name], profile.values[name]


def title(profile: Profile) -> str:
    """Return what a reader of the page is told who cannot see the picture: name, parameters, MACs."""
    mark = "at least " if profile.gaps else ""
    return f"{profile.model}: {units.count(profile.params)} parameters, {mark}{units.count(profile.macs, 'MAC')}"


def draw(profile: Profile, path: str | os.PathLike[str], **options: object) -> None:
    """Write the diagram to `path` as .svg, .pdf, .png or .dot.

    Raises UserError for another ending or a folder that is missing, DrawingError where Graphviz fails.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise UserError(f"a picture's name ends in {', '.join(SUFFIXES)}, not {path.suffix or 'nothing'!r}")
    if not os.path.isdir(path.absolute().parent):  # noqa: PTH112 - pathlib's raises where a name is too long
        raise UserError(f"there is no folder {str(path.parent)!r}")
    text = source(profile, **options)  # type: ignore[arg-type]
    try:
        path.write_bytes(text.encode() if path.suffix == ".dot" else picture(profile, text, path.suffix[1:], options))
    except OSError as error:
        raise UserError(f"cannot write {str(path)!r}: {error.strerror}") from None


def picture(profile: Profile, text: str, format: str, options: dict[str, object]) -> bytes:
    """Return DOT text as a picture; an SVG gets a title and a description for those who cannot see it."""
    from archprof.renderers.diagram import accessible, description, render

    made = render(text, format)
    metric = str(options.get("metric", "macs"))
    told = description(profile.network, metric, column(profile, metric)) if format == "svg" else ""
    return accessible(made, title(profile), told) if format == "svg" else made
