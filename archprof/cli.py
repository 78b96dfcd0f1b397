"""The command line: parses, calls, prints. No number is made here; torch is imported by the commands that need it."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import click

from archprof import __version__, units
from archprof.asked import (
    check_format,
    check_several,
    checked_output,
    chosen,
    default_format,
    page,
    profiled,
    viewing,
    written,
)
from archprof.bounds import Bound
from archprof.diff_command import bound_option, diff, hold
from archprof.drawing import draw
from archprof.errors import DrawingError, ModelError, UserError
from archprof.memory_command import memory
from archprof.options import (
    Names,
    color_option,
    convention_option,
    device_option,
    model_options,
    terminal,
    timing_options,
    train_option,
    training_options,
    view_options,
)
from archprof.report_command import report
from archprof.run_commands import calibrate, signal, time_
from archprof.seeing import field
from archprof.spec_commands import check, expand, new, schema


class Commands(click.Group):
    """Turns exceptions of archprof and of click into one line and an exit code; our own bugs keep their traceback."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read what stands before the command."""
        with _told(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _told(ctx):
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the commands in the order of use."""
        return list(self.commands)


@contextlib.contextmanager
def _told(ctx: click.Context) -> Iterator[None]:
    """Print an error in a line, and exit with 2 for the user's mistakes, with 1 where a model or Graphviz failed."""
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.ClickException as error:
        said = " ".join(error.format_message().split()).rstrip(".")
        more = f"; see {error.ctx.command_path} --help" if isinstance(error, click.UsageError) and error.ctx else ""
        click.echo(f"error: {said[:1].lower()}{said[1:]}{more}", err=True)
        ctx.exit(2)
    except DrawingError as error:
        click.echo(f"error: {error}", err=True)
        ctx.exit(1)
    except ModelError as error:
        click.echo(
            f"error: {error}; {units.several(len(error.profile.network), 'op')} ran before (show prints them)", err=True
        )
        ctx.exit(1)
    except UserError as error:
        text = str(error)
        click.echo(text if ": error[" in text else f"error: {text}", err=True)
        ctx.exit(2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        ctx.exit(1)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        click.echo("error: the disk is full", err=True)
        ctx.exit(2)


# color: what has colours was asked for in colours, so click is to leave them alone where standard output is a pipe
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100, "color": True}


@click.group(cls=Commands, context_settings=SETTINGS)
@click.version_option(__version__, prog_name="archprof")
def main() -> None:
    """Static profiler for neural-network architectures: parameters, multiply-adds, diagrams.

    MODEL is a bundled name such as resnet50, file.yaml, file.yaml:variant, or torchvision:NAME. No weight is
    allocated where shapes are enough; the notes below a table say where they were not.
    """


@main.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@model_options
@convention_option
@device_option
@training_options
@view_options
@click.option("--path", default="", help="Only what is at or below this path.")
@click.option("--format", "format_", default="", help="table, tsv, csv, json, markdown, latex ... ; a pipe gets tsv.")
@click.option(
    "-o", "--output", help="Write a file; its ending says the format: x.csv, x.xlsx, x.parquet, x.md, x.graphml ..."
)
@click.option("--strict", is_flag=True, help="Exit with 1 where the cost of an op is unknown.")
@bound_option
@timing_options
@train_option
@color_option
def show(
    models: Sequence[str],
    path: str,
    format_: str,
    output: str | None,
    strict: bool,
    bounds: Sequence[Bound],
    color: str,
    **options: Any,
) -> None:
    """Print the table of a model (or of several): layers, shapes, parameters, multiply-adds."""
    into = None if output is None else checked_output(output, format_)
    format_ = format_ or ("" if into else default_format())
    check_format(format_)
    if len(models) > 1:
        check_several(format_ or into)
    failed: ModelError | None = None
    profiles = []
    for model in models:
        try:
            profiles.append(profiled(model, {**options, "path": path}))
        except ModelError as error:
            failed = failed or error
            profiles.append(error.profile)
    if into is not None:
        written(profiles, into, format_, path=path, **viewing(options, color))
    else:
        click.echo(page(profiles, format_, path=path, **viewing(options, color)), nl=False)
    if failed:
        click.echo(f"error: {failed}; the table ends there", err=True)
        sys.exit(1)
    gaps = [(profile.model, gap) for profile in profiles for gap in profile.gaps]
    if strict and gaps:
        for model, gap in gaps:
            click.echo(f"{model}: {gap.op} is unknown: {gap.reason}", err=True)
        sys.exit(1)
    hold(bounds, profiles)


@main.command()
@click.argument("model")
@click.argument("path", default="")
@model_options
def explain(model: str, path: str, **options: Any) -> None:
    """Print how the multiply-adds come about: every op's formula, or all about one layer at PATH."""
    click.echo(profiled(model, options).explain(path), nl=False)


@main.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@model_options
@convention_option
@device_option
@training_options
@click.option("--columns", type=Names(), default=(), help="Totals to compare (archprof list analyses).")
@click.option("--raw", is_flag=True, help="Whole numbers, without prefixes.")
@click.option("--format", "format_", default="", help="table, tsv, csv, markdown or json; a pipe gets tsv.")
@bound_option
@color_option
def compare(
    models: Sequence[str],
    columns: tuple[str, ...],
    raw: bool,
    format_: str,
    bounds: Sequence[Bound],
    color: str,
    **options: Any,
) -> None:
    """Print models side by side, with ratios to the first."""
    from archprof.compare import compare as side_by_side
    from archprof.renderers import View

    profiles = [profiled(model, options) for model in models]
    view = View(columns=columns, raw=raw, **terminal(color))
    click.echo(side_by_side(profiles, format_ or default_format(), view), nl=False)
    hold(bounds, profiles, base=profiles[0] if len(profiles) > 1 else None)


main.add_command(draw)


@main.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option(
    "--on", "names", type=Names(), required=True, metavar="DEVICE,...", help="Devices (archprof list devices)."
)
@click.option("-o", "--output", help="Plot them instead: x.svg, x.pdf or x.png.")
@model_options
@timing_options
@train_option
@color_option
def roofline(models: Sequence[str], names: tuple[str, ...], output: str | None, color: str, **options: Any) -> None:
    """Print the least time models take on devices and what bounds it, or plot their rooflines."""
    from archprof import plot, rooflines
    from archprof.devices.choice import find
    from archprof.renderers import View

    if not names:
        raise click.UsageError("--on needs the name of a device")
    devices = [find(name) for name in names]
    path = None if output is None else plot.checked(output)
    profiles = [profiled(model, options) for model in models]
    if path is not None:
        plot.draw(profiles, devices, path)
        click.echo(f"wrote {output}", err=True)
        return
    tables = [rooflines.table(profile, devices, View(**terminal(color))) for profile in profiles]
    click.echo("\n".join(tables), nl=False)


@main.command()
@click.argument("model")
@click.option(
    "--by",
    default="",
    metavar="COLUMN",
    help="What makes a path long: macs, or time_s with --on, measured_s with --time.",
)
@click.option("--top", type=click.IntRange(min=1), default=12, show_default=True, help="So many ops of it are shown.")
@device_option
@model_options
@timing_options
@train_option
@color_option
def path(model: str, by: str, top: int, color: str, **options: Any) -> None:
    """Print the critical path: the longest chain of ops that wait for each other, and what could run side by side."""
    from archprof.paths import page
    from archprof.renderers import View

    found = profiled(model, {**options, "sort": by})
    by = by or ("measured_s" if options["time"] else "time_s" if options["on"] else "macs")
    click.echo(page(found, by, View(top=top, **terminal(color))), nl=False)


main.add_command(memory)


@main.command()
@click.argument("model")
@click.option(
    "--against", default="", metavar="torchvision:NAME", help="Compare with this other implementation instead."
)
@model_options
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=1e-5,
    show_default=True,
    help="Largest difference of outputs that passes, with --against.",
)
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True)
@color_option
def verify(model: str, against: str, tolerance: float, format_: str, color: str, **options: Any) -> None:
    """Hold the counts against torch's own formulas op by op, and against other tools, with every difference named.

    Exits with 1 where a rule differs from torch. With --against it compares networks instead of counts: same state-dict
    keys, same outputs with random weights copied.
    """
    if against:
        from archprof.sources.spec import load
        from archprof.twins import described, twin

        twins = twin(load(model, **chosen(options)), against, tolerance=tolerance)
        click.echo(described(twins), nl=False)
        sys.exit(0 if twins.is_same else 1)
    from archprof.progress import shown
    from archprof.verify import verify as oracles

    profile = profiled(model, options)
    with shown() as tell:
        found = oracles(profile, tell)
    click.echo(found.render(format_, **terminal(color)), nl=False)
    sys.exit(0 if found.is_right else 1)


LISTS = ("specs", "sources", "layers", "ops", "analyses", "conventions", "formats", "devices")


@main.command("list")
@click.argument("what", type=click.Choice(LISTS), default="specs")
@color_option
def list_(what: str, color: str) -> None:
    """List bundled specs, sources of models, layers of specs, op rules, analyses (columns), conventions, formats, devices."""
    from archprof.listing import listing

    click.echo(listing(what, **terminal(color)), nl=False)


for command in (report, diff, field, time_, signal, calibrate, check, expand, new, schema):
    main.add_command(command)


def run() -> None:
    """Run the command line; what the console script calls.

    Importing torch makes a million objects that stay, and looking through them for cycles again and again is a quarter
    of the time of a short command; so that is done rarely.
    """
    gc.set_threshold(200_000, 10, 10)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    main(prog_name="archprof")
