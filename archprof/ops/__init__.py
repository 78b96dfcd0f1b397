"""What each kind of op costs and returns, from shapes alone: the registry of rules.

A rule is a function with the arguments of the torch function it speaks for, Tensors in place of tensors, and `out`
(the output, or the tuple of outputs) in front; it returns Facts, or Unknown where these arguments hide the cost. Where
it is worth it, a second function with the same arguments but `out` says the output's shape, so that no kernel has to
run. It raises ValueError where the arguments do not fit each other: then torch is to be asked, whose own message says
why. No rule imports torch.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from archprof.records import Facts, Op, Tensor, Unknown
from archprof.registry import Registry

Shapes = Tensor | tuple[Tensor | None, ...]

FREE_ARGUMENTS = frozenset({
    "out", "device", "layout", "pin_memory", "generator", "memory_format", "requires_grad", "non_blocking",
    "_stacklevel", "_random_samples",
})  # fmt: skip
"""Keyword arguments of torch functions that change neither a cost nor a shape; no rule has to list them."""

NUMPY_NAMES = {
    "axis": "dim", "keepdims": "keepdim", "x": "input", "x2": "other", "A": "input", "B": "other", "mat_a": "input",
    "mat_b": "mat2",
}  # fmt: skip
"""Other names of an argument, numpy's among them, by which torch takes it too; the rule's own name stands behind."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A cost rule, and a shape rule where there is one."""

    function: Callable[..., Facts | Unknown]
    shape: Callable[..., Shapes] | None
    signature: inspect.Signature

    @property
    def doc(self) -> list[str]:
        """The docstring in two: the shape signature, and the cost in words on one line."""
        signature, _, cost = inspect.cleandoc(self.function.__doc__ or "").partition("\n")
        return [signature, " ".join(cost.split())]

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of a call by name, defaults left out; raise TypeError where they do not fit the rule.

        What torch takes as `*sizes` is one tuple under that name. `FREE_ARGUMENTS` are dropped, and other names
        that torch takes (numpy's, or those of a twin of the function) are turned into the rule's.
        """
        kept = {
            name if name in self.signature.parameters else NUMPY_NAMES.get(name, name): value
            for name, value in kwargs.items()
            if name not in FREE_ARGUMENTS
        }
        return dict(self.signature.bind(*args, **kept).arguments)

    def call(self, arguments: Mapping[str, Any]) -> inspect.BoundArguments:
        """Return bound arguments as `.args` and `.kwargs` of a call; raise TypeError where they do not fit the rule."""
        strange = arguments.keys() - self.signature.parameters.keys()
        if strange:
            raise TypeError(f"got an unexpected argument {min(strange)!r}")
        bound = inspect.BoundArguments(self.signature, OrderedDict(arguments))
        return self.signature.bind(*bound.args, **bound.kwargs)

    def output(self, arguments: Mapping[str, Any]) -> Shapes | None:
        """Return the output's shape, in the structure torch returns; None where torch has to be asked.

        That is so without a shape rule, and for arguments that do not fit each other: torch's own error is better.
        """
        if self.shape is None:
            return None
        call = self.call(arguments)
        try:
            return self.shape(*call.args, **call.kwargs)
        except (ValueError, IndexError, TypeError, AttributeError, ArithmeticError):
            return None


RULES: Registry[Rule] = Registry("op rule", "archprof.ops")


def rule(
    *kinds: str, shape: Callable[..., Shapes] | None = None
) -> Callable[[Callable[..., Facts | Unknown]], Callable[..., Facts | Unknown]]:
    """Return a decorator that registers a function as the cost rule of each of `kinds`.

    The function's first parameter is `out`; the others are those of the torch function, with torch's names, order and
    defaults. `shape` takes the same arguments without `out` and returns the output's Tensor (or a tuple of them).

    >>> @rule("double_it", shape=lambda input: input)
    ... def double_it(out, input):
    ...     '''[*x] -> [*x]
    ...
    ...     FLOPs: 1 per output.'''
    ...     return Facts(flops=out.elements)
    >>> facts(Op("double", "double_it", "", outputs=(Tensor((2, 3)),), arguments={"input": Tensor((2, 3))})).flops
    6
    """

    def file(function: Callable[..., Facts | Unknown]) -> Callable[..., Facts | Unknown]:
        signature = inspect.signature(function)
        arguments = [p for name, p in signature.parameters.items() if name != "out"]
        entry = Rule(function, shape, signature.replace(parameters=arguments))
        RULES.register(*kinds)(entry)
        return function

    return file


def facts(op: Op) -> Facts | Unknown:
    """Return what the rule of the op's kind says, with the default traffic filled in; Unknown where there is no rule.

    The default traffic reads every tensor among the arguments once and writes every output once; a view moves nothing.
    """
    entry = RULES.get(op.kind)
    if entry is None:
        return Unknown(f"no rule for {op.kind!r}")
    try:
        call = entry.call(op.arguments)
    except TypeError as error:
        return Unknown(f"the rule of {op.kind!r} does not take these arguments: {error}")
    out = op.outputs[0] if len(op.outputs) == 1 else op.outputs
    found = entry.function(out, *call.args, **call.kwargs)
    return found if isinstance(found, Unknown) else completed(op, found)


def completed(op: Op, found: Facts) -> Facts:
    """Return facts with what a rule left to the default: all MACs effective, and every tensor moved once."""
    read, written = (0, 0) if found.is_view else (_read(op), sum(tensor.bytes for tensor in op.outputs))
    return dataclasses.replace(
        found,
        effective_macs=found.effective,
        bytes_read=read if found.bytes_read is None else found.bytes_read,
        bytes_written=written if found.bytes_written is None else found.bytes_written,
    )


def tensors(value: object) -> list[Tensor]:
    """Return every Tensor inside nested lists, tuples and dicts, in order."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in tensors(item)]
    return []


def _read(op: Op) -> int:
    return sum(tensor.bytes for tensor in tensors(op.arguments))
