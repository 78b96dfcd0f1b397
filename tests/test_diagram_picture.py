"""Graphviz as a child process, and pictures for those who do not see them."""

from __future__ import annotations

import re
import stat
import sys
from pathlib import Path
from xml.dom import minidom

import pytest
import toys
from pictures import centres

from archprof.errors import DrawingError
from archprof.renderers.diagram import accessible, description, diagram, layout, render


@pytest.mark.parametrize(("format", "begins"), [("svg", b"<?xml"), ("pdf", b"%PDF-"), ("png", b"\x89PNG\r\n\x1a\n")])
def test_each_format_is_drawn(format: str, begins: bytes) -> None:
    assert render(diagram(toys.residual(), title="t"), format).startswith(begins)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(DrawingError, match="'gif': a picture is svg, pdf, png"):
        render("digraph {}", "gif")


def test_a_text_that_is_not_dot_is_an_error_of_one_line() -> None:
    with pytest.raises(DrawingError) as caught:
        render("digraph { a -> ", "svg")
    assert "\n" not in str(caught.value)


def engine(folder: Path, body: str) -> str:
    """Write a program that stands in for `dot` and return its path."""
    program = folder / "dot"
    program.write_text(f"#!{sys.executable}\nimport sys, time\n{body}\n", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


posix = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script with a #! line")


@posix
def test_a_late_layout_is_tried_again_with_straight_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = "'-Gsplines=line' in sys.argv or time.sleep(60)\nprint(*sys.argv[1:])"
    monkeypatch.setenv("ARCHPROF_DOT", engine(tmp_path, body))
    assert render("digraph {}", "svg", timeout=1.5) == b"-Tsvg -Gmclimit=0.1 -Gnslimit=1 -Gnslimit1=1 -Gsplines=line\n"


@posix
def test_a_layout_that_is_late_twice_is_an_error_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHPROF_DOT", engine(tmp_path, "time.sleep(60)"))
    with pytest.raises(DrawingError, match=r"longer than 0\.3 s, twice: draw less, with --depth 1"):
        render("digraph {}", "svg", timeout=0.3)


@posix
def test_a_failing_engine_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHPROF_DOT", engine(tmp_path, "sys.exit('no such font')"))
    with pytest.raises(DrawingError, match="Graphviz failed: no such font"):
        render("digraph {}", "svg")


def test_an_engine_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHPROF_DOT", "/nowhere/dot")
    with pytest.raises(DrawingError, match=r"cannot run /nowhere/dot .*check ARCHPROF_DOT"):
        render("digraph {}", "svg")


def test_without_any_graphviz_the_remedy_is_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARCHPROF_DOT", raising=False)
    monkeypatch.setattr(layout.shutil, "which", lambda _: None)
    monkeypatch.setattr(layout.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(DrawingError, match="pip install pygraphviz"):
        render("digraph {}", "svg")


def test_the_engine_of_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHPROF_DOT", "mine")
    monkeypatch.setattr(layout.shutil, "which", lambda _: "/usr/bin/dot")
    assert layout.engine() == ["mine"]
    monkeypatch.delenv("ARCHPROF_DOT")
    assert layout.engine() == ["/usr/bin/dot"]
    monkeypatch.setattr(layout.shutil, "which", lambda _: None)
    assert layout.engine()[0] == sys.executable


def test_an_accessible_picture_names_itself_and_its_boxes() -> None:
    svg = accessible(render(diagram(toys.unknown(), title="t"), "svg"), "Toy, 7.4 kMAC", description(toys.unknown()))
    picture = minidom.parseString(svg).documentElement
    assert picture.getAttribute("role") == "img"
    labels = picture.getAttribute("aria-labelledby").split()
    named = {tag.getAttribute("id"): tag for tag in picture.childNodes if tag.nodeType == tag.ELEMENT_NODE}
    assert named[labels[0]].firstChild.data == "Toy, 7.4 kMAC"
    assert named[labels[1]].firstChild.data == (
        "Inputs: image 3×8×8. In order: conv, mystery, head. Largest shares of MACs: conv, Conv2d 3×3, 93.1 %; "
        "head, Conv2d 1×1, 6.9 %. Outputs: output 2×8×8. The cost of 1 of 3 ops is unknown."
    )
    titles = [title.firstChild.data for title in picture.getElementsByTagName("title")]
    assert "conv; Conv2d 3×3; 1 op, 108 params; 6.912 kMAC · 93.1 %" in titles
    assert b"graphviz version" not in svg.lower()
    assert b"xlink:title" not in svg
    assert b'class="node op conv2d cost-5"' in svg


def test_two_pictures_on_one_page_share_no_ids() -> None:
    pictures = [accessible(render(diagram(toys.towers(), title=t), "svg"), t, "d").decode() for t in ("one", "two")]
    ids = [set(re.findall(r'\bid="([^"]+)"', picture)) for picture in pictures]
    assert len(ids[0]) > 10
    assert not ids[0] & ids[1]


def test_the_description_counts_a_repeated_layer_with_all_its_copies() -> None:
    assert "In order: stem, layer1.0, layer2, pool." in description(toys.residual())
    assert "layer2.1.conv1 and 2 like it, Conv2d 3×3 + BN + ReLU, 30.2 %" in description(toys.residual())


def test_the_lines_of_a_box_are_anchored_in_its_middle() -> None:
    plain = render(diagram(toys.unknown(), title="t"), "svg")
    picture = minidom.parseString(accessible(plain, "t", "d"))
    middle = centres(plain)["conv"][0]
    lines = [text for text in picture.getElementsByTagName("text") if text.firstChild.data.startswith("Conv2d 3×3")]
    assert [(line.getAttribute("text-anchor"), float(line.getAttribute("x"))) for line in lines] == [
        ("middle", pytest.approx(middle, abs=0.01))
    ]


def test_an_svg_with_entities_is_refused() -> None:
    bomb = b'<!DOCTYPE svg [<!ENTITY a "aaaa">]><svg>&a;</svg>'
    with pytest.raises(DrawingError, match="defines entities"):
        accessible(bomb, "t", "d")


def test_the_names_of_frames_come_after_the_wires_with_a_rim() -> None:
    svg = accessible(render(diagram(toys.residual(), title="t"), "svg"), "t", "d").decode()
    name = svg.index(">layer2.0<")
    assert name > svg.rindex('class="edge')
    rim = svg[svg.rindex("<g", 0, name) : name]
    assert 'paint-order="stroke"' in rim
    assert 'stroke="#ebedf1"' in rim
