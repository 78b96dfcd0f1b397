"""One group of a network by itself: what comes before it and what comes after it become a stub each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archprof.errors import UserError
from archprof.graph import INPUT
from archprof.renderers.diagram.tree import Group, boxes

if TYPE_CHECKING:
    from archprof.graph import Graph
    from archprof.renderers.diagram.fuse import Box
    from archprof.renderers.diagram.tree import Node

SOME = 12
"""So many groups are named where the path is that of none."""


def focused(graph: Graph, root: Group, path: str) -> Group:
    """Return the tree in which only the group at `path` has parts; it is not folded yet.

    Whatever the group's ops depend on is `before PATH`, all else `after PATH`. Inputs stay. Raises UserError where
    there is no such group.
    """
    found = _find(root, path)
    if found is None:
        some = ", ".join(path for path in _paths(root)[:SOME])
        raise UserError(f"no group is called {path!r}; the groups are {some or 'none'} ...")
    inside = {op.name for box in boxes([found]) for op in box.ops}
    needed, todo = set(inside), list(inside)
    while todo:
        for edge in graph.reads(todo.pop()):
            if edge.producer not in needed:
                needed.add(edge.producer)
                todo.append(edge.producer)
    outside = [box for box in boxes([root]) if box.ops[0].name not in inside]
    inputs = tuple(box for box in outside if box.ops[0].kind == INPUT)
    before: list[Box] = []
    after: list[Box] = []
    for box in outside:
        if box.ops[0].kind != INPUT:
            (before if any(op.name in needed for op in box.ops) else after).append(box)
    stubs = [Group(f"{word} {path}", tuple(part), is_stub=True) if part else None
             for word, part in (("before", before), ("after", after))]  # fmt: skip
    return Group("", tuple(node for node in (*inputs, stubs[0], found, stubs[1]) if node))


def _find(node: Node, path: str) -> Group | None:
    if not isinstance(node, Group):
        return None
    if node.path == path and path:
        return node
    return next((found for child in node.children if (found := _find(child, path))), None)


def _paths(node: Node) -> list[str]:
    if not isinstance(node, Group):
        return []
    return [*filter(None, [node.path]), *(path for child in node.children for path in _paths(child))]
