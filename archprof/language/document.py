"""A spec as data: its sections, with every expression parsed and nothing evaluated.

Only the types; `archprof.language.reader` fills them from a file, `archprof.language.extends` from two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from archprof.language.expression import BlockKey, Expression, StepKey
    from archprof.language.source import Node, Scalar, Source, Table


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """A named step, or a `for`/`if` with the steps under it."""

    key: StepKey
    node: Scalar
    body: Body


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Named steps, one after the other; `outputs` names what leaves them where that is not the last step."""

    node: Node
    steps: tuple[Step, ...]
    outputs: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Pipeline:
    """A list: one long pipeline of expressions and of `for`/`if` items."""

    node: Node
    items: tuple[Expression | Step, ...]


Body: TypeAlias = "Expression | Steps | Pipeline"
"""What stands right of a step's colon."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A named, parametrised group of steps."""

    key: BlockKey
    node: Scalar
    body: Body


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """`name: value` in params, variants and defaults."""

    name: str
    node: Scalar
    value: Expression


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """A named choice of params, possibly starting from another variant."""

    name: str
    node: Scalar
    like: Scalar | None
    settings: tuple[Setting, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """A claim: the measure, the printed value, and where it is printed."""

    node: Node
    measure: Expression
    printed: Expression
    source: str


@dataclass(frozen=True, slots=True, eq=False)
class Edit:
    """New steps to be put before or after a named step of the extended spec."""

    node: Node
    side: str
    anchor: Scalar
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """One spec file. The mappings keep the order of the file; checks and claims for every variant stand under ''."""

    source: Source
    root: Table
    name: str
    about: str
    origin: str
    inputs: tuple[Setting, ...]
    params: tuple[Setting, ...]
    variants: Mapping[str, Variant]
    defaults: Mapping[str, tuple[Setting, ...]]
    tables: tuple[Setting, ...]
    blocks: Mapping[str, Block]
    steps: Body
    outputs: tuple[Step, ...]
    checks: Mapping[str, tuple[Expression, ...]]
    claims: Mapping[str, tuple[Figure, ...]]
    requires: tuple[str, ...]
    extends: Scalar | None
    edits: tuple[Edit, ...]


def expressions(body: Body) -> Iterator[Expression]:
    """Yield every outermost expression under a body: values, conditions, loops and the names of steps."""
    match body:
        case Steps():
            yield from expressions_of((*body.steps, *body.outputs))
        case Pipeline():
            for item in body.items:
                if isinstance(item, Step):
                    yield from expressions_of((item,))
                else:
                    yield item
        case _:
            yield body


def expressions_of(steps: tuple[Step, ...]) -> Iterator[Expression]:
    """Yield every outermost expression in steps, those of their keys included."""
    for step in steps:
        yield from step.key.parts
        yield from expressions(step.body)
