"""The look of a diagram: palette and bins, fonts, shapes and line widths.

Every value here is a constant of archprof; nothing a user wrote ever becomes an attribute's value through it.
"""

from __future__ import annotations

import math
import re

BINS = ((0.20, "#993404"), (0.10, "#d95f0e"), (0.05, "#fe9929"), (0.02, "#fec44f"), (0.01, "#fee391"), (0.0, "#ffffff"))
"""Shares and their colours, costliest first. ColorBrewer's YlOrBr without its palest step, which nobody can tell from
white; lightness falls 100-91-82-72-55-36, so that grey print works too."""

BIN_NAMES = ("≥ 20 %", "10–20", "5–10", "2–5", "1–2", "< 1")
INK, PAPER, ALARM, REPEAT = "#1a1a1a", "#ffffff", "#c1121f", "#1f5fa8"
FRAME_FILLS = ("#ffffff", "#f5f6f8", "#ebedf1")
FONT = "Helvetica,Arial,sans-serif"
SIZE = 11
SMALL = 10.5

GRAPH = {
    "fontname": FONT, "fontsize": "13", "bgcolor": PAPER, "labelloc": "t", "labeljust": "c", "nodesep": "0.14",
    "ranksep": "0.13", "pad": "0.1", "outputorder": "edgesfirst", "splines": "true",
}  # fmt: skip
HURRY = {"mclimit": "0.1", "nslimit": "1", "nslimit1": "1", "splines": "line"}
"""What a graph with too many long wires gets beside GRAPH, to keep its layout from taking minutes."""

NODE = {
    "fontname": FONT, "fontsize": str(SIZE), "fontcolor": INK, "color": "#4d4d4d", "fillcolor": PAPER, "shape": "box",
    "style": "rounded,filled", "margin": "0.12,0.02", "width": "1.5", "height": "0.26", "penwidth": "0.8",
}  # fmt: skip
EDGE = {"fontname": FONT, "fontsize": str(SMALL), "color": "#595959", "fontcolor": "#404040", "arrowsize": "0.55"}


def level(share: float) -> int:
    """Return the bin of a share: 5 from 20 % on, 0 below 1 %.

    >>> level(0.2), level(0.0999), level(0.004)
    (5, 3, 0)
    """
    return next(len(BINS) - 1 - place for place, (least, _) in enumerate(BINS) if share >= least)


def fill(share: float) -> str:
    """Return the colour of a share."""
    return BINS[len(BINS) - 1 - level(share)][1]


def ink(share: float) -> str:
    """Return the colour of text on a share's colour: white on the darkest only."""
    return PAPER if level(share) == len(BINS) - 1 else INK


def line_width(size: int) -> str:
    """Return the width of a wire that carries `size` bytes: one step a factor of ten, between 0.6 and 3.

    >>> line_width(0), line_width(10_000), line_width(1_000_000), line_width(10**12)
    ('0.60', '0.60', '1.80', '3.00')
    """
    return f"{min(3.0, max(0.6, 0.6 + 0.6 * math.log10(max(size, 1) / 10_000))):.2f}"


def bins() -> list[tuple[tuple[float, str], str, str]]:
    """Return the bins, cheapest first: least share and colour, name, colour of text on it."""
    return [(found, name, ink(found[0])) for found, name in zip(BINS[::-1], BIN_NAMES[::-1], strict=True)]


def css_class(*words: str) -> str:
    """Return class names made of nothing but letters, digits, `-` and `_`.

    >>> css_class("op", "my op<3>")
    'op my-op-3'
    """
    return " ".join(re.sub(r"[^A-Za-z0-9_]+", "-", word).strip("-") or "unnamed" for word in words)
