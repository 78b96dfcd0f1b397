"""What if blocks were checkpointed: which ones a name or pattern means, and what comes of it."""

from __future__ import annotations

import pytest
from torch import nn
from torch.utils.checkpoint import checkpoint

import archprof
from archprof.cli import main
from archprof.devices import Device


class Stack(nn.Module):
    """Four blocks of 8 -> 64 -> 8, of which those in `again` are checkpointed by the model itself."""

    def __init__(self, again=()):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(8, 64), nn.GELU(), nn.Linear(64, 8)) for _ in range(4))
        self.again = again

    def forward(self, x):
        for number, block in enumerate(self.blocks):
            x = checkpoint(block, x, use_reentrant=False) if number in self.again else block(x)
        return x


def asked(which, again=()):
    return archprof.memory(Stack(again), (256, 8), train="sgd", checkpoint=which)


@pytest.mark.parametrize(
    ("which", "numbers"),
    [
        ("blocks.2", [2]),
        (["blocks.3", "blocks.1"], [1, 3]),
        ("blocks.[02]", [0, 2]),
        (["blocks.*"], [0, 1, 2, 3]),
        ("*.1", [1]),
        (2, [0, 1]),
    ],
)
def test_named_blocks_do_what_a_model_does_that_checkpoints_them(which, numbers):
    found, done = asked(which), asked(0, numbers)
    assert found.training.timeline == done.training.timeline
    assert found.saved_for_backward == done.saved_for_backward


def test_what_is_no_block_may_be_checkpointed_too_the_outermost_of_several():
    whole, part = asked(["blocks.1.1", "blocks.1"]), asked("blocks.1.1")  # the latter: GELU alone
    assert whole.saved_for_backward == asked("blocks.1").saved_for_backward
    # its checkpoint holds GELU's input in place of GELU, and the layer behind it needs its output: nothing is freed
    assert part.saved_for_backward == asked(0).saved_for_backward
    assert part.peak_bytes == asked(0).peak_bytes


def test_torchvisions_stages_are_meant_by_patterns():
    plain, by_name, by_number = (
        archprof.memory("torchvision:resnet18", train="sgd", checkpoint=which) for which in (0, "layer[12].*", 4)
    )
    assert by_name.blocks[:4] == ("layer1.0", "layer1.1", "layer2.0", "layer2.1")
    assert by_name.training.timeline == by_number.training.timeline
    assert by_name.peak_bytes < plain.peak_bytes


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ("layer9*", "torchvision:resnet18 has no block or module 'layer9*' to checkpoint"),
        ("layer4.0,layr4.1", "has no block or module 'layr4.1' to checkpoint; did you mean 'layer4.1'?"),
        ("9", "torchvision:resnet18 has 8 blocks to checkpoint, not 9"),
        (",", "',' is neither a number of blocks nor names of some"),
    ],
)
def test_what_names_nothing_is_told_in_one_line(which, message, capfd):
    with pytest.raises(SystemExit) as caught:
        main(["memory", "torchvision:resnet18", "--train", "sgd", "--checkpoint", which])
    assert caught.value.code == 2
    assert message in capfd.readouterr().err
    with pytest.raises(archprof.UserError, match="has 4 blocks to checkpoint, not -1"):
        asked(-1)


def test_blocks_that_free_most_for_what_they_do_again_are_advised_first():
    class Uneven(nn.Module):
        def __init__(self):
            super().__init__()
            deep = (
                nn.Sequential(nn.Linear(8, 16), *(nn.GELU() for _ in range(n)), nn.Linear(16, 8)) for n in (1, 8, 8)
            )
            self.blocks = nn.Sequential(*deep)

        def forward(self, x):
            return self.blocks(x)

    peaks = {which: archprof.memory(Uneven(), (4096, 8), train="sgd", foreach=True, checkpoint=which).peak_bytes
             for which in (0, "blocks.0", "blocks.1")}  # fmt: skip
    assert peaks["blocks.1"] < min(peaks[0], peaks["blocks.0"])
    small = Device("Small", {"float32": 1e12}, 1e11, memory_bytes=peaks["blocks.1"])
    advice = archprof.memory(Uneven(), (4096, 8), train="sgd", on=small).fit.changes
    change = next(change for change in advice if "checkpointing" in change.what)
    # all blocks have two layers of 8 x 16 weights, so one of them is a third of the multiply-accumulates
    assert change.what == "checkpointing blocks.1 (1 of 3 blocks, 33% of the forward pass again)"
    assert (change.peak_bytes, change.does_fit) == (peaks["blocks.1"], True)


@pytest.mark.parametrize("which", [3, "layer3*", ["layer2", "layer4.1"]])
def test_blocks_of_a_spec_run_again_as_modules_do(which):
    spec, module = (
        archprof.memory(name, train="sgd", batch=2, checkpoint=which) for name in ("resnet18", "torchvision:resnet18")
    )
    assert spec.blocks == module.blocks
    assert spec.saved_for_backward == module.saved_for_backward
    assert spec.peak_bytes == module.peak_bytes
    # gradients of what comes behind a block that ran again are not taken for its own
    paths = {block.path for block in spec.training.blocks if block.kind == "temporaries"}
    assert "layer1.0.conv1" in paths
