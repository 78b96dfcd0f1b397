"""What training adds to a forward pass: the backward pass, op by op, and the optimizer's step.

Every distinct call is differentiated once on meta by torch's own autograd, with respect to what needs a gradient there, and
the ATen operations of that are counted. Nothing is multiplied by a factor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from archprof.decompose import Parts
from archprof.errors import UnknownName
from archprof.graph import Graph
from archprof.meta import DTYPES, Seen, empty, tensors_in
from archprof.ops import facts
from archprof.optimizers import COUNTED, TORCHS
from archprof.records import Column, Facts, Tensor, Weight
from archprof.trace import Traced

MACS = Column("backward_macs", "count", "sum", "multiply-accumulates of the backward pass, by torch's autograd")
FLOPS = Column("backward_flops", "count", "sum", "2 x backward MACs, and 1 per element of every other ATen operation")
STEP = Column("optimizer_flops", "count", "sum", "the optimizer's step on the parameters an op owns")

Counts = tuple[int, int]


def columns(traced: Traced, optimizer: str) -> list[tuple[Column, list[int | None]]]:
    """Return the columns of training with their values, in the order of the graph's ops; None is unknown.

    The gradient starts at every output of the network and goes where a trainable parameter waits for it; the inputs of the
    network want none. Raises UnknownName for an unknown optimizer.
    """
    if optimizer not in COUNTED:
        raise UnknownName("optimizer", optimizer, COUNTED)
    graph = traced.graph
    wanted = gradients_wanted(traced)
    known: dict[Any, Counts | None] = {}
    found: list[Counts | None] = []
    for op in graph.ops:
        wants = wanted.get(op.name)
        if wants is None:
            found.append((0, 0))
            continue
        key = id(traced.seen[op.name]), wants
        if key not in known:
            known[key] = differentiated(traced.seen[op.name], wants)
        found.append(known[key])
    per_parameter = step_flops(optimizer)
    step: list[int | None] = [
        per_parameter * sum(w.tensor.elements for w in graph.owned_weights[op.name] if w.is_trainable)
        for op in graph.ops
    ]
    macs, flops = ([None if counts is None else counts[i] for counts in found] for i in (0, 1))
    return [(MACS, macs), (FLOPS, flops), (STEP, step)]


def gradients_wanted(traced: Traced) -> dict[str, tuple[bool, ...]]:
    """Return, for every op that the gradient passes, which tensors of its call want one, in the order of the call."""
    graph = traced.graph
    alive = _reaching(graph)
    flows: set[tuple[str, int]] = set()  # outputs that depend on a trainable parameter
    wanted: dict[str, tuple[bool, ...]] = {}
    for op in graph.ops:
        sources = {edge.position: (edge.producer, edge.output) for edge in graph.reads(op.name)}
        wants = tuple(
            read.is_trainable if isinstance(read, Weight) else read is not None and sources.get(read) in flows
            for read in traced.reads[op.name]
        )
        if op.kind == "detach" or not any(wants):
            continue
        flows.update((op.name, i) for i, tensor in enumerate(op.outputs) if _is_float(tensor))
        if op.name in alive:
            wanted[op.name] = wants
    return wanted


def _reaching(graph: Graph) -> set[str]:
    """Return the ops to which the gradient of an output of the network comes."""
    reaching = {name for name, _ in graph.outputs.values()}
    for op in reversed(graph.ops):
        if op.name in reaching and op.kind != "detach":
            reaching.update(graph.producers(op.name))
    return reaching


def _is_float(tensor: Tensor) -> bool:
    dtype = DTYPES[tensor.dtype]
    return dtype.is_floating_point or dtype.is_complex


class Counter(TorchDispatchMode):
    """Counts the contractions, by torch's own formulas, and the elements of all other ATen operations."""

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__()
        self.macs = self.elements = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation and count it; views, copies and new tensors are free."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        packet = func.overloadpacket
        if packet is torch.ops.aten.convolution_backward:
            self.macs += convolution_backward(*args)
        elif packet in flop_registry:
            self.macs += flop_registry[packet](*args, **kwargs, out_val=result) // 2
        elif torch.Tag.pointwise in func.tags or packet.__name__.endswith(("backward", "_backward_data")):
            self.elements += sum(tensor.numel() for tensor in tensors_in(result))
        elif torch.Tag.reduction in func.tags:
            self.elements += sum(tensor.numel() for tensor in tensors_in(args))
        return result


def convolution_backward(gradient: torch.Tensor, input: torch.Tensor, weight: torch.Tensor, *rest: Any) -> int:
    """Return MACs: each of the two gradients pairs the same numbers as the forward pass.

    (torch's own formula takes the gradient of a grouped convolution's weights for that of a dense one.)
    """
    transposed, mask = rest[4], rest[7]
    one = (input if transposed else gradient).numel() * weight[0].numel()
    return one * (mask[0] + mask[1])


def differentiated(seen: Seen, wants: Sequence[bool]) -> Counts | None:
    """Return (MACs, FLOPs) of the backward pass of a call; None where torch cannot differentiate it on meta."""
    if seen.call is None:
        return None
    function, args, kwargs = seen.call
    leaves: list[torch.Tensor] = []
    flags = iter(wants)
    counter = Counter()
    try:
        with torch.enable_grad(), torch.device("meta"), sdpa_kernel(SDPBackend.MATH):
            args, kwargs = _leaves(args, flags, leaves), _leaves(kwargs, flags, leaves)
            result = function(*args, **kwargs)
            made = tensors_in(args[0] if result is None else result)
            outputs = [tensor for tensor in made if tensor.requires_grad]
            if not outputs:
                return 0, 0
            gradients = [torch.empty_like(tensor) for tensor in outputs]
            with counter:
                torch.autograd.grad(outputs, leaves, gradients, allow_unused=True)
    except (RuntimeError, NotImplementedError, TypeError, ValueError):
        return None
    return counter.macs, 2 * counter.macs + counter.elements


def _leaves(value: Any, flags: Iterator[bool], leaves: list[torch.Tensor]) -> Any:
    """Return tensors in place of records, those that want a gradient as copies of leaves (which may be changed in place)."""
    if isinstance(value, Tensor):
        tensor = empty(value)
        if next(flags) and _is_float(value):
            leaves.append(tensor.requires_grad_())
            return tensor.clone()
        return tensor
    if type(value) in {list, tuple}:
        return type(value)(_leaves(item, flags, leaves) for item in value)
    if isinstance(value, dict):
        return {key: _leaves(item, flags, leaves) for key, item in value.items()}
    return value


def step_flops(optimizer: str) -> int:
    """Return the FLOPs of an optimizer's step per parameter: those of the operations of its second step, by our rules.

    >>> step_flops("sgd")
    2
    """
    parameter = torch.nn.Parameter(torch.ones(1000))
    parameter.grad = torch.ones(1000)
    kind, settings = TORCHS[optimizer]
    stepper = getattr(torch.optim, kind)([parameter], foreach=False, **settings)
    stepper.step()  # the first makes the state
    with Parts() as parts, torch.no_grad():
        stepper.step()
    large = [facts(op) for op in parts.ops if any(tensor.elements == 1000 for tensor in op.outputs)]
    return sum(found.flops for found in large if isinstance(found, Facts)) // 1000
