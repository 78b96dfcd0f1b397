"""Activation checkpointing as a question: what if these blocks kept only their inputs, and ran again in the backward pass?"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from torch import nn
from torch.utils.checkpoint import checkpoint

from archprof.errors import UserError, did_you_mean


def blocks_of(module: nn.Module) -> list[str]:
    """Return the paths of a network's blocks: modules of several parts in a list or sequence, the outermost ones, in order."""
    found: list[str] = []
    for path, part in module.named_modules():
        if not isinstance(part, (nn.Sequential, nn.ModuleList)) or len(part) < 2:
            continue
        if any(path == block or path.startswith(f"{block}.") for block in found):
            continue
        names = (f"{path}.{name}".strip(".") for name, child in part.named_children() if next(child.children(), None))
        found += names
    return found


def chosen(name: str, module: nn.Module, blocks: Sequence[str], which: int | Sequence[str]) -> list[str]:
    """Return the paths of what is to run again: the first so many blocks, or all that these names or patterns mean.

    A pattern (`layer3*`) means blocks or, where none is called so, other modules, the outermost ones. Raises UserError for
    what there is not in the model called `name`.
    """
    if isinstance(which, int):
        if not 0 <= which <= len(blocks):
            raise UserError(f"{name} has {len(blocks)} blocks to checkpoint, not {which}")
        return list(blocks[:which])
    paths = [path for path, _ in module.named_modules() if path]
    found: set[str] = set()
    for pattern in which:
        meant = [path for path in blocks if fnmatchcase(path, pattern)]
        meant = meant or [path for path in paths if fnmatchcase(path, pattern)]
        if not meant:
            there = f"its blocks are {blocks[0]} to {blocks[-1]}" if blocks else ""
            advice = did_you_mean(pattern, [*blocks, *paths], there)
            raise UserError(f"{name} has no block or module {pattern!r} to checkpoint; {advice}".rstrip("; "))
        found.update(meant)
    return [path for path in paths if path in found and not any(path.startswith(f"{other}.") for other in found)]


@contextlib.contextmanager
def recomputed(module: nn.Module, paths: Sequence[str]) -> Iterator[None]:
    """Run these blocks under torch's checkpoint, meanwhile."""
    parts = [module.get_submodule(path) for path in paths]
    for part in parts:
        how = {"use_reentrant": False, "preserve_rng_state": False}
        vars(part)["forward"] = functools.partial(checkpoint, part.forward, **how)
    try:
        yield
    finally:
        for part in parts:
            del vars(part)["forward"]
