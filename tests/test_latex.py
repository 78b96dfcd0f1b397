"""Tables for papers: what LaTeX makes of them, short and long, with prefixes and with siunitx."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from test_exports import hostile  # noqa: F401 - a fixture

CASES = [("googlenet", {}), ("googlenet", {"depth": 9}), ("hostile", {}), ("gap", {}), ("vgg16", {"raw": True})]


def compiled(page: str, folder: Path) -> list[str]:
    """Compile a table with the packages that its first line names, and return the text of every page."""
    packages = re.match(r"% (\\usepackage\{[a-z,]+\})\n", page)
    assert packages is not None
    if not shutil.which("pdflatex") or not shutil.which("pdftotext"):
        pytest.skip("there is no pdflatex (or pdftotext) on the PATH")
    fonts = "\\usepackage[utf8]{inputenc}\\usepackage[T1]{fontenc}\\usepackage{textcomp}"
    text = f"\\documentclass{{article}}{fonts}{packages[1]}\n\\begin{{document}}\n{page}\n\\end{{document}}\n"
    (folder / "net.tex").write_text(text, "utf-8")
    words = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "net.tex"]
    for _ in range(2):  # a longtable knows its widths the second time
        done = subprocess.run(
            words, cwd=folder, capture_output=True, text=True, errors="replace", check=False, timeout=60
        )
        if done.returncode and "File `siunitx.sty' not found" in done.stdout:
            pytest.skip("LaTeX has no siunitx")
        assert done.returncode == 0, done.stdout[-2000:]
    shown = subprocess.run(
        ["pdftotext", "-layout", "net.pdf", "-"], cwd=folder, capture_output=True, text=True, check=True
    )
    return shown.stdout.rstrip("\f").split("\f")


@pytest.mark.parametrize(("name", "view"), CASES)
@pytest.mark.parametrize("format", ["latex", "siunitx"])
def test_latex_compiles(format: str, name: str, view: dict[str, object], profiled, hostile, tmp_path) -> None:  # noqa: F811
    page = (hostile if name == "hostile" else profiled(name)).render(format, **view)
    assert "\\caption{" in page
    assert "\\label{tab:" in page
    assert any("Table 1:" in text for text in compiled(page, tmp_path))


def test_a_table_longer_than_a_page_goes_on_with_its_head_on_the_next(profiled, tmp_path) -> None:
    page = profiled("googlenet").render("latex", depth=9)
    assert "longtable" in page.splitlines()[0]
    pages = compiled(page, tmp_path)
    assert len(pages) > 3
    assert all(re.search(r"layer +type +output +params +macs", text) for text in pages)
    assert "Continued on next page" in pages[0]
    assert "longtable" not in profiled("resnet18").render("latex", depth=1)


def test_siunitx_gets_one_unit_a_column_and_numbers_without_prefixes(profiled) -> None:
    page = profiled("vgg16").render("siunitx")
    assert "{params (M)} & {macs (G)} & {flops (G)}" in page
    # the first layer: 64*3*3*3 + 64 = 1,792 parameters, 224*224*64*27 = 86,704,128 MACs
    assert re.search(r"features\.0 & Conv2d & 1x64x224x224 & 0\.0018 & 0\.087 & ", page)
    assert "total & 40 ops &  & 138.4 & 15.47 & 30.97" in page
    assert "& 138357544 & 15470264320 &" in profiled("vgg16").render("siunitx", raw=True)


def test_what_is_unknown_is_a_dash_or_a_bound_for_siunitx(profiled) -> None:
    page = profiled("gap").render("siunitx")
    assert "& {--} &" in page
    assert "total & 4 ops &  & 66 & >56 & >122" in page
    assert "S[table-format=>3.0]" in page
