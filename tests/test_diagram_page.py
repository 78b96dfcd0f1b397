"""Pages, columns, focus and what else decides how much of a network is drawn."""

from __future__ import annotations

import re
from pathlib import Path

import pygraphviz
import pytest
import toys
from click.testing import CliRunner
from pictures import centres
from test_diagram import sketcher_of, wide
from toys import Toy

from archprof.cli import main
from archprof.errors import UserError
from archprof.graph import Graph
from archprof.renderers.diagram import compose, diagram, printed_size, render
from archprof.renderers.diagram.page import PAGES
from archprof.renderers.diagram.wiring import split


def nodes(dot: str) -> set[str]:
    graph = pygraphviz.AGraph(string=dot)
    return set(graph.nodes())


def chain(length: int) -> Graph:
    toy = Toy()
    at = toy.input("x", 1, 4, 8, 8)
    for number in range(length):
        at = toy.conv(f"l{number}", at, 4 + number % 5)
    return toy.graph(at)


def test_the_paper_style_draws_twenty_boxes_at_most() -> None:
    picture = compose(wide(4, 10), title="t", style="paper")
    assert len(picture.scene.sketch.pieces) <= 20
    assert len(compose(wide(4, 6), title="t").scene.sketch.pieces) > 20


def test_two_columns_begin_at_one_height_and_are_joined_by_a_letter() -> None:
    text = diagram(chain(12), title="t", columns=2)
    place = centres(render(text, "svg"))
    heights = {name: y for name, (_, y) in place.items()}
    left = {name for name, (x, _) in place.items() if x < 150}
    assert {"l0", "l5"} <= left
    assert not {"l6", "l11"} & left
    assert heights["l6"] < heights["l2"]
    graph = pygraphviz.AGraph(string=text)
    letters = [node for node in graph.nodes() if node.attr["class"] == "connector"]
    assert [node.attr["label"] for node in letters] == ["<<B>A</B>>"[1:-1]] * 2
    (out,) = [a for a, b in graph.edges() if b == letters[0] or b == letters[1]]
    assert out == "l5"


def test_columns_never_cut_a_repeated_block() -> None:
    sketch = sketcher_of(toys.residual()).sketch({"layer1.0", "layer2", "layer2.0", "layer2.1"})
    inside = [n for n, piece in enumerate(sketch.pieces) if piece.paths[0].startswith("layer2.1")]
    for columns in (2, 3):
        assert not set(split(sketch, columns)) & set(inside[1:])


def test_what_cannot_be_cut_stays_one_column() -> None:
    toy = Toy()
    outs = [toy.input("x", 1, 4, 8, 8)]
    for number in range(8):
        outs.append(toy.conv(f"l{number}", outs[-1], 4 + number))
    graph = toy.graph(toy.cat("all", *outs))
    assert len(compose(graph, title="t", columns=2).scene.wiring.starts) <= 2


def test_a_page_is_measured_in_the_size_of_its_smallest_text() -> None:
    svg = render(diagram(chain(40), title="t"), "svg")
    width, height = map(float, re.findall(rb'viewBox="0.00 0.00 ([\d.]+) ([\d.]+)"', svg)[0])
    points, remedy = printed_size(svg, "a4", 1)
    # 11.69 in less two margins of half an inch are 770 pt; the smallest text has 10.5 pt
    assert points == pytest.approx(10.5 * min(523 / width, 770 / height))
    assert points < 6
    assert remedy.startswith("--columns 2")
    assert printed_size(svg, "a4", 3)[1].startswith("draw less")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_gets_as_many_columns_as_it_takes(page: str) -> None:
    picture = compose(chain(40), title="t", page=page)
    assert len(picture.scene.wiring.starts) in (2, 3) or page == "column"


def test_focus_opens_one_group_between_two_stubs() -> None:
    text = diagram(toys.residual(), title="t", focus="layer2")
    assert {"image", "before_layer2", "after_layer2"} <= nodes(text)
    assert "layer2.0.conv1" in nodes(text)
    assert "layer1.0.conv1" not in nodes(text)
    assert "only layer2 is open" in text
    # stem 3.8 % and layer1.0 20.1 % come before it
    graph = pygraphviz.AGraph(string=text)
    assert "23.9 %" in graph.get_node("before_layer2").attr["label"]


def test_a_focus_that_is_no_group_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match=r"no group is called 'layer9'; the groups are .*layer1"):
        diagram(toys.residual(), title="t", focus="layer9")


def test_everything_is_everything() -> None:
    picture = compose(wide(20, 20), title="t", everything=True)
    assert len(picture.scene.sketch.pieces) == 401
    assert "larger than a page" in picture.heading


def test_glue_is_drawn_where_it_is_asked_for() -> None:
    toy = Toy()
    at = toy.conv("conv", toy.input("x", 1, 4, 8, 8), 4)
    at = toy.op("view", "contiguous", [at], toy.tensors[at], toys.Facts(is_view=True))
    graph = toy.graph(at)
    assert "view" not in nodes(diagram(graph, title="t"))
    assert "view" in nodes(diagram(graph, title="t", glue=True))


def test_a_flat_network_of_any_length_is_drawn_in_stretches() -> None:
    graph = chain(2000)
    picture = compose(graph, title="t")
    pieces = picture.scene.sketch.pieces
    assert len(pieces) <= 60
    # no op is lost, and none counted twice
    assert sorted(name for piece in pieces for name in piece.names) == sorted(graph.nodes)
    text = diagram(graph, title="t")
    assert "l0…83" in text  # 2,000 in 24 stretches of 84
    assert "l0…3" in diagram(graph, title="t", expand=["l0…l83"])


def test_a_column_that_does_not_add_up_is_refused(tmp_path: Path) -> None:
    (tmp_path / "chain.yaml").write_text(CHAIN, encoding="utf-8")
    file = str(tmp_path / "chain.yaml")
    out = str(tmp_path / "x.dot")
    for metric in ("bound", "intensity"):
        done = CliRunner().invoke(main, ["draw", file, "-o", out, "--on", "H100-SXM", "--metric", metric])
        assert done.exit_code == 2
        assert f"error: {metric} does not add up over ops" in done.output
    assert CliRunner().invoke(main, ["draw", file, "-o", out, "--on", "H100-SXM", "--metric", "time_s"]).exit_code == 0
    assert "share of time_s: lower bound on" in Path(out).read_text(encoding="utf-8")


def test_a_page_with_too_small_text_is_a_warning_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "chain.yaml").write_text(CHAIN, encoding="utf-8")
    words = ["draw", str(tmp_path / "chain.yaml"), "-o", str(tmp_path / "x.svg"), "--page"]
    done = CliRunner().invoke(main, [*words, "a4"])
    assert (done.exit_code, "the smallest text prints at 10.5 pt on a4" in done.output) == (0, True)
    done = CliRunner().invoke(main, [*words, "column", "--dir", "LR"])
    assert re.search(r"warning: the smallest text prints at \d\.\d pt on column, under 6: draw less", done.output)


CHAIN = """\
archprof: 1
name: chain
about: three layers in a row
inputs:
  x: float32[3, 8, 8]
steps:
  one: Conv2d(8, 3, padding=1)
  two: Conv2d(8, 3, padding=1)
  three: Conv2d(4, 1)
"""
