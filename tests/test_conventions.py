"""As others count: each convention gives, to the unit, what the tool itself gives for the same network.

ptflops counts with its default backend, which is `pytorch` in 0.7.5.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import nn
from torch.nn import functional

from archprof.cli import main
from archprof.conventions import CONVENTIONS, column
from archprof.errors import UnknownName
from archprof.meta import SkipInit
from archprof.pipeline import profile


def fvcore(module: nn.Module, x: torch.Tensor) -> float:
    from fvcore.nn import FlopCountAnalysis

    counts = FlopCountAnalysis(module, (x,))
    return counts.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total()


def torchinfo(module: nn.Module, x: torch.Tensor) -> float:
    import torchinfo

    return torchinfo.summary(module, input_data=x, verbose=0, mode="eval").total_mult_adds


def thop(module: nn.Module, x: torch.Tensor) -> float:
    import thop

    return thop.profile(module, (x,), verbose=False)[0]


def ptflops(module: nn.Module, x: torch.Tensor) -> float:
    import ptflops

    size = tuple(x.shape[1:])
    return ptflops.get_model_complexity_info(module, size, as_strings=False, print_per_layer_stat=False)[0]


TOOLS: dict[str, Callable[[nn.Module, torch.Tensor], float]] = {
    "fvcore": fvcore, "torchinfo": torchinfo, "thop": thop, "ptflops": ptflops,
}  # fmt: skip


def compare(module: nn.Module, *size: int, known: dict[str, int] | None = None) -> None:
    """Hold every convention against its tool; `known` has what ours is more, by tool, where a difference is known."""
    module.eval()
    network = profile(module, (1, *size)).network
    missing, ours, theirs = [], {}, {}
    for name, count in TOOLS.items():
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # they use what torch and Python call old
            try:
                importlib.import_module(name)
            except ImportError as error:
                missing.append(f"{name}: {error}")
                continue
            theirs[name] = count(module, torch.zeros(1, *size)) + (known or {}).get(name, 0)
            ours[name] = sum(column(network, name)[1])
    assert ours == theirs
    if missing:
        pytest.skip(f"cannot be imported: {', '.join(missing)}")


NETWORKS = {  # the smallest input, or nearly so
    **dict.fromkeys(
        [
            "resnet18",
            "resnet50",
            "resnext50_32x4d",
            "wide_resnet50_2",
            "vgg11_bn",
            "vgg16",
            "alexnet",
            "squeezenet1_0",
            "squeezenet1_1",
            "densenet121",
            "mobilenet_v2",
            "mobilenet_v3_small",
            "mobilenet_v3_large",
            "mnasnet0_5",
            "shufflenet_v2_x1_0",
            "googlenet",
            "efficientnet_b0",
            "efficientnet_v2_s",
            "convnext_tiny",
            "swin_t",
            "swin_v2_t",
            "regnet_y_400mf",
        ],
        (3, 64, 64),
    ),
    "inception_v3": (3, 75, 75),
    "vit_b_16": (3, 32, 32),
    "r3d_18": (3, 8, 32, 32),
    "maxvit_t": (3, 224, 224),
}

SETTINGS: dict[str, dict[str, Any]] = {
    "googlenet": {"init_weights": False},
    "inception_v3": {"init_weights": False},
    "vit_b_16": {"image_size": 32},
}

DIFFER = {
    # q @ k, and ptflops replaces torch.matmul but not @: windows x heads x 64 x 64 x 32, once a block of each stage
    "swin_v2_t": {"ptflops": 64 * 64 * 32 * (2 * 4 * 3 + 2 * 6 + 6 * 12 + 2 * 24)}
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_counts_as_the_tool_counts_it(name: str) -> None:
    models = pytest.importorskip("torchvision.models", reason="torchvision is not installed")
    with SkipInit():
        module = models.get_model_builder(name)(weights=None, **SETTINGS.get(name, {}))
    compare(module, *NETWORKS[name], known=DIFFER.get(name))


class Of(nn.Module):
    """A function of the input and of modules."""

    def __init__(self, function: Callable[..., torch.Tensor], *parts: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList([nn.Linear(4, 4), *parts])  # the first, which is never called, makes it a container

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x, *self.parts[1:])


def pools(count: int) -> nn.Module:
    kinds = (("AvgPool", 2), ("MaxPool", 2), ("AdaptiveMaxPool", 4), ("AdaptiveAvgPool", 3))
    return nn.Sequential(*(getattr(nn, f"{kind}{count}d")(size) for kind, size in kinds))


def first(x: torch.Tensor, part: nn.Module) -> torch.Tensor:
    return part(x)[0]


CASES: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "convolutions": (nn.Sequential(nn.Conv2d(8, 8, 3), nn.ConvTranspose2d(8, 4, 3, stride=2, groups=2)), (8, 7, 7)),
    "conv1d": (nn.Sequential(nn.Conv1d(8, 4, 3, bias=False)), (8, 15)),
    "padding in a word": (nn.Sequential(nn.Conv2d(8, 4, 3, padding="same")), (8, 5, 5)),
    "norms": (nn.Sequential(nn.GroupNorm(2, 8), nn.InstanceNorm2d(8), nn.InstanceNorm2d(8, affine=True),
                            nn.BatchNorm2d(8, affine=False), nn.LayerNorm([8, 6, 6]),
                            nn.LayerNorm(6, elementwise_affine=False)), (8, 6, 6)),
    "activations": (nn.Sequential(nn.PReLU(8), nn.ELU(), nn.LeakyReLU(), nn.GELU(), nn.SiLU(), nn.ReLU6(), nn.Softmax(1),
                                  nn.Softmax(-1), nn.Hardswish(), nn.Tanh(), nn.LogSoftmax(1)), (8, 6, 6)),
    **{f"pools, {count}d": (pools(count), (8, *(16,) * count)) for count in (1, 2, 3)},
    "pooling with places": (Of(first, nn.MaxPool2d(2, return_indices=True)), (8, 12, 12)),
    "upsampling": (nn.Sequential(nn.Upsample(scale_factor=2), nn.Upsample(scale_factor=2, mode="bilinear"),
                                 nn.Upsample(size=7, mode="bicubic"), nn.UpsamplingBilinear2d(9)), (8, 4, 4)),
    "lstm": (Of(first, nn.LSTM(8, 6, 2, batch_first=True, bidirectional=True)), (5, 8)),
    "gru": (Of(first, nn.GRU(8, 6, 2, batch_first=True, bias=False)), (5, 8)),
    "rnn": (Of(first, nn.RNN(8, 6, batch_first=True)), (5, 8)),
    "cells": (Of(lambda x, a, b, c: a(x) + b(x) + c(x)[0], nn.RNNCell(8, 6), nn.GRUCell(8, 6, bias=False),
                 nn.LSTMCell(8, 6)), (8,)),
    "attention with weights": (Of(lambda x, part: part(x, x, x)[0], nn.MultiheadAttention(8, 2, batch_first=True)), (5, 8)),
    "attention without": (Of(lambda x, part: part(x, x, x, need_weights=False)[0],
                             nn.MultiheadAttention(8, 2, batch_first=True, bias=False)), (5, 8)),
    "fused attention": (Of(lambda x: functional.scaled_dot_product_attention(x, x, x)), (2, 5, 8)),
    "products": (Of(lambda x: torch.matmul(x, x.transpose(1, 2)).bmm(x)), (5, 8)),
    "products and sums": (Of(lambda x: torch.addmm(x[0], x[0], torch.zeros(8, 8)) + torch.baddbmm(x, x, torch.zeros(1, 8, 8))),
                          (5, 8)),
    "einsum": (Of(lambda x: torch.einsum("bij,bkj->bik", x, x)), (5, 8)),
    "einsum, rounded": (Of(lambda x: torch.einsum("bij,bkj->bki", x, x)), (155, 87)),
    "einsum without a sum": (Of(lambda x: torch.einsum("bi,bj->bij", x, x)), (87,)),
    "linear of tokens": (nn.Sequential(nn.Linear(8, 6)), (5, 8)),
    "functions": (Of(lambda x: functional.softmax(functional.relu(functional.gelu(functional.silu(x))), -1) * functional.adaptive_avg_pool2d(x, 1) + functional.elu(x) - x),
                  (8, 4, 4)),
    "linear as a function": (Of(lambda x: functional.linear(x, torch.zeros(4, 8), torch.zeros(4))), (8,)),
    "sampling": (Of(lambda x: functional.grid_sample(x, torch.zeros(1, 3, 3, 2))), (8, 4, 4)),
    "moves": (nn.Sequential(nn.PixelShuffle(2), nn.ZeroPad2d(1), nn.Dropout(), nn.Flatten()), (8, 4, 4)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore:Default grid_sample")
def test_a_layer_counts_as_the_tool_counts_it(case: str) -> None:
    module, size = CASES[case]
    compare(module, *size)


@pytest.mark.parametrize(
    ("module", "size", "known"),
    [
        (Of(lambda x: x @ x.transpose(1, 2)), (5, 8), {"ptflops": 5 * 5 * 8}),
        (Of(lambda x: torch.add(x, x)), (5, 8), {"ptflops": -5 * 8}),
        (Of(lambda x: x.softmax(-1)), (5, 8), {"ptflops": 5 * 8}),
        # F.relu is an attribute of the layer, from before ptflops replaced it
        (nn.Sequential(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)), (5, 8), {"ptflops": 5 * 16}),
        # layer 2 reads 3 projections, and thop takes it to read 6 hidden units: 5 steps x 4 gates x 6 x 3 more
        (
            Of(first, nn.LSTM(8, 6, 2, batch_first=True, proj_size=3)),
            (5, 8),
            {"thop": -5 * 4 * 6 * 3},
        ),
    ],
    ids=["@", "torch.add", "method", "held function", "projection"],
)
def test_a_known_difference_is_what_is_said(module: nn.Module, size: tuple[int, ...], known: dict[str, int]) -> None:
    compare(module, *size, known=known)


# results/benchmark-infer-amp-nchw-pt240-cu124-rtx4090.csv of huggingface/pytorch-image-models, column infer_gmacs
@pytest.mark.parametrize(
    ("name", "settings", "gmacs"),
    [
        ("resnet50", {}, 4.11),
        ("resnext50_32x4d", {}, 4.26),
        ("vgg11", {}, 7.61),
        ("vgg11_bn", {}, 7.62),
        ("densenet121", {}, 2.87),
        ("inception_v3", {}, 5.73),
        ("convnext_tiny", {}, 4.47),
        ("vit_b_32", {"image_size": "384"}, 13.06),
    ],
)
def test_timm_printed_this(name: str, settings: dict[str, str], gmacs: float) -> None:
    pytest.importorskip("torchvision", reason="torchvision is not installed")
    size = {"x": [3, 224, 224]} if name == "convnext_tiny" else {}
    found = profile(f"torchvision:{name}", size, settings=settings, convention="timm")
    assert found.totals["timm"] / 1e9 == pytest.approx(gmacs, abs=0.0051)


@pytest.mark.parametrize("name", ["fvcore", "thop", "ptflops", "torchinfo"])
def test_a_spec_counts_as_its_twin(name: str) -> None:
    pytest.importorskip("torchvision", reason="torchvision is not installed")
    assert (
        profile("resnet50", convention=name).totals[name]
        == profile("torchvision:resnet50", convention=name).totals[name]
    )


def test_what_nobody_knows_stays_unknown(profiled) -> None:
    found = profiled("gap", convention="fvcore")
    unknown = [number for number, value in enumerate(found.values["macs"]) if value is None]
    assert unknown
    assert [number for number, value in enumerate(found.values["fvcore"]) if value is None] == unknown


def test_a_convention_stands_in_place_of_macs() -> None:
    run = CliRunner().invoke
    assert "thop" in run(main, ["show", "lenet5", "--as", "thop", "--format", "markdown"]).output.splitlines()[0]
    table = run(main, ["show", "lenet5", "--as", "fvcore", "--format", "table"]).output
    assert "share of fvcore" in table
    assert "share of macs" not in table
    heads = run(main, ["compare", "lenet5", "--as", "torchinfo", "--format", "csv"]).output.splitlines()[0]
    assert heads == "model,params,torchinfo,flops,activation_bytes,param_bytes,ops,gaps"


@pytest.mark.parametrize("options", [["--as", "thop"], ["--metric", "thop"]])
def test_a_diagram_is_coloured_by_a_convention(tmp_path, options: list[str]) -> None:
    path = tmp_path / "x.dot"
    assert CliRunner().invoke(main, ["draw", "lenet5", "-o", str(path), *options]).exit_code == 0
    assert "thop" in path.read_text()


def test_an_unknown_convention_is_a_mistake_in_one_line() -> None:
    with pytest.raises(UnknownName, match="there is no convention 'fvcor'; did you mean 'fvcore'"):
        profile("lenet5", convention="fvcor")


def test_conventions_are_listed_with_their_differences() -> None:
    text = " ".join(CliRunner().invoke(main, ["list", "conventions"]).output.split())
    assert all(name in text for name in CONVENTIONS)
    assert "multiply" not in text
    assert all(entry.about and "=" in entry.about for entry in CONVENTIONS.values())
