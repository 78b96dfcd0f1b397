"""What a model runs on while it is traced: meta, where shapes are enough, else once on the CPU; and what is said if it fails."""

from __future__ import annotations

import traceback
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import fx

from archprof import units
from archprof.build import build, free_bytes
from archprof.errors import UserError
from archprof.trace import ASSUMED, Failure, Traced, trace

if TYPE_CHECKING:
    from torch import nn

    from archprof.meta import Seen
    from archprof.sources import Opened

OURS = str(Path(__file__).parent)
LONG = 400
"""Characters of a model's own error that are told."""


def with_weights(opened: Opened, seed: int = 0) -> nn.Module:
    """Return a model on the CPU with random weights, or those it has; raise UserError where it cannot be had.

    The system would end a process that asks for more memory than there is, so half of what is free is the limit.
    """
    needed = sum(t.numel() * t.element_size() for t in (*opened.module.parameters(), *opened.module.buffers()))
    free = free_bytes(torch.device("cpu"))
    if free is not None and needed > free // 2:
        raise UserError(f"weights of {units.size(needed)} are too large to run it here")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if opened.real is not None:
            return opened.real()
        spec = opened.module.meta.get("archprof") if isinstance(opened.module, fx.GraphModule) else None
        if spec is None:
            raise UserError("it can be opened on meta only")
        return build(spec, "cpu")


def traced_somewhere(opened: Opened, memo: dict[Any, Seen]) -> tuple[Traced, tuple[str, ...]]:
    """Return the trace of a model on meta or, where that cannot answer what the model asks, on the CPU; and say so."""
    traced = trace(opened.module, opened.inputs, memo)
    failure = traced.failure
    if failure is None or not failure.needs_data or opened.real is None:
        return traced, taken_for_true(traced)
    needed = sum(weight.tensor.bytes for weight in traced.graph.weights)
    free = free_bytes(torch.device("cpu"))
    asked = f"it looks at its data{f' ({failure.kind} in {failure.path})' if failure.kind else ''}"
    if free is not None and needed > free // 2:
        error = UserError(f"{asked}, and its weights of {units.size(needed)} are too large to run it here")
        return replace(traced, failure=replace(failure, error=error)), ()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        on_cpu = trace(opened.real(), opened.inputs, on="cpu")
    return on_cpu, (f"run on the CPU, since {asked}: counts that depend on data are those of this run",)


def taken_for_true(traced: Traced) -> tuple[str, ...]:
    """Return a note on what a model asked of its data and was told; none where it asked nothing."""
    if traced.has_answered:
        return ("it looks at its data: counts that depend on data are those of the values given",)
    if not traced.assumed:
        return ()
    asked = (
        f"{kind} is {str(ASSUMED[kind]).lower()} (asked by {path or 'the model'})"
        for kind, path in traced.assumed.items()
    )
    return (f"assumed of the data, which are not there: {', '.join(asked)}",)


def told(failure: Failure) -> str:
    """Return where and why a model failed, in one line.

    >>> from archprof import Tensor
    >>> told(Failure("head.fc", "Linear", "linear", (Tensor((2, 4)), Tensor((3, 5))), RuntimeError("no")))
    'in head.fc (Linear), linear of 2x4 and 3x5: no'
    """
    place = f"in {failure.path}{f' ({failure.layer})' if failure.layer else ''}" if failure.path else "at the top"
    sizes = " and ".join(map(str, failure.inputs))
    what = f", {failure.kind} of {sizes}" if failure.kind else ""
    return f"{place}{what}: {shortened(failure.error)}"


def shortened(error: Exception) -> str:
    """Return an error in one line, its class before it where that is no RuntimeError.

    >>> shortened(ValueError("no  such size"))
    'ValueError: no such size'
    """
    reason = " ".join(str(error).split()) or type(error).__name__
    reason = reason if isinstance(error, (RuntimeError, UserError)) else f"{type(error).__name__}: {reason}"
    return reason if len(reason) <= LONG else reason[:LONG] + " ..."


def is_ours(error: BaseException) -> bool:
    """Tell whether an error was raised by archprof's code, or by a name that its program of a run lacks."""
    frames = list(traceback.walk_tb(error.__traceback__))
    return isinstance(error, NameError) or frames[-1][0].f_code.co_filename.startswith(OURS)
