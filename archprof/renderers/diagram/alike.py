"""What equal and similar siblings have in common: the content of each, its sizes apart.

Two are equal where the contents and the sizes are, similar where the contents are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archprof.records import Facts, Tensor
from archprof.renderers.diagram.fuse import CONCATS, Box
from archprof.renderers.diagram.tree import Group, Node, boxes, ops

if TYPE_CHECKING:
    from archprof.graph import Graph
    from archprof.records import Op

OF_SIZES = frozenset({"normalized_shape", "shape", "size", "groups"})
"""Settings that follow from sizes of tensors, rather than being chosen."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """A sibling without its sizes, and all its sizes in order."""

    content: object
    sizes: tuple[int, ...]


def inside(graph: Graph, node: Node, told: Callable[[Op, str], object]) -> object:
    """Return all that is inside a sibling but its own name; `told` says of an op, and that name, what matters."""
    prefix = node.path if isinstance(node, (Box, Group)) else ""
    number = {op.name: place for place, op in enumerate(ops([node]))}
    inner = frozenset(
        (number[edge.producer], edge.output, place, edge.position)
        for name, place in number.items()
        for edge in graph.reads(name)
        if edge.producer in number
    )
    parts = tuple(tuple(told(op, prefix) for op in box.ops) for box in boxes([node]))
    return isinstance(node, Group), parts, inner


def likeness(graph: Graph, node: Node) -> Likeness:
    """Return what a sibling shares with those that are like it; a concat may read any number of tensors."""
    sizes: list[int] = []
    content = inside(graph, node, lambda op, prefix: _without_sizes(graph, op, prefix, sizes))
    return Likeness(content, tuple(sizes))


def _without_sizes(graph: Graph, op: Op, prefix: str, sizes: list[int]) -> object:
    """Return all that matters about one op but its sizes, which are added to `sizes`."""
    path = op.path.removeprefix(prefix) if op.path.startswith(prefix) else None
    is_concat = op.kind in CONCATS
    settings = [
        (name, _plain(value, sizes, is_size=name in OF_SIZES))
        for name, value in sorted(op.arguments.items())
        if not is_concat or name in {"dim", "axis"}
    ]
    tensors = [_plain(part, sizes) for part in (*(() if is_concat else op.inputs), *op.outputs)]
    weights = [(_plain(w.tensor, sizes), w.is_trainable, w.is_buffer) for w in op.weights]
    owned = len(graph.owned_weights.get(op.name, ()))
    return (
        path,
        op.kind,
        op.layer,
        repr(settings),
        repr(tensors),
        repr(weights),
        owned,
        isinstance(graph.facts.get(op.name), Facts),
    )


def _plain(value: object, sizes: list[int], *, is_size: bool = False) -> object:
    if isinstance(value, Tensor):
        sizes.extend(value.shape)
        return value.dtype, len(value.shape)
    if isinstance(value, (list, tuple)):
        return [_plain(part, sizes, is_size=is_size) for part in value]
    if is_size and type(value) is int and value >= 0:
        sizes.append(value)
        return "size"
    return repr(value)


def is_renaming(first: Sequence[int], other: Sequence[int]) -> bool:
    """Tell whether what is equal in the first is equal in the other: `64, 64, 256` becomes `128, 128, 512`.

    >>> is_renaming((64, 64, 256), (128, 128, 512)), is_renaming((64, 64, 256), (128, 256, 512))
    (True, False)
    """
    names: dict[int, int] = {}
    return all(names.setdefault(one, two) == two for one, two in zip(first, other, strict=True))


def grows(members: Sequence[Sequence[int]]) -> bool:
    """Tell whether every size is the same for all members or grows by one step from each to the next.

    >>> grows([(64, 128), (96, 128), (128, 128)]), grows([(64, 128), (96, 128), (160, 128)])
    (True, False)
    """
    steps = {two - one for one, two in zip(members[0], members[1], strict=True)} - {0}
    if len(steps) != 1 or min(steps) < 0:
        return False
    growing = [two - one for one, two in zip(members[0], members[1], strict=True)]
    return all(
        [size - first for first, size in zip(members[0], member, strict=True)] == [step * place for step in growing]
        for place, member in enumerate(members)
    )


def varying(members: Sequence[Sequence[int]]) -> list[str]:
    """Return the sizes that are not the same for all members, each sequence of them once.

    >>> varying([(128, 28, 28, 3), (256, 14, 14, 3), (512, 7, 7, 3)])
    ['128→256→512', '28→14→7']
    """
    columns = [column for column in zip(*members, strict=True) if len(set(column)) > 1]
    return list(dict.fromkeys(map(arrows, columns)))


def arrows(values: Iterable[object]) -> str:
    """Return values in a row, the middle of many left out, and what is the same for all once.

    >>> arrows([64, 96, 128, 160]), arrows([64, 128, 256]), arrows([3, 3])
    ('64→96→…→160', '64→128→256', '3')
    """
    words = list(map(str, values))
    if len(set(words)) == 1:
        return words[0]
    return "→".join(words if len(words) <= 3 else [*words[:2], "…", words[-1]])
