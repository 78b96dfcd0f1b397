"""From a flat program to a torch.fx.GraphModule, on meta for analysis or on a real device to run and train.

The graph is written down directly, not traced from Python; every node remembers the step it comes from. Module names
are the spec's paths, so the state dict has the keys a reader expects.
"""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn

from archprof import units
from archprof.errors import Problem, Span, SpecError, UserError
from archprof.layers import LAYERS, Built
from archprof.layers.foreign import foreign_layer
from archprof.meta import SkipInit, weights_of
from archprof.records import Call, Spec, Tensor


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a node of the graph comes from: path in the model, layer type, place in the spec, chain of blocks."""

    path: str
    layer: str
    span: Span | None
    chain: tuple[str, ...] = ()


def build(spec: Spec, device: str | torch.device = "meta") -> fx.GraphModule:
    """Return `spec` as a GraphModule on `device`.

    On "meta" no weight is allocated; on a real device the module is initialised as torch.nn does it, and loads weights,
    runs, trains, deep-copies and exports like any other. A network with several outputs returns a dict of them.
    Raises UserError for an unknown device or one with too little memory, SpecError where tied weights differ in shape.
    """
    target = device_called(device)
    if target.type != "meta":
        _check_memory(build(spec), target)
    root, graph = nn.Module(), fx.Graph()
    tracer = fx.proxy.GraphAppendingTracer(graph)
    values = [fx.Proxy(graph.placeholder(name), tracer) for name, _ in spec.inputs]
    tensors = [tensor for _, tensor in spec.inputs]
    with _construction(target), weights_of(spec.dtype):
        for call in spec.calls:
            before = len(graph.nodes)
            made = _apply(
                root, graph, tracer, call, [values[i] for i in call.inputs], [tensors[i] for i in call.inputs]
            )
            values += made
            tensors += call.outputs
            origin = Origin(call.path, call.layer, call.span, call.chain)
            for node in _newest(graph, len(graph.nodes) - before):
                node.meta["archprof"] = origin
        for call in spec.calls:
            if call.tie is not None:
                _tie(root, call)
    outputs = {name: values[number].node for name, number in spec.outputs}
    graph.output(next(iter(outputs.values())) if len(outputs) == 1 else outputs)
    module = fx.GraphModule(root, graph, class_name=_class_name(spec.name))
    module.meta["archprof"] = spec
    return module


def device_called(device: str | torch.device) -> torch.device:
    """Return a device of this machine by its name; raise UserError where there is none."""
    try:
        target = torch.device(device)
        torch.empty(0, device=target)
    except (RuntimeError, AssertionError, NotImplementedError, ModuleNotFoundError) as error:
        reason = str(error).splitlines()[0].partition(". ")[0]
        if reason.startswith("Expected one of"):  # a list of every kind that torch was ever built for
            reason = "the usual ones are cpu, cuda, cuda:1 and mps"
        raise UserError(f"no device {str(device)!r} here: {reason}") from None
    return target


def _check_memory(module: nn.Module, device: torch.device) -> None:
    """Raise UserError where the weights of `module` are larger than what is free: the system would end the process."""
    needed = sum(t.numel() * t.element_size() for t in [*module.parameters(), *module.buffers()])
    free = free_bytes(device)
    if free is not None and needed > free:
        what = f"the weights need {units.size(needed)} on {device}, and {units.size(free)} are free"
        raise UserError(f"{what}; analysis works without weights (device 'meta')")


def free_bytes(device: torch.device) -> int | None:
    """Return how many bytes a device could still hold; None where nobody says."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type != "cpu":
        return None
    bounds = []
    with contextlib.suppress(OSError, ValueError):  # Linux only
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        bounds += [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    with contextlib.suppress(OSError, ValueError):  # a container's limit; the text is `max` where there is none
        bounds.append(int(Path("/sys/fs/cgroup/memory.max").read_text("ascii")))
    return min(bounds, default=None)


@contextlib.contextmanager
def _construction(device: torch.device) -> Iterator[None]:
    with torch.device(device), contextlib.ExitStack() as stack:
        if device.type == "meta":
            stack.enter_context(SkipInit())
            stack.enter_context(torch.no_grad())
        yield


def _newest(graph: fx.Graph, count: int) -> list[fx.Node]:
    node, found = graph._root.prev, []  # noqa: SLF001 - the only way to the newest nodes without walking all
    for _ in range(count):
        found.append(node)
        node = node.prev
    return found


def _apply(
    root: nn.Module, graph: fx.Graph, tracer: Any, call: Call, inputs: list[fx.Proxy], tensors: list[Tensor]
) -> list[fx.Proxy]:
    """Add one call to the graph and return a proxy for each of its outputs."""
    if _find(root, call.module) is not None and call.module:
        result: Any = fx.Proxy(graph.call_module(call.module, tuple(p.node for p in inputs)), tracer)
    else:
        built = _built(call, tensors)
        if isinstance(built, nn.Parameter):
            parent = _container(root, call.module)
            parent.register_parameter(call.module.rpartition(".")[2], built)
            result = fx.Proxy(graph.get_attr(call.module), tracer)
        elif isinstance(built, nn.Module):
            _container(root, call.module).add_module(call.module.rpartition(".")[2], built)
            result = fx.Proxy(graph.call_module(call.module, tuple(p.node for p in inputs)), tracer)
        else:
            result = built(*inputs)
    if len(call.outputs) == 1:
        return [result]
    return [fx.Proxy(graph.call_function(operator.getitem, (result.node, i)), tracer) for i in range(len(call.outputs))]


def _built(call: Call, tensors: list[Tensor]) -> Built:
    layer = foreign_layer(call.layer) if "." in call.layer else LAYERS[call.layer]
    if layer is None:
        raise UserError(f"there is no layer {call.layer!r}")
    return layer.build(tensors, dict(call.settings))


def _container(root: nn.Module, path: str) -> nn.Module:
    """Return the module that is to hold `path`, with bare modules for what is missing on the way."""
    module = root
    for name in path.split(".")[:-1]:
        child = module._modules.get(name)  # noqa: SLF001 - getattr would find attributes too
        if child is None:
            child = nn.Module()
            module.add_module(name, child)
        module = child
    return module


def _find(root: nn.Module, path: str) -> nn.Module | None:
    module: nn.Module | None = root
    for name in path.split("."):
        module = module._modules.get(name) if module is not None else None  # noqa: SLF001
    return module


def _tie(root: nn.Module, call: Call) -> None:
    module, other = root.get_submodule(call.module), root.get_submodule(call.tie or "")
    mine, theirs = getattr(module, "weight", None), getattr(other, "weight", None)
    if not isinstance(mine, torch.Tensor) or not isinstance(theirs, torch.Tensor):
        raise SpecError(
            [Problem("E205", call.span, f"{call.module!r} and {call.tie!r} do not both have a weight to share")]
        )
    if mine.shape != theirs.shape:
        what = f"{call.module!r} has a weight of {list(mine.shape)}, {call.tie!r} of {list(theirs.shape)}"
        raise SpecError([Problem("E301", call.span, what, "weights can only be shared where their shapes are equal")])
    module.weight = theirs


def _class_name(name: str) -> str:
    """Return a spec's name as a Python class name: fx writes it into source code."""
    words = "".join(c if c.isalnum() and c.isascii() else " " for c in name).split()
    joined = "".join(word[:1].upper() + word[1:] for word in words)
    return joined if joined[:1].isalpha() else f"Net{joined}"
