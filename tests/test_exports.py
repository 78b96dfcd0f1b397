"""Exports, each read back by a reader that is not ours; hostile names stay names in every one."""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import sys
import types
import zipfile
from pathlib import Path

import jsonschema
import networkx
import pandas as pd
import pytest
import toys
from click.testing import CliRunner

from archprof.cli import main
from archprof.errors import UserError
from archprof.records import Facts, Tensor, Unknown
from archprof.renderers import RENDERERS, View
from archprof.renderers.files import checked, write
from archprof.result import Profile

SPEEDSCOPE = Path(__file__).parent / "speedscope.schema.json"
"""file-format-schema.json of the npm package speedscope 1.25.0, MIT, (c) 2018 Jamie Wong."""
HOSTILE = [
    "<script>alert(1)</script>",
    "a|b_c%&#$\\{}~^",
    "=1+1\"'",
    "new\nline\ttab;semi",
    "nul\x00\x1b[31m",
    "ünï→",
    "/a//b",
    " ",
]


@pytest.fixture(scope="module")
def hostile() -> Profile:
    """A chain whose names mean something to every format; the last op is unknown."""
    toy = toys.Toy()
    last = toy.input("x", 1, 4)
    for name in HOSTILE:
        last = toy.op(name, "relu", [last], Tensor((1, 4)), Facts(macs=4, flops=8), layer=name)
    last = toy.op("odd", "mystery", [last], Tensor((1, 4)), Unknown("no rule"))
    return toys.profiled(toy.graph(last), "net_<b>&%")


def written(profile: Profile, path: Path) -> Path:
    write([profile], checked(str(path)), "", View())
    return path


def test_networkx_reads_graphml_back(profiled) -> None:
    found = profiled("googlenet")
    graph = networkx.read_graphml(io.StringIO(found.render("graphml")), force_multigraph=True)
    assert list(graph) == list(found.network.nodes)
    assert graph.number_of_edges() == len(found.network.edges)
    assert sum(data.get("macs", 0) for _, data in graph.nodes(data=True)) == found.macs
    assert sum(data.get("params", 0) for _, data in graph.nodes(data=True)) == found.params
    assert set(graph.edges()) == {(edge.producer, edge.consumer) for edge in found.network.edges}


def test_networkx_reads_node_link_back(profiled) -> None:
    found = profiled("googlenet")
    graph = networkx.node_link_graph(json.loads(found.render("node-link")), edges="edges")
    assert list(graph) == list(found.network.nodes)
    assert {(a, b) for a, b, _ in graph.edges} == set(found.graph.edges())
    assert sum(data.get("macs", 0) for _, data in graph.nodes(data=True)) == found.macs


def test_an_op_that_reads_a_tensor_twice_keeps_both_edges(profiled) -> None:
    found = profiled("two")  # product * product
    assert (
        networkx.node_link_graph(json.loads(found.render("node-link")), edges="edges").number_of_edges(
            "product", "square"
        )
        == 2
    )
    assert (
        networkx.read_graphml(io.StringIO(found.render("graphml")), force_multigraph=True).number_of_edges(
            "product", "square"
        )
        == 2
    )


def test_names_that_xml_cannot_write_stay_apart(hostile) -> None:
    graph = networkx.read_graphml(io.StringIO(hostile.render("graphml")), force_multigraph=True)
    assert len(graph) == len(HOSTILE) + 2
    assert HOSTILE[0] in graph
    assert "macs" not in graph.nodes["odd"]  # unknown, never 0
    assert list(networkx.node_link_graph(json.loads(hostile.render("node-link")), edges="edges"))[1:-1] == HOSTILE


