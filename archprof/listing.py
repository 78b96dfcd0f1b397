"""What `archprof list` prints: registries as tables, torch-free but for the layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from rich.text import Text

from archprof.renderers import View
from archprof.renderers.terminal import grid, printed

if TYPE_CHECKING:
    from archprof.devices import Device


def listing(what: str, *, width: int = 100, color: bool = False, unicode: bool = True) -> str:
    """Return the table of a registry (a key of LISTINGS)."""
    heads, rows = LISTINGS[what]()
    lines = grid()
    for number, head in enumerate(heads):
        lines.add_column(head, no_wrap=number == 0, overflow="fold")
    for row in rows:
        lines.add_row(*map(Text, row))
    below = [Text(line) for line in NOTES.get(what, tuple)()]
    return printed([lines, *below], View(width=width, color=color, unicode=unicode)).strip("\n") + "\n"


def specs() -> tuple[list[str], Iterable[list[str]]]:
    """Return the bundled names, from headings alone."""
    from archprof.language.bundled import bundled

    families: dict[str, tuple[list[str], str]] = {}
    for entry in bundled().values():
        families.setdefault(entry.path.name, ([], entry.about))[0].append(entry.name)
    return ["file", "names", "about"], ([file, ", ".join(names), about] for file, (names, about) in families.items())


def layers() -> tuple[list[str], Iterable[list[str]]]:
    """Return the layers with their settings."""
    from archprof.layers import LAYERS

    entries = [(name, LAYERS[name]) for name in LAYERS]
    return ["layer", "inputs", "settings", "what it does"], (
        [name, "any" if entry.inputs is None else str(len(entry.inputs)), entry.form, entry.about]
        for name, entry in entries
    )


def ops() -> tuple[list[str], Iterable[list[str]]]:
    """Return the op rules: kinds that share a rule stand together."""
    from archprof.ops import RULES

    by_rule: dict[int, list[str]] = {}
    for name in RULES:
        by_rule.setdefault(id(RULES[name]), []).append(name)
    return ["op", "shapes", "cost"], ([", ".join(names), *RULES[names[0]].doc] for names in by_rule.values())


def analyses() -> tuple[list[str], Iterable[list[str]]]:
    """Return the columns of every analysis, and those of memory and receptive field, which are there where asked for."""
    from archprof.analyses import ANALYSES
    from archprof.footprint import COLUMNS
    from archprof.receptive.summary import COLUMNS as FIELDS

    columns = [(name, column) for name in ANALYSES for column in ANALYSES[name].columns]
    columns += [("memory", column) for column in COLUMNS.values()]
    columns += [("receptive field", column) for column in FIELDS.values()]
    return ["column", "unit", "total", "analysis", "meaning"], (
        [column.name, column.unit, column.total, name, column.meaning] for name, column in columns
    )


def conventions() -> tuple[list[str], Iterable[list[str]]]:
    """Return how other tools count, and where their own totals may differ."""
    from archprof.conventions import CONVENTIONS

    entries = [(name, CONVENTIONS[name]) for name in CONVENTIONS]
    return ["as", "what it counts", "known differences of the tool itself"], (
        [name, entry.about, "; ".join(f"{kind}: {text}" for kind, text in entry.differences.items())]
        for name, entry in entries
    )


def formats() -> tuple[list[str], Iterable[list[str]]]:
    """Return the formats of `show`."""
    from archprof.renderers import RENDERERS

    return ["format", "what it is"], ([name, RENDERERS[name].about] for name in RENDERERS)


def sources() -> tuple[list[str], Iterable[list[str]]]:
    """Return the schemes that models of other packages are named by."""
    from archprof.sources import SOURCES

    return ["source", "what it is"], ([f"{name}:", SOURCES[name].about] for name in SOURCES)


def devices() -> tuple[list[str], Iterable[list[str]]]:
    """Return the devices: dense peaks, bandwidth and memories, with what is not confirmed marked."""
    from archprof.devices.choice import known

    def cell(device: Device, field: str, value: float | None) -> str:
        return "-" if value is None else f"{value:g}{QUALITY.get(device.quality.get(field, ''), '')}"

    def rate(device: Device, *dtypes: str) -> str:
        dtype = next((dtype for dtype in dtypes if dtype in device.peaks), dtypes[0])
        peak = device.peaks.get(dtype)
        return cell(device, dtype, None if peak is None else round(peak / 1e12, 3))

    heads = ["device", "fp32", "tf32", "bf16/fp16", "int8", "GB/s", "L2 MiB", "memory GiB"]
    return heads, (
        [
            name,
            rate(device, "float32"),
            rate(device, "tf32"),
            rate(device, "bfloat16", "float16"),
            rate(device, "int8"),
            cell(device, "bandwidth_gb_s", device.bandwidth / 1e9),
            cell(device, "l2_mib", device.l2_bytes and device.l2_bytes / 2**20),
            cell(device, "memory_gib", device.memory_bytes and device.memory_bytes / 2**30),
        ]
        for name, device in known().items()
    )


QUALITY = {"derived": "'", "one secondary source": "~", "not confirmed": "?"}
"""Marks of numbers that the vendor or two sources do not confirm."""


def of_devices() -> tuple[str, ...]:
    """Return what stands below the devices: units, marks, and where files of one's own are read from."""
    from archprof.devices.choice import FOLDER, user_folder

    marks = "' derived, ~ one secondary source, ? not confirmed"
    return (
        f"dense peaks in TFLOP/s (int8: TOP/s), bf16/fp16 is fp16 where there is no bf16; {marks}",
        "--on takes a name or a beginning that only one has, or ./x.yaml (archprof calibrate -o x.yaml writes one);",
        f"files in {user_folder()} are listed too ({FOLDER} names another folder)",
    )


NOTES: dict[str, Callable[[], tuple[str, ...]]] = {"devices": of_devices}
"""What stands below a table."""

LISTINGS: dict[str, Callable[[], tuple[list[str], Iterable[list[str]]]]] = {
    "specs": specs, "sources": sources, "layers": layers, "ops": ops, "analyses": analyses,
    "conventions": conventions, "formats": formats, "devices": devices,
}  # fmt: skip
