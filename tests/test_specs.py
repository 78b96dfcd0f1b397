"""Every bundled architecture expands, is known to the last op, and has the figures it says it has."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import pytest
import torch

from archprof.build import build
from archprof.figures import check, compare_claims
from archprof.language.bundled import bundled
from archprof.pipeline import profile
from archprof.records import Facts, Spec
from archprof.sources.spec import load

if TYPE_CHECKING:
    from archprof.result import Profile

NAMES = list(bundled())
LARGEST_DIFFERENCE = 0.06
"""How far a claim, which is a figure rounded or counted in another way, may lie from ours."""


@functools.cache
def profiled(name: str) -> tuple[Spec, Profile]:
    spec = load(name)
    return spec, profile(spec)


@pytest.mark.parametrize("name", NAMES)
def test_every_op_of_a_bundled_network_is_known(name: str) -> None:
    spec, found = profiled(name)
    assert spec.name == name
    assert found.gaps == []


@pytest.mark.parametrize("name", NAMES)
def test_checks_of_a_bundled_network_hold(name: str) -> None:
    spec, found = profiled(name)
    assert spec.checks
    assert [str(problem) for problem in check(spec, found)] == []


@pytest.mark.parametrize("name", NAMES)
def test_claims_lie_near_our_figures(name: str) -> None:
    _, found = profiled(name)
    for comparison in compare_claims(found):
        assert comparison.claim.source
        assert comparison.ratio == pytest.approx(1, abs=LARGEST_DIFFERENCE), comparison.claim


@pytest.mark.parametrize("name", NAMES)
def test_printed_formulas_evaluate_to_the_macs(name: str) -> None:
    _, found = profiled(name)
    for op in found.network.ops:
        facts = found.network.facts[op.name]
        assert isinstance(facts, Facts)
        assert evaluated(facts.formula) == facts.macs, (op.path, facts.formula)


def evaluated(formula: str) -> int:
    """Return a sum of products of whole numbers, as `28*28*192 + 28*28*16` writes it."""
    return sum(math.prod(map(int, term.split("*"))) for term in formula.split(" + ")) if formula else 0


@pytest.mark.parametrize("name", NAMES)
def test_a_bundled_spec_says_what_it_is_and_where_it_is_from(name: str) -> None:
    entry = bundled()[name]
    text = entry.path.read_text("utf-8")
    assert entry.about
    assert load(name).source
    assert "nn." not in text
    assert "tv." not in text
    assert max(map(len, text.splitlines())) <= 140


def test_a_residual_block_without_weights_passes_its_input_on() -> None:
    block = build(load("residual-block"), "cpu").eval()
    a = torch.randn(2, 64, 56, 56, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert not torch.equal(block(a.relu()), a.relu())
        for parameter in block.parameters():
            parameter.zero_()
        assert torch.equal(block(a.relu()), a.relu())
        assert torch.equal(block(a), a.relu())


def test_a_plain_block_without_weights_passes_nothing_on() -> None:
    network = build(load("plain20"), "cpu").eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        assert not network(torch.rand(1, 3, 32, 32)).any()
