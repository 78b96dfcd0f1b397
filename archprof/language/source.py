"""A spec's text with line numbers, and the YAML tree read from it, every node knowing where it stands.

Only the plain core of YAML is let through: no anchors, aliases, tags or duplicate keys. Nothing is given a type here:
a plain scalar is an expression's text, a quoted or block scalar is just text.
"""

from __future__ import annotations

import bisect
import os
import re
import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ruamel.yaml
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from archprof.errors import Problem, Problems, Span, SpecError, UserError
from archprof.language.explain import TORN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archprof.language.limits import Limits


@dataclass(frozen=True, eq=False)
class Source:
    """A named text that can say where an offset stands."""

    name: str
    text: str

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(i + 1 for i, character in enumerate(self.text) if character == "\n")]

    def span(self, start: int, end: int) -> Span:
        """Return the place of `text[start:end]`, cut at the end of its first line."""
        line = bisect.bisect_right(self._starts, start) - 1
        stop = self._starts[line + 1] - 1 if line + 1 < len(self._starts) else len(self.text)
        text = self.text[self._starts[line] : stop].rstrip("\r")
        column = start - self._starts[line]
        return Span(self.name, line + 1, column + 1, max(1, min(end, stop) - start), _shown(text))

    def problem(self, code: str, start: int, end: int, what: str, label: str = "", *notes: str) -> Problem:
        """Return a Problem about `text[start:end]`."""
        return Problem(code, self.span(start, end), what, label, notes)


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A piece of YAML: where it stands in which source."""

    source: Source = field(repr=False)
    start: int
    end: int

    @property
    def span(self) -> Span:
        """The node's place."""
        return self.source.span(self.start, self.end)

    def problem(self, code: str, what: str, label: str = "", *notes: str) -> Problem:
        """Return a Problem about this node."""
        return self.source.problem(code, self.start, self.end, what, label, *notes)


@dataclass(frozen=True, slots=True, eq=False)
class Scalar(Node):
    """A leaf: `text` as YAML reads it; `is_plain` when it stands without quotes, so that it is an expression."""

    text: str = ""
    is_plain: bool = True

    @property
    def raw(self) -> str:
        """The characters as they stand in the file, line breaks included: offsets into it are offsets into the file."""
        return self.source.text[self.start : self.end]


@dataclass(frozen=True, slots=True, eq=False)
class Items(Node):
    """A YAML sequence."""

    items: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Table(Node):
    """A YAML mapping, as (key, value) pairs in the order of the file."""

    entries: tuple[tuple[Scalar, Node], ...] = ()

    def __iter__(self) -> Iterator[tuple[Scalar, Node]]:
        """Iterate the (key, value) pairs."""
        return iter(self.entries)

    def get(self, name: str) -> Node | None:
        """Return the value under the key `name`, or None."""
        return next((value for key, value in self.entries if key.text == name), None)


def read_source(path: str | os.PathLike[str], limits: Limits) -> Source:
    """Return the text of the file at `path`, shown in messages by its name relative to the working directory.

    Raises UserError where there is no such file, SpecError where it is too large or no UTF-8 text.
    """
    path = Path(path)
    name = os.path.relpath(path) if path.is_absolute() and path.is_relative_to(Path.cwd()) else str(path)
    try:
        with path.open("rb") as file:
            data = file.read(limits.file_bytes + 1)
    except OSError as error:
        raise UserError(f"cannot read {name!r}: {error.strerror}") from None
    if len(data) > limits.file_bytes:
        raise SpecError([Problem("E001", Span(name, 1, 1), f"the file is larger than {limits.file_bytes:,} bytes")])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"the file is not UTF-8 text (byte {data[error.start]:#04x} at offset {error.start})"
        raise SpecError([Problem("E000", Span(name, line, 1), what)]) from None
    return Source(name, text.replace("\r\n", "\n"))


def compose(source: Source, limits: Limits) -> tuple[Node | None, list[Problem]]:
    """Return the tree of the source's only document and the problems found in reading it.

    The tree is built from the parser's events, iteratively, so that neither depth nor aliases can make it grow.
    Raises SpecError where the text is not YAML at all.
    """
    problems = Problems(limits.problems)
    try:
        return _tree(source, limits, problems), problems
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = mark.index if mark else 0
        what = f"not YAML: {error.problem or error.context}"
        hint = _remedy(str(error.problem or ""), source.text[: at + 1])
        raise SpecError([*problems, source.problem("E000", at, at + 1, what, hint)]) from None
    except ReaderError as error:
        at = min(error.position, len(source.text))
        number = error.character if isinstance(error.character, int) else ord(error.character[:1] or chr(0))
        what = f"the character U+{number:04X} is not allowed in YAML"
        raise SpecError([*problems, source.problem("E000", at, at + 1, what)]) from None
    except (OverflowError, ValueError):  # ruamel's, of chr()
        wrong = next((m for m in _LONG_ESCAPE.finditer(source.text) if int(m[1], 16) > sys.maxunicode), None)
        at = wrong.start() if wrong else 0
        raise SpecError([*problems, source.problem("E000", at, at + 10, "there is no such character")]) from None


