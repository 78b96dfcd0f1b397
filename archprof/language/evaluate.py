"""The arithmetic of specs: numbers, texts and lists, bounded in size and time, without attributes or imports.

What tensors and layers mean is added in `archprof.expand`; here they are values that arithmetic does not know.
"""

from __future__ import annotations

import math
import operator
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeGuard

from archprof.errors import Problem, did_you_mean
from archprof.language.expression import Expression

if TYPE_CHECKING:
    from collections.abc import Callable

    from archprof.language.limits import Limits


class Mistake(Exception):
    """A problem found while evaluating; whoever walks the steps collects it and goes on."""

    def __init__(self, problem: Problem) -> None:
        """Hold the problem."""
        super().__init__(problem.what)
        self.problem = problem


class Exhausted(Exception):
    """A limit on the whole spec (calls, steps, seconds) is reached, so that going on makes no sense."""

    def __init__(self, problem: Problem) -> None:
        """Hold the problem."""
        super().__init__(problem.what)
        self.problem = problem


def mistake(at: Expression, code: str, what: str, label: str = "", *notes: str) -> Mistake:
    """Return a Mistake at an expression."""
    return Mistake(at.problem(code, what, label, *notes))


def divisible(value: float, by: int) -> int:
    """Return `value` rounded to a multiple of `by`, at least `by` and never more than 10 % down (MobileNet's rule).

    >>> divisible(33, 8), divisible(3, 8), divisible(12 * 0.75, 8)
    (32, 8, 16)
    """
    rounded = max(by, int(value + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * value else rounded


def rounded(value: float, digits: int = 0) -> float:
    """Return `value` rounded to 0 to 15 digits behind the point; to a whole number where none are asked for."""
    if not isinstance(digits, int) or not 0 <= digits <= 15:
        raise ValueError("digits are 0 to 15")
    return round(value, digits) if digits else round(value)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": min, "max": max, "abs": abs, "round": rounded, "ceil": math.ceil, "floor": math.floor, "sqrt": math.sqrt,
    "log2": math.log2, "len": len, "sum": sum, "int": int, "float": float,
    "reversed": lambda values: list(reversed(values)), "divisible": divisible,
}  # fmt: skip

_FORMS = {
    "min": "a, b", "max": "a, b", "abs": "x", "round": "x", "ceil": "x", "floor": "x", "sqrt": "x", "log2": "x",
    "len": "list", "sum": "list", "int": "x", "float": "x", "reversed": "list", "divisible": "x, by",
}  # fmt: skip
_PATIENCE = 256
"""Evaluation steps between two looks at the clock."""
_LIST_DEPTH = 8
"""How deep lists may hold lists: a table of rows needs 2."""
_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv,
    "%": operator.mod, "**": operator.pow,
}  # fmt: skip
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def is_number(value: object) -> TypeGuard[int | float]:
    """Tell whether `value` is an int or float, and no bool."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def kind_of(value: object) -> str:
    """Return what a person would call `value`.

    >>> kind_of([1]), kind_of(True), kind_of(2.5)
    ('a list', 'true or false', 'a number')
    """
    if isinstance(value, bool):
        return "true or false"
    if is_number(value):
        return "a number"
    plain: dict[type, str] = {str: "a text", list: "a list", type(None): "null"}
    return plain.get(type(value)) or getattr(value, "what", "a tensor")


def advice(left: Any, right: Any) -> str:
    """Return what to do about an operator between two values that it does not join."""
    if isinstance(left, str) or isinstance(right, str):
        return "texts cannot be computed with"
    return ""


class Evaluator(ABC):
    """Evaluates expressions; names are looked up by `lookup`, and subclasses add tensors and layers."""

    def __init__(self, limits: Limits) -> None:
        """Start counting steps and time against `limits`."""
        self.limits = limits
        self._steps = self._uncounted = self._depth = 0
        self._deadline = time.thread_time() + limits.seconds  # its own: a busy machine is not the fault of a spec

    @abstractmethod
    def lookup(self, at: Expression, name: str) -> Any:
        """Return the value of a name; raise Mistake where there is none."""

    def evaluate(self, at: Expression) -> Any:
        """Return the value of an expression; raise Mistake where it has none."""
        self.charge(at, 1)
        self._depth += 1
        if self._depth > self.limits.evaluation_depth:
            self._depth = 0
            raise Exhausted(at.problem("E502", "blocks and expressions are nested too deeply", "split them into steps"))
        try:
            return getattr(self, f"on_{at.kind}")(at)
        finally:
            self._depth -= 1

    def charge(self, at: Any, steps: int) -> None:
        """Count work; raise Exhausted once the spec has cost too much or taken too long."""
        self._steps += steps
        if self._steps > self.limits.evaluation_steps:
            raise Exhausted(at.problem("E502", f"more than {self.limits.evaluation_steps:,} evaluation steps"))
        self._uncounted += steps
        if self._uncounted >= _PATIENCE:
            self.hurry(at)

    def hurry(self, at: Any) -> None:
        """Raise Exhausted once the time is up."""
        self._uncounted = 0
        if time.thread_time() > self._deadline:
            raise Exhausted(at.problem("E502", f"expanding the spec takes more than {self.limits.seconds:g} seconds"))

    def on_number(self, at: Expression) -> Any:
        return self.bounded(at, at.value)

    def on_text(self, at: Expression) -> Any:
        return at.value

    on_const = on_text

    def on_name(self, at: Expression) -> Any:
        return self.lookup(at, self.spelled(at))

    def spelled(self, at: Expression) -> str:
        """Return a name with its numbers spliced in: `enc{i}` becomes `enc2`."""
        if isinstance(at.value, str):
            return at.value
        pieces = []
        for piece in at.value:
            if isinstance(piece, Expression):
                number = self.evaluate(piece)
                if isinstance(number, bool) or not isinstance(number, int) or number < 0:
                    what = f"only whole numbers, 0 or more, can stand in a name, not {kind_of(number)}"
                    raise mistake(piece, "E106", what)
                pieces.append(str(number))
            else:
                pieces.append(piece)
        return "".join(pieces)

    def on_list(self, at: Expression) -> Any:
        return self.bounded(at, [self.evaluate(part) for part in at.parts])

    def on_choice(self, at: Expression) -> Any:
        value, condition, alternative = at.parts
        return self.evaluate(value if self.truth(condition) else alternative)

    def truth(self, at: Expression) -> bool:
        """Return a condition as a bool; a tensor or layer has no truth."""
        value = self.evaluate(at)
        if not (value is None or isinstance(value, (bool, int, float, str, list))):
            raise mistake(at, "E205", f"{kind_of(value)} is neither true nor false", "compare numbers here")
        return bool(value)

    def on_or(self, at: Expression) -> Any:
        return any(self.truth(part) for part in at.parts)

    def on_and(self, at: Expression) -> Any:
        return all(self.truth(part) for part in at.parts)

    def on_not(self, at: Expression) -> Any:
        return not self.truth(at.parts[0])

    def on_compare(self, at: Expression) -> Any:
        values = [self.evaluate(part) for part in at.parts]
        for sign, left, right in zip(at.value, values, values[1:], strict=False):
            alike = (is_number(left) and is_number(right)) or type(left) is type(right)
            if sign not in {"==", "!="} and not (alike and isinstance(left, (int, float, str, list))):
                raise mistake(at, "E209", f"cannot compare {kind_of(left)} with {kind_of(right)}")
            try:
                holds = _COMPARE[sign](left, right)
            except TypeError:
                raise mistake(at, "E209", "these lists cannot be compared") from None
            if not holds:
                return False
        return True

    def on_range(self, at: Expression) -> Any:
        first, last = (self.whole(part) for part in at.parts)
        if last - first >= self.limits.list_items:
            raise mistake(at, "E502", f"a list may have {self.limits.list_items:,} items")
        return self.bounded(at, list(range(first, last + 1)))

    def whole(self, at: Expression) -> int:
        """Return an expression's value as a whole number."""
        value = self.evaluate(at)
        if isinstance(value, bool) or not isinstance(value, int):
            raise mistake(at, "E209", f"a whole number was expected, not {kind_of(value)}")
        return value

    def on_sign(self, at: Expression) -> Any:
        value = self.evaluate(at.parts[0])
        if not is_number(value):
            raise mistake(at, "E209", f"a sign belongs before a number, not {kind_of(value)}")
        return self.bounded(at, -value if at.value == "-" else value)

    def on_binary(self, at: Expression) -> Any:
        left, right = (self.evaluate(part) for part in at.parts)
        return self.combine(at, left, right)

    def combine(self, at: Expression, left: Any, right: Any) -> Any:
        """Return `left` and `right` joined by the operator of `at`; the plain cases."""
        numbers = [left, right] if is_number(left) and is_number(right) else []
        lists = isinstance(left, list) and (isinstance(right, list) if at.value == "+" else type(right) is int)
        if not numbers and not (lists and at.value in "+*"):
            raise mistake(at, "E209", f"cannot write {kind_of(left)} {at.value} {kind_of(right)}", advice(left, right))
        if at.value == "**" and (abs(numbers[1]) > self.limits.exponent or abs(numbers[0]) > self.limits.integer):
            raise mistake(at, "E502", f"an exponent may be {self.limits.exponent} at most")
        if lists and at.value == "*" and len(left) * max(0, right) > self.limits.list_items:
            raise mistake(at, "E502", f"a list may have {self.limits.list_items:,} items")
        try:
            value = _BINARY[at.value](left, right)
        except ZeroDivisionError:
            raise mistake(at, "E209", "division by zero") from None
        except OverflowError:
            raise mistake(at, "E502", "the number is too large") from None
        return self.bounded(at, value)

    def bounded(self, at: Expression, value: Any) -> Any:
        """Return `value`, or raise Mistake where it is larger than the limits allow."""
        if isinstance(value, complex) or (isinstance(value, float) and not math.isfinite(value)):
            raise mistake(at, "E209", "the result is not a real, finite number")
        if isinstance(value, int) and abs(value) > self.limits.integer:
            raise mistake(at, "E502", "the number is too large (the limit is 2**63 - 1)")
        if isinstance(value, list):
            self.charge(at, self.extent(at, value))
        return value

    def extent(self, at: Expression, value: list[Any], depth: int = 1) -> int:
        """Return how many items a list holds, those of the lists in it included; raise Mistake where they are too many."""
        if depth > _LIST_DEPTH:
            raise mistake(at, "E502", f"lists may be nested {_LIST_DEPTH} deep")
        items = len(value)
        for item in value:
            if isinstance(item, list):
                items += self.extent(at, item, depth + 1)
            if items > self.limits.list_items:
                break
        if items > self.limits.list_items:
            raise mistake(at, "E502", f"a list may have {self.limits.list_items:,} items")
        return items

    def on_function(self, at: Expression) -> Any:
        function = FUNCTIONS.get(at.value)
        if function is None:
            label = did_you_mean(at.value, FUNCTIONS)
            raise mistake(at, "E208", f"there is no function {at.value!r}", label, f"functions: {', '.join(FUNCTIONS)}")
        values = []
        for part in at.parts:
            if part.kind == "setting":
                raise mistake(part, "E208", f"{at.value} takes no named arguments")
            values.append(self.evaluate(part))
        if not all(is_number(v) or isinstance(v, list) for v in values):
            strange = next(v for v in values if not (is_number(v) or isinstance(v, list)))
            raise mistake(at, "E208", f"{at.value} takes numbers and lists, not {kind_of(strange)}")
        self.charge(at, sum(len(v) for v in values if isinstance(v, list)))
        form = f"write {at.value}({_FORMS[at.value]})"
        try:
            value = function(*values)
        except TypeError:
            raise mistake(at, "E208", f"{at.value} cannot take this", form) from None
        except (ValueError, ZeroDivisionError, OverflowError) as error:
            raise mistake(at, "E208", f"{at.value} cannot be computed: {error}", form) from None
        return self.bounded(at, value)

    def on_index(self, at: Expression) -> Any:
        value = self.evaluate(at.parts[0])
        if not isinstance(value, list):
            raise mistake(at.parts[0], "E207", f"only lists have items, not {kind_of(value)}")
        for part in at.parts[1:]:
            number = self.whole(part)
            if not isinstance(value, list) or not 0 <= number < len(value):
                size = len(value) if isinstance(value, list) else 0
                raise mistake(part, "E207", f"there is no item {number}: the list has {size}, counted from 0")
            value = value[number]
        return value

    def on_attribute(self, at: Expression) -> Any:
        value = self.evaluate(at.parts[0])
        raise mistake(at, "E206", f"{kind_of(value)} has no .{at.value}")

    def on_layer(self, at: Expression) -> Any:
        raise mistake(at, "E205", f"a layer ({at.value}) has no place here", "numbers, names and lists only")

    def on_pipe(self, at: Expression) -> Any:
        raise mistake(at, "E205", "'->' has no place here", "numbers, names and lists only")

    on_tuple = on_pipe


class Constants(Evaluator):
    """Evaluates expressions without names: numbers, texts and lists."""

    def lookup(self, at: Expression, name: str) -> Any:
        """Raise Mistake: there are no names."""
        raise mistake(at, "E202", f"there is nothing called {name!r} here; a text stands in quotes")
