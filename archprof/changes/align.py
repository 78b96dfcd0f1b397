"""Two sequences of ops aligned in execution order, so that the pairs look alike as much as possible altogether.

It is the alignment of sequences known from biology, without a price for gaps: a row of the table at a time in numpy, so
that 5,000 x 5,000 ops take a fraction of a second whatever they look like. Beyond LIMIT, ops of equal path and looks are
taken for pairs first.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

LIMIT = 40_000_000
"""Cells of a table: 40 MB, and half a second."""
KEPT = 1000
"""So many rows are kept for ops that look the same."""
SAME, FORM, WEIGHTLESS, KIND, PATH, LEAF, SWAP = 8, 4, 2, 1, 3, 1, 2
STRONG = 4
"""From here on a pair is one by its looks or its path; below, it only stands where one could be."""
ENOUGH = 2
"""So much must speak for a row of pairs: one with weights or a name in common, or two layers of one form and any size."""


@dataclass(frozen=True, slots=True)
class Item:
    """What an op is matched by; `identity` and `form` are numbers, equal where ops are."""

    identity: int
    form: int
    kind: str
    path: str
    shapes: str
    has_weights: bool

    @property
    def leaf(self) -> str:
        """The last name of the path; a number is none."""
        last = self.path.rpartition(".")[2]
        return "" if last.isdigit() else last


def alike(one: Item, other: Item) -> int:
    """Return how much two ops look alike, 0 where they cannot be a pair."""
    if one.kind != other.kind:
        return SWAP if one.path == other.path and _could_swap(one, other) else 0
    looks = SAME if one.identity == other.identity else KIND
    if looks == KIND and one.form == other.form:
        looks = FORM if one.has_weights else WEIGHTLESS
    return looks + (PATH if one.path == other.path else 0) + (LEAF if one.leaf == other.leaf else 0)


def aligned(one: Sequence[Item], other: Sequence[Item]) -> list[tuple[int, int]]:
    """Return pairs of numbers, rising in both, of the alignment; pairs that nothing speaks for but their kind are dropped."""
    start = 0
    for start, (left, right) in enumerate(zip(one, other, strict=False)):  # noqa: B007 - it goes on after the loop
        if left != right:
            break
    else:
        start = min(len(one), len(other))
    end = 0
    while end < min(len(one), len(other)) - start and one[-1 - end] == other[-1 - end]:
        end += 1
    inner = _between(one[start : len(one) - end], other[start : len(other) - end])
    tail = ((len(one) - end + i, len(other) - end + i) for i in range(end))
    pairs = [*((i, i) for i in range(start)), *((i + start, j + start) for i, j in inner), *tail]
    return list(_backed(pairs, one, other))


def _could_swap(one: Item, other: Item) -> bool:
    """Tell whether ops of different kinds at one path may be a replacement: a name says so, or all shapes are the same."""
    return bool(one.leaf) or (one.shapes == other.shapes and one.has_weights == other.has_weights)


def _between(one: Sequence[Item], other: Sequence[Item]) -> Iterator[tuple[int, int]]:
    if len(one) * len(other) <= LIMIT:
        yield from _table(one, other)
        return
    last = (-1, -1)
    for pair in [*_anchors(one, other), (len(one), len(other))]:
        left, right = one[last[0] + 1 : pair[0]], other[last[1] + 1 : pair[1]]
        found = _table(left, right) if len(left) * len(right) <= LIMIT else []
        yield from ((i + last[0] + 1, j + last[1] + 1) for i, j in found)
        if pair[0] < len(one):
            yield pair
        last = pair


def _anchors(one: Sequence[Item], other: Sequence[Item]) -> list[tuple[int, int]]:
    """Return the longest rising row of pairs with equal path and looks, each such op being the only one."""
    places: dict[Item, list[int]] = {}
    for number, item in enumerate(other):
        places.setdefault(item, []).append(number)
    counts: dict[Item, int] = {}
    for item in one:
        counts[item] = counts.get(item, 0) + 1
    pairs = [(i, places[item][0]) for i, item in enumerate(one) if counts[item] == 1 == len(places.get(item, ()))]
    ends: list[int] = []
    holders: list[int] = []
    before: list[int] = []
    for number, (_, place) in enumerate(pairs):
        at = bisect_left(ends, place)
        before.append(holders[at - 1] if at else -1)
        ends[at : at + 1] = [place]
        holders[at : at + 1] = [number]
    found, number = [], holders[-1] if holders else -1
    while number >= 0:
        found.append(pairs[number])
        number = before[number]
    return found[::-1]


def _table(one: Sequence[Item], other: Sequence[Item]) -> list[tuple[int, int]]:
    """Return the best alignment; of equal ones that whose pairs come first, hence from the end on."""
    if not one or not other:
        return []
    one, other = one[::-1], other[::-1]
    rows = _Rows(other)
    best = np.zeros(len(other) + 1, dtype=np.int32)
    ways = np.empty((len(one), len(other)), dtype=np.uint8)
    for number, item in enumerate(one):
        score = rows.of(item)
        diagonal = best[:-1] + score
        found = np.maximum.accumulate(np.maximum(best[1:], diagonal))
        is_pair = diagonal == found
        is_pair &= score > 0
        ways[number] = found == best[1:]
        ways[number][is_pair] = 2
        best[1:] = found
    i, j, pairs = len(one) - 1, len(other) - 1, []
    while i >= 0 and j >= 0:
        way = ways[i, j]
        if way == 2:
            pairs.append((len(one) - 1 - i, len(other) - 1 - j))
        i, j = i - (way >= 1), j - (way != 1)
    return pairs


class _Rows:
    """How much one op looks like each of a sequence, as an array; what two ops have in common is looked up once."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items
        self.known: dict[tuple[object, ...], np.ndarray] = {}
        names: dict[object, int] = {}
        traits = [(item.identity, item.form, names.setdefault(item.kind, len(names)),
                   names.setdefault(("leaf", item.leaf), len(names))) for item in items]  # fmt: skip
        self.identity, self.form, self.kind, self.leaf = np.array(traits, dtype=np.int32).T
        self.names = names
        self.at: dict[str, list[int]] = {}
        for number, item in enumerate(items):
            self.at.setdefault(item.path, []).append(number)

    def of(self, item: Item) -> np.ndarray:
        key = (item.identity, item.leaf)
        score = self.known.get(key)
        if score is None:
            score = self._looks(item)
            if len(self.known) < KEPT:
                self.known[key] = score
        places = self.at.get(item.path)
        if places:
            score = score.copy()
            for place in places:
                score[place] = alike(item, self.items[place])
        return score

    def _looks(self, item: Item) -> np.ndarray:
        form = FORM if item.has_weights else WEIGHTLESS
        score = (self.leaf == self.names.get(("leaf", item.leaf), -1)).astype(np.int32)
        score += KIND + (form - KIND) * (self.form == item.form) + (SAME - form) * (self.identity == item.identity)
        score[self.kind != self.names.get(item.kind, -1)] = 0
        return score


def _backed(pairs: Sequence[tuple[int, int]], one: Sequence[Item], other: Sequence[Item]) -> Iterator[tuple[int, int]]:
    """Yield the pairs that are strong, or look alike and stand in a row with a strong one without a gap."""
    pairs = [(i, j) for i, j in pairs if alike(one[i], other[j]) > KIND]
    run: list[tuple[int, int]] = []
    strength = 0
    for pair in [*pairs, (-1, -1)]:
        if run and pair != (run[-1][0] + 1, run[-1][1] + 1):
            if strength >= ENOUGH:
                yield from run
            run, strength = [], 0
        run.append(pair)
        strength += _strength(one[pair[0]], other[pair[1]]) if pair[0] >= 0 else 0


def _strength(one: Item, other: Item) -> int:
    """Return how much a pair says for its row; what has no weights and another name may be chance: a ReLU is a ReLU."""
    if one.kind != other.kind:
        return ENOUGH  # a replacement has its path
    if alike(one, other) < STRONG:
        return 0
    if one.path == other.path or (one.leaf and one.leaf == other.leaf):
        return ENOUGH
    if not one.has_weights:
        return 0
    return ENOUGH if one.identity == other.identity else 1
