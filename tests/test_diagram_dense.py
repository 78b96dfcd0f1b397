"""Runs that are no exact repeats: dense ones, and similar ones where they are asked for; what varies is said."""

from __future__ import annotations

import pygraphviz
import pytest
import toys
from test_diagram_fold import runs
from toys import Toy

from archprof.graph import Graph
from archprof.renderers.diagram import compose, description, diagram, mermaid, tikz
from archprof.renderers.diagram.fold import fold_repeats
from archprof.renderers.diagram.fuse import drop_glue, fuse_followers, single
from archprof.renderers.diagram.tree import Group, Node, Run, grow


def block(layers: int, *, inside: bool, odd: int = -1, **changes: object) -> Graph:
    """A dense block: each layer reads all earlier ones, by a concat inside or behind it; layer `odd` has other settings."""
    toy = Toy()
    at = toy.input("x", 1, 8, 8, 8)
    outs = [at]
    for number in range(layers):
        given = {"channels": 4, "kernel": 3, **(changes if number == odd else {})}
        reads = given.pop("reads", outs)
        if inside:
            at = toy.cat(f"block.layer{number}.cat", *(reads(outs) if callable(reads) else reads))
        at = toy.conv(f"block.layer{number}.conv1", at, 16)
        outs.append(toy.conv(f"block.layer{number}.conv2", at, **given))  # type: ignore[arg-type]
        if not inside:
            last = outs[0] if number == 0 else f"block.maps{number - 1}"
            at = toy.cat(f"block.maps{number}", last, outs[-1])
    at = toy.cat("block.all", *outs) if inside else at
    return toy.graph(toy.conv("head", at, 10))


def tree(graph: Graph, *, similar: bool = False) -> Group:
    return fold_repeats(graph, grow(fuse_followers(graph, drop_glue(graph, single(graph)))), similar=similar)


def first_run(node: Node) -> Run | None:
    if isinstance(node, Run):
        return node
    return next(filter(None, map(first_run, node.children)), None) if isinstance(node, Group) else None


@pytest.mark.parametrize("inside", [True, False])
def test_layers_that_read_all_earlier_ones_fold_and_say_so(inside: bool) -> None:
    graph = block(6, inside=inside)
    run = first_run(tree(graph))
    assert run is not None
    # 8 channels come in, and each of six layers adds 4: the last reads 8 + 5*4 = 28
    assert (len(run.copies), run.told) == (6, "each layer reads all earlier ones: 8→12→…→28")
    text = diagram(graph, title="t", depth=3)
    assert "each layer reads all earlier ones" in text
    # the layers read 8 + 12 + 16 + 20 + 24 + 28 = 108 channels: 108*16*3*3 weights at 8x8 places are 995,328
    assert "995.3 kMAC" in text
    for written in (mermaid.write, tikz.write):
        assert "each layer reads all earlier ones" in written(compose(graph, title="t", depth=3), "t", "d")


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize(
    "change", [{"kernel": 5}, {"channels": 5}, {"dilation": (2, 2)}, {"groups": 2}, {"bias": 1}, {"padding": (1, 0)}]
)
def test_a_layer_with_another_setting_ends_a_dense_run(inside: bool, change: dict[str, object]) -> None:
    run = first_run(tree(block(6, inside=inside, odd=5, **change)))
    assert run is None or len(run.copies) <= 5
    whole = first_run(tree(block(6, inside=inside)))
    assert whole is not None
    assert len(whole.copies) == 6


def test_a_layer_that_leaves_one_out_ends_a_dense_run() -> None:
    for reads in (lambda outs: outs[1:], lambda outs: outs[:-1], lambda outs: outs[::-1]):
        run = first_run(tree(block(5, inside=True, odd=4, reads=reads)))
        assert run is None or len(run.copies) == 4
        assert run is None or "layer4" not in run.copies[-1][0].path  # type: ignore[union-attr]


def test_two_layers_are_no_dense_run() -> None:
    assert runs(tree(block(2, inside=True))) == []
    assert runs(tree(block(3, inside=True))) == [3]


def test_a_layer_that_somebody_else_reads_is_in_no_dense_run() -> None:
    graph = block(5, inside=False)
    toy = Toy()
    at = toy.input("x", 1, 8, 8, 8)
    assert first_run(tree(graph)) is not None
    outs = [at]
    for number in range(5):
        at = toy.conv(f"block.layer{number}.conv2", toy.conv(f"block.layer{number}.conv1", at, 16), 4, kernel=3)
        outs.append(at)
        at = toy.cat(f"block.maps{number}", outs[0] if number == 0 else f"block.maps{number - 1}", at)
    run = first_run(tree(toy.graph(toy.add("sum", toy.conv("head", at, 4), outs[2]))))
    assert run is not None  # but not of layer1, which is outs[2]; what it makes comes in like the input
    assert [copy[0].path for copy in run.copies] == ["block.layer2", "block.layer3", "block.layer4"]  # type: ignore[union-attr]
    assert first_run(tree(toy.graph(toy.add("sum", toy.conv("head2", at, 4), outs[4])))) is None


