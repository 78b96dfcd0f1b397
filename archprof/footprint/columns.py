"""Memory op by op: what autograd keeps of each, and what is alive when it ends; joined with a profile's ops by their places.

The model runs under the book of memory again, with every torch function marked as the recorder of profiles sees them.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from archprof.errors import UserError
from archprof.footprint import BUFFERS, FORWARD, LIVE, PARAMETERS, SAVED
from archprof.footprint.ledger import Ledger, Memo
from archprof.footprint.passes import inference, training
from archprof.footprint.places import ran
from archprof.meta import ALONE, kind_of, tensors_in
from archprof.result import Profile

Place = tuple[str, str, int]
"""The module an op stands in, its kind, and how many of that kind stood there before."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A torch function that ended: where it stands, the moment, and the numbers of the blocks of memory it made."""

    path: str
    kind: str
    moment: int
    made: range


class Marked(Ledger):
    """A book of memory that says which moment it is."""

    @property
    def moment(self) -> int:
        """How many times something was made or freed."""
        return self._clock


class Marks(TorchFunctionMode):
    """Marks the end of every function of a forward pass that returns a tensor."""

    def __init__(self, ledger: Marked) -> None:
        """Mark what a ledger notes."""
        super().__init__()
        self.ledger = ledger
        self.marks: list[Mark] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the function and mark its end."""
        ledger = self.ledger
        path, before = ledger.origin.path, len(ledger.blocks)
        result = func(*args, **(kwargs or {}))
        is_forward = bool(ledger.phases) and ledger.phases[-1][0] == FORWARD
        if is_forward and getattr(func, "__module__", None) != "torch.nn.init":
            kind = kind_of(func)
            given = args[0] if kind == "setitem" or result is None else result
            if tensors_in(given) and (getattr(func, "__name__", "") != "__get__" or isinstance(result, torch.Tensor)):
                self.marks.append(Mark(path, kind, ledger.moment, range(before, len(ledger.blocks))))
        return result


def with_memory(profile: Profile) -> Profile:
    """Return a profile with the columns `saved_bytes` and `live_bytes`; None where the model does otherwise in training.

    Raises UserError for a profile that cannot be run again. What autograd keeps is None everywhere where it cannot be trained.
    """
    run = profile._run  # noqa: SLF001 - the model, for those who run it again
    if run is None:
        raise UserError("only what `profile` returned can be asked for its memory")
    opened, memo = run[1], {}
    with ALONE, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alive, notes = ran(opened, lambda module, on: _alive(profile, module, opened.inputs, on, memo))
        try:
            found, _ = ran(opened, lambda module, on: _saved(profile, module, opened.inputs, on, memo))
        except UserError as error:
            found = [None] * len(alive), 0, 0
            notes += (f"saved_bytes are not known: {error}",)
    saved, others, outside = found
    if others:
        notes += (f"{others:,} of saved_bytes belong to ops that run in training alone",)
    return dataclasses.replace(
        profile,
        columns={**profile.columns, SAVED.name: SAVED, LIVE.name: LIVE},
        values={**profile.values, SAVED.name: saved, LIVE.name: alive},
        outside={**profile.outside, SAVED.name: outside},
        notes=(*profile.notes, *notes),
    )


def _alive(profile: Profile, module: nn.Module, inputs: Mapping[str, Any], on: str, memo: Memo) -> list[int | None]:
    """Return what is alive when each op ends, in inference."""
    marks = Marks(Marked(memo))
    with marks:
        live = inference(module, inputs, on, marks.ledger)
    ends = {place: mark.moment for place, mark in zip(placed_marks(marks), marks.marks, strict=True)}
    return [live.timeline[ends[place]] if place in ends else None for place in places(profile)]


def _saved(
    profile: Profile, module: nn.Module, inputs: Mapping[str, Any], on: str, memo: Memo
) -> tuple[list[int | None], int, int]:
    """Return what autograd keeps of each op, what of ops that run in training alone, and what of none (the inputs)."""
    marks = Marks(Marked(memo))
    with marks:
        step = training(module, inputs, "sgd", on, marks.ledger)
    kept = [
        block.bytes if block.is_saved and block.kind not in {PARAMETERS, BUFFERS} else 0
        for block in marks.ledger.blocks
    ]
    sums = {
        place: sum(kept[number] for number in mark.made)
        for place, mark in zip(placed_marks(marks), marks.marks, strict=True)
    }
    saved = [sums.pop(place, None) for place in places(profile)]
    whole = sum(b.bytes for b in step.blocks if b.is_saved and b.kind not in {PARAMETERS, BUFFERS})
    return saved, sum(sums.values()), whole - sum(filter(None, saved))


def places(profile: Profile) -> list[Place]:
    """Return the places of a profile's ops."""
    return placed((op.path, op.kind) for op in profile.network.ops)


def placed(ops: Iterable[tuple[str, str]]) -> list[Place]:
    """Return the places of ops that are given by their paths, with their kinds at the end or not, and kinds.

    >>> placed([("block.add", "add"), ("block", "add"), ("relu", "relu")])
    [('block', 'add', 0), ('block', 'add', 1), ('', 'relu', 0)]
    """
    numbers: Counter[tuple[str, str]] = Counter()
    found = []
    for path, kind in ops:
        module = "" if path == kind else path.removesuffix(f".{kind}")
        found.append((module, kind, numbers[module, kind]))
        numbers[module, kind] += 1
    return found


def placed_marks(marks: Marks) -> list[Place]:
    """Return the places of marks."""
    return placed((mark.path, mark.kind) for mark in marks.marks)
