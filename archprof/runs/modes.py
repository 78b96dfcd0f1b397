"""What a model sets torch to while it runs, so that its ops can be made again under the same."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Modes:
    """What torch is set to: whether it records gradients, and the dtype autocast makes of floats on a device, if any."""

    grad: bool
    cast: torch.dtype | None
    device: str

    @classmethod
    def now(cls, device: str) -> Modes:
        """Return what torch is set to."""
        cast = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
        return cls(torch.is_grad_enabled(), cast, device)

    def enter(self, outside: Modes) -> None:
        """Set torch to it, within others: weights that were cast are forgotten where the outermost autocast ends."""
        torch.set_grad_enabled(self.grad)
        torch.set_autocast_enabled(self.device, self.cast is not None)
        if self.cast is not None:
            torch.set_autocast_dtype(self.device, self.cast)
        elif outside.cast is None:
            torch.clear_autocast_cache()
