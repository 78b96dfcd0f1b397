"""Prints, for every bundled spec and for dense blocks, how long a diagram and its layout take and how large its text prints.

    python tests/benchmarks/bench_diagram.py [MODEL ... | dense]

Seconds are medians of three layouts; points are those of the smallest text on A4 within margins of half an inch.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import archprof
from archprof.graph import Graph
from archprof.language.bundled import bundled
from archprof.renderers.diagram import LEGIBLE, diagram, printed_size, render
from archprof.renderers.picture import source

sys.path.insert(0, str(Path(__file__).parents[1]))
from toys import Toy

LIMIT = 1.0
RUNS = 3
STYLES = ("paper", "auto")


def dense(layers: int) -> Graph:
    """A block in which every layer reads all earlier ones, each layer a group of two convolutions."""
    toy = Toy()
    outs = [toy.input("x", 1, 64, 14, 14)]
    for number in range(layers):
        read = toy.cat(f"block.layer{number}.cat", *outs)
        at = toy.conv(f"block.layer{number}.conv1", read, 128, kernel=1)
        outs.append(toy.conv(f"block.layer{number}.conv2", at, 32))
    return toy.graph(toy.cat("block.cat", *outs))


def row(name: str, draw: Callable[[str], str]) -> bool:
    """Print one line; return whether all of it is within the limits."""
    cells, good = [], True
    for style in STYLES:
        begin = time.perf_counter()
        text = draw(style)
        made = time.perf_counter() - begin
        seconds = []
        for _ in range(RUNS):
            begin = time.perf_counter()
            svg = render(text, "svg")
            seconds.append(time.perf_counter() - begin)
        laid = statistics.median(seconds)
        points, _ = printed_size(svg, "a4", 1)
        good &= laid < LIMIT and (points >= LEGIBLE or style != "paper")
        cells.append(f"{made:8.2f} {laid:7.2f} {points:6.1f}")
    print(f"{name:28}{'  '.join(cells)}{'' if good else '  !'}", flush=True)
    return good


def main(names: list[str]) -> int:
    """Print the table; return 1 where a layout takes too long or a paper figure prints too small."""
    print(f"{'':28}{'  '.join(f'{style:>8}' + ' ' * 15 for style in STYLES)}")
    print(f"{'':28}{'  '.join(f'{a:>8} {b:>7} {c:>6}' for a, b, c in [('graph s', 'dot s', 'pt')] * 2)}")
    good = True
    for name in [name for name in names or bundled() if name != "dense"]:
        profile = archprof.profile(name)
        good &= row(name, lambda style, profile=profile: source(profile, style=style))
    for layers in (16, 24, 32, 48) if not names or "dense" in names else ():
        graph = dense(layers)
        ways: tuple[tuple[str, dict[str, object]], ...] = (
            ("", {}), (", unfolded", {"fold": "none"}), (", open", {"fold": "none", "expand": ("block",)}),
        )  # fmt: skip
        for word, how in ways:
            good &= row(
                f"dense {layers}{word}",
                lambda style, graph=graph, how=how: diagram(graph, title="t", style=style, **how),
            )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
