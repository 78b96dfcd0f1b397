"""A copy of a module with other tensors in it: what is traced, so that the module itself never is."""

from __future__ import annotations

import contextlib
import copy
import dis
import functools
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, NoneType
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
            if isinstance(value, FunctionType) and not hasattr(part, "is_function") and touches(value):
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
    """Yield the values a function can use beside its arguments, by name, and those that its helpers can.

    Its own are its object, cells, defaults, and the globals it names. Functions of a library are no helpers, except those
    that it wraps around others.
    """
    seen: dict[int, Any] = {}  # what is kept alive keeps its id
    left = [function]
    while left:
        part = left.pop()
        if id(part) not in seen:
            seen[id(part)] = part
            for name, value in _own(part):
                if _is_helper(value):
                    left.append(unwrapped(value))
                else:
                    yield name, value


def _own(function: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(function, functools.partial):
        yield from (*_numbered(function.args), *function.keywords.items(), ("function", function.func))
    elif isinstance(function, MethodType):
        yield "self", function.__self__
    elif isinstance(function, FunctionType):
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            with contextlib.suppress(ValueError):  # a cell that is still empty
                yield name, cell.cell_contents
        yield from (*_numbered(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).items())
        space = function.__globals__
        yield from ((name, space[name]) for name in _globals(function.__code__) if name in space)
    elif not isinstance(function, BuiltinFunctionType):
        yield "self", function


def _numbered(values: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    return ((f"argument{number}", value) for number, value in enumerate(values))


@functools.lru_cache(maxsize=1024)
def _globals(code: CodeType) -> tuple[str, ...]:
    """Return the names that code, and the functions within it, look up in its module."""
    own = (step.argval for step in dis.get_instructions(code) if step.opname in {"LOAD_GLOBAL", "LOAD_NAME"})
    inner = (name for part in code.co_consts if isinstance(part, CodeType) for name in _globals(part))
    return tuple(dict.fromkeys((*own, *inner)))


def _is_helper(value: Any) -> bool:
    """Tell whether a value is a function that may reach what is the user's."""
    if not isinstance(value, FunctionType):
        return isinstance(value, (functools.partial, MethodType))
    home = value.__code__.co_filename
    is_librarys = home.startswith(LIBRARY) or "site-packages" in home or "dist-packages" in home
    return value.__closure__ is not None or not is_librarys


LIBRARY = os.path.dirname(os.__file__)  # noqa: PTH120 - compared with texts


def rebound(function: Any, memo: dict[int, Any]) -> Any:
    """Return a function with the same code that reaches copies of its modules and tensors, its helpers too."""
    if isinstance(function, functools.partial):
        values = copy.deepcopy((function.args, function.keywords), memo)
        return functools.partial(rebound(function.func, memo), *values[0], **values[1])
    if isinstance(function, MethodType):
        return MethodType(function.__func__, copy.deepcopy(function.__self__, memo))
    if not isinstance(function, FunctionType):
        return copy.deepcopy(function, memo)
    if id(function) in memo:  # it calls itself
        return memo[id(function)]

    def copied(value: Any) -> Any:
        if isinstance(value, TRACED):
            return copy.deepcopy(unwrapped(value), memo)
        return rebound(unwrapped(value), memo) if _is_helper(value) and touches(value) else value

    space = memo.setdefault(id(function.__globals__), {**function.__globals__})
    cells = tuple(memo.setdefault(id(cell), CellType()) for cell in function.__closure__ or ())
    found = FunctionType(function.__code__, space, function.__name__, None, cells or None)
    memo[id(function)] = found
    found.__dict__.update(function.__dict__)
    found.__defaults__ = function.__defaults__ and tuple(map(copied, function.__defaults__))
    found.__kwdefaults__ = function.__kwdefaults__ and {k: copied(v) for k, v in function.__kwdefaults__.items()}
    for cell, made in zip(function.__closure__ or (), cells, strict=True):
        with contextlib.suppress(ValueError):  # a cell that is still empty
            made.cell_contents = copied(cell.cell_contents)
    for name in _globals(function.__code__):
        if name in function.__globals__:
            space[name] = copied(function.__globals__[name])
    return found


def touches(function: Any) -> bool:
    """Tell whether a function reaches modules or tensors."""
    return any(isinstance(value, TRACED) for _, value in reached(unwrapped(function)))


TRACED = (nn.Module, torch.Tensor)


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
