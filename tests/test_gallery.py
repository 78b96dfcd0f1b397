"""reports/ is what its generator writes, and what it says holds together."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

import archprof
from archprof import units
from archprof.renderers.diagram import LEGIBLE, printed_size

REPORTS = Path(__file__).resolve().parent.parent / "reports"


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", REPORTS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return generator().write(tmp_path_factory.mktemp("gallery"))


def test_the_gallery_is_up_to_date(written: list[Path]) -> None:
    # the bytes of an SVG belong to the Graphviz that drew it; what it was drawn from is compared
    old = [
        p.name
        for p in written
        if p.suffix not in {".svg", ".html"} and p.read_bytes() != (REPORTS / p.name).read_bytes()
    ]
    assert old == [], "run 'poe gallery'"


def test_every_picture_shows_the_nodes_of_its_source(written: list[Path]) -> None:
    for path in written:
        if path.suffix == ".svg":
            kept, made = (re.findall(r'class="node [^"]*"', p.read_text("utf-8")) for p in (REPORTS / path.name, path))
            assert sorted(kept) == sorted(made), path.name


def test_every_figure_for_a_paper_is_legible_on_a4(written: list[Path]) -> None:
    figures = [path for path in written if path.name.endswith("-paper.svg")]
    assert len(figures) > 3
    for path in figures:
        points, _ = printed_size(path.read_bytes(), "a4", 1)
        assert points >= LEGIBLE, path.name


def test_the_comparison_says_what_the_profiles_do(written: list[Path]) -> None:
    # its bytes belong to Graphviz and to the versions of the packages that it names
    for folder in (REPORTS, written[0].parent):
        text = (folder / "comparison.html").read_text("utf-8")
        for model in generator().COMPARED:
            found = archprof.profile(model)
            assert f"{model}</" in text
            assert units.count(found.macs) in text
            assert units.count(found.params) in text


def test_nothing_is_left_over(written: list[Path]) -> None:
    sources = {"generate.py", "lecture.md.jinja"}
    measured = {"coverage.md", "coverage.tsv", "depth.tsv", "depth.svg"}  # the sweeps' and the experiment's
    peers = {path.name for path in REPORTS.glob("torchview-*.svg")}  # drawn once, with generate.py --torchview
    found = {path.name for path in REPORTS.iterdir() if path.is_file()}
    assert found - sources - measured - peers == {path.name for path in written}


def test_every_link_of_the_page_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", (REPORTS / "README.md").read_text("utf-8"))
    assert len(links) > 30
    assert [link for link in links if "://" not in link and not (REPORTS / link).exists()] == []
