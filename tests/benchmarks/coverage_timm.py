"""One model of every timm family against an oracle: FlopCounterMode over torch's own operations on meta, halved.

Prints a line a family and writes the table to the file named first: `python tests/benchmarks/coverage_timm.py out.json [family ...]`.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import click
import timm
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from archprof.pipeline import open_model, profile
from archprof.sources import Wish


def smallest(family: str) -> tuple[str, int]:
    """Return the model of a family with the fewest parameters, as built on meta, and that number."""
    counts = {}
    for name in timm.list_models(module=family):
        try:
            module = open_model(f"timm:{name}", Wish()).module
        except Exception as error:
            click.echo(f"    {name}: {error}")
            continue
        counts[name] = sum(weight.numel() for weight in module.parameters())
    name = min(counts, key=counts.get)
    return name, counts[name]


def oracle(module: Any, *sizes: int) -> int:
    """Return the MACs that torch's own counter sees."""
    torch.backends.mha.set_fastpath_enabled(False)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), torch.device("meta"), counter:
        module.eval().requires_grad_(requires_grad=False)(
            torch.empty(sizes)
        )  # its hooks want a graph of what requires one
    return counter.get_total_flops() // 2


def row(family: str, name: str) -> dict[str, Any]:
    """Return what both count of a model, and what went wrong."""
    found: dict[str, Any] = {"family": family, "model": name}
    start = time.perf_counter()
    opened = open_model(f"timm:{name}", Wish())
    found["params_oracle"] = sum(weight.numel() for weight in opened.module.parameters())
    (tensor,) = opened.inputs.values()
    try:
        found["macs_oracle"] = oracle(opened.module, *tensor.shape)
    except Exception as error:
        found["oracle_error"] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    try:
        ours = profile(f"timm:{name}")
    except Exception as error:
        found["error"] = f"{type(error).__name__}: {error}"[:400]
        return found
    found |= {"params": ours.params, "macs": ours.macs, "notes": ours.notes, "input": tensor.shape}
    found["gaps"] = [f"{gap.op}: {gap.reason}" for gap in ours.gaps]
    found["seconds"] = round(time.perf_counter() - start, 2)
    return found


def main(out: str, *families: str) -> None:
    """Tell of each family, or of those named, whether parameters and MACs are the oracle's."""
    warnings.simplefilter("ignore")
    rows = []
    known = Path(out + ".names")
    names = json.loads(known.read_text()) if known.exists() else {}
    for family in families or timm.list_modules():
        if family not in names:
            names[family] = smallest(family)[0]
            known.write_text(json.dumps(names, indent=0))
        found = row(family, names[family])
        rows.append(found)
        same = found.get("params") == found["params_oracle"] and found.get("macs") == found.get("macs_oracle")
        state = "failed" if "error" in found else "exact" if same and not found["gaps"] else "differs"
        shown = found if state != "exact" else {key: found[key] for key in ("model", "macs", "notes") if key in found}
        click.echo(f"{state} {family} {json.dumps(shown)}")
        Path(out).write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
