"""Which device is meant: by a name somebody types, a file of one's own, or the name the hardware gives itself."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable
from pathlib import Path

import click

from archprof.devices import DEVICES, Device
from archprof.devices.reader import read
from archprof.errors import UnknownName, UserError

FOLDER = "ARCHPROF_DEVICES"
"""Names a folder with device files of one's own, in place of the one among the user's settings."""

RESERVED = 0.85
"""So much of a device's memory its driver leaves at least: error correction takes a sixteenth, the system some."""


def find(name: str) -> Device:
    """Return the device called `name`, in any case, with `-`, `_` and blanks alike, or by a beginning only one has.

    `./my.yaml` is a file of one's own. `:tf32` behind it lets contractions of float32 run on tensor cores. Raises
    UserError where no device or more than one is meant.

    >>> find("h100 sxm").name, find("l40").name, str(find("a100-sxm4-80gb:TF32"))
    ('H100-SXM', 'L40S', 'A100-SXM4-80GB:tf32')
    """
    wanted, _, arithmetic = name.partition(":") if name.lower().endswith(":tf32") else (name, "", "")
    is_file = wanted.endswith((".yaml", ".yml"))
    device = read(Path(wanted)) if is_file else _bundled(wanted) or _named(wanted, known())
    if not arithmetic:
        return device
    return dataclasses.replace(device, float32_as="tf32") if device.peak("tf32") else device


def known() -> dict[str, Device]:
    """Return all devices by name: those registered, and over them those of the user's folder."""
    found = {device.name: device for device in DEVICES.values()}
    ours = {folded(name): name for name in found}
    for path in sorted(user_folder().glob("*.yaml")):
        device = read(path)
        found.pop(ours.get(folded(device.name), ""), None)
        found[device.name] = device
    return {name: found[name] for name in sorted(found, key=folded)}


def user_folder() -> Path:
    """Return the folder of the user's own device files, which need not exist; raise UserError where one was named and is none."""
    named = os.environ.get(FOLDER)
    if named and not Path(named).is_dir():
        raise UserError(f"{FOLDER} names {named!r}, which is no folder")
    return Path(named or Path(click.get_app_dir("archprof")) / "devices")


def device_of(real_name: str, memory_bytes: int, devices: Iterable[Device] | None = None) -> Device | None:
    """Return the device that torch calls `real_name` (`torch.cuda.get_device_name()`) and that has so much memory.

    None where there is none, and where the memory is that of another variant: no number is better than a wrong one.

    >>> device_of("NVIDIA H100 80GB HBM3", 84_942_979_072).name, device_of("Orin", 8 * 2**30)
    ('H100-SXM', None)
    """
    matching = [
        device
        for device in (known().values() if devices is None else devices)
        if device.match and re.fullmatch(rf"(?:.*\s)?(?:{device.match})", real_name, re.IGNORECASE)
        if device.memory_bytes is None or RESERVED <= memory_bytes / device.memory_bytes <= 1 / RESERVED
    ]
    return matching[0] if len(matching) == 1 else None


def folded(name: str) -> str:
    """Return a name as it is compared.

    >>> folded("RTX_4090"), folded("A100 SXM4-80GB")
    ('rtx-4090', 'a100-sxm4-80gb')
    """
    return re.sub(r"[-_\s]+", "-", name.strip().casefold())


def _bundled(wanted: str) -> Device | None:
    """Return the device whose bundled file has that very name: with no files of one's own, no other has to be read."""
    if any(user_folder().glob("*.yaml")):
        return None
    files = {file.stem: file for file in Path(__file__).parent.glob("*.yaml")}
    file = files.get(folded(wanted))
    return read(file) if file else None


def _named(wanted: str, devices: dict[str, Device]) -> Device:
    names = {folded(name): name for name in devices}
    key = folded(wanted)
    if key in names:
        return devices[names[key]]
    starting = [name for fold, name in names.items() if key and fold.startswith(key)]
    if len(starting) == 1:
        return devices[starting[0]]
    if starting:
        raise UserError(f"the device {wanted!r} may be {', '.join(starting)}")
    unknown = UnknownName("device", wanted, devices)
    if unknown.nearest:
        raise unknown
    raise UserError(f"{unknown}: archprof list devices has all, and ./x.yaml is a file of your own")
