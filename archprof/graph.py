"""Graph: a network whose nodes are ops in execution order and whose edges are tensors, for us and for networkx.

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
    """A network as ops and tensors; `networkx` is the same as a networkx.MultiDiGraph.

    `nodes` has every op by name in execution order, the network's inputs first. `edges` has one entry a tensor read, by
    consumer in that order and then by position, so `x * x` keeps both.
    `outputs` maps the network's output names to (op name, output number); `weights` are all of the model's, used or not;
    `modules` has the class or block of each group of ops, by its path. `facts` holds what the rules say, by op name.

    >>> op = Op("relu", "relu", "relu", inputs=(Tensor((1, 8)),), outputs=(Tensor((1, 8)),))
    >>> graph = Graph.of([("x", Tensor((1, 8)))], [(op, [("x", 0)])], {"out": ("relu", 0)})
    >>> graph.producers("relu"), graph.consumers("x")
    (['x'], ['relu'])
    """

    nodes: Mapping[str, Op]
    edges: tuple[Edge, ...] = ()
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
        nodes = {name: Op(name, INPUT, name, outputs=(tensor,)) for name, tensor in inputs}
        edges = []
        for op, sources in ops:
            nodes[op.name] = op
            for position, (tensor, source) in enumerate(zip(op.inputs, sources, strict=True)):
                if source is not None:
                    edges.append(Edge(source[0], op.name, source[1], position, tensor))
        return cls(nodes, tuple(edges), dict(outputs), tuple(weights), dict(modules or {}))

    def __getitem__(self, name: str) -> Op:
        """Return the op (or input) called `name`."""
        return self.nodes[name]

    def __repr__(self) -> str:
        """Return how large it is: all of it would fill pages."""
        return f"<Graph of {len(self)} ops and {len(self.edges)} tensors read>"

    def __len__(self) -> int:
        """Return the number of executed ops."""
        return len(self.ops)

    def __iter__(self) -> Iterator[Op]:
        """Iterate the executed ops in order."""
        return iter(self.ops)

    @cached_property
    def ops(self) -> tuple[Op, ...]:
        """The executed ops, in order."""
        return tuple(op for op in self.nodes.values() if op.kind != INPUT)

    @cached_property
    def inputs(self) -> tuple[Op, ...]:
        """The network's inputs, as nodes of kind `input`."""
        return tuple(op for op in self.nodes.values() if op.kind == INPUT)

    @cached_property
    def networkx(self) -> networkx.MultiDiGraph:
        """A plain networkx graph: one node an op (attribute `op`), inputs first; one edge a tensor read.

        An edge has `output`, `position`, `shape`, `dtype` and `bytes`; its key is (output, position).
        """
        import networkx  # half a second with its algorithms, and tables do without it

        graph = networkx.MultiDiGraph()
        graph.add_nodes_from((name, {"op": op}) for name, op in self.nodes.items())
        for edge in self.edges:
            measures = {"shape": edge.tensor.shape, "dtype": edge.tensor.dtype, "bytes": edge.tensor.bytes}
            key = (edge.output, edge.position)
            graph.add_edge(edge.producer, edge.consumer, key, output=edge.output, position=edge.position, **measures)
        return graph

    @cached_property
    def _into(self) -> Mapping[str, list[Edge]]:
        found: dict[str, list[Edge]] = {}
        for edge in self.edges:
            found.setdefault(edge.consumer, []).append(edge)
        return found

    @cached_property
    def _out_of(self) -> Mapping[str, list[Edge]]:
        found: dict[str, list[Edge]] = {}
        for edge in self.edges:
            found.setdefault(edge.producer, []).append(edge)
        return found

    def reads(self, name: str) -> list[Edge]:
        """Return the edges into the op `name`, in the order of its inputs."""
        return self._into.get(name, [])

    def feeds(self, name: str) -> list[Edge]:
        """Return the edges out of the op `name`, by consumer in execution order."""
        return self._out_of.get(name, [])

    def producers(self, name: str) -> list[str]:
        """Return the names of the ops whose outputs the op `name` reads, in the order of its inputs."""
        return [edge.producer for edge in self.reads(name)]

    def consumers(self, name: str) -> list[str]:
        """Return the names of the ops that read an output of `name`, each once, in execution order."""
        return list(dict.fromkeys(edge.consumer for edge in self.feeds(name)))

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
