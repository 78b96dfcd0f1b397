"""Memory of a pass: peaks of tiny graphs worked out by hand, and real tensors that give the same numbers as meta."""

from __future__ import annotations

import functools
import json

import pytest
import torch
from click.testing import CliRunner
from torch import nn
from torch.utils.checkpoint import checkpoint

import archprof
from archprof import units
from archprof.cli import main
from archprof.devices import Device
from archprof.footprint import Block, Live
from archprof.footprint.allocator import MIB, Reserved, arena_bytes, reserved
from archprof.footprint.ledger import Ledger
from archprof.footprint.passes import Way, inference, training
from archprof.pipeline import opened_by
from archprof.records import Tensor
from archprof.substrate import with_weights
from archprof.timeline import drawn


class Toy(nn.Module):
    """Two weights and a function of them; all sizes below are of float32, 4 bytes."""

    def __init__(self, function, outs=(16, 2), device="meta"):
        super().__init__()
        self.first = nn.Linear(8, outs[0], bias=False, device=device)
        self.second = nn.Linear(outs[0], outs[1], bias=False, device=device)
        self.function = function

    def forward(self, x):
        return self.function(self, x)


X = {"x": Tensor((4, 8))}
X_BYTES = 4 * 8 * 4  # 128
WEIGHTS = (16 * 8 + 2 * 16) * 4  # 640
THERE = X_BYTES + WEIGHTS  # 768 from beginning to end
HIDDEN = 4 * 16 * 4  # 256
OUT = 4 * 2 * 4  # 32


def residual(toy, x):
    hidden = toy.first(x)
    return hidden + torch.relu(hidden)


def branches(toy, x):
    return torch.cat([toy.first(x), torch.relu(toy.first(x))], dim=1)


HAND = {
    # first, relu (first's output is still there while it runs), second when first's output is gone
    "chain": (lambda toy, x: toy.second(torch.relu(toy.first(x))), THERE + 2 * HIDDEN),
    # the sum is made while both summands are there
    "residual": (residual, THERE + 3 * HIDDEN),
    # left 256 stays; right 256 and its relu 256 are 768; then left, relu and the joined 512 are 1024
    "two branches": (branches, THERE + 2 * HIDDEN + 2 * HIDDEN),
    # relu_ writes where first wrote, and second makes 32 more
    "in place": (lambda toy, x: toy.second(torch.relu_(toy.first(x))), THERE + HIDDEN + OUT),
    # a transposed view of a reshaped view is the same memory
    "view": (lambda toy, x: toy.first(x).view(2, 2, 16).transpose(0, 1), THERE + HIDDEN),
}  # fmt: skip


@pytest.mark.parametrize(("function", "peak"), HAND.values(), ids=HAND)
def test_a_tiny_graph_peaks_where_the_hand_says(function, peak):
    assert inference(Toy(function), X).peak_bytes == peak


def test_training_two_linears_peaks_where_the_hand_says():
    found = training(Toy(HAND["chain"][0], (16, 2)), X, "momentum")
    state = WEIGHTS  # one momentum a weight, there from the second step on
    # when relu's gradient is made there are: its output, which autograd kept, the network's output and the loss, which the
    # loop holds, the loss's gradient (4), the second weight's gradient, the gradient that came in and the one that is made
    relu = HIDDEN + OUT + 4 + 4 + 2 * 16 * 4 + HIDDEN + HIDDEN
    # when the first weight's is made, relu's output and the gradient that came in are gone
    first = OUT + 4 + 4 + 2 * 16 * 4 + HIDDEN + 16 * 8 * 4
    assert relu == first == 936
    assert found.peak_bytes == THERE + state + 936
    assert found.peak_phase == "backward"
    # between forward and backward: relu's output and the input, of which the weights' gradients are made
    saved = sum(block.bytes for block in found.blocks if block.is_saved and block.kind != "parameters")
    assert saved == HIDDEN + X_BYTES


