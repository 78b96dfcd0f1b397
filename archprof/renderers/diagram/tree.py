"""The nested groups of a diagram, built from the paths of its boxes.

A tree holds every box, whether it will be drawn or not; what is drawn is decided in `cut`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from archprof.graph import INPUT
from archprof.renderers.diagram.fuse import Box, parent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from archprof.records import Op


@dataclass(frozen=True, slots=True)
class Group:
    """A named part of the model and what it contains, in execution order; a stub is never opened.

    One that no module stands for, but a stretch of too many siblings, has the paths of its first and its last as `span`,
    and as `home` the path of the group that they are in.
    """

    path: str
    children: tuple[Node, ...]
    is_stub: bool = False
    span: tuple[str, str] | None = None
    home: str | None = None

    @property
    def within(self) -> str:
        """The path that its children's names begin with."""
        return self.path if self.home is None else self.home


@dataclass(frozen=True, slots=True)
class Run:
    """Equal siblings one after the other: `copies` of one or more nodes each, of which the first is drawn.

    `loops` are the tensors that go from each copy to the next: (producer, output, consumer, position), the two ops by
    their number within their copy. Whatever else a copy reads, all of them read from one place outside. A run whose
    copies are not equal has `told` what varies.
    """

    copies: tuple[tuple[Node, ...], ...]
    loops: tuple[tuple[int, int, int, int], ...] = ()
    told: str = ""


Node: TypeAlias = Box | Group | Run


def boxes(nodes: Iterable[Node]) -> Iterator[Box]:
    """Iterate the boxes of `nodes`, those of every copy of a run included."""
    for node in nodes:
        if isinstance(node, Box):
            yield node
        elif isinstance(node, Group):
            yield from boxes(node.children)
        else:
            for copy in node.copies:
                yield from boxes(copy)


def path_of(node: Node) -> str:
    """Return the path of a node; a run goes by that of its first."""
    return path_of(node.copies[0][0]) if isinstance(node, Run) else node.path


def last_path_of(node: Node) -> str:
    """Return the path of a node; a run goes by that of the last of its last copy."""
    return last_path_of(node.copies[-1][-1]) if isinstance(node, Run) else node.path


def ops(nodes: Iterable[Node]) -> list[Op]:
    """Return the ops of `nodes`, every copy included."""
    return [op for box in boxes(nodes) for op in box.ops]


def drawn_groups(node: Node) -> Iterator[Group]:
    """Iterate the groups in what is drawn of `node`, itself first."""
    children = node.children if isinstance(node, Group) else node.copies[0] if isinstance(node, Run) else ()
    if isinstance(node, Group) and not node.is_stub:
        yield node
    for child in () if isinstance(node, Group) and node.is_stub else children:
        yield from drawn_groups(child)


def grow(found: tuple[Box, ...]) -> Group:
    """Return the tree of the groups that the boxes' paths name; its root has the empty path.

    A box whose own path is that of a group (the ReLU `relu3` beside its `relu3.add`) stands inside that group. Inputs
    stand in the root, whatever they are called.
    """
    inner = {group for box in found if box.ops[0].kind != INPUT for group in _above(box.path)}
    members: dict[str, list[Box | str]] = {"": []}
    for box in found:
        home = "" if box.ops[0].kind == INPUT else box.path if box.path in inner else parent(box.path)
        for group in (*reversed(list(_above(home))), home):
            if group not in members:
                members[group] = []
                members[parent(group)].append(group)
        members[home].append(box)

    def build(path: str) -> Group:
        return Group(path, tuple(build(m) if isinstance(m, str) else m for m in members[path]))

    return build("")


def compress(node: Node) -> Node:
    """Return the tree without the groups that hold one thing only; a box takes over the path of such a group."""
    if isinstance(node, Box):
        return node
    if isinstance(node, Run):
        return replace(node, copies=tuple(tuple(compress(child) for child in copy) for copy in node.copies))
    if node.is_stub:
        return node
    children = tuple(compress(child) for child in node.children)
    if len(children) != 1 or not node.path:
        return replace(node, children=children)
    only = children[0]
    return replace(only, path=node.path) if isinstance(only, Box) else only


SIBLINGS, STRETCHES = 60, 24
"""More siblings than the one are drawn as so many stretches of them at most, and these likewise."""


def parted(node: Node) -> Node:
    """Return the tree with no more siblings in a group than a picture can hold, stretches of them being groups."""
    if isinstance(node, Box):
        return node
    if isinstance(node, Run):
        return replace(node, copies=tuple(tuple(parted(child) for child in copy) for copy in node.copies))
    if node.is_stub:
        return node
    return replace(node, children=_stretches(tuple(map(parted, node.children)), node.path, node.path))


def _stretches(children: tuple[Node, ...], home: str, path: str) -> tuple[Node, ...]:
    if len(children) <= SIBLINGS:
        return children
    size = -(-len(children) // STRETCHES)
    inputs = tuple(child for child in children if isinstance(child, Box) and child.ops[0].kind == INPUT)
    others = children[len(inputs) :] if children[: len(inputs)] == inputs else children
    found: list[Node] = list(inputs) if others is not children else []
    for number, begin in enumerate(range(0, len(others), size)):
        part = others[begin : begin + size]
        name = f"{path}#{number}"
        span = path_of(part[0]), last_path_of(part[-1])
        found.append(Group(name, _stretches(part, home, name), span=span, home=home))
    return tuple(found)


def representatives(root: Node) -> dict[str, str]:
    """Return, by op name, the op of a drawn copy that stands for it; most ops stand for themselves."""
    found: dict[str, str] = {}

    def walk(node: Node) -> None:
        if isinstance(node, Box):
            found.update((op.name, op.name) for op in node.ops)
        elif isinstance(node, Group):
            for child in node.children:
                walk(child)
        else:
            for child in node.copies[0]:
                walk(child)
            first = ops(node.copies[0])
            for copy in node.copies[1:]:
                found.update((op.name, found[model.name]) for op, model in zip(ops(copy), first, strict=True))

    walk(root)
    return found


def copy_numbers(root: Node) -> dict[str, dict[int, int]]:
    """Return, by op name, which copy it belongs to in each of the runs around it (the runs by their identity)."""
    found: dict[str, dict[int, int]] = {}

    def walk(node: Node, within: dict[int, int]) -> None:
        if isinstance(node, Box):
            found.update((op.name, within) for op in node.ops)
        elif isinstance(node, Group):
            for child in node.children:
                walk(child, within)
        else:
            for number, copy in enumerate(node.copies):
                for child in copy:
                    walk(child, {**within, id(node): number})

    walk(root, {})
    return found


def _above(path: str) -> Iterator[str]:
    while path:
        path = parent(path)
        yield path
