"""A Diff as the lines people read: what is the same in one line, what is alike once, what changed setting by setting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from archprof.changes.nouns import Change, Diff, Part, added

LITTLE = 0.25
"""Where less of two networks is a pair, they have little in common."""
ENOUGH = 40
"""Lines there are at most where the reader has not said how deep to go."""
NOWHERE = "(no op)"
FEW = 3
"""So many types are named of ops in a row."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: what became of what is called `name`, `level` modules deep, and all ops it stands for.

    Where it `is_open`, the lines below say the same again in more detail.
    """

    kind: str
    level: int
    name: str
    type: str
    what: str
    rows: tuple[Change, ...]
    is_open: bool = False

    def delta(self, column: str) -> int | None:
        """Return by how much all of it costs more now; None where that is unknown."""
        return added(row.delta(column) for row in self.rows)


def apart(diff: Diff) -> str:
    """Return that two networks have little in common, where they have; nothing where they have more."""
    if diff.in_common >= LITTLE:
        return ""
    counts = diff.counts()
    pairs = sum(counts.values()) - counts["added"] - counts["removed"]
    one, other = pairs + counts["removed"], pairs + counts["added"]
    return f"little in common: {pairs:,} of {one:,} ops of {diff.a} have a counterpart among the {other:,} of {diff.b}"


def lines(diff: Diff, depth: int | None = None) -> list[Line]:
    """Return the lines to `depth` levels of modules; by default as deep as few lines go."""
    if depth is None:
        deepest = _depth(diff.root)
        found = list(_below([diff.root], 0, 1))
        for level in range(2, deepest + 1):
            deeper = list(_below([diff.root], 0, level))
            if len(deeper) > ENOUGH:
                break
            found = deeper
    else:
        found = list(_below([diff.root], 0, depth))
    rest = [row for row in diff.rows if row.path_a == row.path_b == "" and row.kind == "changed"]
    return found + [Line("changed", 0, NOWHERE, "", row.what, (row,)) for row in rest]


def _depth(part: Part) -> int:
    return 1 + max((_depth(inner) for inner in part.parts if isinstance(inner, Part)), default=0)


def _below(copies: Sequence[Part], level: int, depth: int) -> Iterator[Line]:
    """Yield the lines of the parts of a module; `copies` are modules in a row to which the same happened."""
    for start, end in _runs(copies[0].parts):
        groups = [list(copy.parts[start:end]) for copy in copies]
        first = groups[0]
        rows = tuple(row for group in groups for part in group for row in _rows(part))
        is_open = depth > 1 and isinstance(first[0], Part) and first[0].kind == "changed"
        yield Line(first[0].kind, level, _name(first, copies[0]), _type(first), _what(first), rows, is_open)
        if is_open:
            inner = [part for group in groups for part in group if isinstance(part, Part)]
            yield from _below(inner, level + 1, depth - 1)


def _runs(parts: Sequence[Part | Change]) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of the parts that make one line."""
    start = 0
    while start < len(parts):
        end = start + 1
        look = _look(parts[start])
        while end < len(parts) and _look(parts[end]) == look:
            end += 1
        yield start, end
        start = end


def _look(part: Part | Change) -> object:
    """Return what parts in a row must share to be one line."""
    if part.kind in {"same", "moved"}:
        return part.kind
    if isinstance(part, Change):
        if part.kind == "changed" and not follows(part):
            return id(part)
        return part.kind, "op"
    if part.kind == "changed":
        return _inside(part, part)
    return part.kind, part.what, sum(1 for _ in part.rows())


def _inside(part: Part | Change, around: Part) -> object:
    """Return all that tells what happened to one module from what happened to another."""
    names = [path and path.removeprefix(base or "")
             for path, base in ((part.path_a, around.path_a), (part.path_b, around.path_b))]  # fmt: skip
    if isinstance(part, Change):
        return part.kind, *names, part.what, *part.before.items(), *part.after.items()
    return part.kind, *(names if part is not around else ()), part.what, *(_inside(row, around) for row in part.parts)


def follows(row: Change) -> bool:
    """Tell whether only the shapes of an op changed, after those of what it reads."""
    return bool(row.settings) and all(name in {"input", "output"} for name, _, _ in row.settings)


def _rows(part: Part | Change) -> Iterator[Change]:
    if isinstance(part, Part):
        yield from part.rows()
    else:
        yield part


def _span(paths: Sequence[str], around: str) -> str:
    names = [path.removeprefix(f"{around}.") if around else path for path in dict.fromkeys(paths)]
    last = around.rpartition(".")[2]
    names = [f"{last}.{name}" if last and name[:1].isdigit() else name for name in names]
    return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"


def _name(group: Sequence[Part | Change], around: Part) -> str:
    return _span([part.path for part in group], around.path)


def _type(group: Sequence[Part | Change]) -> str:
    """Return what a line is about: a class and how many ops, or the types of ops."""
    ops = sum(1 for part in group for _ in _rows(part))
    size = f"{ops} op{'s' * (ops != 1)}"
    if all(isinstance(part, Change) for part in group):
        types = [part.type for part in group if isinstance(part, Change)]
        return " + ".join(types) if len(types) <= FEW else size
    classes = {part.what for part in group if isinstance(part, Part)}
    times = f"{len(group)} × " if len(group) > 1 and len(classes) == 1 and group[0].kind != "same" else ""
    block = next(iter(classes)) if len(classes) == 1 else ""
    return ", ".join(filter(None, [times + block if block else "", size]))


def _what(group: Sequence[Part | Change]) -> str:
    kind = group[0].kind
    was = [part.path_a for part in group if part.path_a is not None]
    if kind == "moved":
        return f"was {_span(was, '')}" if was != [part.path_b for part in group] else "names inside"
    if isinstance(group[0], Change):
        same = {part.what for part in group}
        return next(iter(same)) if len(same) == 1 else "shapes follow" if kind == "changed" else ""
    if kind != "changed":
        return ""
    counts = Counter(row.kind for row in group[0].rows())
    told = ", ".join(f"{counts[name]} {name}" for name in ("changed", "added", "removed", "moved") if counts[name])
    return told + (f"; was {was[0]}" if was[0] != group[0].path_b else "") + (" each" if len(group) > 1 else "")
