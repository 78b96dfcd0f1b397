"""A run written down as a straight-line program, one statement an op in the order of the graph's, with a mark after each.

An op that is all a module does is a call of that module, so that it costs what it costs in the model. What lies between
the ops in the model (the Python of its blocks) is not in the program, but for what it sets torch to: no gradients,
autocast. Values that a model reads off its data are those of the run that was written down.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import nn

from archprof.meta import Seen
from archprof.runs.modes import Modes
from archprof.trace import NUMBERS, Recorder, Traced, trace
from archprof.watch import wrapped


@dataclass(frozen=True, slots=True)
class Ref:
    """The tensor with this number, in place of the tensor."""

    number: int


@dataclass(frozen=True, slots=True)
class Step:
    """A call with Refs in place of the tensors made before, and the numbers of its outputs.

    `result` is what it returned, with Refs; None where it changes its first argument and returns nothing. `holds` are the
    numbers of tensors that live until then because whoever called a module holds them: memory is used again as in the model.
    `modes` are None where torch is set as it was at the start.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    outputs: tuple[int, ...]
    result: Any
    holds: tuple[int, ...] = ()
    modes: Modes | None = None


@dataclass(slots=True)
class Log:
    """A run as it is written down, on a kind of device: its steps, and the number that all its tensors' are above.

    `grad` says whether gradients are recorded around the autograd.Function that is running: its own operations run without,
    and are made again with what is outside, so that the gradient passes. None: none is running.
    """

    device: str
    steps: list[Step] = field(default_factory=list)
    first: int = field(default_factory=lambda: next(NUMBERS))
    grad: bool | None = None

    def modes(self) -> Modes:
        """Return what torch is set to, for the steps."""
        modes = Modes.now(self.device)
        return modes if self.grad is None else dataclasses.replace(modes, grad=self.grad)

    def with_refs(self, value: Any) -> Any:
        """Return a nest with Refs in place of the tensors that this run has numbered; others (weights) stay."""
        if isinstance(value, torch.Tensor):
            number = getattr(value, "_archprof", -1)
            return Ref(number) if number > self.first else value
        if isinstance(value, (list, tuple)) and type(value) is not torch.Size:
            items = [self.with_refs(item) for item in value]
            return items if isinstance(value, list) else tuple(items)
        if isinstance(value, dict):
            return {key: self.with_refs(item) for key, item in value.items()}
        return value


class Tape(Recorder):
    """A Recorder that keeps the calls themselves, too, so that they can be made again."""

    def __init__(self, log: Log, *args: Any, **kwargs: Any) -> None:
        """Write steps to a log, one a record."""
        super().__init__(*args, **kwargs)
        self.log = log

    def __enter__(self) -> Self:
        """Start recording."""
        self.start = self.log.modes()
        super().__enter__()
        return self

    def seen(self, func: Callable[..., Any], args: Any, kwargs: Any, seen: Seen, result: Any) -> Any:
        """Note the call, its arguments as they were before."""
        log = self.log
        refs = log.with_refs(args), log.with_refs(kwargs)
        before = len(self.records)
        result = super().seen(func, args, kwargs, seen, result)
        if len(self.records) > before:
            modes = log.modes()
            step = Step(func, *refs, self.records[-1].outputs, log.with_refs(result))
            log.steps.append(step if modes == self.start else dataclasses.replace(step, modes=modes))
        return result


@contextlib.contextmanager
def _watched_functions(log: Log) -> Iterator[None]:
    """Tell the log while an autograd.Function runs."""
    base, plain = torch.autograd.Function, vars(torch.autograd.Function)["apply"]

    def apply(cls: type, *args: Any, **kwargs: Any) -> Any:
        outer = log.grad
        log.grad = torch.is_grad_enabled() if outer is None else outer
        try:
            return plain.__get__(None, cls)(*args, **kwargs)
        finally:
            log.grad = outer

    base.apply = classmethod(apply)  # type: ignore[method-assign]
    try:
        yield
    finally:
        base.apply = plain  # type: ignore[method-assign]


def _watched_modules(module: nn.Module, log: Log) -> contextlib.AbstractContextManager[None]:
    """Note of every module's call what its caller holds, and write the call in place of an op that is all of the module.

    That is for modules without hooks, which are called with the module.
    """

    def noted(_: str, part: nn.Module) -> Callable[..., Any]:
        is_plain = next(part.children(), None) is None and not (part._forward_hooks or part._forward_pre_hooks)  # noqa: SLF001
        return _noted(part, part.forward, log, is_plain=is_plain)

    return wrapped(module, noted)


def _noted(module: nn.Module, forward: Callable[..., Any], log: Log, *, is_plain: bool) -> Callable[..., Any]:
    steps = log.steps

    @functools.wraps(forward)
    def noted(*args: Any, **kwargs: Any) -> Any:
        before, refs = len(steps), (log.with_refs(args), log.with_refs(kwargs))
        result = forward(*args, **kwargs)
        if len(steps) > before:
            holds = tuple(_numbers(refs))
            steps[-1] = dataclasses.replace(steps[-1], holds=steps[-1].holds + holds)
        if (
            is_plain
            and len(steps) == before + 1
            and isinstance(result, torch.Tensor)
            and steps[-1].result == log.with_refs(result)
            and _is_simple((args, kwargs))
        ):
            steps[-1] = dataclasses.replace(steps[-1], function=module, args=refs[0], kwargs=refs[1])
        return result

    return noted


