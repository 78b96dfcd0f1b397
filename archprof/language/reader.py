"""From a YAML tree to a Document: every section read, every expression parsed, every mistake of the file collected.

It gives no meaning to names and needs no torch.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from archprof.errors import FEW, Problem, Problems, SpecError
from archprof.language.document import Block, Body, Document, Edit, Figure, Pipeline, Setting, Step, Steps, Variant
from archprof.language.explain import KEYWORDS, SyntaxProblem
from archprof.language.expression import (
    BlockKey,
    Expression,
    StepKey,
    parse_block_key,
    parse_expression,
    parse_step_key,
)
from archprof.language.limits import DEFAULT
from archprof.language.skeleton import check_skeleton
from archprof.language.source import Items, Node, Scalar, Source, Table, compose, read_source

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable

    from archprof.language.limits import Limits

Parsed = TypeVar("Parsed", Expression, StepKey, BlockKey)
_LOWER, _ANY = re.compile(r"[a-z_][a-z0-9_]*"), re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LAYER = re.compile(r"((nn|tv)\.)?[A-Z][A-Za-z0-9_]*")
_VARIANT = re.compile(r"[a-z0-9][a-z0-9._-]*")


def read_alone(path: str | os.PathLike[str], limits: Limits) -> Document:
    """Return the spec file at `path`, checked for form, what it extends left out.

    Raises UserError where there is no such file and SpecError, with every mistake, where it is no spec.
    """
    return read_text(read_source(path, limits), limits)


def read_text(source: Source, limits: Limits = DEFAULT) -> Document:
    """Return the spec that `source` writes; raise SpecError with every mistake where it is none."""
    root, problems = compose(source, limits)
    if not isinstance(root, Table):
        found = "it is empty" if root is None or (isinstance(root, Scalar) and not root.text) else "it is no mapping"
        raise SpecError([*problems, source.problem("E000", 0, 1, f"a spec is a mapping of sections; {found}")])
    reader = _Reader(source, root, limits)
    for problem in (*problems, *check_skeleton(root, limits)):
        reader.problems.append(problem)
    document = reader.document()
    if reader.problems:
        raise SpecError(_outermost(reader.problems))
    return document


def _outermost(problems: list[Problem]) -> list[Problem]:
    """Return the problems, at most one a place: what was found first explains what came of it."""
    places: dict[Any, Problem] = {}
    for problem in problems:
        places.setdefault((problem.span.line, problem.span.column), problem)
    return list(places.values())


class _Reader:
    """Walks the sections, parsing expressions and collecting problems."""

    def __init__(self, source: Source, root: Table, limits: Limits) -> None:
        self.source, self.root, self.limits = source, root, limits
        self.problems = Problems(limits.problems)

    def document(self) -> Document:
        text = {key.text: value.text for key, value in self.root if isinstance(value, Scalar)}
        extends, steps = self.root.get("extends"), self.root.get("steps")
        if steps is None and extends is None:
            last = self.root.entries[-1][0] if self.root.entries else self.root
            self.problems.append(
                last.problem("E005", "the section 'steps' is missing", "add 'steps: ...' after this section")
            )
        return Document(
            source=self.source,
            root=self.root,
            name=text.get("name", ""),
            about=" ".join(text.get("about", "").split()),
            origin=" ".join(text.get("source", "").split()),
            inputs=self.under(self.root.get("inputs"), _LOWER),
            params=self.under(self.root.get("params")),
            variants={key.text: self.variant(key, value) for key, value in self.section("variants")},
            defaults={
                self.named(key, _LAYER, "a layer or block"): self.under(value, _ANY)
                for key, value in self.section("defaults")
            },
            tables=tuple(
                Setting(self.named(key, _LOWER), key, self.table(value)) for key, value in self.section("tables")
            ),
            blocks=self.blocks(),
            steps=self.root_steps(steps or Table(self.source, 0, 1)),
            outputs=self.outputs(self.root.get("outputs")),
            checks=self.by_variant("checks", self.expression),
            claims=self.by_variant("claims", self.figure),
            requires=tuple(item.text for item in _items(self.root.get("requires")) if isinstance(item, Scalar)),
            extends=extends if isinstance(extends, Scalar) else None,
            edits=tuple(self.edit(item) for item in _items(self.root.get("edit")) if isinstance(item, Table)),
        )

    def section(self, name: str) -> Table | tuple[()]:
        found = self.root.get(name)
        return found if isinstance(found, Table) else ()

    def under(self, node: Node | None, pattern: re.Pattern[str] = _ANY) -> tuple[Setting, ...]:
        entries = node if isinstance(node, Table) else ()
        return tuple(Setting(self.named(key, pattern), key, self.value(value)) for key, value in entries)

    def named(self, key: Scalar, pattern: re.Pattern[str], what: str = "a name") -> str:
        """Return a key as a name, having checked that it is one: it may end up in generated code."""
        text = key.text
        if text in KEYWORDS or text == "in":
            self.problems.append(key.problem("E107", f"the name {text!r} is taken by the spec language", "rename it"))
        elif not pattern.fullmatch(text):
            if _ANY.fullmatch(text):
                case = "lower case" if pattern is _LOWER else "a capital letter first"
                right = text.lower() if pattern is _LOWER else text[:1].upper() + text[1:]
                self.problems.append(key.problem("E103", f"{text!r} must be written with {case}", f"write {right}"))
            else:
                allowed = "ASCII letters, digits and '_' only"
                self.problems.append(key.problem("E102", f"{what} was expected here, found {_short(text)!r}", allowed))
        return text

    def variant(self, key: Scalar, node: Node) -> Variant:
        if not _VARIANT.fullmatch(key.text):
            what = f"a variant's name has lower-case letters, digits, '.', '_' and '-' only, not {_short(key.text)!r}"
            self.problems.append(key.problem("E103", what))
        like = node.get("like") if isinstance(node, Table) else None
        entries = tuple((k, v) for k, v in (node if isinstance(node, Table) else ()) if k.text != "like")
        settings = tuple(Setting(self.named(k, _ANY), k, self.value(v)) for k, v in entries)
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

    def root_steps(self, node: Node) -> Body:
        body = self.body(node)
        if isinstance(body, Steps) and body.outputs and isinstance(node, Table):
            self.misplaced_outputs(node)
        return body

    def misplaced_outputs(self, node: Table) -> None:
        key = next(key for key, _ in node if key.text == "outputs")
        remedy = "the network's outputs are a section of their own; inside a block they stand beside its steps"
        self.problems.append(key.problem("E005", "'outputs' has no place here", remedy))

    def body(self, node: Node) -> Body:
        match node:
            case Table():
                named = tuple((key, value) for key, value in node if key.text != "outputs")
                return Steps(node, tuple(self.steps(named)), self.outputs(node.get("outputs")))
            case Items():
                return Pipeline(node, tuple(item for child in node.items for item in self.item(child)))
        return self.expression(node)

    def steps(self, entries: Iterable[tuple[Scalar, Node]], *, in_list: bool = False) -> Iterable[Step]:
        for key, value in entries:
            parsed = self.parse(key, parse_step_key)
            body = self.body(value)
            if parsed is None:
                continue
            if parsed.kind != "names":
                if not isinstance(value, Table) and not in_list:
                    self.problems.append(
                        key.problem("E110", "'for' and 'if' hold named steps here", "indent steps under it")
                    )
                    continue
                if isinstance(value, Table) and in_list:
                    remedy = "begin the items under this with '-'"
                    self.problems.append(key.problem("E403", "an item of a list cannot have a name", remedy))
                    continue
                if isinstance(value, Table) and value.get("outputs") is not None:
                    self.misplaced_outputs(value)
            yield Step(parsed, key, body)

    def item(self, node: Node) -> Iterable[Expression | Step]:
        if isinstance(node, Scalar):
            yield self.expression(node)
        elif isinstance(node, Table):
            for step in self.steps(node, in_list=True):
                if step.key.kind == "names":
                    remedy = "write the steps as a mapping, without '-'"
                    self.problems.append(step.node.problem("E403", "an item of a list cannot have a name", remedy))
                else:
                    yield step
        else:
            self.problems.append(node.problem("E403", "a list of steps cannot hold a list", "write one long list"))

    def outputs(self, node: Node | None) -> tuple[Step, ...]:
        if node is not None and not isinstance(node, Table):
            self.problems.append(
                node.problem("E110", "'outputs' must be a mapping (name: step)", "write outputs: {name: step}")
            )
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
        if not isinstance(anchor, Scalar) or not isinstance(steps, Table) or len(node.entries) != 2:
            self.problems.append(node.problem("E110", "an edit is {after: step, steps: {...}} or {before: ...}"))
            return Edit(node, "after", Scalar(self.source, node.start, node.end), ())
        return Edit(node, sides[0].text, anchor, tuple(self.steps(steps)))

    def by_variant(self, section: str, read_one: Callable[[Node], Any]) -> dict[str, tuple[Any, ...]]:
        """Return the entries of `checks` or `claims`: those of a list, or under `all`, stand under ''."""
        node = self.root.get(section)
        if not isinstance(node, Table):
            return {"": tuple(map(read_one, _items(node)))}
        known = ["all", *(key.text for key, _ in self.section("variants"))]
        known += [value.text for key, value in self.root if key.text == "name" and isinstance(value, Scalar)]
        otherwise = f"variants: {', '.join(known[1 : FEW + 1])}{', ...' if len(known) > FEW + 1 else ''}"
        for key, _ in node:
            if key.text not in known:
                label = self.problems.guess(key.text, known, otherwise)
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
            if not picture or any(set(row) - set("X.") or len(row) != len(picture[0]) for row in picture):
                self.problems.append(
                    node.problem("E112", "a table's picture has rows of equal length, of X and . only")
                )
                return Expression(*at)
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
            return parser(node.raw, self.limits).at(node.source, node.start)
        except SyntaxProblem as found:
            start = node.start + found.start
            end = max(start + 1, node.start + found.end)
            self.problems.append(node.source.problem(found.code, start, end, found.what, found.label))
            return None


def _items(node: Node | None) -> tuple[Node, ...]:
    return node.items if isinstance(node, Items) else ()


def _short(text: str, longest: int = 40) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
