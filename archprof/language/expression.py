"""From an expression's text to a small tree, with offsets; knows the grammar and nothing of what the names mean.

The kinds of a node, what its `value` holds and what its `parts` are:

    number, text, const   the value itself
    name                  "enc" or, with numbers spliced in, ("enc", node, "_conv")
    layer, function       its name; the arguments, of which a `setting` (value: its name) is a named one
                          (a layer written without parentheses has `value` alone and no parts)
    pipe, tuple, list     the items
    choice                value, condition, alternative
    or, and, not          the operands
    compare               the operands; value: the signs between them
    range, binary, sign   the operands; value: the operator
    index, attribute      the indexed thing, then the indices; value: the attribute's name
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from decimal import Decimal
from importlib import resources
from typing import TYPE_CHECKING, Any

import lark

from archprof.language.explain import SyntaxProblem, explain
from archprof.language.source import Node, Source

if TYPE_CHECKING:
    from archprof.language.limits import Limits


@dataclass(frozen=True, slots=True, eq=False)
class Expression(Node):
    """A node of an expression's tree: its place, kind, value, parts, and depth."""

    kind: str = "const"
    value: Any = None
    parts: tuple[Expression, ...] = ()
    depth: int = 1

    def at(self, source: Source, offset: int) -> Expression:
        """Return the same tree, standing at `offset` in `source`."""
        value = self.value
        parts = tuple(part.at(source, offset) for part in self.parts)
        if self.kind == "name" and parts:
            moved = iter(parts)
            value = tuple(next(moved) if isinstance(piece, Expression) else piece for piece in value)
        return Expression(source, self.start + offset, self.end + offset, self.kind, value, parts, self.depth)


@dataclass(frozen=True, slots=True)
class BlockKey:
    """A block's heading: name, names of its inputs (none written: it has one, `in`), settings as (name, default or None)."""

    name: str
    inputs: tuple[str, ...]
    settings: tuple[tuple[str, Expression | None], ...]

    def at(self, source: Source, offset: int) -> BlockKey:
        """Return the same heading, its defaults standing at `offset` in `source`."""
        settings = tuple((name, default and default.at(source, offset)) for name, default in self.settings)
        return BlockKey(self.name, self.inputs, settings)


@dataclass(frozen=True, slots=True)
class StepKey:
    """A step's name(s), or the loop or condition that its steps stand under.

    `kind` is `names` (parts: name nodes), `for` (names: loop variables, parts: the list) or `if` (parts: the condition).
    """

    kind: str
    names: tuple[str, ...]
    parts: tuple[Expression, ...]

    def at(self, source: Source, offset: int) -> StepKey:
        """Return the same key, standing at `offset` in `source`."""
        return StepKey(self.kind, self.names, tuple(part.at(source, offset) for part in self.parts))


@functools.cache
def parser() -> lark.Lark:
    """Return the LALR parser of the grammar file, made once."""
    grammar = resources.files("archprof.language").joinpath("grammar.lark").read_text("utf-8")
    starts = ["expr", "step_key", "block_key"]
    return lark.Lark(grammar, parser="lalr", start=starts, propagate_positions=True, maybe_placeholders=False)


def parse_expression(text: str, limits: Limits) -> Expression:
    """Return the tree of an expression; raise SyntaxProblem where it is none."""
    return _parse(text, "expr", limits)


def parse_step_key(text: str, limits: Limits) -> StepKey:
    """Return what stands left of a step's colon; raise SyntaxProblem where it is no name, `for` or `if`."""
    return _parse(text, "step_key", limits)


def parse_block_key(text: str, limits: Limits) -> BlockKey:
    """Return a block's heading; raise SyntaxProblem where it is none."""
    return _parse(text, "block_key", limits)


@functools.lru_cache(maxsize=4096)
def _parse(text: str, start: str, limits: Limits) -> Any:
    if len(text) > limits.expression_characters:
        what = f"an expression may have {limits.expression_characters:,} characters, this one has {len(text):,}"
        raise SyntaxProblem("E105", 0, 40, what, "use a block, a table or a list of steps")
    try:
        tree = _Builder().transform(parser().parse(text, start=start))
    except lark.exceptions.UnexpectedInput as error:
        raise explain(error, text, start) from None
    except lark.exceptions.VisitError as error:
        if isinstance(error.orig_exc, SyntaxProblem):
            raise error.orig_exc from None
        raise
    for part in _expressions(tree):
        if part.depth > limits.expression_depth:
            what = f"an expression may be {limits.expression_depth} levels deep, this one has {part.depth}"
            raise SyntaxProblem("E105", part.start, part.end, what, "split it into steps")
    return tree


def _expressions(tree: Expression | StepKey | BlockKey) -> tuple[Expression, ...]:
    """Return the outermost expressions in what was parsed."""
    match tree:
        case StepKey():
            return tree.parts
        case BlockKey():
            return tuple(default for _, default in tree.settings if default is not None)
    return (tree,)


_NOWHERE = Source("", "")
_SUFFIXES = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_RENAMED = {"or_": "or", "and_": "and", "not_": "not"}
_OPERATORS = {"SIGN", "TIMES", "POWER", "CMP"}
_KEYWORDS = {"IF", "ELSE", "OR", "AND", "NOT", "FOR", "IN"}


