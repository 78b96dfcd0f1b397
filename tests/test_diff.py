"""What became of a network: pairs worked out by hand, and sums that hold whatever the networks are."""

from __future__ import annotations

import csv
import json
import re
import time
from collections import Counter
from xml.dom import minidom

import pytest
import toys
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import archprof
from archprof.bounds import broken, parsed
from archprof.changes import KINDS, Diff, Part, diff
from archprof.changes.lines import apart, lines
from archprof.cli import main
from archprof.diff_page import render, summary
from archprof.diff_picture import FILLS, composed, merged
from archprof.records import Facts, Tensor, Unknown
from archprof.renderers import View
from archprof.renderers.diagram.dot import write
from archprof.result import Profile


def net(*layers: tuple, size: int = 16) -> Profile:
    """A chain of (path, kind, ...) from a picture of 4 channels."""
    toy = toys.Toy()
    last = toy.input("x", 1, 4, size, size)
    for path, kind, *more in layers:
        if kind == "unknown":
            last = toy.op(path, "mystery", [last], toy.tensors[last], Unknown("no rule"))
        elif kind == "add":
            last = toy.add(path, last, more[0] if more else last)
        else:
            last = getattr(toy, kind)(path, last, *more)
    return toys.profiled(toy.graph(last))


def rows(found: Diff) -> list[tuple]:
    return [(row.kind, row.path_a, row.path_b, row.what) for row in found.rows]


BLOCKS = [
    ("stem", "conv", 8),
    ("a.conv", "conv", 8, 3),
    ("a.act", "relu"),
    ("b.conv", "conv", 16, 3),
    ("b.act", "relu"),
]


def test_a_network_is_the_same_as_itself() -> None:
    found = diff(net(*BLOCKS), net(*BLOCKS))
    assert found.is_same
    assert found.counts() == {"same": 5}
    assert all(found.delta(column) == 0 for column in found.columns)
    assert found.root.kind == "same"


def test_a_kernel_that_changed_is_told_with_what_it_costs() -> None:
    after = [*BLOCKS[:3], ("b.conv", "conv", 16, 5), BLOCKS[4]]
    found = diff(net(*BLOCKS), net(*after))
    assert [row for row in rows(found) if row[0] != "same"] == [
        ("changed", "b.conv", "b.conv", "kernel 3 -> 5, padding 1 -> 2")
    ]
    # 16x16 positions, 8 channels in, 16 out: 9 and 25 places of the kernel
    assert found.delta("macs") == 16 * 16 * 8 * 16 * (25 - 9)
    assert found.delta("params") == 8 * 16 * (25 - 9)
    module = next(part for part in found.root.parts if isinstance(part, Part) and part.path == "b")
    assert (module.kind, module.delta("params")) == ("changed", 8 * 16 * 16)


def test_what_follows_a_wider_layer_says_how_its_input_changed() -> None:
    found = diff(
        net(("one", "conv", 8), ("act", "relu"), ("two", "conv", 4)),
        net(("one", "conv", 16), ("act", "relu"), ("two", "conv", 4)),
    )
    assert [row.what for row in found.rows] == [
        "out_channels 8 -> 16",
        "shape 1x8x16x16 -> 1x16x16x16",
        "in_channels 8 -> 16",
    ]


def test_a_renamed_module_is_moved_and_not_new() -> None:
    renamed = [(path.replace("b.", "neck."), *more) for path, *more in BLOCKS]
    found = diff(net(*BLOCKS), net(*renamed))
    assert found.counts() == {"same": 3, "moved": 2}
    assert [(part.kind, part.path_a, part.path_b) for part in found.root.parts if isinstance(part, Part)] == [
        ("same", "a", "a"),
        ("moved", "b", "neck"),
    ]


def test_a_wrapper_around_all_moves_all() -> None:
    found = diff(net(*BLOCKS), net(*[(f"model.{path}", *more) for path, *more in BLOCKS]))
    assert found.counts() == {"moved": 5}


def test_numbers_that_shift_are_no_changes() -> None:
    before = [("f.0", "conv", 8, 3), ("f.1", "relu"), ("f.2", "conv", 16, 3), ("f.3", "relu")]
    after = [
        ("f.0", "conv", 8, 3),
        ("f.1", "relu"),
        ("f.2", "conv", 8, 5),
        ("f.3", "norm"),
        ("f.4", "conv", 16, 3),
        ("f.5", "relu"),
    ]
    assert rows(diff(net(*before), net(*after))) == [
        ("same", "f.0", "f.0", ""),
        ("same", "f.1", "f.1", ""),
        ("added", None, "f.2", ""),
        ("added", None, "f.3", ""),
        ("moved", "f.2", "f.4", ""),
        ("moved", "f.3", "f.5", ""),
    ]


