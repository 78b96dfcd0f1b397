"""A device's YAML file, checked field by field, as a Device; a mistake is one line that names file and field."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, field_validator, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from archprof.devices import Device
from archprof.errors import UserError

Dtype = Literal["float64", "float32", "tf32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "int8"]
Quality = Literal["derived", "one secondary source", "not confirmed"]
Number = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Sheet(BaseModel):
    """The fields of a device's file. TFLOP/s and GB/s are decimal, MiB and GiB binary, as vendors mean theirs."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+-]*$")
    match: str = ""
    peak_tflops: dict[Dtype, Number] = Field(min_length=1)
    measured_matmul_tflops: Number | None = None
    bandwidth_gb_s: Number
    l2_mib: Number | None = None
    memory_gib: Number | None = None
    tdp_w: Number | None = None
    sms: PositiveInt | None = None
    note: str = ""
    sources: list[str] = Field(min_length=1)
    quality: dict[str, Quality] = {}

    @field_validator("match")
    @classmethod
    def compiles(cls, pattern: str) -> str:
        """Refuse what is no regular expression."""
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"no regular expression: {error}") from None
        return pattern

    @model_validator(mode="after")
    def speaks_of_numbers(self) -> Sheet:
        """Refuse a quality of a number that is not there."""
        numbers = {
            name for name in type(self).model_fields if getattr(self, name) is not None
        } | self.peak_tflops.keys()
        strange = sorted(self.quality.keys() - numbers)
        if strange:
            raise ValueError(f"quality speaks of {strange[0]!r}, which has no number")
        return self


def read(path: Path) -> Device:
    """Return the device that a file describes; raise UserError, in one line, for the first mistake in it."""
    try:
        document = YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {str(path)!r}: {getattr(error, 'strerror', None) or error}") from None
    except YAMLError as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise UserError(f"{where}: no YAML: {getattr(error, 'problem', None) or 'it cannot be read'}") from None
    try:
        return _device(Sheet.model_validate(document))
    except ValidationError as error:
        first: Any = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"] if part != "[key]")
        message = first["msg"].removeprefix("Value error, ")
        raise UserError(f"{path}: {field or 'the file'}: {message[0].lower()}{message[1:]}") from None


def _device(sheet: Sheet) -> Device:
    return Device(
        name=sheet.name,
        peaks={dtype: tflops * 1e12 for dtype, tflops in sheet.peak_tflops.items()},
        bandwidth=sheet.bandwidth_gb_s * 1e9,
        l2_bytes=None if sheet.l2_mib is None else round(sheet.l2_mib * 2**20),
        memory_bytes=None if sheet.memory_gib is None else round(sheet.memory_gib * 2**30),
        tdp=sheet.tdp_w,
        sms=sheet.sms,
        match=sheet.match,
        measured_matmul=None if sheet.measured_matmul_tflops is None else sheet.measured_matmul_tflops * 1e12,
        sources=tuple(sheet.sources),
        quality=dict(sheet.quality),
        note=sheet.note,
    )
