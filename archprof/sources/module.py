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


def opened(model: Any, inputs: Any) -> Opened:
    """Return the twin on meta of a module, torch.export's ExportedProgram or function, and its inputs.

    `inputs` are tensors or shapes (batch included, float type of the weights), nested as the model takes them: one, several
    in a tuple or list in the order of the arguments, or a dict by name. Raises UserError where they do not fit the
    arguments, or the model cannot be copied.
    """
    if isinstance(model, torch.export.ExportedProgram):
        inputs = exported_inputs(model) if inputs is None else inputs
        model = model.module(check_guards=False)
    name = getattr(unwrapped(model), "__name__", type(unwrapped(model)).__name__)
    module = unwrapped(model) if isinstance(model, nn.Module) else Function(model)
    if isinstance(module, torch.jit.ScriptModule):
        raise UserError(f"{name} is TorchScript, which hides its operations: profile the module it was made from")
    dtype = next((described(w).dtype for w in module.parameters() if w.is_floating_point()), "float32")
    arguments = given_inputs.named(module.forward, inputs, dtype, name)
    return Opened(name, twin(module, on_meta), arguments, real=lambda: twin(module, on_cpu))


def exported_inputs(program: torch.export.ExportedProgram) -> Any:
    """Return the inputs that a program was exported with, by name."""
    args, kwargs = program.example_inputs or ((), {})
    return list(args) if not kwargs else {**dict(zip(_placeholders(program), args, strict=False)), **kwargs}


def _placeholders(program: torch.export.ExportedProgram) -> tuple[str, ...]:
    return program.graph_signature.user_inputs  # type: ignore[return-value]


def unwrapped(model: Any) -> Any:
    """Return the model inside torch.compile's and data parallelism's wrappers.

    >>> unwrapped(nn.DataParallel(nn.ReLU()))
    ReLU()
    """
    wrappers = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    while True:
        inner = model.module if isinstance(model, wrappers) else getattr(model, "_orig_mod", None)
        if inner is None:
            return getattr(model, "_torchdynamo_orig_callable", model)
        model = inner


class Function(nn.Module):
    """A module around a function, with the modules and tensors that the function reaches: itself, bound to, closed over."""

    def __init__(self, function: Callable[..., Any]) -> None:
        """Find what `function` reaches; raise UserError where it is none."""
        super().__init__()
        if not callable(function):
            raise UserError(f"a model is a name, a Spec, a module or a function, not {function!r}")
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


def twin(module: nn.Module, moved: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Return a copy of `module` with `moved(tensor)` in place of every tensor; hooks of the user stay behind.

    What is tied in the module is tied in the twin. Raises UserError where Python cannot copy the module.
    """
    memo: dict[int, Any] = {}
    for part in module.modules():
        for tensor in (*part.parameters(recurse=False), *part.buffers(recurse=False), *vars(part).values()):
            if isinstance(tensor, torch.Tensor) and id(tensor) not in memo:
                made = moved(tensor)
                is_parameter = isinstance(tensor, nn.Parameter)
                memo[id(tensor)] = nn.Parameter(made, tensor.requires_grad) if is_parameter else made
    try:
        found = copy.deepcopy(module, memo)
    except (TypeError, RuntimeError, AttributeError) as error:
        raise UserError(f"{type(module).__name__} cannot be copied, so it cannot be profiled: {error}") from error
    for part in found.modules():
        _freed(part, memo)
    return found


def _freed(part: nn.Module, memo: dict[int, Any]) -> None:
    """Take out of a module of the twin what still leads to the user's: wrappers, hooks, functions around layers."""
    part._compiled_call_impl = None  # noqa: SLF001 - module.compile() is undone in the twin
    for name, value in list(vars(part).items()):  # Python copies no function
        if isinstance(value, types.FunctionType) and any(isinstance(v, nn.Module) for _, v in reached(value)):
            vars(part)[name] = rebound(value, memo)
    for name, child in part.named_children():
        part._modules[name] = unwrapped(child)  # noqa: SLF001 - a setter of the model's own may refuse
    for hooks in (part._forward_hooks, part._forward_pre_hooks):  # noqa: SLF001 - there is no public way to drop them
        for key, hook in list(hooks.items()):
            if not _computes_weights(hook):
                del hooks[key]


def on_meta(tensor: torch.Tensor) -> torch.Tensor:
    """Return an empty tensor like this one, on meta."""
    return torch.empty_like(tensor, device="meta", requires_grad=False)


def on_cpu(tensor: torch.Tensor) -> torch.Tensor:
    """Return a copy on the CPU; a tensor on meta has no values, and gets small random ones."""
    if not tensor.is_meta:
        return tensor.detach().to("cpu", copy=True)
    made = torch.zeros_like(tensor, device="cpu", requires_grad=False)
    return made.uniform_(0, 0.1) if made.is_floating_point() else made


def _computes_weights(hook: object) -> bool:
    """Tell whether a hook is torch's own (weight norm, spectral norm, pruning), without which weights are missing."""
    return type(hook).__module__.startswith("torch.nn.utils")