def test_adam_steps_beside_the_largest_weight():
    found = training(Toy(HAND["chain"][0], (512, 2)), X, "adamw")
    weights = (512 * 8 + 2 * 512) * 4
    # weight, gradient and two moments of both (each moment pair with a count of 4 bytes a weight); output, loss and
    # its gradient, which is gone with the backward pass; beside the larger weight: the root of its second moment, and that
    # divided by the correction, before eps is added in place
    expected = X_BYTES + 4 * weights + 2 * 4 + OUT + 4 + 2 * 512 * 8 * 4
    assert found.peak_phase == "step"
    assert found.peak_bytes == expected


def test_fused_attention_keeps_its_output_and_a_number_a_query():
    class Attention(nn.Module):
        def forward(self, q, k, v):
            return nn.functional.scaled_dot_product_attention(q, k, v)

    shape = Tensor((1, 2, 64, 4))
    one = 2 * 64 * 4 * 4  # 2048; scores of 2 x 64 x 64 alone would be 32768
    found = inference(Attention(), dict.fromkeys("qkv", shape))
    assert found.peak_bytes == 3 * one + one + 2 * 64 * 4


def test_attention_that_no_fused_kernel_takes_keeps_its_scores():
    class Attention(nn.Module):
        def forward(self, q, k, v):
            return nn.functional.scaled_dot_product_attention(q, k, v, dropout_p=0.1)

    found = inference(Attention(), dict.fromkeys("qkv", Tensor((1, 2, 64, 4))))
    assert max(block.bytes for block in found.blocks) == 2 * 64 * 64 * 4


LLAMA = {
    "num_hidden_layers": "2", "hidden_size": "64", "intermediate_size": "128", "num_attention_heads": "4",
    "num_key_value_heads": "2", "vocab_size": "500",
}  # fmt: skip
SAME = {
    "lenet5": {}, "resnet18": {}, "torchvision:mobilenet_v3_small": {}, "transformers:llama": LLAMA,
}  # fmt: skip


@pytest.mark.parametrize("model", SAME)
def test_real_tensors_give_the_same_number_as_meta(model):
    opened = opened_by(model, None, 2, settings=SAME[model])
    real = with_weights(opened)
    assert inference(real, opened.inputs, "cpu").peak_bytes == inference(opened.module, opened.inputs).peak_bytes
    for optimizer in ("momentum", "adamw"):
        on_meta = training(opened.module, opened.inputs, optimizer)
        assert training(real, opened.inputs, optimizer, "cpu").timeline == on_meta.timeline


def test_a_second_pass_is_answered_from_the_memo_and_says_the_same():
    opened, memo = opened_by("lenet5", None, 2), {}
    one, two = (training(opened.module, opened.inputs, "adam", ledger=Ledger(memo)) for _ in range(2))
    assert one.timeline == two.timeline


def test_who_is_alive_at_the_peak_adds_up_to_it_and_says_where_it_comes_from():
    found = archprof.memory("lenet5", train="adamw", batch=64)
    peak = found.last.at_peak
    assert (
        sum(block.bytes for block in peak) == found.peak_bytes == sum(found.last.by_kind(found.last.peak_at).values())
    )
    names = {block.name for block in peak}
    assert {"conv1.weight", "conv1.weight.exp_avg"} <= names


def test_the_four_numbers():
    found = archprof.memory(Toy(HAND["chain"][0], device="cpu"), (4, 8), train="sgd")
    assert found.sum_of_outputs == HIDDEN + HIDDEN + OUT
    assert found.saved_for_backward == HIDDEN + X_BYTES
    assert found.inference.peak_bytes == THERE + 2 * HIDDEN
    assert found.peak_bytes == THERE + 936


class Checkpointed(nn.Module):
    def __init__(self, *, is_on):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(8, 64), nn.GELU(), nn.Linear(64, 8)) for _ in range(4))
        self.is_on = is_on

    def forward(self, x):
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if self.is_on else block(x)
        return x


def test_checkpointing_is_run_as_the_model_does_it():
    plain, saving = (archprof.memory(Checkpointed(is_on=is_on), (256, 8), train="sgd") for is_on in (False, True))
    assert saving.saved_for_backward < plain.saved_for_backward
    assert saving.peak_bytes < plain.peak_bytes


