"""Networks side by side: totals, ratios to the first, and a width that holds."""

from __future__ import annotations

import dataclasses
import json

import pandas as pd
import pytest

from archprof.compare import FORMATS, compare
from archprof.errors import UnknownName
from archprof.renderers import View

MANY = ["resnet18", "resnet34", "resnet50", "vgg16", "googlenet", "alexnet", "lenet5"]


@pytest.fixture(scope="module")
def pair(profiled):
    return [profiled("inception-direct"), profiled("inception-bottleneck")]


def test_the_pair_stands_side_by_side(pair) -> None:
    lines = compare(pair).splitlines()
    assert lines[0].split() == ["inception-direct", "inception-bottleneck"]
    assert "macs 120.4 M 12.44 M (0.1033x)" in [" ".join(line.split()) for line in lines]
    assert "params 153.6 k 15.92 k (0.1036x)" in [" ".join(line.split()) for line in lines]
    assert lines[-1] == "(x): as a multiple of inception-direct"


def test_one_network_has_no_ratio(pair) -> None:
    text = compare(pair[:1])
    assert "x)" not in text
    assert not text.endswith("\n\n")


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_many_networks_fit_and_no_number_is_cut(width: int, profiled) -> None:
    text = compare([profiled(name) for name in MANY], "table", View(width=width))
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert all(name in text for name in MANY)
    assert "15.47 G (8.528x)" in text
    assert ("left out for lack of width" in text) == (width < 200)


def test_sums_that_miss_an_op_are_marked_and_get_no_ratio(profiled) -> None:
    text = compare([profiled("chain"), profiled("gap")])
    assert "macs 5.328 k >56 (-)" in [" ".join(line.split()) for line in text.splitlines()]
    assert "! gap: 1 op unknown, so totals are lower bounds: what.odd" in text
    assert "| gap     | 66 (0.04225x) | >56 (-)" in compare([profiled("chain"), profiled("gap")], "markdown")


def test_programs_get_whole_numbers_and_the_number_of_gaps(profiled, tmp_path) -> None:
    file = tmp_path / "x.tsv"
    file.write_text(compare([profiled("chain"), profiled("gap")], "tsv"))
    frame = pd.read_csv(file, sep="\t", index_col="model")
    assert frame.loc["chain"].to_dict() == {
        "params": 1_562, "macs": 5_328, "flops": 10_954, "activation_bytes": 1_192, "param_bytes": 6_248,
        "ops": 4, "gaps": 0,
    }  # fmt: skip
    assert frame.loc["gap", "gaps"] == 1
    assert compare([profiled("chain")], "csv").startswith("model,params,")


def test_a_name_stays_in_its_cell_in_markdown(profiled) -> None:
    named = dataclasses.replace(profiled("chain"), model="a|b<i>")
    assert "| a\\|b&lt;i>" in compare([named, profiled("gap")], "markdown")


def test_json_is_a_list_of_whole_documents(pair) -> None:
    documents = json.loads(compare(pair, "json"))
    assert [document["model"] for document in documents] == ["inception-direct", "inception-bottleneck"]
    assert documents[0]["totals"]["macs"] == 120_422_400


def test_columns_can_be_chosen_and_are_checked(pair) -> None:
    assert "buffers" in compare(pair, "table", View(columns=("buffers",)))
    assert "120,422,400" in compare(pair, "table", View(columns=("macs",), raw=True))
    with pytest.raises(UnknownName, match="did you mean 'macs'"):
        compare(pair, "table", View(columns=("mac",)))
    with pytest.raises(UnknownName, match="there is no comparison format 'pdf'"):
        compare(pair, "pdf")


def test_nothing_is_no_multiple_of_nothing(profiled) -> None:
    for name in FORMATS:
        assert compare([profiled("nothing"), profiled("chain")], name)
    assert "1.562 k (-)" in compare([profiled("nothing"), profiled("chain")])


def test_ascii_stays_ascii(pair) -> None:
    text = compare(pair, "table", View(unicode=False))
    assert text.isascii()
    assert "?" not in text
