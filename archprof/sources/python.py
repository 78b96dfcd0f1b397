"""Models in Python code of the user's own: a class or function by the name of its module, or in a file."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from archprof.errors import UserError, did_you_mean
from archprof.sources import Opened, Wish, module, source
from archprof.sources.building import NOT_BUILT, on_cpu, on_meta
from archprof.sources.settings import plain


def is_python(text: str) -> bool:
    """Tell whether a model's name is `package.module:name` or `file.py:name`.

    >>> is_python("torch.nn:ReLU"), is_python("nets.py:Net"), is_python("resnet50"), is_python("no_such_package:Net")
    (True, True, False, False)
    """
    if text.endswith(".py"):
        return True
    home, colon, name = text.rpartition(":")
    if not colon or not all(part.isidentifier() for part in name.split(".")):
        return False
    if home.endswith((".py", ".yaml", ".yml")):
        return home.endswith(".py")
    top = home.partition(".")[0]
    is_dotted = all(part.isidentifier() for part in home.split("."))
    return is_dotted and top != "__main__" and (_is_installed(top) or os.path.isdir(top) or os.path.isfile(f"{top}.py"))  # noqa: PTH112, PTH113 - pathlib's raise where a name is too long


def _is_installed(top: str) -> bool:
    try:
        return importlib.util.find_spec(top) is not None
    except ValueError:  # a module without a spec, put into sys.modules by hand
        return True


@source("python", accepts=is_python)
def python(name: str, wish: Wish) -> Opened:
    """Class or function of your own (`package.module:Net`, `file.py:make_net`), whose code is run; --set gives arguments.

    It is a module, or returns one, alone or with its inputs, or is a function of tensors itself. Raises UserError where
    it cannot be imported, found or called.
    """
    found = imported(name)
    settings = plain(wish.settings)
    example: list[Any] = []
    if isinstance(found, nn.Module) or not makes_a_module(found, settings):
        if settings:
            raise UserError(f"{name} is called with tensors, so there is nothing to --set")
        if not (isinstance(found, nn.Module) or wish.inputs or (needed := needs(found, settings)) == []):
            first = needed[0]
            raise UserError(
                f"{name} needs {', '.join(needed)}: sizes of tensors where it is the model (--input {first}=3x224x224), "
                f"arguments where it makes one (--set {first}=...)"
            )
        model, again = found, None
    else:

        def made() -> nn.Module:
            return called(name, found, settings, example)

        dtype = wish.dtype or "float32"
        model, again = on_meta(made, dtype), lambda: on_cpu(made, dtype)
    given = {key: wish.tensor(key) for key in wish.inputs}
    inputs = given or (example[0] if example else None)
    opened = module.opened(model, inputs, name)
    return Opened(name, opened.module, opened.inputs, real=again or opened.real)


def imported(name: str) -> Any:
    """Return what `package.module:attribute` or `file.py:attribute` means; raise UserError where there is none."""
    home, colon, attribute = name.rpartition(":")
    if not colon:
        raise UserError(f"{name!r} is Python: add the class or function that is the model, as in {name}:Net")
    folder = os.getcwd()  # noqa: PTH109 - as `python -m` does
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        if home.endswith(".py"):
            spec = importlib.util.spec_from_file_location(Path(home).stem, home)
            if spec is None or spec.loader is None or not os.path.isfile(home):  # noqa: PTH113 - long names
                raise UserError(f"there is no file {home!r}")
            found: Any = importlib.util.module_from_spec(spec)
            sys.modules.setdefault(spec.name, found)
            spec.loader.exec_module(found)
        else:
            found = importlib.import_module(home)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"{home!r} cannot be imported: {type(error).__name__}: {reason}") from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            public = [key for key in vars(found) if not key.startswith("_")]
            raise UserError(f"{home!r} has no {part!r}; {did_you_mean(part, public, 'it is told by its exact name')}")
        found = getattr(found, part)
    return found


def makes_a_module(found: Any, settings: dict[str, Any]) -> bool:
    """Tell whether calling this gives a model: a class does, and a function whose arguments are all given."""
    if not callable(found):
        raise UserError(f"a model is a module, a class or a function, not {type(found).__name__}")
    return isinstance(found, type) or not needs(found, settings)


def needs(maker: Callable[..., Any], settings: dict[str, Any]) -> list[str]:
    """Return the names of the arguments that have no default and are not set; raise UserError where it has no signature."""
    several = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    try:
        parameters = inspect.signature(maker).parameters.values()
    except ValueError:
        raise UserError(
            f"{getattr(maker, '__name__', maker)!r} is no Python function: wrap it in one that takes tensors"
        ) from None
    return [p.name for p in parameters if p.default is p.empty and p.kind not in several and p.name not in settings]


def called(name: str, maker: Callable[..., Any], settings: dict[str, Any], example: list[Any]) -> nn.Module:
    """Return the module that `maker` makes; inputs that it returns beside go into `example`."""
    if missing := needs(maker, settings):
        raise UserError(f"{name} needs {', '.join(missing)} (--set {missing[0]}=...)")
    try:
        made = maker(**settings)
    except NOT_BUILT as error:
        raise UserError(f"{name} cannot be built: {type(error).__name__}: {error}") from error
    if isinstance(made, tuple) and len(made) == 2 and isinstance(made[0], nn.Module):
        example[:] = [made[1]]
        made = made[0]
    if not isinstance(made, nn.Module):
        raise UserError(f"{name} returns no torch.nn.Module, but {type(made).__name__}")
    return made
