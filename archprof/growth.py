"""The growth of the receptive field by depth as a picture: one dot an op, lines along the tensors, with matplotlib."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from archprof.errors import UserError
from archprof.fields import changes
from archprof.plot import DASHES, OTHER, PALETTE, framed, plotted, say
from archprof.receptive import Fields
from archprof.result import Profile

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(profile: Profile, path: str | os.PathLike[str], input: str = "") -> None:
    """Write the picture to `path`: .svg, .pdf or .png.

    Raises UserError for another ending, a missing folder, or where nobody knows what any op sees.
    """
    plotted(path, f"{profile.model}: receptive field", lambda: drawn(profile, profile.receptive_field(input)))


def drawn(profile: Profile, found: Fields) -> Figure:
    """Return the figure: a panel for each axis of the input along which the sizes differ from those of the first."""
    from matplotlib.figure import Figure

    shown = [name for name in found.fields if found.fields[name] is not None and changes(profile, found, name)]
    if not shown:
        raise UserError(
            f"there is nothing to plot: of no op of {profile.model} is it known that it sees any of the input"
        )
    sizes = {name: [field.size for field in found.fields[name] or ()] for name in shown}
    lines = [tuple(row[i] for row in sizes.values()) for i in range(len(found.axes))]
    axes = sorted({line: i for i, line in reversed([*enumerate(lines)])}.values())
    figure = Figure(figsize=(7.2, 0.9 + 2.9 * len(axes)), layout="constrained")
    panels = figure.subplots(len(axes), 1, sharex=True, squeeze=False)[:, 0]
    places = depths(profile, shown)
    for axis, panel in zip(axes, panels, strict=True):
        one(panel, profile, found, axis, places, has_legend=panel is panels[0])
        both = f"axis {axis + 1} of " if len(axes) > 1 else ""
        panel.set_ylabel("receptive field in positions")
        panel.set_title(
            f"{both}{profile.model}, input {' x '.join(map(str, found.sizes))}",
            loc="left",
            fontsize=9,
            fontweight="bold",
        )
    panels[-1].set_xlabel("depth: ops in a row that see something else than the one before")
    return figure


def depths(profile: Profile, shown: list[str]) -> dict[str, tuple[int, str | None]]:
    """Return for every op how many of `shown` are on the longest way to it, and the shown op it stands for."""
    wanted = set(shown)
    found: dict[str, tuple[int, str | None]] = {}
    for op in profile.network.ops:
        above = [found[name] for name in profile.network.producers(op.name) if name in found]
        depth, last = max(above, default=(0, None), key=lambda pair: pair[0])
        found[op.name] = (depth + 1, op.name) if op.name in wanted else (depth, last)
    return found


def one(
    panel: Axes,
    profile: Profile,
    found: Fields,
    axis: int,
    places: dict[str, tuple[int, str | None]],
    *,
    has_legend: bool,
) -> None:
    """Draw one axis of the input: lines along the tensors, and above them a dot an op, hollow where it sees everything."""
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import withStroke
    from matplotlib.ticker import MaxNLocator

    length = found.sizes[axis]
    points = {name: (depth, (found.fields[name] or ())[axis]) for name, (depth, own) in places.items() if own == name}
    kinds = list(dict.fromkeys(profile.network[name].kind for name in points))
    counted = sorted(kinds, key=lambda kind: -sum(profile.network[name].kind == kind for name in points))
    colours = dict(zip(counted[: len(PALETTE)], PALETTE, strict=False))
    panel.axhline(length, color=OTHER, linewidth=0.9, linestyle=DASHES, zorder=1)
    for name, (depth, field) in points.items():
        for producer in profile.network.producers(name):
            own = places.get(producer, (0, None))[1]
            if own in points:
                x, before = points[own]
                panel.plot([x, depth], [before.size, field.size], color="#b0b0b0", linewidth=0.8, zorder=2)
    for kind in kinds:
        colour = colours.get(kind, OTHER)
        dots = [(x, field) for name, (x, field) in points.items() if profile.network[name].kind == kind]
        faces = ["white" if field.is_whole else colour for _, field in dots]
        panel.scatter([x for x, _ in dots], [field.size for _, field in dots], s=18, facecolors=faces, edgecolors=colour,
                      linewidths=0.9, zorder=3)  # fmt: skip
    deepest = max((x for x, _ in points.values()), default=1)
    partly = [(field.size, x, name) for name, (x, field) in points.items() if not field.is_whole]
    if partly:
        size, x, name = max(partly)
        is_left = x < deepest / 2
        say(
            panel,
            (x, size),
            f"{size} at {name}",
            (6 if is_left else -6, 3),
            ha="left" if is_left else "right",
            va="bottom",
            path_effects=[withStroke(linewidth=2, foreground="white")],  # lines may pass behind it
        )
    panel.set_xlim(0, deepest + 1)
    panel.set_ylim(0, 1.14 * max([length, *(field.size for _, field in points.values())]))
    say(panel, (0, length), f"the input, {length}", (4, 3), OTHER, ha="left", va="bottom")
    for line in (panel.xaxis, panel.yaxis):
        line.set_major_locator(MaxNLocator(integer=True))
    framed(panel)
    named = [
        *((kind, colours[kind]) for kind in kinds if kind in colours),
        *[("others", OTHER)] * (len(kinds) > len(colours)),
    ]
    dots = [
        Line2D([], [], linestyle="none", marker="o", markersize=4, color=colour, label=kind) for kind, colour in named
    ]
    hollow = {"markerfacecolor": "white", "color": OTHER, "label": "hollow: sees the\nwhole input"}
    dots.append(Line2D([], [], linestyle="none", marker="o", markersize=4, **hollow))
    if has_legend:
        panel.legend(handles=dots, loc="upper left", bbox_to_anchor=(1.0, 1.02), frameon=False, fontsize=8)
