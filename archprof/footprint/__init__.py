"""Memory: which tensors are alive when, and how much that is. Kernels' own workspace and fragmentation are not in it."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archprof.records import Column

if TYPE_CHECKING:
    from archprof.footprint.fit import Fit

PARAMETERS, BUFFERS, INPUTS = "parameters", "buffers", "inputs"
GRADIENTS, STATE = "gradients", "optimizer state"
ACTIVATIONS, TEMPORARIES = "activations", "temporaries"
CACHE = "KV cache"
KINDS = (PARAMETERS, BUFFERS, INPUTS, CACHE, GRADIENTS, STATE, ACTIVATIONS, TEMPORARIES)
"""What memory is for. Activations are what the forward pass makes; temporaries what the backward pass and the optimizer make
beyond gradients and state: the gradients of activations above all. The cache is what a language model keeps of its text."""

FORWARD, BACKWARD, STEP = "forward", "backward", "step"

SAVED = Column(
    "saved_bytes", "bytes", "sum", "what autograd keeps of what an op makes, for the backward pass of training"
)
LIVE = Column("live_bytes", "bytes", "max", "bytes alive when an op ends in inference, weights and its inputs included")
COLUMNS = {column.name: column for column in (SAVED, LIVE)}
"""Columns of a profile that is asked for them."""


@dataclass(slots=True)
class Block:
    """Memory of one or more tensors: its bytes and kind, the op that made it and where, and from when to when it lives.

    `born` and `died` count the makings and frees of a pass; what was there before it is born at 0, what outlives it has no
    `died`. `is_saved`: autograd keeps it for the backward pass.
    """

    bytes: int
    kind: str
    op: str
    path: str
    born: int
    died: int | None = None
    is_saved: bool = False

    @property
    def name(self) -> str:
        """Where it was made and by which op, or the name of a parameter, buffer or input."""
        return f"{self.path}.{self.op}".strip(".")


@dataclass(frozen=True)
class Live:
    """The life of all memory of a pass. `phases` are the names of its parts, each with the moment it starts at."""

    blocks: Sequence[Block]
    phases: tuple[tuple[str, int], ...]
    end: int

    @functools.cached_property
    def changes(self) -> dict[str, dict[int, int]]:
        """How many bytes come or go, by kind and moment; only the kinds that are there."""
        found: dict[str, dict[int, int]] = {}
        for block in self.blocks:
            if block.bytes:
                moved = found.setdefault(block.kind, {})
                moved[block.born] = moved.get(block.born, 0) + block.bytes
                if block.died is not None:
                    moved[block.died] = moved.get(block.died, 0) - block.bytes
        return {kind: dict(sorted(found[kind].items())) for kind in KINDS if kind in found}

    def course(self, *kinds: str) -> list[int]:
        """Return the bytes of some kinds, or of all, that are alive after every making and freeing, from moment 0 on."""
        steps = [0] * (self.end + 1)
        for kind, moved in self.changes.items():
            if not kinds or kind in kinds:
                for moment, size in moved.items():
                    steps[moment] += size
        return list(itertools.accumulate(steps))

    @functools.cached_property
    def timeline(self) -> list[int]:
        """Bytes alive after every making and freeing, from moment 0 on."""
        return self.course()

    @property
    def peak_bytes(self) -> int:
        """The most bytes that are alive at once."""
        return max(self.timeline)

    @property
    def peak_at(self) -> int:
        """The first moment at which so many are alive."""
        return self.timeline.index(self.peak_bytes)

    @property
    def peak_phase(self) -> str:
        """The part of the pass in which that is."""
        return [name for name, start in self.phases if start <= self.peak_at][-1]

    def alive(self, moment: int) -> list[Block]:
        """Return what is alive at a moment, the largest first."""
        found = [b for b in self.blocks if b.born <= moment and (b.died is None or moment < b.died) and b.bytes]
        return sorted(found, key=lambda block: -block.bytes)

    @property
    def at_peak(self) -> list[Block]:
        """What is alive at the peak, the largest first; its bytes add up to the peak."""
        return self.alive(self.peak_at)

    def by_kind(self, moment: int) -> dict[str, int]:
        """Return the bytes alive at a moment by kind."""
        alive = self.alive(moment)
        return {kind: sum(block.bytes for block in alive if block.kind == kind) for kind in KINDS}

    def made(self, phase: str) -> list[Block]:
        """Return the blocks made in one part of the pass."""
        starts = [*self.phases, ("", self.end + 1)]
        start, stop = next((a, b) for (name, a), (_, b) in itertools.pairwise(starts) if name == phase)
        return [block for block in self.blocks if start < block.born <= stop]


@dataclass(frozen=True, slots=True)
class Cache:
    """What a decoder keeps of the `tokens` of each of `batch` texts: `bytes` in all.

    The next token of one text adds `bytes_per_token`. `positions` is how many tokens the model is made for, if it says so.
    """

    tokens: int
    batch: int
    bytes: int
    bytes_per_token: int
    positions: int | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of a model: of a pass of inference and, with an `optimizer`, of a training step after the first.

    With a `cache`, `inference` is the pass that reads its tokens at once, and `decoding` one that reads the next one.

    What others call activation memory is four numbers, in bytes: `sum_of_outputs`, `saved_for_backward` (None without
    training), and what is alive at the two peaks beyond what is alive throughout (`Live.by_kind`). `blocks` are what could be
    checkpointed, by path; it ran `on` meta or, where it looks at its data, on the CPU.
    """

    model: str
    inference: Live
    optimizer: str = ""
    training: Live | None = None
    decoding: Live | None = None
    cache: Cache | None = None
    notes: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()
    fit: Fit | None = None
    on: str = "meta"

    def render(self, format: str = "table", *, width: int = 80, color: bool = False, unicode: bool = True) -> str:
        """Return this as `table` or `json`; raise UnknownName for another format."""
        from archprof.footprint.text import written
        from archprof.renderers import View

        return written(self, format, View(width=width, color=color, unicode=unicode))

    def __str__(self) -> str:
        """Return the terminal's page, plain."""
        return self.render()

    @property
    def last(self) -> Live:
        """The pass that was asked for: the training step or that of decoding, if there is one."""
        return self.training or self.decoding or self.inference

    @property
    def passes(self) -> dict[str, Live]:
        """All passes by their names."""
        first = "prefill" if self.decoding else "inference"
        found = {first: self.inference, "decoding": self.decoding, "training": self.training}
        return {name: live for name, live in found.items() if live is not None}

    @property
    def peak_bytes(self) -> int:
        """The most bytes that are alive at once in that pass, weights included."""
        return self.last.peak_bytes

    @property
    def sum_of_outputs(self) -> int:
        """Everything that the forward pass of inference makes, as if nothing were ever freed; views and in-place add none."""
        return sum(block.bytes for block in self.inference.made(FORWARD))

    @property
    def saved_for_backward(self) -> int | None:
        """What autograd keeps between forward and backward, each memory once, parameters and buffers left out.

        What a checkpoint keeps, the input of its block, is among it.
        """
        if self.training is None:
            return None
        kept = {PARAMETERS, BUFFERS}
        return sum(block.bytes for block in self.training.blocks if block.is_saved and block.kind not in kept)
