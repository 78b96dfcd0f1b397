"""The rooflines of networks as a picture: one panel a network and device, one dot a kernel, with matplotlib."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archprof import outputs, units
from archprof.devices import Device
from archprof.errors import UserError
from archprof.result import Profile
from archprof.roofline import MEMORY, Kernel, Roofline, roofline
from archprof.rooflines import main_dtype

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".pdf", ".png")
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's colours, which people who are colour-blind tell apart; the most costly kind has the first."""
OTHER, INK = "#737373", "#1a1a1a"
DASHES = (0, (4, 2))
PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
SMALLEST, LARGEST = 10.0, 130.0
"""Areas of dots, in square points: of a kernel without MACs, and of the one with most."""
COLUMNS = 3
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans", "font.size": 8.5, "axes.linewidth": 0.7, "axes.edgecolor": INK, "axes.labelcolor": INK,
    "text.color": INK, "svg.hashsalt": "archprof", "pdf.fonttype": 42, "savefig.facecolor": "white",
}  # fmt: skip
"""A picture is the same on every machine, its text can be searched in a PDF, and it has paper below it in dark themes."""


def draw(profiles: Sequence[Profile], devices: Sequence[Device], path: str | os.PathLike[str]) -> None:
    """Write the rooflines of networks on devices to `path`: .svg, .pdf or .png.

    Raises UserError for another ending, a folder that is missing, or where matplotlib is.
    """
    plotted(path, "; ".join(map(title, profiles)), lambda: drawn(profiles, devices))


def plotted(path: str | os.PathLike[str], name: str, make: Callable[[], Figure]) -> None:
    """Write the figure that `make` returns in our style to `path`, which is checked before it is made."""
    path = checked(path)
    import matplotlib as mpl  # an extra

    with mpl.rc_context(STYLE):
        saved(make(), path, name)


def saved(figure: Figure, path: Path, name: str) -> None:
    """Write a figure without its date, so that equal ones are equal files; raise UserError where that is not possible."""
    dates: dict[str, Any] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {}}
    with outputs.writing(path):
        figure.savefig(path, dpi=200, metadata={"Title": name, **dates[path.suffix]})


def checked(path: str | os.PathLike[str]) -> Path:
    """Return the path of a plot that can be made; raise UserError, before any work is done, where it cannot."""
    path = outputs.checked(path, "a plot", SUFFIXES)
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise UserError("a plot needs matplotlib: pip install 'archprof[plot]'") from None
    return path


def title(profile: Profile) -> str:
    """Return what stands above the panels."""
    inputs = ", ".join(f"{op.outputs[0]} {op.outputs[0].dtype}" for op in profile.network.inputs)
    mark = "at least " if profile.gaps else ""
    return f"{profile.model}: {mark}{units.count(profile.macs, 'MAC')}, input {inputs}"


