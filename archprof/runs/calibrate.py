"""What a device really reaches: the best rate of matrix products by dtype, and of copies, as a device file of one's own."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator

import torch
from ruamel.yaml import YAML

from archprof import units
from archprof.errors import UserError
from archprof.progress import Tell, nobody
from archprof.runs import machine
from archprof.runs.clock import clock_for
from archprof.runs.failing import is_out_of_memory, memory_on
from archprof.runs.passes import How, settings
from archprof.runs.protocol import spread, warmed

SIZES = {"cpu": (256, 512, 1024, 2048), "other": (2048, 4096, 8192)}
"""Sides of the square matrices that are multiplied."""
COPIED = 8
"""A copy is of so many times the last cache, and of 256 MiB at least."""
SECONDS, RUNS = 1.0, 5
"""Each rate is measured for so long and so often, at least: a device slows down under load."""
HOST_DTYPES = ("float64", "float32", "bfloat16", "float16")
OTHER_DTYPES = ("float32", "tf32", "float16", "bfloat16")


def calibrate(device: str = "", *, threads: int | None = None, seconds: float = SECONDS, tell: Tell = nobody) -> str:
    """Return a device file (YAML) with the rates that matrix products and copies reach on a device of this machine.

    Every rate is the median over at least `seconds`; of several sizes the best. A dtype that the device does not multiply
    is left out. Raises UserError for a device that is not there, or has too little memory.
    """
    target = machine.chosen(device)
    dtypes = HOST_DTYPES if target.type == "cpu" else OTHER_DTYPES
    if target.type != "cuda" or torch.cuda.get_device_capability(target) < (8, 0):
        dtypes = tuple(
            dtype for dtype in dtypes if dtype != "tf32"
        )  # what does not know it multiplies float32 all the same
    with torch.no_grad(), memory_on(target), settings(How(target, threads=threads)):
        rates: dict[str, float] = {}
        for place, dtype in enumerate(dtypes):
            tell(f"matrix products, {dtype}", place / (len(dtypes) + 1))
            try:
                for rate in matmul_rates(target, dtype, seconds):
                    rates[dtype] = max(rate, rates.get(dtype, 0.0))
            except RuntimeError as error:  # a dtype that this device has no products for, or no room for larger ones
                if is_out_of_memory(error) and dtype not in rates:
                    raise
        if not rates:
            raise UserError(f"{target} multiplies in none of {', '.join(dtypes)}")
        tell("copies", len(dtypes) / (len(dtypes) + 1))
        return sheet(target, rates, copy_rate(target, seconds))


def matmul_rates(device: torch.device, dtype: str, seconds: float) -> Iterator[float]:
    """Yield the FLOP/s of products of square matrices, size by size, as long as they take little time."""
    number = torch.float32 if dtype == "tf32" else getattr(torch, dtype)
    for side in SIZES["cpu" if device.type == "cpu" else "other"]:
        a, b = (torch.rand(side, side, device=device).to(number) for _ in range(2))
        with settings(How(device, tf32=dtype == "tf32", threads=torch.get_num_threads())):
            taken = median(device, lambda a=a, b=b: a @ b, seconds / 4)
        yield 2 * side**3 / taken
        if 8 * taken > seconds:  # the next would take too long: some processors have no products of halves
            return


def copy_rate(device: torch.device, seconds: float) -> float:
    """Return the B/s of a copy, read and written together."""
    size = max(256 << 20, COPIED * machine.cache_bytes(device)) // 4
    source, target = (torch.ones(size, device=device) for _ in range(2))
    return 2 * 4 * size / median(device, lambda: target.copy_(source), seconds)


def median(device: torch.device, run: Callable[[], object], seconds: float) -> float:
    """Return the median time of a call on the device, after it is warm."""
    clock = clock_for(device, 2)

    def once() -> float:
        clock.wait()
        clock.mark(0)
        run()
        clock.mark(1)
        clock.wait()
        return clock.rows(1)[0]

    warmed(once, seconds, seconds / 2)
    taken = [once() for _ in range(RUNS)]
    while sum(taken) < seconds:
        taken.append(once())
    return spread(taken).median


def sheet(device: torch.device, rates: dict[str, float], bandwidth: float) -> str:
    """Return what was measured as a device file."""
    name = machine.name_of(device)
    about = machine.about(device)
    how = f", {units.several(about['threads'], 'thread')}" if "threads" in about else ""
    document = {
        "name": "calibrated-" + (re.sub(r"[^A-Za-z0-9.+]+", "-", name).strip("-") or device.type),
        "peak_tflops": {dtype: float(f"{rate / 1e12:.4g}") for dtype, rate in rates.items()},
        "bandwidth_gb_s": float(f"{bandwidth / 1e9:.4g}"),
        "note": "Rates that were reached, which are below the peaks: times from them are estimates, no lower bounds.",
        "sources": [f"measured by archprof calibrate on {name}{how}, torch {torch.__version__}"],
    }
    text = io.StringIO()
    yaml = YAML()
    yaml.width = 100
    yaml.dump(document, text)
    return text.getvalue()