def expanded(graph: Graph, run: Run) -> list[tuple[object, ...]]:
    """Write out what each layer of a dense run reads, from the first layer and the number of layers alone."""
    first = run.copies[0][0]
    made = [op.name for op in first.children[-1].ops][-1]  # type: ignore[union-attr]
    (begin,) = {e.producer for child in first.children for op in child.ops for e in graph.reads(op.name)  # type: ignore[union-attr]
                if e.producer not in {op.name for child in first.children for op in child.ops}}  # type: ignore[union-attr]  # fmt: skip
    return [(begin, *(made.replace("layer0", f"layer{n}") for n in range(number))) for number in range(len(run.copies))]


def test_the_first_layer_and_their_number_tell_what_every_layer_reads() -> None:
    graph = block(6, inside=True)
    run = first_run(tree(graph))
    assert run is not None
    real = [tuple(graph.producers(f"block.layer{number}.cat")) for number in range(6)]
    assert expanded(graph, run) == real


@pytest.mark.parametrize("name", ["densenet121", "torchvision:densenet121"])
def test_the_blocks_of_a_densenet_fold(name: str, profiled) -> None:
    if ":" in name:
        pytest.importorskip("torchvision", reason="torchvision is not installed")
    graph = profiled(name).network
    assert runs(tree(graph)) == [6, 12, 24, 16]  # Table 1 of the paper
    nodes = pygraphviz.AGraph(string=diagram(graph, title="t", depth=3))
    signs = [node.attr["label"] for node in nodes.nodes() if "concat" in str(node.attr["label"])]
    assert any("→256×56×56" in sign or "→224×56×56" in sign for sign in signs)
    assert "and 5 like it" in description(graph)


def staged(*channels: int, stride: int = 2) -> Graph:
    """Stages of two convolutions of equal width, the first of which halves the size."""
    toy = Toy()
    at = toy.input("x", 1, channels[0] // 2, 64, 64)
    for number, width in enumerate(channels):
        at = toy.conv(f"stage{number}.conv1", at, width, kernel=3, stride=stride)
        at = toy.conv(f"stage{number}.conv2", at, width, kernel=3)
    return toy.graph(at)


def test_similar_stages_fold_where_that_is_asked_for_and_say_what_varies() -> None:
    graph = staged(16, 32, 64)
    assert runs(tree(graph)) == []
    run = first_run(tree(graph, similar=True))
    assert run is not None
    assert (len(run.copies), run.told) == (3, "similar: 16→32→64 · 32→16→8")
    text = diagram(graph, title="t", fold="similar", depth=2)
    assert "16→32→64×32→16→8" in text
    assert "similar" not in diagram(graph, title="t", depth=2)


def test_what_is_equal_in_the_first_is_equal_in_all_similar_ones() -> None:
    toy = Toy()
    at = toy.input("x", 1, 8, 64, 64)
    for number, widths in enumerate([(16, 16), (32, 48), (64, 64)]):
        for place, width in enumerate(widths):
            at = toy.conv(f"stage{number}.conv{place}", at, width, kernel=3, stride=2 - place)
    assert first_run(tree(toy.graph(at), similar=True)) is None


@pytest.mark.parametrize("change", [{"kernel": 5}, {"stride": 1}, {"bias": 1}, {"dilation": (2, 2)}])
def test_similar_ones_have_equal_settings(change: dict[str, object]) -> None:
    toy = Toy()
    at = toy.input("x", 1, 8, 64, 64)
    for number, width in enumerate((16, 32)):
        given = {"kernel": 3, "stride": 2, **(change if number else {})}
        at = toy.conv(f"stage{number}.conv1", at, width, **given)  # type: ignore[arg-type]
        at = toy.relu(f"stage{number}.relu", at)
    assert first_run(tree(toy.graph(at), similar=True)) is None


def test_exact_repeats_stay_exact_where_similar_ones_fold() -> None:
    graph = toys.residual()
    assert "similar" not in diagram(graph, title="t", fold="similar")
    assert diagram(graph, title="t", fold="similar") == diagram(graph, title="t")


def test_the_stages_of_a_resnet_are_similar_and_the_shares_stay_whole(profiled) -> None:
    graph = profiled("resnet18").network
    picture = compose(graph, title="t", fold="similar", depth=0)
    pieces = picture.scene.sketch.pieces
    assert sorted(name for piece in pieces for name in piece.names) == sorted(graph.nodes)
    stages = next(piece for piece in pieces if piece.paths == ("layer2", "layer4"))
    assert (stages.copies, stages.told) == (3, "similar: 128→256→512 · 28→14→7")


def test_no_network_of_the_zoo_folds_another_kind_of_run_by_default(profiled) -> None:
    for name in ("resnet50", "googlenet", "vgg16", "mobilenet-v2", "swin-t", "bert-base"):
        folded = tree(profiled(name).network)
        told = [run.told for run in every_run(folded)]
        assert not any(told), name


def every_run(node: Node) -> list[Run]:
    if isinstance(node, Run):
        return [node, *(run for child in node.copies[0] for run in every_run(child))]
    return [run for child in node.children for run in every_run(child)] if isinstance(node, Group) else []
