"""Is measured time to be trusted on this machine? `python -m archprof.runs.acceptance [--device cuda] [-o result.json]`.

Six checks, each a line with its figure: rows add up to the pass (G1), marks cost little (G2), events agree with the
profiler's kernels (G3), a graph is no slower than a queue and a queue no slower than eager, and launch-bound rows are seen
(G4), processes agree (G5), and what an empty row costs (G6). What a device cannot show is said to be left out, and what did
not fit in its memory or in the time, or was measured while the machine was not steady.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import statistics
import subprocess
import sys
import time as clock
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import torch

from archprof import units
from archprof.errors import ArchprofError, UserError
from archprof.outputs import in_folder
from archprof.result import Profile
from archprof.runs import machine
from archprof.runs.failing import is_out_of_memory
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
STEADY, TRIES = 0.05, 4
"""A pass whose quartiles are further apart than this part of its median is measured again, so many times in all.

Medians of rows and the median of a pass then differ by what slows parts of it, which says nothing of the marks.
"""
UNEVEN = "uneven: the middle half of the passes spans {:.1%}"
LIMIT_S = 420.0
"""No further network is begun after so many seconds: what follows takes two or three minutes, and all is to take ten."""


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
    how = {"device": device, "batch": batch, "mode": mode, "threads": threads, "dtype": dtype}
    return steadiest(lambda: time(model, settings=settings, budget_s=budget_s, **how))


def steadiest(run: Callable[[], Profile]) -> Profile:
    """Return the first profile whose bare pass is steady or, after a few tries, the one in which it was most so."""
    found: list[Profile] = []
    while len(found) < TRIES and not (found and unevenness(found[-1]) <= STEADY):
        found.append(run())
    return min(found, key=unevenness)


def unevenness(profile: Profile) -> float:
    """Return how far the quartiles of the bare pass are apart, as part of its median."""
    assert profile.timing is not None  # noqa: S101 - it was measured
    return profile.timing.bare.iqr / profile.timing.bare.median


def models(device: str) -> Iterator[tuple[str, int]]:
    """Yield the models and batches that can be run here."""
    batches = (1,) if device == "cpu" else (1, 32)
    known = [name for name in NETS if importlib.util.find_spec("torchvision")] or ["resnet50"]
    if device != "cpu" and importlib.util.find_spec("transformers"):
        known.append("transformers:llama")
    yield from ((name, batch) for name in known for batch in batches)


def checks(device: str, budget_s: float) -> Iterator[Check]:
    """Yield all checks of a device as they are done."""
    is_gpu, began = device.startswith("cuda"), clock.monotonic()
    mode = "queued" if is_gpu else "eager"
    for model, batch in models(device):
        subject = f"{model}, batch {batch}, {mode}"
        if clock.monotonic() - began > LIMIT_S:
            yield Check("G1 rows / bare pass", subject, None, "", None, "no time left")
            continue
        how = model, device, batch, mode, budget_s
        yield from kept(
            "G1 rows / bare pass", subject, lambda how=how, subject=subject: rows_add_up(measured(*how), subject)
        )
    if is_gpu:
        yield from kept("G4 graph <= queued <= eager", "resnet18, batch 1", lambda: modes_are_ordered(device, budget_s))
    else:
        yield Check("G3 events / kernels", device, None, "", None, "a CPU launches no kernels")
        yield Check("G4 graph <= queued <= eager", device, None, "", None, "these modes are CUDA's")
    yield from kept("G5 spread over 3 processes", "resnet50", lambda: processes_agree(device))
    for kind in ("eager", "queued") if is_gpu else ("eager",):
        how = How(torch.device(device), kind, threads=None if is_gpu else 1)
        with settings(how):
            seconds = floor(how)
        yield Check(
            "G6 empty row", f"{device}, {kind}", seconds, "measured", passed=True, remark=units.duration(seconds)
        )


def kept(name: str, subject: str, done: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """Yield checks; where a measurement fails, one that says why: left out for lack of memory, else failed."""
    try:
        yield from done()
    except ArchprofError as error:
        lacks = is_out_of_memory(error.__cause__ or error) or "too large" in str(error)
        yield Check(name, subject, None, "", None if lacks else False, str(error))


def rows_add_up(profile: Profile, subject: str) -> Iterator[Check]:
    """Yield whether rows add up to the pass, whether marks cost little, and on a GPU whether kernels say the same."""
    timing = profile.timing
    assert timing is not None  # noqa: S101 - it was measured
    is_gpu = timing.device.startswith("cuda")
    part, cost = timing.rows_s / timing.bare.median, timing.marked.median / timing.bare.median - 1
    slack, most = (0.01, 0.02) if is_gpu else (0.02, 0.03)
    remarks = []
    if timing.bare.median < (LONG_S if is_gpu else 10 * LONG_S):
        remarks.append("too short a pass")
    if unevenness(profile) > STEADY:
        remarks.append(UNEVEN.format(unevenness(profile)))
    tells = not remarks
    if behind := timing.settings.get("passes_not_ahead"):
        remarks.append(f"{behind} passes were not ahead")
    remark = "; ".join(remarks)
    yield Check("G1 rows / bare pass", subject, part, f"1 ± {slack}", abs(part - 1) <= slack if tells else None, remark)
    yield Check("G2 cost of marks", subject, cost, f"<= {most}", abs(cost) <= most if tells else None, remark)
    if is_gpu:
        yield kernels_agree(profile, subject)


def kernels_agree(profile: Profile, subject: str) -> Check:
    """Return how far the worst row of some length is from the sum of its kernels."""
    name, bound = "G3 events / kernels", "1 ± 0.05"
    if "kernels_s" not in profile.values:
        return Check(name, subject, None, bound, passed=None, remark="the profiler saw no kernels")
    rows = zip(profile.values["measured_s"], profile.values["kernels_s"], strict=True)
    ratios = [kernels / seconds for seconds, kernels in rows if seconds >= SHOWN_S and kernels]
    if not ratios:
        return Check(name, subject, None, bound, passed=None, remark="no row is long enough")
    worst = max(ratios, key=lambda ratio: abs(ratio - 1))
    remark = f"worst of {len(ratios)} rows; median {statistics.median(ratios):.3f}"
    return Check(name, subject, worst, bound, abs(worst - 1) <= 0.05, remark)


def modes_are_ordered(device: str, budget_s: float) -> Iterator[Check]:
    """Yield whether the modes of a small network are in their order, and whether its launches are seen to bind it."""
    found = {mode: measured("resnet18", device, 1, mode, budget_s) for mode in ("graph", "queued", "eager")}
    passes = {mode: profile.timing.bare.median for mode, profile in found.items() if profile.timing}
    for fast, slow in (("graph", "queued"), ("queued", "eager")):
        ratio = passes[fast] / passes[slow]
        yield Check(f"G4 {fast} / {slow}", "resnet18, batch 1", ratio, "<= 1.02", ratio <= 1.02)
    flags = found["eager"].values["measured_flag"]
    share = flags.count("launch-bound") / len(flags)
    is_bound = passes["queued"] < 0.8 * passes["eager"]
    yield Check("G4 rows bound by launch", "resnet18, batch 1", share, ">= 0.5" if is_bound else "< 0.5",
                (share >= 0.5) == is_bound)  # fmt: skip


def processes_agree(device: str) -> Iterator[Check]:
    """Yield how much the pass's median varies over three processes, where it is steady within each."""
    batch, threads = ("1", ["--threads", "1"]) if device == "cpu" else ("32", [])
    command = [sys.executable, "-m", "archprof", "time", "resnet50", "--device", device, "--batch", batch, *threads]
    medians, uneven = [], 0.0
    for _ in range(3):
        done = subprocess.run(  # noqa: S603 - our own command
            [*command, "--budget", "8", "--format", "json"], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise UserError((done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1])
        bare = json.loads(done.stdout)["timing"]["bare"]
        medians.append(bare["median"])
        uneven = max(uneven, (bare["three_quarters"] - bare["quarter"]) / bare["median"])
    figure = statistics.stdev(medians) / statistics.mean(medians)
    passed, remark = figure <= 0.02, ""
    if uneven > STEADY:
        passed, remark = None, UNEVEN.format(uneven)
    yield Check("G5 spread over 3 processes", f"resnet50, batch {batch}", figure, "<= 0.02", passed, remark)


@click.command()
@click.option("--device", default="", help="cpu, cuda or cuda:1.  [default: cuda where there is one]")
@click.option("--budget", default=8.0, show_default=True, help="Seconds a measurement may take.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the result as JSON, too.")
def main(device: str, budget: float, output: Path | None) -> None:
    """Check measured time on a device; exit with 1 where a check fails."""
    try:
        target = machine.chosen(device)
        if output is not None:
            in_folder(output)
    except UserError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{machine.name_of(target)} ({target}), torch {torch.__version__}")
    done: list[Check] = []
    about: dict[str, Any] = {"machine": machine.about(target) | {"before": machine.state(target)}}
    try:
        for check in checks(str(target), budget):
            done.append(check)
            word = {True: "pass", False: "FAIL", None: "-"}[check.passed]
            figure = "" if check.figure is None else f"{check.figure:.4g}"
            click.echo(
                f"{word:4}  {check.name:27} {figure:>10}  {check.bound:10} {check.subject}  {check.remark}".rstrip()
            )
    finally:
        if output is not None:  # an interrupted run has its figures too
            about |= {"after": machine.state(target), "checks": [asdict(check) for check in done]}
            output.write_text(json.dumps(about, indent=2) + "\n", "utf-8")
    sys.exit(int(any(check.passed is False for check in done)))


if __name__ == "__main__":
    main()
