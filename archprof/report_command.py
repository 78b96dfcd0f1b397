"""The command `report`: one HTML page about one or more models, complete without a script and without a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from archprof.asked import profiled
from archprof.errors import UserError
from archprof.options import Names, convention_option, model_options, time_option


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option("-o", "--output", required=True, metavar="REPORT.html", help="Where it is written.")
@model_options
@convention_option
@click.option("--on", "devices", type=Names(), default=(), metavar="DEVICE,...", help="Rooflines of these devices.")
@click.option("--train", metavar="OPTIMIZER", default="", help="Memory of a training step too: sgd, adamw ...")
@time_option
def report(models: Sequence[str], output: str, devices: tuple[str, ...], train: str, **options: Any) -> None:
    """Write one HTML page about a model, or 2 to 8 side by side: totals, diagram, layers, roofline, memory, changes."""
    from archprof.progress import shown
    from archprof.reporting import MOST, checked
    from archprof.reporting import report as write

    path = checked(output)
    if len(models) > MOST:
        raise UserError(f"a report is about 1 to {MOST} networks, not {len(models)}")
    if options["time"]:
        profiles = [profiled(model, options) for model in models]
        with shown() as tell:
            write(profiles, path, on=devices, train=train, tell=tell)
    else:
        with shown() as tell:
            profiles = []
            for number, model in enumerate(models):
                tell(f"profiling {model}", number / (2 * len(models)))
                profiles.append(profiled(model, options))
            write(profiles, path, on=devices, train=train, tell=lambda what, part: tell(what, (1 + part) / 2))
    click.echo(f"wrote {path}", err=True)
