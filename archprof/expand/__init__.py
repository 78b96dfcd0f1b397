"""From a document to a flat program: blocks, loops and choices are carried out, and every layer is applied to shapes.

Each mistake is raised at the very step that causes it and the walk goes on, so that one run finds them all. The classes
build on each other: `names` (expressions) < `work` (layers and blocks) < `steps` (steps) < Expander (sections); `static`
looks at what the walk does not reach.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from archprof.errors import Problem, Span, SpecError, did_you_mean
from archprof.expand.static import check
from archprof.expand.steps import Walk
from archprof.expand.values import Binding, Bundle, Chain, Flow, Path, Poison, Scope, Skipped
from archprof.language.document import Body, Document, Pipeline, Step, Steps, expressions_of
from archprof.language.evaluate import Exhausted, Mistake, is_number, kind_of, mistake
from archprof.language.explain import SyntaxProblem
from archprof.language.expression import Expression, parse_expression
from archprof.language.limits import DEFAULT, Limits
from archprof.language.source import Source
from archprof.records import ITEM_BYTES, Call, Claim, Spec, Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from archprof.expand.work import Weights
    from archprof.meta import Seen

__all__ = ["expand"]


def expand(
    document: Document,
    variant: str = "",
    *,
    settings: Mapping[str, str] | None = None,
    batch: int = 1,
    shapes: Mapping[str, Sequence[int]] | None = None,
    dtype: str | None = None,
    limits: Limits = DEFAULT,
    memo: dict[Any, Seen] | None = None,
) -> Spec:
    """Return the architecture that `document` and the named variant describe, with every layer's shapes.

    `settings` overrides params by expressions (`{"reduce": "32"}`), `shapes` the inputs' sizes (batch left out), `dtype`
    that of the inputs with fractions, `memo` is shared with a later trace. Raises SpecError with every mistake.
    """
    expander = Expander(document, batch, limits, memo)
    spec = None
    last: Problem | None = None
    try:
        spec = expander.run(variant, settings or {}, shapes or {}, dtype)
        for problem in check(document):
            expander.add(problem)
    except Exhausted as found:
        last = found.problem
    except RecursionError:
        last = document.root.problem("E502", "the spec is nested too deeply", "split it into steps")
    if last is not None:
        raise SpecError([*expander.found.values(), last])
    if spec is None or expander.found:
        raise SpecError(expander.found.values())
    return spec


class Expander(Walk):
    """Carries out the sections of one document."""

    def __init__(self, document: Document, batch: int, limits: Limits, memo: dict[Any, Seen] | None = None) -> None:
        super().__init__(document, limits, memo)
        self.batch = batch

    def run(
        self, variant: str, settings: Mapping[str, str], shapes: Mapping[str, Sequence[int]], dtype: str | None
    ) -> Spec:
        """Return the Spec, complete only where nothing is `found`."""
        document = self.document
        self.choose(variant, settings)
        inputs, bounds = self.inputs(shapes, dtype)
        self.steps(document.steps)
        outputs = self.outputs()
        self.unused(self.root)
        calls = tuple(self.finished(path, call) for path, call in self.calls)
        if all(code != "E004" for code, _ in self.found):
            self.ties(calls)
        name = variant or document.name
        return Spec(
            name=name,
            file=document.source.name,
            source=document.origin,
            inputs=inputs,
            calls=calls,
            outputs=outputs,
            bounds=bounds,
            blocks={path.text: block for path, block in self.blocks},
            params={key: value for key, value in self.params.variables.items() if not isinstance(value, Chain)},
            checks=(*document.checks.get("", ()), *document.checks.get(name, ())),
            claims=tuple(self.claims(name)),
        )

    def choose(self, variant: str, settings: Mapping[str, str]) -> None:
        """Evaluate tables and params in order, each replaced by the variant's or the user's own value."""
        chosen = {**self.chosen(variant), **self.overrides(settings)}
        known = {setting.name for setting in self.document.params}
        for name, value in chosen.items():
            if name not in known:
                label = did_you_mean(name, known, f"params: {', '.join(sorted(known)) or 'none'}")
                self.add(value.problem("E211", f"the spec has no param {name!r}", label))
        for setting in (*self.document.tables, *self.document.params):
            try:
                value = self.evaluate(chosen.get(setting.name, setting.value))
                if isinstance(value, (Flow, Bundle)):
                    raise mistake(setting.value, "E205", f"a param cannot be {kind_of(value)}")
                if isinstance(value, Chain) != setting.name[:1].isupper():
                    form = "a capital letter" if isinstance(value, Chain) else "a lower-case letter"
                    raise Mistake(setting.node.problem("E103", f"a param that is {kind_of(value)} begins with {form}"))
                self.params.variables[setting.name] = value
            except Mistake as found:
                self.add(found.problem)
                self.params.variables[setting.name] = Poison()
            except Skipped:
                self.params.variables[setting.name] = Poison()

    def chosen(self, variant: str, seen: tuple[str, ...] = ()) -> dict[str, Expression]:
        """Return the params that a variant sets, those of the variant it is `like` included."""
        variants = self.document.variants
        if not variant or (variant == self.document.name and variant not in variants):
            return {}
        at = Span(self.document.source.name, 1, 1)
        if variant not in variants:
            label = did_you_mean(variant, variants, f"variants: {', '.join(variants) or 'none'}")
            raise SpecError([Problem("E210", at, f"{self.document.name} has no variant {variant!r}", label)])
        found = variants[variant]
        base: dict[str, Expression] = {}
        if found.like is not None:
            if found.like.text not in variants or found.like.text in (*seen, variant):
                raise SpecError(problem for problem in check(self.document) if problem.code == "E210")
            base = self.chosen(found.like.text, (*seen, variant))
        return base | {setting.name: setting.value for setting in found.settings}

    def overrides(self, settings: Mapping[str, str]) -> dict[str, Expression]:
        """Return the user's own settings, parsed."""
        parsed = {}
        for name, text in settings.items():
            source = Source(f"--set {name}", text)
            try:
                parsed[name] = parse_expression(text, self.limits).at(source, 0)
            except SyntaxProblem as found:
                raise SpecError([source.problem(found.code, found.start, found.end, found.what, found.label)]) from None
        return parsed

    def inputs(
        self, shapes: Mapping[str, Sequence[int]], dtype: str | None
    ) -> tuple[tuple[tuple[str, Tensor], ...], dict[str, int]]:
        """Bind the network's inputs and return them, with the bounds of those that are whole numbers."""
        found: list[tuple[str, Tensor]] = []
        bounds: dict[str, int] = {}
        for unknown in set(shapes) - {setting.name for setting in self.document.inputs}:
            label = did_you_mean(unknown, [setting.name for setting in self.document.inputs])
            self.add(Problem("E120", Span("--input", 1, 1), f"the spec has no input {unknown!r}", label))
        for setting in self.document.inputs:
            try:
                self.check_name(setting.node, setting.name)
                tensor, bound = self.input(setting.value, shapes.get(setting.name), dtype)
            except (Mistake, Skipped) as spoilt:
                if isinstance(spoilt, Mistake):
                    self.add(spoilt.problem)
                self.root.bind(Binding(setting.name, Poison(), setting.node))
                continue
            if bound is not None:
                bounds[setting.name] = bound
            found.append((setting.name, tensor))
            self.root.bind(Binding(setting.name, Flow(self.number(), tensor), setting.node))
        bindings = list(self.root.bindings.values())
        if not bindings:
            at = self.document.root.get("inputs") or self.document.root
            self.add(
                at.problem("E120", "a spec needs at least one input", "write inputs: and below it x: float32[3, 8, 8]")
            )
            self.root.previous = self.root.bindings["in"] = Binding("in", Poison(), at)
        if len(bindings) == 1:
            self.root.previous = self.root.bindings["in"] = bindings[0]
        return tuple(found), bounds

    def input(self, at: Expression, shape: Sequence[int] | None, dtype: str | None) -> tuple[Tensor, int | None]:
        """Return the Tensor that `float32[3, 224, 224]` describes, batch added, and the bound of `int64[9] < 100`."""
        bound = None
        form = at
        if at.kind == "compare" and at.value == ("<",):
            form, bound = at.parts[0], self.whole(at.parts[1])
        name = form.parts[0].value if form.kind == "index" and form.parts[0].kind == "name" else None
        if name not in ITEM_BYTES:
            label = did_you_mean(str(name or ""), ITEM_BYTES, "write dtype[sizes], such as float32[3, 224, 224]")
            raise mistake(at, "E120", "an input is a dtype and its sizes, without the batch", label)
        sizes = [self.whole(part) for part in form.parts[1:]] if shape is None else list(shape)
        if any(not 1 <= size <= self.limits.integer for size in sizes):
            raise mistake(form, "E120", "the sizes of an input must be 1 or more")
        return Tensor((self.batch, *sizes), dtype if dtype and name.startswith(("float", "bfloat")) else name), bound

    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Return the network's outputs by name: those listed, or the last step."""
        if self.document.outputs:
            found: list[tuple[str, Flow]] = []
            self.output_steps(self.root, self.document.outputs, found)
            return tuple((name, flow.number) for name, flow in found)
        last = self.root.previous
        if last is None or not isinstance(last.value, (Flow, Bundle)):
            return ()
        last.use(last.at, explicit=True)
        if isinstance(last.value, Flow):
            return ((last.name, last.value.number),)
        return tuple((f"{last.name}.{name}", flow.number) for name, flow in last.value.named())

    def output_steps(self, scope: Scope, steps: Iterable[Step], found: list[tuple[str, Flow]]) -> None:
        """Collect (name, Flow) of an `outputs:` section, `if` and `for` carried out."""
        for step in steps:
            if step.key.kind != "names":
                inner = step.body.steps if isinstance(step.body, Steps) else ()
                try:
                    for _ in self.turns(scope, step):
                        self.output_steps(scope, inner, found)
                except Skipped:
                    self.forgive(scope, expressions_of((step,)))
                continue
            try:
                if not isinstance(step.body, Expression):
                    raise Mistake(step.node.problem("E110", "an output is the name of a step"))
                with self.within(scope):
                    name, value = self.spelled(step.key.parts[0]), self.evaluate(step.body)
                if isinstance(value, Poison):
                    continue
                if not isinstance(value, Flow):
                    raise mistake(step.body, "E205", f"an output is a tensor, not {kind_of(value)}")
                found.append((name, value))
            except Mistake as mistaken:
                self.report(mistaken)
                self.forgive(scope, expressions_of((step,)))
            except Skipped:
                self.forgive(scope, expressions_of((step,)))

    def claims(self, name: str) -> Iterable[Claim]:
        """Yield the claims of this variant, their printed values evaluated."""
        for figure in (*self.document.claims.get("", ()), *self.document.claims.get(name, ())):
            try:
                printed = self.evaluate(figure.printed)
                measure = figure.measure.value if isinstance(figure.measure.value, str) else ""
                if not is_number(printed) or not measure:
                    raise mistake(figure.printed, "E110", "a claim is {measure: number, source: text}")
                at = figure.printed
                yield Claim(measure, printed, figure.source, figure.node.span, at.source.text[at.start : at.end])
            except Mistake as mistaken:
                self.add(mistaken.problem)
            except Skipped:
                continue

    def finished(self, path: Path, call: Call) -> Call:
        """Return the call with its paths written out, now that every step is known."""
        return replace(call, path=path.text, module=path.module_text)

    def ties(self, calls: Sequence[Call]) -> None:
        """Check that every `tie=` names a layer with an equal weight, and every shared layer fits where it is used again."""
        weights: dict[str, Weights] = {}
        for call, shapes in zip(calls, self.weights, strict=True):
            first = weights.setdefault(call.module, shapes) if shapes else shapes
            if first != shapes:
                what = f"the shared layer {call.module!r} has weights of {_listed(first)}, and needs {_listed(shapes)} here"
                self.add(Problem("E301", call.span, what, "share a layer between inputs of equal channels or features"))
        for call in calls:
            if call.tie is None:
                continue
            if call.tie not in weights:
                label = did_you_mean(call.tie, weights, "name the layer by its path from the root")
                self.add(Problem("E202", call.span, f"there is no layer {call.tie!r} to share weights with", label))
                continue
            mine, other = dict(weights.get(call.module, ())).get("weight"), dict(weights[call.tie]).get("weight")
            if mine is None or other is None:
                what = f"{call.layer} and {call.tie!r} do not both have a weight to share"
                self.add(Problem("E205", call.span, what))
            elif mine != other:
                what = f"{call.layer} has a weight of {list(mine)}, {call.tie!r} of {list(other)}"
                self.add(Problem("E301", call.span, what, "weights can only be shared where their shapes are equal"))

    def steps(self, body: Body) -> None:
        """Carry out the network's own steps in the root scope."""
        if isinstance(body, Steps):
            self.run_steps(self.root, body.steps)
        else:
            is_list = isinstance(body, Pipeline)
            path = self.root.path if is_list else Path(self.root.path, "out")
            self.named_step(self.root, "out", body, body.node if is_list else body, path)


def _listed(weights: Weights) -> str:
    return ", ".join(str(list(shape)) for _, shape in weights) or "none"
