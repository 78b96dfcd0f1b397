"""How long a report takes to write, how large it is, and how soon its page answers in a browser.

    python tests/benchmarks/bench_report.py

Limits: `archprof report resnet50` takes less than 1 s beyond importing torch; the page of a network of 5,000 ops is less than
1 MB and interactive in less than 1 s in headless Chromium. Each number is the median of three, the least in brackets.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from torch import nn

import archprof
from archprof.reporting import written

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
IMPORT = "import torch"


class Block(nn.Module):
    """A residual block: six ops, whose width differs from its neighbour's, so that no two are exact repeats."""

    def __init__(self, width: int) -> None:
        """Make its layers."""
        super().__init__()
        self.norm = nn.LayerNorm(64)
        self.up, self.act, self.mid, self.down = (
            nn.Linear(64, width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.Linear(width, 64),
        )

    def forward(self, x: object) -> object:
        """Add to its input."""
        return x + self.down(self.mid(self.act(self.up(self.norm(x)))))


def large(blocks: int = 834) -> nn.Module:
    """Return a network of 5,004 ops in stages of 12 blocks."""
    stages = [
        [Block(32 + 8 * (number % 7)) for number in range(start, min(start + 12, blocks))]
        for start in range(0, blocks, 12)
    ]
    return nn.Sequential(*(nn.Sequential(*stage) for stage in stages))


def seconds(what: Callable[[], object]) -> tuple[float, float]:
    """Return the median and the least of three runs."""
    found = []
    for _ in range(3):
        start = time.perf_counter()
        what()
        found.append(time.perf_counter() - start)
    return statistics.median(found), min(found)


def ran(*words: str) -> None:
    """Run Python."""
    subprocess.run([sys.executable, *words], check=True, capture_output=True)


def interactive(path: Path) -> tuple[float, float] | None:
    """Return how many seconds after the start of navigation the page's script has drawn every panel; None without a browser."""
    chromium = os.environ.get("ARCHPROF_CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        found = []
        for _ in range(3):
            page = browser.new_context(viewport={"width": 1400, "height": 1000}).new_page()
            page.goto(path.as_uri())
            page.wait_for_selector("html[data-ready]")
            found.append(int(page.evaluate("document.documentElement.dataset.ready")) / 1000)
            page.context.close()
        browser.close()
    return statistics.median(found), min(found)


def main() -> None:
    """Print the three numbers."""
    with tempfile.TemporaryDirectory() as folder:
        base = seconds(lambda: ran("-c", IMPORT))
        whole = seconds(lambda: ran("-m", "archprof", "report", "resnet50", "-o", f"{folder}/x.html"))
        print(f"archprof report resnet50: {whole[0] - base[0]:.2f} s ({whole[1] - base[1]:.2f}) beyond importing torch")
        profile = archprof.profile(large(), (1, 16, 64))
        made = seconds(lambda: written([profile]))
        path = Path(folder) / "large.html"
        path.write_text(written([profile]), "utf-8")
        print(
            f"{len(profile.network):,} ops: written in {made[0]:.2f} s ({made[1]:.2f}), {path.stat().st_size / 1e6:.2f} MB"
        )
        ready = interactive(path)
        print("no Chromium" if ready is None else f"interactive after {ready[0]:.2f} s ({ready[1]:.2f})")


if __name__ == "__main__":
    main()
