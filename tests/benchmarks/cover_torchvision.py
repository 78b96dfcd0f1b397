"""Every network of torchvision against an oracle, and beside the figures of its metadata."""

from __future__ import annotations

from typing import Any

from coverage_rows import Note, compared, opened_again
from torchvision import models

from archprof.errors import ArchprofError
from archprof.pipeline import profile


def names() -> list[str]:
    """Return all networks' names."""
    return models.list_models()


def warm() -> None:
    """Import what all need."""
    row("resnet18")


def row(name: str, note: Note = lambda _: None) -> dict[str, Any]:
    """Return what archprof and the oracle count of a network."""
    has_aux = name in models.list_models(module=models.segmentation) and not name.startswith("lraspp")
    try:
        found = profile(f"torchvision:{name}", settings={"aux_loss": "true"} if has_aux else {})
    except ArchprofError as error:
        return {"verdict": "fails", "why": str(error)}
    return compared(found, lambda: opened_again(found), note=note)
