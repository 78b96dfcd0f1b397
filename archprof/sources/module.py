"""Any nn.Module, exported program or function from Python, by a twin: the model itself is never run, moved or changed."""

from __future__ import annotations

import contextlib
import copy
import functools
import types
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from archprof import inputs as given_inputs
from archprof.errors import UserError
from archprof.meta import described
from archprof.sources import Opened
from archprof.sources.twin import on_cpu, on_meta, twin, unwrapped


def opened(model: Any, inputs: Any, name: str = "") -> Opened:
    """Return the twin on meta of a module, torch.export's ExportedProgram or function, and its inputs.

    `inputs` are tensors or shapes (batch included, float type of the weights), nested as the model takes them: one, several
    in a tuple or list in the order of the arguments, or a dict by name. Raises UserError where they do not fit the
    arguments, or the model cannot be copied.
    """
    if isinstance(model, torch.export.ExportedProgram):
        inputs = exported_inputs(model) if inputs is None else inputs
        model = model.module(check_guards=False)
    name = name or getattr(unwrapped(model), "__name__", type(unwrapped(model)).__name__)
    module = unwrapped(model) if isinstance(model, nn.Module) else Function(unwrapped(model))
    empty = twin(module, on_meta)
    dtype = next((described(w).dtype for w in empty.parameters() if w.is_floating_point()), "float32")
    arguments = given_inputs.named(module.forward, inputs, dtype, name)
    return Opened(name, empty, arguments, real=lambda: twin(module, on_cpu))


def exported_inputs(program: torch.export.ExportedProgram) -> Any:
    """Return the inputs that a program was exported with, by name."""
    args, kwargs = program.example_inputs or ((), {})
    return list(args) if not kwargs else {**dict(zip(_placeholders(program), args, strict=False)), **kwargs}


def _placeholders(program: torch.export.ExportedProgram) -> tuple[str, ...]:
    return program.graph_signature.user_inputs  # type: ignore[return-value]


class Function(nn.Module):
    """A module around a function, with the modules and tensors that the function reaches: itself, bound to, closed over."""

    is_function = True

    def __init__(self, function: Callable[..., Any]) -> None:
        """Find what `function` reaches; raise UserError where it is none."""
        super().__init__()
        if not callable(function):
            raise UserError(f"a model is a name, a Spec, a module or a function, not {function!r}")
        if isinstance(function, type):
            raise UserError(f"{function.__name__} is a class: make a module of it first, {function.__name__}(...)")
        self.forward = function  # so that its arguments are the module's
        for name, value in reached(function):
            if isinstance(value, nn.Module):
                self.add_module(name, unwrapped(value))
            elif isinstance(value, torch.Tensor):
                setattr(self, f"tensor_{name}", value)

    def __deepcopy__(self, memo: dict[int, Any]) -> Function:
        """Return a module around the same code, which reaches copies."""
        return Function(rebound(self.forward, memo))


def reached(function: Any) -> Iterator[tuple[str, Any]]:
    """Yield the values a function can use beside its arguments, by name: its object, cells, defaults, globals it names."""
    if isinstance(function, functools.partial):
        yield from (*enumerate_named(function.args), *function.keywords.items())
        yield from reached(function.func)
    elif isinstance(function, types.MethodType):
        yield "self", function.__self__
    elif isinstance(function, types.FunctionType):
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            with contextlib.suppress(ValueError):  # a cell that is still empty
                yield name, cell.cell_contents
        for name in function.__code__.co_names:
            if name in function.__globals__:
                yield name, function.__globals__[name]
    elif not isinstance(function, types.BuiltinFunctionType):
        yield "self", function


def enumerate_named(values: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    """Yield values with names made of their places."""
    yield from ((f"argument{number}", value) for number, value in enumerate(values))


def rebound(function: Any, memo: dict[int, Any]) -> Any:
    """Return a function with the same code that reaches copies of its modules and tensors."""
    if isinstance(function, functools.partial):
        values = copy.deepcopy((function.args, function.keywords), memo)
        return functools.partial(rebound(function.func, memo), *values[0], **values[1])
    if isinstance(function, types.MethodType):
        return types.MethodType(function.__func__, copy.deepcopy(function.__self__, memo))
    if not isinstance(function, types.FunctionType):
        return copy.deepcopy(function, memo)

    def copied(value: Any) -> Any:
        return copy.deepcopy(unwrapped(value), memo) if isinstance(value, (nn.Module, torch.Tensor)) else value

    scope = {name: copied(value) for name, value in reached(function)}
    cells = []
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        cells.append(types.CellType(scope[name]) if name in scope else cell)
    found = types.FunctionType(
        function.__code__, {**function.__globals__, **scope}, function.__name__, function.__defaults__, tuple(cells)
    )
    found.__kwdefaults__ = function.__kwdefaults__
    return found
