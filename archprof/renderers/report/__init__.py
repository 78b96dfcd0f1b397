"""The report: profiles in, one HTML page out that is complete without a script and needs no network.

`page` fills the template; `data` has what the script reads, `pieces` what stands on the page without it, `assets` the script,
the style and the policy that keeps everything else from running. The script's sources are in `web/`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from archprof.renderers.report import assets, pieces
from archprof.renderers.report.data import described, document

if TYPE_CHECKING:
    from archprof.records import Claim
    from archprof.result import Profile
    from archprof.roofline import Roofline

__all__ = ["Chapter", "page"]


@dataclasses.dataclass(frozen=True, slots=True)
class Chapter:
    """A network in a report: its profile, its picture as SVG, and what was found out beyond the table.

    `missing` says of a picture or panel why it is not there. `memory` and `field` are documents for the script, `peak_bytes`
    the most memory that a pass of inference holds (None: not known), `warnings` what its author should look at, `accuracy`
    what somebody says it reaches, `claims` what is printed elsewhere, each with our figure.
    """

    profile: Profile
    picture: str = ""
    rooflines: Sequence[Roofline] = ()
    memory: Mapping[str, Any] | None = None
    peak_bytes: int | None = None
    field: Mapping[str, Any] | None = None
    missing: Mapping[str, str] = dataclasses.field(default_factory=dict)
    warnings: Sequence[str] = ()
    accuracy: float | None = None
    claims: Sequence[tuple[Claim, str]] = ()


def page(
    chapters: Sequence[Chapter], totals: Sequence[Sequence[str]] = (), diffs: Sequence[Mapping[str, Any]] = ()
) -> str:
    """Return the HTML page of one or more networks.

    `totals` is the table of several side by side, its heading first; `diffs` says how each differs from the first.
    Equal arguments give equal pages.
    """
    parts = [
        {
            "chapter": chapter,
            "number": number,
            "cards": pieces.cards(chapter),
            "top": pieces.top(chapter.profile),
            "picture": pieces.embedded(chapter.picture, f"m{number}-"),
        }
        for number, chapter in enumerate(chapters)
    ]
    names = [chapter.profile.model for chapter in chapters]
    models = [described(chapter) for chapter in chapters]
    script = assets.script()
    return assets.template().render(
        title=", ".join(names),
        parts=parts,
        totals=totals,
        diffs=[pieces.changes(diff) for diff in diffs],
        columns=pieces.definitions([chapter.profile for chapter in chapters]),
        versions=chapters[0].profile.versions,
        policy=assets.policy(script),
        style=assets.style(),
        script=script,
        summary=assets.quoted(pieces.summary([chapter.profile for chapter in chapters])),
        data=assets.packed(document(models, [chapter.profile for chapter in chapters], diffs)),
    )
