"""From a module and its inputs to a Graph: one recorder for every module, whatever it came from.

It remembers which torch function was called on which tensors, where in the model, and nothing of what that costs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import fx, nn

from archprof import inputs as given_inputs
from archprof.build import Origin
from archprof.graph import Graph
from archprof.meta import MetaMode, Seen, described, tensors_in
from archprof.ops import tensors as tensors_of
from archprof.records import Op, Tensor, Weight

Source = tuple[str, int] | None

NUMBERS = itertools.count()
"""Every tensor that a recorder has seen made carries a number of its own: identities are used again, these are not."""


@dataclass(slots=True)
class Record:
    """A call as it happened: what was seen, where, and which tensors went in and out, by their numbers."""

    seen: Seen
    origin: Origin
    inputs: tuple[tuple[Tensor, int], ...]
    outputs: tuple[int, ...]
    weights: tuple[Weight, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """Where and why a model stopped: path and class of the module, the op's kind ('' where no op failed), and the error."""

    path: str
    layer: str
    kind: str
    inputs: tuple[Tensor, ...]
    error: Exception

    @property
    def needs_data(self) -> bool:
        """Whether the model looked at values, which a tensor on meta does not have."""
        return isinstance(self.error, (NotImplementedError, RuntimeError, TypeError)) and "meta" in str(self.error)


@dataclass(frozen=True, slots=True)
class Traced:
    """What came of running a module `on` a device: its Graph, each op's call as seen, and the failure that cut it short."""

    graph: Graph
    seen: Mapping[str, Seen] = field(default_factory=dict)
    failure: Failure | None = None
    on: str = "meta"


class Recorder(MetaMode):
    """Notes every call that returns a tensor."""

    def __init__(
        self, weights: Mapping[int, Weight | None], memo: dict[Any, Seen] | None = None, *, is_meta: bool = True
    ) -> None:
        """`weights` has the model's parameters and buffers by the identity of their tensors, None for its constants."""
        super().__init__(memo)
        self.is_meta = is_meta
        self.weights = weights
        self.records: list[Record] = []
        self.origin = Origin("", "", None)
        self.is_container = False

    def seen(self, func: Callable[..., Any], args: Any, kwargs: Any, seen: Seen, result: Any) -> Any:  # noqa: ARG002
        """Note the call; one that returns no tensor (a size, a flag) is no op."""
        if not seen.outputs:
            return result
        weights = self.weights
        inputs, read, outputs = [], [], []
        for tensor in (*tensors_in(args), *tensors_in(kwargs)) if kwargs else tensors_in(args):
            if id(tensor) not in weights:
                inputs.append((described(tensor), getattr(tensor, "_archprof", -1)))
            elif (weight := weights[id(tensor)]) is not None:
                read.append(weight)
        for tensor in tensors_in(args[0] if result is None else result):
            number = next(NUMBERS)
            tensor._archprof = number  # type: ignore[attr-defined]  # noqa: SLF001 - our own mark
            outputs.append(number)
        origin = self.origin
        if self.is_container:  # a function right in a module that has others in it: it stands below the module
            origin = Origin(f"{origin.path}.{seen.kind}".lstrip("."), "", None)
        record = Record(seen, origin, tuple(inputs), tuple(outputs), tuple(dict.fromkeys(read)))
        self.records.append(record)
        return result


class _Nodes(fx.Interpreter):
    """Runs a GraphModule node by node, telling the recorder which step it is at."""

    def __init__(self, module: fx.GraphModule, recorder: Recorder) -> None:
        super().__init__(module, garbage_collect_values=False)
        self.recorder = recorder

    def run_node(self, n: fx.Node) -> Any:
        path = str(n.target) if n.op == "call_module" else n.name
        self.recorder.origin = n.meta.get("archprof") or Origin(path, "", None)
        return super().run_node(n)


