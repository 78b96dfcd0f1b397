"""The command `report`: one HTML page about one or more models, complete without a script and without a network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import click

from archprof.asked import counted, profiled
from archprof.errors import UserError
from archprof.options import Names, convention_option, model_options, timing_options


class Accuracies(click.ParamType):
    """Accuracies by the names of networks: `resnet18=69.76,resnet34=73.31`."""

    name = "name=number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, float]:  # noqa: ARG002
        """Return the accuracies by name."""
        if isinstance(value, dict):
            return value
        found = {}
        for part in filter(None, value.split(",")):
            name, _, number = part.rpartition("=")
            try:
                found[name.strip()] = float(number)
            except ValueError:
                raise UserError(f"{part!r} is not MODEL=NUMBER, such as resnet18=69.76") from None
            if not name or not math.isfinite(found[name.strip()]):
                raise UserError(f"{part!r} is not MODEL=NUMBER, such as resnet18=69.76")
        return found


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option("-o", "--output", required=True, metavar="REPORT.html", help="Where it is written.")
@model_options
@convention_option
@click.option("--on", "devices", type=Names(), default=(), metavar="DEVICE,...", help="Rooflines of these devices.")
@click.option("--train", metavar="OPTIMIZER", default="", help="Memory of a training step too: sgd, adamw ...")
@click.option(
    "--accuracy", type=Accuracies(), metavar="MODEL=NUMBER,...", help="What models reach, beside their costs."
)
@timing_options
def report(
    models: Sequence[str],
    output: str,
    devices: tuple[str, ...],
    train: str,
    accuracy: dict[str, float] | None,
    **options: Any,
) -> None:
    """Write one HTML page about a model, or 2 to 8 side by side: totals, diagram, layers, roofline, memory, changes."""
    from archprof.progress import shown
    from archprof.reporting import MOST, checked, foreseen
    from archprof.reporting import report as write

    path = checked(output)
    if len(models) > MOST:
        raise UserError(f"a report is about 1 to {MOST} networks, not {len(models)}")
    how: dict[str, Any] = {"on": devices, "train": train, "accuracy": accuracy}
    if options["time"]:  # what would be refused after that is refused now
        names = [counted(model, options).model for model in models]
        foreseen(names, **how)
        profiles = [profiled(model, options) for model in models]
        with shown() as tell:
            write(profiles, path, **how, tell=tell)
    else:
        with shown() as tell:
            profiles = []
            for number, model in enumerate(models):
                tell(f"profiling {model}", number / (2 * len(models)))
                profiles.append(profiled(model, options))
            write(profiles, path, **how, tell=lambda what, part: tell(what, (1 + part) / 2))
    click.echo(f"wrote {path}", err=True)
