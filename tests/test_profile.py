"""Profiles: small networks worked out by hand, published totals, and the laws that hold for every network."""

from __future__ import annotations

import networkx
import pytest

from archprof.errors import UserError
from archprof.pipeline import profile

BUNDLED = ["resnet18", "googlenet", "lenet5-1998", "alexnet", "inception-module"]


def test_the_inception_pair_has_the_figures_of_the_lecture(profiled) -> None:
    # 28*28*192 * 5*5*32, against 28*28*192*16 + 28*28*16 * 5*5*32
    assert profiled("inception-direct").macs == 120_422_400
    assert profiled("inception-bottleneck").macs == 2_408_448 + 10_035_200 == 12_443_648
    assert profiled("inception-direct").params == 5 * 5 * 192 * 32 + 32 == 153_632
    assert profiled("inception-bottleneck").params == 192 * 16 + 16 + 5 * 5 * 16 * 32 + 32 == 15_920


def test_resnet50_has_the_published_figures(profiled) -> None:
    found = profiled("resnet50")
    assert (found.params, found.macs) == (25_557_032, 4_089_184_256)
    assert found.totals["buffers"] == 53_173  # torchvision: 26,560 means, as many variances, 53 counters
    assert found.gaps == []


def test_a_chain_is_counted_as_by_hand(profiled) -> None:
    table = profiled("chain").table
    assert list(table.index) == ["conv", "relu", "flatten", "fc"]
    assert list(table["output_shape"]) == ["1x4x6x6", "1x4x6x6", "1x144", "1x10"]
    assert list(table["params"]) == [112, 0, 0, 1_450]
    assert list(table["macs"]) == [3_888, 0, 0, 1_440]
    assert list(table["flops"]) == [2 * 3_888 + 144, 144, 0, 2 * 1_440 + 10]  # a bias or a maximum for every output
    assert list(table["activation_elements"]) == [144, 144, 0, 10]  # flattening makes a view
    assert list(table["bytes_read"]) == [4 * (192 + 112), 4 * 144, 0, 4 * (144 + 1_450)]
    assert list(table["bytes_written"]) == [4 * 144, 4 * 144, 0, 4 * 10]


def test_a_chains_totals_are_the_sums(profiled) -> None:
    found = profiled("chain")
    assert (found.params, found.macs, found.flops) == (1_562, 5_328, 10_954)
    assert found.totals["activation_bytes"] == 4 * (144 + 144 + 10)
    assert found.totals["param_bytes"] == 4 * 1_562


def test_a_shortcut_is_an_edge_from_the_input(profiled) -> None:
    graph = profiled("residual").network
    assert graph.producers("sum") == ["act", "x"]
    assert graph.consumers("x") == ["a", "sum"]
    assert profiled("residual").flops == (2 * 64 + 8) + 8 + 8


def test_two_branches_are_both_counted(profiled) -> None:
    found = profiled("branches")
    assert (found.params, found.macs) == (36 + 54, 32 + 48)
    assert found.network.producers("both") == ["left", "right"]
    assert found.network["both"].outputs[0].shape == (1, 10)


def test_a_shared_layer_costs_each_time_and_is_owned_once(profiled) -> None:
    table = profiled("shared").table
    assert list(table["macs"]) == [64, 64, 64]
    assert list(table["params"]) == [72, 0, 72]


def test_a_tied_weight_is_one_weight(profiled) -> None:
    assert profiled("tied").params == 100 * 8
    assert profiled("tied").macs == 5 * 8 * 100  # looking up costs nothing


def test_a_square_reads_its_input_twice(profiled) -> None:
    graph = profiled("two").network
    assert [(edge.producer, edge.position) for edge in graph.reads("square")] == [("product", 0), ("product", 1)]
    assert list(graph.outputs.items()) == [("square", ("square", 0)), ("out", ("out", 0))]


def test_an_op_without_a_rule_is_a_gap_and_never_zero(profiled) -> None:
    found = profiled("gap")
    assert [(gap.op, gap.reason) for gap in found.gaps] == [("what.odd", "no rule for 'mystery'")]
    assert found.table["macs"].isna().tolist() == [False, True, False, False]
    assert found.macs == 8 * 4 + 4 * 4 + 4 * 2
    assert found.params == 36 + 20 + 10


def test_a_module_that_misses_an_op_has_no_sum(profiled) -> None:
    modules = profiled("gap").by_module()
    assert modules.loc["what", "macs"] is not modules.loc["a", "macs"]
    assert modules["macs"].isna().tolist() == [False, True, False]
    assert modules["params"].tolist() == [36, 20, 10]


def test_a_network_without_ops_has_nothing(profiled) -> None:
    found = profiled("nothing")
    assert (found.macs, found.params, len(found.network), found.gaps) == (0, 0, 0, [])
    assert found.table.empty
    assert found.by_module().empty
    assert found.network.outputs == {"out": ("x", 0)}


@pytest.mark.parametrize("name", BUNDLED)
def test_rows_sum_to_totals(name: str, profiled) -> None:
    found = profiled(name)
    counters = {"buffers": found.outside["buffers"]}  # of batches seen: they belong to no op
    sums = {column: int(found.table[column].sum()) + counters.get(column, 0) for column in found.totals}
    assert sums == found.totals