def test_a_module_that_runs_earlier_now_is_moved() -> None:
    one, two = [("a.conv", "conv", 4, 3), ("a.act", "relu")], [("b.conv", "conv", 4, 5), ("b.norm", "norm")]
    found = diff(net(*one, *two), net(*two, *one))
    assert {row.kind for row in found.rows} <= {"same", "changed"}
    assert all(row.path_a == row.path_b for row in found.rows)


def test_a_block_that_was_added_and_taken_away() -> None:
    more = [("c.conv", "conv", 16, 3), ("c.act", "relu")]
    there = diff(net(*BLOCKS), net(*BLOCKS, *more))
    back = diff(net(*BLOCKS, *more), net(*BLOCKS))
    assert there.counts() == {"same": 5, "added": 2}
    assert back.counts() == {"same": 5, "removed": 2}
    assert there.delta("macs") == -back.delta("macs") == 16 * 16 * 16 * 16 * 9
    assert [part.kind for part in there.root.parts if isinstance(part, Part)] == ["same", "same", "added"]
    assert [part.kind for part in back.root.parts if isinstance(part, Part)] == ["same", "same", "removed"]


def test_another_activation_at_one_place_is_a_change() -> None:
    found = diff(net(("act", "relu")), net(("act", "norm")))
    assert rows(found)[0][:3] == ("changed", "act", "act")
    assert found.rows[0].what.startswith("kind relu -> batch_norm")


def test_a_skip_from_elsewhere_is_a_change() -> None:
    before = [("one", "conv", 4), ("two", "conv", 4), ("three", "conv", 4), ("sum", "add", "one")]
    after = [*before[:3], ("sum", "add", "two")]
    assert [row for row in rows(diff(net(*before), net(*after))) if row[0] != "same"] == [
        ("changed", "sum", "sum", "reads one -> two")
    ]


def test_what_is_unknown_has_no_difference() -> None:
    same = diff(net(("a", "unknown"), ("b", "conv", 8)), net(("a", "unknown"), ("b", "conv", 16)))
    assert same.delta("macs") == 16 * 16 * 4 * 8 * 9  # what is unknown is the same on both sides
    other = diff(net(("b", "conv", 8)), net(("a", "unknown"), ("b", "conv", 8)))
    assert other.delta("macs") is None
    assert other.delta("params") == 0
    assert other.gaps == (0, 1)


def test_nobody_knows_a_percentage_of_a_lower_bound() -> None:
    # b: 16 x 16 outputs of 8 or 16 channels, each of 4 x 9 products: 73,728 or 147,456; a makes 4 x 16 x 16 numbers
    found = diff(net(("a", "unknown"), ("b", "conv", 8)), net(("a", "unknown"), ("b", "conv", 16)))
    lines = {line[0]: line[1:] for line in summary(found, View())}
    assert lines["macs"] == [">73.73 k", ">147.5 k", "+73.73 k", ""]
    assert lines["activation_bytes"] == ["12.00 KiB", "20.00 KiB", "+8.000 KiB", "+66.7%"]  # 4 bytes a number
    assert "1 op of unknown cost" in render(found, "table", View())
    after = net(("a", "unknown"), ("b", "conv", 16))
    for bound, said in (
        ("macs>+5%", "nobody can tell, since toy has ops of unknown cost"),
        ("macs>+150%", ""),  # of what is known it is 100 %, and of more it is less
        ("macs<+150%", "+73.73 k (>73.73 k -> >147.5 k)"),
        ("macs>+70k", "+73.73 k (>73.73 k -> >147.5 k)"),
        ("activation_bytes>+60%", "+66.67% (12.00 KiB -> 20.00 KiB)"),
    ):
        assert broken(parsed(bound), after, found) == (said and f"{bound}: {said}")


