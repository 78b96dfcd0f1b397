"""One network on several devices: the least time, what bounds it, and the most of its peak that each can reach."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from archprof import units
from archprof.devices import Device
from archprof.errors import UserError
from archprof.renderers import View
from archprof.renderers.terminal import gaps_line, grid, heading, printed
from archprof.result import Profile
from archprof.roofline import COMPUTE, MEMORY, Roofline, dtype_of, roofline

HEADS = ("device", "time at least", "compute-bound", "memory-bound", "peak", "bandwidth", "ridge", "of peak at most")
BELOW = (
    "compute- and memory-bound are shares of the time; ridge is the intensity where the one becomes the other",
    "lower bound: elementwise ops and norms ride along, launches are free, nothing stays in a cache between kernels",
)


def table(profile: Profile, devices: Sequence[Device], view: View) -> str:
    """Return a table with one row a device, of the contractions' dtype; raise UserError where one has no peak for it."""
    dtype = main_dtype(profile)
    lines = grid()
    for number, head in enumerate(HEADS):
        lines.add_column(Text(head), no_wrap=True, justify="right" if number else "left")
    for device in devices:
        lines.add_row(*map(Text, cells(roofline(profile.network, device), dtype)))
    below = [f"! {gaps_line(profile)}"] if profile.gaps else []
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
    """Return the dtype that most MACs are in; that of the first input where there are none."""
    totals: dict[str, int] = {}
    for op, macs in zip(profile.network.ops, profile.values["macs"], strict=True):
        if macs:
            totals[dtype_of(op)] = totals.get(dtype_of(op), 0) + macs
    if not totals:
        raise UserError(f"{profile.model} multiplies nothing, so no peak bounds it")
    return max(totals, key=lambda dtype: totals[dtype])
