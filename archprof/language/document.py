"""A spec file as checked sections: every expression parsed, nothing evaluated.

Reading collects every mistake of the file; it gives no meaning to names and needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from archprof.errors import Problem, SpecError, nearest
from archprof.language.expression import (
    BlockKey,
    Expression,
    StepKey,
    SyntaxProblem,
    parse_block_key,
    parse_expression,
    parse_step_key,
)
from archprof.language.limits import DEFAULT, Limits
from archprof.language.skeleton import check_skeleton
from archprof.language.source import Items, Node, Scalar, Source, Table, compose, read_source

if TYPE_CHECKING:
    import os

Parsed = TypeVar("Parsed", Expression, StepKey, BlockKey)


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """A named step, or a `for`/`if` with the steps under it."""

    key: StepKey
    node: Scalar
    body: Body


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Named steps, one after the other; `outputs` names what leaves them where that is not the last step."""

    node: Node
    steps: tuple[Step, ...]
    outputs: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Pipeline:
    """A list: one long pipeline of expressions and of `for`/`if` items."""

    node: Node
    items: tuple[Expression | Step, ...]


Body = Expression | Steps | Pipeline


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A named, parametrised group of steps."""

    key: BlockKey
    node: Scalar
    body: Body


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """`name: value` in params, variants and defaults."""

    name: str
    node: Scalar
    value: Expression


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """A named choice of params, possibly starting from another variant."""

    name: str
    node: Scalar
    like: Scalar | None
    settings: tuple[Setting, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """A claim: the measure, the printed value, and where it is printed."""

    node: Node
    measure: Expression
    printed: Expression
    source: str


@dataclass(frozen=True, slots=True, eq=False)
class Edit:
    """New steps to be put before or after a named step of the extended spec."""

    node: Node
    side: str
    anchor: Scalar
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """One spec file. The mappings keep the order of the file; checks and claims for every variant stand under ''."""

    source: Source
    root: Table
    name: str
    about: str
    origin: str
    inputs: tuple[Setting, ...]
    params: tuple[Setting, ...]
    variants: Mapping[str, Variant]
    defaults: Mapping[str, tuple[Setting, ...]]
    tables: tuple[Setting, ...]
    blocks: Mapping[str, Block]
    steps: Body
    outputs: tuple[Step, ...]
    checks: Mapping[str, tuple[Expression, ...]]
    claims: Mapping[str, tuple[Figure, ...]]
    requires: tuple[str, ...]
    extends: Scalar | None
    edits: tuple[Edit, ...]


def read(path: str | os.PathLike[str], limits: Limits = DEFAULT) -> Document:
    """Return the spec file at `path`, checked for form.

    Raises UserError where there is no such file and SpecError, with every mistake, where it is no spec.
    """
    return read_text(read_source(path, limits), limits)


def read_text(source: Source, limits: Limits = DEFAULT) -> Document:
    """Return the spec that `source` writes; raise SpecError with every mistake where it is none."""
    root, problems = compose(source, limits)
    if not isinstance(root, Table):
        found = "it is empty" if root is None or (isinstance(root, Scalar) and not root.text) else "it is no mapping"
        raise SpecError([*problems, source.problem("E000", 0, 1, f"a spec is a mapping of sections; {found}")])
    problems += check_skeleton(root)
    if problems:
        raise SpecError(problems)
    return _Reader(source, root, limits).document()


class _Reader:
    """Walks the sections, parsing expressions and collecting problems."""

    def __init__(self, source: Source, root: Table, limits: Limits) -> None:
        self.source, self.root, self.limits = source, root, limits
        self.problems: list[Problem] = []

    def document(self) -> Document:
        text = {key.text: value.text for key, value in self.root if isinstance(value, Scalar)}
        extends = self.root.get("extends")
        document = Document(
            source=self.source,
            root=self.root,
            name=text["name"],
            about=" ".join(text.get("about", "").split()),
            origin=" ".join(text.get("source", "").split()),
            inputs=self.settings("inputs"),
            params=self.settings("params"),
            variants={key.text: self.variant(key, value) for key, value in self.section("variants")},
            defaults={key.text: self.under(value) for key, value in self.section("defaults")},
            tables=tuple(Setting(key.text, key, self.table(value)) for key, value in self.section("tables")),
            blocks=self.blocks(),
            steps=self.body(self.root.get("steps") or Table(self.source, 0, 1)),
            outputs=self.outputs(self.root.get("outputs")),
            checks=self.by_variant("checks", self.expression),
            claims=self.by_variant("claims", self.figure),
            requires=tuple(item.text for item in _items(self.root.get("requires")) if isinstance(item, Scalar)),
            extends=extends if isinstance(extends, Scalar) else None,
            edits=tuple(self.edit(item) for item in _items(self.root.get("edit")) if isinstance(item, Table)),
        )
        if self.problems:
            raise SpecError(self.problems)
        return document

    def section(self, name: str) -> Table | tuple[()]:
        found = self.root.get(name)
        return found if isinstance(found, Table) else ()

    def settings(self, name: str) -> tuple[Setting, ...]:
        return self.under(self.root.get(name))

    def under(self, node: Node | None) -> tuple[Setting, ...]:
        return tuple(Setting(key.text, key, self.value(value)) for key, value in (node if isinstance(node, Table) else ()))

    def variant(self, key: Scalar, node: Node) -> Variant:
        like = node.get("like") if isinstance(node, Table) else None
        settings = tuple(setting for setting in self.under(node) if setting.name != "like")
        return Variant(key.text, key, like if isinstance(like, Scalar) else None, settings)

    def blocks(self) -> dict[str, Block]:
        blocks: dict[str, Block] = {}
        for key, value in self.section("blocks"):
            heading = self.parse(key, parse_block_key)
            body = self.body(value)
            if heading is None:
                continue
            if heading.name in blocks:
                self.problems.append(key.problem("E004", f"the block {heading.name!r} is defined twice", "rename one"))
            blocks[heading.name] = Block(heading, key, body)
        return blocks

    def body(self, node: Node) -> Body:
        match node:
            case Table():
                named = tuple((key, value) for key, value in node if key.text != "outputs")
                return Steps(node, tuple(self.steps(named)), self.outputs(node.get("outputs")))
            case Items():
                return Pipeline(node, tuple(item for child in node.items for item in self.item(child)))
        return self.expression(node)

    def steps(self, entries: Iterable[tuple[Scalar, Node]]) -> Iterable[Step]:
        for key, value in entries:
            parsed = self.parse(key, parse_step_key)
            body = self.body(value)
            if parsed is not None:
                yield Step(parsed, key, body)

    def item(self, node: Node) -> Iterable[Expression | Step]:
        if isinstance(node, Scalar):
            yield self.expression(node)
        elif isinstance(node, Table):
            for step in self.steps(node):
                if step.key.kind == "names":
                    remedy = "write the steps as a mapping, without '-'"
                    self.problems.append(step.node.problem("E403", "an item of a list cannot have a name", remedy))
                else:
                    yield step
        else:
            self.problems.append(node.problem("E403", "a list of steps cannot hold a list", "write one long list"))

    def outputs(self, node: Node | None) -> tuple[Step, ...]:
        return tuple(self.steps(node)) if isinstance(node, Table) else ()

    def figure(self, node: Node) -> Figure:
        entries = list(node) if isinstance(node, Table) else []
        source = next((v.text for k, v in entries if k.text == "source" and isinstance(v, Scalar)), "")
        measures = [(k, v) for k, v in entries if k.text != "source"]
        nothing = Expression(self.source, node.start, node.end)
        if len(measures) != 1 or not source:
            what = "a claim is {measure: printed value, source: where it is printed}"
            self.problems.append(node.problem("E110", what))
            return Figure(node, nothing, nothing, source)
        (key, value), *_ = measures
        return Figure(node, self.parse(key, parse_expression) or nothing, self.value(value), source)

    def edit(self, node: Table) -> Edit:
        sides = [key for key, _ in node if key.text in {"before", "after"}]
        anchor = node.get(sides[0].text) if len(sides) == 1 else None
        steps = node.get("steps")
        if not isinstance(anchor, Scalar) or not isinstance(steps, Table) or len(node.entries) != 2:  # noqa: PLR2004
            self.problems.append(node.problem("E110", "an edit is {after: step, steps: {...}} or {before: ...}"))
            return Edit(node, "after", Scalar(self.source, node.start, node.end), ())
        return Edit(node, sides[0].text, anchor, tuple(self.steps(steps)))

    def by_variant(self, section: str, read_one: Callable[[Node], object]) -> dict[str, tuple]:  # type: ignore[type-arg]
        """Return the entries of `checks` or `claims`: those of a list, or under `all`, stand under ''."""
        node = self.root.get(section)
        if not isinstance(node, Table):
            return {"": tuple(map(read_one, _items(node)))}
        known = ["all", *(key.text for key, _ in self.section("variants"))]
        known += [value.text for key, value in self.root if key.text == "name" and isinstance(value, Scalar)]
        for key, _ in node:
            if key.text not in known and self.root.get("extends") is None:
                close = nearest(key.text, known)
                label = f"did you mean {close!r}?" if close else f"variants: {', '.join(known[1:])}"
                self.problems.append(key.problem("E210", f"{section} for {key.text!r}, which is no variant", label))
        return {"" if key.text == "all" else key.text: tuple(map(read_one, _items(value))) for key, value in node}

    def value(self, node: Node) -> Expression:
        if isinstance(node, Items):
            parts = tuple(map(self.value, node.items))
            depth = 1 + max((part.depth for part in parts), default=0)
            return Expression(node.source, node.start, node.end, "list", None, parts, depth)
        return self.expression(node)

    def table(self, node: Node) -> Expression:
        """Return rows of X and . as lists of 1 and 0, other rows as they are."""
        if isinstance(node, Scalar) and not node.is_plain:
            rows = [line.split("#")[0].strip() for line in node.text.splitlines()]
            at = (node.source, node.start, node.end)
            picture = [row for row in rows if row]
            if any(set(row) - set("X.") or len(row) != len(picture[0]) for row in picture):
                self.problems.append(node.problem("E112", "a table's picture has rows of equal length, of X and . only"))
            lines = [tuple(Expression(*at, "number", int(c == "X")) for c in row) for row in picture]
            return Expression(*at, "list", None, tuple(Expression(*at, "list", None, line) for line in lines))
        return self.value(node)

    def expression(self, node: Node) -> Expression:
        nothing = Expression(node.source, node.start, node.end)
        if not isinstance(node, Scalar):
            self.problems.append(node.problem("E110", "an expression was expected here, not a list or mapping"))
            return nothing
        if not node.is_plain:
            return replace(nothing, kind="text", value=node.text)
        return self.parse(node, parse_expression) or nothing

    def parse(self, node: Scalar, parser: Callable[[str, Limits], Parsed]) -> Parsed | None:
        try:
            return parser(node.raw, self.limits).at(node.source, node.start)  # type: ignore[return-value]
        except SyntaxProblem as found:
            start = node.start + found.start
            end = max(start + 1, node.start + found.end)
            self.problems.append(node.source.problem(found.code, start, end, found.what, found.label))
            return None


def _items(node: Node | None) -> tuple[Node, ...]:
    return node.items if isinstance(node, Items) else ()
