"""From a module and its inputs to a Graph: one recorder for every module, whatever it came from.

It remembers which torch function was called on which tensors, where in the model, and nothing of what that costs.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import fx, nn

from archprof.build import Origin
from archprof.graph import Graph
from archprof.meta import MetaMode, Seen, described, empty, tensors_in
from archprof.records import Op, Tensor, Weight

Source = tuple[str, int] | None


@dataclass(slots=True)
class Record:
    """A call as it happened: what was seen, where, and which tensors went in and out."""

    seen: Seen
    origin: Origin
    inputs: tuple[tuple[Tensor, int], ...]
    outputs: tuple[int, ...]
    weights: tuple[Weight, ...]


class Recorder(MetaMode):
    """Notes every call that returns a tensor. Tensors are told apart by identity, so they are kept alive meanwhile."""

    def __init__(self, weights: Mapping[int, Weight], memo: dict[Any, Seen] | None = None) -> None:
        """`weights` has the model's parameters and buffers by the identity of their tensors."""
        super().__init__(memo)
        self.weights = weights
        self.records: list[Record] = []
        self.origin = Origin("", "", None)
        self.is_container = False
        self.alive: list[torch.Tensor] = []

    def seen(self, func: Callable[..., Any], args: Any, kwargs: Any, seen: Seen, result: Any) -> Any:  # noqa: ARG002
        """Note the call; one that returns no tensor (a size, a flag) is no op."""
        if not seen.outputs:
            return result
        given, made = [*tensors_in(args), *tensors_in(kwargs)], tensors_in(result)
        self.alive += given + made
        inputs = tuple((described(t), id(t)) for t in given if id(t) not in self.weights)
        weights = tuple(dict.fromkeys(self.weights[id(t)] for t in given if id(t) in self.weights))
        origin = self.origin
        if self.is_container:  # a function right in a module that has others in it: it stands below the module
            origin = Origin(f"{origin.path}.{seen.kind}".lstrip("."), "", None)
        self.records.append(Record(seen, origin, inputs, tuple(map(id, made)), weights))
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
    """Tell the recorder which module is running, by hooks that are gone afterwards."""
    outer: list[tuple[Origin, bool]] = []

    def enter(origin: Origin, is_container: bool) -> None:
        outer.append((recorder.origin, recorder.is_container))
        recorder.origin, recorder.is_container = replace(origin), is_container  # each call is an origin of its own

    def leave(*_: object) -> None:
        recorder.origin, recorder.is_container = outer.pop()

    handles = []
    for path, part in module.named_modules():
        is_container = next(part.children(), None) is not None
        origin = Origin(path, "" if is_container else type(part).__name__, None)
        before = functools.partial(lambda o, c, *_: enter(o, c), origin, is_container)
        handles += [part.register_forward_pre_hook(before), part.register_forward_hook(leave, always_call=True)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def trace(module: nn.Module, inputs: Mapping[str, Tensor], memo: dict[Any, Seen] | None = None) -> Graph:
    """Return the Graph of running `module` once, in evaluation mode, on meta tensors of the given shapes.

    `inputs` are by the names of the module's arguments, or in their order. The module has to be on meta already. It may be
    changed: it is put into evaluation mode, and one that caches what it computes keeps that.
    """
    weights, named = _weights(module)
    recorder = Recorder(named, memo)
    tensors = [empty(tensor) for tensor in inputs.values()]
    module.eval()
    with torch.no_grad():
        if isinstance(module, fx.GraphModule):
            with recorder:
                result = _Nodes(module, recorder).run(*tensors)
        else:
            with _modules(module, recorder), recorder:
                takes = inspect.signature(module.forward).parameters
                by_name = dict(zip(inputs, tensors, strict=True))
                result = module(**by_name) if takes.keys() >= by_name.keys() else module(*tensors)
    producers: dict[int, Source] = {id(t): (name, 0) for name, t in zip(inputs, tensors, strict=True)}
    ops = _named_ops(recorder.records, set(inputs))
    rows: list[tuple[Op, Sequence[Source]]] = []
    for op, record in zip(ops, recorder.records, strict=True):
        rows.append((op, [producers.get(identity) for _, identity in record.inputs]))
        producers.update({identity: (op.name, number) for number, identity in enumerate(record.outputs)})
    outputs = {name: source for name, t in _outputs(result) if (source := producers.get(id(t))) is not None}
    return Graph.of(inputs.items(), rows, outputs, weights, _groups(module))


def _groups(module: nn.Module) -> Mapping[str, str]:
    """Return the block or class of every module that has others in it, by its path."""
    if isinstance(module, fx.GraphModule):
        spec = module.meta.get("archprof")
        return spec.blocks if spec else {}
    named = module.named_modules()
    plain = {"Sequential", "ModuleList", "ModuleDict"}  # these say nothing that the tree does not
    return {p: type(m).__name__ for p, m in named if p and next(m.children(), None) and type(m).__name__ not in plain}


def _weights(module: nn.Module) -> tuple[list[Weight], dict[int, Weight]]:
    """Return all weights, and the first name of each by the identity of its tensor."""
    found: list[Weight] = []
    by_identity: dict[int, Weight] = {}
    storages: dict[int, int] = {}
    parameters = module.named_parameters(remove_duplicate=False)
    buffers = module.named_buffers(remove_duplicate=False)
    for is_buffer, named in ((False, parameters), (True, buffers)):
        for name, tensor in named:
            storage = storages.setdefault(tensor.untyped_storage()._cdata, len(storages))  # noqa: SLF001 - its identity
            weight = Weight(name, described(tensor), tensor.requires_grad and not is_buffer, is_buffer, storage)
            found.append(weight)
            by_identity.setdefault(id(tensor), weight)
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
    if isinstance(result, dict):
        return [(str(key), tensor) for key, tensor in result.items() if isinstance(tensor, torch.Tensor)]
    tensors = tensors_in(result)
    return [("out" if len(tensors) == 1 else f"out{number}", tensor) for number, tensor in enumerate(tensors)]
