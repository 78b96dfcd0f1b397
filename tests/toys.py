"""Small networks written out op by op, for tests that must not depend on torch or on the tracer.

They carry facts made of literal arithmetic, not those of the rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from archprof.analyses import ANALYSES
from archprof.graph import Graph
from archprof.records import Column, Facts, Op, Tensor, Unknown, Weight, contraction
from archprof.result import Profile


@dataclass
class Toy:
    """A network being written down; every method adds one op and returns its name."""

    inputs: list[tuple[str, Tensor]] = field(default_factory=list)
    ops: list[tuple[Op, list[tuple[str, int] | None]]] = field(default_factory=list)
    facts: dict[str, Facts | Unknown] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def input(self, name: str, *shape: int) -> str:
        self.inputs.append((name, Tensor(shape)))
        self.tensors[name] = Tensor(shape)
        return name

    def op(self, path: str, kind: str, sources: list[str], out: Tensor, facts: Facts | Unknown, *, layer: str = "",
           weights: tuple[Weight, ...] = (), **arguments: object) -> str:  # fmt: skip
        name = path
        while name in self.tensors:
            name += "'"
        read = tuple(self.tensors[source] for source in sources)
        op = Op(name, kind, path, read, (out,), weights, arguments, layer)
        self.ops.append((op, [(source, 0) for source in sources]))
        self.facts[name] = facts
        self.tensors[name] = out
        return name

    def conv(self, path: str, source: str, channels: int, kernel: int = 3, stride: int = 1, **more: object) -> str:
        n, c, h, w = self.tensors[source].shape
        out = Tensor((n, channels, h // stride, w // stride))
        weight = Tensor((channels, c, kernel, kernel))
        stored = Weight(f"{path}.weight", weight, storage=len(self.ops) + 1)
        facts = contraction((out.elements, c, kernel, kernel))
        arguments = {"stride": (stride, stride), "padding": (kernel // 2, kernel // 2), "dilation": (1, 1), **more}
        return self.op(
            path, "conv2d", [source], out, facts, layer="Conv2d", weights=(stored,), weight=weight, **arguments
        )

    def relu(self, path: str, source: str) -> str:
        out = self.tensors[source]
        return self.op(path, "relu", [source], out, Facts(flops=out.elements), layer="ReLU", inplace=False)

    def norm(self, path: str, source: str) -> str:
        out = self.tensors[source]
        return self.op(path, "batch_norm", [source], out, Facts(flops=2 * out.elements), layer="BatchNorm2d", eps=1e-5)

    def pool(self, path: str, source: str) -> str:
        n, c, h, w = self.tensors[source].shape
        out = Tensor((n, c, h // 2, w // 2))
        facts = Facts(flops=3 * out.elements)
        return self.op(path, "max_pool2d", [source], out, facts, layer="MaxPool2d", kernel_size=2, stride=2)

    def add(self, path: str, one: str, other: str) -> str:
        out = self.tensors[one]
        return self.op(path, "add", [one, other], out, Facts(flops=out.elements))

    def cat(self, path: str, *sources: str) -> str:
        n, _, h, w = self.tensors[sources[0]].shape
        out = Tensor((n, sum(self.tensors[source].shape[1] for source in sources), h, w))
        return self.op(path, "cat", list(sources), out, Facts(), dim=1)

    def graph(self, last: str, name: str = "output") -> Graph:
        weights = [weight for op, _ in self.ops for weight in op.weights]
        graph = Graph.of(self.inputs, self.ops, {name: (last, 0)}, weights)
        graph.facts.update(self.facts)
        return graph


def residual() -> Graph:
    """A stem, two stages of residual blocks (one, then three equal ones) and a pool; a ReLU named like its group."""
    toy = Toy()
    at = toy.relu("stem.relu", toy.norm("stem.bn", toy.conv("stem.conv", toy.input("image", 1, 3, 32, 32), 8)))
    for stage, blocks, channels in (("layer1", 1, 8), ("layer2", 4, 16)):
        for number in range(blocks):
            path = f"{stage}.{number}"
            grows = stage == "layer2" and number == 0
            way = toy.norm(f"{path}.bn1", toy.conv(f"{path}.conv1", at, channels, stride=2 if grows else 1))
            way = toy.norm(f"{path}.bn2", toy.conv(f"{path}.conv2", toy.relu(f"{path}.relu1", way), channels))
            skip = toy.conv(f"{path}.down", at, channels, kernel=1, stride=2) if grows else at
            at = toy.relu(f"{path}.relu2", toy.add(f"{path}.relu2.add", way, skip))
    return toy.graph(toy.pool("pool", at))


def branches() -> Graph:
    """One inception module of four branches, the second and third two convolutions long."""
    toy = Toy()
    image = toy.input("image", 1, 16, 8, 8)
    one = toy.conv("mixed.b1", image, 4, kernel=1)
    two = toy.conv("mixed.b2.conv", toy.conv("mixed.b2.reduce", image, 2, kernel=1), 8)
    three = toy.conv("mixed.b3.conv", toy.conv("mixed.b3.reduce", image, 1, kernel=1), 4, kernel=5)
    four = toy.conv("mixed.b4", image, 2, kernel=1)
    return toy.graph(toy.cat("mixed.cat", one, two, three, four))


def towers() -> Graph:
    """Two equal towers that meet once in the middle, as on the two cards of 2012."""
    toy = Toy()
    image = toy.input("image", 1, 3, 16, 16)
    left = toy.relu("relu1a", toy.conv("conv1a", image, 8, stride=2))
    right = toy.relu("relu1b", toy.conv("conv1b", image, 8, stride=2))
    both = toy.cat("join", left, right)
    left = toy.relu("relu2a", toy.conv("conv2a", both, 8))
    right = toy.relu("relu2b", toy.conv("conv2b", both, 8))
    return toy.graph(toy.cat("out", left, right))


def unknown() -> Graph:
    """A convolution, an op that nobody knows, and a ReLU behind it."""
    toy = Toy()
    at = toy.conv("conv", toy.input("image", 1, 3, 8, 8), 4)
    at = toy.op("mystery", "warp", [at], toy.tensors[at], Unknown("no rule for warp"), layer="Warp")
    return toy.graph(toy.conv("head", at, 2, kernel=1))


def timed() -> Profile:
    """Three ops with columns as a timed run has: work by seconds, a time that is below 0, a number and a text of its own each.

    The rates are 100 / 0.5 s, 100 / 0.2 s and 10 / 0.1 s.
    """
    toy = Toy()
    at = toy.input("x", 1, 4)
    for name, macs in (("slow", 100), ("fast", 100), ("small", 10)):
        at = toy.op(name, "linear", [at], Tensor((1, 4)), Facts(macs=macs, flops=macs))
    found = profiled(toy.graph(at), "timed")
    columns = (
        Column("seconds", "s", "sum", "how long"),
        Column("rate", "FLOP/s", "ratio", "how fast", ("flops", "seconds")),
        Column("above", "s", "sum", "how late"),
        Column("rms", "", "none", "how large"),
        Column("flag", "text", "none", "what is odd"),
    )
    values = {
        "seconds": [0.5, 0.2, 0.1],
        "rate": [200.0, 500.0, 100.0],
        "above": [0.3, -0.1, 0.2],
        "rms": [0.25, None, 0.75],
        "flag": ["", "odd", ""],
    }
    more = {column.name: column for column in columns}
    return replace(found, columns={**found.columns, **more}, values={**found.values, **values})


def profiled(graph: Graph, model: str = "toy") -> Profile:
    """The profile of a network written out op by op."""
    columns, values, outside = {}, {}, {}
    for entry in ANALYSES.values():
        for column, found in zip(entry.columns, entry.function(graph), strict=True):
            columns[column.name], values[column.name], outside[column.name] = column, found.values, found.outside
    return Profile(model, graph, columns, values, outside)
