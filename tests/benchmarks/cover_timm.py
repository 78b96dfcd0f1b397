"""The smallest network of every family of timm against an oracle."""

from __future__ import annotations

import sys
from typing import Any

import timm
from coverage_rows import Note, compared, opened_again

from archprof.errors import ArchprofError
from archprof.pipeline import open_model, profile
from archprof.sources import Wish


def names() -> list[str]:
    """Return the families."""
    return timm.list_modules()


def warm() -> None:
    """Import what all need."""
    profile("timm:resnet10t")


def row(family: str, note: Note = lambda _: None) -> dict[str, Any]:
    """Return what archprof and the oracle count of a family's smallest network, as many of it as can be built."""
    counts = {}
    for name in timm.list_models(module=family):
        try:
            module = open_model(f"timm:{name}", Wish()).module
        except Exception as error:
            print(f"{name}: {error}", file=sys.stderr)
            continue
        counts[name] = sum(weight.numel() for weight in module.parameters())
    if not counts:
        return {"verdict": "not built", "why": "none of the family can be built"}
    smallest = min(counts, key=lambda name: counts[name])
    try:
        found = profile(f"timm:{smallest}")
    except ArchprofError as error:
        return {"size": smallest, "verdict": "fails", "why": str(error)}
    return {"size": smallest, **compared(found, lambda: opened_again(found), note=note)}
