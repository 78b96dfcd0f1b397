"""Is measured time to be trusted on this machine? `python -m archprof.runs.acceptance [--device cuda] [-o result.json]`.

Six checks, each a line with its figure: rows add up to the pass, marks cost little, events agree with the profiler's
kernels, a graph is no slower than a queue and a queue no slower than eager, processes agree, and what an empty row costs.
What a device cannot show is said to be left out.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import torch

from archprof import units
from archprof.result import Profile
from archprof.runs import machine
from archprof.runs.measure import floor, time
from archprof.runs.passes import How, settings

NETS = ("torchvision:resnet50", "torchvision:vit_b_16", "torchvision:swin_t", "torchvision:convnext_tiny")
LLAMA = {
    "hidden_size": "2048", "intermediate_size": "8192", "num_hidden_layers": "16", "num_attention_heads": "32",
    "num_key_value_heads": "8", "vocab_size": "128256",
}  # fmt: skip
"""The sizes of Llama 3.2 1B."""
LONG_S, SHOWN_S = 5e-3, 50e-6
"""A pass and a row long enough for their checks."""


@dataclass(frozen=True, slots=True)
class Check:
    """A check: its name, what it was done on, the figure, the bounds it is to lie in, and whether it does (None: left out)."""

    name: str
    subject: str
    figure: float | None
    bound: str
    passed: bool | None
    remark: str = ""


@functools.cache
def measured(model: str, device: str, batch: int, mode: str, budget_s: float) -> Profile:
    """Return a measured profile; each is made once."""
    settings = LLAMA if model == "transformers:llama" else {}
    threads = 1 if device == "cpu" else None
    dtype = "bfloat16" if settings and device != "cpu" else None
    return time(
        model, device=device, batch=batch, mode=mode, settings=settings, threads=threads, dtype=dtype, budget_s=budget_s
    )


def models(device: str) -> Iterator[tuple[str, int]]:
    """Yield the models and batches that can be run here."""
    batches = (1,) if device == "cpu" else (1, 32)
    known = [name for name in NETS if importlib.util.find_spec("torchvision")] or ["resnet50"]
    if device != "cpu" and importlib.util.find_spec("transformers"):
        known.append("transformers:llama")
    yield from ((name, batch) for name in known for batch in batches)


def checks(device: str, budget_s: float) -> Iterator[Check]:
    """Yield all checks of a device as they are done."""
    is_gpu = device.startswith("cuda")
    mode = "queued" if is_gpu else "eager"
    for model, batch in models(device):
        subject = f"{model}, batch {batch}, {mode}"
        timing = measured(model, device, batch, mode, budget_s).timing
        assert timing is not None  # noqa: S101 - it was measured
        slack = 0.01 if is_gpu else 0.02
        part, cost = timing.rows_s / timing.bare.median, timing.marked.median / timing.bare.median - 1
        is_long = timing.bare.median >= (LONG_S if is_gpu else 10 * LONG_S)
        yield Check("rows / bare pass", subject, part, f"1 ± {slack}", abs(part - 1) <= slack if is_long else None,
                    "" if is_long else "too short a pass")  # fmt: skip
        most = 0.02 if is_gpu else 0.03
        yield Check("cost of marks", subject, cost, f"<= {most}", abs(cost) <= most if is_long else None,
                    "" if is_long else "too short a pass")  # fmt: skip
        if is_gpu:
            yield kernels_agree(measured(model, device, batch, mode, budget_s), subject)
    yield from (
        modes_are_ordered(device, budget_s)
        if is_gpu
        else [
            Check("graph <= queued <= eager", device, None, "", None, "these modes are CUDA's"),
            Check("events / kernels", device, None, "", None, "a CPU launches no kernels"),
        ]
    )
    yield processes_agree(device)
    how = How(torch.device(device))
    with settings(how):
        seconds = floor(how)
    yield Check("empty row", device, seconds, "measured", passed=True, remark=units.duration(seconds))


def kernels_agree(profile: Profile, subject: str) -> Check:
    """Return how far the worst row of some length is from the sum of its kernels."""
    rows = zip(profile.values["measured_s"], profile.values["kernels_s"], strict=True)
    ratios = [kernels / seconds for seconds, kernels in rows if seconds >= SHOWN_S and kernels]
    if not ratios:
        return Check("events / kernels", subject, None, "1 ± 0.05", passed=None, remark="no row is long enough")
    worst = max(ratios, key=lambda ratio: abs(ratio - 1))
    remark = f"worst of {len(ratios)} rows; median {statistics.median(ratios):.3f}"
    return Check("events / kernels", subject, worst, "1 ± 0.05", abs(worst - 1) <= 0.05, remark)


def modes_are_ordered(device: str, budget_s: float) -> Iterator[Check]:
    """Yield whether the modes of a small network are in their order, and whether its launches are seen to bind it."""
    found = {mode: measured("resnet18", device, 1, mode, budget_s) for mode in ("graph", "queued", "eager")}
    passes = {mode: profile.timing.marked.median for mode, profile in found.items() if profile.timing}
    for fast, slow in (("graph", "queued"), ("queued", "eager")):
        ratio = passes[fast] / passes[slow]
        yield Check(f"{fast} / {slow}", "resnet18, batch 1", ratio, "<= 1.02", ratio <= 1.02)
    flags = found["eager"].values["measured_flag"]
    share = flags.count("launch-bound") / len(flags)
    is_bound = passes["queued"] < 0.8 * passes["eager"]
    yield Check("rows bound by launch", "resnet18, batch 1", share, ">= 0.5" if is_bound else "< 0.5",
                (share >= 0.5) == is_bound)  # fmt: skip


def processes_agree(device: str) -> Check:
    """Return how much the pass's median varies over three processes."""
    batch, threads = ("1", ["--threads", "1"]) if device == "cpu" else ("32", [])
    command = [sys.executable, "-m", "archprof", "time", "resnet50", "--device", device, "--batch", batch, *threads]
    medians = []
    for _ in range(3):
        done = subprocess.run(  # noqa: S603 - our own command
            [*command, "--budget", "8", "--format", "json"], capture_output=True, text=True, check=True
        )
        medians.append(json.loads(done.stdout)["timing"]["bare"]["median"])
    figure = statistics.stdev(medians) / statistics.mean(medians)
    return Check("spread over 3 processes", f"resnet50, batch {batch}", figure, "<= 0.02", figure <= 0.02)


@click.command()
@click.option("--device", default="", help="cpu, cuda or cuda:1.  [default: cuda where there is one]")
@click.option("--budget", default=8.0, show_default=True, help="Seconds a measurement may take.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the result as JSON, too.")
def main(device: str, budget: float, output: Path | None) -> None:
    """Check measured time on a device; exit with 1 where a check fails."""
    target = machine.chosen(device)
    click.echo(f"{machine.name_of(target)} ({target}), torch {torch.__version__}")
    done: list[Check] = []
    for check in checks(str(target), budget):
        done.append(check)
        word = {True: "pass", False: "FAIL", None: "-"}[check.passed]
        figure = "" if check.figure is None else f"{check.figure:.4g}"
        click.echo(f"{word:4}  {check.name:24} {figure:>10}  {check.bound:10} {check.subject}  {check.remark}".rstrip())
    about: dict[str, Any] = {"machine": machine.about(target), "checks": [asdict(check) for check in done]}
    if output is not None:
        output.write_text(json.dumps(about, indent=2) + "\n", "utf-8")
    sys.exit(any(check.passed is False for check in done))


if __name__ == "__main__":
    main()
