"""Every exception archprof raises on purpose, and the parts an error message is made of.

    ArchprofError
    ├── UserError          the user's mistake: one line, exit code 2
    │   ├── SpecError      every mistake of one spec, in the order of its lines
    │   └── UnknownName    a name no registry has; carries the nearest ones
    ├── ModelError         a model failed while it ran; carries the profile up to there
    └── DrawingError       Graphviz is missing, failed or ran out of time

It prints nothing and knows no exit codes: `archprof.cli` does. Bugs of archprof raise ordinary Python exceptions.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a spec: file, line and column (both from 1), width in characters, and the text of that line."""

    file: str
    line: int
    column: int
    width: int = 1
    text: str = ""

    def __str__(self) -> str:
        """Return `file:line:column`, which editors and terminals turn into a link."""
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a spec: its code (`E203`), place, what is wrong, and what to do about it.

    `label` stands beside the caret, `notes` below the excerpt (allowed settings, the chain of blocks).
    """

    code: str
    span: Span
    what: str
    label: str = ""
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the message with the line it is about and a caret under the culprit."""
        head = f"{self.span}: error[{self.code}]: {self.what}"
        if not self.span.text:
            return "\n".join([head, *(f"  = {note}" for note in self.notes)])
        number = f"{self.span.line} "
        margin = " " * (len(number) + 1)
        indent, carets = " " * (self.span.column - 1), "^" * max(1, self.span.width)
        lines = [
            head,
            f" {number}| {self.span.text}",
            f"{margin}| {indent}{carets} {self.label}".rstrip(),
            *(f"{margin}= {note}" for note in self.notes),
        ]
        return "\n".join(lines)


class ArchprofError(Exception):
    """The root of every exception archprof raises on purpose."""


class UserError(ArchprofError):
    """The user's mistake, told in one line: where, what was found, what is allowed, and the remedy."""


class SpecError(UserError):
    """All the mistakes found in one spec; `problems` lists them by line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Sort `problems` by file, line and column, so that a reader can walk down the file."""
        self.problems = tuple(sorted(problems, key=lambda p: (p.span.file, p.span.line, p.span.column, p.code)))
        super().__init__("\n".join(map(str, self.problems)))


FEW = 20
"""So many names are listed where none is near."""


class Problems(list[Problem]):
    """The mistakes found so far in one spec; raises SpecError once there are `most`, since nobody reads more."""

    def __init__(self, most: int) -> None:
        """Begin with none."""
        super().__init__()
        self.most = most

    def append(self, problem: Problem) -> None:
        """Note one more."""
        super().append(problem)
        if len(self) >= self.most:
            what = f"more than {self.most} mistakes: the rest is not shown"
            raise SpecError([*self, Problem("E502", problem.span, what)])

    def guess(self, name: str, known: Iterable[str], otherwise: str = "") -> str:
        """Return `did_you_mean` for the first few mistakes, `otherwise` for more: each costs time."""
        return did_you_mean(name, known, otherwise) if len(self) < FEW else otherwise


class UnknownName(UserError):
    """A name that a registry does not have."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        """Say that there is no `what` called `name`, and which of the `known` names is nearest."""
        known = list(known)
        self.nearest = nearest(name, known)
        names = sorted(known)
        few = f"; there are {', '.join(names)}" if len(names) <= FEW else ""
        guess = f"; did you mean {self.nearest!r}?" if self.nearest else few
        super().__init__(f"there is no {what} {name!r}{guess}")


class ModelError(ArchprofError):
    """A model that failed while it ran: the message says where and why, `profile` is what was counted up to there."""

    def __init__(self, message: str, profile: Any) -> None:
        """Keep the partial Profile."""
        super().__init__(message)
        self.profile = profile


class DrawingError(ArchprofError):
    """Graphviz could not turn a diagram into a picture."""


MANY, LONG = 2_000, 80
"""Nobody's typing error is looked for among so many names, nor in so long ones: it would take seconds."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the member of `known` most like `name`, or None where none is alike, or it would take long to tell.

    >>> nearest("Conv2D", ["Conv2d", "Linear"])
    'Conv2d'
    """
    known = [k for k in known if len(k) <= LONG]
    if len(name) > LONG or len(known) > MANY:
        return None
    folded = {k.casefold(): k for k in sorted(known, reverse=True)}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return the advice after a wrong name: the nearest of `known`, or `otherwise` where none is near.

    >>> did_you_mean("stirde", ["stride", "padding"]), did_you_mean("x", ["stride"], "settings: stride")
    ("did you mean 'stride'?", 'settings: stride')
    """
    close = nearest(name, known)
    return f"did you mean {close!r}?" if close else otherwise
