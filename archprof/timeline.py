"""Memory over a pass as a picture: bytes alive after every making and freeing, stacked by kind, with matplotlib."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from archprof import units
from archprof.footprint import (
    ACTIVATIONS,
    BUFFERS,
    CACHE,
    GRADIENTS,
    INPUTS,
    KINDS,
    PARAMETERS,
    STATE,
    TEMPORARIES,
    Live,
    Memory,
)
from archprof.plot import INK, framed, plotted, say

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    PARAMETERS: "#0072b2", BUFFERS: "#8c8c8c", INPUTS: "#56b4e9", CACHE: "#f0e442", GRADIENTS: "#cc79a7", STATE: "#009e73",
    ACTIVATIONS: "#d55e00", TEMPORARIES: "#e69f00",
}  # fmt: skip
"""Okabe and Ito's, one a kind."""


def draw(memory: Memory, path: str | os.PathLike[str]) -> None:
    """Write the picture to `path`: .svg, .pdf or .png; raise UserError for another ending or a missing folder."""
    plotted(path, f"{memory.model}: memory over a pass", lambda: drawn(memory))


def drawn(memory: Memory) -> Figure:
    """Return the figure, a panel a pass: inference, and the training step or that of decoding where there is one."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    names = {"training": f"a training step with {memory.optimizer}"}
    if memory.cache is not None:
        names = {"prefill": f"reading {memory.cache.tokens:,} tokens", "decoding": "decoding the next one"}
    passes = {names.get(name, name): live for name, live in memory.passes.items()}
    figure = Figure(figsize=(7.2, 0.7 + 2.5 * len(passes)), layout="constrained")
    panels = figure.subplots(len(passes), 1, squeeze=False)[:, 0]
    for axes, (name, live) in zip(panels, passes.items(), strict=True):
        panel(axes, live)
        axes.set_title(
            f"{memory.model}, {name}: peak {units.size(live.peak_bytes)}", fontsize=9, loc="left", fontweight="bold"
        )
    panels[-1].set_xlabel("makings and freeings, in order of execution")
    held = [kind for kind in KINDS if any(kind in live.changes for live in passes.values())]
    patches = [Patch(color=COLOURS[kind], label=kind) for kind in held]
    figure.legend(handles=patches, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return figure


def panel(axes: Axes, live: Live) -> None:
    """Draw one pass: an area a kind, its parts named below, the peak with who is being made then."""
    stacked = {kind: live.course(kind) for kind in live.changes}
    power = units.scale(live.peak_bytes, 1024)
    unit = 1024**power
    areas = [[size / unit for size in sizes] for sizes in stacked.values()]
    axes.stackplot(range(live.end + 1), *areas, colors=[COLOURS[kind] for kind in stacked], step="post", linewidth=0)
    peak, room = live.peak_bytes / unit, 1.25 * live.peak_bytes / unit
    axes.set_xlim(0, max(1, live.end))
    axes.set_ylim(0, room)
    axes.set_ylabel(f"alive, in {units.BYTE_PREFIXES[power]}B")
    made = next((block.name for block in live.blocks if block.born == live.peak_at), "")
    axes.plot([live.peak_at], [peak], "o", color=INK, ms=3.5, zorder=4)
    side = "right" if live.peak_at > live.end / 2 else "left"
    say(
        axes,
        (live.peak_at, peak),
        f"peak, as {made} is made" if made else "peak",
        (0, 5),
        ha=side,
        va="bottom",
    )
    for name, start in live.phases if len(live.phases) > 1 else ():
        axes.axvline(start, color=INK, linewidth=0.7, linestyle=(0, (1, 2)), zorder=3)
        say(axes, (start, room), name, (3, -4), ha="left", va="top")
    framed(axes)
