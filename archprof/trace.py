"""From a module and its inputs to a Graph: one recorder for every module, whatever it came from.

It remembers which torch function was called on which tensors, where in the model, and nothing of what that costs.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx, nn

from archprof import inputs as given_inputs
from archprof import known
from archprof.build import Origin
from archprof.graph import Graph
from archprof.meta import Seen, described, tensors_in
from archprof.ops import tensors as tensors_of
from archprof.records import Op, Tensor, Weight
from archprof.watch import Nodes, eagerly, vmaps, watched_modules

Source = tuple[str, int] | None

NUMBERS = itertools.count()
"""Every tensor that a recorder has seen made carries a number of its own: identities are used again, these are not."""

ASSUMED = {
    "all": True,
    "is_all_true": True,
    "eq": True,
    "any": False,
    "is_any_true": False,
    "ne": False,
    "contains": False,
}
"""What is taken for true on meta, by the op that asks: nothing is masked, padded or out of range, and what is compared fits."""


@dataclass(slots=True)
class Record:
    """A call as it happened: what was seen, where, and which tensors went in and out, by their numbers."""

    seen: Seen
    origin: Origin
    inputs: tuple[tuple[Tensor, int], ...]
    outputs: tuple[int, ...]
    weights: tuple[Weight, ...]
    reads: tuple[Weight | int | None, ...]


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
        return needs_data(self.error)


def needs_data(error: Exception) -> bool:
    """Tell whether torch raised an error because a tensor on meta has no values."""
    words = "meta", "fake impl", "got Tensor", "be on CPU", "does not require grad"  # lengths are on the CPU
    return isinstance(error, (RuntimeError, TypeError, ValueError)) and any(word in str(error) for word in words)


@dataclass(frozen=True, slots=True)
class Traced:
    """What came of running a module `on` a device: its Graph, each op's call as seen, and the failure that cut it short.

    `reads` says of every tensor in an op's call, in order, what it is: a Weight, the number of an input, None: a constant.
    `assumed` are the modules that asked for the value of a tensor on meta and got what is `ASSUMED`, by the op's kind;
    `has_answered`: a question was answered by values that were given. `numbers` are the inputs' tensors', by their names.
    """

    graph: Graph
    seen: Mapping[str, Seen] = field(default_factory=dict)
    reads: Mapping[str, tuple[Weight | int | None, ...]] = field(default_factory=dict)
    failure: Failure | None = None
    on: str = "meta"
    assumed: Mapping[str, str] = field(default_factory=dict)
    has_answered: bool = False
    numbers: Mapping[str, int] = field(default_factory=dict)


class Recorder(known.KnowingMode):
    """Notes every call that returns a tensor."""

    def __init__(
        self,
        weights: Mapping[int, Weight | None],
        memo: dict[Any, Seen] | None = None,
        *,
        is_meta: bool = True,
        assumes: bool = True,
    ) -> None:
        """`weights` has the model's parameters and buffers by the identity of their tensors, None for its constants.

        Where it `assumes` nothing, a question about a tensor's value fails on meta.
        """
        super().__init__(memo, knows=is_meta and not assumes)
        self.is_meta = is_meta
        self.assumes = assumes
        self.weights = weights
        self.records: list[Record] = []
        self.origin = Origin("", "", None)
        self.is_container = False
        self.failed: tuple[Exception, Origin] | None = None
        self.asked: dict[str, str] = {}

    def assumed(self, func: Callable[..., Any], tensor: torch.Tensor) -> bool | None:
        """Return what is `ASSUMED` of the answer, and note where that was asked first."""
        if not self.assumes:
            return None
        record = self.maker(getattr(tensor, "_archprof", -1))
        kind = "contains" if func is torch.Tensor.__contains__ else record.seen.kind if record else ""
        if kind == "all" and record and (of := self.maker(record.inputs[0][1])) and of.seen.kind == "any":
            kind = "any"  # all of what is not true of any
        if kind in ASSUMED:
            self.asked.setdefault(kind, self.origin.path)
        return ASSUMED.get(kind)

    def maker(self, number: int) -> Record | None:
        """Return the record of the op that made the tensor of this number."""
        return next((record for record in reversed(self.records) if number in record.outputs), None)

    def seen(self, func: Callable[..., Any], args: Any, kwargs: Any, seen: Seen, result: Any) -> Any:
        """Note the call; one that returns no tensor (a size, a flag) is no op, nor is the start of a layer made on the way."""
        if not seen.outputs or getattr(func, "__module__", None) == "torch.nn.init":
            return result
        weights = self.weights
        inputs: list[tuple[Tensor, int]] = []
        reads: list[Weight | int | None] = []
        outputs: list[int] = []
        for tensor in (*tensors_in(args), *tensors_in(kwargs)) if kwargs else tensors_in(args):
            if id(tensor) not in weights:
                reads.append(len(inputs))
                inputs.append((described(tensor), getattr(tensor, "_archprof", -1)))
            else:
                reads.append(weights[id(tensor)])
        for tensor in tensors_in(args[0] if result is None else result):
            number = next(NUMBERS)
            tensor._archprof = number  # type: ignore[attr-defined]  # noqa: SLF001 - our own mark
            outputs.append(number)
        origin = self.origin
        if self.is_container:  # a function right in a module that has others in it: it stands below the module
            origin = Origin(f"{origin.path}.{seen.kind}".lstrip("."), "", None)
        read = tuple(dict.fromkeys(r for r in reads if isinstance(r, Weight)))
        self.records.append(Record(seen, origin, tuple(inputs), tuple(outputs), read, tuple(reads)))
        return result


def trace(
    module: nn.Module,
    inputs: Mapping[str, Any],
    memo: dict[Any, Seen] | None = None,
    on: str = "meta",
    *,
    training: bool = False,
    kind: type[Recorder] | Callable[..., Recorder] = Recorder,
) -> Traced:
    """Return what is recorded of running `module` once, in evaluation mode, on `inputs` (see `archprof.inputs`).

    The module has to be on the device `on` already: "meta", where shapes are enough, or one where every function really
    runs. It may be changed: it is put into evaluation mode (or `training`, with gradients), and one that caches what it
    computes keeps that. Where it fails, the graph ends there and the failure says why. `kind` makes a Recorder that notes more.
    """
    weights, named, _kept = _weights(module)
    has_data = any(isinstance(tensor, torch.Tensor) and not tensor.is_meta for _, tensor in given_inputs.leaves(inputs))
    # who brings data wants it looked at, so that nothing is assumed of it
    recorder = kind(named, memo, is_meta=on == "meta", assumes=not has_data)
    values = {name: given_inputs.on(on, value) for name, value in inputs.items()}
    tensors = dict(given_inputs.leaves(values))
    if recorder.knows:
        for name, given in given_inputs.leaves(inputs):
            if isinstance(given, torch.Tensor) and not given.is_meta:
                known.know(tensors[name], given.detach().to("cpu", copy=True))
    sources: dict[int, Source] = {}
    for name, tensor in tensors.items():
        tensor._archprof = next(NUMBERS)  # noqa: SLF001 - our own mark
        sources[tensor._archprof] = (name, 0)  # noqa: SLF001
    module.train(training)
    result, failure = None, None
    with torch.set_grad_enabled(training):
        try:
            if isinstance(module, fx.GraphModule):
                with recorder:
                    result = Nodes(module, recorder).run(*values.values())
            else:
                args, kwargs = given_inputs.call(module.forward, values)
                with torch.device(on), eagerly(), vmaps(recorder), watched_modules(module, recorder), recorder:
                    result = module(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - whatever a model raises, it is told with its place
            failure = _failure(recorder, error)
    ops = _named_ops(recorder.records, set(tensors))
    rows: list[tuple[Op, Sequence[Source]]] = []
    for op, record in zip(ops, recorder.records, strict=True):
        rows.append((op, [sources.get(number) for _, number in record.inputs]))
        sources.update({number: (op.name, place) for place, number in enumerate(record.outputs)})
    found = {name: sources.get(getattr(tensor, "_archprof", -1)) for name, tensor in outputs_of(result)}
    outputs = {name: source for name, source in found.items() if source is not None}
    described_inputs = {name: described(tensor) for name, tensor in tensors.items()}
    graph = Graph.of(described_inputs.items(), rows, outputs, weights, _groups(module))
    seen = {op.name: record.seen for op, record in zip(ops, recorder.records, strict=True)}
    reads = {op.name: record.reads for op, record in zip(ops, recorder.records, strict=True)}
    numbers = {source[0]: number for number, source in sources.items() if source and source[0] in tensors}
    return Traced(graph, seen, reads, failure, on, recorder.asked, recorder.has_answered, numbers)


def _failure(recorder: Recorder, error: Exception) -> Failure:
    kind, arguments = recorder.failing or ("", {})
    place = recorder.failed[1] if recorder.failed and recorder.failed[0] is error else recorder.origin
    return Failure(place.path, place.layer, kind, tuple(tensors_of(arguments)), error)


def _groups(module: nn.Module) -> Mapping[str, str]:
    """Return the block or class of every module that has others in it, by its path."""
    if isinstance(module, fx.GraphModule):
        spec = module.meta.get("archprof")
        return spec.blocks if spec else {}
    named = module.named_modules()
    plain = {"Sequential", "ModuleList", "ModuleDict"}  # these say nothing that the tree does not
    return {p: type(m).__name__ for p, m in named if p and next(m.children(), None) and type(m).__name__ not in plain}


def _weights(module: nn.Module) -> tuple[list[Weight], dict[int, Weight | None], list[torch.Tensor]]:
    """Return all weights, and the first name of each by the identity of its tensor; None for tensors that are constants.

    Last come these tensors themselves, to be kept while identities are looked up: a model may replace one as it runs
    (spectral norm does), and the next tensor made would get its identity.
    """
    kept: list[torch.Tensor] = []
    found: list[Weight] = []
    by_identity: dict[int, Weight | None] = {}
    storages: dict[int, int] = {}
    buffers: list[Weight] = []
    for path, part in module.named_modules(remove_duplicate=False):
        state = vars(part)
        prefix = f"{path}." if path else ""
        for is_buffer, into, values in ((False, found, state["_parameters"]), (True, buffers, state["_buffers"])):
            for name, tensor in values.items():
                if tensor is None:
                    continue
                storage = storages.setdefault(tensor.untyped_storage()._cdata, len(storages))  # noqa: SLF001 - its identity
                is_trainable = tensor.requires_grad and not is_buffer
                weight = Weight(f"{prefix}{name}", described(tensor), is_trainable, is_buffer, storage)
                into.append(weight)
                kept.append(tensor)
                by_identity.setdefault(id(tensor), weight)
    for part in module.modules():  # after the weights: a recurrent net keeps a list of its own
        for value in vars(part).values():
            if isinstance(value, torch.Tensor) or type(value) in {list, tuple}:
                for tensor in tensors_in(value):
                    kept.append(tensor)
                    by_identity.setdefault(id(tensor), None)
    found += buffers
    return found, by_identity, kept


def _named_ops(records: list[Record], taken: set[str]) -> list[Op]:
    """Return an Op for every record. A lone op of a step has the step's path; several get their kind behind it."""
    ops_of = Counter(id(record.origin) for record in records)
    lone = {record.origin.path for record in records if ops_of[id(record.origin)] == 1}
    ops: list[Op] = []
    numbers: Counter[str] = Counter()  # of the names that come up again and again, the numbers given so far
    for record in records:
        origin, seen = record.origin, record.seen
        alone = ops_of[id(origin)] == 1
        path = (origin.path or seen.kind) if alone else f"{origin.path}.{seen.kind}".lstrip(".")
        name = path if not numbers[path] else f"{path}_{numbers[path]}"
        while name in taken or (name in lone and not alone):
            numbers[path] += 1
            name = f"{path}_{numbers[path]}"
        taken.add(name)
        inputs = tuple(tensor for tensor, _ in record.inputs)
        layer = origin.layer if alone or record.weights else ""  # what stands beside a layer's own op is no such layer
        ops.append(Op(name, seen.kind, path, inputs, seen.outputs, record.weights, seen.arguments, layer, origin.span))
    return ops


def outputs_of(result: Any) -> list[tuple[str, torch.Tensor]]:
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
