"""torchvision's own networks: exact parameters, and MACs equal to its metadata to the three decimals it prints."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch.utils.flop_counter import FlopCounterMode

import archprof
from archprof.cli import main
from archprof.errors import UserError
from archprof.pipeline import profile

models = pytest.importorskip("torchvision.models", reason="torchvision is not installed")

CLASSIFICATION = [name for name in models.list_models(module=models) if not name.startswith("regnet")]
REGNET = ["regnet_y_400mf", "regnet_x_800mf"]  # built on the CPU, so two will do
VIDEO = models.list_models(module=models.video)
QUANTISED = models.list_models(module=models.quantization)
SEGMENTATION = models.list_models(module=models.segmentation)


def published(name: str, size: int) -> dict[str, float]:
    """Return the metadata of the network's weights that were trained with pictures of this size."""
    for weights in models.get_model_weights(name):
        crop = weights.transforms.keywords.get("crop_size", size)
        if size in (crop, *(crop if isinstance(crop, (tuple, list)) else [])):
            return weights.meta
    raise AssertionError(name)


@pytest.mark.parametrize("name", [*CLASSIFICATION, *REGNET, *VIDEO, *QUANTISED])
def test_counts_are_those_of_the_metadata(name: str) -> None:
    found = profile(f"torchvision:{name}")
    meta = published(name, found.network.inputs[0].outputs[0].shape[-1])
    # googlenet's figure leaves out its auxiliary heads: convolution 512 (528) x 128, its norm, two dense layers with biases
    heads = (512 + 528) * 128 + 2 * (256 + 2048 * 1024 + 1024 + 1024 * 1000 + 1000) if name.endswith("googlenet") else 0
    assert found.params - heads == meta["num_params"]
    assert found.macs / 1e9 == pytest.approx(meta["_ops"], abs=0.00051)
    assert found.gaps == []


@pytest.mark.parametrize("name", SEGMENTATION)
def test_segmentation_counts_with_the_auxiliary_head_of_the_weights(name: str) -> None:
    settings = {} if name.startswith("lraspp") else {"aux_loss": "true"}
    found = profile(f"torchvision:{name}", settings=settings)
    meta = published(name, 520)
    assert found.params == meta["num_params"]
    assert found.macs / 1e9 == pytest.approx(meta["_ops"], abs=0.00051)


def test_a_spec_and_its_twin_are_counted_alike() -> None:
    ours, theirs = profile("resnet50"), profile("torchvision:resnet50")
    assert ours.totals == theirs.totals
    assert [op.kind for op in ours.network.ops] == [op.kind for op in theirs.network.ops]


def test_modules_give_ops_their_paths() -> None:
    network = profile("torchvision:resnet18").network
    assert [op.path for op in network.ops[:8]] == [
        "conv1", "bn1", "relu", "maxpool", "layer1.0.conv1", "layer1.0.bn1", "layer1.0.relu", "layer1.0.conv2",
    ]  # fmt: skip
    assert network.producers("layer1.0.add") == ["layer1.0.bn2", "maxpool"]
    assert network.modules["layer1.0"] == "BasicBlock"


def test_a_wish_is_followed() -> None:
    found = profile(
        "torchvision:resnet18", {"x": [3, 64, 64]}, batch=2, dtype="bfloat16", settings={"num_classes": "10"}
    )
    assert str(found.network.inputs[0].outputs[0]) == "2x3x64x64"
    assert found.params == 11_181_642  # 11,689,512 - 513,000 + 512 * 10 + 10
    assert found.totals["param_bytes"] == 2 * 11_181_642


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["torchvision:resnet5"], "torchvision has no model 'resnet5'; did you mean 'resnet50'?"),
        (["torchvision:resnet18", "--input", "y=3x4x4"], "has no input 'y': it is called 'x'"),
        (
            ["torchvision:resnet18", "--input", "x=4x64x64"],
            "torchvision:resnet18 fails in conv1 (Conv2d), conv2d of 1x4x64x64 and 64x3x7x7: Invalid channel dimensions",
        ),
        (["torchvision:resnet18", "--set", "num_clases=5"], "unexpected keyword argument 'num_clases'"),
        (["torchvision:resnet18", "--set", "num_classes=five"], "there is nothing called 'five' here"),
        (
            ["torchvision:resnet18", "--set", "num_classes=-1"],
            "the model cannot be built: Trying to create tensor with negative dimension -1",
        ),
        (
            ["torchvision:resnet18", "--set", "weights='DEFAULT'"],
            "is built without weights, so 'weights' cannot be set",
        ),
    ],
)
def test_a_mistake_is_told_in_one_line(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(main, ["show", *arguments])
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"batch": 0}, "a batch is a whole number, 1 or more, not 0"),
        ({"dtype": "int8"}, "there is no dtype 'int8' for weights"),
        ({"settings": {"num_classes": 10}}, "settings are expressions, written as text"),
    ],
)
def test_a_wish_that_no_model_can_have_is_refused(wish: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        profile("torchvision:resnet18", **wish)


def test_a_detector_runs_on_the_cpu_and_says_so() -> None:
    found = profile("torchvision:ssdlite320_mobilenet_v3_large", {"images": [3, 160, 160]})
    meta = models.get_model_weights("ssdlite320_mobilenet_v3_large")["COCO_V1"].meta
    assert found.params == meta["num_params"]
    assert found.macs / 1e9 == pytest.approx(meta["_ops"], abs=0.00051)  # pictures are made 320x320, whatever they are
    assert found.gaps == []
    assert found.notes[0].startswith("run on the CPU, since it looks at its data")


def test_a_detector_costs_what_torchs_counter_says_on_the_same_pictures() -> None:
    module = models.get_model("fasterrcnn_mobilenet_v3_large_320_fpn", weights=None, weights_backbone=None).eval()
    picture = torch.rand(3, 200, 300)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module([picture])
    assert archprof.profile(module, [[picture]]).macs == counter.get_total_flops() // 2


@pytest.mark.parametrize("name", ["raft_small", "raft_large"])
def test_optical_flow_takes_two_pictures(name: str) -> None:
    found, meta = profile(f"torchvision:{name}"), models.get_model_weights(name)["DEFAULT"].meta
    assert [op.name for op in found.network.inputs] == ["image1", "image2"]
    assert found.params == meta["num_params"]
    assert found.macs / 1e9 == pytest.approx(meta["_ops"], abs=0.00051)  # for pictures of 512x512
    assert found.gaps == []
