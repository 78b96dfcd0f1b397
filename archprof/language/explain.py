"""What a person would say about a text that the grammar refuses.

It only words the refusal; `archprof.language.expression` parses.
"""

from __future__ import annotations

import re
import unicodedata

import lark

from archprof.errors import did_you_mean

KEYWORDS = ("if", "else", "and", "or", "not", "for", "true", "false", "null")
"""Words that cannot be names."""

_EXPECTED = {
    "expr": "an expression",
    "step_key": "a name in lower case, 'for ... in ...' or 'if ...'",
    "block_key": "a block such as Bottleneck(width, stride=1), with a capital letter",
}
_INSTEAD = {"^": "write ** for a power", "&": "write 'and'", "|": "write 'or'", "→": "write ->", "×": "write *",
            "–": "write -", "−": "write -", "“": 'write "', "”": 'write "', "!": "write 'not'",
            "#": "a comment needs a space before '#'"}  # fmt: skip
TORN = "a comma ends a value in YAML's one-line lists and mappings"
"""Why a text with an open bracket arrives cut in two."""


class SyntaxProblem(Exception):
    """A mistake inside an expression: code, offsets into its text, what is wrong, and the remedy."""

    def __init__(self, code: str, start: int, end: int, what: str, label: str = "") -> None:
        """Hold the parts; `start` and `end` are offsets into the expression's text."""
        super().__init__(what)
        self.code, self.start, self.end, self.what, self.label = code, start, end, what, label


def explain(error: lark.exceptions.UnexpectedInput, text: str, start: str) -> SyntaxProblem:
    """Return the problem that made the parser stop; `start` says what was to be parsed."""
    at = error.pos_in_stream if error.pos_in_stream is not None and error.pos_in_stream >= 0 else len(text)
    token = getattr(error, "token", None)
    if isinstance(error, lark.exceptions.UnexpectedCharacters):
        found = text[at]
        if not found.isascii() or (found in "@$`?;\\^&|~#!" and text[at : at + 2] != "!="):
            return SyntaxProblem("E101", at, at + 1, f"the character {found!r} has no meaning here", _instead(found))
        return _misplaced(_word(text, at), at, text, start)
    if token is None or token.type == "$END":
        return _ended(text, start)
    return _misplaced(str(token), token.start_pos, text, start)


def _instead(character: str) -> str:
    if character in _INSTEAD:
        return _INSTEAD[character]
    return "remove it" if character.isascii() else f"it is {unicodedata.name(character, 'no ASCII character')}"


def _ended(text: str, start: str) -> SyntaxProblem:
    end = len(text.rstrip())
    if not text.strip():
        return SyntaxProblem("E102", 0, len(text), f"expected {_EXPECTED[start]}, found nothing")
    label = _unclosed(text)
    if not label and re.search(r"\bif\b", text) and not re.search(r"\belse\b", text):
        label = "an 'if' inside an expression needs an 'else', such as 'else in'"
    if not label and text.rstrip().endswith("->"):
        label = "a layer must follow '->'"
    return SyntaxProblem("E102", max(0, end - 1), end, "the expression ends too early", label)


def _misplaced(word: str, at: int, text: str, start: str) -> SyntaxProblem:
    end = at + len(word)
    if start == "block_key" and at == 0 and word[:1].islower():
        what = f"the block {word!r} must begin with a capital letter"
        return SyntaxProblem("E103", at, end, what, f"write {word[:1].upper()}{word[1:]}")
    if start == "step_key":
        return _bad_name(word, at, text)
    before = text[:at].rstrip()
    what = f"expected {_EXPECTED[start]}, found {word!r}"
    if start == "expr" and _ends_value(before) and (word[:1].isalnum() or word[:1] in {"(", "_", '"', "'"}):
        return SyntaxProblem("E102", at, end, f"expected an operator, found {word!r}", _between(before, word))
    return SyntaxProblem("E102", at, end, what, _remedy(word, before))


def _bad_name(word: str, at: int, text: str) -> SyntaxProblem:
    """Explain what cannot be the name of a step."""
    key = text.split(",", maxsplit=1)[0].split("{", maxsplit=1)[0].strip()
    begin = text.find(key)
    if word == "else":
        return SyntaxProblem("E102", at, at + 4, "there is no 'else' for steps", "write 'if not ...'")
    if word in KEYWORDS and at == 0:
        return SyntaxProblem(
            "E107", at, at + len(word), f"the name {word!r} is taken by the spec language", "rename it"
        )
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key) and key != key.lower():
        what = f"the step {key!r} must be written in lower case"
        return SyntaxProblem("E103", begin, begin + len(key), what, f"write {key.lower()}")
    label = ""
    if word[:1] in {'"', "'"}:
        label = "a name stands without quotes"
    elif word == "=":
        label = "write '==' to compare"
    elif word[:1] in {"-", "."}:
        label = f"write '_' instead of {word[:1]!r}"
    elif at == 0 and word[:1].isdigit():
        label = "a name begins with a letter"
    elif word[:1] == "(":
        label = "only blocks have settings, and those stand under 'blocks:'"
    else:
        label = did_you_mean(word, KEYWORDS) if word.isalpha() else ""
    return SyntaxProblem("E102", at, at + len(word), f"expected {_EXPECTED['step_key']}, found {word!r}", label)


def _ends_value(before: str) -> bool:
    return bool(before) and (before[-1].isalnum() or before[-1] in ")]}_\"'")


def _between(before: str, word: str) -> str:
    """Say what is missing between two values."""
    last = re.search(r"[A-Za-z_][A-Za-z0-9_.]*$", before)
    if word == "for":
        return "there are no comprehensions: use a 'for' key with steps under it"
    if last and last[0] in {"lambda", "import", "def", "class"}:
        return "a spec holds no code"
    if _open(before):
        return "write ',' between settings and items"
    if last and last[0][:1].isupper() and word[:1].isdigit():
        return f"write {last[0]}({word})"
    return "write '->' between layers"


def _remedy(word: str, before: str) -> str:
    if word == "=":
        return "write '==' to compare"
    if word == "->" and not before:
        return "nothing stands before it: write 'in ->', or leave '->' out"
    if word == ":":
        return "slices are not part of the spec language"
    if word == "." and not _ends_value(before):
        return "write 0.5, not .5"
    if word in {")", "]", "}"} and not _open(before):
        return f"{word!r} closes nothing"
    return did_you_mean(word, KEYWORDS[:6]) if word.isalpha() else ""


def _open(text: str) -> str:
    """Return the last bracket that `text` leaves open, or ''."""
    stack: list[str] = []
    for character in re.sub(r'"[^"\n]*"|\'[^\'\n]*\'', "", text):
        if character in "([{":
            stack.append(character)
        elif character in ")]}" and stack:
            stack.pop()
    return stack[-1] if stack else ""


def _unclosed(text: str) -> str:
    opening = _open(text)
    return f"{opening!r} is not closed" if opening else ""


def _word(text: str, at: int) -> str:
    if not (text[at].isalnum() or text[at] == "_"):
        return text[at]
    found = re.compile(r"\w+").match(text, at)
    return found[0] if found else text[at]
