"""Styles of a diagram, and looks given from outside."""

from __future__ import annotations

import itertools

import pygraphviz
import pytest
import toys

from archprof.errors import UserError
from archprof.renderers.diagram import STYLES, Paint, diagram
from archprof.renderers.diagram.sketch import Frame, Piece
from archprof.renderers.diagram.style import contrast, level
from archprof.renderers.picture import source


def attributes(dot: str, name: str) -> dict[str, str]:
    graph = pygraphviz.AGraph(string=dot)
    return dict(graph.get_node(name).attr.items())


@pytest.mark.parametrize("style", STYLES.values(), ids=lambda style: style.name)
def test_text_stands_out_on_every_ground(style) -> None:
    # WCAG 2.2, success criterion 1.4.3: 4.5 for text
    for fill, ink in zip(style.fills, style.inks, strict=True):
        assert contrast(fill, ink) >= 4.5, fill
    for ground in (style.ground, *style.frames):
        assert contrast(ground, style.ink) >= 4.5
        assert contrast(ground, style.repeat) >= 4.5


@pytest.mark.parametrize("style", STYLES.values(), ids=lambda style: style.name)
def test_the_bins_of_a_style_are_as_far_apart_as_greys(style) -> None:
    lights = [contrast(fill, "#000000") for fill in style.fills]
    assert lights in (sorted(lights), sorted(lights, reverse=True))
    assert all(max(a, b) / min(a, b) >= 1.15 for a, b in itertools.pairwise(lights))


def test_detail_says_parameters_and_bytes_and_puts_shapes_on_wires() -> None:
    text = diagram(toys.residual(), title="t", style="detail")
    label = attributes(text, "stem")["label"]
    assert "216 params" in label  # 8 x 3 x 3 x 3
    assert "96.00 KiB made" in label  # three ops of 8 x 32 x 32 floats
    assert "8×32×32" not in label
    graph = pygraphviz.AGraph(string=text)
    wires = {(a, b): graph.get_edge(a, b).attr["label"] for a, b in graph.edges()}
    assert wires["stem", "layer1.0.conv1"].strip() == "8×32×32"
    assert wires["stem", "layer1.0.relu2"] == ""  # the same tensor again


def test_paints_by_path_replace_fill_pen_and_add_a_line() -> None:
    paints = {
        "stem": Paint("#cce5ff", "#0044aa", "+216 params"),
        "layer2.1": Paint(pen="#aa0000", extra="changed"),
    }
    key = ([("#cce5ff", "added", "#1a1a1a")], "against the old one")
    text = diagram(toys.residual(), title="t", paint=paints, key=key)
    node = attributes(text, "stem")
    assert (node["fillcolor"], node["color"]) == ("#cce5ff", "#0044aa")
    assert "+216 params" in node["label"]
    assert "changed" in text
    assert "against the old one" in text
    assert "share of MACs" not in text


def test_paints_by_function_know_all_ops_of_a_part() -> None:
    def dark_where_four(part: Piece | Frame) -> Paint | None:
        return Paint("#003300") if part.copies == 3 and isinstance(part, Piece) else None

    text = diagram(toys.residual(), title="t", paint=dark_where_four, collapse=["layer2.*"])
    node = attributes(text, "layer2.1")
    assert (node["fillcolor"], node["fontcolor"]) == ("#003300", "#ffffff")


def test_an_unknown_style_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="style is auto or paper or detail or dark, not 'neon'"):
        diagram(toys.towers(), title="t", style="neon")


def test_a_share_below_nothing_has_the_palest_colour() -> None:
    # `above` is 0.3, -0.1 and 0.2 of 0.4
    text = source(toys.timed(), metric="above", fold="none")
    assert "-25.0 %" in text
    assert level(-0.25) == level(0) == 0