def test_the_largest_batch_fits_and_one_more_does_not():
    small = Device("Small", {"float32": 1e12}, 1e11, memory_bytes=64 * 2**20)
    found = archprof.memory("lenet5", train="momentum", batch=8, on=small)
    most = found.fit.largest_batch
    assert found.fit.does_fit
    assert most > 8
    sizes = [archprof.memory("lenet5", train="momentum", batch=b, foreach=True).peak_bytes for b in (most, most + 1)]
    assert sizes[0] == found.fit.largest_peak_bytes <= 64 * 2**20 < sizes[1]


def test_what_does_not_fit_is_told_what_to_change_with_numbers():
    tiny = Device("Tiny", {"float32": 1e12}, 1e11, memory_bytes=2**20)
    found = archprof.memory("lenet5", train="adamw", batch=8, on=tiny)
    assert not found.fit.does_fit
    assert (
        found.fit.largest_batch == 0
    )  # four times 61,706 parameters of 4 bytes are 987,296 bytes; adam's root adds 246,824
    by_name = {change.what: change for change in found.fit.changes}
    plain = archprof.memory("lenet5", train="sgd", batch=8, foreach=True).peak_bytes
    assert by_name["optimizer sgd"].peak_bytes == plain <= 2**20
    assert by_name["optimizer sgd"].does_fit
    assert [change.does_fit for change in found.fit.changes] == sorted(
        (change.does_fit for change in found.fit.changes), reverse=True
    )


def test_a_foreach_step_has_temporaries_of_all_parameters():
    model = "lenet5"
    one, all_ = (archprof.memory(model, train="adamw", foreach=foreach).training for foreach in (False, True))
    # beside fc1.weight alone, where the loop still holds the root of the bias before it
    assert one.by_kind(one.peak_at)["temporaries"] == 2 * 120 * 400 * 4 + 16 * 4
    assert all_.by_kind(all_.peak_at)["temporaries"] == 61_706 * 4


def test_adam_in_8_bits_keeps_two_bytes_a_weight_and_scales():
    found = archprof.memory(Toy(HAND["chain"][0], (512, 2), device="cpu"), (4, 8), train="adam8bit").training
    large, small = 512 * 8, 2 * 512  # the smaller one has fewer than 4096 weights
    assert found.by_kind(found.peak_at)["optimizer state"] == 2 * (large + large // 256 * 4) + 2 * small * 4


def test_the_page_and_the_document_say_the_same():
    found = archprof.memory("lenet5", train="adamw", on="t4")
    document = json.loads(found.render("json"))
    assert document["training"]["peak_bytes"] == sum(row["bytes"] for row in document["training"]["at_peak"])
    assert max(document["training"]["timeline"]) == document["training"]["peak_bytes"]
    page = str(found)
    assert f"{units.size(found.peak_bytes)} at the peak of a training step with adamw" in page
    assert "T4: fits" in page
    assert "workspace of kernels" in page
    assert found.render(unicode=False).isascii()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--train", "lion"], "'lion' is not one of"),
        (["--on", "t5"], "no device 't5'"),
        (["--on", "epyc-7763"], "how much memory EPYC-7763 has is not known"),
    ],
)
def test_what_cannot_be_asked_is_told_in_one_line(words, message, capfd):
    with pytest.raises(SystemExit) as caught:
        main(["memory", "lenet5", *words])
    assert caught.value.code == 2
    assert message in capfd.readouterr().err


def test_the_command_prints_the_page(capfd):
    with pytest.raises(SystemExit) as caught:
        main(["memory", "lenet5", "--train", "sgd"])
    assert caught.value.code == 0
    assert "together" in capfd.readouterr().out


def lives(*rows):
    """Return a pass of blocks: bytes, born, died."""
    blocks = [Block(size, "activations", "op", "", born, died) for size, born, died in rows]
    return Live(blocks, (("forward", 0),), max(max(b.born, b.died or 0) for b in blocks))


