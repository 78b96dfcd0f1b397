"""The command `diff`: what became of a network, as a page, as a picture, or as an exit code."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from archprof.asked import default_format, profiled
from archprof.bounds import Bound, broken, parsed
from archprof.errors import UserError
from archprof.options import Names, color_option, model_options, terminal

if TYPE_CHECKING:
    from archprof.result import Profile

FORMATS = ("table", "markdown", "tsv", "csv", "json")


class Bounds(click.ParamType):
    """A bound such as `macs>2G`."""

    name = "bound"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Bound:
        """Return the bound."""
        try:
            return value if isinstance(value, Bound) else parsed(value)
        except UserError as error:
            self.fail(str(error), param, ctx)


bound_option = click.option(
    "--fail-over",
    "bounds",
    type=Bounds(),
    multiple=True,
    metavar="BOUND",
    help="Exit with 1 where a total is there: 'macs>2G'; 'macs>+5%' and 'params>+1M' are about its change "
    "from the first model (which diff holds to nothing).",
)


def hold(bounds: Sequence[Bound], profiles: Sequence[Profile], *, base: Profile | None = None) -> None:
    """Hold bounds against every model, changes where they are from the `base`; exit with 1 where one is broken."""
    from archprof.changes import diff as compared

    said = []
    for profile in profiles:
        found = compared(base, profile) if base and any(bound.is_change for bound in bounds) else None
        held = [bound for bound in bounds if profile is not base or not bound.is_change]
        said += [text for bound in held if (text := broken(bound, profile, found))]
    for text in said:
        click.echo(f"error: {text}", err=True)
    if said:
        sys.exit(1)


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("--depth", type=click.IntRange(min=1), help="Levels of modules; by default what fits.")
@click.option("--columns", type=Names(), default=(), help="Costs to show (archprof list analyses).")
@click.option("--raw", is_flag=True, help="Whole numbers, without prefixes.")
@click.option("--format", "format_", type=click.Choice(FORMATS), help="By default a table; a pipe gets tsv.")
@click.option("-o", "--output", help="Draw both as one graph instead: x.svg, x.pdf, x.png or x.dot.")
@bound_option
@model_options
@color_option
def diff(
    a: str, b: str, bounds: tuple[Bound, ...], format_: str | None, output: str | None, color: str, **options: Any
) -> None:
    """Print what became of network A in B: layers added, removed, changed (setting by setting) or moved, and the cost.

    Both may come from any source: a file before and after, two specs, a spec and torchvision:NAME.
    """
    from archprof.changes import diff as compared
    from archprof.diff_page import render
    from archprof.diff_picture import checked, draw
    from archprof.renderers import View

    into = None if output is None else checked(output)
    profiles = [profiled(model, options) for model in (a, b)]
    found = compared(*profiles)
    if found.a == found.b:
        found = dataclasses.replace(found, a=a, b=b)
    if into is not None:
        draw(found, profiles[0], profiles[1], into, options["depth"])
        click.echo(f"wrote {into}", err=True)
        hold(bounds, profiles[1:], base=profiles[0])
        return
    view = View(depth=options["depth"], columns=options["columns"], raw=options["raw"], **terminal(color))
    click.echo(render(found, format_ or default_format(), view), nl=False)
    hold(bounds, profiles[1:], base=profiles[0])
