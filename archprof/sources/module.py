"""Any nn.Module from Python, by a twin on meta: the module itself is never run, moved or changed."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from archprof.errors import UserError
from archprof.meta import DTYPES, described
from archprof.records import Tensor
from archprof.sources import Opened


def opened(module: nn.Module, inputs: Any) -> Opened:
    """Return a module's twin on meta, and its inputs by the names of its arguments.

    `inputs` are tensors or shapes (batch included, float type of the weights): one, several in a list or tuple in the
    order of the arguments, or a dict by name. Raises UserError where they are none, do not fit the arguments, or the
    module cannot be copied.
    """
    return Opened(type(module).__name__, meta_twin(module), named(module, inputs))


def meta_twin(module: nn.Module) -> nn.Module:
    """Return a copy of `module` whose tensors are on meta, so that no weight is copied; user's hooks stay behind.

    What is tied in the module is tied in the twin. Raises UserError where Python cannot copy the module.
    """
    memo: dict[int, Any] = {}
    for part in module.modules():
        for tensor in (*part.parameters(recurse=False), *part.buffers(recurse=False), *vars(part).values()):
            if isinstance(tensor, torch.Tensor) and id(tensor) not in memo:
                empty = torch.empty_like(tensor, device="meta", requires_grad=False)
                is_parameter = isinstance(tensor, nn.Parameter)
                memo[id(tensor)] = nn.Parameter(empty, tensor.requires_grad) if is_parameter else empty
    try:
        twin = copy.deepcopy(module, memo)
    except (TypeError, RuntimeError, AttributeError) as error:
        raise UserError(f"{type(module).__name__} cannot be copied, so it cannot be profiled: {error}") from error
    for part in twin.modules():
        for hooks in (part._forward_hooks, part._forward_pre_hooks):  # noqa: SLF001 - there is no public way to drop them
            for key, hook in list(hooks.items()):
                if not _computes_weights(hook):
                    del hooks[key]
    return twin


def _computes_weights(hook: object) -> bool:
    """Tell whether a hook is torch's own (weight norm, spectral norm, pruning), without which weights are missing."""
    return type(hook).__module__.startswith("torch.nn.utils")


def named(module: nn.Module, inputs: Any) -> dict[str, Tensor]:
    """Return inputs by the names of the module's arguments; raise UserError where they do not fit."""
    parameters = inspect.signature(module.forward).parameters.values()
    names = [p.name for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    takes_any = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    dtype = next((described(w).dtype for w in module.parameters() if w.is_floating_point()), "float32")
    if inputs is None:
        raise UserError(f"{type(module).__name__} needs inputs: a shape such as (1, 3, 224, 224), or tensors")
    if isinstance(inputs, Mapping):
        given = dict(inputs)
    else:
        values = [inputs] if _is_one(inputs) else list(inputs)
        if takes_any:
            names += [f"input{number}" for number in range(len(names), len(values))]
        if len(values) > len(names):
            raise UserError(f"{type(module).__name__} takes {len(names)} inputs, and gets {len(values)}")
        given = dict(zip(names, values, strict=False))
    for unknown in given.keys() - set(names):
        raise UserError(f"{type(module).__name__} has no input {unknown!r}; its inputs are {', '.join(names)}")
    return {name: _tensor(name, value, dtype) for name, value in given.items()}


def _is_one(value: Any) -> bool:
    return isinstance(value, torch.Tensor) or (isinstance(value, Sequence) and all(type(v) is int for v in value))


def _tensor(name: str, value: Any, dtype: str) -> Tensor:
    if isinstance(value, torch.Tensor):
        if value.dtype not in DTYPES.values():
            raise UserError(f"the input {name!r} has the dtype {value.dtype}, which is not supported")
        return described(value)
    if not _is_one(value) or any(size < 0 for size in value):
        raise UserError(f"the input {name!r} is a tensor or a shape such as (1, 3, 224, 224), not {value!r}")
    return Tensor(tuple(value), dtype)
