"""The report as a file: complete without a script, quoted, closed to any network, the same every time."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from torch import nn

import archprof
from archprof.cli import main
from archprof.devices.choice import find
from archprof.records import Column
from archprof.renderers.report import Chapter, pieces
from archprof.renderers.report.data import described
from archprof.reporting import chapter, report, totals, written

ROOT = Path(__file__).parents[1]
WEB = ROOT / "archprof" / "renderers" / "report" / "web"
HOSTILE = '</script><img src=x onerror="broken=1">'


@pytest.fixture(scope="module")
def page() -> str:
    return written([archprof.profile("lenet5")])


def data(page: str) -> dict:
    text = re.search(r'id="archprof-data"[^>]*>"([^"]*)"', page)
    assert text
    return json.loads(gzip.decompress(base64.b64decode(text[1])))


def test_totals_of_the_page_are_those_of_the_profile_and_of_its_json(page: str) -> None:
    whole = json.loads(archprof.profile("lenet5").to_json())["totals"]
    (model,) = data(page)["models"]
    assert model["totals"] == whole
    assert (
        whole["params"] == 61_706
    )  # LeCun et al. 1998: 156 + 1,516 + 48,120 + 10,164 and the rest, as specs/lenet5 says
    assert "61.71 k" in page
    assert "416.5 k" in page


def test_values_of_ops_are_those_of_the_json(page: str) -> None:
    ops = json.loads(archprof.profile("lenet5").to_json())["ops"]
    (model,) = data(page)["models"]
    assert model["ops"]["name"] == [op["name"] for op in ops]
    for column in ("macs", "params", "activation_bytes"):
        assert model["values"][column] == [op[column] for op in ops]


def test_the_static_page_has_everything_and_every_column_is_defined(page: str) -> None:
    assert "<svg" in page
    assert page.count('scope="row"') >= 12
    for column in archprof.profile("lenet5").columns.values():
        assert f"<code>{column.name}</code>" in page
    assert f"torch {archprof.profile('lenet5').versions['torch']}" in page


def test_only_the_script_of_the_page_may_run_and_nothing_may_be_fetched(page: str) -> None:
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(script) == 1
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert f"&#39;sha256-{digest}&#39;" in policy
    assert "default-src &#39;none&#39;" in policy
    assert not re.findall(r'(?:src|href)="(?!#)[^"]*"', page.replace(script[0], ""))


def test_the_cards_say_what_a_network_costs_exactly_and_in_short(page: str) -> None:
    cards = re.findall(
        r"<dt>(.*?)</dt><dd>(.*?)</dd>(?:<dd class=\"exact\">(.*?)</dd>)?", page[: page.index('id="app"')]
    )
    found = {label: (amount, exact) for label, amount, exact in cards}
    assert list(found) == [
        "Parameters",
        "MACs",
        "FLOPs",
        "Weights",
        "Activations",
        "Peak memory",
        "Arithmetic intensity",
        "Ops",
    ]
    assert found["Parameters"] == ("61.71 k", "61,706")
    assert found["Weights"] == ("241.0 KiB", "246,824 bytes")  # 4 bytes each


def test_the_intensity_is_the_work_by_the_bytes_moved() -> None:
    net = nn.Linear(64, 32, bias=False)
    (intensity,) = re.findall(r"<dt>Arithmetic intensity</dt><dd>(.*?)</dd>", written([archprof.profile(net, (8, 64))]))
    # 2 * 8 * 64 * 32 FLOPs; reads 8 x 64 and 64 x 32 and writes 8 x 32 float32: 4 * (512 + 2048 + 256) bytes
    assert intensity == f"{32768 / 11264:.3f} FLOP/B"


def test_a_kernel_was_measured_with_all_that_rides_along() -> None:
    found = archprof.profile(nn.Sequential(nn.Linear(4, 4), nn.ReLU()), (2, 4))
    (both,) = described(chapter(found, [find("T4")]))["rooflines"]["kernels"]["size"]
    assert both == 2
    assert described(chapter(found, [find("T4")]))["rooflines"]["kernels"]["measured_s"] is None
    column = Column("measured_s", "s", "sum", "how long")
    timed = dataclasses.replace(
        found,
        columns={**found.columns, "measured_s": column},
        values={**found.values, "measured_s": [0.5, 0.25]},
    )
    assert described(chapter(timed, [find("T4")]))["rooflines"]["kernels"]["measured_s"] == [0.75]


def test_accuracy_is_told_as_given(tmp_path: Path) -> None:
    words = ["report", "lenet5", "-o", str(tmp_path / "x.html"), "--accuracy", "lenet5=99.05"]
    assert CliRunner().invoke(main, words).exit_code == 0
    text = (tmp_path / "x.html").read_text("utf-8")
    assert "<dt>Accuracy</dt><dd>99.05</dd>" in text
    assert data(text)["models"][0]["accuracy"] == 99.05


def test_reports_are_the_same_every_time(page: str) -> None:
    assert written([archprof.profile("lenet5")]) == page


class Hostile(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.add_module("a", nn.Sequential())
        self.get_submodule("a")._modules[HOSTILE] = nn.Linear(4, 3)

    def forward(self, x):
        return self.a(x)


def test_a_network_without_a_layer_has_a_report(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text("archprof: 1\nname: net\ninputs:\n  x: float32[3]\nsteps:\n  a: in\n", "utf-8")
    assert "net" in written([archprof.profile(path)])


def test_whatever_a_name_holds_is_text() -> None:
    text = written([archprof.profile(Hostile(), (2, 4))])
    assert "<img" not in text
    assert "&lt;img" in text
    assert data(text)["models"][0]["ops"]["name"] == [f"a.{HOSTILE}"]


def test_exact_repeats_are_runs() -> None:
    found = described(chapter(archprof.profile("resnet50"), []))
    paths = found["modules"]["path"]
    runs = [[[paths[-1 - node] for node in copy] for copy in run] for run in found["runs"]]
    assert [["layer3.1"], ["layer3.2"], ["layer3.3"], ["layer3.4"], ["layer3.5"]] in runs


def test_a_device_that_was_asked_for_is_not_dropped_in_silence() -> None:
    found = archprof.profile("lenet5", dtype="bfloat16")
    told = "no roofline: T4 has no peak for bfloat16"
    assert told in written([found], on=["t4", "h100-sxm"])
    assert told not in written([found])
    assert [str(roof.device) for roof in chapter(found, [find("t4"), find("h100-sxm")]).rooflines] == ["H100-SXM"]


def test_claims_stand_beside_our_figures(tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    claims = "claims:\n  - {activations: 6, source: a}\n  - {params: 50, source: b}\n"
    spec.write_text(
        f"archprof: 1\nname: net\ninputs:\n  x: float32[8]\nsteps:\n  a: Linear(4)\n  b: Linear(2)\n{claims}"
    )
    rows = re.findall(r'<tr><th scope="row">(\w+)</th><td>(.*?)</td><td>(.*?)</td>', written([archprof.profile(spec)]))
    assert rows == [("activations", "6", "6"), ("params", "50", "46")]  # 4 + 2 numbers; 4 x 9 + 2 x 5


def test_memory_of_the_page_is_that_of_the_command() -> None:
    memory = described(chapter(archprof.profile("lenet5"), []))["memory"]["passes"][0]
    assert memory["peak"] == archprof.memory("lenet5").inference.peak_bytes
    born = sum(change for moments in memory["changes"].values() for at, change in zip(*moments, strict=True) if at == 0)
    assert born == 246_824 + 4 * 32 * 32  # 61,706 parameters and the picture, 4 bytes each


def test_several_networks_are_compared() -> None:
    pages = written([archprof.profile(name) for name in ("inception-direct", "inception-bottleneck")])
    assert "15.92 k (0.1036x)" in pages
    (diff,) = data(pages)["diffs"]
    assert [(row["status"], row["b"]) for row in diff["rows"]] == [("added", "reduction"), ("changed", "conv")]
    assert sum(row["delta"]["macs"] for row in diff["rows"]) == 12_443_648 - 120_422_400


def test_marks_are_those_of_the_comparison(profiled) -> None:
    rows = {row[0]: row[1:] for row in totals([Chapter(profiled("chain")), Chapter(profiled("gap"))])}
    assert rows["MACs"] == ["5.328 k", ">56 (-)"]
    assert rows["Activation bytes"] == ["1.164 KiB", "56 B (0.04698x)"]  # 1,192 bytes, and 4 + 4 + 4 + 2 numbers
    cards = {label: (amount, exact) for label, amount, exact, _ in pieces.cards(Chapter(profiled("gap")))}
    assert cards["MACs"] == (">56", "")
    assert cards["Activations"] == ("56 B", "56 bytes")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lenet5", "-o", "x.pdf"], "ends in .html"),
        (["lenet5", "-o", "no/such/x.html"], "there is no folder"),
        (["lenet6", "-o", "x.html"], "there is no model"),
        (["lenet5", "-o", "x.html", "--on", "abacus"], "no device"),
        (["lenet5", "-o", "x.html", "--train", "luck"], "no optimizer"),
        (["lenet5"] * 9 + ["-o", "x.html"], "1 to 8"),
        (["lenet5", "-o", "x.html", "--accuracy", "lenet=99"], "no network in this report 'lenet'"),
        (["lenet5", "-o", "x.html", "--accuracy", "99.1"], "is not MODEL=NUMBER"),
        (["lenet5", "-o", "x.html", "--accuracy", "lenet5=nan"], "is not MODEL=NUMBER"),
    ],
)
def test_mistakes_are_one_line(words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["report", *words])
    assert result.exit_code == 2
    assert said in result.output
    assert len(result.output.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_profile_writes_its_report(tmp_path: Path) -> None:
    archprof.profile("lenet5").report(tmp_path / "x.html")
    report([archprof.profile("lenet5")], tmp_path / "y.html")
    assert (tmp_path / "x.html").read_text("utf-8") == (tmp_path / "y.html").read_text("utf-8")


def test_the_shipped_script_is_what_its_sources_build(tmp_path: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed, which builds the script of reports")
    if not (WEB / "node_modules" / "esbuild").is_dir():
        pytest.skip(f"the packages of the script are not installed: npm ci in {WEB}")
    subprocess.run(["node", "build.mjs", str(tmp_path)], cwd=WEB, check=True, capture_output=True)
    for name in ("report.js", "report.css", "THIRD_PARTY_LICENSES.txt"):
        assert (tmp_path / name).read_text("utf-8") == (WEB.parent / "static" / name).read_text("utf-8"), name
    subprocess.run(["node_modules/.bin/tsc", "--noEmit"], cwd=WEB, check=True, capture_output=True)
