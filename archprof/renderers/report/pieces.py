"""What stands on a report's page without any script: cards with totals, the costliest layers, definitions, changes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from archprof import units
from archprof.renderers import View
from archprof.renderers.rows import cell, rows_of, total_cell, usual, value
from archprof.renderers.terminal import gaps_line, percent

if TYPE_CHECKING:
    from markupsafe import Markup

    from archprof.records import Column
    from archprof.renderers.report import Chapter
    from archprof.result import Profile
    from archprof.roofline import Roofline

MANY = 30
"""So many layers are on the page; all of them are in the data."""
COSTLY = ("measured_s", "time_s", "macs", "params", "activation_bytes")
CARDS = {
    "params": "Parameters", "macs": "MACs", "flops": "FLOPs", "param_bytes": "Weights", "activation_bytes": "Activations",
}  # fmt: skip
LABELS = {
    **CARDS, "param_bytes": "Weight bytes", "activation_bytes": "Activation bytes", "activation_elements": "Activation elements",
    "measured_s": "Measured time", "backward_s": "Backward time", "time_s": "Least time", "bytes_read": "Bytes read",
    "bytes_written": "Bytes written", "connections": "Connections", "effective_macs": "Effective MACs",
    "trainable_params": "Trainable parameters", "buffers": "Buffers",
}  # fmt: skip
"""What people call columns; others go by their names."""

SVG, LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"


def cards(chapter: Chapter) -> list[tuple[str, str, str, str]]:
    """Return the numbers at the top of a network: what, how much, the same as a whole number where it is one, what it means."""
    profile, peak_bytes = chapter.profile, chapter.peak_bytes
    found = []
    for name, label in CARDS.items():
        column = profile.columns[name]
        amount = total_cell(profile, name, raw=False)
        exact = f"{total_cell(profile, name, raw=True)}{' bytes' * (column.unit == 'bytes')}"
        found.append((label, amount, exact if exact != amount else "", column.meaning))
    if peak_bytes is not None:
        meaning = "the most that is alive at once in a pass of inference, weights included"
        found.append(("Peak memory", units.size(peak_bytes), f"{peak_bytes:,} bytes", meaning))
    if chapter.rooflines:
        known = None if profile.gaps else intensity(chapter.rooflines[0])
        meaning = (
            "FLOPs per byte moved, where what a compiler can fuse runs as one kernel: the mean of the roofline's dots"
        )
        found.append(("Arithmetic intensity", "-" if known is None else f"{units.digits(known)} FLOP/B", "", meaning))
    found.append(("Ops", f"{len(profile.network):,}", "", "operations executed in one forward pass"))
    if profile.timing is not None:
        spread = profile.timing.bare
        told = f"median of {spread.n} passes on {profile.timing.device}, quartiles {units.duration(spread.iqr)} apart"
        found.append(("Time", units.duration(spread.median), "", told))
    if chapter.accuracy is not None:
        found.append(("Accuracy", f"{chapter.accuracy:g}", "", "as given by who made this page, not measured"))
    return found


def intensity(roof: Roofline) -> float | None:
    """Return how many FLOPs a network does for each byte that it moves; None where it moves none."""
    moved = sum(sum(kernel.moved) for kernel in roof.kernels)
    return sum(kernel.work for kernel in roof.kernels) / moved if moved else None


def top(profile: Profile) -> dict[str, Any]:
    """Return the table of the costliest ops: the metric that sorts it, its heading and its rows."""
    metric = next(
        (name for name in COSTLY if name in profile.summed and profile.totals[name]),
        "activation_bytes",
    )
    names = list(dict.fromkeys([metric, *usual(profile, ("macs", "params", "activation_bytes"))]))
    names = [name for name in names if name in profile.totals]
    whole = profile.totals[metric] or 1
    rows = []
    for row in rows_of(profile, View(sort=metric, top=MANY)):
        amount = value(profile, row, metric)
        share = None if amount is None else amount / whole
        cells = [cell(profile, row, name, raw=False) for name in names]
        rows.append(
            (
                row.path,
                row.kind,
                row.shape,
                cells,
                "-" if share is None else percent(share) if share else "0",
                100 * (share or 0),
            )
        )
    shown = sum(share for *_, share in rows)
    heads = [LABELS.get(name, name) for name in names]
    ops = units.several(len(profile.network), "op")
    about = "none" if not profile.totals[metric] else f"{min(shown, 100):.1f} %"
    return {"metric": LABELS.get(metric, metric), "heads": heads, "rows": rows, "ops": ops, "about": about,
            "gaps": gaps_line(profile)}  # fmt: skip


def definitions(profiles: Sequence[Profile]) -> list[tuple[str, str, Column]]:
    """Return every column of the profiles: name, what people call it, and the column."""
    columns = {name: column for profile in profiles for name, column in profile.columns.items()}
    return [(name, LABELS.get(name, name), column) for name, column in columns.items()]


def summary(profiles: Sequence[Profile]) -> dict[str, Any]:
    """Return names and totals, for those who read the page with a program; and what columns are called."""
    return {
        "models": [{"model": p.model, "totals": p.totals, "versions": dict(p.versions)} for p in profiles],
        "labels": LABELS,
    }


def changes(diff: Mapping[str, Any]) -> dict[str, Any]:
    """Return of a comparison what stands on the page: the rows that cost most."""
    rows = [row for row in diff["rows"] if row["status"] != "same"]
    weighed = sorted(rows, key=lambda row: [-abs(row["delta"][name] or 0) for name in ("macs", "params")])
    return {**diff, "shown": weighed[:MANY], "more": max(0, len(rows) - MANY)}


def embedded(picture: str, prefix: str) -> Markup:
    """Return an SVG as it goes into a page: without declaration and size, its ids unlike those of any other picture.

    >>> embedded('<svg xmlns="http://www.w3.org/2000/svg" width="9pt" viewBox="0 0 9 9"><g id="a"/></svg>', "m0-")
    Markup('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><g id="m0-a" /></svg>')
    """
    from markupsafe import Markup

    if not picture:
        return Markup("")
    for short, name in (("", SVG), ("xlink", LINK)):
        ET.register_namespace(short, name)
    root = ET.fromstring(picture)  # noqa: S314 - Graphviz made it
    width = re.match(r"[\d.]+", root.get("width", ""))
    for element in root.iter():
        for name, held in element.attrib.items():
            element.set(name, _renamed(name, held, prefix))
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    if width and root.get("viewBox") and prefix and float(width[0]) > 9:
        root.set("style", f"max-width: {float(width[0]) * 4 / 3:.0f}px")
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704 - serialized by the library


def _renamed(name: str, held: str, prefix: str) -> str:
    """Return an attribute of an SVG with the ids in it prefixed."""
    if name == "id":
        return prefix + held
    if name in {"aria-labelledby", "aria-describedby"}:
        return " ".join(prefix + part for part in held.split())
    if held.startswith("url(#"):
        return f"url(#{prefix}{held[5:]}"
    return f"#{prefix}{held[1:]}" if name.endswith("href") and held.startswith("#") else held
