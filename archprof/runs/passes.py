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
from archprof.errors import UserError
from archprof.runs import machine
from archprof.runs.clock import EventClock, HostClock, clock_for
from archprof.runs.protocol import Pass
from archprof.runs.tape import Program
from archprof.substrate import shortened
from archprof.trace import outputs_of

AHEAD, AWAKE = 1.5, 2
"""In queued mode the device first sleeps so many times as long as the host takes to launch a pass, the last of so many.

In those it is awake: behind a device asleep a queue may fill up, and the host would be taken to be as slow as the sleep.
"""
SLEEP_HZ = 2e9
"""Cycles of torch.cuda._sleep in a second, at most: a device with a lower clock sleeps longer."""


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

    def __init__(self, module: nn.Module, values: Mapping[str, Any], program: Program, ops: int, how: How) -> None:
        """Bring the model and its program together."""
        self.module, self.program, self.ops, self.how = module, program, ops, how
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
        self._marks = clock_for(how.device, (2 if how.training else 1) * ops + 3, **options)
        self.clock = self._ends.name
        self._replays: dict[str, Callable[[], Any]] = {}

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
        result = self._captured(name, forward) if self.how.mode == "graph" else forward()
        if self.how.training:
            self._back(tuple(tensor for _, tensor in outputs_of(result)))
            clock.mark(2)
        self._finished(name, clock)
        return sum(clock.rows(2 if self.how.training else 1))

    def marked(self) -> float:
        """Run the model's program with a mark after every op, and keep what the marks say."""
        clock, ops = self._marks, self.ops
        kept: list[Any] = [None] * (ops + 1)

        def keep(number: int, tensor: torch.Tensor) -> None:
            kept[number] = tensor.grad_fn

        def forward() -> tuple[torch.Tensor, ...]:
            with autocast(self.how):
                clock.mark(0)
                return self.program.function(clock.mark, keep, *self.tensors)

        self._prepare("marked")
        outputs = self._captured("marked", forward) if self.how.mode == "graph" else forward()
        reached: list[int] = []
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

    def _watch(self, kept: list[Any], reached: list[int]) -> None:
        """Mark the moment at which the gradient reaches each op."""
        clock, first = self._marks, self.ops + 2

        def arrived(number: int, gradients: Any) -> None:  # noqa: ARG001 - the hook's
            clock.mark(first + len(reached))
            reached.append(number)

        for number, node in enumerate(kept):
            if node is not None:
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
            torch.cuda._sleep(int(AHEAD * launches[-1] * SLEEP_HZ))  # noqa: SLF001 - there is no public delay

    def _finished(self, name: str, clock: HostClock | EventClock) -> None:
        if self.how.mode == "queued" and isinstance(clock, EventClock):
            self.behind += clock.has_begun()
            if len(self._launches[name]) < AWAKE:
                self._launches[name].append(clock.launch_s())
        clock.wait()

    def _captured(self, name: str, forward: Callable[[], Any]) -> Any:
        """Run `forward` as a CUDA graph, captured the first time."""
        if name not in self._replays:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                forward()
            self._replays[name] = graph.replay
        return self._replays[name]()


FAILS = {
    "bare": "{} fails as it runs again",
    "marked": "the ops of {} cannot be run one by one",
    "compiled": "torch.compile fails on {}",
}
"""What is said where a kind of pass fails."""


def telling(model: str, name: str, run: Pass) -> Pass:
    """Return a pass whose error, which is the model's or its compiler's, is told in a line."""

    def told() -> float:
        try:
            return run()
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            raise UserError(f"{FAILS[name].format(model)}: {shortened(error)}") from error

    return told


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


@contextlib.contextmanager
def products_in_tf32(wanted: bool) -> Iterator[None]:
    """Have CUDA multiply float32 in TF32, or not.

    Torch has two kinds of switches for it, old and new, and refuses to read an old one that says the opposite of the new.
    """
    cudnn: Any = torch.backends.cudnn
    parts: tuple[Any, ...] = (torch.backends.cuda.matmul, cudnn.conv, cudnn.rnn)
    before = [part.fp32_precision for part in parts]
    try:
        old = torch.get_float32_matmul_precision()
    except RuntimeError:
        old = "highest" if before[0] == "tf32" else "high"
    try:
        old_cudnn = cudnn.allow_tf32
    except RuntimeError:
        old_cudnn = before[1:] != ["tf32", "tf32"]
    torch.backends.cuda.matmul.allow_tf32 = cudnn.allow_tf32 = wanted  # these set both kinds
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(old)
        cudnn.allow_tf32 = old_cudnn
        for part, precision in zip(parts, before, strict=True):
            part.fp32_precision = precision
