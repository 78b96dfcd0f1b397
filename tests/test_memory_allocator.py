"""Memory on meta against what torch's allocator reports of a real training step under autocast on the CPU."""

from __future__ import annotations

import pytest
import torch
from allocation import allocated

import archprof
from archprof.pipeline import opened_by
from archprof.substrate import with_weights

SMALL = {
    "num_hidden_layers": "2",
    "hidden_size": "64",
    "intermediate_size": "128",
    "num_attention_heads": "4",
    "vocab_size": "500",
}
MODELS = {
    "transformers:llama": {**SMALL, "num_key_value_heads": "2"},
    "transformers:gpt2": {"n_embd": "64", "n_layer": "2", "n_head": "4", "vocab_size": "500"},
    "transformers:bert": SMALL,
}
"""No convolutions, which the CPU is slow at in bfloat16. Two have dropout in attention, which is computed in float32 there."""


@pytest.mark.parametrize("optimizer", ["momentum", "adamw"])
@pytest.mark.parametrize("model", MODELS)
def test_a_step_under_autocast_is_near_what_the_allocator_reports(model, optimizer):
    settings, batch = MODELS[model], 2
    opened = opened_by(model, None, batch, settings=settings)
    real = allocated(with_weights(opened), opened.inputs, optimizer, torch.bfloat16)
    ours = archprof.memory(model, train=optimizer, batch=batch, settings=settings, amp="bfloat16").peak_bytes
    assert -0.03 <= ours / real - 1 <= 0.005
