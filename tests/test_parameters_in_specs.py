"""Tensors of a spec's own: they stretch over what they are added to or multiplied with; other tensors do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from archprof.build import build
from archprof.errors import SpecError
from archprof.expand import expand
from archprof.language.reader import read_text
from archprof.language.source import Source

if TYPE_CHECKING:
    from archprof.records import Spec


def written(steps: str) -> Spec:
    """Return the Spec of these steps on an input of 4 channels and 3x3 pixels."""
    text = "archprof: 1\nname: small\ninputs:\n  x: float32[4, 3, 3]\nsteps:\n"
    return expand(read_text(Source("small.yaml", text + "".join(f"  {line}\n" for line in steps.splitlines()))))


def test_a_parameter_scales_every_channel() -> None:
    network = build(written("scale: Parameter([4, 1, 1], init=0.5)\nout: x * scale"), "cpu")
    image = torch.ones(2, 4, 3, 3)
    assert [name for name, _ in network.named_parameters()] == ["scale"]
    assert torch.equal(network(image), image / 2)


def test_a_part_of_a_parameter_is_added_to_every_sample() -> None:
    network = build(written('table: Parameter([9, 3], init="ones")\npart: Slice(0, 3, dim=0)\nout: x + part'), "cpu")
    assert torch.equal(network(torch.zeros(2, 4, 3, 3)), torch.ones(2, 4, 3, 3))


def test_a_token_is_repeated_for_every_sample() -> None:
    steps = ["words: x -> Flatten(2)", "token: Parameter([1, 1, 9])", "each: (token, words) -> ExpandLike"]
    steps += ["out: (each, words) -> Concat"]
    assert build(written("\n".join(steps)), "cpu")(torch.zeros(2, 4, 3, 3)).shape == (2, 5, 9)


@pytest.mark.parametrize("operator", ["*", "/", "+"])
def test_tensors_with_unequal_numbers_of_axes_do_not_mix(operator: str) -> None:
    with pytest.raises(SpecError, match="E302") as raised:
        written(f"gate: x -> AdaptiveAvgPool2d(1) -> Flatten\nout: x {operator} gate")
    assert "[4, 3, 3], [4]" in str(raised.value)
