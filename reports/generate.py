"""Writes the gallery: a picture and a table of every classic network, and README.md from lecture.md.jinja.

Run it from anywhere; on one machine the same sources give the same bytes. `--into FOLDER` writes elsewhere.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import jinja2

import archprof
from archprof import units
from archprof.compare import compare
from archprof.figures import compare_claims
from archprof.renderers import View
from archprof.renderers.picture import source

HERE = Path(__file__).resolve().parent
PICTURES: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "inception-direct": ("inception-direct", {}),
    "inception-bottleneck": ("inception-bottleneck", {}),
    "inception-module": ("inception-module", {}),
    "lenet5-1998": ("lenet5-1998", {}),
    "lenet5": ("lenet5", {}),
    "alexnet": ("alexnet", {}),
    "vgg16": ("vgg16", {}),
    "vgg16-params": ("vgg16", {"metric": "params"}),
    "nin-cifar10": ("nin-cifar10", {}),
    "nin-imagenet": ("nin-imagenet", {}),
    "googlenet": ("googlenet", {}),
    "residual-block": ("residual-block", {}),
    "residual-block-projection": ("residual-block-projection", {}),
    "plain18": ("plain18", {}),
    "resnet18": ("resnet18", {}),
    "plain34": ("plain34", {}),
    "resnet34": ("resnet34", {}),
    "resnet50": ("resnet50", {}),
    "resnet20": ("resnet20", {}),
    "plain20": ("plain20", {}),
}
"""File name of a picture: (model, options of the diagram)."""

profile = cache(archprof.profile)


def write(folder: Path) -> list[Path]:
    """Write the whole gallery into `folder` and return its files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, (model, options) in PICTURES.items():
        found = profile(model)
        dot, picture = folder / f"{name}.dot", folder / f"{name}.svg"
        dot.write_text(source(found, **options), "utf-8")  # type: ignore[arg-type]
        found.draw(picture, **options)
        files += [dot, picture]
        progress(len(files) // 2, len(PICTURES))
    for model in dict.fromkeys(model for model, _ in PICTURES.values()):
        table = folder / f"{model}.txt"
        table.write_text(profile(model).render("table", width=100), "utf-8")
        files.append(table)
    page = folder / "README.md"
    page.write_text(lecture(), "utf-8")
    return [*files, page]


def lecture() -> str:
    """Return README.md: the lecture with every number taken from a profile."""
    loader = jinja2.FileSystemLoader(HERE)
    pages = jinja2.Environment(
        loader=loader, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - it writes Markdown, from our own specs only
    )  # fmt: skip
    pages.globals |= {
        "profile": profile, "count": units.count, "table": table, "side_by_side": side_by_side, "claims": claims,
        "picture": picture, "trained": trained, "explain": lambda model: profile(model).explain().rstrip(),
    }  # fmt: skip
    return pages.get_template("lecture.md.jinja").render()


def table(model: str, **options: object) -> str:
    """Return a model's table as a block of code."""
    return f"```\n{profile(model).render('table', width=96, **options).rstrip()}\n```"


def side_by_side(models: Sequence[str], columns: Sequence[str] = ("params", "macs", "activation_bytes")) -> str:
    """Return a Markdown table of models, with ratios to the first."""
    return compare([profile(model) for model in models], "markdown", View(columns=tuple(columns))).rstrip()


def claims(models: Sequence[str]) -> str:
    """Return a Markdown table of printed figures beside ours."""
    lines = ["| model | measure | printed | computed | difference | where it is printed |", "|:--|:--|--:|--:|--:|:--|"]
    for model in models:
        for found in compare_claims(profile(model)):
            claim = found.claim
            cells = (model, claim.measure, claim.text, f"{found.computed:,}", f"{found.ratio - 1:+.1%}", claim.source)
            lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines)


def trained() -> str:
    """Return a Markdown table of what `poe depth` trained: the loss of every depth, median and all, plain and residual."""
    with (HERE / "depth.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    depths, kinds = (list(dict.fromkeys(row[name] for row in rows)) for name in ("layers", "kind"))
    lines = [
        f"| training loss, {rows[0]['epochs']} epochs | {' layers | '.join(depths)} layers |",
        f"|:--{'|--:' * len(depths)}|",
    ]
    for kind in kinds:
        losses = [
            [float(row["loss"]) for row in rows if (row["kind"], row["layers"]) == (kind, depth)] for depth in depths
        ]
        cells = (f"{statistics.median(some):.2g} ({min(some):.2g} to {max(some):.2g})" for some in losses)
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return "\n".join(lines)


def picture(name: str) -> str:
    """Return a picture with its description, linked to the table."""
    model, _ = PICTURES[name]
    found = profile(model)
    words = f"{model}: {units.count(found.params)} parameters, {units.count(found.macs, 'MAC')}"
    return f"[![{words}]({name}.svg)]({model}.txt)"


def progress(done: int, whole: int) -> None:
    """Show how far the pictures are, where somebody is looking."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{done}/{whole} pictures" + "\n" * (done == whole))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=HERE, help="folder to write to")
    write(parser.parse_args().into)
