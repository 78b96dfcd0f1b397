"""The expressions of specs with tensors and layers in them: names, pipelines, sums, and layers waiting for input."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from archprof.errors import Problem, Span, did_you_mean, nearest
from archprof.expand.values import (
    MISSING,
    Argument,
    Binding,
    Bundle,
    Chain,
    Flow,
    Path,
    Poison,
    Scope,
    Skipped,
    Slots,
    Stage,
)
from archprof.language.evaluate import Evaluator, Exhausted, Mistake, is_number, kind_of, mistake
from archprof.layers import LAYERS, Layer
from archprof.layers.foreign import foreign_layer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archprof.language.document import Block, Document
    from archprof.language.expression import Expression
    from archprof.language.limits import Limits

ATTRIBUTES = ("channels", "features", "height", "width", "shape")
_SWITCHES = {"no": "false", "off": "false", "yes": "true", "on": "true", "none": "null", "nil": "null"}
OPERATORS = {"+": "Add", "-": "Subtract", "*": "Multiply", "/": "Divide"}


class Names(Evaluator):
    """Evaluates expressions in `scope`; `found` collects mistakes, `chain` says which blocks they are in."""

    def __init__(self, document: Document, limits: Limits) -> None:
        super().__init__(limits)
        self.document = document
        self.found: dict[tuple[str, Span], Problem] = {}
        self.chain: list[tuple[str, int]] = []
        self.params = Scope(None, Path(None, None))
        self.root = Scope(self.params, self.params.path)
        self.scope = self.params
        self.slots = Slots(self.params.path)

    @abstractmethod
    def run_chain(self, chain: Chain, value: Any, at: Any) -> Any:
        """Feed `value` through a chain of layers and return what comes out."""

    @abstractmethod
    def apply_layer(self, layer: Layer, settings: dict[str, Any], flows: Sequence[Flow], at: Expression) -> Any:
        """Append a call of a layer and return its output."""

    @abstractmethod
    def bound(self, stage: Stage, *, complete: bool = True) -> dict[str, Any]:
        """Return a layer's settings by name."""

    def within(self, scope: Scope) -> Any:
        """Return a context in which names are looked up in `scope`."""
        return _Within(self, scope)

    def report(self, found: Mistake) -> None:
        """Collect a mistake, with the chain of blocks it was found in."""
        self.add(found.problem)

    def add(self, problem: Problem) -> None:
        """Collect a problem, unless the same place has shown the same already."""
        if self.chain:
            inside = " in ".join(f"{name} (line {line})" for name, line in reversed(self.chain[-4:]))
            problem = Problem(
                problem.code, problem.span, problem.what, problem.label, (*problem.notes, f"in: {inside}")
            )
        self.found.setdefault((problem.code, problem.span), problem)
        if len(self.found) >= self.limits.problems:
            what = f"more than {self.limits.problems} mistakes: the rest is not shown"
            raise Exhausted(Problem("E502", problem.span, what))

    def lookup(self, at: Expression, name: str) -> Any:
        """Return a name's value, noting the use of a tensor."""
        found = self.scope.find(name)
        if found is MISSING:
            raise mistake(at, "E202", f"there is nothing called {name!r} here", self.guess(name))
        if isinstance(found, Binding):
            found.use(at, explicit=True)
            found = found.value
        if isinstance(found, Poison):
            raise Skipped
        return found

    def guess(self, name: str) -> str:
        """Return what somebody may have meant by an unknown name."""
        if name in _SWITCHES:
            return f"write '{_SWITCHES[name]}'"
        names = [known for known in self.scope.names() if known[:1].islower()]
        if name == "in" and not self.chain:
            return f"the network has several inputs: {', '.join(key.name for key in self.document.inputs)}"
        capital = nearest(name, [*LAYERS, *self.document.blocks])
        if capital is not None and capital.casefold() == name:
            return f"did you mean the layer {capital!r}?"
        close = nearest(name, names)
        meant = self.scope.find(close) if close else None
        if isinstance(meant, Binding):
            meant.forgiven = True
        if close is None and self.chain:
            return "a block sees its own steps and settings, and the network's params"
        return f"did you mean {close!r}?" if close else ""

    def use_previous(self, at: Any, scope: Scope | None = None) -> Any:
        """Return the value a step without a source takes."""
        previous = (scope or self.scope).previous
        if previous is None:
            for binding in (scope or self.scope).bindings.values():
                binding.forgiven = True
            raise Mistake(
                at.problem("E202", "this step needs a source", "there is no value before it: begin with 'name ->'")
            )
        previous.use(at, explicit=False)
        if isinstance(previous.value, Poison):
            raise Skipped
        return previous.value

    def flowing(self, at: Expression, value: Any) -> Any:
        """Return a step's tensor: a layer without a source is given the previous value."""
        if isinstance(value, Chain):
            return self.run_chain(value, self.use_previous(at) if value.takes_input else Bundle(()), at)
        return value

    def on_attribute(self, at: Expression) -> Any:
        """Return a tensor's channels, features, height, width or shape (batch left out), or a named output."""
        owner = at.parts[0]
        binding = self.scope.find(owner.value) if owner.kind == "name" and isinstance(owner.value, str) else None
        value = binding.value if isinstance(binding, Binding) else self.evaluate(owner)
        if isinstance(value, Poison):
            raise Skipped
        if isinstance(value, Bundle) and at.value in value.names:
            if isinstance(binding, Binding):
                binding.use(at, explicit=True)
            return value.flows[value.names.index(at.value)]
        if not isinstance(value, Flow) or at.value not in ATTRIBUTES:
            known = value.names if isinstance(value, Bundle) else ATTRIBUTES
            close = nearest(at.value, known)
            has = f"it has {', '.join(known)}" if known else "it has no named outputs"
            label = f"did you mean {close!r}?" if close else f"a tensor has {', '.join(ATTRIBUTES)}"
            if not isinstance(value, Flow) and not close:
                label = has if isinstance(value, Bundle) else ""
            raise mistake(at, "E206", f"{kind_of(value)} has no {at.value!r}", label)
        shape = value.tensor.shape[1:]
        axis = {"channels": 0, "features": -1, "height": -2, "width": -1}.get(at.value)
        if axis is None:
            return list(shape)
        if not -len(shape) <= axis < len(shape):
            raise mistake(at, "E206", f"a tensor of shape {list(shape)} has no {at.value}")
        return shape[axis]

    def on_tuple(self, at: Expression) -> Any:
        """Return several tensors as one bundle."""
        flows: list[Flow] = []
        for part in at.parts:
            value = self.flowing(part, self.evaluate(part))
            if isinstance(value, Bundle):
                flows.extend(value.flows)
            elif isinstance(value, Flow):
                flows.append(value)
            else:
                raise mistake(part, "E205", f"tensors are fed side by side, not {kind_of(value)}")
            if len(flows) > self.limits.list_items:
                raise mistake(part, "E502", f"at most {self.limits.list_items:,} tensors can be fed side by side")
        self.charge(at, len(flows))
        return Bundle(tuple(flows))

    def on_pipe(self, at: Expression) -> Any:
        """Return the value of a pipeline: a tensor where it begins with one, else a layer."""
        value = self.evaluate(at.parts[0])
        if not isinstance(value, (Flow, Bundle, Chain)):
            raise mistake(at.parts[0], "E205", f"'->' feeds tensors to layers, not {kind_of(value)}")
        if isinstance(value, Chain) and not value.takes_input:
            value = self.flowing(at.parts[0], value)
        for part in at.parts[1:]:
            stage = self.evaluate(part)
            if not isinstance(stage, Chain):
                label = "a capital letter begins a layer"
                if part.kind == "choice":  # in -> (A if cond else in)
                    label = "take the source into the choice: in -> A if condition else in"
                raise mistake(part, "E205", f"'->' feeds layers, not {kind_of(stage)}", label)
            value = self.longer(value, stage, part) if isinstance(value, Chain) else self.run_chain(stage, value, part)
        return value

    def longer(self, first: Chain, second: Chain, at: Expression) -> Chain:
        """Return two chains in a row, which together may not be longer than the program."""
        stages = len(first.stages) + len(second.stages)
        self.charge(at, stages)
        if stages > self.limits.calls:
            raise mistake(at, "E502", f"more than {self.limits.calls:,} layers in a row")
        return first + second

    def combine(self, at: Expression, left: Any, right: Any) -> Any:
        """Return arithmetic on tensors as calls, and `layer * n` as copies in a row; leave the rest to plain arithmetic."""
        if isinstance(left, Chain) and at.value == "*" and is_number(right) and right == int(right):
            return self.repeated(at, left, right)
        if at.value == "*" and isinstance(right, Chain) and isinstance(left, int):
            raise mistake(
                at, "E209", f"cannot write {kind_of(left)} * {kind_of(right)}", "write the layer first: Layer * n"
            )
        left, right = (
            self.flowing(p, v) if isinstance(v, Chain) else v for p, v in zip(at.parts, (left, right), strict=True)
        )
        tensors = [v for v in (left, right) if isinstance(v, (Flow, Bundle))]
        if not tensors:
            return super().combine(at, left, right)
        flows = [v for v in tensors if isinstance(v, Flow)]
        if len(flows) < len(tensors) or at.value not in OPERATORS:
            raise mistake(at, "E209", f"cannot write {kind_of(left)} {at.value} {kind_of(right)}")
        if len(flows) == 2:
            return self.apply_layer(LAYERS[OPERATORS[at.value]], {}, flows, at)
        number = right if isinstance(left, Flow) else left
        if not is_number(number) or not (isinstance(left, Flow) or at.value in "+*"):
            raise mistake(at, "E209", f"cannot write {kind_of(left)} {at.value} {kind_of(right)}")
        name, setting = ("Shift", "amount") if at.value in "+-" else ("Scale", "factor")
        value = -number if at.value == "-" else number
        if at.value == "/":
            if not number:
                raise mistake(at, "E209", "division by zero")
            value = 1 / number
        return self.apply_layer(LAYERS[name], {setting: value}, flows, at)

    def repeated(self, at: Expression, chain: Chain, times: float) -> Chain:
        """Return copies of a chain in a row."""
        if not isinstance(times, int):
            label = "write // for copies in a row; to scale, name the layer's output first"
            raise mistake(at, "E209", f"a layer is repeated a whole number of times, not {times}", label)
        if times < 0 or times * max(1, len(chain.stages)) > self.limits.calls:
            raise mistake(
                at, "E502" if times > 0 else "E209", f"a layer can be repeated 0 to {self.limits.calls:,} times"
            )
        self.charge(at, times * len(chain.stages))
        return Chain(chain.stages * times, numbered=True)

    def on_layer(self, at: Expression) -> Any:
        """Return a layer or block with its settings, waiting for its input."""
        name = at.value
        tie = None
        arguments = []
        for part in at.parts:
            if part.kind == "setting" and part.value == "tie":
                tie = self.dotted(part.parts[0])
                continue
            inner = part.parts[0] if part.kind == "setting" else part
            arguments.append(Argument(part.value if part.kind == "setting" else None, self.evaluate(inner), part))
        known = self.scope.find(name)
        if isinstance(known, Poison):
            raise Skipped
        if isinstance(known, Chain):
            if not arguments and tie is None:
                return known
            if len(known.stages) != 1:
                raise mistake(at, "E203", f"{name} is a pipeline, so it takes no settings")
            stage = known.stages[0]
            return Chain((Stage(stage.kind, (*stage.arguments, *arguments), at, tie or stage.tie),))
        kind: Layer | Block | None = self.document.blocks.get(name)
        if kind is None:
            kind = foreign_layer(name) if "." in name else LAYERS.get(name)
        if kind is None:
            label = did_you_mean(
                name, [*self.document.blocks, *LAYERS, *(n for n in self.scope.names() if n[:1].isupper())]
            )
            notes = [f"the spec requires the plug-in {plugin!r}: is it installed?" for plugin in self.document.requires]
            raise mistake(at, "E201", f"there is no layer or block {name!r}", label, *notes)
        chain = Chain((Stage(kind, tuple(arguments), at, tie),))
        if isinstance(kind, Layer):
            self.bound(chain.stages[0], complete=False)
        return chain

    def on_function(self, at: Expression) -> Any:
        """Return `share(step)`: the very same modules once more; leave other functions to plain arithmetic."""
        if at.value != "share":
            return super().on_function(at)
        if len(at.parts) != 1:
            raise mistake(at, "E208", "share takes the name of a step", "write share(step)")
        path = self.dotted(at.parts[0])
        record: Any = self.scope.record(path.split(".")) or self.root.record(path.split("."))
        if record is None and self.is_spoilt(path.partition(".")[0]):
            raise Skipped
        if not isinstance(record, Slots):
            label = "make it a block, and share a step that uses it" if isinstance(record, Scope) else ""
            raise mistake(at.parts[0], "E202", f"there is no earlier step {path!r} to share", label)
        stages = tuple(Stage(s.stage.kind, s.stage.arguments, at, s.stage.tie, s.path) for s in record.slots if s.stage)
        return Chain(stages)

    def is_spoilt(self, name: str) -> bool:
        """Tell whether a name stands for a step with a mistake."""
        found = self.scope.find(name)
        return isinstance(found.value if isinstance(found, Binding) else found, Poison)

    def dotted(self, at: Expression) -> str:
        """Return `model.layers[0].fc` as the path `model.layers.0.fc`, without looking the names up."""
        if at.kind == "attribute":
            return f"{self.dotted(at.parts[0])}.{at.value}"
        if at.kind == "index":
            return ".".join([self.dotted(at.parts[0]), *(str(self.whole(part)) for part in at.parts[1:])])
        if at.kind != "name":
            raise mistake(at, "E202", "the name of a step was expected here", "such as encoder.embed")
        return self.spelled(at)


class _Within:
    """Looks names up in a scope for the length of a `with`."""

    def __init__(self, names: Names, scope: Scope) -> None:
        self.names, self.scope = names, scope

    def __enter__(self) -> None:
        self.outer, self.names.scope = self.names.scope, self.scope

    def __exit__(self, *_: object) -> None:
        self.names.scope = self.outer
