"""Optimizers that are run on meta: torch's own, and one that is known by its formula alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from archprof.errors import UnknownName
from archprof.optimizers import BY_FORMULA, REMEMBERED, TORCHS


class Adam8bit(torch.optim.Optimizer):
    """Adam with its moments in 8 bits, as bitsandbytes keeps them: its memory, no arithmetic.

    Two bytes a weight, and a scale of 4 bytes a block of 256 for each moment; parameters of fewer than 4096 weights keep
    float32. It works in place.
    """

    BLOCK, SMALLEST = 256, 4096

    def __init__(self, params: Iterable[torch.nn.Parameter]) -> None:
        super().__init__(params, {})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """Make the state, if it is not there yet."""
        for parameter in self.param_groups[0]["params"]:
            state = self.state[parameter]
            if parameter.grad is None or state:
                continue
            size = parameter.numel()
            is_small = size < self.SMALLEST
            for name in ("exp_avg", "exp_avg_sq"):
                state[name] = parameter.new_zeros(size, dtype=torch.float32 if is_small else torch.uint8)
                if not is_small:
                    state[f"{name}_scale"] = parameter.new_zeros(-(-size // self.BLOCK), dtype=torch.float32)


def optimizer(name: str, parameters: Iterable[torch.nn.Parameter], *, foreach: bool = False) -> torch.optim.Optimizer:
    """Return an optimizer of these parameters; raise UnknownName where there is none of that name.

    `foreach` steps all parameters at once, as torch does on a GPU, at the price of temporaries as large as all of them.
    """
    if name not in REMEMBERED:
        raise UnknownName("optimizer", name, REMEMBERED)
    if name == BY_FORMULA:
        return Adam8bit(parameters)  # it has one way
    kind, settings = TORCHS[name]
    return getattr(torch.optim, kind)(parameters, foreach=foreach and name != "adafactor", **settings)  # nor has torch
