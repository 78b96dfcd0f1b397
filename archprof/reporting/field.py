"""A network's receptive fields as a document: how the size grows with depth, and along which ops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archprof.fields import changes
from archprof.growth import depths

if TYPE_CHECKING:
    from archprof.result import Profile


def seen(profile: Profile) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the document, and warnings about branches that do not line up; raise UserError where nothing can be seen.

    Only ops that see something else than what they read are points; `links` are the ways from one to the next, by place.
    """
    found = profile.receptive_field()
    names = [name for name, fields in found.fields.items() if fields is not None and changes(profile, found, name)]
    places = depths(profile, names)
    numbers = {op.name: number for number, op in enumerate(profile.network.ops)}
    at = {name: place for place, name in enumerate(names)}
    fields = [found.fields[name] or () for name in names]
    links = []
    for name in names:
        for producer in profile.network.producers(name):
            own = places.get(producer, (0, None))[1]
            if own in at:
                links.append([at[own], at[name]])
    document = {
        "input": found.input,
        "axes": list(found.axes),
        "sizes": list(found.sizes),
        "op": [numbers[name] for name in names],
        "depth": [places[name][0] for name in names],
        "size": [[field.size for field in row] for row in fields],
        "stride": [[None if field.stride is None else str(field.stride) for field in row] for row in fields],
        "is_whole": [[field.is_whole for field in row] for row in fields],
        "links": links,
        "unknown": len(found.unknown),
    }
    return document, tuple(found.warnings)
