"""Clocks: where a pass is after every op. One reads the CPU's time; one puts events into an accelerator's queue.

No clock waits inside a pass, and a row is the time between one mark and the next, so that rows add up to the pass.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from typing import Any

import torch

now = time.perf_counter_ns


class HostClock:
    """The CPU's time: that of this thread where torch has no other, so that what else runs on the machine does not count."""

    def __init__(self, marks: int) -> None:
        """Make room for that many marks."""
        self.times = times = [0] * marks
        self.name = "thread" if torch.get_num_threads() == 1 else "wall"
        now = time.thread_time_ns if self.name == "thread" else time.perf_counter_ns

        def mark(number: int) -> None:
            times[number] = now()

        self.mark = mark

    def wait(self) -> None:
        """There is nothing to wait for."""

    def rows(self, marks: int) -> list[float]:
        """Return the seconds between marks."""
        return [(after - before) / 1e9 for before, after in zip(self.times, self.times[1 : marks + 1], strict=False)]

    def host_rows(self, marks: int) -> None:  # noqa: ARG002 - the protocol's
        """Host and device are one."""
        return


class EventClock:
    """Events of an accelerator, made once and recorded anew in every pass; read after the pass."""

    def __init__(self, marks: int, device: torch.device, **options: Any) -> None:
        """Make that many events on a device; `options` are those of its events."""
        self.name = "events"
        self.module = torch.get_device_module(device)
        self.device = device
        self.events = events = [self.module.Event(enable_timing=True, **options) for _ in range(marks)]
        self.times = times = [0] * marks

        def mark(number: int) -> None:
            events[number].record()
            times[number] = now()

        self.mark = mark

    def wait(self) -> None:
        """Wait until the device has nothing left to do."""
        self.module.synchronize(*([self.device] if self.device.type == "cuda" else []))

    def rows(self, marks: int) -> list[float]:
        """Return the seconds between marks on the device; to be asked after `wait`.

        MPS refuses to tell how long nothing took, or what it did not note: such a mark is taken to be at the one before it.
        """
        events = self.events
        if self.device.type == "mps":
            at = [0.0]
            for event in events[1 : marks + 1]:
                told = at[-1]
                with contextlib.suppress(RuntimeError):
                    told = max(told, events[0].elapsed_time(event) / 1e3)
                at.append(told)
            return [after - before for before, after in itertools.pairwise(at)]
        return [events[number].elapsed_time(events[number + 1]) / 1e3 for number in range(marks)]

    def host_rows(self, marks: int) -> list[float]:
        """Return the seconds between marks on the host."""
        return [(after - before) / 1e9 for before, after in zip(self.times, self.times[1 : marks + 1], strict=False)]

    def has_begun(self) -> bool:
        """Tell whether the device is past the first mark already."""
        return self.events[0].query()

    def launch_s(self) -> float:
        """Return the seconds the host took from the first mark to now."""
        return (now() - self.times[0]) / 1e9


def clock_for(device: torch.device, marks: int, **options: Any) -> HostClock | EventClock:
    """Return the clock of a device, its events with these options."""
    return HostClock(marks) if device.type == "cpu" else EventClock(marks, device, **options)
