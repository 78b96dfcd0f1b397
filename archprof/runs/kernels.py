"""Which kernels an op launches on an accelerator, from a pass of its own under torch.profiler: it is never the timed one."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from archprof.records import Column
from archprof.runs.passes import Passes, autocast

WARM = 3
"""Compiled passes before the one that is looked at."""
PREFIX = "archprof op "
COUNT = Column("kernels", "count", "sum", "kernels it launches on the device")
NAMES = Column("kernel_names", "text", "none", "names of the kernels it launches, in order")
SECONDS = Column("kernels_s", "s", "sum", "time of its kernels by the profiler, in a pass of its own")

Kernel = tuple[str, float]
"""Name, and seconds on the device."""


def kernels_of(passes: Passes) -> list[list[Kernel]]:
    """Return the kernels of every op, in the order of the ops."""
    ranges: list[Any] = []

    def opened(number: int) -> None:
        ranges.append(record_function(f"{PREFIX}{number}"))
        ranges[-1].__enter__()

    def mark(number: int) -> None:
        ranges[-1].__exit__(None, None, None)
        if number < passes.ops:
            opened(number)

    activity = {"cpu": ProfilerActivity.CPU, "cuda": ProfilerActivity.CUDA, "xpu": ProfilerActivity.XPU}
    wanted = {ProfilerActivity.CPU, activity.get(passes.how.device.type, ProfilerActivity.CPU)}
    with profile(activities=list(wanted)) as profiler:
        opened(0)
        with autocast(passes.how):
            passes.program.function(mark, lambda *_: None, *passes.tensors)
        passes.wait()
    found: list[list[Kernel]] = [[] for _ in range(passes.ops)]
    for event in profiler.events() or ():
        if event.kernels:
            place = around(event)
            if place is not None:
                found[place] += [
                    (kernel.name, kernel.duration / 1e6)
                    for kernel in event.kernels
                    if not kernel.name.startswith(PREFIX)
                ]  # fmt: skip - the op's range on the device's side
    return found


def around(event: Any) -> int | None:
    """Return the number of the op that an event of the profiler belongs to; None for one outside of all."""
    while event is not None:
        if event.name.startswith(PREFIX):
            return int(event.name.removeprefix(PREFIX))
        event = event.cpu_parent
    return None


def compiled_kernels(passes: Passes) -> tuple[tuple[str, float], ...]:
    """Return what a compiled pass is made of, by the profiler: fused kernels and library calls, the longest first.

    A compiler's kernels are no ops: one may do the work of many, so its time is not given to any.
    """
    on_cpu = passes.how.device.type == "cpu"
    options: dict[str, Any] = (
        {"cpp.enable_kernel_profile": True} if on_cpu else {}
    )  # else the CPU's kernels have no names
    module = torch.compile(passes.module, options=options)
    activities = [ProfilerActivity.CPU] if on_cpu else [ProfilerActivity.CPU, ProfilerActivity.CUDA]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler's own
        for _ in range(WARM):
            module(*passes.args, **passes.kwargs)
        with profile(activities=activities) as profiler:
            module(*passes.args, **passes.kwargs)
            passes.wait()
    found: dict[str, float] = {}
    for event in profiler.key_averages():
        name = event.key.partition("cpp_")[2] or event.key
        seconds = (event.self_cpu_time_total if on_cpu else event.self_device_time_total) / 1e6
        if "fused" in name or name.startswith("aten::") or not on_cpu:
            found[name] = found.get(name, 0.0) + seconds
    return tuple(sorted(((name, seconds) for name, seconds in found.items() if seconds), key=lambda pair: -pair[1]))


def columns(passes: Passes) -> list[tuple[Column, list[Any]]]:
    """Return what kernels there are as columns; none where the device has no kernels to name."""
    if passes.how.device.type not in {"cuda", "xpu"}:
        return []
    with torch.no_grad():
        found = kernels_of(passes)
    return [
        (COUNT, [len(kernels) for kernels in found]),
        (NAMES, ["; ".join(name for name, _ in kernels) for kernels in found]),
        (SECONDS, [sum(seconds for _, seconds in kernels) for kernels in found]),
    ]
