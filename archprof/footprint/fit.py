"""Does it fit a device: the largest batch that does, and what to change where it does not, each with its number."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from archprof.devices import Device

MOST = 1 << 20
"""The largest batch, or context, that is looked for."""
STRAIGHT = 5
"""So often the next guess is on a straight line; after that the rest is halved."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something to change, and the peak with it; `batch` is the batch it is for."""

    what: str
    peak_bytes: int
    batch: int
    does_fit: bool


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a peak fits a device's memory, and the largest batch that does (None: not known, 0: not even one sample).

    `largest_context` is that of a decoder: the most tokens in its cache. `note` says what is not known. `changes` are there
    where it does not fit, those that help first.
    """

    device: Device
    limit_bytes: int
    peak_bytes: int
    largest_batch: int | None = None
    largest_peak_bytes: int | None = None
    changes: tuple[Change, ...] = ()
    largest_context: int | None = None
    largest_context_peak_bytes: int | None = None
    note: str = ""

    @property
    def does_fit(self) -> bool:
        """Whether the peak is no more than the memory."""
        return self.peak_bytes <= self.limit_bytes


def largest(peak: Callable[[int], int], limit: int, known: dict[int, int], most: int = MOST) -> int:
    """Return the largest number (a batch, or tokens) whose peak is within the limit, 0 for none; `most` at the most.

    Peaks grow almost as a straight line, so that each guess is where the line through the two nearest known points meets the
    limit. `known` has peaks by number, at least one, and gets those that were asked for.

    >>> largest(lambda batch: 100 + 7 * batch, 1000, {1: 107})
    128
    """
    low, high = 0, most + 1
    for tries in itertools.count():
        fitting = [number for number, bytes_ in known.items() if bytes_ <= limit]
        low = max([low, *fitting])
        high = min([high, *(number for number in known if number not in fitting)])
        if high - low <= 1 or low >= most:
            if low > most:
                known[most] = peak(most)
            return min(low, most)
        guess = 2 * low if high > most else (low + high) // 2
        if len(known) > 1 and tries < STRAIGHT:
            guess = _crossing(known, limit)
        guess = min(max(guess, low + 1), high - 1)
        known[guess] = peak(guess)
    raise AssertionError


def _crossing(known: dict[int, int], limit: int) -> int:
    """Return where the line through the two points nearest to the limit meets it."""
    (one, first), (two, second) = sorted(known.items(), key=lambda point: abs(point[1] - limit))[:2]
    slope = (second - first) / (two - one)
    return int(one + (limit - first) / slope) if slope > 0 else 2 * max(known)
