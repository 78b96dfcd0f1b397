"""Second oracle: other counters run on the whole model, their totals taken apart op kind by op kind."""

from __future__ import annotations

import contextlib
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from archprof import inputs as given_inputs
from archprof.conventions import CONVENTIONS, column
from archprof.decompose import replayed
from archprof.errors import UserError
from archprof.graph import Graph
from archprof.meta import Seen, tensors_in
from archprof.records import Facts, Op
from archprof.sources import Opened
from archprof.substrate import with_weights
from archprof.trace import Traced
from archprof.verify import Count, Difference
from archprof.verify.decomposition import Leaves, plain_attention, told

Shares = Mapping[str, int]
"""What a tool counts for one op, by the tool's own operators."""
PRODUCTS = "matrix products"
"""Which operator a linear layer or a product becomes depends on layouts and on how it is written, so they are one."""


def explained(tool: str, on: str, graph: Graph, macs: int, theirs: Shares, shares: Sequence[Shares],
              why: Callable[[list[Op], int, int], str]) -> Count:  # fmt: skip
    """Return a tool's count with the differences named: `theirs` is the whole by operators, `shares` op by op.

    `why` says what a tool does to ops of a kind, from their MACs and the tool's.
    """
    kinds: dict[str, list[Op]] = {}
    ours, counted, rest = Counter[str](), Counter[str](), Counter(theirs)
    for op, share in zip(graph.ops, shares, strict=True):
        facts = graph.facts[op.name]
        kinds.setdefault(op.kind, []).append(op)
        ours[op.kind] += facts.macs if isinstance(facts, Facts) else 0
        counted[op.kind] += sum(share.values())
        rest.subtract(share)
    found = [
        Difference(kind, counted[kind] - ours[kind], why(ops, ours[kind], counted[kind]))
        for kind, ops in kinds.items()
        if counted[kind] != ours[kind]
    ]
    found.sort(key=lambda difference: -abs(difference.macs))
    unexplained = {name: number for name, number in rest.items() if number}
    return Count(tool, on, sum(theirs.values()), macs, tuple(found), unexplained)


# torch.utils.flop_counter.FlopCounterMode


def flop_counter(traced: Traced, opened: Opened, macs: int) -> Count:
    """Return FlopCounterMode's count, in its default settings, explained by its counts of the calls one by one."""
    graph = traced.graph
    on = "cpu" if traced.has_answered else traced.on  # values that the recorder carried along are there only
    try:
        module, arguments = runnable(traced, opened, on)
        counter = FlopCounterMode(display=False)
        with quiet(on), counter:
            module(*arguments)
        whole = by_operator(counter)
        shares, hidden = alone(graph, traced.seen, on)
    except Exception as error:  # noqa: BLE001 - a model or a tool may raise anything
        return Count("FlopCounterMode", on, None, macs, failure=told(error))

    def why(ops: list[Op], ours: int, theirs: int) -> str:
        names = list(dict.fromkeys(name for op in ops for name in hidden[op.signature]))
        formulas = f"torch has no formula for {', '.join(names)}" if names else "torch's formulas count another number"
        return f"counted 0: {formulas}" if ours and not theirs else formulas

    return explained("FlopCounterMode", on, graph, macs, whole, shares, why)


MATRICES = frozenset({"mm", "addmm", "bmm", "baddbmm"})
"""ATen's matrix products."""


def by_operator(counter: FlopCounterMode) -> Counter[str]:
    """Return a counter's MACs by ATen operation, matrix products in one."""
    found = Counter[str]()
    for packet, flops in counter.get_flop_counts().get("Global", {}).items():
        found[PRODUCTS if packet.__name__ in MATRICES else packet.__name__] += flops // 2
    return found


def alone(graph: Graph, seen: Mapping[str, Seen], on: str) -> tuple[list[Shares], dict[Any, list[str]]]:
    """Return what FlopCounterMode counts for every op's call alone, and the operations it has no formula for."""
    known: dict[Any, Shares] = {}
    hidden: dict[Any, list[str]] = {}
    for op in graph.ops:
        if op.signature not in known:
            leaves, counter = Leaves(), FlopCounterMode(display=False)
            with quiet(on), leaves, counter:
                replayed(seen[op.name], on)
            known[op.signature], hidden[op.signature] = by_operator(counter), leaves.products
    return [known[op.signature] for op in graph.ops], hidden


# fvcore.nn.FlopCountAnalysis

OWN = {"batch_norm", "layer_norm", "group_norm", "instance_norm", "einsum", "adaptive_avg_pool2d"}
"""Kinds that fvcore counts under the same name."""
OPERATORS = {"interpolate": "upsample", "grid_sample": "grid_sampler"}


