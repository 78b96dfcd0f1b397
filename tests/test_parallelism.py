"""The critical path and what runs beside what: worked out by hand on toys and on googlenet's inception module."""

from __future__ import annotations

import networkx
import pytest
import toys
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import archprof
from archprof.cli import main
from archprof.graph import Graph
from archprof.parallelism import critical_path, regions
from archprof.records import Op, Tensor
from archprof.result import Profile


def macs(graph: Graph) -> list[int | None]:
    return [getattr(graph.facts[op.name], "macs", None) for op in graph.ops]


def beside(graph: Graph, costs: list[int | None]) -> list[tuple[str, str, list[tuple[float, float]]]]:
    return [(r.fork, r.join, [(b.total, b.longest) for b in r.branches]) for r in regions(graph, costs)]


def wired(edges: dict[str, list[str]], inputs: str = "x") -> Graph:
    """A network of these ops in this order, by the names of what they read."""
    tensor = Tensor((1,))
    ops = [
        (Op(name, "add", name, (tensor,) * len(reads), (tensor,)), [(read, 0) for read in reads])
        for name, reads in edges.items()
    ]
    return Graph.of([(name, tensor) for name in inputs], ops, {"out": (list(edges)[-1], 0)})


# -- by hand -----------------------------------------------------------------------------------------------------------


def test_the_longest_of_four_branches() -> None:
    graph = toys.branches()
    # on 8x8 = 64 places, 16 channels in: b1 64*16*4 = 4096; b2 64*16*2 = 2048 and 64*2*9*8 = 9216; b3 64*16 = 1024 and
    # 64*25*4 = 6400; b4 64*16*2 = 2048
    found = critical_path(graph, macs(graph))
    assert found.ops == ("mixed.b2.reduce", "mixed.b2.conv", "mixed.cat")
    assert (found.length, found.total) == (11_264, 24_832)
    assert found.parallelism == pytest.approx(2.2045, abs=1e-4)
    four = [(4096, 4096), (11_264, 11_264), (7424, 7424), (2048, 2048)]
    assert beside(graph, macs(graph)) == [("image", "mixed.cat", four)]


def test_a_shortcut_that_costs_nothing_is_no_branch_and_one_that_does_is() -> None:
    graph = toys.residual()
    # layer2.0, on 16x16 places: conv1 256*8*9*16 = 294,912 and conv2 256*16*9*16 = 589,824 beside down 256*8*16 = 32,768
    (region,) = regions(graph, macs(graph))
    assert (region.fork, region.join) == ("layer1.0.relu2", "layer2.0.relu2.add")
    assert [branch.total for branch in region.branches] == [884_736, 32_768]
    assert region.parallelism == pytest.approx(917_504 / 884_736)


def test_two_towers_meet_twice() -> None:
    graph = toys.towers()
    # 8x8 places: conv1 64*3*9*8 = 13,824 and conv2 64*16*9*8 = 73,728, each twice
    found = critical_path(graph, macs(graph))
    assert (found.length, found.parallelism) == (87_552, 2)
    assert found.ops == ("conv1a", "relu1a", "join", "conv2a", "relu2a", "out")
    assert beside(graph, macs(graph)) == [
        ("image", "join", [(13_824, 13_824)] * 2), ("join", "out", [(73_728, 73_728)] * 2),
    ]  # fmt: skip


def test_a_fork_inside_a_branch_is_a_region_of_its_own() -> None:
    graph = wired({"a": ["x"], "b": ["a"], "c": ["b"], "d": ["b"], "e": ["c", "d"], "f": ["a"], "g": ["e", "f"]})
    costs = [1, 1, 2, 3, 1, 4, 0]  # a, and then b, c or d, e beside f
    assert beside(graph, costs) == [("b", "e", [(2, 2), (3, 3)]), ("a", "g", [(7, 5), (4, 4)])]
    assert critical_path(graph, costs).length == 6


def test_two_inputs_are_beside_each_other() -> None:
    graph = wired({"a": ["x"], "b": ["y"], "c": ["a", "b"]}, "xy")
    assert beside(graph, [5, 7, 1]) == [("", "c", [(5, 5), (7, 7)])]


def test_a_chain_and_an_empty_network_have_no_branches() -> None:
    graph = wired({"a": ["x"], "b": ["a", "a"]})
    assert regions(graph, [1, 1]) == []
    assert critical_path(graph, [1, 1]).parallelism == 1
    empty = Graph.of([("x", Tensor((1,)))], [], {"out": ("x", 0)})
    assert critical_path(empty, []).ops == ()
    assert regions(empty, []) == []
    assert critical_path(empty, []).parallelism == 1


def test_an_unknown_op_makes_no_path_longer() -> None:
    graph = toys.unknown()
    # conv 64*3*9*4 = 6912, head 64*4*2 = 512
    assert critical_path(graph, macs(graph)).length == 7424


