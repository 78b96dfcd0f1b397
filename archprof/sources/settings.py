"""Arguments for somebody else's code, as `--set` writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archprof.errors import UserError
from archprof.language.evaluate import Constants, Exhausted, Mistake
from archprof.language.explain import SyntaxProblem
from archprof.language.expression import parse_expression
from archprof.language.limits import DEFAULT


def plain(settings: Mapping[str, str]) -> dict[str, Any]:
    """Return the values that `--set key=text` writes: numbers, lists, true, false, null or quoted texts.

    Raises UserError where a text is none of these.

    >>> plain({"num_classes": "10", "act_layer": "'gelu'"})
    {'num_classes': 10, 'act_layer': 'gelu'}
    """
    return {key: _value(key, text) for key, text in settings.items()}


def _value(key: str, text: str) -> Any:
    try:
        return Constants(DEFAULT).evaluate(parse_expression(text, DEFAULT))
    except SyntaxProblem as found:
        raise UserError(f"--set {key}={text}: {found.what}") from None
    except (Mistake, Exhausted) as found:
        raise UserError(f"--set {key}={text}: {found.problem.what}") from None