def test_weights_that_no_op_reads_have_a_row(profiled) -> None:
    found = diff(
        profiled("resnet18"), profiled("resnet34")
    )  # each batch norm counts its batches, in a buffer nobody reads
    # 20 and 36 batch norms; each keeps a counter of one number
    assert found.rows[-1].what == "weights and buffers that no op reads: buffers 20 -> 36"
    assert sum(row.delta("buffers") for row in found.rows) == found.delta("buffers")


def test_networks_of_the_bundle(profiled) -> None:
    found = diff(profiled("resnet18"), profiled("resnet34"))
    # 34 layers: 3, 4, 6, 3 blocks in place of 2, 2, 2, 2 (He et al. 2015, Table 1), each of two 3x3 convolutions
    added = [part.path for part in parts(found.root) if part.kind == "added"]
    assert added == ["layer1.2", "layer2.2", "layer2.3", "layer3.2", "layer3.3", "layer3.4", "layer3.5", "layer4.2"]
    assert found.counts()["added"] == 8 * 7
    assert found.delta("macs") == 8 * 2 * 56 * 56 * 64 * 64 * 9  # every stage's block costs the same
    assert found.counts()["changed"] == found.counts()["removed"] == 0


def test_a_spec_and_its_twin_differ_in_names_only(profiled) -> None:
    pytest.importorskip("torchvision")
    found = diff(profiled("resnet18"), profiled("torchvision:resnet18"))
    assert found.is_same
    assert found.counts()["moved"] == 8 * 3


def test_unlike_networks_have_little_in_common(profiled) -> None:
    found = diff(profiled("vgg16"), profiled("resnet50"))
    # a ReLU of 256x56x56 is in both, and so is a 3x3 convolution; neither is the other's successor
    assert not [row for row in found.rows if row.path_a and row.path_b and row.type in {"ReLU", "Conv2d"}]
    assert apart(found) == "little in common: 3 of 40 ops of vgg16 have a counterpart among the 175 of resnet50"
    for form in ("table", "markdown"):
        assert "little in common: 3 of 40 ops" in " ".join(render(found, form, View()).split())
    assert apart(diff(profiled("resnet18"), profiled("resnet34"))) == ""


def test_one_linear_layer_of_other_sizes_and_another_name_is_no_pair() -> None:
    one, other = net(("a", "conv", 8), ("x", "relu")), net(("b", "conv", 24), ("y", "relu"), ("c", "conv", 4))
    assert {row.kind for row in diff(one, other).rows} == {"added", "removed"}
    # two in a row are no chance any more
    one, other = net(("a", "conv", 8), ("x", "conv", 8)), net(("b", "conv", 24), ("y", "conv", 24))
    assert [row.kind for row in diff(one, other).rows] == ["changed", "changed"]


def test_it_is_plain_data(profiled) -> None:
    found = diff(profiled("inception-direct"), profiled("inception-bottleneck")).to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["totals"]["macs"] == {"before": 120_422_400, "after": 12_443_648, "delta": -107_978_752}
    assert [row["kind"] for row in found["rows"]] == ["added", "changed"]
    assert found["rows"][0]["before"] is None
    assert archprof.diff is diff


def parts(part: Part) -> list[Part]:
    return [part, *(inner for child in part.parts if isinstance(child, Part) for inner in parts(child))]