def test_an_inception_module_by_the_table_of_its_paper() -> None:
    """Inception (3a): 28x28 places, 192 channels in; 64 | 96 -> 128 (3x3) | 16 -> 32 (5x5) | pool -> 32."""
    found = archprof.profile("googlenet")
    (first, *_) = regions(found.network, found.values["macs"])
    assert first.join == "inception3a.out"
    assert [branch.total for branch in first.branches] == [
        9_633_792,  # 784*192*64
        101_154_816,  # 784*192*96 + 784*96*9*128
        12_443_648,  # 784*192*16 + 784*16*25*32
        4_816_896,  # 784*192*32
    ]
    assert first.total == 128_049_152
    assert first.parallelism == pytest.approx(1.2659, abs=1e-4)
    assert len(regions(found.network, found.values["macs"])) == 9  # 3a, 3b, 4a to 4e, 5a, 5b


# -- laws --------------------------------------------------------------------------------------------------------------


@st.composite
def priced(draw: st.DrawFn) -> tuple[Graph, list[int]]:
    size = draw(st.integers(1, 14))
    edges: dict[str, list[str]] = {}
    for number in range(size):
        known = ["x", *edges]
        edges[f"n{number}"] = draw(st.lists(st.sampled_from(known), min_size=1, max_size=3))
    return wired(edges), draw(st.lists(st.integers(0, 9), min_size=size, max_size=size))


@settings(max_examples=100, deadline=None)
@given(priced())
def test_the_path_is_the_longest_of_all_and_branches_do_not_meet(network: tuple[Graph, list[int]]) -> None:
    graph, costs = network
    price = dict(zip((op.name for op in graph.ops), costs, strict=True))
    found = critical_path(graph, costs)
    plain = networkx.DiGraph((a, b, {"weight": price[b]}) for a, b, _ in graph.networkx.edges)
    assert found.length == networkx.dag_longest_path_length(plain)
    assert sum(price[name] for name in found.ops) == found.length
    assert all(b in plain[a] for a, b in zip(found.ops, found.ops[1:], strict=False))
    assert found.length <= found.total
    for region in regions(graph, costs):
        sets = [set(branch.ops) for branch in region.branches]
        assert len(sets) > 1
        for number, one in enumerate(sets):
            for other in sets[number + 1 :]:
                assert not one & other
                assert not any(
                    networkx.has_path(plain, a, b) or networkx.has_path(plain, b, a) for a in one for b in other
                )
        assert region.longest <= found.length
        assert region.parallelism >= 1


# -- the page ----------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "110")


def run(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["path", *words], catch_exceptions=False)
    return result.exit_code, result.stdout, result.stderr


def test_the_page_tells_the_path_and_the_branches() -> None:
    code, out, _ = run("googlenet", "--top", "3")
    assert code == 0
    assert out.startswith("googlenet: the longest path by macs has 1.213 G of 1.583 G and ")
    assert [line.split()[0] for line in out.splitlines() if " Conv2d " in line] == [
        "conv1.conv", "conv3.conv", "inception3b.branch2.1.conv",
    ]  # fmt: skip
    (row,) = [line for line in out.splitlines() if "inception3a.out" in line]
    assert row.split("  ")[-1].strip() == "9.634 M | 101.2 M | 12.44 M | 4.817 M"
    assert "\n\n\n" not in out


def test_equal_regions_are_one_row() -> None:
    assert "3 × layer2.0.sum … layer4.0.sum" in run("resnet18")[1]


def test_on_a_device_a_path_is_as_long_as_it_takes() -> None:
    assert "the longest path by time_s has " in run("googlenet", "--on", "t4")[1]
    assert "the longest path by fused_bytes has " in run("googlenet", "--on", "t4", "--by", "fused_bytes")[1]


def test_a_chain_has_nothing_beside_it() -> None:
    assert "no branches that cost something run beside each other" in run("inception-bottleneck")[1]


def test_a_path_of_nothing_is_shown_too() -> None:
    code, out, _ = run("inception-bottleneck", "--by", "buffers")
    assert code == 0
    assert "parallelism 1.000" in out


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("mac", "error: there is no column 'mac'; did you mean 'macs'?\n"),
        ("bound", "error: a path is as long as its ops together, and bound does not add up\n"),
    ],
)
def test_mistakes_are_one_line(by: str, message: str) -> None:
    assert run("inception-bottleneck", "--on", "t4", "--by", by) == (2, "", message)


def test_gaps_are_told() -> None:
    from archprof.paths import page
    from archprof.records import Column
    from archprof.renderers import View

    graph = toys.unknown()
    found = Profile("toy", graph, {"macs": Column("macs", "count", "sum", "")}, {"macs": macs(graph)}, {})
    assert "! 1 op unknown, so totals are lower bounds: mystery" in page(found, "macs", View(top=3))
