"""A user's own layers and rules, from a Python file the user names (never because a spec asks for it)."""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
from pathlib import Path

from archprof.errors import UserError


def load_plugin(path: Path) -> None:
    """Run the Python file at `path`, which registers what it holds (`@archprof.layer`, `@archprof.rule`, ...), once.

    Raises UserError where there is no such file or it fails, naming the exception.
    """
    _load(Path(os.path.realpath(path)))  # resolve() raises for a link to itself


@functools.cache
def _load(path: Path) -> None:
    if not os.path.isfile(path):  # noqa: PTH113 - pathlib's raises where a name is too long
        raise UserError(f"there is no plug-in file {str(path)!r}")
    spec = importlib.util.spec_from_file_location(f"archprof_plugin_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UserError(f"{str(path)!r} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for what annotations mean
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        sys.modules.pop(spec.name, None)
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"the plug-in {str(path)!r} fails: {type(error).__name__}: {reason}") from error
