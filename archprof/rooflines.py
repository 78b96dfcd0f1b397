"""One network on several devices: the least time, what bounds it, and the most of its peak that each can reach."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from archprof import units
from archprof.devices import Device
from archprof.errors import UserError
from archprof.renderers import View
from archprof.renderers.terminal import gaps_line, grid, heading, printed, width_of
from archprof.result import Profile
from archprof.roofline import COMPUTE, MEMORY, Roofline, dtype_of, roofline

SPARED = ("compute-bound", "ridge", "bandwidth", "peak")
"""What is left out on a narrow terminal, in this order: it follows from the others, or is listed with the devices."""
HEADS = ("device", "least time", "compute-bound", "memory-bound", "peak", "bandwidth", "ridge", "of peak")
BELOW = (
    "compute- and memory-bound are shares of the time; ridge is the intensity where the one becomes the other",
    "of peak is what the least time comes to: no implementation reaches more",
    "lower bound: elementwise ops and norms ride along, launches are free, nothing stays in a cache between kernels",
)


def table(profile: Profile, devices: Sequence[Device], view: View) -> str:
    """Return a table with one row a device, of the contractions' dtype; raise UserError where one has no peak for it."""
    dtype = main_dtype(profile)
    roofs = [roofline(profile.network, device) for device in devices]
    rows = [cells(found, dtype) for found in roofs]
    columns = dict(zip(HEADS, map(list, zip(*rows, strict=True)), strict=True))
    if profile.timing is not None:
        seconds = sum(profile.values["measured_s"])  # forward, as the least times are
        columns["measured"] = [units.duration(seconds)] * len(roofs)
        columns["x least"] = [f"{seconds / found.time_s:.2f}" if found.time_s else "-" for found in roofs]
    dropped = []
    while width_of(columns) > view.width and len(dropped) < len(SPARED):
        dropped.append(SPARED[len(dropped)])
        del columns[dropped[-1]]
    lines = grid()
    for number, head in enumerate(columns):
        lines.add_column(Text(head), no_wrap=True, justify="right" if number else "left")
    for texts in zip(*columns.values(), strict=True):
        lines.add_row(*map(Text, texts))
    below = [f"! {gaps_line(profile)}"] if profile.gaps else []
    if profile.timing is not None:
        below.append(
            f"measured here, on {profile.timing.device}: rows of another device compare it with what that one could do"
        )
    below += [f"left out for lack of width: {', '.join(dropped)}"] if dropped else []
    return printed([Text(heading(profile)), lines, *map(Text, (*below, *BELOW))], view)


def cells(found: Roofline, dtype: str) -> list[str]:
    """Return a device's row."""
    device = found.device
    work = sum(kernel.work for kernel in found.kernels)
    rate = work / found.time_s if found.time_s else 0.0
    return [
        str(device),
        units.duration(found.time_s),
        f"{found.share(COMPUTE):.1%}",
        f"{found.share(MEMORY):.1%}",
        f"{units.count(device.peak(dtype), 'FLOP/s')}",
        f"{units.count(device.bandwidth, 'B/s')}",
        f"{units.digits(device.ridge(dtype))} FLOP/B",
        f"{rate / device.peak(dtype):.1%}",
    ]


def main_dtype(profile: Profile) -> str:
    """Return the dtype that most MACs are in; raise UserError where there are none."""
    totals: dict[str, int] = {}
    for op, macs in zip(profile.network.ops, profile.values["macs"], strict=True):
        if macs:
            totals[dtype_of(op)] = totals.get(dtype_of(op), 0) + macs
    if not totals:
        raise UserError(f"{profile.model} multiplies nothing, so no peak bounds it")
    return max(totals, key=lambda dtype: totals[dtype])
