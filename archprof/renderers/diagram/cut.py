"""Which groups of a diagram are open: the costliest first, as far as the budgets of a page go.

Groups that look alike open together or not at all, since a reader would take an open and a closed one for different.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from archprof.errors import UserError
from archprof.renderers.diagram.fuse import CONCATS, JOINS, Box, parent
from archprof.renderers.diagram.page import extent, printed
from archprof.renderers.diagram.style import STYLES, Style
from archprof.renderers.diagram.tree import Group, Run, ops

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from archprof.renderers.diagram.measure import Costs
    from archprof.renderers.diagram.sketch import Sketch, Sketcher


@dataclass(frozen=True)
class Cut:
    """The open groups, and how many more `depth` or `expand` asked for than the budgets allow."""

    opened: frozenset[str]
    refused: int = 0


@dataclass(frozen=True)
class _Place:
    """A group that can be drawn: how deep it is, the paths it goes by, its parent, and what it looks like."""

    group: Group
    level: int
    aliases: tuple[str, ...]
    parent: str
    look: object


SOME = 12
"""So many groups are named where a glob matches none."""


def cut(
    sketcher: Sketcher,
    costs: Costs,
    depth: int | None,
    expand: Sequence[str] = (),
    collapse: Sequence[str] = (),
    style: Style = STYLES["auto"],
    is_legible: Callable[[Sketch], bool] | None = None,
) -> Cut:
    """Return the groups to open.

    Without `depth` the costliest look opens first, as long as the budgets hold and the text `is_legible` on a page.
    With it, level by level down to `depth` and no deeper, as far as the budgets go. Groups that match `expand` open,
    with all around them, whatever the budgets say; those that match `collapse` never do. Raises UserError for a glob
    that matches no group.
    """
    is_legible = is_legible or (lambda sketch: printed(extent(sketch)) >= style.legible)
    places = {place.group.path: place for place in _places(sketcher.root, 1, "")}
    for glob in (*expand, *collapse):
        if not any(_matches(place, (glob,)) for place in places.values()):
            some = ", ".join(list(places)[:SOME]) or "none"
            raise UserError(f"no group matches {glob!r}; the groups are {some} ... (exact repeats go by their first)")
    shut = {path for path, place in places.items() if _matches(place, collapse)}
    forced: set[str] = set()
    for path, place in places.items():
        if _matches(place, expand):
            forced.update(_with_ancestors(places, path))
    forced -= shut
    shares = {path: costs.of(sketcher.names(place.group)).share for path, place in places.items()}

    def allowed(opened: set[str]) -> bool:
        sketch = sketcher.sketch(opened)
        return fits(sketch, style) and (depth is not None or is_legible(sketch))

    opened, refused = set(forced), set()
    while True:
        closed = [
            place
            for path, place in places.items()
            if path not in opened | shut and (depth is None or place.level <= depth)
            and (place.parent in opened or not place.parent)
        ]  # fmt: skip
        ready = [place for place in closed if place.look not in refused]
        if not ready:
            return Cut(frozenset(opened), len(closed) if depth is not None else 0)
        nearest = min(place.level for place in ready) if depth is not None else 0
        best = max((p for p in ready if depth is None or p.level == nearest), key=lambda p: shares[p.group.path])
        trial = opened | {place.group.path for place in closed if place.look == best.look}
        if allowed(trial):
            opened = trial
            continue
        refused.add(best.look)
        if depth is None and any(places[path].look == best.look for path in opened - forced):
            opened = set(forced)  # those that look alike are shut as well, and all is opened anew without them


def fits(sketch: Sketch, style: Style = STYLES["auto"]) -> bool:
    """Tell whether a sketch keeps within the budgets of a style."""
    return len(sketch.pieces) <= style.nodes and sketch.virtual <= style.virtual


def _places(node: Group | Run | Box, level: int, around: str) -> list[_Place]:
    if isinstance(node, Box):
        return []
    if isinstance(node, Run):
        return [place for child in node.copies[0] for place in _places(child, level, around)]
    found: list[_Place] = []
    for child in node.children:
        for group in child.copies[0] if isinstance(child, Run) else (child,):
            if isinstance(group, Group) and not group.is_stub:
                inner = _places(group, level + 1, group.path)
                height = max((place.level for place in inner), default=level) - level
                look = (height, _likeness(group))
                found.append(_Place(group, level, _aliases(group.path, around), node.path, look))
                found.extend(inner)
    return found


def _aliases(path: str, around: str) -> tuple[str, ...]:
    """Return the paths a group goes by: its own, and those of the groups that hold nothing but it."""
    names = []
    while path and path != around:
        names.append(path)
        path = parent(path)
    return tuple(names)


def _matches(place: _Place, globs: Sequence[str]) -> bool:
    return any(fnmatchcase(alias, glob) for alias in place.aliases for glob in globs)


def _with_ancestors(places: dict[str, _Place], path: str) -> list[str]:
    found = []
    while path:
        found.append(path)
        path = places[path].parent
    return found


def _likeness(group: Group) -> object:
    """Return what makes groups look alike to a reader: the layers with weights in them, and what joins their ways.

    Products and differences do not tell groups apart: a mask or a gate is a matter of one block, no other kind of it.
    """
    members = ops([group])
    weighty = {op.kind for op in members if any(len(weight.tensor.shape) > 1 for weight in op.weights)}
    joined = {"concat" if op.kind in CONCATS else JOINS.get(op.kind, "") for op in members}
    return frozenset(weighty or {op.kind for op in members}), frozenset(joined & {"concat", "+"})
