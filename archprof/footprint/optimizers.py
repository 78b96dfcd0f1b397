"""Optimizers by name: torch's own run on meta, and one that is known by its formula alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch


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


OPTIMIZERS: Mapping[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": lambda p, foreach: torch.optim.SGD(p, foreach=foreach),
    "momentum": lambda p, foreach: torch.optim.SGD(p, momentum=0.9, foreach=foreach),
    "adam": lambda p, foreach: torch.optim.Adam(p, foreach=foreach),
    "adamw": lambda p, foreach: torch.optim.AdamW(p, foreach=foreach),
    "adafactor": lambda p, foreach: torch.optim.Adafactor(p, foreach=False),  # noqa: ARG005 - nor has torch
    "adam8bit": lambda p, foreach: Adam8bit(p),  # noqa: ARG005 - it has one way
}
"""Optimizers with torch's defaults; `foreach` steps all parameters at once, as torch does on a GPU, at the price of temporaries
as large as all of them."""
