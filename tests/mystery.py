"""A user's plug-in: a layer whose op no rule knows, and one that is a module of torch."""

from __future__ import annotations

import torch
from torch import nn
from torch.overrides import handle_torch_function, has_torch_function

import archprof


@torch.library.custom_op("archprof_tests::mystery", mutates_args=())
def hidden(x: torch.Tensor) -> torch.Tensor:
    """Double, out of torch's sight."""
    return 2 * x


@hidden.register_fake
def _(x: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(x)


def mystery(x: torch.Tensor) -> torch.Tensor:
    if has_torch_function((x,)):
        return handle_torch_function(mystery, (x,), x)
    return hidden(x)


@archprof.layer
def Mystery(x: archprof.Tensor, /):  # noqa: ARG001 - its shape does not matter
    """Something that nobody has a rule for."""
    return mystery


@archprof.layer
def Halves(x: archprof.Tensor, /, bias: bool = True):
    """Linear layer to half as many features."""
    return nn.Linear(x.shape[-1], x.shape[-1] // 2, bias)
