"""Which module of one network is which of another, by the ops they share, and one tree of both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from archprof.changes.nouns import Change, Part

if TYPE_CHECKING:
    from archprof.changes.rows import Place
    from archprof.result import Profile

LEAST = 0.5
"""Modules at different paths are one where they share so much: twice the ops of both, by the ops of each."""


@dataclass(slots=True)
class _Node:
    path_a: str | None
    path_b: str | None
    parts: list[_Node | Change] = field(default_factory=list)


def tree(a: Profile, b: Profile, rows: Sequence[Change], places: Sequence[Place]) -> Part:
    """Return the modules of both networks as one tree; every row of an op stands in it once."""
    around_a, around_b = _around(a), _around(b)
    pairs = [(around_a[i], around_b[j]) for i, j in places if i is not None and j is not None]
    partner = _paired(pairs, around_a, around_b)
    was = {other: one for one, other in partner.items()}
    root = _Node("", "")
    nodes: dict[tuple[str, str], _Node] = {}
    for row, (i, j) in zip(rows, places, strict=False):
        node = root
        for path in around_b[j] if j is not None else around_a[i or 0]:
            key = ("b", path) if j is not None else ("b", partner[path]) if path in partner else ("a", path)
            if key not in nodes:
                side, name = key
                nodes[key] = _Node(was.get(name), name) if side == "b" else _Node(name, None)
                node.parts.append(nodes[key])
            node = nodes[key]
        node.parts.append(row)
    return _part(root, a.network.modules, b.network.modules)


def _around(profile: Profile) -> list[tuple[str, ...]]:
    """Return for every op the modules it stands in, outermost first."""
    ops = profile.network.ops
    levels = {}
    for path in {op.path for op in ops}:
        parts = path.split(".")
        levels[path] = tuple(".".join(parts[:i]) for i in range(1, len(parts) + 1))
    groups = {level for found in levels.values() for level in found[:-1]}
    return [levels[op.path] if op.path in groups else levels[op.path][:-1] for op in ops]


def _paired(
    pairs: Sequence[tuple[tuple[str, ...], tuple[str, ...]]],
    around_a: Sequence[tuple[str, ...]],
    around_b: Sequence[tuple[str, ...]],
) -> dict[str, str]:
    """Return which module is which: those that share most first; at one path, where nothing says otherwise."""
    shared: Counter[tuple[str, str]] = Counter()
    for (one, other), times in Counter(pairs).items():
        for left in one:
            for right in other:
                shared[left, right] += times
    sizes_a, sizes_b = (Counter(path for found in around for path in found) for around in (around_a, around_b))
    votes = [
        (2 * times / (sizes_a[one] + sizes_b[other]), one == other, -abs(one.count(".") - other.count(".")), one, other)
        for (one, other), times in shared.items()
    ]
    partner: dict[str, str] = {}
    taken: set[str] = set()
    for share, is_equal, _, one, other in sorted(votes, key=lambda vote: vote[:3], reverse=True):
        if (share >= LEAST or is_equal) and one not in partner and other not in taken:
            partner[one] = other
            taken.add(other)
    for path in sizes_a:
        if path in sizes_b and path not in partner and path not in taken:
            partner[path] = path
            taken.add(path)
    return partner


def _part(node: _Node, classes_a: Mapping[str, str], classes_b: Mapping[str, str]) -> Part:
    parts = tuple(_part(part, classes_a, classes_b) if isinstance(part, _Node) else part for part in node.parts)
    kinds = {part.kind for part in parts}
    is_both = node.path_a is not None and node.path_b is not None
    kind = kinds.pop() if len(kinds) == 1 else "moved" if kinds and kinds <= {"same", "moved"} else "changed"
    if kind == "same" and node.path_a != node.path_b:
        kind = "moved"
    if kind in {"added", "removed"} and is_both:
        kind = "changed"
    one, other = classes_a.get(node.path_a or "", ""), classes_b.get(node.path_b or "", "")
    what = f"{one} -> {other}" if one and other and one != other else one if node.path_b is None else other
    return Part(kind, node.path_a, node.path_b, what, parts)
