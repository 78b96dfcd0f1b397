"""Where tensors would lie: in the segments of CUDA's caching allocator, and in one arena that a compiler lays out ahead."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass

from archprof.footprint import Block, Live

MIB = 1 << 20
SMALLEST = 512
"""Sizes are rounded up to so many bytes."""
SMALL, SMALL_SEGMENT = MIB, 2 * MIB
"""Up to here memory comes from segments of 2 MiB."""
MIDDLE, MIDDLE_SEGMENT = 10 * MIB, 20 * MIB
"""Below this it comes from segments of 20 MiB, else from one of its own, a multiple of 2 MiB."""
ALIGNED = 64
"""Places in an arena are multiples of this, as in embedded runtimes."""


@dataclass(slots=True)
class _Piece:
    """A part of a segment, and its neighbours there."""

    bytes: int
    address: int
    is_free: bool
    before: _Piece | None = None
    after: _Piece | None = None


@dataclass(frozen=True, slots=True)
class Reserved:
    """What CUDA's allocator would say of a pass: the peak of its rounded blocks, and the segments it would hold for them."""

    allocated_bytes: int
    reserved_bytes: int


def _join(left: _Piece, right: _Piece) -> None:
    left.bytes += right.bytes
    left.after = right.after
    if right.after is not None:
        right.after.before = left


class _Pool:
    """Free pieces of one kind of segments; the smallest that is large enough is taken, at the lowest address."""

    def __init__(self, *, is_small: bool) -> None:
        self.is_small = is_small
        self.free: list[tuple[int, int, _Piece]] = []
        self.reserved = 0

    def take(self, size: int) -> _Piece:
        place = bisect.bisect_left(self.free, size, key=lambda entry: entry[0])
        piece = self.free.pop(place)[2] if place < len(self.free) else self._segment(size)
        piece.is_free = False
        rest = piece.bytes - size
        if rest >= SMALLEST if self.is_small else rest > SMALL:
            behind = _Piece(rest, piece.address + size, True, piece, piece.after)
            if piece.after is not None:
                piece.after.before = behind
            piece.after, piece.bytes = behind, size
            self._keep(behind)
        return piece

    def give(self, piece: _Piece) -> None:
        piece.is_free = True
        before, after = piece.before, piece.after
        if before is not None and before.is_free:
            self._drop(before)
            _join(before, piece)
            piece = before
        if after is not None and after.is_free:
            self._drop(after)
            _join(piece, after)
        self._keep(piece)

    def _segment(self, size: int) -> _Piece:
        large = MIDDLE_SEGMENT if size < MIDDLE else -(-size // (2 * MIB)) * 2 * MIB
        piece = _Piece(SMALL_SEGMENT if self.is_small else large, self.reserved, True)
        self.reserved += piece.bytes
        return piece

    def _keep(self, piece: _Piece) -> None:
        bisect.insort(self.free, (piece.bytes, piece.address, piece), key=lambda entry: entry[:2])

    def _drop(self, piece: _Piece) -> None:
        place = bisect.bisect_left(self.free, (piece.bytes, piece.address), key=lambda entry: entry[:2])
        del self.free[place]


def reserved(live: Live) -> Reserved:
    """Return what CUDA's caching allocator would hold for a pass, with its rules as of torch 2.14 and no tuning."""
    pools = _Pool(is_small=True), _Pool(is_small=False)
    taken: dict[int, _Piece] = {}
    now = most = 0
    for block, is_made in events(live):
        size = -(-block.bytes // SMALLEST) * SMALLEST
        pool = pools[size > SMALL]
        if is_made:
            taken[id(block)] = pool.take(size)
            now += size
            most = max(most, now)
        else:
            pool.give(taken.pop(id(block)))
            now -= size
    return Reserved(most, sum(pool.reserved for pool in pools))


def events(live: Live) -> Iterator[tuple[Block, bool]]:
    """Yield every making (True) and freeing of memory of a pass, in order; empty tensors have none."""
    moments = [(b.born, True, b) for b in live.blocks if b.bytes]
    moments += [(b.died, False, b) for b in live.blocks if b.bytes and b.died is not None]
    for _, is_made, block in sorted(moments, key=lambda entry: entry[0]):
        yield block, is_made


def arena_bytes(live: Live) -> int:
    """Return the size of one arena for all that a pass makes: the largest first, each at the lowest place free all its life.

    That is how embedded runtimes lay out memory ahead (greedy by size); what is alive at the peak is the least it can be.
    """
    placed: list[tuple[int, int, int, int]] = []  # place, end, born, died
    for block in sorted((b for b in live.blocks if b.born and b.bytes), key=lambda b: (-b.bytes, b.born)):
        size = -(-block.bytes // ALIGNED) * ALIGNED
        died = live.end + 1 if block.died is None else block.died
        place = 0
        for start, end, born, gone in placed:
            if born < died and block.born < gone:
                if start - place >= size:
                    break
                place = max(place, end)
        bisect.insort(placed, (place, place + size, block.born, died))
    return max((end for _, end, _, _ in placed), default=0)
