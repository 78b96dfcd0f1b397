"""What counters of the field get wrong, each with the right figure worked out by hand, from a module to its totals."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own habit
from torch import nn

import archprof
from archprof.records import Facts, Unknown
from archprof.result import Profile
from tests.test_module_source import same, state


class Calls(nn.Module):
    """A module that does what it is told, with the parameters given."""

    def __init__(self, call: Any, **parts: nn.Module | nn.Parameter) -> None:
        """Keep the parts under their names."""
        super().__init__()
        self.call = call
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs: Any) -> Any:
        return self.call(self, *inputs)


def counted(call: Any, *inputs: Any, **parts: nn.Module | nn.Parameter) -> Profile:
    found = archprof.profile(Calls(call, **parts).eval(), list(inputs))
    assert found.gaps == []
    return found


def weight(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.ones(shape))


# --- 1. attention


def test_attention_counts_scores_and_mixing_of_every_query_head() -> None:
    def grouped(_: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(q, k, v, enable_gqa=True)

    # 2 samples x 6 query heads x 5 queries x 7 keys x (8 + 3)
    assert counted(grouped, (2, 6, 5, 8), (2, 2, 7, 8), (2, 2, 7, 3)).macs == 4_620


@pytest.mark.parametrize("length", [1, 5, 8])
def test_causal_attention_is_told_dense_and_effective(length: int) -> None:
    def causal(_: Any, q: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(q, q, q, is_causal=True)

    found = counted(causal, (1, 2, length, 4))
    pairs = {1: 1, 5: 15, 8: 36}[length]  # the pairs (i, j) with j <= i, counted
    assert found.macs == 2 * length * length * (4 + 4)
    assert sum(facts.effective for facts in known(found)) == 2 * pairs * (4 + 4)


def test_a_mask_tensor_hides_what_it_masks_so_attention_stays_dense() -> None:
    def masked(_: Any, q: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(q, q, q, attn_mask=torch.ones(5, 5, device=q.device).tril().bool())

    found = counted(masked, (1, 2, 5, 4))
    assert found.macs == sum(facts.effective for facts in known(found)) == 2 * 25 * 8


def known(found: Profile) -> list[Facts]:
    facts = [found.network.facts[op.name] for op in found.network.ops]
    assert not any(isinstance(fact, Unknown) for fact in facts)
    return [fact for fact in facts if isinstance(fact, Facts)]


# --- 2. the fast path


@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("batch_first", [True, False])
def test_an_encoder_layer_costs_the_textbook_sum_in_every_mode(
    is_training: bool, mode: type, batch_first: bool
) -> None:
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=batch_first).train(is_training)
    with mode():
        found = archprof.profile(layer, (3, 5, 16) if batch_first else (5, 3, 16))
    # B 3, T 5, E 16, F 32: 4BTE^2 = 15,360; 2BT^2E = 2,400; 2BTEF = 15,360
    assert found.macs == 33_120
    assert found.gaps == []


def test_an_encoder_of_layers_is_the_sum_of_its_layers() -> None:
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 3)
    assert archprof.profile(encoder.eval(), (3, 5, 16)).macs == 3 * 33_120


def test_multihead_attention_counts_its_projections() -> None:
    layer = nn.MultiheadAttention(16, 4, batch_first=True).eval()
    found = archprof.profile(layer, [(3, 5, 16)] * 3)
    assert found.macs == 15_360 + 2_400
    assert found.params == 4 * 16 * 16 + 4 * 16  # in_proj_weight is a parameter of no submodule


# --- 3. linear on more than two dimensions


@pytest.mark.parametrize(("shape", "macs"), [((4,), 12), ((2, 4), 24), ((2, 5, 4), 120), ((2, 5, 7, 4), 840)])
def test_a_linear_layer_is_counted_for_every_row(shape: tuple[int, ...], macs: int) -> None:
    found = archprof.profile(nn.Linear(4, 3), shape)  # 4*3 a row
    assert found.macs == macs
    assert found.flops == 2 * macs + macs // 4  # and one bias per output


# --- 4. functional calls


@pytest.mark.parametrize(
    ("call", "macs"),
    [
        (lambda m, x: F.linear(x, m.w), 2 * 5 * 4 * 6),
        (lambda m, x: x @ m.w.T, 240),
        (lambda m, x: torch.matmul(x, m.w.t()), 240),
        (lambda m, x: torch.einsum("btf,of->bto", x, m.w), 240),
        (lambda m, x: torch.baddbmm(torch.zeros(1, device=x.device), x, m.w.t().expand(2, 4, 6)), 240),
        (lambda m, x: torch.bmm(x, m.w.t().expand(2, 4, 6)), 240),
        (lambda m, x: torch.addmm(m.b, x[0], m.w.t()), 120),
        (lambda m, x: F.conv1d(x.mT, m.w.unsqueeze(-1)), 240),
        (lambda m, x: torch.tensordot(x, m.w, ([2], [1])), 240),
    ],
)
def test_functions_count_as_layers_do(call: Any, macs: int) -> None:
    assert counted(call, (2, 5, 4), w=weight(6, 4), b=weight(6)).macs == macs


# --- 5. and 6. transposed convolution, groups


@pytest.mark.parametrize(
    ("options", "macs"),
    [
        ({}, 2 * 4 * 6 * 9 * 25),  # N*Cin*Cout*k*inputs: 10,800
        ({"stride": 2}, 10_800),
        ({"stride": 2, "padding": 1, "output_padding": 1}, 10_800),
        ({"dilation": 2}, 10_800),
        ({"groups": 2}, 5_400),
    ],
)
def test_a_transposed_convolution_is_counted_on_its_input(options: dict[str, int], macs: int) -> None:
    found = archprof.profile(nn.ConvTranspose2d(4, 6, 3, bias=False, **options), (2, 4, 5, 5))
    assert (found.macs, found.flops) == (macs, 2 * macs)


@pytest.mark.parametrize(("groups", "macs"), [(1, 25 * 8 * 9 * 8), (2, 7_200), (4, 3_600), (8, 1_800)])
def test_groups_divide_once(groups: int, macs: int) -> None:
    found = archprof.profile(nn.Conv2d(8, 8, 3, padding=1, groups=groups), (1, 8, 5, 5))
    assert found.macs == macs
    assert found.params == 8 * 8 * 9 // groups + 8


# --- 7. and 8. sharing, dropped parameters


def test_a_shared_layer_costs_at_each_call_and_is_owned_once() -> None:
    shared = nn.Linear(4, 4, bias=False)
    found = archprof.profile(nn.Sequential(shared, nn.Sequential(nn.ReLU(), shared), shared), (3, 4))
    assert (found.macs, found.params) == (3 * 3 * 4 * 4, 16)


def test_bare_unused_and_root_parameters_are_all_there() -> None:
    def scaled(m: Any, x: torch.Tensor) -> torch.Tensor:
        return x * m.scale

    found = counted(scaled, (3, 4), scale=weight(4), unused=nn.Linear(4, 100), bare=weight(7))
    assert found.params == 4 + (400 + 100) + 7
    assert sum(found.values["params"]) == 4
    assert sorted(w.name for w in found.network.unused_weights) == ["bare", "unused.bias", "unused.weight"]


# --- 9. recurrent nets

STEPS = 7 * 3  # 7 steps of 3 samples


@pytest.mark.parametrize(
    ("layer", "macs"),
    [
        (nn.RNN(4, 5), STEPS * 5 * 9),
        (nn.RNN(4, 5, nonlinearity="relu"), STEPS * 5 * 9),
        (nn.GRU(4, 5), STEPS * 3 * 5 * 9),
        (nn.LSTM(4, 5), STEPS * 4 * 5 * 9),
        (nn.LSTM(4, 5, bidirectional=True), STEPS * 2 * 4 * 5 * 9),
        (nn.GRU(4, 5, 2, bidirectional=True), STEPS * 2 * 3 * 5 * (9 + 15)),  # the second layer reads both directions
        (nn.LSTM(4, 5, proj_size=2), STEPS * (4 * 5 * (4 + 2) + 5 * 2)),
        (nn.LSTM(4, 5, 2, proj_size=2), STEPS * (4 * 5 * (4 + 2) + 4 * 5 * (2 + 2) + 2 * 5 * 2)),
    ],
    ids=str,
)
def test_recurrent_nets_are_counted_step_by_step(layer: nn.RNNBase, macs: int) -> None:
    found = archprof.profile(layer, (7, 3, 4))
    assert found.macs == macs
    assert found.params == sum(p.numel() for p in layer.parameters())


@pytest.mark.parametrize(("layer", "gates"), [(nn.RNNCell, 1), (nn.GRUCell, 3), (nn.LSTMCell, 4)])
def test_a_cell_is_one_step(layer: type[nn.RNNCellBase], gates: int) -> None:
    assert archprof.profile(layer(4, 5), (3, 4)).macs == 3 * gates * 5 * 9  # type: ignore[call-arg]


# --- 10. to 12. embeddings, MAC and FLOP, effective MACs


def test_an_embedding_is_gathered_and_its_tied_head_is_paid() -> None:
    def tied(m: Any, tokens: torch.Tensor) -> torch.Tensor:
        return F.linear(m.table(tokens), m.table.weight)

    found = counted(tied, torch.zeros(2, 6, dtype=torch.int64), table=nn.Embedding(50, 8))
    assert found.params == 400
    assert found.macs == 12 * 50 * 8  # nothing for the look-up
    assert found.flops == 2 * 12 * 50 * 8
    first = known(found)[0]
    assert first.bytes_read == 12 * 8 * 4 + 12 * 8  # twelve rows and their indices, not the table


def test_flops_are_twice_the_macs_and_the_rest() -> None:
    found = archprof.profile(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval(), (1, 3, 6, 6))
    # 16 positions x 4 maps = 64 outputs of 27 products: 1,728; bias 64, scale and shift 128, maximum 64
    assert (found.macs, found.flops) == (1_728, 3_456 + 256)


# --- 13. nothing is left changed


def test_a_profile_changes_neither_the_module_nor_the_next_profile() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.MaxPool2d(2)).train()
    before, functions = state(module), dict(vars(F))
    first = archprof.profile(module, (2, 3, 8, 8))
    assert same(before, state(module))
    with pytest.raises(archprof.UserError):
        archprof.profile(module, (2, 5, 8, 8))
    assert same(before, state(module))
    assert functions == dict(vars(F))
    assert archprof.profile(module, (2, 3, 8, 8)).to_json() == first.to_json()