@pytest.mark.parametrize(
    ("rows", "allocated", "held"),
    [
        ([(100, 1, None)], 512, 2 * MIB),  # a block of 512 in a small segment
        (
            [(MIB, 1, None), (MIB, 2, None), (1, 3, None)],
            2 * MIB + 512,
            4 * MIB,
        ),  # the third does not fit the first segment
        ([(3 * MIB, 1, None)], 3 * MIB, 20 * MIB),
        ([(11 * MIB, 1, None)], 11 * MIB, 12 * MIB),  # from 10 MiB on a segment of its own, in steps of 2 MiB
        ([(12 * MIB, 1, 2), (12 * MIB, 3, None)], 12 * MIB, 12 * MIB),  # what was freed is used again
        # two neighbours freed are one piece of 20 MiB again, which 9 MiB and 9 MiB share
        ([(6 * MIB, 1, 3), (6 * MIB, 2, 4), (9 * MIB, 5, None), (9 * MIB, 6, None)], 18 * MIB, 20 * MIB),
        # a middle that is still there keeps its neighbours apart: 9 MiB find 6, and 20 - 12 = 8, and need a new segment
        ([(6 * MIB, 1, 3), (6 * MIB, 2, None), (9 * MIB, 4, None)], 15 * MIB, 40 * MIB),
    ],
)
def test_segments_of_the_caching_allocator(rows, allocated, held):
    assert reserved(lives(*rows)) == Reserved(allocated, held)


def test_an_arena_uses_places_again():
    # 256 lives with 128; when 256 is gone, 192 takes its place and 64 comes behind it
    assert arena_bytes(lives((256, 1, 3), (128, 2, 5), (192, 4, None), (64, 6, None))) == 256 + 128
    # greedy by size is no optimum, and never below what is alive at once
    assert arena_bytes(lives((100, 1, 4), (100, 2, 5), (100, 3, None))) == 3 * 128


@pytest.mark.parametrize("model", ["lenet5", "resnet18", "densenet121"])
def test_an_arena_holds_at_least_what_is_alive_at_once(model):
    live = archprof.memory(model).inference
    there = sum(block.bytes for block in live.blocks if not block.born)
    assert live.peak_bytes - there <= arena_bytes(live) <= 1.3 * (live.peak_bytes - there)


