"""Which op of one network is which of another: aligned first, then what was moved elsewhere is looked for in the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from archprof.changes.align import Item, aligned
from archprof.changes.words import Looks, looks
from archprof.graph import Graph
from archprof.records import Op

ROUNDS = 3
"""So often the rest is looked through; in every round ops without weights follow those that were found before."""


@dataclass(frozen=True)
class Match:
    """The pairs of two networks: by the number of an op of the first, that of its partner; and how every op looks."""

    partner: dict[int, int]
    looks_a: Sequence[Looks]
    looks_b: Sequence[Looks]


def match(a: Graph, b: Graph) -> Match:
    """Return which op of `a` is which of `b`, each at most once."""
    known: dict[object, Looks] = {}
    numbers: dict[object, int] = {}
    looks_a, looks_b = ([_looks(op, known) for op in graph.ops] for graph in (a, b))
    items_a, items_b = (
        [_item(op, seen, numbers) for op, seen in zip(graph.ops, found, strict=True)]
        for graph, found in ((a, looks_a), (b, looks_b))
    )
    partner = dict(aligned(items_a, items_b))
    for _ in range(ROUNDS):
        more = _moved(a, b, items_a, items_b, partner)
        if not more:
            break
        partner |= more
    return Match(partner, looks_a, looks_b)


def _moved(
    a: Graph, b: Graph, items_a: Sequence[Item], items_b: Sequence[Item], partner: dict[int, int]
) -> dict[int, int]:
    """Return pairs of the rest: those with one path, those with weights that are the same, and what stands beside a pair."""
    taken = set(partner.values())
    rest_a = [number for number in range(len(items_a)) if number not in partner]
    rest_b = [number for number in range(len(items_b)) if number not in taken]
    names = {a.ops[i].name: b.ops[j].name for i, j in partner.items()}
    names |= {one.name: other.name for one, other in zip(a.inputs, b.inputs, strict=False)}
    found = {}
    for i, j in aligned([items_a[number] for number in rest_a], [items_b[number] for number in rest_b]):
        left, right = rest_a[i], rest_b[j]
        one, other = items_a[left], items_b[right]
        is_same = one.identity == other.identity
        if one.path == other.path or (is_same and (one.has_weights or _touches(a, b, left, right, names))):
            found[left] = right
    return found


def _touches(a: Graph, b: Graph, left: int, right: int, names: dict[str, str]) -> bool:
    """Tell whether two ops read from, or are read by, ops that are a pair."""
    one, other = a.ops[left].name, b.ops[right].name
    return any(names.get(name) in b.producers(other) for name in a.producers(one)) or any(
        names.get(name) in b.consumers(other) for name in a.consumers(one)
    )


def _looks(op: Op, known: dict[object, Looks]) -> Looks:
    """Return how an op looks, once for all that have one signature: most ops of a network do."""
    key = (op.signature, op.inputs, len(op.weights))
    if key not in known:
        known[key] = looks(op)
    return known[key]


def _item(op: Op, seen: Looks, numbers: dict[object, int]) -> Item:
    identity = numbers.setdefault(("identity", seen.identity), len(numbers))
    form = numbers.setdefault(("form", seen.form), len(numbers))
    shapes = f"{seen.settings['input']} {seen.settings['output']}"
    return Item(identity, form, op.kind, op.path, shapes, bool(seen.weights))
