"""The registry of rules for what each kind of op sees, and what a rule is asked with. No rule imports torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archprof.receptive.region import Region, nothing
from archprof.records import Op, Tensor
from archprof.registry import Registry

Answer = Region | tuple[Region | None, ...] | None


@dataclass(frozen=True, slots=True)
class Call:
    """An op with Regions in place of the tensors it reads: its arguments by name, and all regions in their order."""

    op: Op
    arguments: Mapping[str, Any]
    regions: tuple[Region, ...]
    axes: int

    @property
    def out(self) -> tuple[int, ...]:
        """Shape of the first output."""
        return self.op.outputs[0].shape

    def __call__(self, name: str, default: Any = None, position: int | None = None) -> Any:
        """Return an argument by name, or where the op has no names for them, by position."""
        if position is not None and name not in self.arguments:
            return self.arguments.get(str(position), default)
        return self.arguments.get(name, default)

    @property
    def input(self) -> Region:
        """The region of the first tensor."""
        return self.regions[0]

    def blank(self) -> tuple[Region, ...]:
        """Return regions of all outputs that see nothing."""
        return tuple(nothing(tensor.shape, self.axes) for tensor in self.op.outputs)


SEES: Registry[Callable[[Call], Answer]] = Registry("receptive field", "archprof.receptive")
"""By kind of op: a function from a Call to the region of the output, of each output, or None: unknown."""


def sees(*kinds: str) -> Callable[[Callable[[Call], Answer]], Callable[[Call], Answer]]:
    """Return a decorator that registers what ops of these kinds see."""

    def file(function: Callable[[Call], Answer]) -> Callable[[Call], Answer]:
        SEES.register(*kinds)(function)
        return function

    return file


def ints(value: Any, count: int) -> tuple[int, ...]:
    """Return a setting for each of `count` axes."""
    if isinstance(value, Sequence):
        return tuple(value) * count if len(value) == 1 else tuple(value)
    return (value,) * count


def dims(value: Any, rank: int) -> list[int]:
    """Return axes as whole numbers from 0; None is all of them."""
    if value is None or value == ():
        return list(range(rank))
    return [axis % max(1, rank) for axis in ((value,) if isinstance(value, int) else value)]


def regions_in(value: Any) -> list[Region]:
    """Return every Region in nested lists, tuples and dicts, in order."""
    if isinstance(value, Region):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [region for item in value for region in regions_in(item)]
    return []


def put(value: Any, regions: Sequence[Region]) -> Any:
    """Return arguments with regions in place of their Tensors, in order."""
    rest = iter(regions)

    def replaced(value: Any) -> Any:
        if isinstance(value, Tensor):
            return next(rest)
        if isinstance(value, Mapping):
            return {name: replaced(item) for name, item in value.items()}
        if isinstance(value, (list, tuple)):
            return tuple(map(replaced, value))
        return value

    return replaced(value)
