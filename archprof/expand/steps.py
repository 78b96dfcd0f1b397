"""Steps, loops and conditions, carried out in order, and the two rules that catch miswirings: E401 and E402."""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from archprof.expand.values import Binding, Bundle, Chain, Flow, Path, Poison, Scope, Skipped, Slots
from archprof.expand.work import Work
from archprof.language.document import Body, Pipeline, Step, Steps
from archprof.language.evaluate import Mistake, kind_of, mistake
from archprof.language.expression import Expression


class Walk(Work):
    """Carries out bodies of steps."""

    def output_steps(self, scope: Scope, steps: Iterable[Step], found: list[tuple[str, Flow]]) -> None:
        """Collect the outputs that an `outputs:` section names."""
        raise NotImplementedError

    def run_steps(self, scope: Scope, steps: Iterable[Step]) -> None:
        """Carry out steps one after the other."""
        for step in steps:
            if step.key.kind == "names":
                self.step(scope, step)
                continue
            inner = step.body.steps if isinstance(step.body, Steps) else None
            if inner is None:
                self.problems.append(step.node.problem("E110", "'for' and 'if' hold named steps here"))
                continue
            for _ in self.turns(scope, step):
                self.run_steps(scope, inner)

    def turns(self, scope: Scope, step: Step) -> Iterable[None]:
        """Yield once for every turn of a `for` (its variables set), and once or not at all for an `if`."""
        with self.within(scope):
            try:
                if step.key.kind == "if":
                    rows: Sequence[Any] = [None] if self.truth(step.key.parts[0]) else []
                else:
                    rows = self.evaluate(step.key.parts[0])
                    if not isinstance(rows, list):
                        raise mistake(step.key.parts[0], "E209", f"'for' goes through a list, not {kind_of(rows)}")
            except Mistake as found:
                self.report(found)
                return
            except Skipped:
                return
        names = step.key.names
        shadowed = {name: scope.variables[name] for name in names if name in scope.variables}
        for row in rows:
            if names:
                values = row if len(names) > 1 else [row]
                if not isinstance(values, list) or len(values) != len(names):
                    size = len(values) if isinstance(values, list) else 1
                    what = f"'for' has {len(names)} names, and this row has {size} values"
                    self.problems.append(step.key.parts[0].problem("E209", what))
                    break
                scope.variables.update(zip(names, values, strict=True))
            yield
        for name in names:
            scope.variables.pop(name, None)
        scope.variables.update(shadowed)

    def step(self, scope: Scope, step: Step) -> None:
        """Carry out one named step and bind its value."""
        with self.within(scope):
            try:
                names = [self.spelled(part) for part in step.key.parts]
                for part, name in zip(step.key.parts, names, strict=True):
                    self.check_name(part, name)
                    if name in scope.bindings or name in scope.variables:
                        raise mistake(part, "E004", f"{name!r} is already defined here", "rename one of them")
            except Mistake as found:
                self.report(found)
                return
        if len(names) == 1:
            self.named_step(scope, names[0], step.body, step.node, Path(scope.path, names[0]))
            return
        value = self.value_of(scope, names[0], step.body, Path(scope.path, names[0]))
        flows: Sequence[Any] = [value] * len(names)
        if isinstance(value, Bundle) and len(value.flows) == len(names):
            flows = value.flows
        elif not isinstance(value, Poison):
            count = len(value.flows) if isinstance(value, Bundle) else 1
            self.report(Mistake(step.node.problem("E204", f"{len(names)} names for {count} outputs")))
            flows = [Poison()] * len(names)
        for part, name, flow in zip(step.key.parts, names, flows, strict=True):
            binding = scope.bind(Binding(name, flow, part))
            if name == "_":
                binding.use(part, explicit=True)
                del scope.bindings[name]
        scope.previous = scope.bindings.get(names[0], scope.previous)

    def named_step(self, scope: Scope, name: str, body: Body, at: Any, path: Path) -> None:
        """Carry out a step of one name."""
        value = self.value_of(scope, name, body, path)
        scope.previous = scope.bind(Binding(name, value, at))

    def value_of(self, scope: Scope, name: str, body: Body, path: Path) -> Any:
        """Return a step's value, or Poison once its mistake is reported."""
        with self.within(scope):
            try:
                return self.body(scope, name, body, path)
            except Mistake as found:
                self.report(found)
            except Skipped:
                pass
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
        before = len(self.problems)
        first = scope.previous
        self.run_steps(scope, body.steps)
        value: Any = None
        with self.within(scope):
            if body.outputs:
                found: list[tuple[str, Flow]] = []
                self.output_steps(scope, body.outputs, found)
                value = found[0][1] if len(found) == 1 else Bundle(tuple(f for _, f in found), tuple(n for n, _ in found))
            elif scope.previous is not None:
                if scope.previous is first:
                    value = self.use_previous(body.node, scope)
                else:
                    scope.previous.use(scope.previous.at, explicit=True)
                    value = scope.previous.value
        if len(self.problems) == before:
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
                raise mistake(item, "E205", f"{kind_of(found)} in the middle of a pipeline", "only the first item is a tensor")
        return self.use_previous(body.node, scope) if value is None else value

    def items(self, scope: Scope, items: Iterable[Expression | Step]) -> Iterable[Expression]:
        """Yield the expressions of a list, `for` and `if` items carried out."""
        for item in items:
            if isinstance(item, Expression):
                yield item
                continue
            for _ in self.turns(scope, item):
                body = item.body
                if isinstance(body, Steps):
                    self.problems.append(item.node.problem("E403", "the items under this are a list too", "begin them with '-'"))
                    return
                yield from self.items(scope, body.items if isinstance(body, Pipeline) else [body])

    def unused(self, scope: Scope) -> None:
        """Report every value that feeds nothing, and every unnamed use of a value that is used more than once."""
        for binding in dict.fromkeys(scope.bindings.values()):
            if isinstance(binding.value, Poison):
                continue
            if not binding.uses:
                if not self.problems:
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
        if keyword.iskeyword(name) or name == "self" or hasattr(torch.fx.GraphModule, name) or name in {"in", "training"}:
            whose = "Python" if keyword.iskeyword(name) or name in {"self", "in"} else "PyTorch"
            raise Mistake(at.problem("E107", f"the name {name!r} is taken by {whose}", f"rename it, {name}_1 for instance"))
