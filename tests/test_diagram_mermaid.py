"""Mermaid text: what it says, that names stay text, and that Mermaid itself draws it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import toys
from test_diagram import HOSTILE, dense, hostile
from toys import Toy

from archprof.errors import UserError
from archprof.graph import Graph
from archprof.renderers.diagram import compose, mermaid

WEB = Path(__file__).parents[1] / "archprof" / "renderers" / "report" / "web" / "node_modules"
CHROMIUM = os.environ.get("ARCHPROF_CHROMIUM") or shutil.which("chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PAGE = """<!doctype html><meta charset="utf-8"><body></body>"""
DRAW = """async (text) => {
  mermaid.initialize({startOnLoad: false, securityLevel: "strict"});
  const drawn = await mermaid.render("picture", text);
  document.body.innerHTML = drawn.svg;
  const all = (query) => [...document.querySelectorAll(query)];
  return {
    nodes: all("g.node").map((node) => node.textContent.trim()),
    edges: all("path.flowchart-link").length,
    clusters: all("g.cluster").length,
    title: (document.querySelector("svg > title") || {}).textContent,
    described: (document.querySelector("svg > desc") || {}).textContent,
    scripts: all("body script, body img, body a, body iframe").length,
  };
}"""


def text_of(graph: Graph, **options: object) -> str:
    return mermaid.write(compose(graph, title="t", **options), "Toy, 5 MAC", "Inputs: x; 12 %.")


@pytest.fixture(scope="module")
def draw():
    """Return a function that draws Mermaid text with Mermaid in a browser and tells what is there."""
    folder = Path(os.environ.get("ARCHPROF_NODE_MODULES") or WEB)
    script = folder / "mermaid" / "dist" / "mermaid.min.js"
    if not script.exists():
        pytest.skip(f"there is no Mermaid at {script}: run npm ci in {WEB.parent}, or set ARCHPROF_NODE_MODULES")
    if not CHROMIUM:
        pytest.skip("there is no chromium on the PATH; ARCHPROF_CHROMIUM may name one")
    sync = pytest.importorskip("playwright.sync_api", reason="Mermaid is drawn through playwright")
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_context(offline=True).new_page()
        page.set_content(PAGE)
        page.add_script_tag(path=script)
        yield lambda text: page.evaluate(DRAW, text)
        browser.close()


def test_it_says_what_the_diagram_says() -> None:
    text = text_of(toys.residual())
    assert text.startswith('---\ntitle: "t · 40 ops · 5.857 MMAC · 18.78 k params"\n---\nflowchart TD\n')
    assert "accTitle: Toy, 5 MAC" in text
    assert "accDescr: Inputs: x; 12 %." in text
    assert '("Conv2d 3×3 + BN + ReLU<br/>stem · 221.2 kMAC · 3.8 % · 8×32×32")' in text
    assert '["layer2.1…3 ×3 together 60.4 %"]' in text


def test_more_than_mermaid_draws_is_refused() -> None:
    toy = Toy()
    at = toy.input("x", 1, 4, 8, 8)
    for number in range(520):
        at = toy.conv(f"l{number}", at, 4 + number % 5)
    with pytest.raises(UserError, match=r"fewer than 500 edges and 50,000 letters.*: draw less, with --depth 1"):
        text_of(toy.graph(at), everything=True)


def test_a_line_to_an_output_is_an_edge_too() -> None:
    toy = Toy()
    at = toy.input("x", 1, 4, 1, 1)
    for number in range(499):
        at = toy.conv(f"l{number}", at, 4 + number % 5)
    with pytest.raises(UserError, match="these are 500 and"):  # 499 lines into convolutions and one out of the last
        text_of(toy.graph(at), everything=True)


@pytest.mark.parametrize("name", ["residual", "branches", "towers", "unknown"])
def test_mermaid_draws_it(name: str, draw) -> None:
    graph = getattr(toys, name)()
    picture = compose(graph, title="t")
    drawn = draw(mermaid.write(picture, "Toy, 5 MAC", "Inputs: x; 12 %."))
    assert len(drawn["nodes"]) == len(picture.scene.sketch.pieces) + len(graph.outputs)
    assert drawn["edges"] == len(picture.scene.links) + len(graph.outputs)
    assert (drawn["title"], drawn["described"]) == ("Toy, 5 MAC", "Inputs: x; 12 %.")


@pytest.mark.parametrize("options", [{"columns": 2}, {"style": "dark"}, {"direction": "LR"}, {"style": "paper"}])
def test_mermaid_draws_every_style(options: dict[str, object], draw) -> None:
    assert len(draw(text_of(toys.residual(), **options))["nodes"]) > 5


def test_mermaid_draws_connectors(draw) -> None:
    drawn = draw(text_of(dense(26, running=False)))
    assert "A" in drawn["nodes"]


def test_hostile_names_stay_text(draw) -> None:
    picture = compose(hostile(), title=HOSTILE, note=HOSTILE, depth=5)
    drawn = draw(mermaid.write(picture, HOSTILE, HOSTILE))
    assert len(drawn["nodes"]) == 5
    assert any("<i>slanted</i>" in text for text in drawn["nodes"])
    assert any('"]; evil [label=x]' in text for text in drawn["nodes"])
    assert drawn["scripts"] == 0
