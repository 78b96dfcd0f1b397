"""What a measurement was made on: device, processor, clocks, versions. What nobody can tell is left out, never guessed."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from archprof.build import device_called
from archprof.devices import Device
from archprof.devices.choice import device_of, find
from archprof.errors import UserError

THROTTLES = ("SwPowerCap", "HwSlowdown", "SyncBoost", "SwThermalSlowdown", "HwThermalSlowdown", "HwPowerBrakeSlowdown")
CACHE = Path("/sys/devices/system/cpu/cpu0/cache/index3/size")


def chosen(name: str) -> torch.device:
    """Return the device called `name`, or for '' the accelerator there is, else the CPU; raise UserError for another."""
    if not name:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = device_called(name)
    if device.type == "meta":
        raise UserError("nothing runs on meta: measure on cpu, cuda or mps")
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return device


def known(device: torch.device, on: str | Device, *, tf32: bool) -> Device | None:
    """Return what the table of devices has on the device called `on`, else on this one; None where it has nothing."""
    if on and not isinstance(on, Device):
        return find(f"{on.removesuffix(':tf32')}:tf32" if tf32 else on)
    if not on and device.type != "cuda":
        return None
    found = on or device_of(name_of(device), torch.cuda.get_device_properties(device).total_memory)
    return dataclasses.replace(found, float32_as="tf32") if found and tf32 and "tf32" in found.peaks else found


def about(device: torch.device) -> dict[str, Any]:
    """Return what is known of a device before and after a measurement."""
    found: dict[str, Any] = {"name": name_of(device), "python": platform.python_version(), "torch": torch.__version__}
    if device.type == "cpu":
        return found | {"threads": torch.get_num_threads(), "cores": os.cpu_count() or 1}
    if device.type == "cuda":
        found |= {"runtime": torch.version.cuda or torch.version.hip, "cudnn_benchmark": torch.backends.cudnn.benchmark}
    return found


def name_of(device: torch.device) -> str:
    """Return the name that the maker of a device gave it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        with contextlib.suppress(OSError):
            for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def state(device: torch.device) -> dict[str, Any]:
    """Return what changes as a device works, as far as it says: clock, temperature, power; what else the CPU has to do."""
    found: dict[str, Any] = {}
    if device.type == "cuda":
        asked: dict[str, Callable[[torch.device], Any]] = {
            "clock_mhz": torch.cuda.clock_rate, "temperature_c": torch.cuda.temperature, "throttled_by": throttled_by,
        }  # fmt: skip
        if not torch.version.hip:  # whose answer is in watts
            asked["power_mw"] = torch.cuda.power_draw
        for name, question in asked.items():
            with contextlib.suppress(Exception):  # NVIDIA's own library, and it has errors of its own
                found[name] = question(device)
    if device.type == "cpu" and hasattr(os, "getloadavg"):
        found["load"] = os.getloadavg()[0]
    return found


def throttled_by(device: torch.device) -> list[str]:
    """Return what holds the clock of an NVIDIA device down, by the names that its library has; raise where it is not there."""
    pynvml = importlib.import_module("pynvml")  # of the package nvidia-ml-py, which torch asks too
    handle = torch.cuda._get_pynvml_handler(device)  # noqa: SLF001 - it knows which of the visible devices is which
    bits = pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
    return [name for name in THROTTLES if bits & getattr(pynvml, f"nvmlClocksThrottleReason{name}")]


def cache_bytes(device: torch.device) -> int:
    """Return the size of the last cache of a device, 64 MiB where it does not say."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).L2_cache_size
    with contextlib.suppress(OSError, ValueError):
        return int(CACHE.read_text("ascii").strip().removesuffix("K")) << 10
    return 64 << 20