class Stack(nn.Module):
    """Four blocks of 8 -> 64 -> 8 in sequence, each as `Checkpointed` has them."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(8, 64), nn.GELU(), nn.Linear(64, 8)) for _ in range(4))

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x


def test_what_if_blocks_were_checkpointed_is_what_the_model_gets_that_does_it():
    asked = archprof.memory(Stack(), (256, 8), train="sgd", checkpoint=4)
    done = archprof.memory(Checkpointed(is_on=True), (256, 8), train="sgd")
    assert asked.peak_bytes == done.peak_bytes
    assert asked.blocks == ("blocks.0", "blocks.1", "blocks.2", "blocks.3")
    with pytest.raises(archprof.UserError, match="has 4 blocks to checkpoint, not 5"):
        archprof.memory(Stack(), (256, 8), train="sgd", checkpoint=5)


def test_a_checkpointed_block_keeps_its_input_and_nothing_else():
    plain = archprof.memory(Stack(), (256, 8), train="sgd")
    # a block keeps its input (its first layer's), what GELU reads and what it makes; the network's own input is an input
    one, wide = 256 * 8 * 4, 256 * 64 * 4
    assert plain.saved_for_backward == 4 * (one + 2 * wide)
    # nothing of a checkpointed block is kept by autograd itself, and checkpoint holds its input: 2 blocks as before
    two = archprof.memory(Stack(), (256, 8), train="sgd", checkpoint=2)
    start = dict(two.training.phases)["backward"]
    alive = sum(block.bytes for block in two.training.alive(start) if block.kind == "activations")
    assert alive == one + 2 * (one + 2 * wide) + one + 4  # inputs of blocks 1, 2, 3, and the output; the loss


def test_the_fewest_blocks_that_make_it_fit_are_told():
    peaks = [archprof.memory(Stack(), (4096, 8), train="sgd", foreach=True, checkpoint=n).peak_bytes for n in range(5)]
    assert peaks == sorted(peaks, reverse=True)
    device = Device("Small", {"float32": 1e12}, 1e11, memory_bytes=peaks[2])
    found = archprof.memory(Stack(), (4096, 8), train="sgd", on=device)
    fewest = peaks.index(next(peak for peak in peaks if peak <= peaks[2]))
    change = next(change for change in found.fit.changes if "checkpointing" in change.what)
    assert change.peak_bytes == peaks[fewest]
    assert f"({fewest} of 4 blocks, " in change.what


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("model", ["lenet5", "transformers:llama"])  # the CPU is slow at larger ones in bfloat16
def test_autocast_on_meta_peaks_where_torchs_own_on_real_tensors_does(model, accumulate):
    opened = opened_by(model, None, 2, settings=SAME[model])
    real, way = with_weights(opened), Way("bfloat16", accumulate=accumulate)
    for is_training in (False, True):
        run = functools.partial(training, optimizer="momentum") if is_training else inference
        found = run(opened.module, opened.inputs, way=way), run(real, opened.inputs, on="cpu", way=way)
        assert found[0].peak_bytes == found[1].peak_bytes
        assert sorted(b.bytes for b in found[0].blocks) == sorted(b.bytes for b in found[1].blocks)


def test_autocast_keeps_half_precision_copies_of_weights_and_float32_gradients():
    found = training(Toy(HAND["chain"][0]), X, "sgd", way=Way("bfloat16"))
    copies = [block.bytes for block in found.made("forward") if block.op == "_to_copy"]
    assert sorted(copies) == sorted([X_BYTES // 2, 16 * 8 * 2, 2 * 16 * 2])  # input and both weights, 2 bytes each
    assert sum(block.bytes for block in found.blocks if block.kind == "gradients") == WEIGHTS
    # beside the first weight's copy, outputs of first and relu, of 4 x 16 halves; the input's copy is gone by then
    forward = inference(Toy(HAND["chain"][0]), X, way=Way("bfloat16"))
    assert forward.peak_bytes == THERE + 16 * 8 * 2 + 2 * (HIDDEN // 2)


@pytest.mark.parametrize("lists", ["cpu", "cuda"])
def test_layer_norm_under_autocast_is_float32_on_cuda_alone(lists):
    norm = nn.Sequential(nn.Linear(8, 16, bias=False), nn.LayerNorm(16)).to("meta")
    found = inference(norm, {"input": Tensor((4, 8))}, way=Way("bfloat16", lists))
    made = [block.bytes for block in found.blocks if block.op == "native_layer_norm"]
    assert max(made) == 4 * 16 * (4 if lists == "cuda" else 2)


def test_accumulated_gradients_are_alive_in_the_second_batch():
    one, two = (archprof.memory("lenet5", train="sgd", batch=512, accumulate=n) for n in (1, 2))
    moment = dict(two.training.phases)["forward 2"]
    assert two.training.by_kind(moment)["gradients"] == 61_706 * 4  # LeNet-5 has so many parameters
    assert two.peak_bytes > one.peak_bytes
    assert two.saved_for_backward == one.saved_for_backward
    assert two.peak_bytes == archprof.memory("lenet5", train="sgd", batch=512, accumulate=7).peak_bytes


def test_sparse_tensors_are_told_and_nothing_else_is_missed():
    class Sparse(nn.Module):
        def forward(self, x):
            return torch.sparse.mm(x.to_sparse(), x.T)

    found = archprof.memory(Sparse(), torch.eye(4))
    assert any("without the memory of sparse tensors" in note for note in found.notes)


def test_the_plot_stacks_what_is_alive_and_is_written(tmp_path):
    found = archprof.memory("lenet5", train="momentum")
    for live in (found.inference, found.training):
        stacked = {kind: live.course(kind) for kind in live.changes}
        assert [sum(moment) for moment in zip(*stacked.values(), strict=True)] == live.timeline
        assert {kind: row[live.peak_at] for kind, row in stacked.items()} == {
            kind: size for kind, size in live.by_kind(live.peak_at).items() if kind in stacked
        }
    result = CliRunner().invoke(main, ["memory", "lenet5", "--train", "momentum", "-o", str(tmp_path / "x.svg")])
    assert result.exit_code == 0, result.output
    texts = [note.get_text() for axes in drawn(found).axes for note in axes.texts if note.xy[1] <= axes.get_ylim()[1]]
    assert sum(text.startswith("peak, as ") for text in texts) == 2
    assert (tmp_path / "x.svg").read_text("utf-8").startswith("<?xml")
    result = CliRunner().invoke(main, ["memory", "lenet5", "-o", str(tmp_path / "x.gif")])
    assert result.exit_code == 2
    assert "a plot's name ends in .svg" in result.output
