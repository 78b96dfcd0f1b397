"""Decoding with a cache: bytes worked out by hand from a config, and real tensors that give the same numbers as meta."""

from __future__ import annotations

import dataclasses
import itertools
import json

import pytest

import archprof
from archprof.cli import main
from archprof.devices import Device
from archprof.footprint.cache import decoded, prefilled
from archprof.pipeline import opened_by
from archprof.substrate import with_weights
from archprof.timeline import drawn

SMALL = {
    "num_hidden_layers": "2", "hidden_size": "64", "intermediate_size": "128", "num_attention_heads": "4", "vocab_size": "500",
}  # fmt: skip
GROUPED = {**SMALL, "num_key_value_heads": "2"}  # 64 / 4 = 16 numbers a head
GPT2 = {"n_layer": "2", "n_embd": "64", "n_head": "4", "vocab_size": "500", "n_positions": "256"}
LATENT = {
    **SMALL, "kv_lora_rank": "32", "qk_rope_head_dim": "8", "qk_nope_head_dim": "16", "v_head_dim": "16", "q_lora_rank": "24",
    "num_key_value_heads": "4", "first_k_dense_replace": "2",
}  # fmt: skip
TOKENS = 100
# 2 (keys and values) x layers x heads of them x numbers a head x tokens x 4 bytes
BY_HAND = {
    "every head has its own": ("llama", {**SMALL, "num_key_value_heads": "4"}, 2 * 2 * 4 * 16 * 100 * 4, 2 * 2 * 4 * 16 * 4),
    "heads share keys and values": ("llama", GROUPED, 2 * 2 * 2 * 16 * 100 * 4, 2 * 2 * 2 * 16 * 4),
    "one head for all": ("qwen2", {**SMALL, "num_key_value_heads": "1"}, 2 * 2 * 1 * 16 * 100 * 4, 2 * 2 * 1 * 16 * 4),
    "a window of 16 tokens": ("mistral", {**GROUPED, "sliding_window": "16"}, 2 * 2 * 2 * 16 * 16 * 4, 0),
    "a window that is not full": ("mistral", {**GROUPED, "sliding_window": "128"}, 2 * 2 * 2 * 16 * 100 * 4, 2 * 2 * 2 * 16 * 4),
    "gpt2": ("gpt2", GPT2, 2 * 2 * 64 * 100 * 4, 2 * 2 * 64 * 4),
    # a latent of 32 numbers and the 8 that are rotated, of which keys and values of all heads are made
    "latent attention": ("deepseek_v3", LATENT, 2 * (32 + 8) * 100 * 4, 2 * (32 + 8) * 4),
}  # fmt: skip


@pytest.mark.parametrize(("model", "settings", "bytes_", "more"), BY_HAND.values(), ids=BY_HAND)
def test_a_cache_is_as_large_as_the_hand_says(model, settings, bytes_, more):
    found = archprof.memory(f"transformers:{model}", settings=settings, cache=TOKENS)
    assert found.cache.bytes == bytes_
    assert found.cache.bytes_per_token == more
    assert found.decoding.by_kind(0)["KV cache"] == bytes_
    assert found.decoding.by_kind(found.decoding.end)["KV cache"] == bytes_ + more
    two = archprof.memory(f"transformers:{model}", settings=settings, cache=TOKENS, batch=2)
    assert (two.cache.bytes, two.cache.bytes_per_token) == (2 * bytes_, more)


def test_llama_8b_keeps_131072_bytes_a_token():
    settings = {
        "num_hidden_layers": "32", "hidden_size": "4096", "intermediate_size": "14336", "num_attention_heads": "32",
        "num_key_value_heads": "8", "vocab_size": "128256",
    }  # fmt: skip
    found = archprof.memory("transformers:llama", settings=settings, dtype="bfloat16", cache=1024)
    assert found.cache.bytes_per_token == 2 * 32 * 8 * 128 * 2 == 131_072
    assert found.cache.bytes == 1024 * 131_072
    # the cache grows by a copy: when the last layer's values are copied, its old ones are there too
    assert found.decoding.by_kind(found.decoding.peak_at)["KV cache"] == 1025 * 131_072 + 1024 * 8 * 128 * 2
    assert found.peak_bytes == found.decoding.peak_bytes


def sizes(live):
    """Return the bytes alive one after the other; a window's length is a tensor of 8 bytes, which is on the CPU before."""
    large = dataclasses.replace(live, blocks=[block for block in live.blocks if block.bytes > 8])
    return [size for size, _ in itertools.groupby(large.timeline)]


