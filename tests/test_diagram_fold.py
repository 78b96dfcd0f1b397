"""Fusing and folding: what shares a box, what is drawn once, and that nothing is lost by it."""

from __future__ import annotations

import itertools
import re

import pytest
import toys
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import Toy

from archprof.graph import INPUT, Graph
from archprof.records import Op
from archprof.renderers.diagram import diagram
from archprof.renderers.diagram.cut import cut
from archprof.renderers.diagram.fold import fold_repeats
from archprof.renderers.diagram.fuse import Box, drop_glue, fuse_followers, single
from archprof.renderers.diagram.measure import costs
from archprof.renderers.diagram.sketch import Sketcher
from archprof.renderers.diagram.tree import Group, Node, Run, compress, grow, ops


def boxes_of(graph: Graph) -> tuple[Box, ...]:
    return fuse_followers(graph, drop_glue(graph, single(graph)))


def folded(graph: Graph) -> Group:
    return fold_repeats(graph, grow(boxes_of(graph)))


def runs(node: Node) -> list[int]:
    """Return the number of copies of every run in `node`, outer ones first."""
    if isinstance(node, Run):
        return [len(node.copies), *(n for child in node.copies[0] for n in runs(child))]
    return [n for child in node.children for n in runs(child)] if isinstance(node, Group) else []


def test_norm_and_activation_join_the_convolution_they_follow() -> None:
    toy = Toy()
    last = toy.relu("relu", toy.norm("bn", toy.conv("conv", toy.input("x", 1, 3, 8, 8), 4, kernel=3, stride=2)))
    assert "Conv2d 3×3/2 + BN + ReLU" in diagram(toy.graph(last), title="t")


def test_an_activation_with_two_readers_before_it_stays_apart() -> None:
    toy = Toy()
    conv = toy.conv("conv", toy.input("x", 1, 4, 8, 8), 4)
    graph = toy.graph(toy.add("sum", toy.relu("relu", conv), conv))
    assert [len(box.ops) for box in boxes_of(graph)] == [1, 1, 1, 1]


def test_an_activation_of_another_group_stays_apart() -> None:
    toy = Toy()
    graph = toy.graph(toy.relu("b.relu", toy.conv("a.conv", toy.input("x", 1, 4, 8, 8), 4)))
    assert [len(box.ops) for box in boxes_of(graph)] == [1, 1, 1]


def test_a_step_whose_path_is_also_a_group_is_one_box() -> None:
    toy = Toy()
    conv = toy.conv("conv", toy.input("x", 1, 4, 8, 8), 4)
    graph = toy.graph(toy.relu("out", toy.add("out.add", conv, "x")))
    tree = compress(grow(boxes_of(graph)))
    assert [(box.path, [op.kind for op in box.ops]) for box in tree.children] == [  # type: ignore[union-attr]
        ("x", ["input"]), ("conv", ["conv2d"]), ("out", ["add", "relu"]),
    ]  # fmt: skip


def test_glue_goes_without_saying_and_an_unknown_op_does_not() -> None:
    toy = Toy()
    at = toy.conv("conv", toy.input("x", 1, 4, 8, 8), 4)
    at = toy.op("view", "contiguous", [at], toy.tensors[at], toys.Facts(is_view=True))
    at = toy.op("odd", "contiguous", [at], toy.tensors[at], toys.Unknown("no rule"))
    assert [box.path for box in boxes_of(toy.graph(at))] == ["x", "conv", "odd"]


def repeated(**changes: object) -> list[int]:
    """Return the runs in three convolutions of which the last has other settings, if any are given."""
    toy = Toy()
    at = toy.conv("0.conv", toy.input("x", 1, 4, 16, 16), 4)
    at = toy.conv("1.conv", at, 4)
    return runs(folded(toy.graph(toy.conv("2.conv", at, **{"channels": 4, **changes}))))  # type: ignore[arg-type]


def test_equal_layers_in_a_row_fold() -> None:
    assert repeated() == [3]


@pytest.mark.parametrize(
    "change",
    [
        {"kernel": 5},
        {"stride": 2},
        {"channels": 5},
        {"padding": (0, 0)},
        {"dilation": (2, 2)},
        {"groups": 2},
        {"bias": 1},
    ],
)
def test_a_copy_that_differs_in_one_setting_does_not_fold(change: dict[str, object]) -> None:
    assert repeated(**change) == [2]