def explorer(name: str):
    """A module of Model Explorer's own package; the package itself would start its server's imports."""
    found = importlib.util.find_spec("model_explorer")
    if found is None or not found.submodule_search_locations:
        pytest.skip("ai-edge-model-explorer is not installed (its server needs many packages; --no-deps does here)")
    if "explorer_package" not in sys.modules:
        package = types.ModuleType("explorer_package")
        package.__path__ = list(found.submodule_search_locations)
        sys.modules["explorer_package"] = package
    return importlib.import_module(f"explorer_package.{name}")


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "hostile"])
def test_model_explorer_takes_the_graph(name: str, profiled, hostile) -> None:
    found = hostile if name == "hostile" else profiled(name)
    builder = explorer("graph_builder")
    document = json.loads(found.render("model-explorer"))
    assert document["label"] == found.model
    (graph,) = document["graphs"]
    nodes = [builder.GraphNode(**node) for node in graph.pop("nodes")]  # unknown fields would raise
    builder.Graph(nodes=nodes, **graph)
    edges = [builder.IncomingEdge(**edge) for node in nodes for edge in node.incomingEdges]
    [builder.KeyValue(**pair) for node in nodes for pair in node.attrs]
    outputs = [builder.MetadataItem(**item) for node in nodes for item in node.outputsMetadata]
    assert all(isinstance(pair["value"], str) for item in outputs for pair in item.attrs)
    ids = [node.id for node in nodes]
    assert len(set(ids)) == len(ids) == len(found.network.nodes)
    assert all(ids)
    assert {edge.sourceNodeId for edge in edges} <= set(ids)
    assert len(edges) == len(found.network.edges)
    assert not any("//" in node.namespace or node.namespace.startswith("/") for node in nodes)


def test_model_explorer_takes_the_numbers(profiled) -> None:
    builder = explorer("node_data_builder")
    found = profiled("googlenet")
    ((name, data),) = json.loads(found.render("model-explorer-data", sort="params")).items()
    results = {key: builder.NodeDataResult(**value) for key, value in data.pop("results").items()}
    gradient = [builder.GradientItem(**item) for item in data.pop("gradient")]
    builder.GraphNodeData(results=results, gradient=gradient, **data)
    graph = json.loads(found.render("model-explorer"))["graphs"][0]
    assert name == graph["id"]
    assert set(results) <= {node["id"] for node in graph["nodes"]}
    assert sum(result.value for result in results.values()) == found.params
    assert [item.stop for item in gradient] == sorted(item.stop for item in gradient)
    assert (gradient[0].stop, gradient[-1].stop) == (0, 1)


def test_what_is_unknown_is_no_number_for_model_explorer(hostile) -> None:
    assert "odd" not in json.loads(hostile.render("model-explorer-data"))[hostile.model]["results"]
    with pytest.raises(UserError, match="no column 'speed'"):
        hostile.render("model-explorer-data", sort="speed")


def test_netron_gets_one_entry_a_node_and_measure(profiled) -> None:
    found = json.loads(profiled("lenet5-1998").render("netron", columns=("macs", "params")))
    assert found["signature"] == "netron:attachment"
    assert all(entry.keys() == {"kind", "target", "name", "value"} for entry in found["metrics"])
    assert {entry["kind"] for entry in found["metrics"]} == {"node"}
    macs = [entry["value"] for entry in found["metrics"] if entry["name"] == "macs"]
    assert sum(macs) == profiled("lenet5-1998").macs


def test_stacks_add_up(profiled, hostile) -> None:
    stacks = [line.rsplit(" ", 1) for line in profiled("resnet18").render("folded").splitlines()]
    assert sum(int(weight) for _, weight in stacks) == profiled("resnet18").macs
    assert stacks[0] == ["resnet18;conv1", "118013952"]
    assert stacks[1][0].startswith("resnet18;layer1;0;conv1")
    assert all(line.rsplit(" ", 1)[1].isdigit() for line in hostile.render("folded").splitlines())
    assert len(hostile.render("folded").splitlines()) == len(HOSTILE)


@pytest.mark.parametrize("metric", ["macs", "params", "bytes", "activation_bytes", "flops"])
def test_there_are_stacks_of_every_metric(metric: str, profiled) -> None:
    found = profiled("googlenet")
    stacks = [line.rsplit(" ", 1) for line in found.render("folded", sort=metric).splitlines()]
    column = "activation_bytes" if metric == "bytes" else metric
    assert sum(int(weight) for _, weight in stacks) == found.totals[column]
    with pytest.raises(UserError, match="no column 'speed'"):
        found.render("folded", sort="speed")


