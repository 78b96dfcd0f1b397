"""Optimizers by name, in one place: torch's own with its defaults, and one that is known by its formula alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TORCHS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "sgd": ("SGD", {}),
    "momentum": ("SGD", {"momentum": 0.9}),
    "adam": ("Adam", {}),
    "adamw": ("AdamW", {}),
    "adafactor": ("Adafactor", {}),
}
"""The class of `torch.optim`, and what of it is not by default."""
BY_FORMULA = "adam8bit"

COUNTED = ("sgd", "momentum", "adam", "adamw")
"""Those whose arithmetic is counted."""
REMEMBERED = (*TORCHS, BY_FORMULA)
"""Those whose memory is known."""
