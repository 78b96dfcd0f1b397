"""Steps, loops and conditions, carried out in order, and the two rules that catch miswirings: E401 and E402."""

from __future__ import annotations

import functools
import keyword
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import torch

from archprof.expand.values import Binding, Bundle, Chain, Flow, Path, Poison, Scope, Skipped, Slots
from archprof.expand.work import Work
from archprof.language.document import Body, Pipeline, Step, Steps, expressions, expressions_of
from archprof.language.evaluate import Mistake, kind_of, mistake
from archprof.language.expression import Expression

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Walk(Work):
    """Carries out bodies of steps."""

    @abstractmethod
    def output_steps(self, scope: Scope, steps: Iterable[Step], found: list[tuple[str, Flow]]) -> None:
        """Collect the outputs that an `outputs:` section names."""

    def run_steps(self, scope: Scope, steps: Iterable[Step]) -> None:
        """Carry out steps one after the other."""
        for step in steps:
            if step.key.kind == "names":
                self.step(scope, step)
                continue
            inner = step.body.steps if isinstance(step.body, Steps) else ()
            try:
                for _ in self.turns(scope, step):
                    self.run_steps(scope, inner)
            except Skipped:
                self.spoil(scope, step)

    def spoil(self, scope: Scope, step: Step) -> None:
        """Take note of a `for` or `if` that a mistake keeps from being carried out: what it defines is unknown."""
        self.forgive(scope, expressions_of((step,)))
        steps = [step]
        while steps:
            found = steps.pop()
            if found.key.kind != "names" and isinstance(found.body, Steps):
                steps.extend(found.body.steps)
            for part in found.key.parts if found.key.kind == "names" else ():
                if isinstance(part.value, str):
                    scope.bind(Binding(part.value, Poison(), part))
                else:
                    scope.spoilt.append(next((p for p in part.value if isinstance(p, str)), ""))
        scope.previous = Binding("", Poison(), step.node)

    def forgive(self, scope: Scope, roots: Iterable[Expression]) -> None:
        """Excuse every value that expressions with a mistake may have meant to use."""
        pending = list(roots)
        if scope.previous is not None and any(map(begins_with_layer, pending)):
            scope.previous.forgiven = True
        while pending:
            at = pending.pop()
            pending.extend(at.parts)
            if at.kind != "name":
                continue
            found = scope.find(at.value) if isinstance(at.value, str) else None
            if isinstance(found, Binding):
                found.forgiven = True
            elif not isinstance(at.value, str):
                for name in [n for n in scope.names() if n.startswith(str(at.value[0]))]:
                    binding = scope.find(name)
                    if isinstance(binding, Binding):
                        binding.forgiven = True

    def turns(self, scope: Scope, step: Step) -> Iterable[None]:
        """Yield once for every turn of a `for` (its variables set), and once or not at all for an `if`.

        Raises Skipped, the mistake reported, where there is one in the loop or condition.
        """
        with self.within(scope):
            try:
                rows = self.rows(scope, step)
            except Mistake as found:
                self.report(found)
                raise Skipped from None
        names = step.key.names
        shadowed = {name: scope.variables[name] for name in names if name in scope.variables}
        scope.loops += bool(names)
        try:
            for row in rows:
                self.charge(step.node, 1)
                scope.variables.update(zip(names, row, strict=True))
                yield
        finally:
            scope.loops -= bool(names)
            for name in names:
                scope.variables.pop(name, None)
            scope.variables.update(shadowed)

    def rows(self, scope: Scope, step: Step) -> list[list[Any]]:
        """Return the values that a loop's variables take in each turn; an `if` has no variables and at most one turn."""
        at, names = step.key.parts[0], step.key.names
        if step.key.kind == "if":
            return [[]] if self.truth(at) else []
        for name in names:
            if name in scope.bindings:
                raise mistake(at, "E004", f"{name!r} is the name of a step already", "rename the loop's variable")
        found = self.evaluate(at)
        if not isinstance(found, list):
            label = f"write 1..{found}" if isinstance(found, int) and not isinstance(found, bool) else ""
            raise mistake(at, "E209", f"'for' goes through a list, not {kind_of(found)}", label)
        rows = [row if len(names) > 1 else [row] for row in found]
        for row in rows:
            if not isinstance(row, list) or len(row) != len(names):
                size = len(row) if isinstance(row, list) else 1
                raise mistake(at, "E209", f"'for' has {len(names)} names, and this row has {size} values")
            for name, value in zip(names, row, strict=True):
                if isinstance(value, Chain) != name[:1].isupper():
                    form = "a layer" if name[:1].isupper() else "a plain value"
                    raise mistake(at, "E205", f"{name} is {form}, not {kind_of(value)}")
        return rows

    def step(self, scope: Scope, step: Step) -> None:
        """Carry out one named step and bind its value."""
        with self.within(scope):
            try:
                names = [self.spelled(part) for part in step.key.parts]
            except Mistake as found:
                self.report(found)
                names = []
            except Skipped:
                names = []
        if not names:
            self.forgive(scope, expressions_of((step,)))
            scope.previous = Binding("", Poison(), step.node)
            return
        is_good = self.check_names(scope, step, names)
        first = next((name for name in names if name != "_"), names[0])
        path = Path(scope.path, first)
        if len(names) == 1:
            binding = Binding(first, self.value_of(scope, first, step.body, path), step.node)
            self.bind(scope, binding if is_good else Binding(first, Poison(), step.node))
            return
        value = self.value_of(scope, first, step.body, path)
        flows: Sequence[Any] = [Poison()] * len(names)
        if isinstance(value, Bundle) and len(value.flows) == len(names):
            flows = value.flows
        elif not isinstance(value, Poison):
            count = len(value.flows) if isinstance(value, Bundle) else 1
            self.report(
                Mistake(step.node.problem("E204", f"{len(names)} names for {count} output{'s' * (count != 1)}"))
            )
        outer = scope.previous
        for part, name, flow in zip(step.key.parts, names, flows, strict=True):
            if name != "_":
                self.bind(scope, Binding(name, flow if is_good else Poison(), part))
        scope.previous = scope.bindings.get(first, outer)

    def bind(self, scope: Scope, binding: Binding) -> None:
        """Define a name and make it the previous value."""
        known = scope.bindings.get(binding.name)
        if known is not None:
            known.forgiven = True
        scope.previous = scope.bind(binding)

    def check_names(self, scope: Scope, step: Step, names: Sequence[str]) -> bool:
        """Report names that are taken, and tell whether all are free."""
        before = len(self.found)
        for number, (part, name) in enumerate(zip(step.key.parts, names, strict=True)):
            try:
                self.check_name(part, name)
                if name == "_" and set(names) == {"_"}:
                    raise mistake(
                        part, "E107", "'_' stands for an output nobody needs, beside a named one", "give it a name"
                    )
                if name != "_" and (name in scope.bindings or name in scope.variables or name in names[:number]):
                    label = (
                        "put the loop's number into the name, such as conv{i}" if scope.loops else "rename one of them"
                    )
                    raise mistake(part, "E004", f"{name!r} is already defined here", label)
            except Mistake as found:
                self.report(found)
        return len(self.found) == before

    def named_step(self, scope: Scope, name: str, body: Body, at: Any, path: Path) -> None:
        """Carry out a step of one name."""
        self.bind(scope, Binding(name, self.value_of(scope, name, body, path), at))

    def value_of(self, scope: Scope, name: str, body: Body, path: Path) -> Any:
        """Return a step's value, or Poison once its mistake is reported."""
        with self.within(scope):
            try:
                return self.body(scope, name, body, path)
            except Mistake as found:
                self.report(found)
            except Skipped:
                pass
            self.forgive(scope, expressions(body))
            return Poison()

    def body(self, scope: Scope, name: str, body: Body, path: Path) -> Any:
        """Return the value of a body: an expression, a list, or named steps."""
        if isinstance(body, Steps):
            inner = Scope(scope, path)
            value = self.inner_steps(inner, body)
            scope.records[name] = inner
            return value
        slots = Slots(path)
        outer, self.slots = self.slots, slots
        try:
            if isinstance(body, Pipeline):
                slots.numbered = True
                value = self.pipeline(scope, body)
            else:
                value = self.flowing(body, self.evaluate(body))
        finally:
            self.slots = outer
            slots.close()
        scope.records[name] = slots
        if isinstance(value, Poison):
            raise Skipped
        if not isinstance(value, (Flow, Bundle)):
            at = body if isinstance(body, Expression) else body.node
            raise Mistake(at.problem("E205", f"a step's value is a tensor, not {kind_of(value)}"))
        return value

    def inner_steps(self, scope: Scope, body: Steps) -> Any:
        """Carry out the steps of a block or mapping and return what leaves it."""
        first = scope.previous
        self.run_steps(scope, body.steps)
        value: Any = None
        with self.within(scope):
            if body.outputs:
                found: list[tuple[str, Flow]] = []
                self.output_steps(scope, body.outputs, found)
                value = (
                    found[0][1] if len(found) == 1 else Bundle(tuple(f for _, f in found), tuple(n for n, _ in found))
                )
            elif scope.previous is not None:
                if scope.previous is first:
                    value = self.use_previous(body.node, scope)
                else:
                    scope.previous.use(scope.previous.at, explicit=True)
                    value = scope.previous.value
        self.unused(scope)
        if value is None or isinstance(value, Poison):
            raise Skipped
        return value

    def pipeline(self, scope: Scope, body: Pipeline) -> Any:
        """Return what comes out of a list of layers."""
        value: Any = None
        for item in self.items(scope, body.items):
            found = self.evaluate(item)
            if isinstance(found, Chain):
                flows = self.use_previous(item, scope) if value is None else value
                value = self.run_chain(found, flows, item)
            elif value is None:
                value = found
            else:
                raise mistake(
                    item, "E205", f"{kind_of(found)} in the middle of a pipeline", "only the first item is a tensor"
                )
        return self.use_previous(body.node, scope) if value is None else value

    def items(self, scope: Scope, items: Iterable[Expression | Step]) -> Iterable[Expression]:
        """Yield the expressions of a list, `for` and `if` items carried out."""
        for item in items:
            if isinstance(item, Expression):
                yield item
                continue
            body = item.body
            for _ in self.turns(scope, item):
                if isinstance(body, Pipeline):
                    yield from self.items(scope, body.items)
                elif isinstance(body, Expression):
                    yield body

    def unused(self, scope: Scope) -> None:
        """Report every value that feeds nothing, and every unnamed use of a value that is used more than once."""
        for binding in dict.fromkeys(scope.bindings.values()):
            if isinstance(binding.value, Poison):
                continue
            if not binding.uses:
                if not binding.forgiven and not binding.name.startswith("_"):
                    what = f"{binding.name!r} is never used"
                    label = "every use of a value must name it; is a name missing, or is this step left over?"
                    self.add(binding.at.problem("E402", what, label))
            elif len(binding.uses) > 1:
                for at, explicit in binding.uses:
                    if not explicit:
                        what = f"{binding.name!r} feeds more than one step, so every use must name it"
                        self.add(at.problem("E401", what, f"begin this step with '{binding.name} ->'"))

    def check_name(self, at: Any, name: str) -> None:
        """Raise Mistake where a name would collide with Python or with what an nn.Module has."""
        if name in taken():
            whose = "Python" if name in PYTHONS else "PyTorch"
            raise Mistake(
                at.problem("E107", f"the name {name!r} is taken by {whose}", f"rename it, {name}_1 for instance")
            )


def begins_with_layer(at: Expression) -> bool:
    """Tell whether an expression may take the previous value, because a layer in it stands where a tensor could."""
    match at.kind:
        case "name" | "attribute":
            return False
        case "pipe":
            return begins_with_layer(at.parts[0])
        case "binary" | "tuple":
            return any(map(begins_with_layer, at.parts))
        case "choice":
            return begins_with_layer(at.parts[0]) or begins_with_layer(at.parts[2])
    return True


PYTHONS = frozenset({*keyword.kwlist, "self", "in"})


@functools.cache
def taken() -> frozenset[str]:
    """Return the names that no step can have: Python's, and those a module or its generated code has already."""
    generated = {"torch", "device", "inf", "nan", "operator", "math", "pytree", "fx_pytree", "builtins"}
    return frozenset(dir(torch.fx.GraphModule(torch.nn.Module(), torch.fx.Graph()))) | generated | PYTHONS
