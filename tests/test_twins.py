"""Bundled networks that torchvision has too are the same networks: the same state-dict keys, and the same outputs.

Weights are randomised and copied; where only keys and shapes are compared, nothing is allocated.
"""

from __future__ import annotations

import pytest
import torch

from archprof.build import build
from archprof.sources.spec import load
from archprof.twins import random_input, randomise, reference_module, settle, twin

pytest.importorskip("torchvision")

SMALL = {
    "alexnet-torchvision": "alexnet",
    "resnet18": "resnet18",
    "resnet50": "resnet50",
    "googlenet-torchvision-training": "googlenet",
    "mobilenet-v2": "mobilenet_v2",
    "mobilenet-v3-small": "mobilenet_v3_small",
    "efficientnet-b0": "efficientnet_b0",
    "squeezenet-1.1": "squeezenet1_1",
    "shufflenet-v2": "shufflenet_v2_x1_0",
    "densenet121": "densenet121",
    "resnext50-32x4d": "resnext50_32x4d",
    "inception-v3-training": "inception_v3",
    "vit-b-16": "vit_b_16",
    "convnext-tiny": "convnext_tiny",
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
    "googlenet-torchvision": "googlenet",
    "squeezenet-1.0": "squeezenet1_0",
    "mobilenet-v3-large": "mobilenet_v3_large",
    "shufflenet-v2-x0.5": "shufflenet_v2_x0_5",
    "shufflenet-v2-x1.5": "shufflenet_v2_x1_5",
    "shufflenet-v2-x2.0": "shufflenet_v2_x2_0",
    "densenet169": "densenet169",
    "densenet201": "densenet201",
    "resnext101-32x8d": "resnext101_32x8d",
    "wide-resnet50-2": "wide_resnet50_2",
    "wide-resnet101-2": "wide_resnet101_2",
    "inception-v3": "inception_v3",
    "vit-b-32": "vit_b_32",
    "vit-l-16": "vit_l_16",
    "convnext-small": "convnext_small",
    "swin-s": "swin_s",
}
"""Networks compared by keys and shapes of their weights."""


@pytest.mark.parametrize(("name", "reference"), SMALL.items())
def test_outputs_are_torchvisions(name: str, reference: str) -> None:
    found = twin(load(name), f"torchvision:{reference}")
    assert (found.missing, found.extra, found.unequal) == ((), (), ())
    assert found.difference == 0.0


def test_shifted_windows_compute_what_torchvisions_do() -> None:
    found = twin(load("swin-t", batch=2), "torchvision:swin_t")
    assert (found.missing, found.extra, found.unequal) == ((), (), ())
    assert found.is_same


def test_the_networks_compared_depend_on_their_input() -> None:
    spec = load("efficientnet-b0")
    network = build(spec, "cpu").eval()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        randomise(network)
        settle(network, [random_input(spec, "image")])
        first, second = (network(random_input(spec, "image")) for _ in range(2))
    assert (first - second).abs().max() > 0.1 * first.std()


@pytest.mark.parametrize(("name", "reference"), LARGE.items())
def test_weights_have_torchvisions_names_and_shapes(name: str, reference: str) -> None:
    spec = load(name)
    with torch.device("meta"):
        theirs = reference_module(f"torchvision:{reference}", spec).state_dict()
    ours = build(spec).state_dict()
    assert {key: value.shape for key, value in ours.items()} == {
        key.lower(): value.shape for key, value in theirs.items()
    }