@pytest.mark.parametrize(
    ("model", "settings"),
    [("llama", GROUPED), ("mistral", {**GROUPED, "sliding_window": "16"}), ("gpt2", GPT2), ("deepseek_v3", LATENT)],
)
def test_real_tensors_give_the_same_number_as_meta(model, settings):
    opened = opened_by(f"transformers:{model}", None, 2, settings=settings)
    real = with_weights(opened)
    for tokens in (1, 40):
        on_meta, kept = decoded(opened.module, opened.inputs, tokens)
        on_cpu, same = decoded(real, opened.inputs, tokens, "cpu")
        assert kept == same
        assert sizes(on_cpu) == sizes(on_meta)
        assert sizes(prefilled(real, opened.inputs, tokens, "cpu")) == sizes(
            prefilled(opened.module, opened.inputs, tokens)
        )


def test_prefill_keeps_what_decoding_starts_with_but_for_what_slides_out_of_a_window():
    settings = {**GROUPED, "sliding_window": "16"}
    whole = archprof.memory("transformers:llama", settings=GROUPED, cache=TOKENS).inference
    assert whole.by_kind(whole.end)["KV cache"] == 2 * 2 * 2 * 16 * TOKENS * 4
    # the window is a view of all tokens that were read at once, until the next one is
    cut = archprof.memory("transformers:mistral", settings=settings, cache=TOKENS).inference
    assert cut.by_kind(cut.end)["KV cache"] == 2 * 2 * 2 * 16 * TOKENS * 4


def test_a_module_of_transformers_is_asked_with_its_own_inputs():
    opened = opened_by("transformers:llama", None, 1, settings=GROUPED)
    found = archprof.memory(with_weights(opened), {"input_ids": archprof.Tensor((3, 7), "int64")}, cache=TOKENS)
    assert (found.cache.batch, found.cache.bytes) == (3, 3 * 2 * 2 * 2 * 16 * 100 * 4)


def test_the_largest_context_fits_and_one_token_more_does_not():
    small = Device("Small", {"float32": 1e12}, 1e11, memory_bytes=2**20)
    found = archprof.memory("transformers:llama", settings=GROUPED, cache=8, on=small).fit
    most = found.largest_context
    sizes = [archprof.memory("transformers:llama", settings=GROUPED, cache=n).peak_bytes for n in (most, most + 1)]
    assert sizes[0] == found.largest_context_peak_bytes <= 2**20 < sizes[1]


def test_a_context_beyond_the_positions_tells_the_peak_of_the_last_one():
    found = archprof.memory("transformers:gpt2", settings=GPT2, cache=300, on="h100-sxm").fit
    longest = archprof.memory("transformers:gpt2", settings=GPT2, cache=256)
    assert (found.largest_context, found.largest_context_peak_bytes) == (256, longest.peak_bytes)
    plain = archprof.memory("transformers:gpt2", settings=GPT2, on="h100-sxm").fit
    assert (plain.largest_context, plain.largest_context_peak_bytes) == (None, None)


def test_no_context_is_longer_than_the_positions_a_model_has():
    found = archprof.memory("transformers:gpt2", settings=GPT2, cache=8, on="h100-sxm")
    assert found.fit.largest_context == 256
    longer = archprof.memory("transformers:gpt2", settings=GPT2, cache=300)
    assert any("made for texts of 256 tokens" in note for note in longer.notes)


def test_the_page_the_document_and_the_plot_have_the_cache():
    found = archprof.memory("transformers:llama", settings=GROUPED, cache=TOKENS, on="t4")
    page = found.render(width=120)
    assert "KV cache: 50.00 KiB for 100 tokens, 512 bytes more for the next token" in page
    assert "the largest context that fits: 2,048 tokens" in page
    document = json.loads(found.render("json"))
    assert document["cache"] == {"tokens": 100, "batch": 1, "bytes": 51_200, "bytes_per_token": 512, "positions": 2048}
    assert document["decoding"]["peak_bytes"] == sum(row["bytes"] for row in document["decoding"]["at_peak"])
    assert len(drawn(found).axes) == 2
    assert found.decoding.course("KV cache")[0] == 51_200


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["resnet18", "--cache", "8"], "resnet18 keeps no cache of keys and values"),
        (
            ["transformers:bert", "--cache", "8", *(f"--set={k}={v}" for k, v in SMALL.items())],
            "keeps no cache of keys",
        ),
        (["transformers:t5", "--cache", "8"], "is an encoder with a decoder"),
        (["lenet5", "--cache", "0"], "0 is not in the range"),
        (["lenet5", "--cache", "8", "--train", "sgd"], "a training step keeps no cache"),
    ],
)
def test_what_has_no_cache_is_told_in_one_line(words, message, capfd):
    with pytest.raises(SystemExit) as caught:
        main(["memory", *words])
    assert caught.value.code == 2
    assert message in capfd.readouterr().err
