"""Bundled networks that torchvision has too are the same networks: the same state-dict keys, and the same outputs.

Weights are randomised and copied; where only keys and shapes are compared, nothing is allocated.
"""

from __future__ import annotations

import pytest
import torch

from archprof.build import build
from archprof.sources.spec import load
from archprof.verify import reference_module, twin

pytest.importorskip("torchvision")

SMALL = {
    "alexnet-torchvision": "alexnet",
    "resnet18": "resnet18",
    "resnet50": "resnet50",
    "googlenet-torchvision": "googlenet",
    "googlenet-torchvision-training": "googlenet",
}
"""Networks run on the CPU, with torchvision's name."""

LARGE = {
    "vgg11": "vgg11",
    "vgg13": "vgg13",
    "vgg16": "vgg16",
    "vgg19": "vgg19",
    "vgg11-bn": "vgg11_bn",
    "vgg13-bn": "vgg13_bn",
    "vgg16-bn": "vgg16_bn",
    "vgg19-bn": "vgg19_bn",
    "resnet34": "resnet34",
    "resnet101": "resnet101",
    "resnet152": "resnet152",
}
"""Networks compared by keys and shapes of their weights."""


@pytest.mark.parametrize(("name", "reference"), SMALL.items())
def test_outputs_are_torchvisions(name: str, reference: str) -> None:
    found = twin(load(name), f"torchvision:{reference}")
    assert (found.missing, found.extra, found.unequal) == ((), (), ())
    assert found.difference == 0.0


@pytest.mark.parametrize(("name", "reference"), LARGE.items())
def test_weights_have_torchvisions_names_and_shapes(name: str, reference: str) -> None:
    spec = load(name)
    with torch.device("meta"):
        theirs = reference_module(f"torchvision:{reference}", spec).state_dict()
    ours = build(spec).state_dict()
    assert {key: value.shape for key, value in ours.items()} == {key: value.shape for key, value in theirs.items()}