def fvcore(traced: Traced, opened: Opened, macs: int) -> Count:
    """Return fvcore's count, explained by the convention that predicts it op by op; on the CPU, as jit cannot trace meta."""
    graph, on = traced.graph, "cpu"
    try:
        module, arguments = runnable(traced, opened, on)
        with quiet(on):
            from fvcore.nn import FlopCountAnalysis

            analysis = FlopCountAnalysis(module, arguments)
            analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
            theirs = Counter[str]()
            for name, number in analysis.by_operator().items():
                theirs[group(name)] += int(number)
    except Exception as error:  # noqa: BLE001 - a model or a tool may raise anything
        return Count("fvcore", on, None, macs, failure=told(error))
    counts = column(graph, "fvcore")[1]
    shares: list[Shares] = [
        {group("adaptive_avg_pool2d" if op.arguments.get("mode") == "area" else op.kind): number} if number else {}
        for op, number in zip(graph.ops, counts, strict=True)
    ]
    found = explained("fvcore", on, graph, macs, theirs, shares, fvcore_reason)
    if not found.unexplained:
        return found
    known, kinds = CONVENTIONS["fvcore"].differences, {op.kind for op in graph.ops}
    hints = tuple(f"{kind}: {known[kind]}" for kind in known if kind in kinds)
    return Count(found.tool, on, found.total, macs, found.differences, found.unexplained, hints)


def group(name: str) -> str:
    """Return the name under which an operator of fvcore, or a kind of ours, is compared."""
    if name in OWN or name in OPERATORS.values():
        return name
    if name.startswith("conv"):
        return "conv"
    return "upsample" if name.startswith("upsample") else OPERATORS.get(name, PRODUCTS)


def fvcore_reason(ops: list[Op], ours: int, theirs: int) -> str:
    """Return what fvcore does to the ops of a kind."""
    kind = ops[0].kind
    if kind == "multi_head_attention_forward":
        return "fused scores, or scores with a mask, counted 0"
    if not theirs:
        return "counted 0: fvcore has no handle"
    if kind == "matmul":
        return "counted by the first operand, without the batches it is broadcast to"
    if kind == "einsum":
        return "counted as numpy's optimised FLOPs / 2, in four digits"
    if ours:
        return "partly counted: fvcore has no handle for padding in a word"
    for what, elements in (("read", sum(op.inputs[0].elements for op in ops if op.inputs)),
                           ("made", sum(op.outputs[0].elements for op in ops))):  # fmt: skip
        if elements and theirs % elements == 0:
            return f"{theirs // elements} counted per element {what}"
    return "counted per element"


# Running a model


def runnable(traced: Traced, opened: Opened, on: str) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """Return a model on a device as a module of tensors alone, in evaluation mode, and these tensors.

    Raises UserError where its weights do not fit the memory.
    """
    if traced.failure is not None:
        raise UserError("the model fails")
    module = opened.module if on == "meta" else with_weights(opened)
    values = {name: given_inputs.on(on, value) for name, value in opened.inputs.items()}
    whole = Plain(module, values).eval()
    return whole, tuple(tensor for _, tensor in given_inputs.leaves(values))


class Plain(nn.Module):
    """A module whose arguments are the tensors of another's, in order: jit takes no others, and none by name."""

    def __init__(self, module: nn.Module, values: Mapping[str, Any]) -> None:
        """`values` are the arguments of `module` by name."""
        super().__init__()
        self.module = module
        self.values = values

    def forward(self, *tensors: torch.Tensor) -> Any:
        """Put the tensors in place of the first ones, and call the module."""
        given = iter(tensors)
        values = {name: placed(value, given) for name, value in self.values.items()}
        args, kwargs = given_inputs.call(self.module.forward, values)
        return tuple(tensors_in(self.module(*args, **kwargs)))


def placed(value: Any, given: Iterator[torch.Tensor]) -> Any:
    """Return a nest with the next tensors given in place of its own."""
    if isinstance(value, torch.Tensor):
        return next(given)
    if isinstance(value, Mapping):
        return {key: placed(item, given) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [placed(item, given) for item in value]
        return items if isinstance(value, list) else tuple(items)
    return value


@contextlib.contextmanager
def quiet(on: str) -> Iterator[None]:
    """Run without gradients, warnings and the fast path of attention, and leave the random numbers as they are."""
    with warnings.catch_warnings(), torch.no_grad(), plain_attention(math=False), torch.device(on):
        warnings.simplefilter("ignore")  # jit is old, and the model's own were given when it was profiled
        with torch.random.fork_rng(devices=[]):
            yield
