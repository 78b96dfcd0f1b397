"""The nouns of a comparison: Change (an op), Part (a module), Diff (both networks)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

KINDS = ("same", "changed", "moved", "added", "removed")
SCHEMA_VERSION = "1.0"


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one op: where it stood in the first network and stands in the second (None: it is not there).

    `what` says setting by setting what changed (`kernel 3 -> 5`), `settings` the same as (name, before, after).
    `before` and `after` are its costs by column: None is unknown, and empty where it is not there.
    """

    kind: str
    path_a: str | None
    path_b: str | None
    type: str
    what: str
    before: Mapping[str, int | None]
    after: Mapping[str, int | None]
    settings: tuple[tuple[str, str, str], ...] = ()

    @property
    def path(self) -> str:
        """Where it is in the second network, or was in the first."""
        return (self.path_a if self.path_b is None else self.path_b) or ""

    def delta(self, column: str) -> int | None:
        """Return by how much it costs more (or, negative, less) now; None where one of both is unknown."""
        before, after = self.before.get(column, 0), self.after.get(column, 0)
        if before is None or after is None:
            return 0 if self.kind in {"same", "moved"} and before == after else None  # the same, whatever it costs
        return after - before


@dataclass(frozen=True, slots=True)
class Part:
    """A module of both networks, or of one: `parts` are the modules and ops in it, in order.

    An op stands where it is in the second network; what was removed, where it was.
    """

    kind: str
    path_a: str | None
    path_b: str | None
    what: str
    parts: tuple[Part | Change, ...] = field(default=(), repr=False)

    @property
    def path(self) -> str:
        """Where it is in the second network, or was in the first."""
        return (self.path_a if self.path_b is None else self.path_b) or ""

    def rows(self) -> Iterator[Change]:
        """Yield all ops below it, in order."""
        for part in self.parts:
            if isinstance(part, Part):
                yield from part.rows()
            else:
                yield part

    def counts(self) -> Counter[str]:
        """Return how many ops below it are of each kind."""
        return Counter(row.kind for row in self.rows())

    def delta(self, column: str) -> int | None:
        """Return by how much all below it costs more now; None where that of an op is unknown."""
        return added(row.delta(column) for row in self.rows())


@dataclass(frozen=True)
class Diff:
    """Two networks beside each other: `rows` has every op of both once, `root` the same as one tree of modules.

    `totals` are (before, after) by column, as the profiles have them; `columns` says in which units, and `partial` which
    totals of either are lower bounds only.
    """

    a: str
    b: str
    columns: Mapping[str, str]
    totals: Mapping[str, tuple[int, int]]
    rows: tuple[Change, ...]
    root: Part
    gaps: tuple[int, int] = (0, 0)
    partial: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())

    def delta(self, column: str) -> int | None:
        """Return the difference of the totals; None where an op whose cost is unknown was changed, added or removed."""
        before, after = self.totals[column]
        return None if any(row.delta(column) is None for row in self.rows) else after - before

    def counts(self) -> Counter[str]:
        """Return how many ops are of each kind."""
        return Counter(row.kind for row in self.rows if row.path_a != "" or row.path_b != "")

    @property
    def in_common(self) -> float:
        """How much of both networks is a pair: twice the pairs, by the ops of both; 1 where there are none."""
        counts = self.counts()
        pairs = sum(counts.values()) - counts["added"] - counts["removed"]
        return 2 * pairs / (sum(counts.values()) + pairs) if counts else 1.0

    @property
    def is_same(self) -> bool:
        """Tell whether nothing differs but names."""
        return all(row.kind in {"same", "moved"} for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain dicts, lists, strings and ints; unknown is null, and rows come in the order of execution."""
        sides = {
            name: {"before": before, "after": after, "delta": self.delta(name)}
            for name, (before, after) in self.totals.items()
        }
        counts = self.counts()
        return {
            "schema_version": SCHEMA_VERSION,
            "a": self.a,
            "b": self.b,
            "columns": dict(self.columns),
            "totals": sides,
            "counts": {kind: counts[kind] for kind in KINDS},
            "gaps": {"a": self.gaps[0], "b": self.gaps[1]},
            "rows": [
                {
                    "kind": row.kind,
                    "path_a": row.path_a,
                    "path_b": row.path_b,
                    "type": row.type,
                    "what": row.what,
                    "settings": [list(setting) for setting in row.settings],
                    "before": None if row.path_a is None else dict(row.before),
                    "after": None if row.path_b is None else dict(row.after),
                    "delta": {name: row.delta(name) for name in self.columns},
                }
                for row in self.rows
            ],
            "modules": list(self._modules(self.root, 0)),
        }

    def _modules(self, part: Part, depth: int) -> Iterator[dict[str, Any]]:
        counts = part.counts()
        yield {
            "kind": part.kind,
            "path_a": part.path_a,
            "path_b": part.path_b,
            "what": part.what,
            "depth": depth,
            "counts": {kind: counts[kind] for kind in KINDS},
            "delta": {name: part.delta(name) for name in self.columns},
        }
        for inner in part.parts:
            if isinstance(inner, Part):
                yield from self._modules(inner, depth + 1)


def added(numbers: Iterable[int | None]) -> int | None:
    """Return the sum; None where one is unknown."""
    total = 0
    for number in numbers:
        if number is None:
            return None
        total += number
    return total
