"""Pages of one profile: golden files for a small network, and what holds for every page."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import nets
import pandas as pd
import pytest
import toys

from archprof.errors import UnknownName, UserError
from archprof.pipeline import attach_facts, profile
from archprof.renderers import RENDERERS
from archprof.result import Profile

GOLDEN = Path(__file__).parent / "golden"
SCHEMA = json.loads((Path(__file__).parents[1] / "archprof/renderers/profile.schema.json").read_text("utf-8"))
PAGES = {
    "small.txt": "table", "small.tsv": "tsv", "small.csv": "csv", "small.json": "json", "small.md": "markdown",
    "small.tex": "latex", "small.html": "html", "small-explain.txt": "explain",
}  # fmt: skip


@pytest.fixture(scope="module")
def small(folder) -> Profile:
    here = Path.cwd()
    os.chdir(folder)  # so that places in the spec are written without a folder
    try:
        return dataclasses.replace(profile("small.yaml"), versions={})
    finally:
        os.chdir(here)


@pytest.mark.parametrize(("file", "format"), PAGES.items())
def test_a_page_is_the_one_on_file(file: str, format: str, small) -> None:
    text = small.render(format)
    if os.environ.get("ARCHPROF_GOLDEN"):
        (GOLDEN / file).write_text(text, encoding="utf-8")
    assert text == (GOLDEN / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*nets.NETS, "resnet50", "googlenet-training", "lenet5-1998", "alexnet"])
@pytest.mark.parametrize("format", ["table", "tsv", "csv", "json", "markdown", "latex", "html", "explain", "dot"])
def test_every_format_shows_every_network(name: str, format: str, profiled) -> None:
    assert format in RENDERERS
    text = profiled(name).render(format)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


@pytest.mark.parametrize("name", [*nets.NETS, "resnet50", "googlenet-training", "lenet5-1998", "alexnet", "vgg16"])
def test_documents_keep_to_the_schema_and_integers_stay_integers(name: str, profiled) -> None:
    document = json.loads(profiled(name).to_json())
    jsonschema.validate(document, SCHEMA)
    json.loads(json.dumps({**document, "claims": []}), parse_float=pytest.fail)


def test_what_is_unknown_is_null_empty_or_marked(profiled) -> None:
    found = profiled("gap")
    document = json.loads(found.to_json())
    odd = document["ops"][1]
    assert (odd["name"], odd["macs"], odd["flops"], odd["formula"], odd["params"]) == ("what.odd", None, None, None, 0)
    assert document["gaps"] == [{"op": "what.odd", "reason": "no rule for 'mystery'"}]
    table = found.render("table", depth=1)
    assert "at least 56 MAC" in table
    assert [" ".join(line.split()) for line in table.splitlines() if line.startswith(" what")] == [
        "what Mystery + Linear 1x4 20 >16 ██▉ 28.6%"
    ]
    assert "! 1 op unknown, so totals are lower bounds: what.odd (no rule for 'mystery')" in table
    assert ">56" in found.render("markdown")
    assert "at least 56 MAC" in found.render("latex")
    assert "1 op unknown" in found.render("html")
    assert "unknown, so the total is a lower bound: what.odd" in found.explain()
    assert "unknown  no rule for 'mystery'" in found.explain("what.odd")
    assert read(found, depth=1)["macs"] == ["32", "", "8"]
    assert read(found)["macs"] == ["32", "", "16", "8"]


def read(found: Profile, **view: object) -> dict[str, list[str]]:
    """Return the columns of the TSV."""
    rows = list(csv.DictReader(io.StringIO(found.render("tsv", **view)), delimiter="\t"))
    return {name: [row[name] for row in rows] for name in rows[0]}


@pytest.mark.parametrize("name", ["resnet50", "googlenet", "alexnet", "sequence", "small"])
@pytest.mark.parametrize("view", [{}, {"depth": 1}, {"depth": 2}, {"sort": "macs"}, {"sort": "params", "depth": 1}])
def test_rows_for_programs_add_up_to_the_totals(name: str, view: dict[str, object], profiled) -> None:
    found = profiled(name)
    columns = read(found, **view)
    for column in ("params", "macs", "flops", "activation_bytes"):
        assert sum(map(int, columns[column])) == found.totals[column]


def test_pandas_reads_the_tsv_back(profiled) -> None:
    found = profiled("resnet18")
    frame = pd.read_csv(io.StringIO(found.render("tsv")), sep="\t", index_col="name")
    assert list(frame.index) == list(found.table.index)
    for column in found.columns:
        assert frame[column].tolist() == found.table[column].tolist()


@pytest.mark.parametrize("name", ["resnet18", "resnet152", "googlenet", "alexnet", "sequence", "gap", "small"])
@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_a_table_fits_the_terminal_and_nothing_in_it_is_cut(name: str, width: int, profiled) -> None:
    lines = profiled(name).render("table", width=width).splitlines()
    rule = next(i for i, line in enumerate(lines) if line.startswith(" ─"))
    grid = lines[rule - 1 : lines.index("", rule)]
    needed = len(grid[1])
    assert needed <= width or "left out for lack of width" in "\n".join(lines)
    assert max(map(len, [*lines[: rule - 1], *lines[lines.index("", rule) :]])) <= width
    wide = profiled(name).render("table", width=400)
    for line in grid[2:]:
        kind = line.split()[1 if "─" not in line and "│" not in line else 2]
        assert kind in wide
        # names alone may be shortened, where not even the first number fits beside them
        assert "…" not in line.replace(" … ", "") or (width == 60 and "…" not in line.split()[-1])


def test_columns_go_least_important_first(profiled) -> None:
    found = profiled("resnet18")
    heads = {width: found.render("table", width=width).splitlines() for width in (50, 60, 90)}
    assert heads[90][3].split() == ["layer", "type", "output", "params", "macs", "share", "of", "macs"]
    assert heads[60][3].split() == ["layer", "params", "macs", "share", "of", "macs"]
    assert heads[50][3].split() == ["layer", "params", "macs", "share"]
    assert "left out for lack of width: output, type" in heads[50]


def test_an_ascii_terminal_gets_ascii(profiled) -> None:
    text = profiled("alexnet").render("table", unicode=False)
    assert text.isascii()
    assert "?" not in text
    assert "2 x Lower" in text
    assert "#" in text


def test_colour_is_only_where_it_is_asked_for(profiled) -> None:
    assert "\x1b" not in profiled("small").render("table")
    assert "\x1b[" in profiled("small").render("table", color=True)


def test_sorting_lists_leaves_largest_first_and_top_cuts(profiled) -> None:
    found = profiled("chain")
    assert read(found, sort="params")["name"] == ["fc", "conv", "relu", "flatten"]
    assert read(found, sort="macs", top=1)["name"] == ["conv"]
    assert read(profiled("resnet18"), sort="params", depth=1, top=2)["name"] == ["layer4", "layer3"]
    assert "share of params" in found.render("table", sort="params")


def test_a_path_narrows_the_rows(profiled) -> None:
    found = profiled("resnet18")
    assert read(found, path="layer2.0.downsample")["name"] == ["layer2.0.downsample.0", "layer2.0.downsample.1"]
    assert read(found, path="layer1.0.conv1")["name"] == ["layer1.0.conv1"]
    assert "\n conv1  Conv2d" in found.render("table", path="layer1.0.conv1")
    with pytest.raises(UserError, match="has nothing at"):
        found.render("table", path="nowhere")


def test_raw_numbers_are_whole(profiled) -> None:
    assert "4,089,184,256" in profiled("resnet50").render("markdown", raw=True)
    assert "118,013,952" in profiled("resnet50").render("table", raw=True)


@pytest.mark.parametrize("format", ["table", "tsv", "csv", "markdown", "latex", "html"])
def test_a_column_that_is_not_there_is_the_users_mistake(format: str, profiled) -> None:
    with pytest.raises(UnknownName, match="there is no column 'mac'; did you mean 'macs'"):
        profiled("chain").render(format, columns=("mac",))
    with pytest.raises(UnknownName, match="there is no column 'mac'"):
        profiled("chain").render(format, sort="mac")
    assert profiled("chain").render(format, columns=("macs", "macs")).count("macs") >= 1


HOSTILE = "<script>|a_b%&#$\\{}~^"


@pytest.fixture(scope="module")
def hostile() -> Profile:
    toy = toys.Toy()
    graph = toy.graph(toy.relu(HOSTILE, toy.input("x", 1, 4)))
    graph.facts.clear()
    attach_facts(graph, {})
    known = profile("inception-direct")
    values = {name: [0] for name in known.columns}
    return Profile("hostile_net", graph, known.columns, values, dict.fromkeys(known.columns, 0))


def test_hostile_names_stay_text_on_a_web_page(hostile) -> None:
    page = hostile.render("html")
    assert "<script" not in page
    assert "&lt;script&gt;|a_b%&amp;#$" in page


def test_hostile_names_stay_text_in_latex(hostile) -> None:
    page = hostile.render("latex")
    assert r"|a\_b\%\&\#\$\textbackslash \{\}" in page
    assert r"\caption{hostile\_net:" in page
    named = dataclasses.replace(hostile, model="a<b|c>").render("latex")
    assert r"\caption{a\textless{}b\textbar{}c\textgreater{}:" in named


def test_hostile_names_stay_in_their_cell_in_markdown(hostile) -> None:
    row = next(line for line in hostile.render("markdown").splitlines() if "script" in line)
    assert row.replace("\\|", "").count("|") == 7


def test_hostile_names_stay_in_their_cell_for_programs() -> None:
    toy = toys.Toy()
    graph = toy.graph(toy.relu('a\t"b\nc', toy.input("x", 1, 4)))
    graph.facts.clear()
    attach_facts(graph, {})
    found = Profile("net", graph, {}, {}, {})
    assert read(found)["name"] == ['a\t"b\nc']


def test_brackets_in_names_are_no_markup_of_the_terminal(hostile) -> None:
    named = dataclasses.replace(hostile, model="[red]net[/red]")
    assert named.render("table").startswith("[red]net[/red]: ")


def test_an_explanation_shows_the_two_terms_of_the_bottleneck(profiled) -> None:
    text = profiled("inception-bottleneck").explain()
    assert "28*28*192*1*1*16 = 2,408,448" in text
    assert "28*28*16*5*5*32 = 10,035,200" in text
    assert "12,443,648" in text
    assert "28*28*192*5*5*32 = 120,422,400" in profiled("inception-direct").explain()


def test_an_explanation_of_one_layer_names_rule_inputs_and_weights(profiled) -> None:
    text = profiled("resnet50").explain("layer1.0.conv2")
    assert "layer1.0.conv2: Conv2d (conv2d)" in text
    assert "rule     [n, c, *x] * [m, c/groups, *k] -> [n, m, *y]" in text
    assert "input    layer1.0.relu1 1x64x56x56 float32" in text
    assert "weight   layer1.0.conv2.weight: 64*64*3*3 = 36,864" in text
    assert "counted where it is used first" in profiled("shared").explain("again")


def test_pages_do_not_depend_on_the_hash_seed(folder) -> None:
    program = (
        "import archprof, sys\n"
        "for name in sys.argv[1:]:\n"
        "    found = archprof.profile(name)\n"
        "    for format in ('json', 'tsv', 'table', 'dot'): print(found.render(format))\n"
    )
    path = str(Path(__file__).parents[1])
    pages = {
        subprocess.run(
            [sys.executable, "-c", program, "googlenet", str(folder / "sequence.yaml")],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path}, capture_output=True, check=True,
        ).stdout
        for seed in ("0", "1")
    }  # fmt: skip
    assert len(pages) == 1


def test_no_row_has_a_share_of_what_does_not_add_up() -> None:
    # 210 FLOPs in 0.8 s are 262.5 FLOP/s in all, of which 500 FLOP/s would be 190.5 %
    found = toys.timed()
    for page in ("table", "html"):
        text = found.render(page, columns=("macs", "rate"), sort="rate")
        assert text.index("fast") < text.index("slow") < text.index("small")
        assert "share" not in text
        assert "%" not in text
        assert "share of macs" in found.render(page, columns=("macs", "rate"))
    assert found.summed[-2:] == ("seconds", "above")
    assert not {"rate", "rms", "flag"} & set(found.summed)


def test_rows_are_sorted_by_any_column_of_numbers() -> None:
    assert read(toys.timed(), sort="rms")["name"] == ["small", "slow", "fast"]  # nobody knows that of `fast`
    assert read(toys.timed(), sort="above")["name"] == ["slow", "small", "fast"]


def test_one_op_is_no_ops() -> None:
    toy = toys.Toy()
    found = toys.profiled(toy.graph(toy.relu("a", toy.input("x", 1, 4))), "alone")
    for page in ("table", "markdown", "latex", "dot"):
        text = found.render(page)
        assert "1 op" in text
        assert "1 ops" not in text


def test_text_has_no_order() -> None:
    with pytest.raises(UserError, match="'flag' is text and has no order"):
        toys.timed().render("table", columns=("flag",), sort="flag")


def test_a_time_below_nothing_has_its_number_and_no_bar() -> None:
    # 0.3, -0.1 and 0.2 are 0.4 in all: 75 %, -25 % and 50 %
    lines = toys.timed().render("table", columns=("above",), sort="above").splitlines()
    (fast,) = [line for line in lines if line.startswith(" fast")]
    assert fast.endswith(" -25.0%")
    assert not set("█▏▎▍▌▋▊▉") & set(fast)
    assert [line[-6:] for line in lines if line.startswith((" slow", " small"))] == [" 75.0%", " 50.0%"]
