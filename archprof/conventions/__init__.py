"""As others count: each convention gives the number that another tool prints for an op, so that a figure can be matched.

A convention follows its tool's rules where they depend on the op alone, odd ones included: the total is what papers
print. What depends on how the program was written, and not on what it computes, is named as a known difference.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from archprof.graph import Graph
from archprof.records import Column, Facts, Op, Unknown
from archprof.registry import Registry

Count = Callable[[Op, Facts, Graph], int | None]


@dataclass(frozen=True, slots=True)
class Convention:
    """How a tool counts an op, and by op kind where the tool itself may say something else (`*` is any kind)."""

    function: Count
    differences: Mapping[str, str] = field(default_factory=dict)

    @property
    def about(self) -> str:
        """First line of the docstring."""
        return inspect.cleandoc(self.function.__doc__ or "").partition("\n")[0]


CONVENTIONS: Registry[Convention] = Registry("convention", "archprof.conventions")


def convention(name: str, differences: Mapping[str, str] | None = None) -> Callable[[Count], Count]:
    """Return a decorator that registers a function from an op, its Facts and its Graph to a tool's count (None: unknown).

    >>> @convention("outputs", {"lstm": "counts the states too"})
    ... def outputs(op, facts, graph):
    ...     "One an element of the first output."
    ...     return op.outputs[0].elements
    >>> CONVENTIONS["outputs"].about
    'One an element of the first output.'
    """

    def file(function: Count) -> Count:
        CONVENTIONS.register(name)(Convention(function, differences or {}))
        return function

    return file


def column(graph: Graph, name: str) -> tuple[Column, list[int | None]]:
    """Return a convention as a column: what it is, and its value for every op; an op that nobody knows stays unknown.

    Raises UnknownName where there is no such convention.
    """
    entry = CONVENTIONS[name]
    values: list[int | None] = []
    for op in graph.ops:
        facts = graph.facts[op.name]
        values.append(None if isinstance(facts, Unknown) else entry.function(op, facts, graph))
    return Column(name, "count", "sum", entry.about), values