@pytest.fixture
def cli():
    def run(*words: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(main, words, prog_name="archprof", catch_exceptions=False)
        return result.exit_code, result.stdout, result.stderr

    return run


def test_the_page_says_what_changed(cli) -> None:
    code, out, err = cli("diff", "inception-direct", "inception-bottleneck", "--format", "table")
    assert (code, err) == (0, "")
    assert "in_channels 192 -> 16" in out
    assert "+ added" in out
    assert "-108.0 M" in out


def test_equal_blocks_are_one_line_and_what_is_the_same_another(profiled) -> None:
    found = [(line.kind, line.level, line.name) for line in lines(diff(profiled("resnet18"), profiled("resnet34")))]
    assert found[:5] == [
        ("same", 0, "conv1 … maxpool"),
        ("changed", 0, "layer1"),
        ("same", 1, "layer1.0 … layer1.1"),
        ("added", 1, "layer1.2"),
        ("changed", 0, "layer2"),
    ]
    assert ("added", 1, "layer3.2 … layer3.5") in found


def test_lines_add_up_too(profiled) -> None:
    found = diff(profiled("torchvision:alexnet"), profiled("torchvision:vgg11"))
    for depth in (1, 2, None):
        closed = [line for line in lines(found, depth) if not line.is_open]
        assert sum(line.delta("macs") for line in closed) == found.delta("macs")


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal(width: int, profiled) -> None:
    found = diff(profiled("torchvision:alexnet"), profiled("torchvision:vgg11"))
    text = render(found, "table", View(width=width))
    assert max(map(len, text.splitlines())) <= width
    assert "kernel" in text


def test_markdown_folds_the_long_rest_and_escapes_names(profiled) -> None:
    long = render(diff(profiled("torchvision:alexnet"), profiled("torchvision:vgg11")), "markdown", View())
    assert long.count("<details>") == long.count("</details>") == 1
    toy = net(("a|b<img>", "conv", 4), ("`c`", "relu"))
    text = render(diff(net(), toy), "markdown", View())
    assert "a\\|b&lt;img>" in text
    rows = [line for line in text.splitlines() if line.startswith("| +")]
    assert len(rows) == 1
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == 8  # seven cells


def test_tables_for_programs_have_every_op(cli) -> None:
    code, out, _ = cli("diff", "inception-direct", "inception-bottleneck")  # no terminal: tsv
    rows = list(csv.DictReader(out.splitlines(), delimiter="\t"))
    assert code == 0
    assert [row["kind"] for row in rows] == ["added", "changed"]
    assert sum(int(row["macs_delta"]) for row in rows) == -107_978_752
    assert rows[0]["macs_before"] == ""
    document = json.loads(cli("diff", "inception-direct", "inception-bottleneck", "--format", "json")[1])
    assert document["totals"]["macs"]["delta"] == -107_978_752


@pytest.mark.parametrize(
    ("bound", "code"),
    [("macs>10M", 1), ("macs>13M", 0), ("macs<13M", 1), ("params>+0", 0), ("params<-80%", 1), ("ops>=2", 1),
     ("ops>+50%", 1), ("activation_bytes>+48Ki", 1), ("activation_bytes>+50KiB", 0), ("param_bytes > 64 MiB", 0)],
)  # fmt: skip
def test_a_broken_bound_is_exit_code_1_and_one_line(bound: str, code: int, cli) -> None:
    found, _, err = cli("diff", "inception-direct", "inception-bottleneck", "--fail-over", bound)
    assert (found, err.count("\n")) == (code, code)
    assert not code or bound in err


@pytest.mark.parametrize("bound", ["macs", "macs=2", "macs>", ">2G", "macs>2X", "macs>5Mi%", "speed>1"])
def test_a_bound_that_is_none_is_a_mistake(bound: str, cli) -> None:
    assert cli("diff", "inception-direct", "inception-bottleneck", "--fail-over", bound)[0] == 2


def test_a_bound_on_what_is_unknown_is_broken() -> None:
    gap, known = net(("a", "unknown"), ("b", "conv", 8)), net(("b", "conv", 8))
    assert "nobody can tell" in broken(parsed("macs>1G"), gap)
    assert "nobody can tell" in broken(parsed("macs<1G"), gap)
    assert "has" in broken(parsed("macs>1"), gap)
    assert "nobody can tell" in broken(parsed("macs>+5%"), gap, diff(known, gap))
    assert broken(parsed("params>1G"), gap) == ""


def test_show_and_compare_hold_bounds_too(cli) -> None:
    assert cli("show", "lenet5-1998", "--fail-over", "macs>1k")[0] == 1
    assert cli("show", "lenet5-1998", "--fail-over", "macs>1G")[0] == 0
    assert cli("show", "lenet5-1998", "--fail-over", "macs>+1%")[0] == 2
    assert cli("compare", "inception-direct", "inception-bottleneck", "--fail-over", "params>+1%")[0] == 0
    assert cli("compare", "inception-bottleneck", "inception-direct", "--fail-over", "params>+1%")[0] == 1


def test_the_picture_has_both_networks_and_words_for_every_change(cli, tmp_path) -> None:
    path = tmp_path / "diff.svg"
    code, out, err = cli("diff", "inception-direct", "inception-bottleneck", "-o", str(path))
    assert (code, out, err) == (0, "", f"wrote {path}\n")
    drawn = minidom.parse(str(path)).getElementsByTagName("text")
    texts = [text.firstChild.data for text in drawn if text.firstChild]
    assert any(text.startswith("+ added · +2.408 M MACs") for text in texts)
    assert any("in_channels 192 -> 16" in text for text in texts)
    assert {"= same", "~ changed", "> moved", "+ added", "- removed"} <= set(texts)
    assert cli("diff", "a", "b", "-o", "x.gif")[0] == 2


def test_a_network_with_what_was_removed_is_whole(profiled) -> None:
    a, b = profiled("torchvision:alexnet"), profiled("torchvision:vgg11")
    found = diff(a, b)
    graph, rows = merged(found, a, b)
    assert Counter(row.kind for row in rows.values()) == found.counts()
    assert len(graph) == len(b.network) + found.counts()["removed"]
    assert {edge.consumer for edge in graph.edges} | {edge.producer for edge in graph.edges} <= set(graph.nodes)
    assert set(b.network.edges) <= set(graph.edges)


def test_removed_copies_do_not_fold_with_those_that_stayed(profiled) -> None:
    a, b = profiled("resnet34"), profiled("resnet18")
    text = write(composed(diff(a, b), a, b))
    assert text.count("- removed") == 4 + 1  # a box in every stage, and the legend
    assert FILLS["removed"] in text
    assert FILLS["added"] in text  # in the legend only
    assert text.count(FILLS["added"]) == 1


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_two_networks_can_be_drawn(data) -> None:
    a, b = (net(*[(path, *layer) for path, layer in data.draw(NAMED)]) for _ in range(2))
    assert write(composed(diff(a, b), a, b)).startswith("digraph")


LAYER = st.one_of(
    st.tuples(st.sampled_from(["conv"]), st.sampled_from([4, 8]), st.sampled_from([1, 3])),
    st.sampled_from([("relu",), ("norm",), ("unknown",), ("add",)]),
)
NAMED = st.lists(st.tuples(st.sampled_from(["a", "a.x", "a.y.0", "b", "b.0", "c.z"]), LAYER), max_size=12)


@settings(deadline=None, max_examples=150)
@given(NAMED, NAMED)
def test_rows_add_up_to_the_difference_of_the_totals(one: list, other: list) -> None:
    a, b = (net(*[(path, *layer) for path, layer in layers]) for layers in (one, other))
    found = diff(a, b)
    assert sorted(row.path_a for row in found.rows if row.path_a is not None) == sorted(op.name for op in a.network.ops)
    assert sorted(row.path_b for row in found.rows if row.path_b is not None) == sorted(op.name for op in b.network.ops)
    assert list(found.root.rows()) != [] or not found.rows
    assert sorted(map(id, found.root.rows())) == sorted(map(id, found.rows))
    assert {row.kind for row in found.rows} <= set(KINDS)
    for column in found.columns:
        deltas = [row.delta(column) for row in found.rows]
        assert found.delta(column) == (None if None in deltas else sum(deltas))
        for part in parts(found.root):
            inner = [child.delta(column) for child in part.parts]
            assert part.delta(column) == (None if None in inner else sum(inner))
        assert found.totals[column] == (a.totals[column], b.totals[column])
    for row in found.rows:
        if row.kind in {"same", "moved"}:
            assert all(row.before[column] == row.after[column] for column in ("macs", "flops", "activation_bytes"))


@settings(deadline=None, max_examples=50)
@given(NAMED)
def test_any_network_is_the_same_as_itself(layers: list) -> None:
    layers = [(path, *layer) for path, layer in layers]
    assert all(row.kind == "same" for row in diff(net(*layers), net(*layers)).rows)


def test_two_networks_of_5000_ops_take_no_time() -> None:
    def deep(kernels: int) -> Profile:
        return net(
            *[(f"s{n // 100}.b{n // 10}.l{n % 10}", "conv", 4, 1 + 2 * (n % kernels)) for n in range(5000)], size=2
        )

    a, b = deep(3), deep(4)
    start = time.perf_counter()
    found = diff(a, b)
    assert time.perf_counter() - start < 5  # 0.7 s on an idle core; difflib takes minutes
    assert sum(row.delta("macs") for row in found.rows) == found.delta("macs")


def test_a_cost_that_is_spread_over_tensors_of_other_types_is_told() -> None:
    def one(dtype: str) -> Profile:
        toy = toys.Toy()
        x = toy.input("x", 1, 4)
        return toys.profiled(toy.graph(toy.op("cast", "to", [x], Tensor((1, 4), dtype), Facts())))

    assert diff(one("float32"), one("float16")).rows[0].what == "output 1x4 -> 1x4 float16"
