"""The command `memory`: whose memory, of which pass, and where it is to fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from archprof.asked import chosen
from archprof.optimizers import REMEMBERED
from archprof.options import color_option, model_options, terminal


class Blocks(click.ParamType):
    """How many blocks, or names and patterns of them separated by commas."""

    name = "N|NAMES"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | tuple[str, ...]:
        """Return the number or the names."""
        if isinstance(value, (int, tuple)):
            return value
        names = tuple(part.strip() for part in value.split(",") if part.strip())
        if not names:
            self.fail(f"{value!r} is neither a number of blocks nor names of some", param, ctx)
        return int(value) if value.isdecimal() else names


def memory_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say whose memory is asked for, and where it is to fit."""
    options = [
        click.option("--train", type=click.Choice(REMEMBERED), help="A training step too, with this optimizer."),
        click.option("--on", default="", metavar="DEVICE", help="Does it fit there (archprof list devices)?"),
        click.option(
            "--foreach/--no-foreach",
            default=None,
            help="The optimizer steps all parameters at once.  [default: with --on, as on a GPU]",
        ),
        click.option(
            "--checkpoint", type=Blocks(), default=0, help="As if the first N blocks ran again, or 'layer3*,layer4.0'."
        ),
        click.option(
            "--cache",
            type=click.IntRange(min=1),
            metavar="TOKENS",
            help="Decode the next token with so many in the cache.",
        ),
        click.option(
            "--amp", type=click.Choice(["bfloat16", "float16"]), help="Under autocast; its casts are CUDA's with --on."
        ),
        click.option(
            "--accumulate", type=click.IntRange(min=1), default=1, help="Add the gradients of N batches before a step."
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.argument("model")
@model_options
@memory_options
@click.option("-o", "--output", help="Plot it over the pass instead: x.svg, x.pdf or x.png.")
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True)
@color_option
def memory(model: str, output: str | None, format_: str, color: str, **options: Any) -> None:
    """Print the memory a model takes, who is alive at the peak, and whether it fits a device; nothing is allocated."""
    into = None
    if output is not None:
        from archprof.plot import checked

        into = checked(output)
    from archprof.footprint.measure import memory as measured

    how = {name: options[name] for name in ("on", "foreach", "checkpoint", "accumulate")}
    how.update(train=options["train"] or "", amp=options["amp"] or "", cache=options["cache"] or 0)
    found = measured(model, **chosen(options), **how)
    if into is None:
        click.echo(found.render(format_, **terminal(color)), nl=False)
        return
    from archprof import timeline

    timeline.draw(found, into)
    click.echo(f"wrote {into}", err=True)
