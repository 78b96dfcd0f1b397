"""How often something is measured, and what is said of it: warm-up until it is steady, passes by turns, medians."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import torch

from archprof.records import Spread

Pass = Callable[[], float]
"""Runs once, and returns the seconds it took."""

STEADY, STEADY_PASSES = 0.05, 3
"""Warm enough is when so many passes in a row differ by less than this."""
WARM_S = 0.15
LEAST_PASSES, LEAST_S = 30, 0.5
NARROW = 0.01
"""Half the confidence interval of the median, as part of the median, at which sampling may stop."""
MOST_VALUES = 20_000_000
"""Marks kept of all passes together."""


def warmed(run: Pass, budget_s: float, least_s: float = WARM_S) -> int:
    """Run until it is steady (or the budget is spent), and return how many passes that took."""
    began, taken = time.perf_counter(), []
    while True:
        taken.append(run())
        spent, last = time.perf_counter() - began, taken[-STEADY_PASSES:]
        is_steady = len(last) == STEADY_PASSES and max(last) <= (1 + STEADY) * min(last)
        if (is_steady and spent >= least_s) or spent >= budget_s:
            return len(taken)


def by_turns(
    passes: Mapping[str, Pass], budget_s: float, most: int, tell: Callable[[int, float], None]
) -> tuple[dict[str, list[float]], str]:
    """Return the seconds of each kind of pass, run by turns so that a slow moment hits all alike, and what cut it short.

    It ends when every median is narrow after enough passes and seconds, or when the budget is spent (each kind runs once
    at least), or after `most` rounds. `tell` hears how many rounds there were, and which part of the budget is spent.
    Where the user interrupts it or memory runs out, the whole rounds before are returned, if there are any; else it is ''.
    """
    taken: dict[str, list[float]] = {name: [] for name in passes}
    began, rounds = time.perf_counter(), 0
    while True:
        try:
            once = {name: run() for name, run in passes.items()}
        except (KeyboardInterrupt, torch.OutOfMemoryError) as error:
            if not rounds:
                raise
            return taken, "interrupted" if isinstance(error, KeyboardInterrupt) else "out of memory"
        for name, seconds in once.items():
            taken[name].append(seconds)
        rounds += 1
        spent = time.perf_counter() - began
        tell(rounds, min(1.0, spent / budget_s))
        is_enough = rounds >= LEAST_PASSES and spent >= LEAST_S and rounds % 5 == 0
        if spent >= budget_s or rounds >= most or (is_enough and all(map(is_narrow, taken.values()))):
            return taken, ""


def is_narrow(values: Sequence[float]) -> bool:
    """Tell whether the median is known to `NARROW`."""
    found = spread(values)
    return (found.high - found.low) / 2 <= NARROW * found.median


def spread(values: Sequence[float]) -> Spread:
    """Return how values lie; the 95 % confidence interval of the median is that of order statistics.

    >>> spread([3.0, 1.0, 2.0]).median
    2.0
    """
    ordered = sorted(values)
    n = len(ordered)
    half = 1.96 * math.sqrt(n) / 2
    place = max(0, math.floor(n / 2 - half))
    low, high = ordered[place], ordered[n - 1 - place]
    twentieths = statistics.quantiles(ordered, n=20, method="inclusive") if n > 1 else ordered * 19
    quarter, median, three_quarters, ninety = (twentieths[place] for place in (4, 9, 14, 17))
    return Spread(median, quarter, three_quarters, ordered[0], ninety, low, high, n)
