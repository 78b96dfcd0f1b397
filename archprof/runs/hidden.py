"""What a model runs that none of its rows has: a checkpointed part again on the way back, a whole layer as one kernel."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from archprof.runs.passes import Passes

NOT_COUNTED = ("empty", "new_empty", "lift_fresh", "detach", "_unsafe_view", "_reshape_alias")
"""Operations that compute nothing, and that a program may have more or less of."""


class Operations(TorchDispatchMode):
    """Counts ATen's operations that compute something, views apart."""

    def __init__(self) -> None:
        """Start from none."""
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count an operation, and let it run."""
        name = func._schema.name.partition("::")[2]  # noqa: SLF001 - torch has no other name for it
        is_view = any(part.alias_info and not part.alias_info.is_write for part in func._schema.returns)  # noqa: SLF001
        if not is_view and not name.startswith(NOT_COUNTED):
            self.counts[name] += 1
        return func(*args, **(kwargs or {}))


def without_rows(passes: Passes) -> dict[str, int]:
    """Return the operations of a pass as the model runs that its program has not, by name; {} where it cannot be told."""
    counts = []
    for marked in (False, True):
        with contextlib.suppress(Exception), Operations() as operations:  # a mode is not for all that a model may do
            passes.once(marked=marked)
            counts.append(operations.counts)
    return dict(counts[0] - counts[1]) if len(counts) == 2 else {}
