"""Memory op by op, as columns of a profile: worked out by hand, and adding up to what `memory` says of the whole."""

from __future__ import annotations

import json

import pytest
import torch
from click.testing import CliRunner
from torch import nn

import archprof
from archprof.cli import main
from archprof.errors import ModelError, UserError

BATCH = 4


class Toy(nn.Module):
    """8 -> 16 -> 2; all sizes below are of float32, 4 bytes."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(8, 16, bias=False), nn.Linear(16, 2, bias=False)

    def forward(self, x):
        return self.second(torch.relu(self.first(x)) + 1)


def test_every_op_of_a_toy_has_what_the_hand_says():
    found = archprof.profile(Toy(), (BATCH, 8)).with_memory()
    there = 4 * (BATCH * 8 + 8 * 16 + 16 * 2)
    hidden, out = 4 * BATCH * 16, 4 * BATCH * 2
    assert [op.kind for op in found.network.ops] == ["linear", "relu", "add", "linear"]
    # relu keeps its own output, the sum none, the second layer its input, which is the sum; the first layer keeps the input
    assert found.values["saved_bytes"] == [0, hidden, hidden, 0]
    assert found.outside["saved_bytes"] == 4 * BATCH * 8
    assert found.totals["saved_bytes"] == 2 * hidden + 4 * BATCH * 8
    # the network's input and weights are there; beside what an op makes, what it reads
    assert found.values["live_bytes"] == [there + hidden, there + 2 * hidden, there + 2 * hidden, there + hidden + out]
    assert found.totals["live_bytes"] == there + 2 * hidden


@pytest.mark.parametrize(
    "model",
    [
        "lenet5",
        "resnet50",
        "torchvision:resnet18",
        "torchvision:vit_b_16",
        "torchvision:googlenet",
        "timm:convnext_atto",
    ],
)
def test_columns_add_up_to_the_memory_of_the_whole(model):
    found = archprof.profile(model).with_memory()
    whole = archprof.memory(model, train="sgd")
    assert found.totals["saved_bytes"] == whole.saved_for_backward
    # no op of these holds more while it runs than when it ends
    assert found.totals["live_bytes"] == whole.inference.peak_bytes
    assert None not in found.values["saved_bytes"]


def test_a_model_that_looks_at_its_data_is_run_on_the_cpu():
    class Looking(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(8, 16)

        def forward(self, x):
            x = self.linear(x)
            return x if float(x.sum()) > 1e9 else torch.relu(x)

    found = archprof.profile(Looking(), (4, 8)).with_memory()
    assert found.values["saved_bytes"][found.network.ops.index(found.network["relu"])] == 4 * 16 * 4


def test_what_runs_in_training_alone_is_told():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(8, 16)

        def forward(self, x):
            x = self.linear(x)
            return x * torch.rand_like(x) if self.training else x

    found = archprof.profile(Noisy(), (4, 8)).with_memory()
    assert found.totals["saved_bytes"] == 4 * 8 * 4 + 4 * 16 * 4  # the input, and the noise
    assert "256 of saved_bytes belong to ops that run in training alone" in found.notes


class Argmax(Toy):
    def forward(self, x):
        return super().forward(x).argmax(-1)


class Asserting(Toy):
    def forward(self, x, targets=None):
        torch._assert(targets is not None or not self.training, "no targets")
        return super().forward(x)


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (Argmax(), "it cannot be trained: none of its outputs has a gradient"),
        (nn.Sequential(nn.ReLU()), "it cannot be trained: it has no parameters that are"),
        (Asserting(), "Asserting fails in training: AssertionError: no targets"),
    ],
)
def test_what_cannot_be_trained_keeps_an_unknown_amount_and_says_why(model, why):
    found = archprof.profile(model, (BATCH, 8)).with_memory()
    assert set(found.values["saved_bytes"]) == {None}
    assert f"saved_bytes are not known: {why}" in found.notes
    assert None not in found.values["live_bytes"]
    with pytest.raises(UserError, match=why):
        archprof.memory(model, (BATCH, 8), train="sgd")
    assert archprof.memory(model, (BATCH, 8)).peak_bytes >= 4 * BATCH * 8


def test_a_model_that_fails_says_where_as_its_profile_does():
    class Wrong(Toy):
        def forward(self, x):
            return self.second(self.first(x)[:, :9])

    with pytest.raises(ModelError, match=r"Wrong fails in second \(Linear\), linear of 4x9 and 2x16"):
        archprof.memory(Wrong(), (BATCH, 8), train="sgd")


def test_the_table_the_document_the_list_and_the_picture_have_them(tmp_path):
    def said(*words):
        result = CliRunner().invoke(main, [*words])
        assert result.exit_code == 0, result.output
        return result.stdout

    rows = said("show", "lenet5", "--columns", "saved_bytes,live_bytes", "--format", "tsv").splitlines()
    assert rows[0].split("\t")[-2:] == ["saved_bytes", "live_bytes"]
    document = json.loads(said("show", "lenet5", "--columns", "saved_bytes", "--format", "json"))
    assert document["columns"]["saved_bytes"]["unit"] == "bytes"
    assert document["totals"]["saved_bytes"] == archprof.memory("lenet5", train="sgd").saved_for_backward
    assert "saved_bytes" not in said("show", "lenet5", "--format", "tsv")
    assert "saved_bytes" in said("list", "analyses")
    picture = tmp_path / "x.dot"
    said("draw", "lenet5", "--metric", "saved_bytes", "-o", str(picture))
    assert "saved_bytes" in picture.read_text("utf-8")


def test_a_softmax_that_says_its_type_is_not_asked_for_another():
    class Soft(Toy):
        def forward(self, x):
            return torch.softmax(super().forward(x), -1, dtype=torch.float32)

    sizes = [archprof.memory(Soft(), (BATCH, 8), amp="bfloat16", on=on).peak_bytes for on in ("", "t4")]
    assert sizes[0] == sizes[1]
