"""What became of a network as one picture: both networks in one graph, what was removed where it was.

A word and a sign stand in every box that changed; colour only repeats them. Groups open where the change is.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from archprof import outputs, units
from archprof.changes.lines import apart
from archprof.changes.nouns import Change, Diff, Part
from archprof.diff_page import SIGNS, in_percent, signed
from archprof.graph import Edge, Graph
from archprof.records import Column, Op
from archprof.renderers.diagram import Paint, accessible, compose, render
from archprof.renderers.diagram.dot import write
from archprof.renderers.diagram.measure import Amount, Costs, percent

if TYPE_CHECKING:
    from archprof.renderers.diagram.compose import Composed
    from archprof.renderers.diagram.sketch import Frame, Piece
    from archprof.result import Profile

SUFFIXES = (".svg", ".pdf", ".png", ".dot")
INK = "#1a1a1a"
FILLS = {"added": "#bfe3c6", "removed": "#f6c4c0", "changed": "#fde29a", "moved": "#cfdcf3", "same": "#ffffff"}
PENS = {"added": "#1b7837", "removed": "#b2182b", "changed": "#9a6700", "moved": "#2b5797", "same": "#8c8c8c"}
LEAST = 0.0005
"""A smaller share is not said."""
LONG = 48
"""Characters of a description that a box has room for."""


def checked(output: str) -> Path:
    """Return the file to draw to; raise UserError, before any work, for another ending or a folder that is missing."""
    return outputs.checked(output, "a picture", SUFFIXES)


def draw(diff: Diff, a: Profile, b: Profile, path: Path, depth: int | None = None) -> None:
    """Write the picture to `path`; raise DrawingError where Graphviz fails."""
    text = write(composed(diff, a, b, depth))
    data = text.encode() if path.suffix == ".dot" else render(text, path.suffix[1:])
    if path.suffix == ".svg":
        data = accessible(data, f"{diff.a} -> {diff.b}", described(diff))
    with outputs.writing(path):
        path.write_bytes(data)


def described(diff: Diff) -> str:
    """Return what the picture shows in prose."""
    counts = diff.counts()
    told = ", ".join(f"{units.several(counts[kind], 'op')} {kind}" for kind in SIGNS if counts[kind])
    rows = [f"{row.kind} {row.path}" + f" ({row.what})" * bool(row.what) for row in diff.rows if row.kind not in QUIET]
    return f"{told}. " + "; ".join(rows[:20]) + ("; ..." if len(rows) > 20 else "")


QUIET = ("same", "moved")


def composed(diff: Diff, a: Profile, b: Profile, depth: int | None = None) -> Composed:
    """Return the picture before it is written."""
    graph, rows = merged(diff, a, b)
    weights = [abs(rows[op.name].delta("macs") or 0) + (rows[op.name].kind not in QUIET) for op in graph.ops]

    def paint(part: Piece | Frame) -> Paint:
        return _paint([rows[name] for name in part.names if name in rows], is_frame=hasattr(part, "children"))

    key = [(FILLS[kind], f"{SIGNS[kind]} {kind}", INK) for kind in SIGNS]
    found = compose(
        graph,
        title=f"{diff.a} → {diff.b}",
        metric="change",
        depth=depth,
        listed=(Column("change", "count", "sum", "MACs that changed"), weights),
        paint=paint,
        key=(
            key,
            f"numbers: what {diff.b} has more (or, with a minus, less) than {diff.a}; shares: of all MACs that changed",
        ),
    )
    costs = found.scene.costs
    found.scene.costs = _Shares(costs.metric, costs.value, costs.params, costs.unknown)
    notes = [line for line in found.heading[2:] if "unknown cost" not in line]
    return dataclasses.replace(found, heading=(found.heading[0], *_totals(diff), *filter(None, [apart(diff)]), *notes))


class _Shares(Costs):
    """Says of a change how large a part of all it is; how much, and of what sign, the paint says."""

    def amount_text(self, amount: Amount) -> str:
        return f"{percent(amount.share)} of the change" if amount.share >= LEAST else ""


def merged(diff: Diff, a: Profile, b: Profile) -> tuple[Graph, dict[str, Change]]:
    """Return the second network with what was removed put back where it was, and the row of every op by its name there."""
    names_a: dict[str, str] = {}
    taken = set(b.network.nodes)
    ops: list[Op] = []
    rows: dict[str, Change] = {}
    homes = dict(_homes(diff.root, ""))
    for row in diff.rows:
        if not row.path:
            continue
        if row.path_b is not None:
            name, op = row.path_b, b.network[row.path_b]
        else:
            op = a.network[row.path_a or ""]
            name = row.path_a or ""
            while name in taken:
                name += "'"
            taken.add(name)
            op = dataclasses.replace(op, path=homes[id(row)])
        if row.path_a is not None:
            names_a[row.path_a] = name
        mark = {} if row.kind in QUIET else {"became": (row.kind, row.what)}
        ops.append(dataclasses.replace(op, name=name, arguments={**op.arguments, **mark}))
        rows[name] = row
    inputs = {op.name: op for op in b.network.inputs}
    names_a |= {one.name: other for one, other in zip(a.network.inputs, inputs, strict=False)}
    removed = {name for name, row in rows.items() if row.kind == "removed"}
    order = {name: place for place, name in enumerate((*inputs, *rows))}
    edges = [*b.network.edges, *_edges(a, names_a, removed)]
    edges.sort(key=lambda edge: (order[edge.consumer], edge.position))
    facts = {name: (a if row.kind == "removed" else b).network.facts[(row.path_a if row.kind == "removed" else row.path_b) or ""]
             for name, row in rows.items()}  # fmt: skip
    nodes = inputs | {op.name: op for op in ops}
    both = Graph(
        nodes, tuple(edges), b.network.outputs, b.network.weights, {**a.network.modules, **b.network.modules}, facts
    )
    return both, rows


def _edges(a: Profile, names: Mapping[str, str], removed: set[str]) -> list[Edge]:
    """Return the tensors that went from or to what was removed."""
    ends = ((edge, names.get(edge.producer), names.get(edge.consumer)) for edge in a.network.edges)
    return [
        dataclasses.replace(edge, producer=one, consumer=other)
        for edge, one, other in ends
        if one is not None and other is not None and (one in removed or other in removed)
    ]


def _homes(part: Part, path: str) -> list[tuple[int, str]]:
    """Return where a removed op is drawn, by its row's identity: in the module of the second network that became of its own."""
    found = []
    for inner in part.parts:
        if isinstance(inner, Part):
            found += _homes(
                inner, inner.path_b if inner.path_b is not None else _below(path, inner.path_a, part.path_a)
            )
        elif inner.path_b is None:
            found.append((id(inner), _below(path, inner.path_a, part.path_a)))
    return found


