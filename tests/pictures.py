"""Reads where the boxes of a drawn SVG are."""

from __future__ import annotations

import re
from xml.dom import minidom


def centres(svg: bytes) -> dict[str, tuple[float, float]]:
    """Return the middle of the outline of every node of a plain SVG, by name."""
    found = {}
    for group in minidom.parseString(svg).getElementsByTagName("g"):
        if not group.getAttribute("class").startswith("node") or not group.getElementsByTagName("path"):
            continue
        outline = group.getElementsByTagName("path")[0].getAttribute("d")
        points = [tuple(map(float, pair)) for pair in re.findall(r"(-?[\d.]+),(-?[\d.]+)", outline)]
        xs, ys = zip(*points, strict=True)
        name = group.getElementsByTagName("title")[0].firstChild.data
        found[name] = ((min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2)
    return found
