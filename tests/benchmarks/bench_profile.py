"""How long a profile takes, beside a plain forward on meta and torch's own counter, in one run on one machine.

`python tests/benchmarks/bench_profile.py` prints a table; it asserts nothing, since shared machines are noisy.
"""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

from archprof.language import expression
from archprof.language.bundled import bundled
from archprof.pipeline import profile

ROOT = Path(__file__).parents[2]
RUNS = 5
TWINS = {"resnet50": "resnet50", "resnet152": "resnet152", "vit-b-16": "vit_b_16", "llama3-8b": None}
"""Bundled networks, with torchvision's name where it has them."""


def milliseconds(work: Callable[[], object], before: Callable[[], object] = lambda: None) -> float:
    """Return the median time of `work`, `before` being done before each run and not counted."""
    times = []
    for _ in range(RUNS):
        before()
        gc.collect()
        start = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def forget() -> None:
    """Clear the cache of parsed expressions; the memo of shapes is each profile's own, the grammar stays built."""
    expression._parse.cache_clear()


def forward(module: torch.nn.Module, counter: bool) -> None:
    """Run a module once on meta, under torch's counter if `counter`."""
    image = torch.empty(1, 3, 224, 224, device="meta")
    with torch.no_grad():
        if counter:
            with FlopCounterMode(display=False):
                module(image)
        else:
            module(image)


def seconds(*words: str) -> float:
    """Return the fastest wall time of a Python command."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, *words], env=environment, stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Print the table."""
    click.echo(
        f"{'network':<12}{'profile':>10}{'forward':>10}{'ratio':>8}{'counter':>10}{'ratio':>8}   (ms, median of {RUNS})"
    )
    for name, twin in TWINS.items():
        if name not in bundled():
            continue
        profile(name)  # warms the process up
        ours = milliseconds(lambda name=name: profile(name), forget)
        line = f"{name:<12}{ours:>10.1f}"
        if twin is not None:
            with torch.device("meta"):
                module = models.get_model(twin, weights=None).eval()
            forward(module, counter=True)
            plain = milliseconds(lambda module=module: forward(module, counter=False))
            counted = milliseconds(lambda module=module: forward(module, counter=True))
            line += f"{plain:>10.1f}{ours / plain:>8.2f}{counted:>10.1f}{ours / counted:>8.2f}"
        click.echo(line)
    bare = seconds("-c", "import torch")
    shown = seconds("-m", "archprof", "show", "resnet50")
    helped = seconds("-m", "archprof", "--help")
    click.echo(f"import torch {bare:.2f} s, show resnet50 {shown:.2f} s ({shown / bare:.2f}x), --help {helped:.2f} s")


if __name__ == "__main__":
    main()
