"""The look of a diagram: what each style draws, palette and bins, fonts, shapes and line widths.

Every value here is a constant of archprof; nothing a user wrote ever becomes an attribute's value through it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

BINS = ((0.20, "#993404"), (0.10, "#d95f0e"), (0.05, "#fe9929"), (0.02, "#fec44f"), (0.01, "#fee391"), (0.0, "#ffffff"))
"""Shares and their colours, costliest first. ColorBrewer's YlOrBr without its palest step, which nobody can tell from
white; lightness falls 100-91-82-72-55-36, so that grey print works too."""

BIN_NAMES = ("≥ 20 %", "10–20", "5–10", "2–5", "1–2", "< 1")
INK, PAPER, ALARM, REPEAT = "#1a1a1a", "#ffffff", "#c1121f", "#1f5fa8"
FONT = "Helvetica,Arial,sans-serif"
SIZE = 11
SMALL = 10.5


@dataclass(frozen=True, slots=True)
class Style:
    """What a diagram shows and in which colours.

    `nodes` pieces at most and `virtual` ranks that wires pass, which is what a layout's time depends on; groups open
    only as long as the smallest printed text has `legible` points. `wires_say` puts shapes on the wires where they
    change, `details` puts parameters and bytes into each box. `fills` are the colours of the bins, cheapest first,
    `inks` those of the text on them.
    """

    name: str
    about: str
    nodes: int = 60
    virtual: int = 2000
    legible: float = 6.0
    wires_say: bool = False
    details: bool = False
    fills: tuple[str, ...] = tuple(colour for _, colour in reversed(BINS))
    inks: tuple[str, ...] = (*(INK,) * 5, PAPER)
    ground: str = PAPER
    ink: str = INK
    pen: str = "#4d4d4d"
    wire: str = "#595959"
    wire_ink: str = "#404040"
    rim: str = "#a6a6a6"
    alarm: str = ALARM
    repeat: str = REPEAT
    frames: tuple[str, ...] = ("#ffffff", "#f5f6f8", "#ebedf1")

    def fill(self, share: float) -> str:
        """Return the colour of a share."""
        return self.fills[level(share)]

    def ink_on(self, share: float) -> str:
        """Return the colour of text on a share's colour."""
        return self.inks[level(share)]

    @property
    def key(self) -> tuple[tuple[str, str, str], ...]:
        """The bins, cheapest first: colour, name, colour of text on it."""
        return tuple(zip(self.fills, BIN_NAMES[::-1], self.inks, strict=True))

    @property
    def graph(self) -> dict[str, str]:
        """Graphviz's attributes of the whole."""
        return {
            "fontname": FONT, "fontsize": "13", "bgcolor": self.ground, "labelloc": "t", "labeljust": "c",
            "nodesep": "0.14", "ranksep": "0.13", "pad": "0.1", "outputorder": "edgesfirst", "splines": "true",
            **({} if self.ink == INK else {"fontcolor": self.ink}),
        }  # fmt: skip

    @property
    def node(self) -> dict[str, str]:
        """Graphviz's attributes of every node that has no others."""
        return {
            "fontname": FONT, "fontsize": str(SIZE), "fontcolor": self.ink, "color": self.pen,
            "fillcolor": self.fills[0], "shape": "box", "style": "rounded,filled", "margin": "0.12,0.02",
            "width": "1.5", "height": "0.26", "penwidth": "0.8",
        }  # fmt: skip

    @property
    def edge(self) -> dict[str, str]:
        """Graphviz's attributes of every wire that has no others."""
        return {
            "fontname": FONT, "fontsize": str(SMALL), "color": self.wire, "fontcolor": self.wire_ink,
            "arrowsize": "0.55",
        }  # fmt: skip


STYLES: Mapping[str, Style] = {
    style.name: style
    for style in (
        Style("auto", "what fits a page, open where the cost is"),
        Style("paper", "at most 20 boxes, for a printed page", nodes=20),
        Style("detail", "up to 60 boxes, with parameters, bytes and shapes on the wires", legible=0.0,
              wires_say=True, details=True),
        Style("dark", "as auto, on a dark ground", ground="#16191d", ink="#e8e6e3", pen="#8b949e", wire="#9aa4af",
              wire_ink="#c9d1d9", rim="#4b535d", alarm="#ff7b72", repeat="#6cb6ff",
              frames=("#16191d", "#1d2126", "#252a31"),
              fills=("#22272e", "#613211", "#92490d", "#c9690f", "#f6a04d", "#fee391"),
              inks=("#e8e6e3", "#ffffff", "#ffffff", INK, INK, INK)),
    )
}  # fmt: skip
"""By name. Dark colours are lighter the more a part costs, as those on white are darker."""

HURRY = {"mclimit": "0.1", "nslimit": "1", "nslimit1": "1", "splines": "line"}
"""What a graph with too many long wires gets beside the style's, to keep its layout from taking minutes."""


@dataclass(frozen=True, slots=True)
class Paint:
    """How a piece or a frame looks that is not coloured by its share: fill, pen, another line of text, colour of text.

    An empty one leaves what the style says.
    """

    fill: str = ""
    pen: str = ""
    extra: str = ""
    ink: str = ""


def level(share: float) -> int:
    """Return the bin of a share: 5 from 20 % on, 0 below 1 % and below nothing.

    >>> level(0.2), level(0.0999), level(0.004), level(-0.5)
    (5, 3, 0, 0)
    """
    return sum(share >= least for least, _ in BINS[:-1])


def readable(fill: str) -> str:
    """Return the colour of text on `fill`, dark or white, whichever stands out more.

    >>> readable("#fee391"), readable("#993404")
    ('#1a1a1a', '#ffffff')
    """
    return max((INK, PAPER), key=lambda ink: contrast(ink, fill))


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours `#rrggbb` as WCAG 2 measures it, 1 to 21.

    >>> round(contrast("#000000", "#ffffff"), 1)
    21.0
    """
    dark, light = sorted(map(_luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def line_width(size: int) -> str:
    """Return the width of a wire that carries `size` bytes: one step a factor of ten, between 0.6 and 3.

    >>> line_width(0), line_width(10_000), line_width(1_000_000), line_width(10**12)
    ('0.60', '0.60', '1.80', '3.00')
    """
    return f"{min(3.0, max(0.6, 0.6 + 0.6 * math.log10(max(size, 1) / 10_000))):.2f}"


def css_class(*words: str) -> str:
    """Return class names made of nothing but letters, digits, `-` and `_`.

    >>> css_class("op", "my op<3>")
    'op my-op-3'
    """
    return " ".join(re.sub(r"[^A-Za-z0-9_]+", "-", word).strip("-") or "unnamed" for word in words)
