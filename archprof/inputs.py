"""What a model is called with: arguments of any nesting, whose tensors are shapes, or real tensors where data counts."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from archprof.errors import UserError, did_you_mean
from archprof.meta import DTYPES, described, empty
from archprof.records import Tensor

NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def named(function: Callable[..., Any], inputs: Any, dtype: str, what: str) -> dict[str, Any]:
    """Return `inputs` by the names of the arguments of `function`, each a nest of Tensors and plain values.

    `inputs` are a shape or a tensor, a tuple or list with one entry an argument, or a dict by name. A shape is a tuple or
    list of sizes, and stands for a tensor of `dtype`. Raises UserError, which calls the model `what`, where they do not
    fit the arguments or are neither tensors, shapes, numbers, None nor nests of these.
    """
    parameters = _parameters(function)
    names = [p.name for p in parameters if p.kind in {*NAMED[:1], p.POSITIONAL_ONLY}]
    known = [p.name for p in parameters if p.kind not in {p.VAR_POSITIONAL, p.VAR_KEYWORD}]
    kinds = {p.kind for p in parameters}
    needed = [p.name for p in parameters if p.default is p.empty and p.name in known]
    if inputs is None and needed:
        raise UserError(
            f"{what} needs inputs: tensors or shapes for {', '.join(needed)} (--input {needed[0]}=3x224x224)"
        )
    if isinstance(inputs, Mapping):
        given = dict(inputs)
    else:
        values = [] if inputs is None else [inputs] if is_shape(inputs) or is_tensor(inputs) else list(inputs)
        if inspect.Parameter.VAR_POSITIONAL in kinds:
            names += [f"input{number}" for number in range(len(names), len(values))]
            known += names
        if len(values) > len(names):
            raise UserError(f"{what} takes {len(names)} inputs, and gets {len(values)}")
        given = dict(zip(names, values, strict=False))
    for unknown in sorted(given.keys() - set(known)):
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            advice = did_you_mean(unknown, known, f"its inputs are {', '.join(known)}")
            raise UserError(f"{what} has no input {unknown!r}; {advice}")
    for missing in needed:
        if missing not in given:
            raise UserError(f"{what} needs the input {missing!r} too; its inputs are {', '.join(known)}")
    return {name: _leaf(name, value, dtype) for name, value in given.items()}


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except ValueError:  # a built-in function does not say
        return [inspect.Parameter("input", inspect.Parameter.VAR_POSITIONAL)]


def is_tensor(value: Any) -> bool:
    """Tell whether this is one tensor, real or by its shape and dtype."""
    return isinstance(value, (torch.Tensor, Tensor))


def is_shape(value: Any) -> bool:
    """Tell whether this is a tuple or list of sizes."""
    return isinstance(value, (tuple, list)) and len(value) > 0 and all(type(size) is int for size in value)


def _leaf(name: str, value: Any, dtype: str) -> Any:
    if isinstance(value, torch.Tensor):
        if value.dtype not in DTYPES.values():
            raise UserError(f"the input {name!r} has the dtype {value.dtype}, which is not supported")
        if value.is_nested:
            raise UserError(f"the input {name!r} is a nested tensor, which is not supported")
        return value
    if is_shape(value):
        if min(value) < 0:
            raise UserError(f"the input {name!r} has a negative size: {tuple(value)}")
        return Tensor(tuple(value), dtype)
    if value is None or isinstance(value, (bool, int, float, Tensor)):
        return value
    if isinstance(value, Mapping):
        return {key: _leaf(f"{name}.{key}", item, dtype) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [_leaf(f"{name}.{number}", item, dtype) for number, item in enumerate(value)]
        return items if isinstance(value, list) else tuple(items)
    raise UserError(f"the input {name!r} is a tensor or a shape such as (1, 3, 224, 224), not {value!r}")


def leaves(inputs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield every tensor in `inputs` with its name, `images.0` for the first of a list called `images`."""
    for name, value in inputs.items():
        if is_tensor(value):
            yield name, value
        elif isinstance(value, Mapping):
            yield from leaves({f"{name}.{key}": item for key, item in value.items()})
        elif isinstance(value, (list, tuple)):
            yield from leaves({f"{name}.{number}": item for number, item in enumerate(value)})


def tensors_of(inputs: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the Tensor of every input by its name."""
    return {name: described(value) if isinstance(value, torch.Tensor) else value for name, value in leaves(inputs)}


def on(device: str, value: Any) -> Any:
    """Return a nest with tensors on `device` in place of its Tensors, real ones copied.

    Elsewhere than on "meta" a Tensor, or a tensor on meta, becomes floats between 0 and 1, whole numbers that are 0 (in
    range for any table), or True.
    """
    if isinstance(value, torch.Tensor):
        if device != "meta" and not value.is_meta:
            return value.detach().to(device, copy=True)
        value = described(value)
    if isinstance(value, Tensor):
        try:
            return empty(value) if device == "meta" else _random(value).to(device)
        except RuntimeError as error:  # more bytes than a whole number can say, or than there are
            sizes = "x".join(map(str, value.shape))
            raise UserError(f"an input of {sizes} is too large: {str(error).partition(chr(10))[0]}") from error
    if isinstance(value, Mapping):
        return {key: on(device, item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [on(device, item) for item in value]
        return items if isinstance(value, list) else tuple(items)
    return value


def _random(tensor: Tensor) -> torch.Tensor:
    dtype = DTYPES[tensor.dtype]
    if dtype.is_floating_point or dtype.is_complex:
        return torch.rand(tensor.shape).to(dtype)
    return torch.full(tensor.shape, tensor.dtype == "bool", dtype=dtype)


def call(function: Callable[..., Any], inputs: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call of `function`: by name where it has such names, else in their order."""
    parameters = _parameters(function)
    by_name = {p.name for p in parameters if p.kind in NAMED}
    if inputs.keys() <= by_name or any(p.kind is p.VAR_KEYWORD for p in parameters):
        return (), dict(inputs)
    return tuple(inputs.values()), {}
