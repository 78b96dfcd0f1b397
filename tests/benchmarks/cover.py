"""The scoreboard: every model of torchvision, timm (one a family) and transformers, held against torch's own counter.

`python tests/benchmarks/cover.py [SOURCE ...]` fills `reports/coverage.tsv`, a row a model, and writes the sums to
`reports/coverage.md`. Rows of sources that are not named stay. transformers takes an hour, the others minutes.
"""

from __future__ import annotations

import collections
import contextlib
import csv
import functools
import io
import json
import multiprocessing
import os
import platform
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import cover_timm
import cover_torchvision
import cover_transformers
import torch
from rich.progress import track

REPORTS = Path(__file__).resolve().parents[2] / "reports"
SOURCES: Mapping[str, Any] = {
    "torchvision": cover_torchvision,
    "timm": cover_timm,
    "transformers": cover_transformers,
}
"""Each has `names()`, `row(name)` and `warm()`."""

JOBS = 2
"""Models at once."""
COLUMNS = ("source", "model", "verdict", "size", "on", "params", "oracle_params", "macs", "oracle_macs", "gaps", "why", "notes")  # fmt: skip
LIMIT_S = 60
"""Seconds a model may take, its oracle included."""

VERDICTS = {
    "exact": "parameters and MACs are the oracle's, to the unit",
    "explained": "they differ, and every MAC of the difference is named",
    "differs": "a difference without an explanation",
    "gap": "an op has no rule: totals are lower bounds and say so",
    "no oracle": "profiled; torch's counter does not run on it",
    "fails": "not profiled, though it runs in torch with the same inputs",
    "needs more": "does not run in torch either with inputs made from its config alone",
    "not built": "its own package cannot build it without weights, another package or a complete config",
    "killed": f"took longer than {LIMIT_S} s, or too much memory",
}


def timed(source: str, name: str) -> dict[str, Any]:
    """Return the row of a model, from a process of its own that has a time limit."""
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as file:

        def write(found: Mapping[str, Any]) -> None:
            file.seek(0)
            file.truncate()
            json.dump(dict(found), file)
            file.flush()

        pid = os.fork()
        if pid == 0:
            signal.alarm(LIMIT_S)
            with contextlib.suppress(BaseException):
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                os.dup2(1, 2)
                try:
                    write(SOURCES[source].row(name, write))
                except Exception as error:  # ours, or the sweep's: it has to be seen
                    write({"verdict": "fails", "why": f"{type(error).__name__}: {error}"})
                    raise
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        file.seek(0)
        text = file.read()
    found = json.loads(text) if text else {"verdict": "killed", "why": f"ended with status {status}"}
    plain = {"source": source, "model": name, "on": "", "why": "", "gaps": "", **found}
    return {**plain, "seconds": f"{time.monotonic() - began:.1f}"}


def known() -> list[dict[str, str]]:
    """Return the rows of the last time."""
    path = REPORTS / "coverage.tsv"
    return list(csv.DictReader(path.open(encoding="utf-8"), delimiter="\t")) if path.exists() else []


def written(rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the rows as TSV and the sums as Markdown."""
    rows = sorted(rows, key=lambda row: (list(SOURCES).index(row["source"]), row["model"]))
    with (REPORTS / "coverage.tsv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, delimiter="\t", extrasaction="ignore", lineterminator="\n", restval="")
        table.writeheader()
        table.writerows({key: " ".join(str(value).split()) for key, value in row.items()} for row in rows)
    (REPORTS / "coverage.md").write_text(page(rows), "utf-8")


def page(rows: list[Mapping[str, Any]]) -> str:
    """Return the scoreboard in Markdown."""
    out = io.StringIO()
    say = lambda *lines: out.write("\n".join(lines) + "\n")  # noqa: E731 - one line
    say(
        "# Coverage: what archprof was pointed at, and whether torch agrees",
        "",
        "Every row of [coverage.tsv](coverage.tsv) is a model that nobody wrote for archprof: all of torchvision, one of every",
        "family of timm (the smallest), and every model type of transformers, made small from its default config. The oracle is",
        "torch's own `FlopCounterMode` on the same module and inputs, with attention as matrix products and without the fast",
        "path, halved; parameters are summed over the module. `poe coverage` makes both files again.",
        "",
        f"Made with {', '.join(f'{name} {metadata.version(name)}' for name in ('torch', *SOURCES))} and Python"
        f" {platform.python_version()}.",
        "",
        f"| source | models | {' | '.join(VERDICTS)} |",
        f"|---|--:|{'--:|' * len(VERDICTS)}",
    )
    for source in SOURCES:
        count = collections.Counter(row["verdict"] for row in rows if row["source"] == source)
        say(f"| {source} | {sum(count.values())} | {' | '.join(str(count[verdict]) for verdict in VERDICTS)} |")
    say("", *(f"* **{verdict}**: {meaning}." for verdict, meaning in VERDICTS.items()))
    on_cpu = collections.Counter(row["source"] for row in rows if row["on"] == "cpu")
    say("", f"Run on the CPU, since they look at their data: {', '.join(f'{n} of {s}' for s, n in on_cpu.items())}.")
    for verdict in list(VERDICTS)[1:]:
        found = [row for row in rows if row["verdict"] == verdict]
        if found:
            say("", f"## {verdict[0].upper()}{verdict[1:]} ({len(found)})", "", "| model | why |", "|---|---|")
            say(*(f"| {row['source']}:{row['model']} | {quoted(row['why'] or row['gaps'])} |" for row in found))
    return out.getvalue()


def quoted(text: str) -> str:
    """Return a text that stands in a cell of a table, cut where it is long."""
    text = text if len(text) <= 200 else text[:200] + " ..."
    return "".join(f"\\{c}" if c in "|*_<>`[]" else c for c in text)


def main(*names: str) -> None:
    """Cover the sources named, or all."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rows = {(row["source"], row["model"]): row for row in known()}
    for name in names or SOURCES:
        source, _, model = name.partition(":")
        entry = SOURCES[source]
        entry.warm()
        models = [model] if model else entry.names()
        if not model:
            rows = {key: row for key, row in rows.items() if key[0] != source}
        with multiprocessing.get_context("fork").Pool(JOBS) as pool:
            found = pool.imap_unordered(functools.partial(timed, source), models)
            for row in track(found, source, total=len(models), disable=not sys.stderr.isatty()):
                rows[source, row["model"]] = row
                print(source, row["model"], row["verdict"], row["seconds"], flush=True)
                written(rows.values())


if __name__ == "__main__":
    main(*sys.argv[1:])
