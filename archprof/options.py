"""Options that several commands share: which model is meant, what a table shows, what the terminal can do."""

from __future__ import annotations

import functools
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from archprof.errors import UnknownName, UserError
from archprof.optimizers import COUNTED
from archprof.records import ITEM_BYTES, Tensor
from archprof.sources import FLOATS


class Pairs(click.ParamType):
    """`name=value`, or `name=1x2x3` (with `:int64` behind where it is no float) where sizes are wanted."""

    name = "name=value"

    def __init__(self, *, sizes: bool = False) -> None:
        """Read sizes where `sizes`, else the text as it is."""
        self.sizes = sizes

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return (name, value)."""
        name, equals, text = value.partition("=")
        if not name or not equals or not text:
            form = "name=3x224x224, an input's name and its sizes without the batch" if self.sizes else "name=value"
            self.fail(f"{value!r} is not {form}", param, ctx)
        if not self.sizes:
            return name, text
        sizes, colon, dtype = text.partition(":")
        parts = sizes.replace(",", "x").split("x")
        if not all(part.isdecimal() for part in parts):
            self.fail(f"{text!r} are not sizes such as 3x192x192 (the batch left out)", param, ctx)
        if dtype not in ITEM_BYTES and colon:
            self.fail(str(UnknownName("dtype", dtype, ITEM_BYTES)), param, ctx)
        shape = [int(part) for part in parts]
        return name, Tensor(tuple(shape), dtype) if colon else shape


class Names(click.ParamType):
    """Names separated by commas."""

    name = "a,b"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:  # noqa: ARG002
        """Return the names."""
        return value if isinstance(value, tuple) else tuple(part.strip() for part in value.split(",") if part.strip())


def model_options(command: Callable[..., Any], dtypes: Sequence[str] = FLOATS, batch: int = 1) -> Callable[..., Any]:
    """Add the options that say which model is meant."""
    options = [
        click.option("--set", "settings", type=Pairs(), multiple=True, help="Another value for a param of the spec."),
        click.option("--batch", type=click.IntRange(min=1), default=batch, show_default=True, help="Samples at once."),
        click.option(
            "--input",
            "inputs",
            type=Pairs(sizes=True),
            multiple=True,
            help="Another input size, such as image=3x192x192 or ids=128:int64.",
        ),
        click.option("--dtype", type=click.Choice(dtypes), help="Type of the weights and float inputs."),
        click.option(
            "--plugin",
            "plugins",
            type=click.Path(path_type=Path),
            multiple=True,
            help="Python file with layers and rules; it is run.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def view_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what a table shows."""
    options = [
        click.option("--depth", type=click.IntRange(min=1), help="Levels of modules; by default those that cost."),
        click.option("--all", "everything", is_flag=True, help="Every row, however small."),
        click.option("--columns", type=Names(), default=(), help="Columns to show (archprof list analyses)."),
        click.option("--sort", default="", help="Column to sort by, largest first."),
        click.option("--top", type=click.IntRange(min=1), help="Show that many rows."),
        click.option("--raw", is_flag=True, help="Whole numbers, without prefixes."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


color_option = click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Colours in tables.",
)


convention_option = click.option(
    "--as", "convention", default="", metavar="TOOL", help="Count as another tool does (archprof list conventions)."
)


time_option = click.option("--time", is_flag=True, help="Run it and measure the time of every op, too (see `time`).")


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where and how a model is run; their names are those of `archprof.time`."""
    flag = {"is_flag": True}
    options = [
        click.option("--device", default="", help="cpu, cuda, cuda:1 or mps.  [default: cuda where there is one]"),
        click.option(
            "--mode",
            type=click.Choice(["eager", "queued", "graph"]),
            default="eager",
            show_default=True,
            help="On CUDA: as users see it, with launches that run ahead, or as a CUDA graph.",
        ),
        click.option("--amp", **flag, help="Under autocast."),
        click.option("--channels-last", **flag, help="Pictures with their channels last."),
        click.option("--compile", "compiled", **flag, help="Time the pass under torch.compile too."),
        click.option("--cold", **flag, help="Clear the last cache before every pass."),
        click.option("--threads", type=click.IntRange(min=1), help="Threads of the CPU.  [default: torch's]"),
        click.option(
            "--budget",
            "budget_s",
            type=click.FloatRange(min=0.1),
            default=20.0,
            show_default=True,
            help="Seconds, at most.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


train_option = click.option("--train", "training", is_flag=True, help="Training mode, and the backward pass too.")


def timing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --time, and the options that say how it is run: they are a mistake where nothing is run."""

    @functools.wraps(command)
    def checked(*args: Any, **options: Any) -> Any:
        context = click.get_current_context()
        for option in context.command.params if not (options["time"] or options.get("metric") == "time") else ():
            is_given = context.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE
            if is_given and option.name in RUN:
                raise UserError(f"{option.opts[0]} says how a model is run: it needs --time")
        return command(*args, **options)

    return time_option(run_options(checked))


RUN = ("device", "mode", "amp", "channels_last", "compiled", "cold", "threads", "training", "budget_s")
"""Arguments of `archprof.time` that say where and how a model is run."""


device_option = click.option(
    "--on",
    default="",
    metavar="DEVICE",
    help="Add the least time there (archprof list devices); DEVICE:tf32 multiplies float32 on tensor cores.",
)


def signal_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how a network begins; a batch is 8 here."""
    starts = ("default", "kaiming", "xavier", "zero")
    options = [
        click.option("-o", "--output", help="Plot it instead: x.svg, x.pdf or x.png."),
        click.option("--init", type=click.Choice(starts), default="default", show_default=True, help="First weights."),
        click.option("--seed", type=int, default=0, show_default=True, help="Of the random numbers."),
        click.option("--eval", "evaluation", is_flag=True, help="In evaluation mode: norms change nothing yet."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that ask for what training costs."""
    options = [
        click.option("--backward", is_flag=True, help="Count the backward pass and the optimizer's step too."),
        click.option("--optimizer", type=click.Choice(COUNTED), default="adamw", show_default=True, help="Whose step."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def terminal(color: str) -> dict[str, Any]:
    """Return what the terminal can do: its width, whether it has colours, whether it knows more than ASCII."""
    is_terminal = sys.stdout.isatty()
    wants = color == "always" or (
        color == "auto"
        and (is_terminal or os.environ.get("FORCE_COLOR"))
        and not os.environ.get("NO_COLOR")  # set to nothing, it asks for nothing (no-color.org)
        and os.environ.get("TERM") != "dumb"
    )
    width = shutil.get_terminal_size((100, 24)).columns
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "")
    return {"width": max(40, width), "color": wants, "unicode": encoding.startswith("utf")}
