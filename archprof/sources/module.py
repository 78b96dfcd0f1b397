"""Any nn.Module, exported program or function from Python, by a twin: the model itself is never run, moved or changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from archprof import inputs as given_inputs
from archprof.errors import UserError
from archprof.meta import described
from archprof.sources import Opened
from archprof.sources.twin import on_cpu, on_meta, reached, rebound, twin, unwrapped


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
            own = name if isinstance(value, nn.Module) else f"tensor_{name}"
            while hasattr(self, own):  # another function's by the same name, or nn.Module's
                own += "_"
            if isinstance(value, nn.Module):
                self.add_module(own, unwrapped(value))
            elif isinstance(value, torch.Tensor):
                setattr(self, own, value)

    def __deepcopy__(self, memo: dict[int, Any]) -> Function:
        """Return a module around the same code, which reaches copies."""
        return Function(rebound(self.forward, memo))
