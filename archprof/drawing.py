"""The command `draw`: what is to be drawn and how, and where to."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from archprof import outputs
from archprof.asked import profiled
from archprof.errors import UserError
from archprof.options import convention_option, device_option, model_options, timing_options, train_option

DRAWING = (
    "metric", "style", "depth", "everything", "expand", "collapse", "focus", "direction", "columns", "page", "fold",
    "glue", "legend",
)  # fmt: skip


def drawing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what a diagram shows and how."""
    styles, pages, folds = (
        ("auto", "paper", "detail", "dark"),
        ("a4", "letter", "column", "slide"),
        ("exact", "similar", "none"),
    )
    options = [
        click.option("--metric", help="What colours the boxes: macs, params, bytes, time ...  [default: macs]"),
        click.option(
            "--style",
            type=click.Choice(styles),
            default="auto",
            show_default=True,
            help="paper: 20 boxes; detail: parameters, bytes, shapes on wires; dark: on a dark ground.",
        ),
        click.option("--depth", type=click.IntRange(min=0), help="Levels of modules to open; by default where the cost is."),
        click.option("--all", "everything", is_flag=True, help="Open everything, whatever its size."),
        click.option("--expand", multiple=True, metavar="GLOB", help="Open these modules."),
        click.option("--collapse", multiple=True, metavar="GLOB", help="Keep these modules shut."),
        click.option("--focus", default="", metavar="PATH", help="Open this module only; all else is stubs."),
        click.option("--page", default="", type=click.Choice(["", *pages]), metavar="|".join(pages),
                     help="What it is to be legible on."),
        click.option("--columns", type=click.IntRange(1, 3), help="Columns side by side, joined by letters."),
        click.option(
            "--dir", "direction", type=click.Choice(["TB", "LR"]), default="TB", show_default=True, help="Way of the flow."
        ),
        click.option("--fold", type=click.Choice(folds), default="exact", show_default=True,
                     help="Draw exact repeats once, as xN, similar ones too (it says what varies), or every one."),
        click.option("--no-fold", "fold", flag_value="none", hidden=True),
        click.option("--show-glue", "glue", is_flag=True, help="Draw shape arithmetic and copies too."),
        click.option("--legend/--no-legend", default=True, help="Explain the colours."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option(
    "-o", "--output", required=True, help="x.svg, .pdf, .png, .dot, .mmd or .tex; FOLDER/ for MODEL.svg of several."
)
@model_options
@convention_option
@device_option
@drawing_options
@timing_options
@train_option
def draw(models: Sequence[str], output: str, **options: Any) -> None:
    """Draw a diagram of a model with Graphviz: nested modules, exact repeats as xN, coloured by cost."""
    drawing = {name: options.pop(name) for name in DRAWING}
    drawing["metric"] = drawing["metric"] or options["convention"] or ("time" if options["time"] else "macs")
    options["time"] = options["time"] or drawing["metric"] == "time"
    options["metric"] = drawing["metric"]  # some a profile has only where they are asked for
    if not output:
        raise click.UsageError("-o needs the name of a file or a folder")
    into_folder = output.endswith(("/", os.sep)) or os.path.isdir(output)  # noqa: PTH112 - pathlib's raises for long names
    if len(models) > 1 and not into_folder:
        raise click.UsageError(f"several models need a folder: -o {output}/")
    if into_folder:
        try:
            Path(output).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot make the folder {output!r}: {error.strerror}") from None
    else:
        from archprof.renderers.picture import SUFFIXES

        outputs.checked(output, "a picture", SUFFIXES)
    taken: set[str] = set()
    for model in models:
        profile = profiled(model, options)
        path = Path(output) / file_name(profile.model, taken) if into_folder else Path(output)
        for remark in profile.draw(path, **drawing):
            click.echo(remark, err=True)
        click.echo(f"wrote {path}", err=True)


def file_name(model: str, taken: set[str]) -> str:
    """Return the name of a model's picture in a folder, which joins those that are `taken`.

    >>> names = set()
    >>> file_name("../nets.py:Net", names), file_name("nets.py:Net", names)
    ('nets.py-Net.svg', 'nets.py-Net-2.svg')
    """
    stem = re.sub(r"[^\w.-]", "-", model).strip(".-")
    found = next(
        name for number in itertools.count(1) if (name := f"{stem}-{number}" if number > 1 else stem) not in taken
    )
    taken.add(found)
    return f"{found}.svg"
