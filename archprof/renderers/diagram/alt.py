"""A picture for those who do not see it: the text of a diagram in prose, and an SVG that carries it.

It moves nothing but text that a viewer's font would put beside the middle of its box.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.dom import minidom

from archprof.errors import DrawingError
from archprof.renderers.diagram.labels import box_text, shape_text
from archprof.renderers.diagram.measure import costs as measured
from archprof.renderers.diagram.measure import percent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from archprof.graph import Graph
    from archprof.renderers.diagram.fuse import Box

COSTLIEST = 5
LONGEST_CHAIN = 12


def prose(graph: Graph, found: Iterable[Box], stages: Iterable[str], metric: str) -> str:
    """Return a diagram in sentences: inputs, chain of stages, the costliest boxes, outputs, and what is unknown."""
    costs = measured(graph, metric)
    chain = list(stages)
    more = len(chain) - LONGEST_CHAIN
    if more > 0:
        chain = [*chain[: LONGEST_CHAIN - 1], f"{more + 1} more"]
    inputs = ", ".join(f"{op.name} {shape_text(op.outputs[0])}" for op in graph.inputs)
    outputs = ", ".join(f"{label} {shape_text(graph[op].outputs[n])}" for label, (op, n) in graph.outputs.items())
    amounts = [(costs.of(op.name for op in box.ops), box) for box in found]
    top = sorted((pair for pair in amounts if pair[0].value), key=lambda pair: -pair[0].value)[:COSTLIEST]
    listed = "; ".join(f"{box.path}, {box_text(box)}, {percent(amount.share)}" for amount, box in top)
    unknown = f"The cost of {len(costs.unknown)} of {len(graph)} ops is unknown." if costs.unknown else ""
    sentences = (
        f"Inputs: {inputs}." if inputs else "",
        f"In order: {', '.join(chain)}." if chain else "",
        f"Largest shares of {costs.metric.name}: {listed}." if listed else f"No op has any {costs.metric.name}.",
        f"Outputs: {outputs}." if outputs else "",
        unknown,
    )
    return " ".join(filter(None, sentences))


def accessible(svg: bytes, title: str, description: str) -> bytes:
    """Return Graphviz's SVG as one image with a title and a description for screen readers.

    The lines of a box are anchored in its middle, so that they stay there in a font of other widths than Graphviz knew.
    Each node's own title becomes the text of its tooltip (full path and numbers), the links that only carried tooltips
    go, and so do the comments, one of which names the version of Graphviz.
    """
    if b"<!ENTITY" in svg:
        raise DrawingError("this SVG defines entities, which Graphviz never does: draw it anew")
    document = minidom.parseString(svg)  # noqa: S318 - without entities there is nothing to expand
    picture = document.documentElement
    for node in list(_walk(document)):
        if node.nodeType == node.COMMENT_NODE:
            node.parentNode.removeChild(node)
    for link in list(picture.getElementsByTagName("a")):
        _unwrap(link)
    for group in picture.getElementsByTagName("g"):
        role = group.getAttribute("class").split()[:1]
        if role == ["edge"]:
            group.setAttribute("aria-hidden", "true")
        elif role == ["node"] and "legend" not in group.getAttribute("class").split():
            _centre(group)
    picture.setAttribute("role", "img")
    picture.setAttribute("aria-labelledby", "archprof-title archprof-desc")
    for name, text in (("desc", description), ("title", title)):
        element = document.createElement(name)
        element.setAttribute("id", f"archprof-{name}")
        element.appendChild(document.createTextNode(_printable(text)))
        picture.insertBefore(element, picture.firstChild)
    return document.toxml(encoding="utf-8") + b"\n"


def _unwrap(link: minidom.Element) -> None:
    """Put a link's children in its place, and its tooltip into the title of the node it stands in."""
    tip = link.getAttribute("xlink:title")
    group = link.parentNode
    while link.firstChild:
        group.insertBefore(link.firstChild, link)
    group.removeChild(link)
    owner = group if group.getAttribute("class").split()[:1] in (["node"], ["cluster"]) else group.parentNode
    for title in owner.childNodes:
        if tip and title.nodeName == "title":
            title.firstChild.data = tip


def _centre(node: minidom.Element) -> None:
    """Anchor a node's lines of text in the middle of its outline, if it has one."""
    outline = [*node.getElementsByTagName("path")[:1], *node.getElementsByTagName("polygon")[:1]]
    if len(outline) != 1:
        return
    points = re.findall(r"(-?[\d.]+),-?[\d.]+", outline[0].getAttribute("d") or outline[0].getAttribute("points"))
    across = [float(x) for x in points]
    middle = f"{(min(across) + max(across)) / 2:.2f}"
    lines: dict[str, minidom.Element] = {}
    for text in list(node.getElementsByTagName("text")):
        line = lines.setdefault(text.getAttribute("y"), text)
        line.setAttribute("text-anchor", "middle")
        line.setAttribute("x", middle)
        if line is not text:
            text.tagName = text.nodeName = "tspan"
            for position in ("x", "y", "text-anchor"):
                text.removeAttribute(position)
            text.setAttribute("font-weight", text.getAttribute("font-weight") or "normal")
            line.appendChild(text)


def _walk(node: minidom.Node) -> Iterable[minidom.Node]:
    for child in node.childNodes:
        yield child
        yield from _walk(child)


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text)
