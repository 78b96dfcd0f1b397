"""Arguments of another library's models, as `--set name=value` writes them."""

from __future__ import annotations

from typing import Any

from archprof.errors import UserError
from archprof.language.evaluate import Constants, Mistake
from archprof.language.explain import SyntaxProblem
from archprof.language.expression import parse_expression
from archprof.language.limits import DEFAULT


def plain(key: str, text: str) -> Any:
    """Return the value that `--set key=text` writes: a number, a list, true, false, null or a quoted text."""
    try:
        return Constants(DEFAULT).evaluate(parse_expression(text, DEFAULT))
    except SyntaxProblem as found:
        raise UserError(f"--set {key}={text}: {found.what}") from None
    except Mistake as found:
        raise UserError(f"--set {key}={text}: {found.problem.what}") from None
