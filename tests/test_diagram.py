"""The diagram: its text is stable, budgets hold, it says what it should, and hostile names stay text."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from xml.dom import minidom

import pygraphviz
import pytest
import toys
from pictures import centres
from toys import Toy

from archprof.errors import UnknownName, UserError
from archprof.graph import Graph
from archprof.records import Tensor
from archprof.renderers.diagram import STYLES, accessible, diagram, render
from archprof.renderers.diagram.cut import cut
from archprof.renderers.diagram.fold import fold_repeats
from archprof.renderers.diagram.fuse import drop_glue, fuse_followers, single
from archprof.renderers.diagram.measure import costs
from archprof.renderers.diagram.sketch import Sketcher
from archprof.renderers.diagram.tree import compress, grow
from archprof.renderers.diagram.wiring import wire_up

GOLDEN = Path(__file__).parent / "golden"
HOSTILE = '"]; evil [label=x]; // </table>\n<b>&lt;\\N {} {|} :n'


def drawn(dot: str) -> pygraphviz.AGraph:
    return pygraphviz.AGraph(string=dot)


def attributes(dot: str, name: str) -> dict[str, str]:
    """Return the attributes of the node `name`, as Graphviz reads them."""
    graph = drawn(dot)
    return dict(graph.get_node(name).attr.items())


# -- golden texts ------------------------------------------------------------------------------------------------------


def sketcher_of(graph: Graph) -> Sketcher:
    boxes = fuse_followers(graph, drop_glue(graph, single(graph)))
    return Sketcher(graph, compress(fold_repeats(graph, grow(boxes))))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["residual", "branches", "towers", "unknown"])
def test_a_toy_network_gives_the_text_on_file(name: str) -> None:
    text = diagram(getattr(toys, name)(), title=name, note="batch 1")
    file = GOLDEN / f"{name}.dot"
    if os.environ.get("ARCHPROF_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def test_the_text_does_not_depend_on_the_hash_seed() -> None:
    program = "import toys; from archprof.renderers.diagram import diagram; print(diagram(toys.residual(), title='t'))"
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1])])
    texts = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
            capture_output=True, check=True,
        ).stdout
        for seed in ("0", "1")
    }  # fmt: skip
    assert len(texts) == 1


def wide(groups: int, layers: int) -> Graph:
    """A chain of groups, each of layers that all differ."""
    toy = Toy()
    at = toy.input("x", 1, 4, 8, 8)
    for group in range(groups):
        for layer in range(layers):
            at = toy.conv(f"g{group}.l{layer}", at, 4 + (group + layer) % 5, kernel=1 + 2 * (layer % 3))
    return toy.graph(at)


@pytest.mark.parametrize("depth", [None, 1, 5])
def test_no_picture_has_more_pieces_than_the_budget(depth: int | None) -> None:
    graph = wide(20, 20)
    sketcher = sketcher_of(graph)
    sketch = sketcher.sketch(cut(sketcher, costs(graph, "macs"), depth).opened)
    assert len(sketch.pieces) == 21
    assert len(sketch.pieces) <= STYLES["auto"].nodes
    assert sketch.virtual <= STYLES["auto"].virtual


def test_a_depth_that_does_not_fit_says_how_many_groups_stay_closed() -> None:
    assert "20 groups kept closed" in diagram(wide(20, 20), title="t", depth=2)


def test_depth_zero_opens_nothing_and_depth_one_the_stages_only() -> None:
    nothing, stages = (diagram(toys.residual(), title="t", depth=depth) for depth in (0, 1))
    assert "cluster_" not in nothing
    assert sorted(drawn(stages).nodes()) == [
        "image", "layer1.0.conv1", "layer1.0.conv2", "layer1.0.relu2", "layer2.0", "layer2.1", "legend",
        "output.output", "pool", "stem",
    ]  # fmt: skip


def test_groups_that_look_alike_open_together() -> None:
    graph = wide(4, 18)
    sketcher = sketcher_of(graph)
    assert cut(sketcher, costs(graph, "macs"), 3).opened == frozenset()


def test_expand_opens_a_group_whatever_the_budget_and_collapse_shuts_it() -> None:
    opened = diagram(wide(20, 20), title="t", expand=["g3"])
    assert {"g3.l0", "g3.l19", "g4"} <= set(drawn(opened).nodes())
    closed = diagram(toys.residual(), title="t", collapse=["layer*"])
    assert {"layer1.0", "layer2"} <= set(drawn(closed).nodes())


def test_the_shares_of_each_metric_are_printed() -> None:
    graph = toys.branches()
    assert "9.216 kMAC · 37.1 %" in diagram(graph, title="t")
    assert "144 params · 37.1 %" in diagram(graph, title="t", metric="params")
    assert "2.000 KiB · 20.5 %" in diagram(graph, title="t", metric="bytes")
    assert "18.43 kFLOP · 37.1 %" in diagram(graph, title="t", metric="flops")


def test_the_numbers_of_a_folded_block_are_those_of_all_copies() -> None:
    text = diagram(toys.residual(), title="t", collapse=["layer2.*"])
    node = attributes(text, "layer2.1")
    assert "×3" in node["label"]
    assert "together 3.539 MMAC · 60.4 %" in node["label"]
    assert node["tooltip"].startswith("layer2.1 to layer2.3, 3 copies; 21 ops, 13,824 params")


def test_an_unknown_op_is_dashed_has_a_question_mark_and_is_counted_in_the_title() -> None:
    text = diagram(toys.unknown(), title="t")
    node = attributes(text, "mystery")
    assert "dashed" in node["style"]
    assert "mystery · ?" in node["label"]
    assert "unknown cost: 1 of 3 ops" in text
    assert "at least 7.424 kMAC" in text


def test_a_group_with_an_unknown_op_in_it_is_marked_too() -> None:
    toy = Toy()
    at = toy.conv("g.conv", toy.input("x", 1, 3, 8, 8), 4)
    at = toy.op("g.odd", "warp", [at], toy.tensors[at], toys.Unknown("no rule"))
    node = attributes(diagram(toy.graph(at), title="t", depth=0), "g")
    assert "dashed" in node["style"]
    assert "≥ 6.912 kMAC, 1 ?" in node["label"]


def test_joins_have_signs_for_names() -> None:
    toy = Toy()
    one = toy.conv("a", toy.input("x", 1, 4, 8, 8), 4)
    graph = drawn(diagram(toy.graph(toy.cat("c", toy.add("s", one, "x"), "x")), title="t"))
    assert (graph.get_node("s").attr["label"], graph.get_node("s").attr["shape"]) == ("+", "circle")
    assert (graph.get_node("c").attr["label"], graph.get_node("c").attr["shape"]) == ("concat", "invtrapezium")


def test_a_shape_is_printed_where_it_changes_and_nowhere_else() -> None:
    nodes = drawn(diagram(toys.residual(), title="t"))
    assert "8×32×32" in nodes.get_node("stem").attr["label"]
    assert "8×32×32" not in nodes.get_node("layer1.0.conv1").attr["label"]


def test_branches_stand_side_by_side_in_the_order_of_the_spec() -> None:
    place = centres(render(diagram(toys.branches(), title="t"), "svg"))
    order = [place[name][0] for name in ("mixed.b1", "mixed.b2.reduce", "mixed.b3.reduce", "mixed.b4")]
    assert order == sorted(order)


def test_two_towers_stand_side_by_side() -> None:
    place = centres(render(diagram(toys.towers(), title="t"), "svg"))
    for left, right in (("conv1a", "conv1b"), ("conv2a", "conv2b")):
        assert place[left][0] < place[right][0]
        assert place[left][1] == place[right][1]


def test_a_wrong_option_is_the_users_mistake() -> None:
    with pytest.raises(UnknownName, match="no diagram metric 'mac'; did you mean 'macs'"):
        diagram(toys.towers(), title="t", metric="mac")
    with pytest.raises(UserError, match="direction is TB or LR"):
        diagram(toys.towers(), title="t", direction="up")
    with pytest.raises(UserError, match="fold is exact or similar or none"):
        diagram(toys.towers(), title="t", fold="loose")


def test_a_network_without_cost_is_drawn() -> None:
    toy = Toy()
    text = diagram(toy.graph(toy.relu("relu", toy.input("x", 1, 4))), title="t")
    assert "0 MAC" in text


def hostile() -> Graph:
    toy = Toy()
    at = toy.conv(f"{HOSTILE}.conv", toy.input(HOSTILE, 1, 3, 8, 8), 4)
    at = toy.op(f"{HOSTILE}.op", HOSTILE, [at], Tensor((1, 4, 8, 8)), toys.Facts(), layer=HOSTILE)
    at = toy.op("<b>bold</b>", "<kind>", [at], Tensor((1, 4, 8, 8)), toys.Unknown(HOSTILE), layer="<i>slanted</i>")
    return toy.graph(at, HOSTILE)


ALLOWED = {
    "label", "class", "fillcolor", "fontcolor", "tooltip", "shape", "style", "color", "penwidth", "ordering", "width",
    "height", "margin", "peripheries", "fixedsize", "fontname", "fontsize", "labeljust", "weight", "arrowsize",
    "bgcolor", "compound", "labelloc", "nodesep", "outputorder", "pad", "rankdir", "ranksep", "splines",
}  # fmt: skip


def test_hostile_names_bring_no_nodes_and_no_attributes() -> None:
    graph = drawn(diagram(hostile(), title=HOSTILE, note=HOSTILE, depth=5))
    assert graph.number_of_nodes() == 6
    assert graph.number_of_edges() == 4
    used = {key for thing in (*graph.nodes(), *graph.edges()) for key, value in thing.attr.items() if value}
    used |= set(graph.graph_attr) | set(graph.node_attr) | set(graph.edge_attr)
    assert used <= ALLOWED


def test_hostile_names_are_drawn_as_text() -> None:
    svg = accessible(render(diagram(hostile(), title=HOSTILE, note=HOSTILE, depth=5), "svg"), HOSTILE, HOSTILE)
    document = minidom.parseString(svg)
    texts = ["".join(part.data for part in walk(text)) for text in document.getElementsByTagName("text")]
    shown = '"]; evil [label=x]; // </table> <b>&lt;\\N {} {|} :n'
    assert shown in texts
    assert "<i>slanted</i>" in texts
    assert {tag.nodeName for tag in document.getElementsByTagName("*")} <= {
        "svg", "g", "title", "desc", "polygon", "path", "text", "tspan", "ellipse",
    }  # fmt: skip


def walk(node: minidom.Node) -> list[minidom.Text]:
    return [
        leaf for child in node.childNodes for leaf in ([child] if child.nodeType == child.TEXT_NODE else walk(child))
    ]


def dense(layers: int, *, running: bool = True) -> Graph:
    """A block in which every layer reads all earlier ones; in an order that no earlier concat begins with, if not running."""
    toy = Toy()
    outs = [toy.input("x", 1, 8, 8, 8)]
    for number in range(layers):
        sources = outs if running else outs[::-1]
        outs.append(toy.conv(f"l{number}", toy.cat(f"c{number}", *sources), 4))
    return toy.graph(outs[-1])


def test_concats_of_all_earlier_layers_are_drawn_as_running_ones() -> None:
    graph = dense(4)
    text = diagram(graph, title="t")
    # c3 is the concat of x, l0, l1, l2: it reads c2, which has the first three, and l2
    assert sorted(a for a, b in drawn(text).edges() if b == "c3") == ["c2", "l2"]
    assert sorted(a for a, b in drawn(text).edges() if b == "c1") == ["l0", "x"]
    assert "drawn as reading that one" in text
    assert graph.producers("c3") == ["x", "l0", "l1", "l2"]


def test_a_concat_along_another_axis_is_no_running_one() -> None:
    toy = Toy()
    x, y, z = (toy.input(name, 1, 4, 8, 8) for name in "xyz")
    one = toy.conv("after", toy.cat("one", x, y), 4)
    op, sources = toy.ops[0]
    toy.ops[0] = (replace(op, arguments={"dim": 2}), sources)
    text = diagram(toy.graph(toy.cat("two", x, y, z, one)), title="t")
    assert sorted(a for a, b in drawn(text).edges() if b == "two") == ["after", "x", "y", "z"]


def test_the_longest_wires_become_connectors_where_there_are_too_many() -> None:
    graph = dense(28, running=False)
    text = diagram(graph, title="t")
    sketch = sketcher_of(graph).sketch(())
    wiring = wire_up(sketch, 1, STYLES["auto"].virtual)
    assert sketch.virtual > STYLES["auto"].virtual >= wiring.placed
    nodes = drawn(text)
    letters = [name for name in nodes.nodes() if nodes.get_node(name).attr["class"] == "connector"]
    ends = {nodes.get_node(name).attr["label"] for name in letters}
    assert ends
    assert all(sum(nodes.get_node(name).attr["label"] == end for name in letters) >= 2 for end in ends)
    assert "splines=line" not in text
    assert "larger than a page" in text
    begin = time.perf_counter()
    render(text, "svg")
    assert time.perf_counter() - begin < 10


def test_a_few_long_wires_stay_wires() -> None:
    toy = Toy()
    down = [toy.input("x", 1, 4, 64, 64)]
    for number in range(10):
        down.append(toy.conv(f"down{number}", down[-1], 4 + number))
    at = down[-1]
    for number in range(9, 0, -1):
        at = toy.conv(f"up{number}", toy.cat(f"skip{number}", at, down[number]), 4 + number)
    assert "connector" not in diagram(toy.graph(at), title="t")
