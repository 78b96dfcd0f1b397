"""The command `field`: what each layer sees of the input, as a page, a picture or a check."""

from __future__ import annotations

import sys
from typing import Any

import click

from archprof.asked import profiled
from archprof.options import color_option, model_options, terminal


@click.command()
@click.argument("model")
@click.argument("path", default="")
@click.option("--check", "checks", is_flag=True, help="Compare with where the gradient of an output is not zero.")
@click.option("--of", "input_", default="", metavar="INPUT", help="Input that is seen.  [default: the first]")
@click.option("-o", "--output", help="Plot how it grows instead: x.svg, x.pdf or x.png.")
@model_options
@color_option
def field(model: str, path: str, checks: bool, input_: str, output: str | None, color: str, **options: Any) -> None:
    """Print what part of the input each layer sees: size, stride and padding of its receptive field.

    With a PATH, all ops at or below it. --check runs the model on the CPU and exits with 1 where the gradient differs.
    """
    from archprof import fields, growth, plot
    from archprof.renderers import View

    into = None if output is None else plot.checked(output)
    profile = profiled(model, options)
    found = profile.receptive_field(input_)
    if into is not None:
        growth.draw(profile, into, input_)
        click.echo(f"wrote {output}", err=True)
    else:
        click.echo(fields.page(profile, found, View(path=path, **terminal(color))), nl=False)
    if checks:
        from archprof.progress import shown
        from archprof.runs.gradient import check as oracle
        from archprof.runs.gradient import told

        with shown() as tell:
            rows = oracle(profile, found, tell)
        click.echo(told(rows), nl=False)
        sys.exit(0 if all(row.is_equal for row in rows) else 1)
