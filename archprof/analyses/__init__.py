"""Analyses: each turns a Graph into columns, one value an op. They depend on no rule and on no other analysis."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from archprof.graph import Graph
from archprof.records import Column
from archprof.registry import Registry


@dataclass(frozen=True, slots=True)
class Values:
    """A column's values in the order of the ops; None is unknown. `outside` belongs to no op (weights never used)."""

    values: Sequence[Any]
    outside: int = 0


@dataclass(frozen=True, slots=True)
class Analysis:
    """An analysis: its columns, and the function from a Graph to their Values, in the same order."""

    function: Callable[[Graph], Sequence[Values]]
    columns: tuple[Column, ...]

    @property
    def about(self) -> str:
        """First line of the docstring."""
        return inspect.cleandoc(self.function.__doc__ or "").partition("\n")[0]


ANALYSES: Registry[Analysis] = Registry("analysis", "archprof.analyses")


def analysis(*columns: Column) -> Callable[[Callable[[Graph], Sequence[Values]]], Callable[[Graph], Sequence[Values]]]:
    """Return a decorator that registers a function from a Graph to one Values a column.

    >>> @analysis(Column("ops_so_far", "count", "last", "number of ops up to this one"))
    ... def ops_so_far(graph):
    ...     from archprof.analyses import Values
    ...     return [Values(range(1, len(graph) + 1))]
    >>> ANALYSES["ops_so_far"].columns[0].name
    'ops_so_far'
    """

    def file(function: Callable[[Graph], Sequence[Values]]) -> Callable[[Graph], Sequence[Values]]:
        ANALYSES.register(function.__name__)(Analysis(function, columns))
        return function

    return file
