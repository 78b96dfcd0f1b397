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
from archprof.renderers.diagram import printed_size, render
from archprof.renderers.diagram.style import SMALL
from archprof.renderers.picture import source
from archprof.reporting import report

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
    "googlenet-paper": ("googlenet", {"style": "paper"}),
    "residual-block": ("residual-block", {}),
    "residual-block-projection": ("residual-block-projection", {}),
    "plain18": ("plain18", {}),
    "resnet18": ("resnet18", {}),
    "resnet18-paper": ("resnet18", {"style": "paper"}),
    "resnet18-columns": ("resnet18", {"columns": 2}),
    "resnet18-dark": ("resnet18", {"style": "dark"}),
    "resnet18-layer2": ("resnet18", {"focus": "layer2", "style": "detail"}),
    "alexnet-paper": ("alexnet", {"style": "paper"}),
    "densenet121-paper": ("densenet121", {"style": "paper"}),
    "plain34": ("plain34", {}),
    "resnet34": ("resnet34", {}),
    "resnet50": ("resnet50", {}),
    "resnet20": ("resnet20", {}),
    "plain20": ("plain20", {}),
}
"""File name of a picture: (model, options of the diagram)."""

COMPARED = ("alexnet", "vgg16", "googlenet", "resnet34", "resnet50")
"""What the comparison report is about."""
OTHERS = {"torchview-resnet18": "resnet18", "torchview-googlenet": "googlenet"}
"""Networks of torchvision that torchview draws, to stand beside ours; `--torchview` draws them anew."""

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
    compared = folder / "comparison.html"
    report(list(map(profile, COMPARED)), compared)
    page = folder / "README.md"
    page.write_text(lecture(), "utf-8")
    return [*files, compared, page]


def others(folder: Path) -> None:
    """Draw the same networks with torchview 0.2.7, opened to depth 3, nested boxes shown; its text has 10 points."""
    import torchview
    import torchvision

    for name, model in OTHERS.items():
        options = {"weights": None, **({"aux_logits": False, "init_weights": False} if model == "googlenet" else {})}
        network = torchvision.models.get_model(model, **options).eval()
        drawn = torchview.draw_graph(network, input_size=(1, 3, 224, 224), device="meta", depth=3, expand_nested=True)
        (folder / f"{name}.svg").write_bytes(render(drawn.visual_graph.source, "svg"))


def printed(name: str, smallest: float = SMALL) -> str:
    """Return the size in points of a picture's smallest text on A4, margins of half an inch left."""
    points, _ = printed_size((HERE / f"{name}.svg").read_bytes(), "a4", 1)
    return f"{points * smallest / SMALL:.1f} pt"


def lecture() -> str:
    """Return README.md: the lecture with every number taken from a profile."""
    loader = jinja2.FileSystemLoader(HERE)
    pages = jinja2.Environment(
        loader=loader, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - it writes Markdown, from our own specs only
    )  # fmt: skip
    pages.globals |= {
        "profile": profile, "count": units.count, "table": table, "side_by_side": side_by_side, "claims": claims,
        "picture": picture, "trained": trained, "printed": printed,
        "explain": lambda model: profile(model).explain().rstrip(),
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
    parser.add_argument(
        "--torchview", action="store_true", help="draw torchview's pictures anew first; it must be installed"
    )
    asked = parser.parse_args()
    if asked.torchview:
        others(asked.into)
    write(asked.into)
