"""A run written down as a straight-line program, one statement an op in the order of the graph's, with a mark after each.

An op that is all a module does is a call of that module, so that it costs what it costs in the model. What lies between
the ops in the model (the Python of its blocks) is not in the program. Values that a model reads off its data are those of
the run that was written down.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from archprof.meta import Seen
from archprof.trace import Recorder, Traced, trace


@dataclass(frozen=True, slots=True)
class Ref:
    """The tensor with this number, in place of the tensor."""

    number: int


@dataclass(frozen=True, slots=True)
class Step:
    """A call with Refs in place of the tensors made before, and the numbers of its outputs.

    `result` is what it returned, with Refs; None where it changes its first argument and returns nothing. `holds` are the
    numbers of tensors that live until then because whoever called a module holds them: memory is used again as in the model.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    outputs: tuple[int, ...]
    result: Any
    holds: tuple[int, ...] = ()


class Tape(Recorder):
    """A Recorder that keeps the calls themselves, too, so that they can be made again."""

    def __init__(self, steps: list[Step], *args: Any, **kwargs: Any) -> None:
        """Write `steps`, one a record."""
        super().__init__(*args, **kwargs)
        self.steps = steps

    def seen(self, func: Callable[..., Any], args: Any, kwargs: Any, seen: Seen, result: Any) -> Any:
        """Note the call, its arguments as they were before."""
        refs = with_refs(args), with_refs(kwargs)
        before = len(self.records)
        result = super().seen(func, args, kwargs, seen, result)
        if len(self.records) > before:
            self.steps.append(Step(func, *refs, self.records[-1].outputs, with_refs(result)))
        return result


def with_refs(value: Any) -> Any:
    """Return a nest with Refs in place of the tensors that a recorder has numbered; others (weights) stay."""
    if isinstance(value, torch.Tensor):
        number = getattr(value, "_archprof", None)
        return value if number is None else Ref(number)
    if isinstance(value, (list, tuple)) and type(value) is not torch.Size:
        items = [with_refs(item) for item in value]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, dict):
        return {key: with_refs(item) for key, item in value.items()}
    return value


@contextlib.contextmanager
def _watched_modules(module: nn.Module, steps: list[Step]) -> Iterator[None]:
    """Note of every module's call what its caller holds, and write the call in place of an op that is all of the module.

    That is for modules without hooks, which are called with the module.
    """
    changed = []
    for part in module.modules():
        state = vars(part)
        changed.append((state, state.get("forward")))
        is_plain = next(part.children(), None) is None and not (part._forward_hooks or part._forward_pre_hooks)  # noqa: SLF001
        state["forward"] = _noted(part, part.forward, steps, is_plain=is_plain)
    try:
        yield
    finally:
        for state, forward in changed:
            if forward is None:
                del state["forward"]
            else:
                state["forward"] = forward


def _noted(module: nn.Module, forward: Callable[..., Any], steps: list[Step], *, is_plain: bool) -> Callable[..., Any]:
    @functools.wraps(forward)
    def noted(*args: Any, **kwargs: Any) -> Any:
        before, refs = len(steps), (with_refs(args), with_refs(kwargs))
        result = forward(*args, **kwargs)
        if len(steps) > before:
            holds = tuple(_numbers(refs))
            steps[-1] = dataclasses.replace(steps[-1], holds=steps[-1].holds + holds)
        if (
            is_plain
            and len(steps) == before + 1
            and isinstance(result, torch.Tensor)
            and steps[-1].result == with_refs(result)
        ):
            steps[-1] = dataclasses.replace(steps[-1], function=module, args=refs[0], kwargs=refs[1])
        return result

    return noted


def _numbers(value: Any) -> Iterator[int]:
    """Yield the numbers of the Refs in a nest."""
    if isinstance(value, Ref):
        yield value.number
    elif isinstance(value, (list, tuple, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _numbers(item)


@dataclass(frozen=True, slots=True)
class Program:
    """A run as Python: `source` with the objects it names.

    `function(mark, keep, *inputs)` makes the calls again, calls `mark(i)` after the i-th (from 1), `keep(i, tensor)` with
    its first output, and returns the network's outputs. The inputs are those of the run, in their order.
    """

    function: Callable[..., tuple[torch.Tensor, ...]]
    source: str


def taped(
    module: nn.Module, inputs: Mapping[str, Any], on: str, *, training: bool = False
) -> tuple[Traced, list[Step]]:
    """Return the trace of a run on a real device, and its steps, one an op."""
    steps: list[Step] = []
    with _watched_modules(module, steps):
        traced = trace(module, inputs, on=on, training=training, kind=functools.partial(Tape, steps))
    return traced, steps


def program(traced: Traced, steps: Sequence[Step], inputs: Sequence[int], *, keeps: bool = False) -> Program:
    """Return the steps as a Program that takes the inputs with these numbers; it calls `keep` only where it `keeps`."""
    writer = _Writer()
    lines = [writer.statement(number, step) for number, step in enumerate(steps)]
    order = {op.name: number for number, op in enumerate(traced.graph.ops)}
    outputs = [steps[order[name]].outputs[place] for name, place in traced.graph.outputs.values() if name in order]
    gone = writer.last_uses(spared=set(outputs))
    text = [f"def run(mark, keep{''.join(f', t{number}' for number in inputs)}):"]
    for number, line in enumerate(lines):
        text.append(f"    {line}")
        if keeps and steps[number].outputs:
            text.append(f"    keep({number + 1}, t{steps[number].outputs[0]})")
        if gone.get(number):
            text.append(f"    del {', '.join(f't{name}' for name in gone[number])}")
        text.append(f"    mark({number + 1})")
    text.append(f"    return ({''.join(f't{number}, ' for number in outputs)})")
    source = "\n".join(text)
    exec(compile(source, "<archprof's program of a run>", "exec"), writer.objects)  # noqa: S102 - all names in it are numbers
    return Program(writer.objects["run"], source)


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

    def last_uses(self, spared: set[int]) -> dict[int, list[int]]:
        """Return which tensors are used for the last time, by the number of the step."""
        found: dict[int, list[int]] = {}
        for number, step in self.last.items():
            if number not in spared:
                found.setdefault(step, []).append(number)
        return found
