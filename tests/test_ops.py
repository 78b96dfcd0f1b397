"""Every op rule costs what the table says, binds the torch call it speaks for, and says what torch returns."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own habit
from torch import nn

from archprof.ops import RULES, facts
from archprof.records import Op, Tensor, Unknown, Window
from tests.op_table import (
    IMAGE,
    INDEX,
    LINE,
    PICK,
    V3,
    V5,
    VOLUME,
    Call,
    X,
    Y,
    assign,
    meta,
    net,
    packed,
)
from tests.op_table import (
    OWN as OWN_ROWS,
)
from tests.op_table import (
    ROWS as FIRST,
)
from tests.op_table_numerics import FUNCTIONS, NUMERICS
from tests.recording import check, evaluated, found, recorded

ROWS = [*FIRST, *NUMERICS]
OWN = [*OWN_ROWS, *FUNCTIONS]


@pytest.mark.parametrize(("kind", "call", "macs", "flops"), ROWS, ids=[row[0] for row in ROWS])
def test_rule_binds_the_torch_call_and_costs_what_the_table_says(kind: str, call: Call, macs: int, flops: int) -> None:
    if kind == "linear_cross_entropy" and not hasattr(torch.nn.functional, kind):
        pytest.skip(f"torch {torch.__version__} has no {kind}")
    args, kwargs, result = recorded(kind, call)
    arguments = RULES[kind].bind(args, kwargs)
    known = found(kind, arguments, result)
    assert (known.macs, known.flops) == (macs, flops)
    assert not macs or evaluated(known.formula) == macs
    if RULES[kind].shape is not None:
        assert RULES[kind].output(arguments) == result


@pytest.mark.parametrize(("kind", "args", "out", "macs", "flops"), OWN, ids=[row[0] for row in OWN])
def test_own_functions_cost_what_the_table_says(
    kind: str, args: tuple[Any, ...], out: Tensor, macs: int, flops: int
) -> None:
    arguments = RULES[kind].bind(args, {})
    assert RULES[kind].output(arguments) == out
    known = found(kind, arguments, out)
    assert (known.macs, known.flops) == (macs, flops)
    assert not macs or evaluated(known.formula) == macs


def test_every_kind_has_a_row() -> None:
    ours = {kind for kind, rule in RULES.items() if rule.function.__module__.startswith("archprof.ops.")}
    assert ours == {row[0] for row in ROWS} | {row[0] for row in OWN}


@pytest.mark.parametrize("kind", sorted(RULES))
def test_every_rule_states_its_shapes_and_its_cost(kind: str) -> None:
    shapes, *cost = RULES[kind].doc
    assert "->" in shapes
    assert re.match(r"(MACs|FLOPs): ", cost[0])


def test_views_move_no_bytes() -> None:
    for kind, call in [("flatten", lambda: IMAGE.flatten(1)), ("getitem", lambda: X[:, 0]), ("to", lambda: X.float())]:
        args, kwargs, result = recorded("float" if kind == "to" else kind, call)
        known = found(kind, {"input": args[0]} if kind == "to" else RULES[kind].bind(args, kwargs), result)
        assert (known.is_view, known.bytes_read, known.bytes_written) == (True, 0, 0)


@pytest.mark.parametrize(
    ("kind", "call", "read", "written"),
    [
        ("relu", lambda: F.relu(X), 24, 24),
        ("linear", lambda: F.linear(X, meta(5, 3), V5), 24 + 60 + 20, 40),
        ("embedding", lambda: F.embedding(INDEX, meta(100, 8)), 6 * 32 + 48, 192),
        ("getitem", lambda: meta(100, 8)[PICK], 2 * 32 + 16, 64),
        ("setitem", assign, 32, 32),
        ("cat", lambda: torch.cat([X, Y]), 48, 48),
        ("zeros_like", lambda: torch.zeros_like(X), 0, 24),
        ("copy", lambda: meta(2, 3).copy_(X.half()), 12, 24),
        ("half", lambda: X.half(), 24, 12),
        ("expand", lambda: X.expand(4, 2, 3), 0, 0),
        ("clone", lambda: X.clone(), 24, 24),
        ("lstm", lambda: net(nn.LSTM), 336 + 40 + 40 + 4 * (120 + 100 + 40), 280 + 40 + 40),
    ],
)
def test_traffic_counts_each_tensor_once(kind: str, call: Call, read: int, written: int) -> None:
    args, kwargs, result = recorded(kind, call)
    known = found(kind, RULES[kind].bind(args, kwargs), result)
    assert (known.bytes_read, known.bytes_written) == (read, written)


def test_causal_attention_keeps_half_of_the_pairs() -> None:
    known = check(
        "scaled_dot_product_attention", lambda: F.scaled_dot_product_attention(*[meta(1, 2, 4, 8)] * 3, is_causal=True)
    )
    assert known.macs == 512  # 2 heads x 16 pairs x (8 + 8)
    assert known.effective == 320  # 4*5/2 = 10 pairs


@pytest.mark.parametrize(("queries", "keys", "pairs"), [(4, 6, 10), (6, 4, 18)])  # 1+2+3+4; 10 + 2 x 4
def test_causal_mask_is_aligned_at_the_first_key(queries: int, keys: int, pairs: int) -> None:
    mask = torch.ones(queries, keys).tril()
    assert mask.sum() == pairs
    q, k = meta(1, 1, queries, 2), meta(1, 1, keys, 2)
    known = check("scaled_dot_product_attention", lambda: F.scaled_dot_product_attention(q, k, k, is_causal=True))
    assert known.effective == 4 * pairs


def test_grouped_query_attention_counts_the_query_heads() -> None:
    q, k = meta(1, 6, 4, 8), meta(1, 2, 4, 8)
    known = check("scaled_dot_product_attention", lambda: F.scaled_dot_product_attention(q, k, k, enable_gqa=True))
    assert known.macs == 1536  # 6 heads x 16 pairs x 16


def test_packed_sequence_counts_its_real_lengths() -> None:
    known = check("lstm", lambda: nn.LSTM(5, 4)(packed()))
    assert known.macs == 576  # 3 + 1 steps x 4*4*(5 + 4)


def test_projected_lstm_counts_the_projection() -> None:
    known = check("lstm", lambda: nn.LSTM(6, 5, proj_size=3, device="meta")(meta(7, 2, 6)))
    assert known.macs == 2730  # 14 x (20 * (6 + 3) + 5 * 3)


def test_second_layer_reads_both_directions() -> None:
    known = check("gru", lambda: net(nn.GRU, num_layers=2, bidirectional=True))
    assert known.macs == 10920  # 14 x 2 directions x 15 x ((6 + 5) + (10 + 5))


@pytest.mark.parametrize(
    ("equation", "shapes", "macs", "flops"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)], 24, 48),
        ("i,j->ij", [(2,), (3,)], 0, 6),
        ("i,i->", [(5,), (5,)], 5, 10),
        ("ij,jk->k", [(2, 3), (3, 4)], 12, 27),  # i first: 3 sums, then 3*4
        ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)], 64, 128),  # 2*3*4 + 2*4*5
        ("ij->i", [(2, 3)], 0, 4),
        ("ij->ji", [(2, 3)], 0, 0),
    ],
)
def test_einsum_contracts_in_pairs(equation: str, shapes: list[tuple[int, ...]], macs: int, flops: int) -> None:
    known = check("einsum", lambda: torch.einsum(equation, *[meta(*shape) for shape in shapes]))
    assert (known.macs, known.flops) == (macs, flops)


@pytest.mark.parametrize(
    ("kind", "call", "window"),
    [
        (
            "conv2d",
            lambda: F.conv2d(IMAGE, meta(8, 4, 3, 2), None, (2, 1), (1, 0), (1, 2)),
            Window((3, 2), (2, 1), ((1, 1), (0, 0)), (1, 2)),
        ),
        ("conv1d", lambda: F.conv1d(LINE, meta(4, 4, 4), padding="same"), Window((4,), (1,), ((1, 2),), (1,))),
        ("max_pool2d", lambda: F.max_pool2d(IMAGE, 3, 2, 1), Window((3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1))),
        ("avg_pool1d", lambda: F.avg_pool1d(LINE, 2), Window((2,), (2,), ((0, 0),), (1,))),
        (
            "adaptive_avg_pool2d",
            lambda: F.adaptive_avg_pool2d(IMAGE, 2),
            Window((4, 4), (4, 4), ((0, 0), (0, 0)), (1, 1)),
        ),
        ("adaptive_avg_pool1d", lambda: F.adaptive_avg_pool1d(LINE, 3), Window((4,), (2,), ((0, 0),), (1,))),
    ],
)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_window_is_what_one_output_reads(kind: str, call: Call, window: Window) -> None:
    assert check(kind, call).window == window


@pytest.mark.parametrize(
    ("call", "flops"),
    [
        (lambda: F.interpolate(IMAGE, scale_factor=2), 0),
        (lambda: F.interpolate(LINE, size=16, mode="linear"), 384),  # 2*4*16 = 128 x 3
        (lambda: F.interpolate(VOLUME, scale_factor=2, mode="trilinear"), 491520),  # 2*4*16^3 = 32768 x 15
        (lambda: F.interpolate(IMAGE, size=4, mode="bicubic"), 3968),  # 128 x 31
        (lambda: F.interpolate(IMAGE, size=4, mode="bilinear", antialias=True), 3968),  # 128 x (2 * 16 - 1)
        (lambda: F.interpolate(IMAGE, size=4, mode="area"), 512),
    ],
)
def test_interpolation_is_a_weighted_sum(call: Call, flops: int) -> None:
    assert check("interpolate", call).flops == flops


def test_training_costs_more_than_evaluation() -> None:
    assert check("batch_norm", lambda: F.batch_norm(X, V3, V3, training=True)).flops == 36  # 6 x (2 + 4)
    assert check("dropout", lambda: F.dropout(X)).flops == 12


def test_a_block_mask_leaves_the_blocks_it_keeps() -> None:
    class Half:
        def sparsity(self) -> float:
            return 25.0

    head = Tensor((1, 2, 256, 16))
    known = found("flex_attention", {"query": head, "key": head, "value": head, "block_mask": Half()}, head)
    assert (known.macs, known.effective) == (4_194_304, 3_145_728)  # 2 heads x 65,536 pairs x 32; three blocks of four


def test_what_cannot_be_seen_is_unknown() -> None:
    row = Tensor((2, 3))
    own = {"anchor": row, "positive": row, "negative": row, "distance_function": abs}
    assert isinstance(facts(Op("x", "triplet_margin_with_distance_loss", "", (), (row,), (), own)), Unknown)
    head = Tensor((1, 2, 4, 8))
    scored = {"query": head, "key": head, "value": head, "score_mod": abs}
    assert isinstance(facts(Op("x", "flex_attention", "", (), (head,), (), scored)), Unknown)


@pytest.mark.parametrize(
    ("call", "flops"),
    [
        (lambda: F.mse_loss(X, Y, reduction="sum"), 17),
        (lambda: F.mse_loss(X, Y, weight=Y), 24),
        (lambda: F.mse_loss(X, Y, reduction="none"), 12),
    ],
)
def test_a_reduction_costs_its_sums(call: Call, flops: int) -> None:
    args, kwargs, result = recorded("mse_loss", call)
    assert found("mse_loss", RULES["mse_loss"].bind(args, kwargs), result).flops == flops


def test_unknown_kinds_and_arguments_are_unknown_not_zero() -> None:
    assert isinstance(facts(Op("x", "no_such_op", "")), Unknown)
    strange = Op("x", "relu6", "", outputs=(Tensor((2,)),), arguments={"nonsense": 1})
    assert isinstance(facts(strange), Unknown)
