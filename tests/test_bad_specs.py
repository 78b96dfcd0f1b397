"""Every mistake a spec can make is told exactly as its bad spec expects, alone and at its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bad import line, problems

from archprof.errors import SpecError
from archprof.expand import expand
from archprof.language import read

FOLDER = Path(__file__).parent / "bad_specs"
SOURCE = Path(__file__).parent.parent / "archprof"
SPECS = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_bad_spec_has_exactly_the_expected_problem(path: Path) -> None:
    first = path.read_text("utf-8").split("\n", 1)[0]
    assert [f"# {line(problem)}" for problem in problems(path)] == [first]


def test_every_code_in_the_source_has_a_bad_spec() -> None:
    files = [
        *SOURCE.glob("*.py"),
        *(p for part in ("language", "expand", "sources") for p in (SOURCE / part).rglob("*.py")),
    ]
    raised = {code for file in files for code in re.findall(r'"(E\d{3})"', file.read_text("utf-8"))}
    assert raised
    assert raised - {path.name[:4] for path in SPECS} == set()


def test_all_mistakes_of_a_file_are_reported_at_once(tmp_path: Path) -> None:
    path = tmp_path / "seven.yaml"
    path.write_text(
        "archprof: 1\n"
        "name: seven\n"
        "inputs:\n"
        "  x: float32[3, 8, 8]\n"
        "params: {width: 8, depth: 2}\n"
        "steps:\n"
        "  a: Conv2d(width, 3, strides=2)\n"
        "  b: ReLU\n"
        "  c: Conv2d(width, 3)\n"
        "  d: in -> Conv2D(8, 3)\n"
        "  class: in -> Conv2d(8, 11)\n"
        "  for i in 3:\n"
        "    e{i}: in -> ReLU\n"
        "  f: e1 -> ReLU\n"
        "  left: in -> Conv2d(8, 1)\n"
        "  g: in -> Conv2d(8, 1)\n",
        "utf-8",
    )
    found = [line(problem) for problem in problems(path)]
    assert found == [
        "E402 5:20 'depth' is never used | is a name misspelt, or is this left over?",
        "E203 7:23 Conv2d has no setting 'strides' | did you mean 'stride'?",
        "E201 10:12 there is no layer or block 'Conv2D' | did you mean 'Conv2d'?",
        "E107 11:3 the name 'class' is taken by Python | rename it, class_1 for instance",
        "E301 11:16 Conv2d cannot take [3, 8, 8]: a window of 11 does not fit in 8",
        "E209 12:12 'for' goes through a list, not a number | write 1..3",
        "E402 15:3 'left' is never used | every use of a value must name it; is a name missing, or is this step left over?",
    ]


def test_a_problem_shows_its_line_a_caret_and_the_chain_of_blocks(tmp_path: Path) -> None:
    path = tmp_path / "chain.yaml"
    path.write_text(
        "archprof: 1\nname: chain\ninputs:\n  x: float32[3, 8, 8]\nblocks:\n  Inner(k): Conv2d(8, k)\n"
        "  Outer: in -> Inner(11)\nsteps:\n  a: Outer\n",
        "utf-8",
    )
    with pytest.raises(SpecError) as caught:
        expand(read(path))
    (problem,) = caught.value.problems
    assert str(problem).split("error", 1)[1] == (
        "[E301]: Conv2d cannot take [3, 8, 8]: a window of 11 does not fit in 8\n"
        " 6 |   Inner(k): Conv2d(8, k)\n"
        "   |             ^^^^^^^^^^^^\n"
        "   = in: Inner (line 7) in Outer (line 9)"
    )
