"""How long a network takes at least on a device: the roofline model of Williams, Waterman and Patterson (2009).

A kernel is as slow as the slowest of three: its contractions on the peak of their dtype, its other arithmetic on the peak
of float32, its bytes on the memory's bandwidth. Ops that a compiler fuses are one kernel; kernels run one after another.
Launches are free, and nothing stays in a cache between kernels: a small network whose tensors do, or a convolution by
Winograd's or a Fourier transform, can be faster. It predicts nothing: it is a bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from archprof import units
from archprof.devices import Device
from archprof.fusion import groups, moved_by
from archprof.graph import Graph
from archprof.ops import tensors
from archprof.ops.shapes import category, component
from archprof.records import Column, Facts, Op

COMPUTE, MEMORY, FUSED = "compute", "memory", "fused"


@dataclass(frozen=True, slots=True)
class Kernel:
    """Ops that run as one, by number, the one that the others ride along with first.

    `work` are its FLOPs without pairs that a mask hides, `macs` its multiply-accumulates, `moved` the bytes of each op.
    """

    ops: tuple[int, ...]
    moved: tuple[int, ...]
    macs: int
    work: int
    compute_s: float
    memory_s: float
    peak: float

    @property
    def time_s(self) -> float:
        """The least time it takes."""
        return max(self.compute_s, self.memory_s)

    @property
    def bound(self) -> str:
        """What the least time is spent on: `compute` or `memory`."""
        return COMPUTE if self.compute_s >= self.memory_s else MEMORY

    @property
    def intensity(self) -> float | None:
        """FLOPs per byte moved; None where nothing is moved."""
        return self.work / sum(self.moved) if sum(self.moved) else None

    def measured_s(self, times: Sequence[float | None] | None) -> float:
        """The sum of what its ops were measured to take, all of whom its work is of; 0 where nobody knows."""
        return sum(times[number] or 0.0 for number in self.ops) if times is not None else 0.0


@dataclass(frozen=True, slots=True)
class Roofline:
    """A network's kernels on a device, in execution order, and how many ops nobody knows."""

    device: Device
    kernels: tuple[Kernel, ...]
    unknown: int = 0

    @property
    def time_s(self) -> float:
        """The least time of all kernels, one after another."""
        return sum(kernel.time_s for kernel in self.kernels)

    def share(self, bound: str) -> float:
        """Return the part of the time that kernels bound by `bound` take."""
        bounded = sum(kernel.time_s for kernel in self.kernels if kernel.bound == bound)
        return bounded / self.time_s if self.time_s else 0.0

    def __str__(self) -> str:
        """Return the result in one line."""
        parts = ", ".join(f"{bound}-bound {self.share(bound):.0%}" for bound in (COMPUTE, MEMORY))
        without = f", without {self.unknown} unknown op{'s' * (self.unknown != 1)}" if self.unknown else ""
        return f"at least {units.duration(self.time_s)} on {self.device}{without}: {parts}"


def roofline(graph: Graph, device: Device) -> Roofline:
    """Return a network's kernels on a device.

    Raises UserError where the network multiplies in a dtype that the device has no peak for.
    """
    kernels = []
    for group in groups(graph):
        ops = [graph.ops[number] for number in group.ops]
        facts = [graph.facts[op.name] for op in ops]
        known = [(op, found) for op, found in zip(ops, facts, strict=True) if isinstance(found, Facts)]
        peaks = [device.peak(dtype_of(op)) for op, found in known if found.macs]
        contracted = sum(2 * found.effective / device.peak(dtype_of(op)) for op, found in known if found.macs)
        other = sum(found.flops - 2 * found.macs for _, found in known)
        kernels.append(
            Kernel(
                ops=tuple(group.ops),
                moved=tuple(group.moved),
                macs=sum(found.macs for _, found in known),
                work=sum(2 * found.effective for _, found in known) + other,
                compute_s=max(contracted, other / device.vector_peak),  # two kinds of units, both at work at once
                memory_s=sum(group.moved) / device.bandwidth,
                peak=peaks[0] if peaks else device.vector_peak,
            )
        )
    unknown = sum(not isinstance(found, Facts) for found in (graph.facts[op.name] for op in graph.ops))
    return Roofline(device, tuple(sorted(kernels, key=lambda kernel: kernel.ops[0])), unknown)


def dtype_of(op: Op) -> str:
    """Return the dtype a contraction multiplies in, which is that of the first float (or number) it reads."""
    read = [component(tensor.dtype) for tensor in (*tensors(op.arguments), *op.inputs, *op.outputs)]
    found = next((dtype for dtype in read if category(dtype) == 2), read[0])
    return "int8" if found in ("uint8", "qint8", "quint8") else found


def columns(graph: Graph, found: Roofline) -> list[tuple[Column, Sequence[Any]]]:
    """Return a roofline as columns with their values, in the order of the graph's ops; None is unknown.

    A kernel's time, bound and intensity stand at the op that the others ride along with.
    """
    device = found.device
    moved = [moved_by(graph.facts[op.name]) for op in graph.ops]
    plain: dict[str, list[Any]] = {
        "bytes_moved": moved,
        "fused_bytes": [None if size is None else 0 for size in moved],
        "time_s": [None if size is None else 0.0 for size in moved],
        "bound": [None] * len(moved),
        "intensity": [None] * len(moved),
    }
    for kernel in found.kernels:
        for number, size in zip(kernel.ops, kernel.moved, strict=True):
            plain["fused_bytes"][number] = size
            plain["bound"][number] = FUSED
        head = kernel.ops[0]
        plain["time_s"][head] = kernel.time_s
        plain["bound"][head] = kernel.bound
        plain["intensity"][head] = kernel.intensity
    described = (
        Column("bytes_moved", "bytes", "sum", "ideal traffic: all that the op reads and writes, each tensor once"),
        Column("fused_bytes", "bytes", "sum", "traffic where elementwise ops and norms ride along with what they read"),
        Column("time_s", "s", "sum", f"lower bound on {device}: arithmetic at its peak or fused_bytes at its bandwidth, "
               "whichever is slower; launches are free, nothing stays in a cache between kernels"),
        Column("bound", "text", "none", f"what takes that time on {device}: compute, memory, or fused into another op"),
        Column("intensity", "FLOP/B", "none", "FLOPs per byte of fused_bytes, of the op and what rides along"),
    )  # fmt: skip
    return [(column, plain[column.name]) for column in described]
