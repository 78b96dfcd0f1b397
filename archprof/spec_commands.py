"""Commands about spec files: check, expand, new, schema."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from archprof.asked import chosen, load_plugins
from archprof.errors import UserError
from archprof.options import model_options
from archprof.outputs import writing


@click.command()
@click.argument("models", nargs=-1, metavar="[FILE|NAME]...")
@click.option(
    "--plugin",
    "plugins",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Python file with layers and rules; it is run.",
)
@click.option("--quiet", is_flag=True, help="Only what is wrong.")
def check(models: Sequence[str], plugins: Sequence[Path], quiet: bool) -> None:
    """Check specs: all errors at once, their checks, printed figures beside ours. Without a name: all bundled ones."""
    from archprof.checking import check_models

    load_plugins(plugins)
    sys.exit(0 if check_models(models, echo=click.echo, quiet=quiet) else 1)


@click.command()
@click.argument("model", metavar="SPEC")
@model_options
def expand(model: str, **options: Any) -> None:
    """Print a spec flat: every block, loop and choice carried out, one step a layer, in the same language."""
    from archprof.expand.export import export
    from archprof.sources.spec import load

    click.echo(export(load(model, **chosen(options))), nl=False)


@click.command()
@click.argument("name")
@click.option("--from", "like", metavar="SPEC", help="Start from this bundled spec.")
def new(name: str, like: str | None) -> None:
    """Write NAME.yaml, a commented spec that passes its check, to the current folder."""
    from archprof.language.template import template

    text, path = template(name, like), Path(f"{name}.yaml")
    if path.exists():
        raise UserError(f"{str(path)!r} exists already: choose another name, or remove it")
    with writing(path):
        path.write_text(text, "utf-8")
    click.echo(f"wrote {path}; next: archprof check {path}", err=True)


@click.command()
def schema() -> None:
    """Print the JSON Schema of spec files, for editors."""
    import json

    from archprof.language.schema import json_schema
    from archprof.layers import LAYERS

    layers = {name: (LAYERS[name].form, LAYERS[name].about) for name in LAYERS}
    click.echo(json.dumps(json_schema(layers), indent=2))