_LONG_ESCAPE = re.compile(r"\\U([0-9A-Fa-f]{8})")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def _remedy(problem: str, before: str) -> str:
    """Return what to do about text that is not YAML; `before` ends at the culprit."""
    line = before.rpartition("\n")[2]
    if "\\t" in problem or "\t" in line:
        return "indent with spaces only"
    if "mapping values are not allowed" in problem:
        return "quote text that holds ': ', and begin every step on its own line"
    if before[-1:] in {"[", "{"} and "expected ',' or" in problem:
        return f"{before[-1]!r} cannot stand inside a value of a one-line list or mapping: use lines"
    if "could not find expected ':'" in problem:
        return "a space belongs after the colon of every key"
    return ""


def _tree(source: Source, limits: Limits, problems: list[Problem]) -> Node | None:  # noqa: C901, PLR0912 - one an event
    stack: list[tuple[Any, list[Node]]] = []
    root: list[Node] = []
    documents = 0
    for number, event in enumerate(ruamel.yaml.YAML(typ="safe", pure=True).parse(source.text)):
        start, end = event.start_mark.index, event.end_mark.index
        if number > limits.yaml_events or len(stack) > limits.yaml_depth:
            what = "too many YAML nodes" if number > limits.yaml_events else "YAML nested too deeply"
            bound = limits.yaml_events if number > limits.yaml_events else limits.yaml_depth
            raise SpecError([*problems, source.problem("E001", start, end, f"{what}: the limit is {bound:,}")])
        done: Node | None = None
        match event:
            case DocumentStartEvent():
                documents += 1
                if documents > 1:
                    problems.append(source.problem("E000", start, end, "a spec is one YAML document", "remove this"))
                    return root[0] if root else None
            case DocumentEndEvent():
                pass
            case AliasEvent():
                what = "aliases are not part of the spec language"
                problems.append(source.problem("E002", start, end, what, "write a block and use it twice"))
                done = Scalar(source, start, end, "", is_plain=False)
            case ScalarEvent():
                _refuse(event, source, problems)
                if half := _SURROGATE.search(event.value):
                    what = f"U+{ord(half[0]):04X} is half a character"
                    problems.append(source.problem("E000", start, end, what, "write it whole, as \\U0001F600"))
                done = Scalar(source, start, end, event.value, is_plain=event.style is None)
            case MappingStartEvent() | SequenceStartEvent():
                _refuse(event, source, problems)
                stack.append((event, []))
            case MappingEndEvent() | SequenceEndEvent():
                opening, children = stack.pop()
                at = opening.start_mark.index
                if opening.flow_style:
                    children = _mended(children, problems)
                if isinstance(event, SequenceEndEvent):
                    done = Items(source, at, end, tuple(children))
                else:
                    done = Table(source, at, end, _entries(children, problems))
        if done is not None:
            (stack[-1][1] if stack else root).append(done)
    return root[0] if root else None


def _refuse(event: Any, source: Source, problems: list[Problem]) -> None:
    start = event.start_mark.index
    if event.anchor is not None:
        what = f"anchors are not part of the spec language (&{event.anchor})"
        problems.append(source.problem("E002", start, start + len(event.anchor) + 1, what, "write a block instead"))
    tag = event.ctag if hasattr(event, "ctag") else event.tag
    if tag is not None and str(tag) not in {"", "!", "None"}:
        what = f"tags are not part of the spec language ({tag})"
        problems.append(source.problem("E003", start, start + 1, what, "remove the tag"))


def _mended(children: list[Node], problems: list[Problem]) -> list[Node]:
    """Return the children of a one-line collection with values that a comma has torn put together, each one reported."""
    whole: list[Node] = []
    torn: Scalar | None = None
    for child in children:
        if torn is not None:
            if not isinstance(child, Scalar):
                return whole
            if not child.raw:
                continue
            end = max(child.end, torn.end)
            torn = Scalar(child.source, torn.start, end, child.source.text[torn.start : end])
            whole[-1] = torn
        elif isinstance(child, Scalar) and child.is_plain and child.text.count("(") > child.text.count(")"):
            torn = child
            whole.append(child)
            problems.append(child.problem("E102", f"{child.text!r} is cut off: {TORN}", "write it over several lines"))
        else:
            whole.append(child)
        if torn is not None and torn.text.count("(") <= torn.text.count(")"):
            torn = None
    return whole


def _entries(children: list[Node], problems: list[Problem]) -> tuple[tuple[Scalar, Node], ...]:
    entries: list[tuple[Scalar, Node]] = []
    seen: dict[str, Scalar] = {}
    for key, value in zip(children[::2], children[1::2], strict=False):
        if not isinstance(key, Scalar):
            problems.append(key.problem("E005", "a key is a name, not a list or mapping", "did you mean a '-' item?"))
            continue
        if key.text in seen:
            line = seen[key.text].span.line
            what = f"{key.text!r} is defined twice in one mapping (first in line {line})"
            remedy = (
                "rename one of them" if not key.text.startswith("if ") else "put both under one 'if', or use a list"
            )
            problems.append(key.problem("E004", what, remedy))
            continue
        seen[key.text] = key
        entries.append((key, value))
    return tuple(entries)


def _shown(text: str, longest: int = 160) -> str:
    """Return a line fit for a terminal: control characters replaced, very long lines cut."""
    cut = text if len(text) <= longest else text[: longest - 1] + "…"
    return "".join(c if c.isprintable() else " " if c == "\t" else "�" for c in cut)