class _Builder(lark.visitors.Transformer_NonRecursive):
    """Turns lark's trees into Expressions, bottom up and without recursion."""

    def __default__(self, data: Any, children: list[Any], meta: Any) -> Any:
        kind = _RENAMED.get(str(data), str(data))
        start, end = getattr(meta, "start_pos", 0), getattr(meta, "end_pos", 0)
        return _NODES.get(kind, _plain)(
            kind, [c for c in children if getattr(c, "type", "") not in _KEYWORDS], start, end
        )


def _node(kind: str, value: Any, parts: list[Expression], start: int, end: int) -> Expression:
    depth = 1 + max((part.depth for part in parts), default=0)
    return Expression(_NOWHERE, start, end, kind, value, tuple(parts), depth)


def _plain(kind: str, children: list[Any], start: int, end: int) -> Expression:
    tokens = tuple(str(c) for c in children if isinstance(c, lark.Token))
    parts = [c for c in children if isinstance(c, Expression)]
    value = tokens if kind == "compare" else tokens[0] if tokens else None
    return _node(kind, value, parts, start, end)


def _number(_: str, children: list[Any], start: int, end: int) -> Expression:
    text = str(children[0]).replace("_", "")
    factor: Any = {**_SUFFIXES, "%": 0.01}.get(text[-1], 1)
    digits = text if factor == 1 else text[:-1]
    is_whole = digits.isdigit() and text[-1] != "%"  # a float of any length is infinite, a product with one an error
    value = (int(digits) if is_whole else float(digits)) * factor
    if isinstance(value, float) and text[-1] in _SUFFIXES and abs(value) < 1e18:
        exact = Decimal(digits) * factor
        value = int(exact) if exact == exact.to_integral_value() else value
    return _node("number", value, [], start, end)


def _literal(kind: str, children: list[Any], start: int, end: int) -> Expression:
    text = str(children[0])
    value = text[1:-1] if kind == "text" else {"t": True, "f": False, "n": None}[text[0].lower()]
    return _node(kind, value, [], start, end)


def _name(_: str, children: list[Any], start: int, end: int) -> Expression:
    parts = [c for c in children if isinstance(c, Expression)]
    value = tuple(c if isinstance(c, Expression) else str(c) for c in children) if parts else str(children[0])
    return _node("name", value, parts, start, end)


def _applied(kind: str, children: list[Any], start: int, end: int) -> Expression:
    arguments = list(children[1]) if len(children) > 1 else []
    seen: set[str] = set()
    for argument in arguments:
        if argument.kind == "setting":
            if argument.value in seen:
                what = f"the setting {argument.value!r} is given twice"
                raise SyntaxProblem("E104", argument.start, argument.end, what, "remove one")
            seen.add(argument.value)
        elif seen:
            raise SyntaxProblem("E104", argument.start, argument.end, "an argument without a name follows a named one",
                                "put it before the named ones, or name it")  # fmt: skip
    return _node(kind, str(children[0]), arguments, start, end)


def _sequence(kind: str, children: list[Any], start: int, end: int) -> Expression:
    parts = [part for c in children for part in ([c] if isinstance(c, Expression) else c)]
    return _node(kind, None, parts, start, end)


def _index(kind: str, children: list[Any], start: int, end: int) -> Expression:
    return _node(kind, None, [children[0], *children[1]], start, end)


def _group(_: str, children: list[Any], start: int, end: int) -> Expression:
    return replace(children[0], start=start, end=end, depth=children[0].depth + 1)


def _names_key(_: str, children: list[Any], *_place: int) -> StepKey:
    return StepKey("names", (), tuple(children))


def _for_key(_: str, children: list[Any], *_place: int) -> StepKey:
    return StepKey("for", tuple(map(str, children[:-1])), (children[-1],))


def _if_key(_: str, children: list[Any], *_place: int) -> StepKey:
    return StepKey("if", (), (children[0],))


def _param(_: str, children: list[Any], *_place: int) -> tuple[str, Expression | None]:
    return str(children[0]), children[1] if len(children) > 1 else None


def _block_key(_: str, children: list[Any], *place: int) -> BlockKey:
    inputs = tuple(str(c) for c in children[1:] if isinstance(c, lark.Token))
    settings = tuple(c for c in children[1:] if isinstance(c, tuple))
    seen: set[str] = set()
    for name in (*inputs, *(name for name, _ in settings)):
        if name in seen or name == "in":
            what = (
                f"{name!r} stands twice in the heading" if name in seen else "'in' is the name of a block's only input"
            )
            start, end = place
            raise SyntaxProblem("E004" if name in seen else "E107", start, end, what, "rename one of them")
        seen.add(name)
    return BlockKey(str(children[0]), inputs, settings)


def _listed(_: str, children: list[Any], *_place: int) -> list[Any]:
    return children


_NODES = {
    "number": _number, "text": _literal, "const": _literal, "name": _name, "layer": _applied, "function": _applied,
    "pipe": _sequence, "tuple": _sequence, "list": _sequence, "index": _index, "group": _group,
    "args": _listed, "items": _listed, "param": _param, "block_key": _block_key,
    "names_key": _names_key, "for_key": _for_key, "if_key": _if_key,
}  # fmt: skip