@pytest.mark.parametrize("name", BUNDLED)
@pytest.mark.parametrize("depth", [1, 2, 3, 9])
def test_grouping_keeps_totals(name: str, depth: int, profiled) -> None:
    found = profiled(name)
    grouped, table = found.by_module(depth), found.table
    assert {column: int(grouped[column].sum()) for column in found.totals} == {
        column: int(table[column].sum()) for column in found.totals
    }


def test_grouping_goes_by_path(profiled) -> None:
    found = profiled("resnet18")
    assert list(found.by_module().index)[:5] == ["conv1", "bn1", "relu", "maxpool", "layer1"]
    assert found.by_module(2).loc["layer1.0", "macs"] == 2 * 64 * 64 * 9 * 56 * 56
    with pytest.raises(UserError, match="depth 1 or more"):
        found.by_module(0)


def test_options_that_make_no_sense_are_the_users_mistake() -> None:
    with pytest.raises(UserError, match="a batch is a whole number, 1 or more, not 0"):
        profile("resnet18", batch=0)
    with pytest.raises(UserError, match="there is no dtype 'int8' for weights; there are float64"):
        profile("resnet18", dtype="int8")
    with pytest.raises(UserError, match=r"written as text: \{'classes': '10'\}"):
        profile("resnet18", settings={"classes": 10})  # type: ignore[dict-item]


@pytest.mark.parametrize("name", BUNDLED)
def test_a_batch_of_two_doubles_the_work_and_no_weight(name: str, profiled) -> None:
    one, two = profiled(name), profiled(name, batch=2)
    for column in ("macs", "flops", "activation_bytes", "connections"):
        assert two.totals[column] == 2 * one.totals[column]
    assert two.params == one.params


@pytest.mark.parametrize("size", [64, 448])
def test_weights_do_not_depend_on_the_input_size(size: int) -> None:
    assert profile("resnet50", {"image": (3, size, size)}).params == 25_557_032


def test_twice_the_width_and_height_is_four_times_the_work_of_convolutions() -> None:
    # all but the classifier's 2,048,000
    assert profile("resnet50", {"image": (3, 448, 448)}).macs == 4 * (4_089_184_256 - 2_048_000) + 2_048_000


def test_a_narrow_dtype_halves_the_bytes(profiled) -> None:
    wide, narrow = profiled("resnet18"), profiled("resnet18", dtype="bfloat16")
    assert (wide.totals["param_bytes"], narrow.totals["param_bytes"]) == (4 * 11_689_512, 2 * 11_689_512)
    assert narrow.totals["activation_bytes"] * 2 == wide.totals["activation_bytes"]
    assert narrow.macs == wide.macs


@pytest.mark.parametrize("name", ["resnet18", "sequence", "gap"])
def test_a_second_profile_equals_the_first(name: str, folder, profiled) -> None:
    again = profile(folder / f"{name}.yaml" if (folder / f"{name}.yaml").exists() else name)
    assert again.to_json() == profiled(name).to_json()


def test_a_bigger_setting_makes_a_bigger_network(profiled) -> None:
    assert profile("resnet18", settings={"classes": "10"}).params == profiled("resnet18").params - 990 * 513


def test_a_path_finds_ops_at_and_below_it(profiled) -> None:
    found = profiled("resnet18")
    assert [found.network.ops[i].name for i in found.ops_at("layer2.0.downsample")] == [
        "layer2.0.downsample.0",
        "layer2.0.downsample.1",
    ]
    assert found.ops_at("layer1.0.conv1") == [4]
    assert len(found.ops_at("")) == len(found.network)


def test_a_path_that_is_none_names_the_nearest(profiled) -> None:
    with pytest.raises(UserError, match=r"resnet18 has nothing at 'layer1.0.conv9'; did you mean 'layer1.0.conv"):
        profiled("resnet18").ops_at("layer1.0.conv9")
    with pytest.raises(UserError, match="its parts are conv, relu, flatten, fc"):
        profiled("chain").ops_at("zzz")


def test_a_name_is_no_prefix_of_another(profiled) -> None:
    assert len(profiled("resnet152").ops_at("layer3.1")) == 10  # and not those of layer3.10 to layer3.19


def test_a_profile_prints_as_its_table_and_shows_in_a_notebook(profiled) -> None:
    assert str(profiled("chain")).startswith("chain: 1.562 k parameters")
    assert profiled("chain")._repr_html_().startswith('<table class="archprof">')


def test_the_graph_is_a_plain_networkx_graph() -> None:
    graph = profile("inception-bottleneck").graph
    assert type(graph) is networkx.MultiDiGraph
    assert list(graph) == ["x", "reduction", "conv"]
    # 1 x 16 x 28 x 28 values of 4 bytes are 50,176 bytes
    assert list(graph.edges(data="bytes")) == [("x", "reduction", 602_112), ("reduction", "conv", 50_176)]
    assert graph.nodes["conv"]["op"].kind == "conv2d"


def test_the_short_form_of_a_profile_is_a_line() -> None:
    # LeNet-5 as in specs/lenet5: 61,706 parameters, 416,520 multiply-adds
    assert repr(profile("lenet5")) == "<Profile of lenet5: 12 ops, 61,706 parameters, 416,520 MACs>"
    assert repr(profile("lenet5").network).startswith("<Graph of 12 ops and ")
