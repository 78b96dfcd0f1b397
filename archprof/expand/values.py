"""What the names in a spec stand for while it is expanded: tensors, layers that wait for input, and their scopes.

They hold what is known; `archprof.expand.steps` and `archprof.expand.work` find it out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from archprof.language.document import Block
    from archprof.language.expression import Expression
    from archprof.language.source import Node
    from archprof.layers import Layer
    from archprof.records import Tensor


class Skipped(Exception):
    """A value is missing because of a mistake that is reported already."""


class Missing:
    """In place of the value of a name that nobody has defined (null is a value)."""


MISSING = Missing()


class Poison:
    """In place of a value that a mistake has spoilt."""

    what = "a value with a mistake"


@dataclass(frozen=True, slots=True)
class Flow:
    """A tensor on its way through the network: its number in the program, and its shape."""

    number: int
    tensor: Tensor
    is_parameter: bool = False

    what = "a tensor"


@dataclass(frozen=True, slots=True)
class Bundle:
    """Several tensors side by side, with names where a block's `outputs` gives them."""

    flows: tuple[Flow, ...]
    names: tuple[str, ...] = ()

    what = "several tensors"

    def named(self) -> Iterator[tuple[str, Flow]]:
        """Yield (name, flow), numbered where there are no names."""
        names = self.names or tuple(map(str, range(len(self.flows))))
        return zip(names, self.flows, strict=True)


@dataclass(frozen=True, slots=True)
class Argument:
    """A setting's value, by name or (None) by its place."""

    name: str | None
    value: Any
    at: Expression


@dataclass(frozen=True, slots=True)
class Stage:
    """A layer or block with its settings; `module` is the earlier module it shares the weights of."""

    kind: Layer | Block
    arguments: tuple[Argument, ...]
    at: Expression
    tie: str | None = None
    module: Path | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """Layers in a row, waiting for a tensor; `numbered` where the spec wrote `* n`."""

    stages: tuple[Stage, ...]
    numbered: bool = False

    what = "a layer"

    def __add__(self, other: Chain) -> Chain:
        """Return both, one after the other."""
        return Chain(self.stages + other.stages, self.numbered or other.numbered)

    @property
    def takes_input(self) -> bool:
        """Whether it needs a tensor: a Parameter does not."""
        kind = self.stages[0].kind if self.stages else None
        return getattr(kind, "inputs", None) != ()


class Path:
    """The place of a module or op in the model, written out only when the step it belongs to is finished.

    A `name` of None stands for the parent itself: a lone module takes its step's name. `module` is the place whose
    weights are used instead of this place's own.
    """

    __slots__ = ("module", "name", "parent")

    def __init__(self, parent: Path | None, name: str | None, module: Path | None = None) -> None:
        """Hang below `parent`."""
        self.parent, self.name, self.module = parent, name, module

    @property
    def text(self) -> str:
        """The dotted path, `layer1.0.conv1`."""
        return _joined(self.parent.text if self.parent else "", self.name)

    @property
    def module_text(self) -> str:
        """The dotted path of the weights."""
        if self.module is not None:
            return self.module.module_text
        return _joined(self.parent.module_text if self.parent else "", self.name)


def _joined(parent: str, name: str | None) -> str:
    return f"{parent}.{name}" if parent and name else name or parent


@dataclass(slots=True, eq=False)
class Slot:
    """One layer or block applied in a step."""

    stage: Stage | None
    path: Path
    is_module: bool
    kind: str = ""


@dataclass(slots=True, eq=False)
class Slots:
    """What one step has applied so far, and how it is going to be named."""

    path: Path
    numbered: bool = False
    slots: list[Slot] = field(default_factory=list)

    def add(self, slot: Slot) -> Slot:
        """Take in a slot."""
        self.slots.append(slot)
        return slot

    def close(self) -> None:
        """Name the slots: a lone module takes the step's name, several are numbered, functions are called by their kind."""
        modules = [slot for slot in self.slots if slot.is_module]
        if len(modules) > 1 or self.numbered:
            for number, slot in enumerate(modules):
                slot.path.name = str(number)
        functions = [slot for slot in self.slots if not slot.is_module]
        if len(self.slots) > 1 or self.numbered:
            for slot in functions:
                slot.path.name = slot.kind


@dataclass(slots=True, eq=False)
class Binding:
    """A named tensor, and where it is used; `explicit` uses name it.

    It is `forgiven` where a step with a mistake may have meant to use it.
    """

    name: str
    value: Any
    at: Node
    uses: list[tuple[Any, bool]] = field(default_factory=list)
    forgiven: bool = False

    def use(self, at: Any, *, explicit: bool) -> None:
        """Note a use."""
        self.uses.append((at, explicit))


class Scope:
    """The names of one mapping of steps; it sees those of the mappings around it, up to its block.

    `spoilt` has the beginnings of names that a loop with a mistake would have defined, `loops` counts those around us.
    """

    def __init__(self, parent: Scope | None, path: Path, variables: Mapping[str, Any] | None = None) -> None:
        """Begin empty, below `parent`, with plain values in `variables`."""
        self.parent, self.path = parent, path
        self.bindings: dict[str, Binding] = {}
        self.variables: dict[str, Any] = dict(variables or {})
        self.records: dict[str, Slots | Scope] = {}
        self.previous: Binding | None = parent.previous if parent else None
        self.spoilt: list[str] = []
        self.loops = 0

    def bind(self, binding: Binding) -> Binding:
        """Define a name."""
        self.bindings[binding.name] = binding
        return binding

    def find(self, name: str) -> Any:
        """Return the Binding or value of a name, or MISSING."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.bindings:
                return scope.bindings[name]
            if name in scope.variables:
                return scope.variables[name]
            if any(name.startswith(prefix) for prefix in scope.spoilt):
                return Poison()
            scope = scope.parent
        return MISSING

    def names(self) -> Iterator[str]:
        """Yield every name that `find` knows."""
        scope: Scope | None = self
        while scope is not None:
            yield from scope.bindings
            yield from scope.variables
            scope = scope.parent

    def record(self, path: Sequence[str]) -> Slots | Scope | None:
        """Return what the step at a dotted path did: seen from here, then from the scopes around."""
        scope: Scope | None = self
        while scope is not None:
            found: Slots | Scope | None = scope
            for name in path:
                found = found.records.get(name) if isinstance(found, Scope) else None
            if found is not None and found is not scope:
                return found
            scope = scope.parent
        return None
