"""The layers a spec may write: a registry from their names to builders.

A builder is a function of the input shapes and the layer's settings. It returns what does the work: an nn.Module (which
gets a name in the state dict), a plain function of tensors (which does not), or an nn.Parameter (a tensor of its own).
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from archprof.errors import ArchprofError
from archprof.records import Tensor
from archprof.registry import Registry

Built = nn.Module | nn.Parameter | Callable[..., Any]
Count = typing.Annotated[int, "1 or more"]
"""How many there are of something: a whole number, 1 or more."""
Size = int | list[int]
"""A size for every spatial axis at once, or one an axis."""


class ShapeError(ArchprofError):
    """A layer cannot take these shapes; the message says what it needs."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer type: its builder, the names of its inputs (None: any number, at least two), and its settings."""

    name: str
    function: Callable[..., Built]
    inputs: tuple[str, ...] | None
    settings: Mapping[str, inspect.Parameter]
    annotations: Mapping[str, Any]

    @property
    def about(self) -> str:
        """First line of the docstring."""
        return inspect.cleandoc(self.function.__doc__ or "").partition("\n")[0]

    @property
    def form(self) -> str:
        """The settings as written in a spec: `out_channels, kernel_size, stride=1`."""
        return ", ".join(
            name if p.default is inspect.Parameter.empty else f"{name}={_shown(p.default)}"
            for name, p in self.settings.items()
        )

    def build(self, inputs: Sequence[Tensor], settings: Mapping[str, Any]) -> Built:
        """Return what does the layer's work on inputs of these shapes."""
        return self.function(*inputs, **settings)


LAYERS: Registry[Layer] = Registry("layer", "archprof.layers")


def layer(function: Callable[..., Built]) -> Callable[..., Built]:
    """Register a builder under its own name, which must begin with a capital letter.

    Its positional-only parameters (before a `/`) are the inputs' Tensors (shape with the batch first, and dtype), `*xs`
    means any number of them; without either the first parameter is the input. All others are settings.

    >>> @layer
    ... def Halve(x, /, by: int = 2):
    ...     "Divides by a number."
    ...     return lambda t: t / by
    >>> LAYERS["Halve"].inputs, LAYERS["Halve"].form
    (('x',), 'by=2')
    """
    parameters = list(inspect.signature(function).parameters.values())
    inputs: tuple[str, ...] | None = tuple(p.name for p in parameters if p.kind is p.POSITIONAL_ONLY)
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        inputs = None
        rest = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    elif inputs or not parameters or getattr(function, "takes_no_input", False):
        rest = [p for p in parameters if p.kind is not p.POSITIONAL_ONLY]
    else:
        inputs, rest = (parameters[0].name,), parameters[1:]
    name = function.__name__
    if not name[:1].isupper():
        raise ArchprofError(f"the layer {name!r} must begin with a capital letter")
    entry = Layer(
        name, function, inputs, {p.name: p for p in rest}, typing.get_type_hints(function, include_extras=True)
    )
    LAYERS.register(name)(entry)
    return function


def fits(value: object, annotation: Any) -> bool:
    """Tell whether a spec's value may stand where a builder's annotation says what it wants.

    >>> fits(3, Size), fits([3, 3], Size), fits("3", int), fits(True, int), fits(2, float), fits(0, Count)
    (True, True, False, False, True, False)
    """
    if annotation is inspect.Parameter.empty or annotation is Any:
        return True
    origin = typing.get_origin(annotation)
    if annotation is Count:
        return type(value) is int and value >= 1
    if origin in {types.UnionType, typing.Union}:
        return any(fits(value, option) for option in typing.get_args(annotation))
    if origin is list:
        (item,) = typing.get_args(annotation)
        return isinstance(value, list) and all(fits(v, item) for v in value)
    if origin is typing.Literal:
        return value in typing.get_args(annotation)
    if annotation is None or annotation is types.NoneType:
        return value is None
    if annotation is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, annotation) and (annotation is bool or not isinstance(value, bool))


def wanted(annotation: Any) -> str:
    """Return in words what `fits` lets through.

    >>> wanted(Size), wanted(bool), wanted(Count)
    ('a whole number or a list of whole numbers', 'true or false', 'a whole number, 1 or more')
    """
    if annotation is Count:
        return "a whole number, 1 or more"
    origin = typing.get_origin(annotation)
    if origin in {types.UnionType, typing.Union}:
        return " or ".join(wanted(option) for option in typing.get_args(annotation))
    if origin is list:
        return f"a list of {wanted(typing.get_args(annotation)[0]).removeprefix('a ')}s"
    if origin is typing.Literal:
        return "one of " + ", ".join(f'"{option}"' for option in typing.get_args(annotation))
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", types.NoneType: "null"}
    return words.get(annotation, "a plain value")


def _shown(value: object) -> str:
    return (
        {None: "null", True: "true", False: "false"}.get(value, repr(value))
        if isinstance(value, (bool, type(None)))
        else repr(value)
    )
