"""What a spec means: its flat program, the keys of its state dict, and where the rules against miswiring stay silent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from language_cases import CASES

from archprof.build import build
from archprof.errors import SpecError
from archprof.expand import expand
from archprof.language.limits import DEFAULT
from archprof.language.reader import read_text
from archprof.language.source import Source

if TYPE_CHECKING:
    from archprof.records import Spec

HEAD = "archprof: 1\nname: net\n"
IMAGE = HEAD + "inputs:\n  x: float32[3, 8, 8]\n"


def spec_of(text: str, variant: str = "") -> Spec:
    return expand(read_text(Source("net.yaml", text), DEFAULT), variant)


def program(spec: Spec) -> list[str]:
    lines = []
    for call in spec.calls:
        shapes = ["x".join(map(str, t.shape[1:] if call.inputs else t.shape)) for t in call.outputs]
        shared = "" if call.module == call.path else f" of {call.module}"
        lines.append(f"{call.path} = {call.layer}{shared}{list(call.inputs)} -> {', '.join(shapes)}")
    return [*lines, "outputs: " + ", ".join(f"{name}={number}" for name, number in spec.outputs)]


@pytest.mark.parametrize("title", CASES)
def test_a_spec_means(title: str) -> None:
    text, expected, keys = CASES[title]
    spec = spec_of(HEAD + text, "tiny" if "tiny:" in text else "")
    assert program(spec) == expected.splitlines()
    assert list(build(spec, "cpu").state_dict()) == keys.split()


def codes(text: str) -> list[str]:
    try:
        spec_of(text)
    except SpecError as error:
        return [problem.code for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("a: Conv2d(3, 1)\n  b: Conv2d(3, 1)\n  c: in -> Conv2d(3, 1)\n  d: b + c", ["E401"]),  # forgotten `in ->`
        ("a: in -> Conv2d(3, 1)\n  b: in -> Conv2d(3, 1)\n  c: in -> Conv2d(3, 1)\n  d: (a, b) -> Concat", ["E402"]),
        ("a: Conv2d(3, 1)\n  b: ReLU\n  c: a + b", ["E401"]),
        ("a: in -> Conv2d(3, 1)\n  b: a -> ReLU\n  c: a + b", []),
        ("a: in -> Conv2d(3, 1)\n  b: (in, in, a) -> Concat", []),
        ("a: Conv2d(in.channels, 1)\n  b: ReLU", []),  # attributes are no use of a value
        ("for i in 1..3:\n    a{i}: Conv2d(3, 1)\n  b: in -> Conv2d(3, 1)", ["E401", "E402"]),
        ("for i in 1..3:\n    a{i}: Conv2d(3, 1)\n  b: ReLU", []),
        ("inner:\n    a: in -> Conv2d(3, 1)\n    b: a -> ReLU\n    c: a + b\n  d: inner -> ReLU", []),
        ("_idle: in -> Conv2d(3, 1)\n  b: in -> ReLU", []),
        ("a: in -> Conv2d(3, 1) -> ReLu\n  b: in -> ReLU\n  c: a -> ReLU", ["E402", "E201"]),
        ("a: in -> Conv2d(3, 1)\n  b: in -> ReLU\n  c: a -> Conv2d(3, 1, strid=2)", ["E402", "E203"]),
        ("a: in -> Conv2d(3, 1)\n  c: (a, bb) -> Concat\n  b: in -> ReLU\n  d: b -> Conv2d(3)", ["E202", "E203"]),
    ],
)
def test_miswirings_are_caught_and_nothing_else(steps: str, expected: list[str]) -> None:
    assert sorted(codes(f"{IMAGE}steps:\n  {steps}\n")) == sorted(expected)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("7 // 2", 3), ("2 ** 3 ** 2", 512), ("-2 ** 2 + 8", 4), ("1..3", [1, 2, 3]), ("reversed(1..3)", [3, 2, 1]),
        ("[1, 2] * 2 + [3]", [1, 2, 1, 2, 3]), ("divisible(33, 8)", 32), ("divisible(12 * 0.75, 8)", 16), ("4.1G", 4_100_000_000),
        ("2%", 0.02), ("25_557_032", 25_557_032), ("round(2.6)", 3), ("ceil(7 / 2)", 4), ("1 if 2 < 3 < 3 else 0", 0),
        ("not 0 and 1 <= 2", True), ("None", None), ("log2(8)", 3.0), ("[[1, 2], [3, 4]][1, 0]", 3), ("1e3K", 1_000_000),
    ],
)  # fmt: skip
def test_arithmetic(expression: str, value: object) -> None:
    spec = spec_of(
        f"{IMAGE}params:\n  v: {expression if expression[0] != '[' else f'({expression})'}\nsteps:\n  a: ReLU\nchecks:\n  - v == 0\n"
    )
    assert spec.params["v"] == value
    assert type(spec.params["v"]) is type(value)


@pytest.mark.parametrize(
    "layer", ["Linear(-1)", "GroupNorm(0)", "PixelShuffle(0)", "LocalResponseNorm(0)", "Conv2d(0, 3)"]
)
def test_a_count_is_one_or_more(layer: str) -> None:
    with pytest.raises(SpecError, match=r"E111\]: \w+ of \w+ is a whole number, 1 or more, not"):
        spec_of(f"archprof: 1\nname: net\ninputs:\n  x: float32[8, 4, 4]\nsteps:\n  a: {layer}\n")
