"""Where a model runs while its memory is counted: on meta or, where it looks at its data, on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn, TypeVar

from archprof.errors import ArchprofError, UserError
from archprof.pipeline import profile_of
from archprof.sources import Opened
from archprof.substrate import is_ours, shortened, traced_somewhere, with_weights
from archprof.trace import needs_data

if TYPE_CHECKING:
    from torch import nn

Found = TypeVar("Found")
ON_CPU = "run on the CPU, since it looks at its data: memory that depends on data is that of this run"


def ran(opened: Opened, run: Callable[[nn.Module, str], Found]) -> tuple[Found, tuple[str, ...]]:
    """Return what `run(module, "meta" or "cpu")` returns, and a note if it was the CPU.

    Raises what `profile` raises where the model fails in evaluation, and UserError where it fails in training alone.
    """
    try:
        return run(opened.module, "meta"), ()
    except Exception as error:  # noqa: BLE001 - whatever a model raises is told with its place
        if not needs_data(error):
            _fail(opened, error)
    try:
        return run(with_weights(opened), "cpu"), (ON_CPU,)
    except Exception as error:  # noqa: BLE001
        _fail(opened, error)


def _fail(opened: Opened, error: Exception) -> NoReturn:
    """Raise the error of a model as its profile does; one that only training shows is told as such, our own is left as it is."""
    if isinstance(error, ArchprofError):
        raise error
    profile_of(opened, *traced_somewhere(opened, {}))
    if is_ours(error):
        raise error
    raise UserError(f"{opened.name} fails in training: {shortened(error)}") from error
