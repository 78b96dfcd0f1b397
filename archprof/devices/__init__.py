"""Devices: what a processor can do at most, one YAML file each, every number with its source. No torch, no model.

All peaks are dense: what a data sheet promises for 2:4 sparsity is twice as much, and no network gets it unasked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from archprof.errors import UserError
from archprof.registry import Registry


@dataclass(frozen=True, slots=True)
class Device:
    """A processor: its dense peaks by dtype in FLOP/s (`int8` in OP/s), bandwidth in B/s, sizes in bytes, power in W.

    `match` is a regular expression for the end of torch's name of the device, from a word on. `measured_matmul` is the
    best that matrix products in bfloat16 were seen to reach. `quality` says, by field or dtype, what about a number is
    not confirmed. `float32_as` is what contractions of float32 run as: `float32`, or `tf32` on tensor cores.
    """

    name: str
    peaks: Mapping[str, float]
    bandwidth: float
    l2_bytes: int | None = None
    memory_bytes: int | None = None
    tdp: float | None = None
    sms: int | None = None
    match: str = ""
    measured_matmul: float | None = None
    sources: tuple[str, ...] = ()
    quality: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    float32_as: str = "float32"

    def __str__(self) -> str:
        """Return the name, with what float32 runs as where that is not itself."""
        return self.name if self.float32_as == "float32" else f"{self.name}:{self.float32_as}"

    def peak(self, dtype: str) -> float:
        """Return the dense peak of contractions of a dtype; raise UserError, with those there are, where there is none."""
        found = self.peaks.get(self.float32_as if dtype == "float32" else dtype)
        if found is None:
            ours = f"; it has {', '.join(self.peaks)}"
            raise UserError(f"{self.name} has no peak for {dtype}{ours} (--dtype chooses another)")
        return found

    def ridge(self, dtype: str) -> float:
        """Return the intensity, in FLOP/B, from which on contractions of a dtype are bound by arithmetic."""
        return self.peak(dtype) / self.bandwidth

    @property
    def vector_peak(self) -> float:
        """The peak of arithmetic that is no contraction: float32's, which counts a multiply-add as two.

        Elementwise operations of halves come two in one instruction but one FLOP each, so it is right for them too.
        """
        return self.peaks.get("float32", max(self.peaks.values()))


DEVICES: Registry[Device] = Registry("device", "archprof.devices")


def meant(on: str | Device) -> Device | None:
    """Return the device that a name means, a Device as it is, and None for no name; raise UserError as `choice.find` does."""
    if not isinstance(on, str):
        return on
    if not on:
        return None
    from archprof.devices.choice import find  # a reader of files, and what checks them, takes a tenth of a second

    return find(on)
