"""The table of a terminal: what it leaves out adds up, one unit a column, and nothing that is unknown is small."""

from __future__ import annotations

import dataclasses
import re

import pytest
import toys
from hypothesis import given
from hypothesis import strategies as st

from archprof import units
from archprof.records import Column, Facts, Tensor, Unknown
from archprof.renderers import View
from archprof.renderers.essential import MOST, SCREEN, essential_rows
from archprof.renderers.rows import Row, leaves_of

NAMES = ["resnet50", "vgg16", "googlenet", "bert-base", "gpt2", "mobilenet-v2", "densenet121", "swin-t", "gap"]


def shown(found, **view: object) -> tuple[list[Row], Row | None]:
    return essential_rows(found, View(**view), ["params", "macs"])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("view", [{}, {"sort": "macs"}, {"everything": True}, {"depth": 2}])
def test_the_rows_and_the_rest_have_every_op_once(name: str, view: dict[str, object], profiled) -> None:
    found = profiled(name)
    rows, rest = shown(found, **view)
    told = sorted(number for row in leaves_of(rows) for number in row.ops)
    assert told == list(range(len(found.network)))
    assert rest is None or rows[-1] is rest or rows[-1] == rest


@pytest.mark.parametrize("name", NAMES)
def test_what_is_left_out_is_little_of_every_column(name: str, profiled) -> None:
    found = profiled(name)
    rows, rest = shown(found)
    assert len(rows) <= max(MOST, SCREEN) + 1
    for column in ("params", "macs"):
        assert rest is None or found.total(column, rest.ops) <= 0.05 * found.totals[column]


def test_the_first_convolution_of_a_resnet_is_not_small(profiled) -> None:
    # 118,013,952 of 4,089,184,256 MACs are 2.9 %; the embedding has no MACs, but 38.6 M of the parameters
    assert shown(profiled("resnet50"))[0][0].name == "conv1"
    assert any(row.path == "transformer.wte" for row in shown(profiled("gpt2"))[0])


def test_all_has_a_row_for_every_kind_of_op(profiled) -> None:
    found = profiled("vgg16")
    rows, rest = shown(found, everything=True)
    assert (rest, len(leaves_of(rows))) == (None, 40)
    assert "small op" not in found.render("table", everything=True)
    assert "15 of 40 ops; --all shows every one" in found.render("table")


def test_branches_lead_to_the_rows_that_are_left(profiled) -> None:
    text = profiled("vgg16").render("table")
    assert " └─ 28 " in text  # 29 and 30, a ReLU and a pool, are gone
    # the first convolution: 3 x 64 x 9 weights and 64 biases; 1,728 x 224 x 224 = 86,704,128
    assert re.search(r"\n \+25 small ops  ReLU, \.\.\. .* 1\.792 k  86\.70  M", text)


def test_a_module_with_one_part_left_says_it_once(profiled) -> None:
    rows, _ = shown(profiled("googlenet"))
    assert [row.name for row in rows[:2]] == ["conv1", "conv3"]
    assert not any(row.path == "conv1.conv" for row in rows)


def test_an_unknown_op_is_never_among_the_small() -> None:
    toy = toys.Toy()
    at = toy.input("x", 1, 4)
    for number in range(30):
        at = toy.op(f"l{number}", "relu", [at], Tensor((1, 4)), Facts(macs=1 if number else 1000))
    at = toy.op("odd", "mystery", [at], Tensor((1, 4)), Unknown("no rule"))
    text = toys.profiled(toy.graph(at), "t").render("table")
    assert "\n odd " in text
    assert "\n +29 small ops " in text


def test_a_column_has_one_unit_and_its_points_below_each_other(profiled) -> None:
    lines = profiled("resnet50").render("table", columns=("macs",), sort="macs").splitlines()[4:]
    cells = [line[: line.index("  ", line.index(" M"))] for line in lines if " M  " in line]
    assert cells[0].endswith(" 118.0  M")  # conv1: 112*112*64*7*7*3 = 118,013,952
    assert cells[-2].endswith(" 51.38 M")  # 56*56*64*256
    assert len({len(cell) for cell in cells}) == len({cell.rindex(".") for cell in cells}) == 1


def test_unknown_is_a_dash_and_zero_a_nought(profiled) -> None:
    text = profiled("gap").render("table", everything=True, columns=("macs", "params"))
    assert re.search(r"what +Mystery \+ Linear +1x4 +>16", text) or re.search(r"odd +Mystery +1x4 +- +0", text)


NUMBERS = st.lists(st.integers(0, 10**15), min_size=1, max_size=20)


@given(NUMBERS, st.sampled_from(["count", "bytes"]))
def test_no_number_of_a_column_is_hidden(values: list[int], unit: str) -> None:
    for value, text in zip(values, units.together(values, unit), strict=True):
        number, _, prefix = text.replace(",", "").partition(" ")
        whole = float(number) * units.factor(prefix.removesuffix("B") if unit == "bytes" else prefix)
        assert whole == pytest.approx(value, rel=0.051)
        assert (number.strip("0.") == "") == (value == 0)


@given(NUMBERS)
def test_cells_of_a_column_are_of_one_width(values: list[int]) -> None:
    cells = units.on_point(units.together(values, "count"))
    assert len({len(cell) for cell in cells}) == 1
    assert len({cell.index(".") for cell in cells if "." in cell}) <= 1


def test_the_share_of_a_web_table_is_of_what_it_says(profiled) -> None:
    # classifier.0 has 102,764,544 of 138,357,544 parameters: 74.3 %
    page = profiled("vgg16").render("html", sort="params", top=1)
    assert "<th>share of params</th>" in page
    assert "<td>74.3%</td>" in page


def test_rows_that_matter_are_chosen_by_what_adds_up() -> None:
    # one op has 1,900 of 1,995 MACs, 95.2 %; the others are as fast as can be, which is no reason to show them
    toy = toys.Toy()
    at = toy.input("x", 1, 4)
    for number in range(20):
        at = toy.op(f"l{number}", "relu", [at], Tensor((1, 4)), Facts(macs=1900 if number == 0 else 5))
    found = toys.profiled(toy.graph(at), "t")
    rate = Column("rate", "FLOP/s", "ratio", "how fast", ("macs", "macs"))
    values = {**found.values, "rate": [1.0] + [1000.0] * 19}
    fast = dataclasses.replace(found, columns={**found.columns, "rate": rate}, values=values)
    for view in ({}, {"sort": "rate"}):
        text = fast.render("table", columns=("macs", "rate"), **view)
        assert "+19 small ops" in text
