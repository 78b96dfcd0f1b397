"""TikZ text: that LaTeX takes it, alone and within a document, and that names stay text."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import toys
from test_diagram import HOSTILE, dense, hostile

from archprof.renderers.diagram import compose, tikz

PARENT = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage{tikz}
\usetikzlibrary{arrows.meta,shapes.geometric}
\begin{document}
\begin{figure}\centering\input{picture.tex}\caption{A network}\end{figure}
\end{document}
"""


def text_of(graph, **options: object) -> str:
    return tikz.write(compose(graph, **{"title": "t", **options}), "Toy, 5 MAC", "Inputs: x; 12 %.")


def compiled(folder: Path, text: str) -> str:
    """Compile a document and return the text that its one page shows."""
    if not shutil.which("pdflatex") or not shutil.which("pdftotext"):
        pytest.skip("there is no pdflatex (or pdftotext) on the PATH")
    (folder / "document.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "document.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=60)
    said = done.stdout.decode(errors="replace")
    assert done.returncode == 0, said[-1500:]
    assert "(1 page" in said
    shown = subprocess.run(["pdftotext", "-layout", "document.pdf", "-"], cwd=folder, capture_output=True, check=True)
    return shown.stdout.decode()


@pytest.mark.parametrize("name", ["residual", "branches", "towers", "unknown"])
def test_a_picture_compiles_alone(name: str, tmp_path: Path) -> None:
    shown = compiled(tmp_path, text_of(getattr(toys, name)()))
    assert "share of MACs" in shown
    assert "Conv2d 3" in shown


@pytest.mark.parametrize("options", [{"columns": 2}, {"style": "dark"}, {"style": "detail"}, {"direction": "LR"}])
def test_every_style_compiles(options: dict[str, object], tmp_path: Path) -> None:
    assert "5.857 MMAC" in compiled(tmp_path, text_of(toys.residual(), **options))


def test_connectors_compile(tmp_path: Path) -> None:
    assert re.search(r"\bA\b", compiled(tmp_path, text_of(dense(26, running=False))))


def test_a_picture_can_be_read_into_a_document(tmp_path: Path) -> None:
    (tmp_path / "picture.tex").write_text(text_of(toys.branches()), encoding="utf-8")
    shown = compiled(tmp_path, PARENT)
    assert "A network" in shown
    assert "concat" in shown


def test_styles_are_named_at_the_top_and_used_below() -> None:
    text = text_of(toys.residual())
    head, _, body = text.partition("]\n")
    named = {name.strip() for name in re.findall(r"([\w ]+)/\.style", head)}
    assert {"box", "group", "repeated", "flow", "frame", "cost5"} <= named
    assert re.search(r"\\node\[box, cost4, minimum", body)
    assert r"\draw[flow] (n2) -- (n3);" in body


def test_hostile_names_are_drawn_as_text(tmp_path: Path) -> None:
    shown = compiled(tmp_path, text_of(hostile(), title=HOSTILE, note=HOSTILE + r"\input{/etc/passwd}", depth=5))
    assert r"\input{/etc/passwd}" in shown
    assert "<i>slanted</i>" in shown


def test_letters_that_fonts_lack_become_question_marks() -> None:
    assert tikz.latex("层 я é 50 % #1") == r"? ? é 50 \% \#1"


def test_looks_given_from_outside_are_kept() -> None:
    from archprof.renderers.diagram import Paint

    text = text_of(toys.residual(), paint={"stem": Paint("#cce5ff", extra="new")})
    assert r"fill={rgb,255:red,204;green,229;blue,255}" in text
    assert r"\\new}" in text
