"""From what was asked for on the command line to a profile: options in, the library's arguments out."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from archprof.errors import UnknownName
from archprof.options import RUN, terminal

if TYPE_CHECKING:
    from archprof.result import Profile


def profiled(model: str, options: Mapping[str, Any]) -> Profile:
    """Return the profile that the model options ask for, with columns of memory where they are to be shown."""
    from archprof.footprint import COLUMNS

    found = timed(model, options) if options.get("time") else counted(model, options)
    return found.with_memory() if COLUMNS.keys() & named(options) else found


def named(options: Mapping[str, Any]) -> list[str]:
    """Return the columns that the options name."""
    return [*options.get("columns", ()), *filter(None, [options.get("sort")])]


def counted(model: str, options: Mapping[str, Any]) -> Profile:
    """Return the profile that the model options ask for, of what follows from shapes."""
    from archprof.pipeline import profile

    optimizer = options["optimizer"] if options.get("backward") else ""
    wanted = {name: options.get(name, "") for name in ("convention", "on")}
    field = not {"receptive_field", "effective_stride", "effective_padding"}.isdisjoint(named(options))
    return profile(model, **chosen(options), **wanted, optimizer=optimizer, field=field)


def timed(model: str, options: Mapping[str, Any]) -> Profile:
    """Return the profile of a model that was run and timed as the options ask."""
    from archprof.progress import shown
    from archprof.runs.measure import time

    foreseen(model, options)
    how = {name: options[name] for name in (*RUN, "on", "convention") if name in options}
    how["optimizer"] = options["optimizer"] if options.get("backward") else ""
    with shown() as tell:
        return time(model, **chosen(options), **how, tell=tell)


def foreseen(model: str, options: Mapping[str, Any]) -> None:
    """Raise the user's mistakes about columns and paths before a model is measured, which takes long."""
    from archprof.records import Column
    from archprof.runs import kernels, measure

    names, path = named(options), options.get("path", "")
    if not names and not path:
        return
    profile = profiled(model, {**options, "time": False})
    profile.ops_at(path)
    measured = [
        found.name for module in (measure, kernels) for found in vars(module).values() if isinstance(found, Column)
    ]
    known = [*profile.columns, *measured]
    for name in names:
        if name not in known:
            raise UnknownName("column", name, known)


def signalled(model: str, options: Mapping[str, Any]) -> Profile:
    """Return the profile of a model whose signal was measured as the options ask."""
    from archprof.progress import shown
    from archprof.runs.signal import signal

    with shown() as tell:
        how = {"init": options["init"], "seed": options["seed"], "training": not options["evaluation"], "tell": tell}
        return signal(model, **chosen(options), **how)


def chosen(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the model options say of a model, plug-ins loaded."""
    load_plugins(options["plugins"])
    inputs, settings = dict(options["inputs"]), dict(options["settings"])
    return {"inputs": inputs, "batch": options["batch"], "dtype": options["dtype"], "settings": settings}


def load_plugins(paths: Sequence[Path]) -> None:
    """Run the user's Python files, which register layers and rules."""
    from archprof.plugins import load_plugin

    for path in paths:
        load_plugin(path)


def viewing(options: Mapping[str, Any], color: str) -> dict[str, Any]:
    """Return the fields of a View."""
    return {name: options[name] for name in ("depth", "columns", "sort", "top", "raw", "everything")} | terminal(color)


def default_format() -> str:
    """Return `table` for people and `tsv` for pipes."""
    return "table" if sys.stdout.isatty() else "tsv"


def check_format(name: str) -> None:
    """Raise UnknownName where there is no such format, before anything is printed."""
    from archprof.renderers import RENDERERS

    if name:
        RENDERERS[name]


def checked_output(output: str, format: str) -> Path:
    """Return the file to write; raise UserError, before any work, where it cannot be."""
    from archprof.renderers.files import checked

    return Path(output) if format else checked(output)


def written(profiles: Sequence[Profile], into: Path, format: str, **view: Any) -> None:
    """Write profiles to a file, and say so."""
    from archprof.renderers import View
    from archprof.renderers.files import write

    write(profiles, into, format, View(**view))
    click.echo(f"wrote {into}", err=True)