def drawn(profiles: Sequence[Profile], devices: Sequence[Device]) -> Figure:
    """Return the figure: for each network on each device its roofline and where its time goes, and one legend below all."""
    from matplotlib.figure import Figure

    dtypes = list(map(main_dtype, profiles))
    roofs = [[roofline(profile.network, device) for device in devices] for profile in profiles]
    pairs = [(number, found) for number, row in enumerate(roofs) for found in row]
    across = min(COLUMNS, len(devices) if len(devices) > 1 else len(pairs))
    down = math.ceil(len(pairs) / across)
    figure = Figure(figsize=(max(4.6, 3.4 * across), 1.0 + 3.6 * down), layout="constrained")
    ratios = {"height_ratios": [3, 1] * down, "hspace": 0.04}
    panels = figure.subplots(2 * down, across, sharex=True, sharey="row", squeeze=False, gridspec_kw=ratios)
    colours = palette([(profile, row[0]) for profile, row in zip(profiles, roofs, strict=True)])
    ends = limits([(profiles[number], found, dtypes[number]) for number, found in pairs])
    for number in range(across * down):
        upper, lower = panels[2 * (number // across) : 2 * (number // across) + 2, number % across]
        if number >= len(pairs):
            upper.remove()
            lower.remove()
            continue
        which, found = pairs[number]
        profile = profiles[which]
        panel(upper, profile, found, dtypes[which], colours, ends)
        if len(profiles) > 1:
            upper.set_title(f"{profile.model} on {found.device}", fontsize=9, fontweight="bold", loc="left", pad=15)
        strip(lower, profile, found, colours, ends)
        is_last = number + across >= len(pairs)
        lower.tick_params(labelbottom=is_last)
        lower.set_xlabel("arithmetic intensity in FLOP/B" if is_last else "")
        if number % across == 0:
            upper.set_ylabel("attainable rate in FLOP/s")
            lower.set_ylabel("% of time")
    figure.suptitle("\n".join(map(title, profiles)), fontsize=10)
    has_second = any(has_second_roof(device, dtype) for device in devices for dtype in dtypes)
    is_measured = any(profile.timing is not None for profile in profiles)
    legend(figure, colours, has_second=has_second, is_measured=is_measured)
    return figure


def palette(networks: Sequence[tuple[Profile, Roofline]]) -> dict[str, str]:
    """Return a colour for each kind of op: the costliest kinds have their own, all others share one."""
    times: dict[str, float] = {}
    for profile, found in networks:
        for kernel in found.kernels:
            kind = profile.network.ops[kernel.ops[0]].kind
            times[kind] = times.get(kind, 0.0) + kernel.time_s
    kinds = sorted(times, key=lambda kind: (-times[kind], kind))
    shown = kinds if len(kinds) <= len(PALETTE) else kinds[: len(PALETTE) - 1]
    return dict(zip(shown, PALETTE, strict=False)) | dict.fromkeys(kinds[len(shown) :], OTHER)


def limits(roofs: Sequence[tuple[Profile, Roofline, str]]) -> tuple[float, float, float, float]:
    """Return the ends of both axes: all dots and ridges lie inside, with room for the words."""
    kernels = [(profile, kernel) for profile, found, _ in roofs for kernel in found.kernels]
    dots = [point for profile, kernel in kernels for point in (place(kernel), reached(profile, kernel)) if point]
    ridges = [found.device.ridge(dtype) for _, found, dtype in roofs]
    left, right = min(x for x, _ in dots) / 2.5, max(*(x for x, _ in dots), *ridges) * 4
    return left, right, min(y for _, y in dots) / 2.5, max(found.device.peak(dtype) for _, found, dtype in roofs) * 4


def place(kernel: Kernel) -> tuple[float, float] | None:
    """Return where a kernel's dot is: its intensity, and the rate it can reach; None for one that only moves or computes."""
    if not kernel.intensity or not kernel.time_s:
        return None
    return kernel.intensity, kernel.work / kernel.time_s


def reached(profile: Profile, kernel: Kernel) -> tuple[float, float] | None:
    """Return where its dot is by the time that its ops were measured to take; None where they were not."""
    seconds = kernel.measured_s(profile.values.get("measured_s"))
    return (kernel.intensity, kernel.work / seconds) if kernel.intensity and kernel.work and seconds else None


def panel(
    axes: Axes, profile: Profile, found: Roofline, dtype: str, colours: dict[str, str], ends: tuple[float, ...]
) -> None:
    """Draw one device: its roof, the ridge, the dots, and the words about them."""
    device = found.device
    left, right, low, high = ends
    peak, ridge, below = device.peak(dtype), device.ridge(dtype), device.vector_peak
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    axes.yaxis.set_major_formatter(lambda value, _: prefixed(value))
    axes.tick_params(labelbottom=False)
    axes.plot([left, ridge, right], [left * device.bandwidth, peak, peak], color=INK, linewidth=1.2, zorder=2)
    axes.plot([ridge, ridge], [low, peak], color=INK, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
    if has_second_roof(device, dtype):
        axes.plot(
            [below / device.bandwidth, right], [below, below], color=OTHER, linewidth=0.9, linestyle=DASHES, zorder=1
        )
        say(
            axes,
            (right, below),
            f"float32 {prefixed(below).strip()}",
            (-4, -3),
            OTHER,
            ha="right",
            va="top",
            bbox=PAPER,
        )
    name = "tf32" if dtype == "float32" and device.float32_as == "tf32" else dtype
    say(axes, (right, peak), f"{name} {prefixed(peak)}FLOP/s", (-4, 9), ha="right", va="bottom")
    start = max(left, low / device.bandwidth)
    angle = {"rotation": 45, "rotation_mode": "anchor", "transform_rotates_text": True}
    say(axes, (start * 1.5, start * 1.5 * device.bandwidth), f"{prefixed(device.bandwidth)}B/s", (-4, 5), **angle)
    say(axes, (ridge, low), f"ridge {ridge:.0f} FLOP/B", (-3, 4), ha="right", va="bottom")
    most = max((kernel.macs for kernel in found.kernels), default=0) or 1
    for kernel in sorted(found.kernels, key=lambda kernel: -kernel.macs):
        point = place(kernel)
        if point:
            colour = colours[profile.network.ops[kernel.ops[0]].kind]
            area = SMALLEST + (LARGEST - SMALLEST) * kernel.macs / most
            axes.scatter(*point, s=area, facecolors=f"{colour}40", linewidths=0.8, edgecolors=colour, zorder=3)
            below = reached(profile, kernel)
            if below:
                axes.plot(*zip(point, below, strict=True), color=colour, linewidth=0.5, alpha=0.5, zorder=2)
                axes.scatter(*below, s=9, marker="D", facecolors=colour, linewidths=0, zorder=4)
    axes.set_title(str(device), fontsize=9, fontweight="bold", loc="left", pad=15)
    told = f"at least {units.duration(found.time_s)}, {found.share(MEMORY):.0%} of it memory-bound"
    if profile.timing is not None:
        told += f"; measured {units.duration(profile.timing.rows_s)}"
    axes.annotate(told, (0, 1), xycoords="axes fraction", xytext=(0, 4), textcoords="offset points", fontsize=8)
    framed(axes)


def has_second_roof(device: Device, dtype: str) -> bool:
    """Tell whether contractions of a dtype have a peak of their own on a device."""
    return device.vector_peak < device.peak(dtype)


def strip(axes: Axes, profile: Profile, found: Roofline, colours: dict[str, str], ends: tuple[float, ...]) -> None:
    """Draw below a panel how much of the time kernels of an intensity take, a bar for each fifth of a power of ten."""
    left, right, _, _ = ends
    bars: dict[int, dict[str, float]] = {}
    for kernel in found.kernels:
        if place(kernel):
            times = bars.setdefault(math.floor(5 * math.log10(kernel.intensity or 1)), {})
            colour = colours[profile.network.ops[kernel.ops[0]].kind]
            times[colour] = times.get(colour, 0.0) + 100 * kernel.time_s / found.time_s
    order = list(dict.fromkeys(colours.values()))
    for place_, times in bars.items():
        start, end, bottom = 10 ** (place_ / 5), 10 ** ((place_ + 1) / 5), 0.0
        for colour in sorted(times, key=order.index):
            axes.bar(
                start, times[colour], end - start, bottom, align="edge", color=colour, linewidth=0.4, edgecolor="white"
            )
            bottom += times[colour]
    axes.set_xscale("log")
    axes.set_xlim(left, right)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    framed(axes)


def framed(axes: Axes) -> None:
    """Give axes their grid and thin ticks."""
    axes.tick_params(which="both", length=2.5, width=0.6, labelsize=8)
    axes.grid(which="major", color="#e8e8e8", linewidth=0.6)
    axes.set_axisbelow(True)


def prefixed(value: float) -> str:
    """Return a number with an SI prefix, as short as it goes.

    >>> prefixed(3.35e12), prefixed(1e15)
    ('3.35 T', '1 P')
    """
    power = units.scale(value)
    return f"{value / 1000**power:.4g} {units.COUNT_PREFIXES[power]}"


def say(
    axes: Axes, point: tuple[float, float], words: str, away: tuple[float, float], colour: str = INK, **how: Any
) -> None:
    """Write words so many points away from a point."""
    axes.annotate(words, point, xytext=away, textcoords="offset points", fontsize=7.5, color=colour, **how)


def legend(figure: Figure, colours: dict[str, str], *, has_second: bool, is_measured: bool) -> None:
    """Explain colours, sizes and the dashed roof below the panels."""
    from matplotlib.lines import Line2D

    named = {kind: colour for kind, colour in colours.items() if colour != OTHER}
    if OTHER in colours.values():
        named["other kinds"] = OTHER
    dot: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 6}
    marks = [Line2D([], [], color=colour, label=kind, **dot) for kind, colour in named.items()]
    if has_second:
        marks.append(Line2D([], [], color=OTHER, linestyle=DASHES, linewidth=0.9, label="roof of all but contractions"))
    if is_measured:
        marks.append(Line2D([], [], color=INK, label="as measured", **(dot | {"marker": "D", "markersize": 3.5})))
    about = "a dot is an op with what rides along with it; its area grows with its MACs"
    widths = [36 + 4.4 * len(str(mark.get_label())) for mark in marks]  # points, at this size of letters
    room = 72 * figure.get_figwidth()
    columns = len(marks) if sum(widths) <= room else max(1, int(room // max(widths)))
    figure.legend(handles=marks, loc="outside lower center", ncols=columns, frameon=False, fontsize=8,
                  title=about, title_fontsize=8)  # fmt: skip
