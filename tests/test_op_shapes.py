"""The shape rules and their parts return what torch returns: odd sizes, missing batches, broadcasting, promotion."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own habit
from torch import nn

from archprof.ops import RULES
from archprof.ops.gather import indexed
from archprof.ops.shapes import promoted
from archprof.records import Tensor
from tests.op_table import (
    IMAGE,
    INDEX,
    LINE,
    PICK,
    SQUARE,
    TRUTH,
    V3,
    V5,
    WAVE,
    WHOLE,
    Call,
    X,
    Y,
    meta,
    net,
    packed,
)  # fmt: skip
from tests.recording import check, mirrored

BF16 = meta(16, 8).bfloat16()
VARIANTS: list[tuple[str, Call]] = [
    ("conv1d", lambda: F.conv1d(meta(4, 9), meta(6, 4, 4), padding="same")),
    ("conv1d", lambda: F.conv1d(LINE, meta(6, 2, 3), groups=2, dilation=2)),
    ("conv2d", lambda: F.conv2d(meta(4, 9, 7), meta(8, 4, 3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2))),
    ("conv2d", lambda: F.conv2d(IMAGE, meta(8, 4, 2, 4), padding="same", dilation=3)),
    ("conv2d", lambda: nn.Conv2d(4, 8, 3, padding="valid", device="meta")(IMAGE)),
    ("conv2d", lambda: F.conv2d(meta(0, 4, 8, 8), meta(8, 4, 3, 3))),
    ("conv2d", lambda: F.conv2d(IMAGE.half(), meta(8, 4, 3, 3).half())),
    ("conv3d", lambda: F.conv3d(meta(4, 8, 8, 8), meta(8, 4, 1, 3, 3), padding=(0, 1, 1))),
    ("conv_transpose2d", lambda: F.conv_transpose2d(meta(4, 5, 6), meta(4, 2, 3, 3), None, 2, 1, 1, 2, 2)),
    ("conv_transpose2d", lambda: nn.ConvTranspose2d(4, 2, 3, 2, device="meta")(IMAGE, output_size=(18, 18))),
    ("max_pool1d", lambda: F.max_pool1d(meta(4, 9), 3, 2, 1, 2, ceil_mode=True)),
    ("max_pool2d", lambda: F.max_pool2d(meta(4, 9, 7), 3, 2, ceil_mode=True)),
    ("max_pool2d", lambda: torch.max_pool2d(IMAGE, [3, 2], [2, 2], [1, 1], [2, 1], True)),
    (
        "max_pool2d",
        lambda: F.max_pool2d(meta(2, 4, 5, 5), 2, 3, 1, ceil_mode=True),
    ),  # the last window starts in padding
    ("max_pool2d_with_indices", lambda: F.max_pool2d(meta(4, 9, 9), 3, return_indices=True)),
    ("max_pool3d", lambda: F.max_pool3d(meta(4, 8, 9, 8), (1, 3, 3), (1, 2, 2), (0, 1, 1))),
    ("avg_pool1d", lambda: F.avg_pool1d(meta(4, 9), 2, ceil_mode=True)),
    ("avg_pool2d", lambda: F.avg_pool2d(meta(4, 9, 9), (3, 2), 2, 1, ceil_mode=True, count_include_pad=False)),
    ("avg_pool3d", lambda: F.avg_pool3d(meta(4, 8, 8, 8), 3, 2, divisor_override=2)),
    ("adaptive_avg_pool2d", lambda: F.adaptive_avg_pool2d(meta(4, 9, 7), (None, 3))),
    ("adaptive_avg_pool2d", lambda: F.adaptive_avg_pool2d(meta(1, 4, 3, 3), 7)),
    ("adaptive_max_pool2d_with_indices", lambda: F.adaptive_max_pool2d(meta(4, 9, 7), (4, 3), return_indices=True)),
    ("lp_pool2d", lambda: F.lp_pool2d(IMAGE, 2, (3, 2), 2, ceil_mode=True)),
    ("linear", lambda: F.linear(V3, meta(5, 3), V5)),
    ("linear", lambda: F.linear(meta(4, 3), V3)),
    ("matmul", lambda: V3 @ meta(2, 3, 4)),
    ("matmul", lambda: meta(2, 4, 3) @ V3),
    ("matmul", lambda: V3 @ V3),
    ("einsum", lambda: torch.einsum("b...i,ij->b...j", meta(2, 3, 4, 5), meta(5, 6))),
    ("einsum", lambda: torch.einsum("ij,jk,kl", meta(2, 3), meta(3, 4), meta(4, 5))),
    ("einsum", lambda: torch.einsum("ii->i", SQUARE)),
    ("einsum", lambda: torch.einsum("B H I, B J H -> B I J", meta(2, 3, 4), meta(2, 5, 3))),
    ("einsum", lambda: torch.einsum(meta(2, 3), [1, 0], meta(2, 4), [1, 2], [2, 0])),
    ("einsum", lambda: torch.einsum("...ij,...jk", meta(5, 2, 3), meta(3, 4))),
    ("einsum", lambda: torch.einsum("zi,aj", meta(2, 3), meta(4, 5))),
    ("tensordot", lambda: torch.tensordot(meta(2, 3, 4), meta(4, 5, 2), ([0, 2], [2, 0]))),
    ("scaled_dot_product_attention", lambda: F.scaled_dot_product_attention(meta(4, 8), meta(6, 8), meta(6, 5))),
    (
        "scaled_dot_product_attention",
        lambda: F.scaled_dot_product_attention(meta(2, 6, 4, 8), meta(2, 2, 4, 8), meta(2, 2, 4, 8), enable_gqa=True),
    ),
    ("multi_head_attention_forward", lambda: nn.MultiheadAttention(8, 2, device="meta")(*[meta(5, 8)] * 3)),
    (
        "multi_head_attention_forward",
        lambda: nn.MultiheadAttention(8, 2, device="meta")(*[meta(5, 2, 8)] * 3, need_weights=False),
    ),
    (
        "multi_head_attention_forward",
        lambda: nn.MultiheadAttention(8, 2, kdim=6, vdim=4, add_bias_kv=True, add_zero_attn=True, device="meta")(
            meta(5, 2, 8), meta(7, 2, 6), meta(7, 2, 4), average_attn_weights=False
        ),
    ),
    ("lstm", lambda: net(nn.LSTM, num_layers=2, bidirectional=True, proj_size=3)),
    ("lstm", lambda: nn.LSTM(6, 5, device="meta")(meta(7, 6))),
    ("lstm", lambda: nn.LSTM(5, 4, 2, bidirectional=True)(packed())),
    ("gru", lambda: nn.GRU(5, 4, bidirectional=True)(packed())),
    ("gru", lambda: net(nn.GRU, batch_first=True, bidirectional=True, bias=False)),
    ("lstm_cell", lambda: nn.LSTMCell(6, 5, device="meta")(meta(6))),
    ("batch_norm", lambda: nn.BatchNorm1d(3, affine=False, device="meta")(X)),
    ("batch_norm", lambda: F.batch_norm(IMAGE, None, None, training=True)),
    ("softmax", lambda: X.softmax(-1, torch.float64)),
    ("softmax", lambda: F.softmax(X, 1, dtype=torch.float16)),
    ("add", lambda: meta(2, 1, 3) + meta(4, 1)),
    ("add", lambda: torch.add(X, Y, alpha=2)),
    ("add", lambda: meta(2, 3).add_(1)),
    ("mul", lambda: X.half() * meta()),
    ("div", lambda: WHOLE / 2),
    ("div", lambda: torch.div(WHOLE, 2, rounding_mode="floor")),
    ("pow", lambda: WHOLE**2.0),
    ("rpow", lambda: 2**X),
    ("rsub", lambda: 1 - WHOLE),
    ("rdiv", lambda: 1 / WHOLE),
    ("gt", lambda: X > 0),
    ("and", lambda: TRUTH & TRUTH),
    ("sigmoid", lambda: WHOLE.sigmoid()),
    ("exp", lambda: TRUTH.exp()),
    ("abs", lambda: WAVE.abs()),
    ("relu", lambda: F.relu(meta(2, 3), inplace=True)),
    ("relu", lambda: meta(2, 3).relu_()),
    ("clamp", lambda: X.clamp(min=0)),
    ("clamp", lambda: WHOLE.clamp(0.5)),
    ("where", lambda: torch.where(meta(2, 1, dtype=torch.bool), meta(), WHOLE)),
    ("where", lambda: torch.where(TRUTH, 1.0, 0)),
    ("sum", lambda: TRUTH.sum(1, keepdim=True)),
    ("sum", lambda: X.sum((0, -1), dtype=torch.float64)),
    ("mean", lambda: IMAGE.mean([2, 3])),
    ("mean", lambda: IMAGE.mean(-1, True)),
    ("prod", lambda: X.prod(1)),
    ("max", lambda: torch.max(X, WHOLE)),
    ("argmax", lambda: X.argmax(1)),
    ("amax", lambda: IMAGE.amax((1, 2), keepdim=True)),
    ("cumsum", lambda: TRUTH.cumsum(0)),
    ("norm", lambda: torch.norm(X, dim=1)),
    ("norm", lambda: X.norm(2, -1, keepdim=True)),
    ("interpolate", lambda: F.interpolate(meta(2, 4, 9, 7), scale_factor=(1.5, 0.5), mode="bicubic")),
    ("interpolate", lambda: F.interpolate(LINE, size=11, mode="linear")),
    ("interpolate", lambda: F.interpolate(IMAGE, (5, 3), mode="area")),
    ("unfold", lambda: F.unfold(meta(4, 9, 9), (3, 2), dilation=2, padding=1, stride=2)),
    ("unfold", lambda: IMAGE.unfold(2, 3, 2)),
    ("unfold", lambda: IMAGE.unfold(dimension=-1, size=3, step=2)),
    ("pad", lambda: F.pad(IMAGE, (1, -2, 3, 0), mode="constant")),
    ("pad", lambda: F.pad(IMAGE, (1, 1, 1, 1), mode="reflect")),
    ("cat", lambda: torch.cat([X, WHOLE, meta(2, 5)], dim=-1)),
    ("cat", lambda: torch.cat([meta(0), X], 1)),
    ("stack", lambda: torch.stack((X, Y), -1)),
    ("embedding", lambda: torch.embedding(meta(10, 8), INDEX)),
    ("batch_norm", lambda: torch.batch_norm(IMAGE, None, None, None, None, True, 0.1, 1e-5, False)),
    ("mean", lambda: X.mean(axis=1, keepdims=True)),
    ("embedding_bag", lambda: F.embedding_bag(PICK, meta(10, 8), PICK, mode="sum")),
    ("index_select", lambda: X.index_select(-1, PICK)),
    ("l1_loss", lambda: F.l1_loss(X, Y.double(), reduction="none")),
    ("mse_loss", lambda: F.mse_loss(X, Y, reduction="sum")),
    ("binary_cross_entropy_with_logits", lambda: F.binary_cross_entropy_with_logits(X, Y, reduction="none")),
    ("kl_div", lambda: F.kl_div(X, Y, reduction="batchmean")),
    ("cross_entropy", lambda: F.cross_entropy(X, Y, label_smoothing=0.1, reduction="none")),
    ("cross_entropy", lambda: F.cross_entropy(IMAGE, meta(2, 8, 8, dtype=torch.int64), reduction="none")),
    ("cross_entropy", lambda: F.cross_entropy(V3, meta(dtype=torch.int64))),
    ("searchsorted", lambda: torch.searchsorted(V5, X, out_int32=True)),
    ("bucketize", lambda: torch.bucketize(X, V5)),
    ("kron", lambda: torch.kron(X, SQUARE)),
    ("linalg_matmul", lambda: torch.linalg.matmul(X, V3)),
    ("grouped_mm", lambda: torch._grouped_mm(BF16, meta(2, 8, 24).bfloat16(), offs=PICK.int())),
    ("grouped_mm", lambda: torch._grouped_mm(meta(2, 16, 8).bfloat16(), meta(2, 8, 24).bfloat16())),
    ("grouped_mm", lambda: torch._grouped_mm(BF16, meta(24, 8).bfloat16().T, offs=PICK.int())),
    ("to", lambda: X.to("meta", torch.float16)),
    ("to", lambda: X.to(WHOLE)),
    ("to", lambda: X.to(dtype=torch.bool, copy=True)),
]


@pytest.mark.parametrize(("kind", "call"), VARIANTS, ids=[f"{i}-{row[0]}" for i, row in enumerate(VARIANTS)])
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_shape_rule_says_what_torch_says(kind: str, call: Call) -> None:
    check(kind, call)


@pytest.mark.parametrize(
    "index",
    [0, -1, slice(1, None), (0, 1), (slice(None), 2), (None, ...), (..., 0), (slice(None, None, 2), ..., None)]
    + [(0, slice(None), PICK), (PICK, slice(None), PICK), (slice(None), PICK, PICK), PICK, INDEX, ([0, 1],), [0, 1]],
    ids=str,
)
def test_indexing_says_what_torch_says(index: Any) -> None:
    assert indexed((4, 5, 6, 7), mirrored(index)) == tuple(meta(4, 5, 6, 7)[index].shape)


DTYPES = [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int64, torch.float16, torch.bfloat16, torch.float32,
          torch.float64, torch.complex32, torch.complex64, torch.complex128]  # fmt: skip


@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
def test_promotion_says_what_torch_says() -> None:
    # before torch had bcomplex32, bfloat16 and a complex number made complex64; archprof says what torch says now
    dtypes = DTYPES if hasattr(torch, "bcomplex32") else [dtype for dtype in DTYPES if dtype != torch.bfloat16]
    operands = [meta(*shape, dtype=dtype) for shape, dtype in product([(2,), ()], dtypes)]
    for a, b in product(operands, [*operands, True, 1, 1.0, 1j]):
        wanted = str(torch.result_type(a, b)).removeprefix("torch.")
        assert promoted(mirrored(a), mirrored(b)) == wanted, (a, b)


@pytest.mark.parametrize(
    ("kind", "args"),
    [
        ("conv2d", (Tensor((1, 3, 8, 8)), Tensor((4, 2, 3, 3)))),
        ("conv2d", (Tensor((1, 3, 2, 2)), Tensor((4, 3, 3, 3)))),
        ("linear", (Tensor((1, 3)), Tensor((4, 2)))),
        ("linear", (Tensor((1, 3), "float16"), Tensor((4, 3)))),
        ("matmul", (Tensor((2, 3)), Tensor((4, 5)))),
        ("add", (Tensor((2, 3)), Tensor((4,)))),
        ("cat", ([Tensor((2, 3)), Tensor((4, 5))], 1)),
        ("batch_norm", (Tensor((2, 3)), Tensor((4,)), Tensor((4,)))),
        ("layer_norm", (Tensor((2, 3)), (4,))),
        ("softmax", (Tensor((2, 3)), 2)),
        ("max_pool2d", (Tensor((2, 3)), 2)),
        ("max_pool2d", (Tensor((1, 2, 3, 3)), 2, 0)),
        ("max_pool2d", (Tensor((1, 2, 3, 3)), 2.5)),
        ("linear", (Tensor((1, 3)), None)),
        ("group_norm", (Tensor((1, 4, 3, 3)), 0)),
        ("interpolate", (Tensor((1, 4, 3)), 5, None, "bilinear")),
        ("interpolate", (Tensor((1, 4, 3)),)),
        ("pixel_shuffle", (Tensor((1, 3, 2, 2)), 2)),
        ("scaled_dot_product_attention", (Tensor((1, 2, 3, 4)), Tensor((1, 2, 3, 5)), Tensor((1, 2, 3, 4)))),
        ("scaled_dot_product_attention", (*[Tensor((1, 1, 3, 4))] * 3, Tensor((1, 4, 3, 3)))),  # a mask for more heads
    ],
)
def test_shape_rule_leaves_misfits_to_torch(kind: str, args: tuple[Any, ...]) -> None:
    assert RULES[kind].output(RULES[kind].bind(args, {})) is None
