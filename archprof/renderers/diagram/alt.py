"""A picture for those who do not see it: the text of a diagram in prose, and an SVG that carries it.

It moves nothing but text that a viewer's font would put beside the middle of its box, and brings the names of frames
before the wires that cross them.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Any
from xml.dom import minidom

from archprof import units
from archprof.errors import DrawingError
from archprof.renderers.diagram.fuse import Box
from archprof.renderers.diagram.labels import batch_of, box_text, shape_text
from archprof.renderers.diagram.sketch import is_input
from archprof.renderers.markup import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archprof.graph import Graph
    from archprof.renderers.diagram.measure import Amount, Costs
    from archprof.renderers.diagram.sketch import Sketch

Element = Any
"""A node of minidom, whose stubs allow every parent to be missing."""

COSTLIEST = 5
LONGEST_CHAIN = 12


def prose(graph: Graph, sketch: Sketch, stages: Sequence[str], costs: Costs) -> str:
    """Return a diagram in sentences: inputs, chain of stages, the costliest boxes, outputs, and what is unknown.

    `sketch` has every group open; a box of it that stands for several ops alike counts with all of them.
    """
    chain = list(stages)
    if len(chain) > LONGEST_CHAIN:
        chain = [*chain[: LONGEST_CHAIN - 1], f"{len(chain) - LONGEST_CHAIN + 1} more"]
    batch = batch_of(graph)
    inputs = ", ".join(f"{op.name} {shape_text(op.outputs[0], batch)}" for op in graph.inputs)
    outputs = ", ".join(
        f"{label} {shape_text(graph[op].outputs[n], batch)}" for label, (op, n) in graph.outputs.items()
    )
    amounts = [(costs.of(piece.names), piece.node) for piece in sketch.pieces if not is_input(piece)]
    top = sorted((pair for pair in amounts if pair[0].value), key=lambda pair: -pair[0].value)[:COSTLIEST]
    listed = "; ".join(_costly(node, amount, costs) for amount, node in top if isinstance(node, Box))
    largest = f"Largest {'shares of ' * costs.adds_up}{costs.metric.name}"
    unknown = (
        f"The cost of {len(costs.unknown)} of {units.several(len(graph), 'op')} is unknown." if costs.unknown else ""
    )
    sentences = (
        f"Inputs: {inputs}." if inputs else "",
        f"In order: {', '.join(chain)}." if chain else "",
        f"{largest}: {listed}." if listed else f"No op has any {costs.metric.name}.",
        f"Outputs: {outputs}." if outputs else "",
        unknown,
    )
    return " ".join(filter(None, sentences))


def _costly(box: Box, amount: Amount, costs: Costs) -> str:
    copies = amount.ops // len(box.ops)
    often = f" and {copies - 1} like it" if copies > 1 else ""
    return f"{box.path}{often}, {box_text(box)}, {costs.part_text(amount)}"


def accessible(svg: bytes, title: str, description: str) -> bytes:
    """Return Graphviz's SVG as one image with a title and a description for screen readers.

    The lines of a box are anchored in its middle, so that they stay there in a font of other widths than Graphviz knew.
    Each node's own title becomes the text of its tooltip (full path and numbers), the links that only carried tooltips
    go, and so do the comments, one of which names the version of Graphviz.
    """
    if b"<!ENTITY" in svg:
        raise DrawingError("this SVG defines entities, which Graphviz never does: draw it anew")
    document = minidom.parseString(svg)  # noqa: S318 - without entities there is nothing to expand
    picture: Element = document.documentElement
    for node in list(_walk(document)):
        if node.nodeType == node.COMMENT_NODE:
            node.parentNode.removeChild(node)
    for link in list(picture.getElementsByTagName("a")):
        _unwrap(link)
    own = f"d{zlib.crc32(svg + title.encode()):08x}"  # ids must differ between the pictures of one page
    for group in picture.getElementsByTagName("g"):
        _tidy(group, own)
    _lift(document, picture)
    picture.setAttribute("role", "img")
    picture.setAttribute("aria-labelledby", f"{own}-title {own}-desc")
    for name, text in (("desc", description), ("title", title)):
        element = document.createElement(name)
        element.setAttribute("id", f"{own}-{name}")
        element.appendChild(document.createTextNode(printable(text, "\n")))
        picture.insertBefore(element, picture.firstChild)
    return document.toxml(encoding="utf-8") + b"\n"


def _tidy(group: Element, own: str) -> None:
    """Give a group an id of this picture's own, hide it if it is an edge, and centre its text if it is a box."""
    if group.hasAttribute("id"):
        group.setAttribute("id", f"{own}-{group.getAttribute('id')}")
    classes = group.getAttribute("class").split()
    if classes[:1] == ["edge"]:
        group.setAttribute("aria-hidden", "true")
    elif classes[:1] == ["node"] and "legend" not in classes:
        _centre(group)


def _unwrap(link: Element) -> None:
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


def _lift(document: Element, picture: Element) -> None:
    """Move the names of frames before the wires, with a rim of the frame's colour, so that none is crossed out."""
    whole = picture.getElementsByTagName("g")[0]
    for group in list(whole.getElementsByTagName("g")):
        words = group.getElementsByTagName("text")
        outline = [*group.getElementsByTagName("path")[:1], *group.getElementsByTagName("polygon")[:1]]
        if group.getAttribute("class").split()[:1] != ["cluster"] or not words or not outline:
            continue
        names = document.createElement("g")
        names.setAttribute("class", "name")
        names.setAttribute("paint-order", "stroke")
        names.setAttribute("stroke", outline[0].getAttribute("fill"))
        names.setAttribute("stroke-width", "3")
        names.setAttribute("stroke-linejoin", "round")
        for word in list(words):
            names.appendChild(word)
        whole.appendChild(names)


def _centre(node: Element) -> None:
    """Anchor a node's lines of text in the middle of its outline, if it has one."""
    outline = [*node.getElementsByTagName("path")[:1], *node.getElementsByTagName("polygon")[:1]]
    if len(outline) != 1:
        return
    points = re.findall(r"(-?[\d.]+),-?[\d.]+", outline[0].getAttribute("d") or outline[0].getAttribute("points"))
    across = [float(x) for x in points]
    middle = f"{(min(across) + max(across)) / 2:.2f}"
    lines: dict[str, Element] = {}
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


def _walk(node: Element) -> Iterator[Element]:
    for child in node.childNodes:
        yield child
        yield from _walk(child)
