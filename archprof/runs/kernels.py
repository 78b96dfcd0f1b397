"""Which kernels an op launches on an accelerator, from a pass of its own under torch.profiler: it is never the timed one."""

from __future__ import annotations

import statistics
import warnings
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile, record_function

from archprof.records import Column
from archprof.runs.passes import Passes, autocast

WARM = 3
"""Compiled passes before the one that is looked at."""
PREFIX = "archprof op "
COUNT = Column("kernels", "count", "sum", "kernels it launches on the device")
NAMES = Column("kernel_names", "text", "none", "names of the kernels it launches, in order")
SECONDS = Column("kernels_s", "s", "sum", "time of its kernels by the profiler, in a pass of its own")

PASSES = 3
"""Passes under the profiler after one that is not looked at; of every op's times the median is taken."""
ON_DEVICE = {"cuda": ProfilerActivity.CUDA, "xpu": ProfilerActivity.XPU}

Kernel = tuple[str, float]
"""Name, and seconds on the device."""


def watching(device: torch.device) -> profile:
    """Return a profiler of the CPU and, where it has kernels, of the device."""
    return profile(activities=[ProfilerActivity.CPU, *([ON_DEVICE[device.type]] if device.type in ON_DEVICE else [])])


def kernels_of(passes: Passes) -> list[list[list[Kernel]]]:
    """Return the kernels of every op in every one of the passes, the ops in their order."""
    ranges: list[Any] = []

    def opened(number: int) -> None:
        ranges.append(record_function(f"{PREFIX}{len(found)}.{number}"))
        ranges[-1].__enter__()

    def mark(number: int) -> None:
        ranges[-1].__exit__(None, None, None)
        if number < passes.ops:
            opened(number)

    found: list[list[list[Kernel]]] = []
    with watching(passes.how.device) as profiler:
        for _ in range(1 + PASSES):
            passes.wait()
            opened(0)
            with autocast(passes.how):
                passes.program.function(mark, lambda *_: None, *passes.tensors)
            passes.wait()
            found.append([[] for _ in range(passes.ops)])
    events = profiler.events() or ()
    ranges_of_device = {
        event.name for event in events if event.is_user_annotation
    }  # they are as long as what is in them
    for event in events:
        place = around(event) if event.kernels else None
        if place is not None:
            found[place[0]][place[1]] += [
                (kernel.name, kernel.duration / 1e6) for kernel in event.kernels if kernel.name not in ranges_of_device
            ]
    return found[1:]


def around(event: Any) -> tuple[int, int] | None:
    """Return the numbers of the pass and of the op that an event of the profiler belongs to; None for one outside of all."""
    while event is not None:
        if event.name.startswith(PREFIX):
            run, _, number = event.name.removeprefix(PREFIX).partition(".")
            return int(run), int(number)
        event = event.cpu_parent
    return None


def compiled_kernels(passes: Passes) -> tuple[tuple[str, float], ...]:
    """Return what a compiled pass is made of, by the profiler: fused kernels and library calls, the longest first.

    A compiler's kernels are no ops: one may do the work of many, so its time is not given to any.
    """
    on_cpu = passes.how.device.type not in ON_DEVICE
    options: dict[str, Any] = (
        {"cpp.enable_kernel_profile": True} if on_cpu else {}
    )  # else the CPU's kernels have no names
    module = torch.compile(passes.module, options=options)
    with warnings.catch_warnings(), autocast(passes.how):
        warnings.simplefilter("ignore")  # the compiler's own
        for _ in range(WARM):
            module(*passes.args, **passes.kwargs)
        with watching(passes.how.device) as profiler:
            module(*passes.args, **passes.kwargs)
            passes.wait()
    found: dict[str, float] = {}
    for event in profiler.key_averages():
        name = event.key.partition("cpp_")[2] or event.key
        # an op of the CPU has the time of its kernels too, and a range that of all that is in it
        is_kernel = event.device_type != DeviceType.CPU and not event.is_user_annotation
        if is_kernel or (on_cpu and ("fused" in name or name.startswith("aten::"))):
            seconds = (event.self_cpu_time_total if on_cpu else event.self_device_time_total) / 1e6
            found[name] = found.get(name, 0.0) + seconds
    return tuple(sorted(((name, seconds) for name, seconds in found.items() if seconds), key=lambda pair: -pair[1]))


def columns(passes: Passes) -> list[tuple[Column, list[Any]]]:
    """Return what kernels there are as columns; none where the device has no kernels to name, or the profiler saw none."""
    if passes.how.device.type not in ON_DEVICE:
        return []
    with torch.no_grad():
        runs = kernels_of(passes)
    if not any(map(any, runs)):
        return []
    times = zip(*([sum(seconds for _, seconds in kernels) for kernels in run] for run in runs), strict=True)
    return [
        (COUNT, [len(kernels) for kernels in runs[-1]]),
        (NAMES, ["; ".join(name for name, _ in kernels) for kernels in runs[-1]]),
        (SECONDS, list(map(statistics.median, times))),
    ]
