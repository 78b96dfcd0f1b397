"""Checks of a spec hold or say what was found, and claims stand beside our figures."""

from __future__ import annotations

import pytest

from archprof.checking import written
from archprof.errors import SpecError
from archprof.figures import check, compare_claims
from archprof.pipeline import profile
from archprof.sources.spec import load

NET = """archprof: 1
name: net
inputs:
  image: float32[3, 8, 8]
params:
  width: 4
steps:
  conv:  Conv2d(width, 3)
  block:
    a: ReLU
    b: Flatten
  fc:    Linear(10)
checks:
{checks}
claims:
{claims}
"""


def made(tmp_path, checks=(), claims=()):
    text = NET.format(checks="".join(f"  - {c}\n" for c in checks), claims="".join(f"  - {c}\n" for c in claims))
    if not checks:
        text = text.replace("checks:\n\n", "")
    if not claims:
        text = text.replace("claims:\n\n", "")
    path = tmp_path / "net.yaml"
    path.write_text(text)
    spec = load(path)
    return spec, profile(spec)


def test_checks_that_hold_are_silent(tmp_path) -> None:
    holds = [
        "params == 1_562",
        "macs == 3_888 + 1_440",
        "flops == 10_954",
        "conv.params == width * 27 + 4",
        "conv.shape == [4, 6, 6]",
        "image.shape == [3, 8, 8]",
        "block.shape == [144]",
        "block.b.macs == 0",
        "out.shape == [10]",
        "activations == 144 + 144 + 10",
        "buffers == 0",
    ]
    assert check(*made(tmp_path, holds)) == []


def test_a_check_that_fails_says_what_was_found(tmp_path) -> None:
    (problem,) = check(*made(tmp_path, ["params == 1_562", "conv.macs == 3_887 or params < 5"]))
    assert (problem.code, problem.what) == ("E601", "this check does not hold")
    assert problem.label == "conv.macs is 3888, params is 1562"
    assert problem.span.line == 15


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("parms == 1", "there is nothing called 'parms' here"),
        ("cov.params == 1", "there is no step 'cov'"),
        ("conv.parms == 1", "a step has no 'parms'"),
        (f"params == len([{', '.join(['[0]*9999'] * 200)}])", "more than 1,000,000 evaluation steps"),
        ("(params + 1).macs == 1", "a step's name was expected here"),
    ],
)
def test_a_check_of_what_is_not_there_is_a_mistake(text: str, message: str, tmp_path) -> None:
    with pytest.raises(SpecError, match=message.replace("(", r"\(")):
        check(*made(tmp_path, [text]))


def test_claims_stand_beside_our_figures(tmp_path) -> None:
    _, found = made(tmp_path, claims=['{macs: 5.3K, source: "a page"}', '{params: 1000, source: "another"}'])
    first, second = compare_claims(found)
    assert (first.claim.measure, first.claim.printed, first.computed) == ("macs", 5_300, 5_328)
    assert second.ratio == 1.562


def test_a_claim_of_nothing_is_shown_without_a_ratio(tmp_path) -> None:
    _, found = made(tmp_path, claims=['{buffers: 0, source: "a page"}', '{params: 0, source: "another"}'])
    first, second = compare_claims(found)
    assert (first.ratio, second.ratio) == (None, None)
    assert written(second) == "params: printed 0, computed 1.562 k; another"


def test_a_claim_of_an_unknown_measure_is_a_mistake(tmp_path) -> None:
    with pytest.raises(SpecError, match="speed"):
        compare_claims(made(tmp_path, claims=['{speed: 5, source: "a page"}'])[1])