def test_a_fold_within_a_fold_multiplies() -> None:
    toy = Toy()
    at = toy.input("x", 1, 4, 16, 16)
    for block in range(3):
        for number in range(2):
            at = toy.conv(f"layer.{block}.conv{number}", at, 4)
    assert "×6" in diagram(toy.graph(at), title="t")  # three blocks of two equal layers, drawn as one box
    assert "layer.0.conv0…layer.2.conv1" in diagram(toy.graph(at), title="t")


def test_true_and_one_are_different_settings() -> None:
    toy = Toy()
    at = toy.conv("0.conv", toy.input("x", 1, 4, 8, 8), 4, flag=1)
    assert runs(folded(toy.graph(toy.conv("1.conv", at, 4, flag=True)))) == []


def test_a_copy_with_another_name_inside_does_not_fold() -> None:
    toy = Toy()
    at = toy.pool("0.pool", toy.conv("0.conv", toy.input("x", 1, 4, 8, 8), 4))
    at = toy.conv("1.conv2", at, 4)
    assert runs(folded(toy.graph(at))) == []


def test_a_copy_that_somebody_else_reads_ends_the_run() -> None:
    toy = Toy()
    outs = [toy.input("x", 1, 4, 8, 8)]
    for number in range(4):
        outs.append(toy.conv(f"block.{number}", outs[-1], 4))
    assert runs(folded(toy.graph(toy.add("sum", outs[4], outs[2])))) == [2, 2]


def test_a_copy_that_reads_two_back_ends_the_run() -> None:
    toy = Toy()
    outs = [toy.input("x", 1, 4, 8, 8)]
    for number in range(3):
        outs.append(toy.add(f"block.{number}.add", toy.conv(f"block.{number}.conv", outs[-1], 4), outs[-1]))
    other = toy.add("block.3.add", toy.conv("block.3.conv", outs[-1], 4), outs[-2])
    assert runs(folded(toy.graph(other))) == [2]


def test_parallel_branches_do_not_fold() -> None:
    assert runs(folded(toys.towers())) == []


def test_copies_may_read_one_tensor_from_outside() -> None:
    toy = Toy()
    at = mask = toy.conv("mask", toy.input("x", 1, 4, 8, 8), 4)
    at = toy.conv("begin", at, 4)
    for number in range(3):
        at = toy.add(f"block.{number}.add", toy.conv(f"block.{number}.conv", at, 4), mask)
    assert runs(folded(toy.graph(at))) == [3]


def test_alternating_layers_fold_in_pairs() -> None:
    toy = Toy()
    at = toy.input("x", 1, 4, 8, 8)
    for number in range(0, 6, 2):
        at = toy.conv(f"net.{number + 1}", toy.conv(f"net.{number}", at, 4, kernel=1), 4, kernel=3)
    tree = folded(toy.graph(at))
    run = next(child for child in tree.children[1].children if isinstance(child, Run))  # type: ignore[union-attr]
    assert (len(run.copies), len(run.copies[0])) == (3, 2)
    assert "×3" in diagram(toy.graph(at), title="t")


def test_blocks_that_share_their_weights_do_not_fold_with_the_one_that_owns_them() -> None:
    toy = Toy()
    at = toy.conv("0.conv", toy.input("x", 1, 4, 8, 8), 4)
    shared = toy.ops[0][0].weights
    for number in (1, 2):
        at = toy.conv(f"{number}.conv", at, 4)
        op, sources = toy.ops.pop()
        toy.ops.append((Op(op.name, op.kind, op.path, op.inputs, op.outputs, shared, op.arguments, op.layer), sources))
    assert runs(folded(toy.graph(at))) == [2]


def test_fold_none_draws_every_copy() -> None:
    assert "×3" in diagram(toys.residual(), title="t")
    unfolded = diagram(toys.residual(), title="t", fold="none", depth=9)
    assert "layer2.3.conv1" in unfolded
    assert not re.search(r"×\d+</B></FONT>", unfolded)


Layer = tuple[str, int]
Plan = list["Layer | tuple[str, int, Plan]"]
LAYERS = st.tuples(st.sampled_from(["conv", "relu", "norm", "add"]), st.sampled_from([1, 3]))
PLANS = st.recursive(
    st.lists(LAYERS, min_size=1, max_size=3),
    lambda inner: st.lists(LAYERS | st.tuples(st.just("group"), st.integers(1, 4), inner), min_size=1, max_size=3),
    max_leaves=8,
)