def _is_simple(value: Any) -> bool:
    """Tell whether Refs stand for all the tensors in a nest: not where an object may hold some, or is no plain container."""
    if type(value) in {list, tuple}:
        return all(map(_is_simple, value))
    if type(value) is dict:
        return all(map(_is_simple, value.values()))
    return value is None or isinstance(
        value, (torch.Tensor, torch.Size, torch.dtype, torch.device, bool, int, float, str)
    )


def _numbers(value: Any) -> Iterator[int]:
    """Yield the numbers of the Refs in a nest."""
    if isinstance(value, Ref):
        yield value.number
    elif isinstance(value, (list, tuple, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _numbers(item)


@dataclass(frozen=True, slots=True)
class Program:
    """A run as Python: `source` with the objects it names, the number of its `ops` and of the `tensors` that they make.

    `function(mark, keep, *inputs)` makes the calls again, calls `mark(i)` after the i-th (from 1), `keep(i, *tensors)` with
    its outputs, and returns the network's outputs. The inputs are those of the run, in their order.
    """

    function: Callable[..., tuple[torch.Tensor, ...]]
    source: str
    ops: int
    tensors: int


def taped(
    module: nn.Module, inputs: Mapping[str, Any], on: str, *, training: bool = False
) -> tuple[Traced, list[Step]]:
    """Return the trace of a run on a real device, and its steps, one an op."""
    log = Log(torch.device(on).type)
    with _watched_modules(module, log), _watched_functions(log):
        traced = trace(module, inputs, on=on, training=training, kind=functools.partial(Tape, log))
    return traced, log.steps


def program(traced: Traced, steps: Sequence[Step], inputs: Sequence[int], *, keeps: bool = False) -> Program:
    """Return the steps as a Program that takes the inputs with these numbers; it calls `keep` only where it `keeps`."""
    writer = _Writer()
    lines = [writer.statement(number, step) for number, step in enumerate(steps)]
    order = {op.name: number for number, op in enumerate(traced.graph.ops)}
    outputs = [steps[order[name]].outputs[place] for name, place in traced.graph.outputs.values() if name in order]
    gone = writer.last_uses(spared=set(outputs))
    text = [f"def run(mark, keep{''.join(f', t{number}' for number in inputs)}):"]
    if any(step.modes for step in steps):
        text.append(f"    start = {writer.named(Modes.now)}({torch.device(traced.on).type!r})")
    for number, line in enumerate(lines):
        if steps[number].modes != (steps[number - 1].modes if number else None):
            text.append(f"    {writer.modes(steps[number])}.enter(start)")
        text.append(f"    {line}")
        if keeps and steps[number].outputs:
            text.append(f"    keep({number + 1}, {', '.join(f't{name}' for name in steps[number].outputs)})")
        if gone.get(number):
            text.append(f"    del {', '.join(f't{name}' for name in gone[number])}")
        text.append(f"    mark({number + 1})")
    if steps and steps[-1].modes:
        text.append("    start.enter(start)")
    text.append(f"    return ({''.join(f't{number}, ' for number in outputs)})")
    source = "\n".join(text)
    exec(compile(source, "<archprof's program of a run>", "exec"), writer.objects)  # noqa: S102 - all names in it are numbers
    return Program(writer.objects["run"], source, len(steps), sum(len(step.outputs) for step in steps))


class _Writer:
    """Writes calls as Python statements; whatever is no tensor of the run, a whole number or a flag stands under a number."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}
        self.names: dict[int, str] = {}
        self.last: dict[int, int] = {}  # the step that uses a tensor last
        self.step = 0

    def statement(self, number: int, step: Step) -> str:
        self.step = number
        arguments = [self.expression(value) for value in step.args]
        arguments += [f"**{self.expression(dict(step.kwargs))}"] if step.kwargs else []
        call = f"{self.named(step.function)}({', '.join(arguments)})"
        self.last.update(dict.fromkeys((*step.outputs, *step.holds), number))
        if step.result is None:
            return f"{call}; t{step.outputs[0]} = {self.expression(step.args[0])}"
        return f"{self.pattern(step.result)} = {call}"

    def expression(self, value: Any) -> str:
        if isinstance(value, Ref):
            self.last[value.number] = self.step
            return f"t{value.number}"
        if value is None or type(value) in {int, bool}:
            return repr(value)
        if type(value) is tuple:
            return f"({''.join(f'{self.expression(item)}, ' for item in value)})"
        if type(value) is list:
            return f"[{', '.join(map(self.expression, value))}]"
        if type(value) is dict:
            return f"{{{', '.join(f'{self.named(key)}: {self.expression(item)}' for key, item in value.items())}}}"
        return self.named(value)

    def named(self, value: Any) -> str:
        name = self.names.setdefault(id(value), f"c{len(self.names)}")
        self.objects[name] = value
        return name

    def pattern(self, value: Any) -> str:
        """Return what stands left of a call that returns this."""
        if isinstance(value, Ref):
            return f"t{value.number}"
        if isinstance(value, (tuple, list)) and value:
            return f"({''.join(f'{self.pattern(item)}, ' for item in value)})"
        return "_"

    def modes(self, step: Step) -> str:
        """Return the name of what torch is set to in a step."""
        return "start" if step.modes is None else self.named(step.modes)

    def last_uses(self, spared: set[int]) -> dict[int, list[int]]:
        """Return which tensors are used for the last time, by the number of the step."""
        found: dict[int, list[int]] = {}
        for number, step in self.last.items():
            if number not in spared:
                found.setdefault(step, []).append(number)
        return found
