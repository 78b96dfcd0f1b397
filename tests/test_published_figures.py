"""The classic networks layer by layer, against figures that were printed before archprof was."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest

from archprof.pipeline import profile

if TYPE_CHECKING:
    from archprof.result import Profile

profiled = functools.cache(profile)


def at(network: str, *paths: str) -> dict[str, int]:
    """Return params, MACs and connections of the steps at these paths together."""
    found: Profile = profiled(network)
    ops = [number for path in paths for number in found.ops_at(path)]
    return {column: found.total(column, ops) for column in ("params", "macs", "connections")}


def shape_at(network: str, path: str) -> list[int]:
    """Return the shape a step gives out, the batch left out."""
    found = profiled(network)
    return list(found.network.ops[found.ops_at(path)[-1]].outputs[0].shape[1:])


# LeCun et al. 1998, Proc. IEEE 86(11), section II-B: (layer, output, trainable parameters, connections).
LENET5 = [
    ("c1", [6, 28, 28], 156, 122_304),
    ("s2", [6, 14, 14], 12, 5_880),
    ("c3", [16, 10, 10], 1_516, 151_600),
    ("s4", [16, 5, 5], 32, 2_000),
    ("c5", [120, 1, 1], 48_120, 48_120),
    ("f6", [84], 10_164, 10_164),
    ("output", [10], 0, 840),
]


@pytest.mark.parametrize(("layer", "shape", "params", "connections"), LENET5)
def test_lenet5_counts_as_the_paper(layer: str, shape: list[int], params: int, connections: int) -> None:
    assert shape_at("lenet5-1998", layer) == shape
    assert at("lenet5-1998", layer)["params"] == params
    assert at("lenet5-1998", layer)["connections"] == connections


def test_lenet5_totals_are_the_papers() -> None:
    totals = profiled("lenet5-1998").totals
    assert (totals["params"], totals["connections"]) == (60_000, 340_908)


# Krizhevsky et al. 2012: output sizes of one GPU in the paper's Figure 2; parameters and multiply-adds of both GPUs per
# layer, as commonly published for Caffe's grouped model (sums 60,965,224 and 724,406,816).
ALEXNET = [
    (("lower1.conv1", "lower2.conv1"), [48, 55, 55], 34_944, 105_415_200),
    (("lower1.conv2", "lower2.conv2"), [128, 27, 27], 307_456, 223_948_800),
    (("upper1.conv3", "upper2.conv3"), [192, 13, 13], 885_120, 149_520_384),
    (("upper1.conv4", "upper2.conv4"), [192, 13, 13], 663_936, 112_140_288),
    (("upper1.conv5", "upper2.conv5"), [128, 13, 13], 442_624, 74_760_192),
    (("fc6",), [4096], 37_752_832, 37_748_736),
    (("fc7",), [4096], 16_781_312, 16_777_216),
    (("fc8",), [1000], 4_097_000, 4_096_000),
]


@pytest.mark.parametrize(("paths", "shape", "params", "macs"), ALEXNET)
def test_alexnets_towers_count_as_groups(paths: tuple[str, ...], shape: list[int], params: int, macs: int) -> None:
    assert [shape_at("alexnet", path) for path in paths] == [shape] * len(paths)
    assert at("alexnet", *paths)["params"] == params
    assert at("alexnet", *paths)["macs"] == macs


# pytorch-summary's README (sksq96), VGG-16: (layer, output, parameters), in torchvision's names.
VGG16 = [
    ("features.0", [64, 224, 224], 1_792),
    ("features.2", [64, 224, 224], 36_928),
    ("features.4", [64, 112, 112], 0),
    ("features.5", [128, 112, 112], 73_856),
    ("features.7", [128, 112, 112], 147_584),
    ("features.10", [256, 56, 56], 295_168),
    ("features.12", [256, 56, 56], 590_080),
    ("features.14", [256, 56, 56], 590_080),
    ("features.17", [512, 28, 28], 1_180_160),
    ("features.19", [512, 28, 28], 2_359_808),
    ("features.21", [512, 28, 28], 2_359_808),
    ("features.24", [512, 14, 14], 2_359_808),
    ("features.26", [512, 14, 14], 2_359_808),
    ("features.28", [512, 14, 14], 2_359_808),
    ("features.30", [512, 7, 7], 0),
    ("classifier.0", [4096], 102_764_544),
    ("classifier.3", [4096], 16_781_312),
    ("classifier.6", [1000], 4_097_000),
]


@pytest.mark.parametrize(("layer", "shape", "params"), VGG16)
def test_vgg16_has_the_published_layers(layer: str, shape: list[int], params: int) -> None:
    assert shape_at("vgg16", layer) == shape
    assert at("vgg16", layer)["params"] == params


# Simonyan and Zisserman 2014, arXiv:1409.1556, Table 2: millions of parameters of networks A, B, D and E.
@pytest.mark.parametrize(("name", "millions"), [("vgg11", 133), ("vgg13", 133), ("vgg16", 138), ("vgg19", 144)])
def test_vggs_have_the_papers_millions(name: str, millions: int) -> None:
    assert round(profiled(name).params / 1e6) == millions


# Szegedy et al. 2015, arXiv:1409.4842, Table 1: (row, steps, output, millions of multiply-adds as printed, exact number
# from the printed channels). The first row and inception 5a are printed wrong (34 and 54), and left out here.
GOOGLENET = [
    ("convolution 7x7", ("conv1",), [64, 112, 112], None, 118_013_952),
    ("convolution 3x3", ("conv2", "conv3"), [192, 56, 56], 360, 359_661_568),
    ("inception (3a)", ("inception3a",), [256, 28, 28], 128, 128_049_152),
    ("inception (3b)", ("inception3b",), [480, 28, 28], 304, 304_267_264),
    ("inception (4a)", ("inception4a",), [512, 14, 14], 73, 73_608_192),
    ("inception (4b)", ("inception4b",), [512, 14, 14], 88, 87_908_352),
    ("inception (4c)", ("inception4c",), [512, 14, 14], 100, 99_850_240),
    ("inception (4d)", ("inception4d",), [528, 14, 14], 119, 118_515_712),
    ("inception (4e)", ("inception4e",), [832, 14, 14], 170, 169_996_288),
    ("inception (5a)", ("inception5a",), [832, 7, 7], None, 51_079_168),
    ("inception (5b)", ("inception5b",), [1024, 7, 7], 71, 70_697_984),
    ("linear", ("fc",), [1000], 1, 1_024_000),
]


@pytest.mark.parametrize(("row", "paths", "shape", "printed", "macs"), GOOGLENET)
def test_googlenets_rows_are_the_papers(
    row: str, paths: tuple[str, ...], shape: list[int], printed: int | None, macs: int
) -> None:
    assert shape_at("googlenet", paths[-1]) == shape, row
    assert at("googlenet", *paths)["macs"] == macs
    if printed is not None:
        assert macs / 1e6 == pytest.approx(printed, rel=0.025)


# The same table's column "params", in units of 1,024 weights without biases, where it agrees with the printed channels.
@pytest.mark.parametrize(
    ("step", "thousands", "biases"),
    [("inception3a", 159, 368), ("inception3b", 380, 640), ("inception4a", 364, 624), ("inception4b", 437, 648)],
)
def test_googlenets_weights_are_the_papers(step: str, thousands: int, biases: int) -> None:
    assert (at("googlenet", step)["params"] - biases) / 1024 == pytest.approx(thousands, rel=0.01)


# Lin et al. 2013, arXiv:1312.4400: layers of the authors' published models; weights and multiply-adds by hand.
NIN = [
    ("nin-cifar10", "mlpconv1.conv", [192, 32, 32], 14_592, 14_745_600),
    ("nin-cifar10", "mlpconv1.cccp1", [160, 32, 32], 30_880, 31_457_280),
    ("nin-cifar10", "mlpconv1.cccp2", [96, 32, 32], 15_456, 15_728_640),
    ("nin-cifar10", "mlpconv2.conv", [192, 16, 16], 460_992, 117_964_800),
    ("nin-cifar10", "mlpconv2.cccp1", [192, 16, 16], 37_056, 9_437_184),
    ("nin-cifar10", "mlpconv3.conv", [192, 8, 8], 331_968, 21_233_664),
    ("nin-cifar10", "mlpconv3.cccp2", [10, 8, 8], 1_930, 122_880),
    ("nin-imagenet", "mlpconv1.conv", [96, 54, 54], 34_944, 101_616_768),
    ("nin-imagenet", "mlpconv2.conv", [256, 27, 27], 614_656, 447_897_600),
    ("nin-imagenet", "mlpconv3.conv", [384, 13, 13], 885_120, 149_520_384),
    ("nin-imagenet", "mlpconv4.conv", [1024, 6, 6], 3_539_968, 127_401_984),
    ("nin-imagenet", "mlpconv4.cccp2", [1000, 6, 6], 1_025_000, 36_864_000),
]


@pytest.mark.parametrize(("network", "layer", "shape", "params", "macs"), NIN)
def test_nin_has_the_published_layers(network: str, layer: str, shape: list[int], params: int, macs: int) -> None:
    assert shape_at(network, layer) == shape
    assert at(network, layer)["params"] == params
    assert at(network, layer)["macs"] == macs


# He et al. 2015, arXiv:1512.03385: billions of multiply-adds of Table 1 and section 3.3, where bottlenecks have their
# stride in the first 1x1.
@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("plain34", 3.6),
        ("resnet18", 1.8),
        ("resnet34", 3.6),
        ("resnet50-v1", 3.8),
        ("resnet101-v1", 7.6),
        ("resnet152-v1", 11.3),
    ],
)
def test_resnets_need_the_papers_multiply_adds(name: str, billions: float) -> None:
    assert profiled(name).macs / 1e9 == pytest.approx(billions, rel=0.02)


# torchvision's metadata: parameters and billions of multiply-adds of the same networks, stride in the 3x3.
@pytest.mark.parametrize(
    ("name", "params", "billions"),
    [
        ("resnet18", 11_689_512, 1.814),
        ("resnet34", 21_797_672, 3.664),
        ("resnet50", 25_557_032, 4.089),
        ("resnet101", 44_549_160, 7.801),
        ("resnet152", 60_192_808, 11.514),
    ],
)
def test_resnets_have_torchvisions_figures(name: str, params: int, billions: float) -> None:
    assert profiled(name).params == params
    assert round(profiled(name).macs / 1e9, 3) == billions


# Table 1's output sizes, and Table 6's millions of parameters for CIFAR-10 with the exact counts of re-implementations.
@pytest.mark.parametrize(
    ("layer", "size"), [("conv1", 112), ("layer1", 56), ("layer2", 28), ("layer3", 14), ("layer4", 7)]
)
@pytest.mark.parametrize("name", ["plain34", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152"])
def test_resnets_stages_have_the_papers_sizes(name: str, layer: str, size: int) -> None:
    assert shape_at(name, layer)[1:] == [size, size]


@pytest.mark.parametrize(
    ("depth", "millions", "params"),
    [(20, 0.27, 269_722), (32, 0.46, 464_154), (44, 0.66, 658_586), (56, 0.85, 853_018), (110, 1.7, 1_727_962)],
)
def test_cifar_resnets_have_the_papers_parameters(depth: int, millions: float, params: int) -> None:
    assert profiled(f"resnet{depth}").params == profiled(f"plain{depth}").params == params
    assert params / 1e6 == pytest.approx(millions, rel=0.02)


def test_the_inception_bottleneck_saves_nine_tenths() -> None:
    # Andrew Ng, "Convolutional Neural Networks" (Coursera), week 2: 120M and 12.4M multiplications.
    assert profiled("inception-direct").macs == 120_422_400
    assert profiled("inception-bottleneck").macs == 2_408_448 + 10_035_200
