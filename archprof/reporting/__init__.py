"""`archprof report`: gathers all that is known about one or more networks and writes it as one HTML page.

What a profile does not hold (memory, receptive fields, the differences of two networks) is asked for here, by a file each, and
handed to `renderers/report/` as plain documents.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archprof import figures, outputs
from archprof.compare import MEASURES, both
from archprof.devices import Device
from archprof.devices.choice import find
from archprof.errors import ArchprofError, DrawingError, UnknownName, UserError
from archprof.progress import Tell, nobody
from archprof.renderers.picture import picture, source
from archprof.renderers.report import Chapter, page
from archprof.renderers.report.pieces import LABELS
from archprof.renderers.rows import total_cell
from archprof.reporting.field import seen
from archprof.reporting.remembered import remembered
from archprof.roofline import Roofline, roofline

if TYPE_CHECKING:
    from archprof.result import Profile

MOST = 8
"""So many networks are in a report at most."""
DEVICES = ("H100-SXM", "A100-SXM4-80GB", "RTX-4090", "L4", "T4", "Apple-M2")
"""Devices whose rooflines are in a report where nobody asks for others."""


def report(
    profiles: Sequence[Profile],
    path: str | os.PathLike[str],
    *,
    on: Sequence[str] = (),
    train: str = "",
    accuracy: Mapping[str, float] | None = None,
    tell: Tell = nobody,
) -> None:
    """Write the report of one or more networks to `path`, which ends in .html.

    `on` names the devices whose rooflines it has (`archprof list devices`), `train` an optimizer whose training step is in the
    memory's timeline too, `accuracy` what networks reach, by name, to be held against their costs. `tell` hears how far it
    is. Raises UserError where it cannot be written.
    """
    path = checked(path)
    text = written(profiles, on=on, train=train, accuracy=accuracy, tell=tell)
    with outputs.writing(path):
        path.write_text(text, "utf-8")


def checked(path: str | os.PathLike[str]) -> Path:
    """Return the path of a report that can be made; raise UserError, before any work is done, where it cannot."""
    return outputs.checked(path, "a report", (".html", ".htm"))


def written(
    profiles: Sequence[Profile],
    *,
    on: Sequence[str] = (),
    train: str = "",
    accuracy: Mapping[str, float] | None = None,
    tell: Tell = nobody,
) -> str:
    """Return the report as the text of an HTML page."""
    if not 1 <= len(profiles) <= MOST:
        raise UserError(f"a report is about 1 to {MOST} networks, not {len(profiles)}")
    devices = foreseen([profile.model for profile in profiles], on, train, accuracy)
    reached = accuracy or {}
    chapters = []
    for number, profile in enumerate(profiles):
        tell(profile.model, number / len(profiles))
        chapters.append(chapter(profile, devices, train, reached.get(profile.model)))
    tell("writing", 1.0)
    from archprof.reporting.changed import changed  # networkx, which one network does without

    diffs = [changed(profiles[0], other) for other in profiles[1:]]
    return page(chapters, totals(chapters) if diffs else (), diffs)


def foreseen(
    models: Sequence[str], on: Sequence[str] = (), train: str = "", accuracy: Mapping[str, float] | None = None
) -> list[Device]:
    """Return the devices of a report; raise UnknownName for a name in what is asked of it that there is not."""
    if train:
        from archprof.optimizers import REMEMBERED

        if train not in REMEMBERED:
            raise UnknownName("optimizer", train, REMEMBERED)
    for name in accuracy or ():
        if name not in models:
            raise UnknownName("network in this report", name, models)
    return [find(name) for name in on]


def chapter(profile: Profile, devices: Sequence[Device], train: str = "", accuracy: float | None = None) -> Chapter:
    """Return all about one network; what cannot be had is missing with a reason.

    Rooflines are those of `devices`, or of our own choice; who asked for a device that has none is told why.
    """
    missing: dict[str, str] = {}
    drawn = _had(lambda: picture(profile, source(profile), "svg", {}).decode(), "picture", missing)
    memory = _had(lambda: remembered(profile, train), "memory", missing)
    field, warnings = _had(lambda: seen(profile), "receptive field", missing) or (None, ())
    rooflines, without = _had(lambda: roofs(profile, devices or list(map(find, DEVICES))), "roofline", missing) or (
        (),
        [],
    )
    warnings = [*warnings, *(without if devices else ())]
    peak = None if memory is None else memory["passes"][0]["peak"]
    drawn = drawn[drawn.index("<svg") :] if drawn else ""
    claims = [
        (claim, total_cell(profile, figures.MEASURES.get(claim.measure, ""), raw=True)) for claim in profile.claims
    ]
    return Chapter(profile, drawn, rooflines, memory, peak, field, missing, warnings, accuracy, claims)


def roofs(profile: Profile, devices: Sequence[Device]) -> tuple[list[Roofline], list[str]]:
    """Return the rooflines of a network on those devices that have a peak for what it multiplies in, and why others have none.

    Raises UserError where no device has one.
    """
    found, errors = [], []
    for device in devices:
        try:
            found.append(roofline(profile.network, device))
        except UserError as error:
            errors.append(error)
    if errors and not found:
        raise errors[0]
    return found, [f"no roofline: {error}" for error in errors]


def totals(chapters: Sequence[Chapter]) -> list[list[str]]:
    """Return the totals of networks side by side, with ratios to the first: a heading, and a row a measure."""
    profiles = [chapter.profile for chapter in chapters]
    rows = [["", *(profile.model for profile in profiles)]]
    names = [name for name in (*MEASURES, "measured_s") if all(name in profile.totals for profile in profiles)]
    rows += [[LABELS.get(name, name), *(both(profiles[0], p, name, raw=False) for p in profiles)] for name in names]
    rows.append(["Ops", *(f"{len(profile.network):,}" for profile in profiles)])
    reached = [chapter.accuracy for chapter in chapters]
    if any(number is not None for number in reached):
        rows.append(["Accuracy, as given", *("-" if number is None else f"{number:g}" for number in reached)])
    return rows


def _had(make: Callable[[], Any], what: str, missing: dict[str, str]) -> Any:
    try:
        return make()
    except (ArchprofError, DrawingError) as error:
        missing[what] = str(error)
        return None
