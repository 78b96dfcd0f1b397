"""Commands that run a model, or a device, and measure: time, signal, calibrate."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from archprof.asked import check_format, checked_output, default_format, page, profiled, signalled, viewing, written
from archprof.errors import UserError
from archprof.options import (
    FLOATS,
    color_option,
    device_option,
    model_options,
    run_options,
    signal_options,
    train_option,
    view_options,
)
from archprof.outputs import checked, writing


@click.command("time")
@click.argument("model")
@functools.partial(model_options, dtypes=(*FLOATS, "tf32"))
@run_options
@train_option
@device_option
@view_options
@click.option("--path", default="", help="Only what is at or below this path.")
@click.option(
    "--format", "format_", default="", help="table, tsv, json, chrome-trace, speedscope ... ; a pipe gets tsv."
)
@click.option(
    "-o", "--output", help="Write a file; its ending says the format: x.svg (coloured by time), x.csv, x.json ..."
)
@color_option
def time_(model: str, path: str, format_: str, output: str | None, color: str, **options: Any) -> None:
    """Run a model with random weights and print the time of every op, beside that of the pass as a whole."""
    into = None if output is None else checked_output(output, format_)
    format_ = format_ or ("" if into else default_format())
    check_format(format_)
    profile = profiled(model, {**options, "path": path, "time": True})
    if into is not None:
        written([profile], into, format_, path=path, **viewing(options, color))
    else:
        click.echo(profile.render(format_, path=path, **viewing(options, color)), nl=False)


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@functools.partial(model_options, batch=8)
@signal_options
@click.option("--metric", default="", help="With -o, draw the network coloured by this column instead.")
@view_options
@click.option("--path", default="", help="Only what is at or below this path.")
@click.option("--format", "format_", default="", help="table, tsv, csv, json ...; a pipe gets tsv.")
@color_option
def signal(
    models: Sequence[str], output: str | None, metric: str, path: str, format_: str, color: str, **options: Any
) -> None:
    """Run models once forward and back with random weights: how large activations and gradients are, op by op."""
    from archprof import curves, plot
    from archprof.renderers.rows import columns_of

    format_ = format_ or default_format()
    check_format(format_)
    if output is not None:
        plot.checked(output)
    if metric and (output is None or len(models) > 1):
        raise UserError("--metric draws one network into a file: -o x.svg")
    profiles = [signalled(model, options) for model in models]
    if output is None:
        click.echo(page(profiles, format_, path=path, **viewing(options, color)), nl=False)
        return
    if metric:
        columns_of(profiles[0], [metric])
        profiles[0].draw(output, metric=metric)
    else:
        curves.draw(profiles, ("activation_rms", "gradient_rms"), output)
    click.echo(f"wrote {output}", err=True)


@click.command()
@click.option("--device", default="", help="cpu, cuda or mps.  [default: cuda where there is one]")
@click.option("--threads", type=click.IntRange(min=1), help="Threads of the CPU.  [default: torch's]")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write it there: x.yaml.")
def calibrate(device: str, threads: int | None, output: Path | None) -> None:
    """Measure what a device reaches in matrix products and copies, as a device file for --on ./x.yaml."""
    from archprof.progress import shown
    from archprof.runs.calibrate import calibrate as reached

    if output is not None:
        checked(output, "a device file", (".yaml", ".yml"))
    with shown() as tell:
        text = reached(device, threads=threads, tell=tell)
    if output is None:
        click.echo(text, nl=False)
        return
    with writing(output):
        output.write_text(text, "utf-8")
    named = output if output.is_absolute() else f"./{output}"  # a path is told from a device's name by its slash
    click.echo(f"wrote {output}; next: archprof show MODEL --on {named}", err=True)
