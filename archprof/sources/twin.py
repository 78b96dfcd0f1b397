"""A copy of a module with other tensors in it: what is traced, so that the module itself never is."""

from __future__ import annotations

import contextlib
import copy
import functools
from collections import OrderedDict
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, CellType, FunctionType, MethodType, NoneType
from typing import Any

import torch
from torch import nn

from archprof.errors import UserError

SHARED = frozenset({
    int, float, complex, str, bytes, bool, NoneType, type, FunctionType, BuiltinFunctionType, torch.dtype, torch.device,
    torch.Size,
})  # fmt: skip
"""Types whose values cannot change, or are nobody's state."""

HOOKS = ("_forward_hooks", "_forward_pre_hooks")


def twin(module: nn.Module, moved: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Return a copy of `module` with `moved(tensor)` in place of every tensor; hooks of the user stay behind.

    What is tied in the module is tied in the twin. Raises UserError where a part of it is TorchScript or has no weights yet,
    or Python cannot copy it.
    """
    for path, part in module.named_modules():
        name = f"{type(module).__name__}'s {path!r}" if path else "the module"
        if isinstance(part, torch.jit.ScriptModule):
            raise UserError(f"{name} is TorchScript, which hides its operations: profile the module it was made from")
        if any(map(nn.parameter.is_lazy, vars(part)["_parameters"].values())):
            raise UserError(f"{name} is lazy and has no weights yet: call the model once before it is profiled")
    memo = _tensors(module, moved)
    try:
        found = _copied(module, memo)
    except (TypeError, RuntimeError, AttributeError) as error:
        raise UserError(f"{type(module).__name__} cannot be copied, so it cannot be profiled: {error}") from error
    for part in found.modules():
        state = vars(part)
        for name, value in list(state.items()):  # Python copies no function
            if (
                isinstance(value, FunctionType)
                and not hasattr(part, "is_function")
                and any(isinstance(v, nn.Module) for _, v in reached(value))
            ):
                state[name] = rebound(value, memo)
        state["_compiled_call_impl"] = None  # module.compile() is undone in the twin
        state["_modules"].update({name: unwrapped(child) for name, child in state["_modules"].items()})
        for hooks in filter(None, map(state.get, HOOKS)):
            for key in [key for key, hook in hooks.items() if not _computes_weights(hook)]:
                del hooks[key]
    return found


def _tensors(module: nn.Module, moved: Callable[[torch.Tensor], torch.Tensor]) -> dict[int, Any]:
    """Return the twin's tensor for each of the module's, by identity."""
    memo: dict[int, Any] = {}
    for part in module.modules():
        state = vars(part)
        for tensor in (*state["_parameters"].values(), *state["_buffers"].values(), *state.values()):
            if isinstance(tensor, torch.Tensor) and id(tensor) not in memo:
                made = moved(tensor)
                is_parameter = isinstance(tensor, nn.Parameter)
                memo[id(tensor)] = nn.Parameter(made, tensor.requires_grad) if is_parameter else made
    return memo


def unwrapped(model: Any) -> Any:
    """Return the model inside torch.compile's and data parallelism's wrappers.

    >>> unwrapped(nn.DataParallel(nn.ReLU()))
    ReLU()
    """
    if isinstance(model, MethodType):
        return MethodType(unwrapped(model.__func__), model.__self__)
    wrappers = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    while True:
        state = getattr(model, "__dict__", {})
        if isinstance(model, wrappers):
            model = model.module
        elif "_orig_mod" in state.get("_modules", {}):
            model = state["_modules"]["_orig_mod"]
        else:
            return state.get("_torchdynamo_orig_callable", model)


def on_meta(tensor: torch.Tensor) -> torch.Tensor:
    """Return an empty tensor like this one, on meta."""
    if tensor.layout is not torch.strided:
        return torch.empty_like(tensor, device="meta", requires_grad=False)
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")


def on_cpu(tensor: torch.Tensor) -> torch.Tensor:
    """Return a copy on the CPU; a tensor on meta has no values, and gets small random ones."""
    if not tensor.is_meta:
        return tensor.detach().to("cpu", copy=True)
    made = torch.zeros_like(tensor, device="cpu", requires_grad=False)
    return made.uniform_(0, 0.1) if made.is_floating_point() else made


def reached(function: Any) -> Iterator[tuple[str, Any]]:
    """Yield the values a function can use beside its arguments, by name: its object, cells, defaults, globals it names."""
    if isinstance(function, functools.partial):
        yield from (*enumerate_named(function.args), *function.keywords.items())
        yield from reached(function.func)
    elif isinstance(function, MethodType):
        yield "self", function.__self__
    elif isinstance(function, FunctionType):
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            with contextlib.suppress(ValueError):  # a cell that is still empty
                yield name, cell.cell_contents
        for name in function.__code__.co_names:
            if name in function.__globals__:
                yield name, function.__globals__[name]
    elif not isinstance(function, BuiltinFunctionType):
        yield "self", function


def enumerate_named(values: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    """Yield values with names made of their places."""
    yield from ((f"argument{number}", value) for number, value in enumerate(values))


def rebound(function: Any, memo: dict[int, Any]) -> Any:
    """Return a function with the same code that reaches copies of its modules and tensors."""
    if isinstance(function, functools.partial):
        values = copy.deepcopy((function.args, function.keywords), memo)
        return functools.partial(rebound(function.func, memo), *values[0], **values[1])
    if isinstance(function, MethodType):
        return MethodType(function.__func__, copy.deepcopy(function.__self__, memo))
    if not isinstance(function, FunctionType):
        return copy.deepcopy(function, memo)

    def copied(value: Any) -> Any:
        return copy.deepcopy(unwrapped(value), memo) if isinstance(value, (nn.Module, torch.Tensor)) else value

    scope = {name: copied(value) for name, value in reached(function)}
    cells = []
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        cells.append(CellType(scope[name]) if name in scope else cell)
    found = FunctionType(
        function.__code__, {**function.__globals__, **scope}, function.__name__, function.__defaults__, tuple(cells)
    )
    found.__kwdefaults__ = function.__kwdefaults__
    return found


def _copied(value: Any, memo: dict[int, Any]) -> Any:
    """Return a deep copy; what copy.deepcopy would do too, without its detours for plain modules and containers."""
    kind = type(value)
    if kind in SHARED:
        return value
    known = memo.get(id(value))
    if known is not None:
        return known
    if kind is dict or kind is OrderedDict:
        made = memo[id(value)] = kind()
        for key, item in value.items():
            made[key if type(key) in SHARED else _copied(key, memo)] = _copied(item, memo)
        return made
    if kind is list:
        items: list[Any] = []
        memo[id(value)] = items
        items += [_copied(item, memo) for item in value]
        return items
    if isinstance(value, nn.Module) and _is_plain(kind):
        module = nn.Module.__new__(kind)
        memo[id(value)] = module
        state = module.__dict__
        for key, item in vars(value).items():
            state[key] = item if type(item) in SHARED else _copied(item, memo)
        return module
    return copy.deepcopy(value, memo)


def _is_plain(kind: type) -> bool:
    """Tell whether a class of modules is copied by its attributes alone.

    torch's own layers restore old checkpoints in `__setstate__`, which a copy needs not; recurrent nets keep lists of
    their weights in it.
    """
    ways = (kind.__getstate__, kind.__reduce_ex__, kind.__new__)  # type: ignore[attr-defined]
    restores = getattr(kind, "__setstate__", None)
    is_torchs = getattr(restores, "__module__", "").startswith("torch.nn.modules.") and not issubclass(kind, nn.RNNBase)
    return ways == ORDINARY and is_torchs and not hasattr(kind, "__deepcopy__")


ORDINARY = (nn.Module.__getstate__, nn.Module.__reduce_ex__, nn.Module.__new__)  # type: ignore[attr-defined]


def _computes_weights(hook: object) -> bool:
    """Tell whether a hook is torch's own (weight norm, spectral norm, pruning), without which weights are missing."""
    return type(hook).__module__.startswith("torch.nn.utils")
