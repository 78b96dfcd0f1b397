"""A GPU of arithmetic: a host clock, a device clock and one queue, in the place of torch.cuda, on tensors of the CPU.

It knows nothing of CUDA but the order of things: a kernel starts when what was queued before it has ended and the host has
launched it; an event is at the moment at which what was queued before it has ended; `synchronize` takes the host there; a
graph is launched once and then has no gaps; nothing may wait for the device while a graph is captured. So what is tested
with it is archprof's logic (rows, gaps, flags, modes, what is kept when memory runs out) against times that a test has set,
and never CUDA itself. No time passes but what a test sets.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from archprof import inputs as given_inputs
from archprof.runs import clock, kernels, machine, measure, passes, protocol

US = 1000
"""Nanoseconds in a microsecond: both clocks count nanoseconds."""


@dataclass
class Gpu:
    """The state of the machine: where the host is, when the device is done, and what a test has set."""

    host: int = 0
    done: int = 0
    record_us: float = 0.0
    graph_launch_us: float = 0.0
    free_passes: float = float("inf")
    """Runs of a kernel until memory is out."""
    peak: int = 0
    captured: list[Any] | None = None
    captures: int = 0
    runs: list[float] = field(default_factory=list)

    def launch(self, kernel_us: float, launch_us: float) -> None:
        """Queue a kernel: the host takes a while to launch it, the device to run it."""
        self.runs.append(kernel_us)
        if len(self.runs) > self.free_passes:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        if self.captured is not None:
            self.captured.append(kernel_us)
            return
        self.host += int(launch_us * US)
        self.done = max(self.done, self.host) + int(kernel_us * US)

    def synchronize(self, device: Any = None) -> None:  # noqa: ARG002 - torch's signature
        """Let the host wait for the device."""
        if self.captured is not None:
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing")
        self.host = max(self.host, self.done)

    def sleep(self, cycles: int) -> None:
        """Keep the device busy, at the clock that archprof takes to be the fastest."""
        self.done = max(self.done, self.host) + int(cycles / passes.SLEEP_HZ * 1e9)

    def events(self) -> type:
        """Return the class of this device's events."""
        gpu = self

        class Event:
            def __init__(self, enable_timing: bool = False, *, external: bool = False) -> None:
                assert enable_timing
                self.external, self.at = external, None

            def record(self) -> None:
                if gpu.captured is not None:
                    assert self.external, "an event that is captured says nothing, where it is not external"
                    gpu.captured.append(self)
                    return
                gpu.host += int(gpu.record_us * US)
                self.at = max(gpu.done, gpu.host)

            def query(self) -> bool:
                return self.at is None or self.at <= gpu.host

            def elapsed_time(self, end: Event) -> float:
                assert self.query(), "torch refuses to tell the time of an event that has not come"
                assert end.query(), "torch refuses to tell the time of an event that has not come"
                return (end.at - self.at) / 1e6

        return Event

    def graphs(self) -> type:
        """Return the class of this device's graphs."""
        gpu = self

        class CUDAGraph:
            nodes: tuple[Any, ...] = ()

            def replay(self) -> None:
                gpu.host += int(gpu.graph_launch_us * US)
                gpu.done = max(gpu.done, gpu.host)
                for node in self.nodes:
                    if isinstance(node, float):
                        gpu.done += int(node * US)
                    else:
                        node.at = gpu.done

        return CUDAGraph

    @contextlib.contextmanager
    def graph(self, made: Any, pool: Any = None):
        """Capture what is launched meanwhile."""
        assert pool is not None
        self.synchronize()
        self.captured, self.captures = [], self.captures + 1
        try:
            yield
            made.nodes = tuple(self.captured)
        finally:
            self.captured = None


GPU = Gpu()
"""The machine of the test that is running."""


@torch.library.custom_op("archprof_test::kernel", mutates_args=())
def kernel(x: torch.Tensor, kernel_us: float, launch_us: float) -> torch.Tensor:
    GPU.launch(kernel_us, launch_us)
    return x.clone()


@kernel.register_fake
def _(x, *_):
    return torch.empty_like(x)


def _remember(ctx, inputs, output) -> None:  # noqa: ARG001 - torch's signature
    ctx.times = inputs[1:]


def _kernel_backward(ctx, gradient):
    kernel_us, launch_us = ctx.times
    GPU.launch(2 * kernel_us, launch_us)
    return gradient * 1, None, None


kernel.register_autograd(_kernel_backward, setup_context=_remember)


@torch.library.custom_op("archprof_test::waits", mutates_args=())
def waits(x: torch.Tensor) -> torch.Tensor:
    GPU.synchronize()
    return x.clone()


@waits.register_fake
def _(x):
    return torch.empty_like(x)


class Kernels(nn.Module):
    """A kernel of so many microseconds after the other, each launched in so many; on the way back they take twice as long."""

    def __init__(self, *times: tuple[float, float]) -> None:
        super().__init__()
        self.times = times

    def forward(self, x):
        for kernel_us, launch_us in self.times:
            x = torch.ops.archprof_test.kernel(x, kernel_us, launch_us)
        return x


@pytest.fixture(name="gpu")
def _gpu(monkeypatch) -> Gpu:
    """Put the fake in the place of torch.cuda: no line of archprof knows of it."""
    GPU.__init__()
    stream = SimpleNamespace(wait_stream=lambda _: None)
    fakes = {
        "is_available": lambda: True, "current_device": lambda: 0, "get_device_name": lambda _=None: "Arithmetic 1",
        "get_device_properties": lambda _: SimpleNamespace(total_memory=1 << 30, L2_cache_size=1 << 20),
        "device": lambda _: contextlib.nullcontext(), "synchronize": GPU.synchronize, "Event": GPU.events(),
        "_sleep": GPU.sleep, "CUDAGraph": GPU.graphs(), "graph": GPU.graph, "graph_pool_handle": lambda: (0, 1),
        "Stream": lambda: stream, "current_stream": lambda: stream, "set_stream": lambda _: None,
        "stream": lambda _: contextlib.nullcontext(), "reset_peak_memory_stats": lambda _: None,
        "max_memory_allocated": lambda _: GPU.peak,
    }  # fmt: skip
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    placed, moved = given_inputs.on, nn.Module.to
    monkeypatch.setattr(given_inputs, "on", lambda device, value: placed(device.replace("cuda:0", "cpu"), value))
    monkeypatch.setattr(nn.Module, "to", lambda module, *args, **kwargs: (
        module if args == (torch.device("cuda", 0),) else moved(module, *args, **kwargs)))  # fmt: skip
    monkeypatch.setattr(machine, "device_called", torch.device)
    monkeypatch.setattr(clock, "now", lambda: GPU.host)
    monkeypatch.setattr(kernels, "columns", lambda _: [])  # torch's profiler sees no kernels of arithmetic
    monkeypatch.setattr(measure, "WARM_S", {"cuda": 0.0})
    monkeypatch.setattr(protocol, "LEAST_S", 0.0)
    return GPU
