"""Layers and blocks at work: settings are paired, shapes inferred, and calls appended to the flat program."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import torch

from archprof.errors import did_you_mean
from archprof.expand.names import Names
from archprof.expand.values import Binding, Bundle, Chain, Flow, Path, Poison, Scope, Skipped, Slot, Stage
from archprof.language.document import Block, Body, Document, Steps
from archprof.language.evaluate import Exhausted, Mistake, kind_of, mistake
from archprof.layers import Layer, ShapeError, fits, wanted
from archprof.meta import MetaMode, Seen, SkipInit, described, empty, tensors_in
from archprof.records import Call, Tensor, hashable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from archprof.language.expression import Expression
    from archprof.language.limits import Limits
SUMS_AND_PRODUCTS = frozenset({"Add", "Subtract", "Multiply", "Divide"})
"""Layers whose inputs must have one number of axes, unless one is a Parameter; sums need one shape."""


Weights = tuple[tuple[str, tuple[int, ...]], ...]
Inferred = tuple[tuple[Tensor, ...], bool, Weights]
"""What a layer gives for some shapes: its outputs, whether it is a module, and the shapes of its weights by name."""


class Work(Names):
    """Applies layers and blocks to tensors; `calls` is the program so far, each call with its place in the model."""

    def __init__(self, document: Document, limits: Limits, memo: dict[Any, Seen] | None = None) -> None:
        super().__init__(document, limits)
        self.calls: list[tuple[Path, Call]] = []
        self.blocks: list[tuple[Path, str]] = []
        self.values = 0
        self.inferred: dict[Any, Inferred] = {}
        self.weights: list[Weights] = []
        self.mode = MetaMode(memo)

    @abstractmethod
    def value_of(self, scope: Scope, name: str, body: Body, path: Path) -> Any:
        """Return a step's value, or Poison once its mistake is reported."""

    @abstractmethod
    def inner_steps(self, scope: Scope, body: Steps) -> Any:
        """Carry out the steps of a block or mapping and return what leaves it."""

    @abstractmethod
    def unused(self, scope: Scope) -> None:
        """Report every value that feeds nothing."""

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
            if wants is not None and len(wants) == 1 and len(flows) > 1:
                label = "name the outputs (a, _: ...) and use one, or join them with Concat"
            raise mistake(at, "E204", f"{layer.name} takes {count}, and gets {len(flows)}", label)
        tensors = tuple(flow.tensor for flow in flows)
        shapes = {tensor.shape for tensor in tensors}
        is_sum = layer.name in {"Add", "Subtract"}
        unequal = len(shapes if is_sum else set(map(len, shapes))) > 1
        if unequal and layer.name in SUMS_AND_PRODUCTS and not any(flow.is_parameter for flow in flows):
            listed = ", ".join(str(list(tensor.shape[1:])) for tensor in tensors)
            what = f"{layer.name} needs {'equal shapes' if is_sum else 'shapes of as many axes'}, and gets {listed}"
            raise mistake(at, "E302", what, "nothing is stretched silently; give the shortcut a projection")
        self.hurry(at)
        outputs, is_module, weights = self.infer(layer, settings, tensors, at)
        path = Path(self.slots.path, None, stage.module if stage else None)
        slot = self.slots.add(Slot(stage, path, is_module, layer.name.lower()))
        if len(self.calls) >= self.limits.calls:
            raise Exhausted(at.problem("E502", f"more than {self.limits.calls:,} layers"))
        call = Call(layer.name, "", "", tuple(settings.items()), tuple(flow.number for flow in flows), outputs, at.span,
                    tuple(name for name, _ in self.chain), stage.tie if stage else None)  # fmt: skip
        self.calls.append((slot.path, call))
        self.weights.append(weights)
        is_parameter = all(flow.is_parameter for flow in flows)  # a part of one is one, too; without inputs it is true
        made = tuple(Flow(self.number(), tensor, is_parameter) for tensor in outputs)
        return made[0] if len(made) == 1 else Bundle(made)

    def infer(self, layer: Layer, settings: Mapping[str, Any], tensors: tuple[Tensor, ...], at: Expression) -> Inferred:
        """Return what a layer gives, from the memo or by applying it to meta tensors."""
        key = (layer.name, hashable(settings), tensors)
        found = self.inferred.get(key)
        if found is None:
            try:
                found = self.inferred[key] = self.applied(layer, settings, tensors, at)
            except ShapeError as error:
                raise mistake(at, "E301", str(error)) from None
            except (Mistake, Exhausted):
                raise
            except Exception as error:  # noqa: BLE001 - whatever torch finds wrong with sizes is the spec's mistake
                first = (str(error).strip() or type(error).__name__).splitlines()[0]
                shapes = ", ".join(str(list(t.shape[1:])) for t in tensors)
                raise mistake(at, "E301", f"{layer.name} cannot take {shapes or 'this'}: {first}") from None
        return found

    def applied(
        self, layer: Layer, settings: Mapping[str, Any], tensors: tuple[Tensor, ...], at: Expression
    ) -> Inferred:
        """Build a layer on meta and run it once."""
        with torch.no_grad(), torch.device("meta"), Watched(self, at):
            built = layer.build(tensors, settings)
        if isinstance(built, torch.nn.Parameter):
            return (described(built),), True, (("", tuple(built.shape)),)
        weights: Weights = ()
        work = built
        if isinstance(built, torch.nn.Module):
            work = built.eval()
            weights = tuple((name, tuple(weight.shape)) for name, weight in built.named_parameters())
        with torch.no_grad(), self.mode:
            result = work(*map(empty, tensors))
        outputs = tuple(map(described, tensors_in(result)))
        if not outputs:
            raise mistake(at, "E301", f"{layer.name} returns no tensor")
        if any(size < 1 for tensor in outputs for size in tensor.shape):
            shapes = ", ".join(str(list(t.shape[1:])) for t in outputs)
            raise mistake(at, "E301", f"{layer.name} leaves nothing of its input: {shapes}")
        return outputs, isinstance(built, torch.nn.Module), weights

    def bound(self, stage: Stage, *, complete: bool = True) -> dict[str, Any]:
        """Return a layer's settings by name, defaults of the spec filled in; with `complete`, none may be missing."""
        layer = stage.kind
        if not isinstance(layer, Layer):
            raise TypeError(layer)
        settings: dict[str, Any] = {}
        for name, value, at in self.paired(layer.name, list(layer.settings), stage, layer.form):
            settings[name] = self.checked(layer, name, value, at)
        for default in self.document.defaults.get(layer.name, ()):
            if default.name in layer.settings and default.name not in settings:
                settings[default.name] = self.checked(layer, default.name, self.default(default.value), default.value)
        missing = [n for n, p in layer.settings.items() if n not in settings and p.default is inspect.Parameter.empty]
        if complete and missing:
            what = f"{layer.name} needs {', '.join(missing)}"
            raise mistake(stage.at, "E203", what, "", f"settings of {layer.name}: {layer.form}")
        return settings

    def default(self, at: Expression) -> Any:
        """Return the value of a default, which sees the network's params only."""
        with self.within(self.params):
            return self.evaluate(at)

    def checked(self, layer: Layer, name: str, value: Any, at: Expression) -> Any:
        """Return a layer's setting, or raise Mistake where it is of the wrong kind."""
        annotation = layer.annotations.get(name, inspect.Parameter.empty)
        if fits(value, annotation) and (layer.annotations or is_plain(value)):
            return value
        found = f"{value}" if isinstance(value, (int, float)) and not isinstance(value, bool) else kind_of(value)
        what = f"{name} of {layer.name} is {wanted(annotation)}, not {found}"
        raise mistake(at, "E111", what, _advice(value, annotation))

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
                label = did_you_mean(setting, known)
                raise mistake(argument.at, "E203", f"{name} has no setting {setting!r}", label, note)
            yield setting, argument.value, argument.at

    def apply_block(self, stage: Stage, block: Block, flows: Sequence[Flow], path: Path) -> Any:
        """Carry out a block's steps on tensors and return its value."""
        scope = self.entered(stage, block, flows, path)
        given = self.given(stage, block)
        self.blocks.append((path, block.key.name))
        self.chain.append((block.key.name, stage.at.span.line))
        try:
            self.set_variables(scope, block, given, stage.at)
            if isinstance(block.body, Steps):
                return self.inner_steps(scope, block.body)
            value = self.value_of(scope, "out", block.body, path)
            self.unused(scope)
            if isinstance(value, Poison):
                raise Skipped
            return value
        finally:
            self.chain.pop()

    def entered(self, stage: Stage, block: Block, flows: Sequence[Flow], path: Path) -> Scope:
        """Return the scope of a block that may be entered, its inputs bound."""
        key, at = block.key, stage.at
        if any(name == key.name for name, _ in self.chain):
            raise mistake(at, "E501", f"the block {key.name} uses itself", "blocks cannot be recursive")
        if len(self.chain) >= self.limits.nested_blocks:
            raise mistake(at, "E502", f"blocks nested more than {self.limits.nested_blocks} deep")
        self.charge(at, 10)
        names = key.inputs or ("in",)
        if len(names) != len(flows):
            count = f"{len(names)} input{'s' * (len(names) != 1)}"
            raise mistake(at, "E204", f"{key.name} takes {count}, and gets {len(flows)}")
        scope = Scope(self.params, path)
        for name, flow in zip(names, flows, strict=True):
            scope.bind(Binding(name, flow, block.node))
        if len(names) == 1:
            scope.previous = scope.bindings[names[0]]
        return scope

    def given(self, stage: Stage, block: Block) -> dict[str, Any]:
        """Return the settings a block is given, those of the spec's defaults included."""
        known = [name for name, _ in block.key.settings]
        given = {name: value for name, value, _ in self.paired(block.key.name, known, stage, _form(block))}
        for default in self.document.defaults.get(block.key.name, ()):
            if default.name in known and default.name not in given:
                given[default.name] = self.default(default.value)
        return given

    def set_variables(self, scope: Scope, block: Block, given: Mapping[str, Any], at: Expression) -> None:
        """Put a block's settings into its scope, defaults evaluated there, where they see the settings before them."""
        block_name = block.key.name
        for name, default in block.key.settings:
            if name in given:
                value = given[name]
            elif default is not None:
                with self.within(scope):
                    value = self.evaluate(default)
            else:
                raise mistake(at, "E203", f"{block_name} needs {name}", "", f"settings of {block_name}: {_form(block)}")
            is_layer, wants_layer = isinstance(value, Chain), name[:1].isupper()
            if is_layer != wants_layer or isinstance(value, (Flow, Bundle)):
                what = (
                    f"{name} of {block_name} is {'a layer' if wants_layer else 'a plain value'}, not {kind_of(value)}"
                )
                label = "a setting that is a layer begins with a capital letter" if is_layer else ""
                if isinstance(value, (Flow, Bundle)) and not wants_layer:
                    label = f"make it an input: {block_name}[in, {name}]"
                raise mistake(at, "E205", what, label)
            scope.variables[name] = value

    def number(self) -> int:
        """Return the next value number."""
        self.values += 1
        return self.values - 1


class Watched(SkipInit):
    """Leaves new weights as they are, and looks at the clock: a single layer may be built of a million parts."""

    def __init__(self, work: Work, at: Expression) -> None:
        super().__init__()
        self.work, self.at = work, at

    def __torch_function__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Count the call, and pass it on."""
        self.work.charge(self.at, 1)
        return super().__torch_function__(func, types, args, kwargs)


def is_plain(value: Any) -> bool:
    """Tell whether a value is a number, text, true, false, null, or a list of them."""
    if isinstance(value, list):
        return all(map(is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))


def _advice(value: Any, annotation: Any) -> str:
    """Return what to do about a setting of the wrong kind."""
    if isinstance(value, float) and value.is_integer() and fits(int(value), annotation):
        return "use // for a division without remainder, or int(...)"
    if isinstance(value, str) and value in {"true", "false", "null"}:
        return f"write {value} without quotes"
    if isinstance(value, (int, float)) and fits(True, annotation):
        return "write true or false"
    return ""


def _form(block: Block) -> str:
    """Return a block's settings as its heading writes them, defaults left open."""
    return ", ".join(name if default is None else f"{name}=..." for name, default in block.key.settings)
