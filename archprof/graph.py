"""Graph: a typed view of the networkx.MultiDiGraph whose nodes are ops in execution order and whose edges are tensors.

It stores and answers questions about structure; it computes no cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from archprof.records import Facts, Op, Tensor, Unknown, Weight

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import networkx

INPUT = "input"
"""The kind of the nodes that stand for the network's inputs; every other node is an executed op."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A tensor on its way: `output` of the op `producer` is read as input number `position` of the op `consumer`."""

    producer: str
    consumer: str
    output: int
    position: int
    tensor: Tensor


@dataclass(frozen=True, eq=False)
class Graph:
    """A network as ops and tensors.

    `network` has one node an op (attribute `op`) in execution order, inputs first, and one edge a tensor read
    (attributes `output`, `position`, `shape`, `dtype`, `bytes`; key = (output, position)), so `x * x` keeps both.
    `outputs` maps the network's output names to (op name, output number); `weights` are all of the model's, used or
    not; `modules` has the class or block of each group of ops, by its path. `facts` holds what the rules say, by op
    name.

    >>> op = Op("relu", "relu", "relu", inputs=(Tensor((1, 8)),), outputs=(Tensor((1, 8)),))
    >>> graph = Graph.of([("x", Tensor((1, 8)))], [(op, [("x", 0)])], {"out": ("relu", 0)})
    >>> graph.producers("relu"), graph.consumers("x")
    (['x'], ['relu'])
    """

    network: networkx.MultiDiGraph
    outputs: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    weights: tuple[Weight, ...] = ()
    modules: Mapping[str, str] = field(default_factory=dict)
    facts: dict[str, Facts | Unknown] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        inputs: Iterable[tuple[str, Tensor]],
        ops: Iterable[tuple[Op, Sequence[tuple[str, int] | None]]],
        outputs: Mapping[str, tuple[str, int]],
        weights: Iterable[Weight] = (),
        modules: Mapping[str, str] | None = None,
    ) -> Graph:
        """Build a graph from named inputs and ops, each op with the (producer, output) of each of its inputs.

        An input whose producer is None came from nowhere the recorder could see; it gets no edge.
        """
        import networkx

        network = networkx.MultiDiGraph()
        for name, tensor in inputs:
            network.add_node(name, op=Op(name, INPUT, name, outputs=(tensor,)))
        for op, sources in ops:
            network.add_node(op.name, op=op)
            for position, (tensor, source) in enumerate(zip(op.inputs, sources, strict=True)):
                if source is not None:
                    producer, output = source
                    measures = {"shape": tensor.shape, "dtype": tensor.dtype, "bytes": tensor.bytes}
                    key = (output, position)
                    network.add_edge(producer, op.name, key=key, output=output, position=position, **measures)
        return cls(network, dict(outputs), tuple(weights), dict(modules or {}))

    def __getitem__(self, name: str) -> Op:
        """Return the op (or input) called `name`."""
        return self.network.nodes[name]["op"]

    def __len__(self) -> int:
        """Return the number of executed ops."""
        return len(self.ops)

    def __iter__(self) -> Iterator[Op]:
        """Iterate the executed ops in order."""
        return iter(self.ops)

    @cached_property
    def ops(self) -> tuple[Op, ...]:
        """The executed ops, in order."""
        return tuple(op for _, op in self.network.nodes(data="op") if op.kind != INPUT)

    @cached_property
    def inputs(self) -> tuple[Op, ...]:
        """The network's inputs, as nodes of kind `input`."""
        return tuple(op for _, op in self.network.nodes(data="op") if op.kind == INPUT)

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """All edges, by consumer in execution order and then by position."""
        return tuple(edge for op in self.ops for edge in self.reads(op.name))

    def reads(self, name: str) -> list[Edge]:
        """Return the edges into the op `name`, in the order of its inputs."""
        found = [
            Edge(producer, name, data["output"], data["position"], Tensor(data["shape"], data["dtype"]))
            for producer, _, data in self.network.in_edges(name, data=True)
        ]
        return sorted(found, key=lambda edge: edge.position)

    def producers(self, name: str) -> list[str]:
        """Return the names of the ops whose outputs the op `name` reads, in the order of its inputs."""
        return [edge.producer for edge in self.reads(name)]

    def consumers(self, name: str) -> list[str]:
        """Return the names of the ops that read an output of `name`, each once, in execution order."""
        return list(self.network.successors(name))

    @cached_property
    def owned_weights(self) -> Mapping[str, tuple[Weight, ...]]:
        """By op name: the weights whose storage this op is the first to read, so that no weight is counted twice."""
        seen: set[int] = set()
        owned: dict[str, tuple[Weight, ...]] = {}
        for op in self.ops:
            fresh = {weight.storage: weight for weight in op.weights if weight.storage not in seen}
            seen.update(fresh)
            owned[op.name] = tuple(fresh.values())
        return owned

    @cached_property
    def unused_weights(self) -> tuple[Weight, ...]:
        """The weights that no op reads, each storage once."""
        used = {weight.storage for op in self.ops for weight in op.weights}
        return tuple({w.storage: w for w in self.weights if w.storage not in used}.values())