@pytest.mark.parametrize("format", ["folded", "speedscope"])
@pytest.mark.parametrize(("column", "said"), [("rate", "does not add up"), ("above", "below 0"), ("flag", "is text")])
def test_what_does_not_add_up_makes_no_stack(format: str, column: str, said: str) -> None:
    with pytest.raises(UserError, match=f"'{column}' .*{said}"):
        toys.timed().render(format, sort=column)


def test_model_explorer_shows_what_does_not_add_up() -> None:
    (data,) = json.loads(toys.timed().render("model-explorer-data", sort="rate")).values()
    assert data["results"]["fast"] == {"value": 500.0}


@pytest.mark.parametrize("name", ["resnet18", "bert-base", "hostile", "gap"])
def test_speedscope_takes_every_metric(name: str, profiled, hostile) -> None:
    found = hostile if name == "hostile" else profiled(name)
    document = json.loads(found.render("speedscope", sort="params"))
    jsonschema.validate(document, json.loads(SPEEDSCOPE.read_text("utf-8")))
    names = [part["name"] for part in document["profiles"]]
    assert names == [name for name in ("macs", "params", "activation_bytes") if found.totals[name]]
    assert found.totals["params"] == 0 or names[document["activeProfileIndex"]] == "params"
    frames = [frame["name"] for frame in document["shared"]["frames"]]
    for part in document["profiles"]:
        assert part["endValue"] == sum(part["weights"]) == found.totals[part["name"]]
        assert len(part["samples"]) == len(part["weights"])
        assert max(number for sample in part["samples"] for number in sample) < len(frames)
    first = document["profiles"][0]["samples"][0]
    assert found.network[frames[first[-1]]].kind != "input"


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "xlsx"])
def test_pandas_reads_tables_back(ending: str, profiled, tmp_path) -> None:
    if ending in {"parquet", "xlsx"}:
        pytest.importorskip("pyarrow" if ending == "parquet" else "openpyxl")
    found = profiled("resnet18")
    table = read(written(found, tmp_path / f"net.{ending}"))
    assert list(table["name"]) == [op.name for op in found.network.ops]
    assert table["macs"].sum() == found.macs
    assert table["params"].sum() == found.params
    assert pd.api.types.is_integer_dtype(table["macs"].dtype)


@pytest.mark.parametrize("ending", ["parquet", "xlsx"])
def test_what_was_measured_is_a_number(ending: str, tmp_path) -> None:
    pytest.importorskip("pyarrow" if ending == "parquet" else "openpyxl")
    table = read(written(toys.timed(), tmp_path / f"net.{ending}"))
    assert all(pd.api.types.is_numeric_dtype(table[name]) for name in ("seconds", "rate", "above", "rms"))
    assert list(table["rate"]) == [200, 500, 100]
    assert table["rms"].sum() == 1  # that of `fast` is missing
    assert list(toys.timed().table["flag"]) == ["", "odd", ""]
    assert toys.timed().by_module()["rate"].dtype == "Float64"


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "xlsx"])
def test_hostile_names_come_back_from_tables(ending: str, hostile, tmp_path) -> None:
    if ending in {"parquet", "xlsx"}:
        pytest.importorskip("pyarrow" if ending == "parquet" else "openpyxl")
    path = written(hostile, tmp_path / f"net.{ending}")
    names = list(read(path)["name"])
    wanted = [*HOSTILE, "odd"]
    if ending == "xlsx":  # a spreadsheet cannot hold control characters
        wanted[4] = "nul\ufffd\ufffd[31m"
        assert b"<f>" not in zipfile.ZipFile(path).read("xl/worksheets/sheet1.xml")  # and `=1+1` is no formula
    if ending in {"csv", "tsv"}:
        wanted[2] = "'=1+1\"'"  # nor is it in a spreadsheet that opens this
    assert names == wanted
    assert pd.isna(read(path)["macs"].iloc[-1])


