"""What a notebook shows: static, safe, and legible whatever the page's ground is."""

from __future__ import annotations

import html.parser
import sys
import types

import archprof.showing
from archprof.showing import frame

DANGER = {"script", "iframe", "object", "embed", "link", "form", "base", "meta", "foreignobject"}


class Reader(html.parser.HTMLParser):
    """Collects tags and attributes, and minds that what opens also closes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "br":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    return reader


def test_a_notebook_gets_a_table_and_a_picture_without_a_script(profiled) -> None:
    found = read(profiled("resnet18")._repr_html_())
    tags = {tag for tag, _ in found.tags}
    assert {"table", "svg", "title"} <= tags
    assert not tags & DANGER
    for _, attributes in found.tags:
        assert not any(name.startswith("on") for name in attributes)
        assert not any(value and value.strip().lower().startswith("javascript:") for value in attributes.values())


def test_it_stays_small(profiled) -> None:
    assert len(profiled("resnet50")._repr_html_()) < 80_000
    assert len(profiled("googlenet")._repr_html_()) < 120_000


def test_ids_of_two_pictures_on_one_page_differ(profiled) -> None:
    one, other = (
        {a["id"] for _, a in read(profiled(name)._repr_html_()).tags if "id" in a} for name in ("resnet18", "resnet34")
    )
    assert one
    assert not one & other


def test_show_prints_the_table_where_there_is_no_notebook(profiled, capsys) -> None:
    profiled("lenet5-1998").show()
    assert capsys.readouterr().out.startswith("lenet5-1998: ")


def test_show_displays_the_report_in_a_notebook(profiled, monkeypatch) -> None:
    shown = []
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    display = types.ModuleType("IPython.display")
    display.HTML, display.display = (lambda text: text), shown.append
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    profiled("lenet5-1998").show()
    (text,) = shown
    ((tag, attributes),) = read(text).tags
    assert tag == "iframe"
    assert attributes["sandbox"] == "allow-scripts"  # neither the notebook's page nor its cookies
    inner = read_leniently(attributes["srcdoc"])
    assert "Content-Security-Policy" in attributes["srcdoc"]
    assert "lenet5-1998" in inner


def test_a_terminal_of_ipython_is_no_notebook(monkeypatch) -> None:
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace()
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert not archprof.showing.is_notebook()


def test_a_frame_ends_where_it_ends(profiled) -> None:
    text = frame(profiled("lenet5-1998"))
    assert text.count("<iframe") == text.count("</iframe>") == 1
    assert text.count("<") == 2


def read_leniently(text: str) -> str:
    reader = html.parser.HTMLParser()
    words: list[str] = []
    reader.handle_data = words.append
    reader.feed(text)
    return " ".join(words)
