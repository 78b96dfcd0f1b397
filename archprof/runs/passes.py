"""One pass over a network and back: as the model runs, with a mark after every op, and compiled."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from archprof import inputs as given_inputs
from archprof.runs import machine
from archprof.runs.clock import EventClock, HostClock, clock_for
from archprof.runs.failing import theirs
from archprof.runs.tape import Program
from archprof.runs.tf32 import products_in_tf32
from archprof.trace import outputs_of

AHEAD, AWAKE = 1.5, 2
"""In queued mode the device first sleeps so many times as long as the host takes to launch a pass, the last of so many.

In those it is awake: behind a device asleep a queue may fill up, and the host would be taken to be as slow as the sleep.
"""
SLEEP_HZ = 3e9
"""Cycles of torch.cuda._sleep in a second, at most (consumer cards boost to almost that): a slower device sleeps longer."""
WARM = 3
"""Passes on the side before a CUDA graph is captured: what is made once (handles, workspaces, a compiler's kernels) is
made there, since it may not be during a capture."""

FREED_BYTES = 31 << 20
"""See `keep_heap`: glibc learns from blocks of up to 32 MiB."""


@dataclass(frozen=True, slots=True)
class How:
    """How a model is run: `mode` is eager, queued or graph; see `archprof.runs.measure.time`."""

    device: torch.device
    mode: str = "eager"
    training: bool = False
    amp: bool = False
    tf32: bool = False
    channels_last: bool = False
    cold: bool = False
    threads: int | None = None


class Passes:
    """A model on a device with its inputs, ready to be run again and again; every method that runs returns seconds.

    `rows`, `host_rows` and `backward_rows` have a list of seconds for every marked pass, one a op; `wholes` its seconds.
    A backward row is None where the gradient does not pass.
    """

    def __init__(
        self, module: nn.Module, values: Mapping[str, Any], program: Program, how: How, called: str = "it"
    ) -> None:
        """Bring the model and its program together; `called` is what an error calls the model."""
        self.module, self.program, self.ops, self.how, self.called = module, program, program.ops, how, called
        self.args, self.kwargs = given_inputs.call(module.forward, values)
        self.tensors = [tensor for _, tensor in given_inputs.leaves(values)]
        self.rows: list[list[float]] = []
        self.host_rows: list[list[float]] = []
        self.backward_rows: list[list[float | None]] = []
        self.wholes: list[float] = []
        self.behind = 0  # passes whose device had caught up with the host, though it was to be ahead
        self._cache = (
            torch.empty(machine.cache_bytes(how.device) // 2, dtype=torch.int32, device=how.device)
            if how.cold
            else None
        )
        self._launches: dict[
            str, list[float]
        ] = {}  # of every kind of pass, what the host took while the device was awake
        options = {"external": True} if how.mode == "graph" else {}
        self._ends = clock_for(how.device, 3, **options)
        backward = program.tensors if how.training else 0  # a gradient may reach every output of an op
        self._marks = clock_for(how.device, program.ops + backward + 3, **options)
        self.clock = self._ends.name
        self._replays: dict[str, Callable[[], Any]] = {}
        self._pool: Any = None  # graphs share their memory: no tensor of one lives on to the next

    def wait(self) -> None:
        """Wait until the device has done all that it was asked."""
        self._ends.wait()

    def bare(self) -> float:
        """Run the model as it is."""
        return self._ended("bare", self.module)

    @functools.cached_property
    def _compiled(self) -> Any:
        return torch.compile(self.module)

    def compiled(self) -> float:
        """Run the model under torch.compile."""
        return self._ended("compiled", self._compiled)

    def _ended(self, name: str, module: Callable[..., Any]) -> float:
        clock = self._ends

        def forward() -> Any:
            with autocast(self.how):
                clock.mark(0)
                result = module(*self.args, **self.kwargs)
                clock.mark(1)
            return result

        self._prepare(name)
        with theirs(FAILS[name].format(self.called)):
            result = self._captured(name, forward) if self.how.mode == "graph" else forward()
            if self.how.training:
                self._back(tuple(tensor for _, tensor in outputs_of(result)))
                clock.mark(2)
            self._finished(name, clock)
        return sum(clock.rows(2 if self.how.training else 1))

    def marked(self) -> float:
        """Run the model's program with a mark after every op, and keep what the marks say."""
        clock, ops = self._marks, self.ops
        kept: dict[Any, int] = {}

        def keep(number: int, *tensors: torch.Tensor) -> None:
            for tensor in tensors:  # an op that returns what it got makes no node of its own
                if tensor.grad_fn is not None:
                    kept.setdefault(tensor.grad_fn, number)

        def forward() -> tuple[torch.Tensor, ...]:
            with autocast(self.how):
                clock.mark(0)
                return self.program.function(clock.mark, keep, *self.tensors)

        self._prepare("marked")
        reached: list[int] = []
        with theirs(FAILS["marked"].format(self.called)):
            outputs = self._captured("marked", forward) if self.how.mode == "graph" else forward()
            if self.how.training:
                self._watch(kept, reached)
                clock.mark(ops + 1)
                self._back(outputs)
                clock.mark(ops + 2 + len(reached))
            self._finished("marked", clock)
        rows = clock.rows(ops + 2 + len(reached) if self.how.training else ops)
        self.rows.append(rows[:ops])
        host = clock.host_rows(ops)
        if host is not None and self.how.mode != "graph":
            self.host_rows.append(host)
        if self.how.training:
            self.backward_rows.append(self._backward(rows[ops + 2 :], reached))
            rows[ops] = 0.0  # hanging up the hooks is no part of the pass
        self.wholes.append(sum(rows))
        return self.wholes[-1]

    def _watch(self, kept: dict[Any, int], reached: list[int]) -> None:
        """Mark the moments at which the gradient reaches each op: by any of its outputs, some of which may be of no use."""
        clock, first = self._marks, self.ops + 2

        def arrived(number: int, gradients: Any) -> None:  # noqa: ARG001 - the hook's
            clock.mark(first + len(reached))
            reached.append(number)

        for node, number in kept.items():
            node.register_prehook(functools.partial(arrived, number))

    def _backward(self, rows: list[float], reached: list[int]) -> list[float | None]:
        found: list[float | None] = [None] * self.ops
        for number, seconds in zip(reached, rows, strict=True):
            found[number - 1] = (found[number - 1] or 0.0) + seconds
        return found

    def _back(self, outputs: tuple[torch.Tensor, ...]) -> None:
        wanted = [tensor for tensor in outputs if tensor.requires_grad]
        torch.autograd.backward(wanted, [torch.ones_like(tensor) for tensor in wanted])

    def _prepare(self, name: str) -> None:
        if self.how.training:
            self.module.zero_grad(set_to_none=True)
        if self._cache is not None:
            self._cache.zero_()
        self._ends.wait()
        if self.how.mode == "queued" and len(launches := self._launches.setdefault(name, [])) == AWAKE:
            asleep(AHEAD * launches[-1])

    def _finished(self, name: str, clock: HostClock | EventClock) -> None:
        if self.how.mode == "queued" and isinstance(clock, EventClock):
            self.behind += clock.has_begun()
            if len(self._launches[name]) < AWAKE:
                self._launches[name].append(clock.launch_s())
        clock.wait()

    def _captured(self, name: str, forward: Callable[[], Any]) -> Any:
        """Run `forward` as a CUDA graph, captured the first time."""
        if name not in self._replays:
            stream, side = torch.cuda.current_stream(), torch.cuda.Stream()
            side.wait_stream(stream)
            with torch.cuda.stream(side):
                for _ in range(WARM):
                    forward()
            stream.wait_stream(side)
            graph, self._pool = torch.cuda.CUDAGraph(), self._pool or torch.cuda.graph_pool_handle()
            try:
                with theirs(UNCAPTURED.format(self.called)), torch.cuda.graph(graph, pool=self._pool):
                    forward()
            finally:
                torch.cuda.set_stream(stream)  # a capture that fails leaves its own
            self._replays[name] = graph.replay
        return self._replays[name]()

    def once(self, *, marked: bool = False) -> None:
        """Run the model as it is, or its program, without taking its time."""
        self._prepare("once")
        with theirs(FAILS["marked" if marked else "bare"].format(self.called)):
            with autocast(self.how):
                if marked:
                    result = self.program.function(lambda _: None, lambda *_: None, *self.tensors)
                else:
                    result = self.module(*self.args, **self.kwargs)
            if self.how.training:
                self._back(tuple(tensor for _, tensor in outputs_of(result)))
            self.wait()

    def peak_bytes(self) -> int | None:
        """Run the model once as it is, and return the most that the device's allocator held; None where it is not asked."""
        device = self.how.device
        if device.type != "cuda":
            return None
        torch.cuda.reset_peak_memory_stats(device)
        self.once()
        cache = 0 if self._cache is None else self._cache.numel() * self._cache.element_size()
        return torch.cuda.max_memory_allocated(device) - cache


FAILS = {
    "bare": "{} fails as it runs again",
    "marked": "the ops of {} cannot be run one by one",
    "compiled": "torch.compile fails on {}",
}
"""What is said where a kind of pass fails."""
UNCAPTURED = (
    "{} cannot be a CUDA graph, for which nothing may wait for the device or copy to it (mode queued can do that)"
)


def keep_heap() -> None:
    """Have the C library keep the memory that a pass on the CPU frees, as it does in a process that has loaded weights.

    glibc gives free memory back to the system where it is more than twice the largest block that was ever freed. Weights drawn
    at random are never freed, so that passes would fetch their pages anew, which costs some of them up to 7 % (DenseNet-121).
    """
    torch.empty(FREED_BYTES, dtype=torch.uint8)


def asleep(seconds: float) -> None:
    """Keep the current CUDA device busy for so long, at least; the host goes on."""
    torch.cuda._sleep(int(seconds * SLEEP_HZ))  # noqa: SLF001 - there is no public delay


def autocast(how: How) -> contextlib.AbstractContextManager[Any]:
    """Return what a forward pass runs under: entered for every pass, since weights that were cast are kept until its end."""
    return torch.autocast(how.device.type) if how.amp else contextlib.nullcontext()


@contextlib.contextmanager
def drawn_alike(device: torch.device, seed: int = 0) -> Iterator[None]:
    """Draw the same random numbers every time, and leave the user's as they are."""
    has_cuda = device.type == "cuda" or torch.cuda.is_initialized()  # a seed is that of all of them
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if has_cuda else []):
        torch.manual_seed(seed)
        yield


@contextlib.contextmanager
def settings(how: How) -> Iterator[None]:
    """Set what a run needs of torch's process-wide switches, and put them back."""
    threads = torch.get_num_threads()
    with contextlib.ExitStack() as switched:
        if how.device.type == "cuda":
            switched.enter_context(
                torch.cuda.device(how.device)
            )  # events and delays join the queue of the current device
            switched.enter_context(products_in_tf32(how.tf32))
        try:
            torch.set_num_threads(how.threads or threads)
            yield
        finally:
            torch.set_num_threads(threads)