def read(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    if path.suffix == ".xlsx":
        return pd.read_excel(path, keep_default_na=False, na_values=[""])
    return pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",", keep_default_na=False, na_values=[""])


@pytest.mark.parametrize(("ending", "package"), [("parquet", "pyarrow"), ("xlsx", "openpyxl")])
def test_a_missing_package_is_one_line_that_names_the_extra(ending: str, package: str, monkeypatch, tmp_path) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == package else real(name, *rest))
    result = CliRunner().invoke(main, ["show", "nothing-here", "-o", str(tmp_path / f"net.{ending}")])
    assert result.exit_code == 2
    assert result.stderr == f"error: a .{ending} file needs {package}: pip install 'archprof[{ending}]'\n"


@pytest.mark.parametrize("output", ["net.zip", "nowhere/net.csv", "net"])
def test_a_file_that_cannot_be_is_told_before_any_work(output: str, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["show", "nothing-here", "-o", output])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "nothing-here" not in result.stderr


def test_several_models_are_one_table_for_programs(profiled, tmp_path) -> None:
    chain, gap = profiled("chain"), profiled("gap")
    write([chain, gap], tmp_path / "x.tsv", "", View(columns=("macs",)))
    table = read(tmp_path / "x.tsv")
    assert list(table.columns) == ["model", "name", "type", "output_shape", "macs"]
    assert list(table["model"]) == ["chain"] * 4 + ["gap"] * 4
    assert list(table["name"]) == [op.name for op in (*chain.network.ops, *gap.network.ops)]
    write([chain, toys.timed()], tmp_path / "x.csv", "", View())
    assert list(read(tmp_path / "x.csv")["seconds"].dropna()) == [0.5, 0.2, 0.1]  # the first has no such column


def test_show_prints_one_table_into_a_pipe() -> None:
    result = CliRunner().invoke(main, ["show", "lenet5", "lenet5-1998", "--columns", "macs"])
    lines = result.stdout.splitlines()
    assert lines[0].split("\t")[:2] == ["model", "name"]
    assert {line.split("\t")[0] for line in lines[1:]} == {"lenet5", "lenet5-1998"}


def test_a_picture_shows_what_the_table_would(profiled, tmp_path) -> None:
    found = profiled("resnet18")
    view = View(path="layer1", depth=1, sort="params")
    write([found], tmp_path / "net.svg", "", view)
    write([found], tmp_path / "net.dot", "", view)
    svg, dot = ((tmp_path / name).read_text("utf-8") for name in ("net.svg", "net.dot"))
    for text in (svg, dot):
        assert "after layer1" in text
        assert "share of parameters" in text
        assert "layer2.0" not in text


def test_remarks_on_a_picture_are_told(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(Profile, "draw", lambda *_, **__: ("less is drawn",))
    result = CliRunner().invoke(main, ["show", "lenet5", "-o", str(tmp_path / "net.svg")])
    assert (result.exit_code, result.stderr.splitlines()[0]) == (0, "less is drawn")


def test_show_writes_what_the_ending_says(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["show", "inception-direct", "-o", "net.graphml"])
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "wrote net.graphml\n")
    assert "conv" in networkx.read_graphml("net.graphml")
    assert CliRunner().invoke(main, ["show", "inception-direct", "--format", "csv", "-o", "net.data"]).exit_code == 0
    assert Path("net.data").read_text("utf-8").startswith("name,")


@pytest.mark.parametrize("format", sorted(set(RENDERERS) - {"chrome-trace", "report"}))
def test_no_format_stumbles_over_a_hostile_name(format: str, hostile) -> None:
    text = hostile.render(format)
    assert text.endswith("\n")
    assert "<script>alert" not in text or format not in {"html", "notebook", "markdown", "graphml"}


def test_a_hostile_markdown_table_has_its_cells(hostile) -> None:
    import re

    rows = hostile.render("markdown").splitlines()
    assert len(rows) == 2 + len(HOSTILE) + 2
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {7}
