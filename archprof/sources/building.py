"""Networks made by somebody else's code: on meta where that code allows it, else on the CPU."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from archprof.errors import UserError
from archprof.meta import SkipInit, weights_of

NOT_BUILT = (
    TypeError, ValueError, ArithmeticError, LookupError, AttributeError, AssertionError, OSError, ImportError,
)  # fmt: skip
"""What code raises that does not like its arguments; RuntimeErrors may only mean that meta does not suit it."""


def on_meta(made: Callable[[], nn.Module], dtype: str = "float32") -> nn.Module:
    """Return the network that `made` makes, on meta; one that computes while it is built is built on the CPU first.

    Raises UserError where it cannot be built there either.
    """
    with weights_of(dtype):
        try:
            with torch.device("meta"), SkipInit(), torch.no_grad():
                return made()
        except RuntimeError:  # NotImplementedError is one
            return built(made).to("meta")


def on_cpu(made: Callable[[], nn.Module], dtype: str = "float32") -> nn.Module:
    """Return the network that `made` makes, initialised as its own code does it."""
    with weights_of(dtype):
        return built(made)


def built(made: Callable[[], nn.Module]) -> nn.Module:
    """Return the network, or raise UserError with the first line of what its code said."""
    try:
        return made()
    except RuntimeError as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"the model cannot be built: {reason}") from error
