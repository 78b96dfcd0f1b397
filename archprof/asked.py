"""From what was asked for on the command line to a profile: options in, the library's arguments out."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from archprof.errors import UnknownName, UserError
from archprof.options import RUN, terminal

if TYPE_CHECKING:
    from archprof.result import Profile


def profiled(model: str, options: Mapping[str, Any]) -> Profile:
    """Return the profile that the model options ask for, with columns of memory where they are to be shown."""
    found = timed(model, options) if options.get("time") else counted(model, options)
    check_columns(found, options)
    return remembered(found, options)


def remembered(found: Profile, options: Mapping[str, Any]) -> Profile:
    """Return a profile with its columns of memory, where these are to be shown."""
    from archprof.footprint import COLUMNS

    return found.with_memory() if COLUMNS.keys() & named(options) else found


def check_columns(found: Profile, options: Mapping[str, Any]) -> None:
    """Raise the user's mistakes about columns: those that nothing has, and measured ones where nothing is measured."""
    from archprof import footprint
    from archprof.receptive.summary import COLUMNS as FIELDS

    names = [name for name in named({**options, "metric": ""}) if name not in found.columns]
    if not names:
        return
    known, measured = {*found.columns, *footprint.COLUMNS, *FIELDS}, measured_columns()
    if options.get("time"):
        known |= measured
    for name in names:
        if name in measured - known:
            raise UserError(f"column {name!r} is measured, so it is there with --time")
        if name not in known:
            raise UnknownName("column", name, known)


def measured_columns() -> set[str]:
    """Return the names of the columns that a timed run may have."""
    from archprof.records import Column
    from archprof.runs import kernels, measure

    return {found.name for module in (measure, kernels) for found in vars(module).values() if isinstance(found, Column)}


def named(options: Mapping[str, Any]) -> list[str]:
    """Return the columns that the options name, for a table or for a picture."""
    return [*options.get("columns", ()), *filter(None, [options.get("sort"), options.get("metric")])]


def counted(model: str, options: Mapping[str, Any]) -> Profile:
    """Return the profile that the model options ask for, of what follows from shapes."""
    from archprof.pipeline import profile

    optimizer = options["optimizer"] if options.get("backward") else ""
    wanted = {name: options.get(name, "") for name in ("convention", "on")}
    return profile(model, **chosen(options), **wanted, optimizer=optimizer, field=has_field(options))


def has_field(options: Mapping[str, Any]) -> bool:
    """Tell whether columns of the receptive field are to be shown."""
    from archprof.receptive.summary import COLUMNS

    return not COLUMNS.keys().isdisjoint(named(options))


def timed(model: str, options: Mapping[str, Any]) -> Profile:
    """Return the profile of a model that was run and timed as the options ask."""
    from archprof.progress import shown
    from archprof.runs.measure import time

    foreseen(model, options)
    how = {name: options[name] for name in (*RUN, "on", "convention") if name in options}
    how["optimizer"] = options["optimizer"] if options.get("backward") else ""
    with shown() as tell:
        return time(model, **chosen(options), **how, field=has_field(options), tell=tell)


def foreseen(model: str, options: Mapping[str, Any]) -> None:
    """Raise the user's mistakes about columns and paths before a model is measured, which takes long."""
    if named(options) or options.get("path"):
        profile = counted(model, options)
        profile.ops_at(options.get("path", ""))
        check_columns(profile, options)


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


def check_several(wanted: str | Path | None) -> None:
    """Raise UserError where a format, or the file of an ending, is about one model."""
    from archprof.renderers import RENDERERS
    from archprof.renderers.files import ending_of, endings

    name = endings()[ending_of(wanted.name)] if isinstance(wanted, Path) else wanted
    if name and (name not in RENDERERS or RENDERERS[name].is_whole):
        raise UserError(f"{name} is about one model; compare --format json takes several")


def checked_output(output: str, format: str) -> Path:
    """Return the file to write; raise UserError, before any work, where it cannot be."""
    from archprof.outputs import in_folder
    from archprof.renderers.files import checked

    return in_folder(Path(output)) if format else checked(output)


def page(profiles: Sequence[Profile], format: str, **view: Any) -> str:
    """Return profiles in a format as they are printed."""
    from archprof.renderers import View
    from archprof.renderers.files import text

    return text(profiles, format, View(**view))


def written(profiles: Sequence[Profile], into: Path, format: str, **view: Any) -> None:
    """Write profiles to a file, and say so."""
    from archprof.renderers import View
    from archprof.renderers.files import write

    for remark in write(profiles, into, format, View(**view)):
        click.echo(remark, err=True)
    click.echo(f"wrote {into}", err=True)
