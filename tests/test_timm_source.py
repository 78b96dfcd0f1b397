"""timm's networks by name: parameters as built on meta, and MACs equal to half of what torch's FlopCounterMode sees there."""

from __future__ import annotations

import builtins
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from archprof.cli import main
from archprof.errors import UserError
from archprof.pipeline import profile

timm = pytest.importorskip("timm", reason="timm is not installed")

FAMILIES = {
    "byobnet": "test_byobnet", "cait": "cait_xxs24_224", "convnext": "test_convnext", "cpubone": "cpubone_nano",
    "davit": "davit_tiny", "deit": "deit_tiny_patch16_224", "dla": "dla46x_c", "edgenext": "edgenext_xx_small",
    "efficientformer": "efficientformer_l1", "efficientnet": "test_efficientnet", "efficientvim": "efficientvim_m1",
    "efficientvit_mit": "efficientvit_b0", "ghostnet": "ghostnet_050", "hiera": "hiera_tiny_224",
    "mambaout": "test_mambaout", "maxxvit": "test_maxvit", "mobilenetv3": "mobilenetv3_small_050",
    "mlp_mixer": "gmlp_ti16_224", "mobilevit": "mobilevit_xxs", "nfnet": "test_nfnet", "pit": "pit_ti_224",
    "regnet": "regnetx_002", "resnest": "resnest14d", "resnet": "test_resnet", "swin_transformer_v2_cr": "swinv2_cr_tiny_224",
    "tiny_vit": "tiny_vit_5m_224", "vision_transformer": "test_vit", "vision_transformer_relpos": "test_vit_relpos",
    "volo": "volo_d1_224", "xception": "legacy_xception",
}  # fmt: skip
"""A network that is built fast, by its module in timm."""


def counted(name: str) -> tuple[int, int]:
    """Return the parameters of a network, and the MACs of a picture of its configuration's size, as torch counts both."""
    with torch.device("meta"):
        module = timm.create_model(name).eval().requires_grad_(requires_grad=False)
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    counter = FlopCounterMode(display=False)
    try:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), torch.device("meta"), counter:
            module(torch.empty(1, *module.pretrained_cfg["input_size"]))
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return sum(weight.numel() for weight in module.parameters()), counter.get_total_flops() // 2


@pytest.mark.parametrize("family", FAMILIES)
def test_counts_are_those_of_torch(family: str) -> None:
    name = FAMILIES[family]
    assert name in timm.list_models(module=family)
    found = profile(f"timm:{name}")
    assert (found.params, found.macs) == counted(name)
    assert (found.gaps, found.notes) == ([], ())


def test_the_vision_transformer_is_as_large_as_published() -> None:
    found = profile("timm:vit_base_patch16_224.augreg_in21k")  # a tag says which classes the weights know
    assert found.params == profile("timm:vit_base_patch16_224").params + (21_843 - 1000) * (768 + 1)
    # patches 196*768*768; 12 blocks of 12*768*768 a token and 2*197*768 for attention, at 197 tokens; the head
    assert found.macs == 196 * 768 * 768 + 12 * 197 * (12 * 768 * 768 + 2 * 197 * 768) + 768 * 21_843


def test_a_wish_is_followed() -> None:
    wish = {"batch": 2, "dtype": "bfloat16"}
    found = profile("timm:test_vit", settings={"num_classes": "10", "in_chans": "1", "img_size": "64"}, **wish)
    assert str(found.network.inputs[0].outputs[0]) == "2x1x64x64"
    assert str(found.network.ops[-1].outputs[0]) == "2x10"
    assert found.totals["param_bytes"] == 2 * found.params
    resized = profile("timm:test_resnet", {"x": [3, 96, 128]})
    assert str(resized.network.inputs[0].outputs[0]) == "1x3x96x128"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["timm:resnet5"], "timm has no model 'resnet5'; did you mean 'resnet50'?"),
        (["timm:resnet18.a1_in"], "timm has no model 'resnet18.a1_in'; did you mean 'resnet18.a1_in1k'?"),
        (["timm:hf-hub:timm/resnet18"], "timm has no model 'hf-hub:timm/resnet18'"),
        (["timm:test_resnet", "--input", "y=3x4x4"], "timm's 'test_resnet' has no input 'y': it is called 'x'"),
        (["timm:test_resnet", "--set", "num_clases=5"], "unexpected keyword argument 'num_clases'"),
        (["timm:test_resnet", "--set", "num_classes=five"], "there is nothing called 'five' here"),
        (["timm:test_resnet", "--set", "pretrained=true"], "is built without weights, so 'pretrained' cannot be set"),
        (["timm:test_resnet", "--set", "pretrained_cfg='x'"], "so 'pretrained_cfg' cannot be set"),
        (["timm:test_resnet", "--set", "checkpoint_path='x'"], "so 'checkpoint_path' cannot be set"),
        (["timm:test_resnet", "--set", "cache_dir='x'"], "so 'cache_dir' cannot be set"),
    ],
)
def test_a_mistake_is_told_in_one_line(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(main, ["show", *arguments])
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_without_timm_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refusing(name: str, *rest: Any) -> Any:
        if name == "timm":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refusing)
    with pytest.raises(UserError, match=r"timm is not installed: pip install 'archprof\[timm\]'"):
        profile("timm:resnet18")