def network(plan: Plan) -> Graph:
    """Return a network after a plan: layers, and groups that are repeated; `add` reads two back, mostly."""
    toy = Toy()
    history = [toy.input("x", 1, 4, 8, 8)]
    counter = itertools.count()

    def build(part: Plan, prefix: str) -> None:
        for number, item in enumerate(part):
            if item[0] == "group":
                _, copies, inner = item  # type: ignore[misc]
                for copy in range(copies):
                    build(inner, f"{prefix}g{number}.{copy}.")
                continue
            kind, size = item  # type: ignore[misc]
            path = f"{prefix}{kind}{number}"
            if kind == "conv":
                at = toy.conv(path, history[-1], 4, kernel=size)
            elif kind == "add":
                at = toy.add(path, history[-1], history[-min(len(history), 1 + size)])
            else:
                at = getattr(toy, kind)(path, history[-1])
            next(counter)
            history.append(at)

    build(plan, "")
    return toy.graph(history[-1])


def moved_read(
    read: tuple[int, int, int],
    place: int,
    loops: dict[tuple[int, int], tuple[int, int]],
    begin: int,
    copy: int,
    size: int,
) -> tuple[int, int, int]:
    """Return where copy number `copy` of an op reads, given where the first copy does."""
    position, output, source = read
    if source >= begin:
        return position, output, source + copy * size
    if (place, position) in loops:
        producer, output = loops[place, position]
        return position, output, begin + (copy - 1) * size + producer
    return read


def expanded(graph: Graph, root: Group) -> list[tuple[object, ...]]:
    """Write the network out from the first copies, their number and their loops alone: content and wires of each op."""
    index = {op.name: place for place, op in enumerate(ops([root]))}
    written: list[tuple[object, ...]] = []

    def write(node: Node) -> None:
        if isinstance(node, Group):
            for child in node.children:
                write(child)
        elif isinstance(node, Run):
            begin = len(written)
            for child in node.copies[0]:
                write(child)
            first = written[begin:]
            loops = {(consumer, position): (producer, output) for producer, output, consumer, position in node.loops}
            for copy in range(1, len(node.copies)):
                for place, (kind, settings, reads) in enumerate(first):
                    moved = [moved_read(read, place, loops, begin, copy, len(first)) for read in reads]  # type: ignore[attr-defined]
                    written.append((kind, settings, moved))
        else:
            written.extend(content(graph, op, index) for op in node.ops)

    write(root)
    return written


def content(graph: Graph, op: Op, index: dict[str, int]) -> tuple[object, ...]:
    reads = [(edge.position, edge.output, index[edge.producer]) for edge in graph.reads(op.name)]
    return op.kind, sorted(map(repr, op.arguments.items())), reads


@settings(max_examples=150, deadline=None)
@given(PLANS)
def test_a_folded_network_written_out_is_the_network(plan: Plan) -> None:
    graph = network(plan)
    tree = folded(graph)
    index = {op.name: place for place, op in enumerate(ops([tree]))}
    assert expanded(graph, tree) == [content(graph, op, index) for op in ops([tree])]
    assert sorted(index) == sorted(graph.networkx.nodes)


@settings(max_examples=100, deadline=None)
@given(PLANS, st.integers(0, 3))
def test_the_shares_in_a_picture_make_up_the_whole(plan: Plan, depth: int) -> None:
    graph = network(plan)
    sketcher = Sketcher(graph, compress(folded(graph)))  # type: ignore[arg-type]
    measured = costs(graph, "flops")
    sketch = sketcher.sketch(cut(sketcher, measured, depth).opened)
    names = [name for piece in sketch.pieces for name in piece.names]
    assert sorted(names) == sorted(graph.networkx.nodes)
    known = [[name for name in piece.names if graph[name].kind != INPUT] for piece in sketch.pieces]
    assert sum(measured.of(part).share for part in known) == pytest.approx(1.0)


def test_a_plan_with_repeats_does_fold() -> None:
    assert runs(folded(network([("group", 4, [("conv", 3), ("group", 2, [("conv", 1)])])]))) == [4, 2]