def _below(path: str, old: str | None, around: str | None) -> str:
    name = (old or "").removeprefix(f"{around}.") if around else old or ""
    return f"{path}.{name}" if path else name


def _paint(rows: Sequence[Change], *, is_frame: bool) -> Paint:
    kinds = Counter(row.kind for row in rows)
    if not rows or set(kinds) <= {"same"}:
        return Paint(pen=PENS["same"], fill="" if is_frame else FILLS["same"])
    kind = next(iter(kinds)) if len(kinds) == 1 else "moved" if set(kinds) <= set(QUIET) else "changed"
    words = [f"{SIGNS[kind]} {kind}"]
    own = [row.what for row in rows if row.what and any(name not in {"input", "output"} for name, _, _ in row.settings)]
    if len(set(own)) == 1 and not is_frame:
        words.append(own[0] if len(own[0]) <= LONG else own[0][: LONG - 1] + "…")
    if kind == "changed" and len(kinds) > 1 and not own:
        words += [", ".join(f"{kinds[name]} {name}" for name in SIGNS if kinds[name])]
    for column, unit in (("macs", "MACs"), ("params", "params")):
        deltas = [row.delta(column) for row in rows]
        if None in deltas:
            words.append(f"? {unit}")
        elif total := sum(delta or 0 for delta in deltas):
            words.append(f"{signed(total, 'count')} {unit}")
    return Paint("" if is_frame else FILLS[kind], PENS[kind], " · ".join(words), INK)


def _totals(diff: Diff) -> list[str]:
    said = []
    for column, unit in (("macs", "MACs"), ("params", "params")):
        delta = diff.delta(column)
        part = in_percent(diff, column)
        said.append(f"{signed(delta, 'count')} {unit}" + f" ({part})" * bool(part))
    counts = diff.counts()
    return [" · ".join(said), ", ".join(f"{counts[kind]} {kind}" for kind in SIGNS if counts[kind])]
