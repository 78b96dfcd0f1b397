"""Are the counts right? Two oracles: torch's own formulas op by op, and other tools on the whole model.

A rule is held against the ATen operations its function is made of. A tool's total is taken apart op kind by op kind, and
what stays unexplained is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from archprof.errors import UserError
from archprof.progress import Tell, nobody

if TYPE_CHECKING:
    from archprof.result import Profile


@dataclass(frozen=True, slots=True)
class Check:
    """A distinct op signature held against torch: its ops by name, MACs by our rule and by torch's formulas.

    `reason` says why there is nothing to compare, else it is empty; a count that nobody knows is None.
    """

    kind: str
    shapes: str
    ops: tuple[str, ...]
    rule: int | None
    decomposition: int | None
    reason: str = ""

    @property
    def outcome(self) -> str:
        """`equal`, `differs` or `no oracle`."""
        return "no oracle" if self.reason else "equal" if self.rule == self.decomposition else "differs"


@dataclass(frozen=True, slots=True)
class Difference:
    """How much more (or less) a tool counts for all ops of a kind than MACs, and what it does there."""

    kind: str
    macs: int
    reason: str


@dataclass(frozen=True, slots=True)
class Count:
    """Another tool's total for the whole model, in multiply-accumulates, beside ours, and every difference named.

    `on` is the device it ran on. `unexplained` has, by the tool's own operators, what no difference accounts for; `hints`
    what is known to depend on how the model is written. Where the tool did not run, `failure` says why.
    """

    tool: str
    on: str
    total: int | None
    macs: int
    differences: tuple[Difference, ...] = ()
    unexplained: Mapping[str, int] = field(default_factory=dict)
    hints: tuple[str, ...] = ()
    failure: str = ""

    @property
    def is_explained(self) -> bool:
        """Whether the tool ran, and its total is ours and the differences, to the last MAC."""
        return self.total is not None and not self.unexplained


@dataclass(frozen=True, slots=True)
class Verification:
    """What the oracles say of a model's counts."""

    model: str
    macs: int
    checks: tuple[Check, ...]
    counts: tuple[Count, ...]

    @property
    def is_right(self) -> bool:
        """Whether no rule differs from torch's formulas; what they cannot say counts neither way."""
        return not self.of("differs")

    def of(self, outcome: str) -> list[Check]:
        """Return the checks with this outcome."""
        return [check for check in self.checks if check.outcome == outcome]

    def render(self, format: str = "table", *, width: int = 80, color: bool = False, unicode: bool = True) -> str:
        """Return this as `table` or `json`; raise UnknownName for another format."""
        from archprof.renderers import View
        from archprof.verify.text import written

        return written(self, format, View(width=width, color=color, unicode=unicode))

    def __str__(self) -> str:
        """Return the terminal's table, plain."""
        return self.render()


def verify(profile: Profile, tell: Tell | None = None) -> Verification:
    """Return what the oracles say of a profile's counts; `tell` hears how far they are.

    Raises UserError for a profile that does not know its run.
    """
    from archprof.verify.counters import flop_counter, fvcore
    from archprof.verify.decomposition import checked

    if profile._run is None:  # noqa: SLF001 - kept for this
        raise UserError(f"{profile.model} cannot be verified: its profile does not know the run it came from")
    tell = tell or nobody
    traced, opened = profile._run  # noqa: SLF001
    graph = profile.network
    checks = tuple(checked(graph, traced.seen, lambda what, part: tell(what, part / 3)))
    counts: list[Count] = []
    for number, (tool, count) in enumerate((("FlopCounterMode", flop_counter), ("fvcore", fvcore)), 1):
        tell(tool, number / 3)
        counts.append(count(traced, opened, profile.macs))
    return Verification(profile.model, profile.macs, checks, tuple(counts))
