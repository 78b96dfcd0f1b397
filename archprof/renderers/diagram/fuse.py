"""The boxes of a diagram: which ops share one, because they go without saying or belong to the op before them.

It merges ops that stand in one place of the model only, and it neither groups nor folds the boxes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from archprof.graph import INPUT, Graph
from archprof.records import Facts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from archprof.records import Op

GLUE = frozenset({
    "alias", "contiguous", "clone", "detach", "to", "type", "type_as", "float", "half", "bfloat16", "double",
    "cpu", "cuda", "identity", "requires_grad_", "size", "shape", "dim", "numel", "getattr", "eq", "_assert",
    "floordiv", "is_floating_point",
})  # fmt: skip
"""Kinds that go without saying; they vanish in their neighbour's box where they are known to cost nothing."""

NORMS = frozenset({
    "batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm", "local_response_norm", "normalize",
})  # fmt: skip
ACTIVATIONS = frozenset({
    "relu", "relu_", "relu6", "leaky_relu", "rrelu", "elu", "selu", "celu", "gelu", "silu", "mish", "sigmoid",
    "logsigmoid", "tanh", "hardtanh", "hardswish", "hardsigmoid", "prelu", "softplus", "softsign", "softmax", "scaled_tanh",
    "log_softmax", "glu",
})  # fmt: skip
RESHAPES = frozenset({
    "flatten", "unflatten", "reshape", "view", "permute", "transpose", "squeeze", "unsqueeze", "movedim",
})  # fmt: skip
DROPOUTS = frozenset(("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "stochastic_depth"))
FOLLOWERS = NORMS | ACTIVATIONS | RESHAPES | DROPOUTS
"""Kinds that join the box of the one op they read."""

JOINS: Mapping[str, str] = {"add": "+", "add_": "+", "iadd": "+", "sub": "\N{MINUS SIGN}", "mul": "×", "mul_": "×",
                            "imul": "×", "div": "÷", "truediv": "÷"}  # fmt: skip
CONCATS = frozenset(("cat", "concat", "concatenate"))


@dataclass(frozen=True, slots=True)
class Box:
    """Ops drawn as one box, in execution order; `silent` names those that its label leaves out."""

    path: str
    ops: tuple[Op, ...]
    silent: frozenset[str] = frozenset()

    @property
    def spoken(self) -> tuple[Op, ...]:
        """The ops that the label tells, or all of them where none would be left."""
        return tuple(op for op in self.ops if op.name not in self.silent) or self.ops


def single(graph: Graph) -> tuple[Box, ...]:
    """Return one box an op, the network's inputs first."""
    return tuple(Box(op.path, (op,)) for op in (*graph.inputs, *graph.ops))


def drop_glue(graph: Graph, boxes: tuple[Box, ...]) -> tuple[Box, ...]:
    """Return the boxes with the ops that go without saying in the box they read, or else in the one reading them."""

    def host(box: Box, merged: _Merged) -> Box | None:
        op = box.ops[0]
        facts = graph.facts.get(op.name)
        if op.kind not in GLUE or not isinstance(facts, Facts) or facts.flops or graph.owned_weights[op.name]:
            return None
        producers = {edge.producer for edge in graph.reads(op.name)}
        consumers = graph.consumers(op.name)
        for neighbours in (producers, consumers):
            found = merged.box(next(iter(neighbours))) if len(neighbours) == 1 else None
            if found and found.ops[0].kind != INPUT and any(in_one_place(op.path, other.path) for other in found.ops):
                return found
        return None

    return _merge(graph, boxes, host, silent=True)


def fuse_followers(graph: Graph, boxes: tuple[Box, ...]) -> tuple[Box, ...]:
    """Return the boxes with every norm, activation, dropout and reshape in the box of the op it follows.

    A follower joins where nobody else reads what it reads and both stand in one place of the model. What then is a box
    of followers alone (a pre-activation block begins with one) joins the box that reads it, on the same terms.
    """

    def leader(box: Box, merged: _Merged) -> Box | None:
        before = _only_neighbour(graph, merged, box)
        joinable = before is not None and before.spoken[-1].kind not in CONCATS
        return before if joinable and box.spoken[0].kind in FOLLOWERS else None

    def prelude(box: Box, merged: _Merged) -> Box | None:
        before = _only_neighbour(graph, merged, box)
        if before is None or box.spoken[0].kind in (JOINS.keys() | CONCATS):
            return None
        return before if all(op.kind in FOLLOWERS for op in before.spoken) else None

    return _merge(graph, _merge(graph, boxes, leader), prelude)


def parent(path: str) -> str:
    """Return the path of the group that `path` stands in; the root's is empty.

    >>> parent("layer1.0.conv1"), parent("conv1")
    ('layer1.0', '')
    """
    return path.rpartition(".")[0]


def in_one_place(one: str, other: str) -> bool:
    """Tell whether two ops stand in one group, or belong to one step (`relu3` and its `relu3.add`)."""
    return parent(one) == parent(other) or parent(one) == other or parent(other) == one


class _Merged:
    """Boxes on their way to being merged, found by the name of any of their ops."""

    def __init__(self, boxes: tuple[Box, ...]) -> None:
        self._boxes = {op.name: box for box in boxes for op in box.ops}

    def box(self, name: str) -> Box:
        return self._boxes[name]

    def put(self, box: Box) -> None:
        self._boxes.update((op.name, box) for op in box.ops)

    def all(self) -> tuple[Box, ...]:
        return tuple({id(box): box for box in self._boxes.values()}.values())


def _merge(
    graph: Graph, boxes: tuple[Box, ...], host: Callable[[Box, _Merged], Box | None], *, silent: bool = False
) -> tuple[Box, ...]:
    """Return the boxes after each, in order, has moved in with its `host`, if it has one."""
    order = {op.name: number for number, op in enumerate((*graph.inputs, *graph.ops))}
    merged = _Merged(boxes)
    for box in boxes:
        guest = merged.box(box.ops[0].name)
        home = host(guest, merged)
        if home is None or home is guest:
            continue
        ops = tuple(sorted((*home.ops, *guest.ops), key=lambda op: order[op.name]))
        quiet = home.silent | guest.silent | ({op.name for op in guest.ops} if silent else set())
        loud = [op for op in ops if op.name not in quiet]
        heads = [op for op in loud if op.kind not in FOLLOWERS] or loud or list(home.ops)
        merged.put(Box(heads[0].path, ops, frozenset(quiet)))
    return tuple(sorted(merged.all(), key=lambda box: order[box.ops[0].name]))


def _only_neighbour(graph: Graph, merged: _Merged, box: Box) -> Box | None:
    """Return the box before `box` if each is the other's only neighbour on that side and both stand in one place."""
    names = {op.name for op in box.ops}
    sources = {(e.producer, e.output) for op in box.ops for e in graph.reads(op.name) if e.producer not in names}
    if len(sources) != 1:
        return None
    producer = next(iter(sources))[0]
    before = merged.box(producer)
    inside = {op.name for op in before.ops}
    read_elsewhere = any(reader not in inside | names for op in before.ops for reader in graph.consumers(op.name))
    leaves = any(name in inside for name, _ in graph.outputs.values())
    if before.ops[0].kind == INPUT or read_elsewhere or leaves:
        return None
    return before if in_one_place(before.spoken[-1].path, box.spoken[0].path) else None
