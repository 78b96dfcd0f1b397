"""Measures by depth as a picture: one panel a column, one line a network, with matplotlib."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from archprof.plot import DASHES, PALETTE, framed, plotted
from archprof.result import Profile

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NEXT = {"activation_rms": "activations", "gradient_rms": "gradients", "weight_gradient_rms": "gradients of parameters"}
"""Headings of columns."""


def draw(profiles: Sequence[Profile], columns: Sequence[str], path: str | os.PathLike[str]) -> None:
    """Write the columns of networks by depth, on a logarithmic scale, to `path`: .svg, .pdf or .png.

    The depth of a value is the number of its op among those with parameters. Raises UserError for another ending, a folder
    that is missing, or where matplotlib is.
    """
    name = f"{', '.join(profile.model for profile in profiles)} by depth"
    plotted(path, name, lambda: drawn(profiles, columns))


def drawn(profiles: Sequence[Profile], columns: Sequence[str]) -> Figure:
    """Return the figure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.4 * len(columns), 3.0), layout="constrained")
    panels = figure.subplots(1, len(columns), squeeze=False)[0]
    for axes, column in zip(panels, columns, strict=True):
        panel(axes, profiles, column)
    figure.suptitle(profiles[0].notes[-1] if profiles[0].notes else "", fontsize=8.5)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def panel(axes: Axes, profiles: Sequence[Profile], column: str) -> None:
    """Draw one column of all networks."""
    for number, profile in enumerate(profiles):
        points = by_depth(profile, column)
        zeros = [depth for depth, value in points if not value]
        line = [(depth, value) for depth, value in points if value]
        colour, dashes = PALETTE[number % len(PALETTE)], DASHES if number // len(PALETTE) else "-"
        axes.plot(
            *zip(*line, strict=True) if line else ([], []), color=colour, linestyle=dashes, label=profile.model, lw=1.3
        )
        if zeros:  # a logarithm has no place for them
            axes.plot(zeros, [0.02] * len(zeros), "|", color=colour, ms=5, transform=axes.get_xaxis_transform())
    axes.set_yscale("log")
    axes.set_title(NEXT.get(column, column), fontsize=9, loc="left", fontweight="bold")
    axes.set_xlabel("depth, in layers with parameters")
    axes.set_ylabel("root mean square")
    framed(axes)


def by_depth(profile: Profile, column: str) -> list[tuple[int, float]]:
    """Return a column's known values at ops with parameters that contract, by their number in order."""
    ops = [number for number, op in enumerate(profile.network.ops) if op.weights and profile.values["macs"][number]]
    values = profile.values[column]
    return [(depth, values[number]) for depth, number in enumerate(ops, 1) if values[number] is not None]
