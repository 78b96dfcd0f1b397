"""Shared by the tests of mistakes: what a bad spec is found to have, in one line a problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archprof.errors import Problem, SpecError
from archprof.expand import expand
from archprof.language import read
from archprof.pipeline import profile

if TYPE_CHECKING:
    from pathlib import Path


def problems(path: Path) -> tuple[Problem, ...]:
    """Return everything that is wrong with the spec at `path`, failed checks included."""
    from archprof.figures import check

    try:
        spec = expand(read(path))
        return tuple(check(spec, profile(spec)))
    except SpecError as error:
        return error.problems


def line(problem: Problem) -> str:
    """Return a problem as the first line of its bad spec says it."""
    label = f" | {problem.label}" if problem.label else ""
    return f"{problem.code} {problem.span.line}:{problem.span.column} {problem.what}{label}"