@contextlib.contextmanager
def _modules(module: nn.Module, recorder: Recorder) -> Iterator[None]:
    """Tell the recorder which module is running, by hooks that are gone afterwards.

    A module that fails does not leave, so that the recorder still stands where it happened; if the model catches that and
    goes on, the module around it leaves for both.
    """
    outer: list[tuple[nn.Module, Origin, bool]] = []

    def enter(origin: Origin, is_container: bool, part: nn.Module, *_: object) -> None:
        outer.append((part, recorder.origin, recorder.is_container))
        recorder.origin, recorder.is_container = replace(origin), is_container  # each call is an origin of its own

    def leave(part: nn.Module, *_: object) -> None:
        while outer:
            left, recorder.origin, recorder.is_container = outer.pop()
            if left is part:
                break

    handles = []
    for path, part in module.named_modules():
        is_container = next(part.children(), None) is not None
        origin = Origin(path, "" if is_container else type(part).__name__, None)
        before = functools.partial(enter, origin, is_container)
        handles += [part.register_forward_pre_hook(before), part.register_forward_hook(leave)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def trace(
    module: nn.Module, inputs: Mapping[str, Any], memo: dict[Any, Seen] | None = None, on: str = "meta"
) -> Traced:
    """Return what is recorded of running `module` once, in evaluation mode, on `inputs` (see `archprof.inputs`).

    The module has to be on the device `on` already: "meta", where shapes are enough, or "cpu", where every function really
    runs. It may be changed: it is put into evaluation mode, and one that caches what it computes keeps that. Where it
    fails, the graph ends there and the failure says why.
    """
    weights, named = _weights(module)
    recorder = Recorder(named, memo, is_meta=on == "meta")
    values = {name: given_inputs.on(on, value) for name, value in inputs.items()}
    tensors = dict(given_inputs.leaves(values))
    sources: dict[int, Source] = {}
    for name, tensor in tensors.items():
        tensor._archprof = next(NUMBERS)  # noqa: SLF001 - our own mark
        sources[tensor._archprof] = (name, 0)  # noqa: SLF001
    module.eval()
    result, failure = None, None
    with torch.no_grad():
        try:
            if isinstance(module, fx.GraphModule):
                with recorder:
                    result = _Nodes(module, recorder).run(*values.values())
            else:
                args, kwargs = given_inputs.call(module.forward, values)
                with torch.device(on), _modules(module, recorder), recorder:
                    result = module(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - whatever a model raises, it is told with its place
            failure = _failure(recorder, error)
    ops = _named_ops(recorder.records, set(tensors))
    rows: list[tuple[Op, Sequence[Source]]] = []
    for op, record in zip(ops, recorder.records, strict=True):
        rows.append((op, [sources.get(number) for _, number in record.inputs]))
        sources.update({number: (op.name, place) for place, number in enumerate(record.outputs)})
    found = {name: sources.get(getattr(tensor, "_archprof", -1)) for name, tensor in _outputs(result)}
    outputs = {name: source for name, source in found.items() if source is not None}
    described_inputs = {name: described(tensor) for name, tensor in tensors.items()}
    graph = Graph.of(described_inputs.items(), rows, outputs, weights, _groups(module))
    seen = {op.name: record.seen for op, record in zip(ops, recorder.records, strict=True)}
    return Traced(graph, seen, failure, on)


def _failure(recorder: Recorder, error: Exception) -> Failure:
    kind, arguments = recorder.failing or ("", {})
    return Failure(recorder.origin.path, recorder.origin.layer, kind, tuple(tensors_of(arguments)), error)


def _groups(module: nn.Module) -> Mapping[str, str]:
    """Return the block or class of every module that has others in it, by its path."""
    if isinstance(module, fx.GraphModule):
        spec = module.meta.get("archprof")
        return spec.blocks if spec else {}
    named = module.named_modules()
    plain = {"Sequential", "ModuleList", "ModuleDict"}  # these say nothing that the tree does not
    return {p: type(m).__name__ for p, m in named if p and next(m.children(), None) and type(m).__name__ not in plain}


def _weights(module: nn.Module) -> tuple[list[Weight], dict[int, Weight | None]]:
    """Return all weights, and the first name of each by the identity of its tensor; None for tensors that are constants."""
    found: list[Weight] = []
    by_identity: dict[int, Weight | None] = {}
    storages: dict[int, int] = {}
    parameters = module.named_parameters(remove_duplicate=False)
    buffers = module.named_buffers(remove_duplicate=False)
    for is_buffer, named in ((False, parameters), (True, buffers)):
        for name, tensor in named:
            storage = storages.setdefault(tensor.untyped_storage()._cdata, len(storages))  # noqa: SLF001 - its identity
            weight = Weight(name, described(tensor), tensor.requires_grad and not is_buffer, is_buffer, storage)
            found.append(weight)
            by_identity.setdefault(id(tensor), weight)
    for part in module.modules():
        for value in vars(part).values():
            if isinstance(value, (torch.Tensor, list, tuple)):
                for tensor in tensors_in(value):
                    by_identity.setdefault(id(tensor), None)
    return found, by_identity


def _named_ops(records: list[Record], taken: set[str]) -> list[Op]:
    """Return an Op for every record. A lone op of a step has the step's path; several get their kind behind it."""
    ops_of = Counter(id(record.origin) for record in records)
    lone = {record.origin.path for record in records if ops_of[id(record.origin)] == 1}
    ops: list[Op] = []
    for record in records:
        origin, seen = record.origin, record.seen
        alone = ops_of[id(origin)] == 1
        path = origin.path if alone else f"{origin.path}.{seen.kind}".lstrip(".")
        name, number = path, 1
        while name in taken or (name in lone and not alone):
            name, number = f"{path}_{number}", number + 1
        taken.add(name)
        inputs = tuple(tensor for tensor, _ in record.inputs)
        layer = origin.layer if alone or record.weights else ""  # what stands beside a layer's own op is no such layer
        ops.append(Op(name, seen.kind, path, inputs, seen.outputs, record.weights, seen.arguments, layer, origin.span))
    return ops


def _outputs(result: Any) -> list[tuple[str, torch.Tensor]]:
    """Return the tensors that a model returns, by name: keys of a dict and fields of a dataclass, `out` for one alone."""
    named = list(_leaves("", result))
    if len(named) == 1 and not isinstance(result, Mapping):
        return [("out", named[0][1])]
    return [(f"out{name}" if isinstance(result, (list, tuple)) else name, tensor) for name, tensor in named]


def _leaves(name: str, value: Any) -> Iterator[tuple[str, torch.Tensor]]:
    if dataclasses.is_dataclass(value) and not isinstance(value, (type, Mapping)):
        value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, (Mapping, list, tuple)):
        for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _leaves(f"{name}.{key}" if name else str(key), item)
