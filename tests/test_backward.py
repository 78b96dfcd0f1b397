"""The backward pass: by hand for single layers, and against torch's counter on a real backward pass for whole networks."""

from __future__ import annotations

import pytest
import torch
from click.testing import CliRunner
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own alias
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import archprof
from archprof.cli import main
from archprof.errors import UnknownName


def backward_macs(module: nn.Module, *inputs: object) -> list[int]:
    return list(archprof.profile(module, list(inputs), optimizer="sgd").values["backward_macs"])


def test_the_first_layer_needs_no_gradient_of_its_input() -> None:
    net = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
    # first: its weights alone, 3*8*4; second: weights and input, 2 * 3*4*2
    assert backward_macs(net, (3, 8)) == [96, 0, 48]


def test_frozen_layers_pass_the_gradient_on_or_end_it() -> None:
    net = nn.Sequential(nn.Linear(8, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    net[1].requires_grad_(False)
    assert backward_macs(net, (3, 8)) == [96, 48, 48]  # the middle one's input only: 3*4*4
    net[0].requires_grad_(False)
    assert backward_macs(net, (3, 8)) == [0, 0, 24]  # nothing below wants any: 3*4*2 for the weights


def test_a_grouped_convolution_costs_twice_its_forward_pass() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, padding=1, groups=8))
    # 1x1: 5*5*3*8 = 600 for its weights; depthwise: 5*5*8*9 = 1800, for weights and input
    assert backward_macs(net, (1, 3, 5, 5)) == [600, 3600]


def test_a_transposed_convolution_costs_twice_its_forward_pass() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ConvTranspose2d(8, 4, 2, stride=2))
    assert backward_macs(net, (1, 3, 5, 5)) == [600, 2 * 5 * 5 * 8 * 4 * 4]


def test_attention_has_four_products_where_forward_has_two() -> None:
    class Attend(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            return F.scaled_dot_product_attention(q * self.scale, k * self.scale, v * self.scale)

    shape = (1, 2, 10, 16)
    # forward 2 * 2 heads*10*10*16 = 6400
    assert sum(backward_macs(Attend(), shape, shape, shape)) == 2 * 6400


def test_what_is_detached_or_leads_nowhere_has_no_backward_pass() -> None:
    class Partly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = (nn.Linear(4, 4) for _ in range(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.c(x)
            return self.b(self.a(x).detach())

    found = archprof.profile(Partly(), (1, 4), optimizer="sgd")
    costs = dict(zip([op.path for op in found.network.ops], found.values["backward_macs"], strict=True))
    assert (costs["a"], costs["b"], costs["c"]) == (0, 16, 0)


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "vit_b_32", "swin_t", "squeezenet1_1", "vgg11_bn"])
def test_networks_equal_a_real_backward_pass_on_meta(name: str) -> None:
    models = pytest.importorskip("torchvision.models", reason="torchvision is not installed")
    with torch.device("meta"):
        module = models.get_model(name, weights=None).eval()
    picture = torch.empty(2, 3, 224, 224, device="meta")
    with sdpa_kernel(SDPBackend.MATH):
        out = module(picture)
        with FlopCounterMode(display=False) as counter:
            out.sum().backward()
    found = archprof.profile(module, picture, optimizer="adamw")
    assert found.totals["backward_macs"] == counter.get_total_flops() // 2
    assert None not in found.values["backward_macs"]


def test_the_optimizers_step_is_counted_per_parameter() -> None:
    net = nn.Linear(8, 4)
    # AdamW: decay 1; first moment, a lerp of 3; second moment, 1 and an addcmul of 3; root, quotient and eps 3; step 3
    for name, per_parameter in (("sgd", 2), ("adamw", 14)):
        assert archprof.profile(net, (1, 8), optimizer=name).totals["optimizer_flops"] == per_parameter * 36
    with pytest.raises(UnknownName, match="there is no optimizer 'adamm'; did you mean 'adam"):
        archprof.profile(net, (1, 8), optimizer="adamm")


def test_the_table_shows_it() -> None:
    arguments = [
        "show",
        "inception-bottleneck",
        "--backward",
        "--format",
        "csv",
        "--columns",
        "backward_macs,optimizer_flops",
    ]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0
    # the reduction wants only its weights' gradient, the 5x5 convolution both: 2,408,448 + 2 * 10,035,200
    lines = [line.split(",")[-2] for line in result.stdout.splitlines()]
    assert lines[0] == "backward_macs"
    assert sum(map(int, lines[1:])) == 2_408_448 + 2 * 10_035_200
