"""Activation checkpointing as a question: what if these blocks kept only their inputs, and ran again in the backward pass?"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence

from torch import nn
from torch.utils.checkpoint import checkpoint


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
