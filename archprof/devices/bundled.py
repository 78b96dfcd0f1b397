"""The devices that come with archprof: every YAML file of this folder, registered under the name it gives."""

from __future__ import annotations

from pathlib import Path

from archprof.devices import DEVICES
from archprof.devices.reader import read

for file in sorted(Path(__file__).parent.glob("*.yaml")):
    device = read(file)
    DEVICES.register(device.name)(device)
