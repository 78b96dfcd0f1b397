"""A Profile as a picture in a file: which format, which title, which description."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from archprof import outputs, units
from archprof.errors import UserError
from archprof.renderers import View, renderer

if TYPE_CHECKING:
    from archprof.renderers.diagram.compose import Composed
    from archprof.renderers.diagram.measure import Listed
    from archprof.result import Profile

COLUMNS = {"time": "measured_s"}
"""Short names of metrics that are columns."""
SUFFIXES = (".svg", ".pdf", ".png", ".dot", ".mmd", ".tex")


@renderer("dot", ".dot")
def dot(profile: Profile, view: View) -> str:
    """Graphviz source of the diagram."""
    return source(profile, **asked(profile, view))


def asked(profile: Profile, view: View) -> dict[str, Any]:
    """Return what a view asks of a diagram: how deep, of which module alone, and coloured by what."""
    metric = view.sort or ("macs" if profile.timing is None else "time")
    return {"depth": view.depth, "focus": view.path, "metric": metric}


def source(profile: Profile, **options: Any) -> str:
    """Return the diagram as DOT, its title being the model's name; see `archprof.renderers.diagram.compose` for options."""
    from archprof.renderers.diagram.dot import write

    return write(composed(profile, **options))


def composed(profile: Profile, **options: Any) -> Composed:
    """Return the diagram before it is written in any language."""
    from archprof.renderers.diagram import compose

    inputs = ", ".join(f"{op.name} {op.outputs[0]} {op.outputs[0].dtype}" for op in profile.network.inputs)
    listed = column(profile, options.get("metric", ""))
    given: dict[str, Any] = {"title": profile.model, "note": f"input {inputs}", "listed": listed, **options}
    return compose(profile.network, **given)


def column(profile: Profile, metric: str) -> Listed | None:
    """Return the column that a metric names: one that adds up or belongs to outputs, and no metric of the diagram's own."""
    from archprof.renderers.diagram import METRICS

    name = COLUMNS.get(metric, metric)
    if metric == "time" and name not in profile.columns:
        raise UserError("time is measured first: draw archprof.time(...), or archprof draw --metric time")
    if metric in METRICS or name not in profile.columns:
        return None
    if profile.columns[name].total not in {"sum", "output"}:
        raise UserError(
            f"{metric} does not add up over ops, so that no part has a share of it; draw {', '.join(METRICS)}"
        )
    return profile.columns[name], profile.values[name]


def title(profile: Profile) -> str:
    """Return what a reader of the page is told who cannot see the picture: name, parameters, MACs."""
    mark = "at least " if profile.gaps else ""
    return f"{profile.model}: {units.count(profile.params)} parameters, {mark}{units.count(profile.macs, 'MAC')}"


def draw(profile: Profile, path: str | os.PathLike[str], **options: Any) -> tuple[str, ...]:
    """Write the diagram to `path` as .svg, .pdf, .png, .dot, .mmd or .tex, and return what is to be said about it.

    Where a layout takes too long, less is drawn, and that is said. Raises UserError for another ending or a folder that
    is missing, DrawingError where Graphviz fails.
    """
    path = outputs.checked(path, "a picture", SUFFIXES)
    data, remarks = _in_time(profile, path.suffix[1:], options)
    with outputs.writing(path):
        path.write_bytes(data)
    return tuple(remarks)


def _in_time(profile: Profile, format: str, options: dict[str, Any]) -> tuple[bytes, list[str]]:
    """Return the picture, or one of less depth where its layout takes too long."""
    from archprof.renderers.diagram.layout import LateError

    remarks: list[str] = []
    for less in ({}, {"everything": False, "expand": ()}, {"everything": False, "expand": (), "depth": 0}):
        asked = {**options, **less}
        try:
            return _made(profile, format, asked, remarks)
        except LateError as error:
            late = error
            remarks = ["the layout took too long: less is drawn than was asked for"]
    raise late


def _made(profile: Profile, format: str, options: dict[str, Any], remarks: list[str]) -> tuple[bytes, list[str]]:
    from archprof.renderers.diagram import LEGIBLE, mermaid, printed_size, render, tikz
    from archprof.renderers.diagram.dot import write

    if format in ("mmd", "tex"):
        words = title(profile), told(profile, options)
        if format == "mmd":
            return mermaid.write(composed(profile, **options), *words).encode(), remarks
        return tikz.write(composed(profile, **options), *words).encode(), remarks
    found = composed(profile, **options)
    text = write(found)
    page = options.get("page")
    if page:
        points, remedy = printed_size(render(text, "svg"), page, len(found.scene.wiring.starts))
        remarks = [*remarks, f"the smallest text prints at {points:.1f} pt on {page}"]
        if points < LEGIBLE:
            remarks[-1] = f"warning: {remarks[-1]}, under {LEGIBLE:g}: {remedy}"
    if format == "dot":
        return text.encode(), remarks
    return picture(profile, text, format, options), remarks


def picture(profile: Profile, text: str, format: str, options: dict[str, Any]) -> bytes:
    """Return DOT text as a picture; an SVG gets a title and a description for those who cannot see it."""
    from archprof.renderers.diagram import accessible, render

    made = render(text, format, timeout=30.0 if options.get("everything") else 10.0)
    return accessible(made, title(profile), told(profile, options)) if format == "svg" else made


def told(profile: Profile, options: dict[str, Any]) -> str:
    """Return what the picture shows in prose."""
    from archprof.renderers.diagram import description

    metric = str(options.get("metric", "macs"))
    return description(profile.network, metric, column(profile, metric))
