"""Layers and blocks at work: settings are paired, shapes inferred, and calls appended to the flat program."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from archprof.errors import nearest
from archprof.expand.names import Names
from archprof.expand.values import Binding, Bundle, Chain, Flow, Path, Scope, Slot, Stage
from archprof.language.document import Block, Body, Document, Steps
from archprof.language.evaluate import Mistake, kind_of, mistake
from archprof.language.expression import Expression
from archprof.language.limits import Limits
from archprof.layers import Layer, ShapeError, fits, wanted
from archprof.meta import MetaMode, Seen, SkipInit, described, empty, tensors_in
from archprof.records import Call, Tensor, hashable

SUMS_AND_PRODUCTS = frozenset({"Add", "Subtract", "Multiply", "Divide"})
"""Layers whose inputs must have one number of axes, unless one is a Parameter; sums need one shape."""


class Work(Names):
    """Applies layers and blocks to tensors; `calls` is the program so far, each call with its place in the model."""

    def __init__(self, document: Document, limits: Limits, memo: dict[Any, Seen] | None = None) -> None:
        super().__init__(document, limits)
        self.calls: list[tuple[Path, Call]] = []
        self.blocks: list[tuple[Path, str]] = []
        self.values = 0
        self.inferred: dict[Any, tuple[tuple[Tensor, ...], bool]] = {}
        self.mode = MetaMode(memo)

    def body(self, scope: Scope, name: str, body: Body, path: Path) -> Any:
        """Return the value of a body: an expression, a list, or named steps."""
        raise NotImplementedError

    def inner_steps(self, scope: Scope, body: Steps) -> Any:
        """Carry out the steps of a block or mapping and return what leaves it."""
        raise NotImplementedError

    def unused(self, scope: Scope) -> None:
        """Report every value that feeds nothing."""
        raise NotImplementedError

    def run_chain(self, chain: Chain, value: Any, at: Any) -> Any:
        """Feed `value` through a chain of layers and return what comes out."""
        self.slots.numbered |= chain.numbered
        for stage in chain.stages:
            flows = value.flows if isinstance(value, Bundle) else (value,)
            if not all(isinstance(flow, Flow) for flow in flows):
                raise Mistake(at.problem("E205", f"'->' feeds tensors to layers, not {kind_of(value)}"))
            value = self.run_stage(stage, list(flows))
        return value

    def run_stage(self, stage: Stage, flows: list[Flow]) -> Any:
        """Apply one layer or block to tensors."""
        if isinstance(stage.kind, Layer):
            settings = self.bound(stage)
            return self.apply_layer(stage.kind, settings, flows, stage.at, stage)
        slot = self.slots.add(Slot(stage, Path(self.slots.path, None, stage.module), is_module=True))
        return self.apply_block(stage, stage.kind, flows, slot.path)

    def apply_layer(self, layer: Layer, settings: Mapping[str, Any], flows: Sequence[Flow], at: Expression,
                    stage: Stage | None = None) -> Any:  # fmt: skip
        """Append a call of a layer and return its output."""
        wants = layer.inputs
        if (wants is None and not flows) or (wants is not None and len(wants) != len(flows)):
            count = "at least one input" if wants is None else f"{len(wants)} input{'s' * (len(wants) != 1)}"
            label = "write (a, b) -> ..." if wants is None or len(wants) > 1 else ""
            raise mistake(at, "E204", f"{layer.name} takes {count}, and gets {len(flows)}", label)
        tensors = tuple(flow.tensor for flow in flows)
        shapes = {tensor.shape for tensor in tensors}
        is_sum = layer.name in {"Add", "Subtract"}
        unequal = len(shapes if is_sum else set(map(len, shapes))) > 1
        if unequal and layer.name in SUMS_AND_PRODUCTS and not any(flow.is_parameter for flow in flows):
            listed = ", ".join(str(list(tensor.shape[1:])) for tensor in tensors)
            what = f"{layer.name} needs {'equal shapes' if is_sum else 'shapes of as many axes'}, and gets {listed}"
            raise mistake(at, "E302", what, "nothing is stretched silently; give the shortcut a projection")
        outputs, is_module = self.infer(layer, settings, tensors, at)
        slot = self.slots.add(Slot(stage, Path(self.slots.path, None, stage and stage.module), is_module, layer.name.lower()))
        if len(self.calls) >= self.limits.calls:
            raise mistake(at, "E502", f"more than {self.limits.calls:,} layers")
        call = Call(layer.name, "", "", tuple(settings.items()), tuple(flow.number for flow in flows), outputs, at.span,
                    tuple(name for name, _ in self.chain), stage.tie if stage else None)  # fmt: skip
        self.calls.append((slot.path, call))
        is_parameter = all(flow.is_parameter for flow in flows)  # a part of one is one, too; without inputs it is true
        made = tuple(Flow(self.number(), tensor, is_parameter) for tensor in outputs)
        return made[0] if len(made) == 1 else Bundle(made)

    def infer(self, layer: Layer, settings: Mapping[str, Any], tensors: tuple[Tensor, ...], at: Expression) -> Any:
        """Return a layer's output Tensors and whether it is a module, from the memo or by applying it to meta tensors."""
        key = (layer.name, hashable(settings), tensors)
        found = self.inferred.get(key)
        if found is None:
            try:
                found = self.inferred[key] = self.applied(layer, settings, tensors)
            except ShapeError as error:
                raise mistake(at, "E301", str(error)) from None
            except (RuntimeError, ValueError, TypeError, IndexError, AssertionError, OverflowError, MemoryError) as error:
                first = (str(error).strip() or type(error).__name__).splitlines()[0]
                shapes = ", ".join(str(list(t.shape[1:])) for t in tensors)
                raise mistake(at, "E301", f"{layer.name} cannot take {shapes or 'this'}: {first}") from None
        return found

    def applied(self, layer: Layer, settings: Mapping[str, Any], tensors: tuple[Tensor, ...]) -> Any:
        """Build a layer on meta and run it once."""
        with torch.no_grad(), torch.device("meta"), SkipInit():
            built = layer.build(tensors, settings)
        if isinstance(built, torch.nn.Parameter):
            return (described(built),), True
        is_module = isinstance(built, torch.nn.Module)
        work = built.eval() if isinstance(built, torch.nn.Module) else built
        with torch.no_grad(), self.mode:
            result = work(*map(empty, tensors))
        return tuple(map(described, tensors_in(result))), is_module

    def bound(self, stage: Stage, *, complete: bool = True) -> dict[str, Any]:
        """Return a layer's settings by name, defaults of the spec filled in; with `complete`, none may be missing."""
        layer = stage.kind
        assert isinstance(layer, Layer)
        settings: dict[str, Any] = {}
        for name, value, at in self.paired(layer.name, list(layer.settings), stage, layer.form):
            annotation = layer.annotations.get(name, inspect.Parameter.empty)
            if not fits(value, annotation):
                what = f"{name} of {layer.name} is {wanted(annotation)}, not {kind_of(value)}"
                raise mistake(at, "E111", what)
            settings[name] = value
        for default in self.document.defaults.get(layer.name, ()):
            if default.name not in layer.settings:
                close = nearest(default.name, layer.settings)
                label = f"did you mean {close!r}?" if close else ""
                raise Mistake(default.node.problem("E203", f"{layer.name} has no setting {default.name!r}", label))
            if default.name not in settings:
                settings[default.name] = self.evaluate(default.value)
        missing = [n for n, p in layer.settings.items() if n not in settings and p.default is inspect.Parameter.empty]
        if complete and missing:
            what = f"{layer.name} needs {', '.join(missing)}"
            raise mistake(stage.at, "E203", what, "", f"settings of {layer.name}: {layer.form}")
        return settings

    def paired(self, name: str, known: list[str], stage: Stage, form: str) -> Iterable[tuple[str, Any, Expression]]:
        """Yield (setting, value, place) of every argument: named ones by name, others in the order of what is free."""
        given = {argument.name for argument in stage.arguments if argument.name}
        free = iter([setting for setting in known if setting not in given])
        note = f"settings of {name}: {form or 'none'}"
        for argument in stage.arguments:
            setting = argument.name or next(free, None)
            if setting is None:
                raise mistake(argument.at, "E203", f"{name} has no setting left for this", "", note)
            if setting not in known:
                close = nearest(setting, known)
                label = f"did you mean {close!r}?" if close else ""
                raise mistake(argument.at, "E203", f"{name} has no setting {setting!r}", label, note)
            yield setting, argument.value, argument.at

    def apply_block(self, stage: Stage, block: Block, flows: Sequence[Flow], path: Path) -> Any:
        """Carry out a block's steps on tensors and return its value."""
        key, at = block.key, stage.at
        if any(name == key.name for name, _ in self.chain):
            raise mistake(at, "E501", f"the block {key.name} uses itself", "blocks cannot be recursive")
        if len(self.chain) >= self.limits.nested_blocks:
            raise mistake(at, "E502", f"blocks nested more than {self.limits.nested_blocks} deep")
        names = key.inputs or ("in",)
        if len(names) != len(flows):
            raise mistake(at, "E204", f"{key.name} takes {len(names)} input{'s' * (len(names) != 1)}, and gets {len(flows)}")
        scope = Scope(self.params, path)
        for name, flow in zip(names, flows, strict=True):
            scope.bind(Binding(name, flow, block.node))
        if len(names) == 1:
            scope.previous = scope.bindings[names[0]]
        form = ", ".join(name if default is None else f"{name}=..." for name, default in key.settings)
        given = {n: v for n, v, _ in self.paired(key.name, [n for n, _ in key.settings], stage, form)}
        for default in self.document.defaults.get(key.name, ()):
            given.setdefault(default.name, self.evaluate(default.value))
        self.blocks.append((path, key.name))
        self.chain.append((key.name, at.span.line))
        try:
            with self.within(scope):
                for name, default in key.settings:
                    if name not in given and default is None:
                        raise mistake(at, "E203", f"{key.name} needs {name}", "", f"settings of {key.name}: {form}")
                    value = given[name] if name in given else self.evaluate(default)
                    if isinstance(value, Chain) != name[:1].isupper():
                        form = "a layer" if name[:1].isupper() else "a plain value"
                        raise mistake(at, "E205", f"{name} of {key.name} is {form}, not {kind_of(value)}")
                    scope.variables[name] = value
            if isinstance(block.body, Steps):
                return self.inner_steps(scope, block.body)
            before = len(self.problems)
            with self.within(scope):
                value = self.body(scope, "out", block.body, path)
            if len(self.problems) == before:
                self.unused(scope)
            return value
        finally:
            self.chain.pop()

    def number(self) -> int:
        """Return the next value number."""
        self.values += 1
        return self.values - 1
