"""A small recorder of torch calls for the tests of the op rules, and the facts of what it saw."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from archprof.ops import RULES, facts, tensors
from archprof.records import Facts, Op, Tensor


def mirrored(value: Any) -> Any:
    """Return `value` with archprof's Tensors in place of torch's."""
    if isinstance(value, torch.Tensor):
        return Tensor(tuple(value.shape), str(value.dtype).removeprefix("torch."))
    if isinstance(value, tuple):
        return tuple(map(mirrored, value))
    if isinstance(value, list):
        return list(map(mirrored, value))
    return value


class Recorder(TorchFunctionMode):
    """Keeps (kind, arguments, keyword arguments, result) of every torch function called, mirrored."""

    def __init__(self) -> None:
        """Start with no calls."""
        super().__init__()
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any], Any]] = []

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Record one call."""
        kwargs = kwargs or {}
        before = mirrored(tuple(args)), {name: mirrored(value) for name, value in kwargs.items()}
        result = function(*args, **kwargs)
        self.calls.append((function.__name__.strip("_"), *before, mirrored(result)))
        return result


def recorded(kind: str, call: Callable[[], Any]) -> tuple[tuple[Any, ...], dict[str, Any], Any]:
    """Return arguments and result of the last torch function of that kind inside `call`."""
    with torch.no_grad(), Recorder() as recorder:
        call()
    return next(parts for name, *parts in reversed(recorder.calls) if name == kind)  # type: ignore[return-value]


def found(kind: str, arguments: dict[str, Any], result: Any) -> Facts:
    """Return what the rule of `kind` says of a call that returned `result`."""
    known = facts(Op(kind, kind, "", outputs=tuple(tensors(result)), arguments=arguments))
    assert isinstance(known, Facts), known
    return known


def check(kind: str, call: Callable[[], Any]) -> Facts:
    """Return the facts of a call, after its shape rule and its formula have been held against the truth."""
    args, kwargs, result = recorded(kind, call)
    arguments = RULES[kind].bind(args, kwargs)
    assert RULES[kind].output(arguments) == result
    known = found(kind, arguments, result)
    assert not known.macs or evaluated(known.formula) == known.macs
    return known


def evaluated(formula: str) -> int:
    """Return the value of a sum of products."""
    assert re.fullmatch(r"[\d*+ ]+", formula)
    return eval(formula)  # noqa: S307 - digits, * and + only
