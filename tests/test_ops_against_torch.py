"""Laws: the MACs of the op rules equal half of what torch counts on the ATen decomposition, over drawn shapes.

torch counts no MACs in recurrent nets and matrix-vector products; those are held against explicit matrix products.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own habit
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from archprof.ops import RULES
from archprof.ops.window import slid
from archprof.records import Window
from tests.recording import Recorder, check, found

FEW = settings(max_examples=25, deadline=None, derandomize=True)
SIZE = st.integers(1, 5)
SIDE = st.integers(5, 11)


@pytest.fixture(autouse=True)
def _slow_path() -> Iterator[None]:
    """Turn off the fast path of multi-head attention, which hides its products, and put the switch back."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(before)


def meta(*shape: int) -> torch.Tensor:
    return torch.empty(shape, device="meta")


def torch_macs(call: Callable[[], Any]) -> int:
    """Return half of torch's count of a call, with attention as plain matrix products."""
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() // 2


def agrees(call: Callable[[], Any], kind: str) -> None:
    assert check(kind, call).macs == torch_macs(call)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[int, int, int, dict[str, Any], torch.Tensor]:
    """Return (axes, input channels, maps, settings, input) of a convolution whose kernel fits."""
    count = draw(st.integers(1, 3))
    groups = draw(st.integers(1, 3))
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(count))
    options = {
        "kernel_size": kernel,
        "stride": tuple(draw(st.integers(1, 3)) for _ in range(count)),
        "padding": tuple(draw(st.integers(0, 2)) for _ in range(count)),
        "dilation": tuple(draw(st.integers(1, 2)) for _ in range(count)),
        "groups": groups,
        "bias": draw(st.booleans()),
    }
    channels, maps = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    lead = draw(st.sampled_from([(), (1,), (3,)]))
    image = meta(*lead, channels, *(draw(SIDE) for _ in range(count)))
    return count, channels, maps, options, image


@FEW
@given(convolutions())
def test_convolution(drawn: tuple[int, int, int, dict[str, Any], torch.Tensor]) -> None:
    count, channels, maps, options, image = drawn
    layer = getattr(nn, f"Conv{count}d")(channels, maps, device="meta", **options)
    agrees(lambda: layer(image), f"conv{count}d")


@FEW
@given(convolutions(), st.integers(0, 2))
def test_transposed_convolution(drawn: tuple[int, int, int, dict[str, Any], torch.Tensor], extra: int) -> None:
    count, channels, maps, options, image = drawn
    output_padding = tuple(
        min(extra, max(s, d) - 1) for s, d in zip(options["stride"], options["dilation"], strict=True)
    )
    make = getattr(nn, f"ConvTranspose{count}d")
    layer = make(channels, maps, output_padding=output_padding, device="meta", **options)
    agrees(lambda: layer(image), f"conv_transpose{count}d")


@FEW
@given(st.lists(SIZE, max_size=3), SIZE, SIZE, st.booleans())
def test_linear(lead: list[int], inputs: int, outputs: int, bias: bool) -> None:
    layer = nn.Linear(inputs, outputs, bias=bias, device="meta")
    agrees(lambda: layer(meta(2, *lead, inputs)), "linear")


@FEW
@given(st.lists(st.tuples(SIZE, st.sampled_from(["both", "left", "right"])), max_size=2), SIZE, SIZE, SIZE)
def test_matmul(batch: list[tuple[int, str]], rows: int, inner: int, columns: int) -> None:
    a = meta(*(1 if who == "right" else size for size, who in batch), rows, inner)
    b = meta(*(1 if who == "left" else size for size, who in batch), inner, columns)
    agrees(lambda: a @ b, "matmul")


@FEW
@given(SIZE, SIZE, SIZE, SIZE)
def test_batched_and_added_products(batch: int, rows: int, inner: int, columns: int) -> None:
    a, b, c = meta(batch, rows, inner), meta(batch, inner, columns), meta(columns)
    agrees(lambda: torch.bmm(a, b), "bmm")
    agrees(lambda: torch.baddbmm(c, a, b), "baddbmm")
    agrees(lambda: torch.addmm(c, a[0], b[0]), "addmm")
    agrees(lambda: torch.mm(a[0], b[0]), "mm")


def test_matrix_times_vector_counts_as_one_column() -> None:
    assert check("matmul", lambda: meta(4, 3) @ meta(3)).macs == torch_macs(lambda: meta(4, 3) @ meta(3, 1)) == 12


@FEW
@given(st.data())
def test_einsum_of_two_operands(data: st.DataObject) -> None:
    # From 2, as torch multiplies elementwise where all it would sum over has size 1.
    sizes = {label: data.draw(st.integers(2, 5)) for label in "abcdef"}
    left = data.draw(st.lists(st.sampled_from("abcdef"), unique=True, min_size=1, max_size=4))
    right = data.draw(st.lists(st.sampled_from("abcdef"), unique=True, min_size=1, max_size=4))
    both = sorted({*left, *right})
    output = data.draw(st.lists(st.sampled_from(both), unique=True))
    a, b = meta(*(sizes[label] for label in left)), meta(*(sizes[label] for label in right))
    equation = f"{''.join(left)},{''.join(right)}->{''.join(output)}"
    assert check("einsum", lambda: torch.einsum(equation, a, b)).macs == torch_macs(
        lambda: torch.einsum(equation, a, b)
    ), equation


def test_einsum_of_three_operands_goes_from_the_left() -> None:
    a, b, c = meta(2, 3), meta(3, 4), meta(4, 5)
    call = partial(torch.einsum, "ij,jk,kl->il", a, b, c)
    assert check("einsum", call).macs == torch_macs(call) == 64  # 2*3*4 + 2*4*5


@FEW
@given(SIZE, st.integers(1, 3), st.integers(1, 3), SIDE, SIDE, SIZE, SIZE, st.booleans())
def test_scaled_dot_product_attention(
    batch: int, groups: int, repeats: int, queries: int, keys: int, width: int, value_width: int,
    causal: bool,
) -> None:  # fmt: skip
    query = meta(batch, groups * repeats, queries, width)
    key, value = meta(batch, groups, keys, width), meta(batch, groups, keys, value_width)
    options = {"is_causal": causal, "enable_gqa": True}
    agrees(lambda: F.scaled_dot_product_attention(query, key, value, **options), "scaled_dot_product_attention")


@FEW
@given(st.data())
def test_multi_head_attention(data: st.DataObject) -> None:
    heads, width, batch = data.draw(SIZE), data.draw(SIZE), data.draw(SIZE)
    queries, keys = data.draw(SIDE), data.draw(SIDE)
    other = data.draw(st.booleans())
    key_width, value_width = (heads * width + 1, heads * width + 2) if other else (heads * width,) * 2
    layer = nn.MultiheadAttention(
        heads * width,
        heads,
        bias=data.draw(st.booleans()),
        add_bias_kv=data.draw(st.booleans()),
        add_zero_attn=data.draw(st.booleans()),
        kdim=key_width,
        vdim=value_width,
        batch_first=data.draw(st.booleans()),
        device="meta",
    ).eval()

    def shaped(length: int, features: int) -> torch.Tensor:
        return meta(*((batch, length) if layer.batch_first else (length, batch)), features)

    inputs = shaped(queries, heads * width), shaped(keys, key_width), shaped(keys, value_width)
    needed = data.draw(st.booleans())
    agrees(lambda: layer(*inputs, need_weights=needed), "multi_head_attention_forward")


def test_encoder_layer_is_the_textbook_sum() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 32, batch_first=True, device="meta").eval()
    with torch.no_grad(), Recorder() as recorder:
        layer(meta(3, 5, 8))
    total = 0
    for kind, args, kwargs, result in recorder.calls:
        if kind in {"linear", "multi_head_attention_forward"}:
            total += found(kind, RULES[kind].bind(args, kwargs), result).macs
    # 4BTE^2 + 2BT^2E + 2BTEF = 4*3*5*64 + 2*3*25*8 + 2*3*5*8*32
    assert total == torch_macs(lambda: layer(meta(3, 5, 8))) == 12720


class Unrolled(nn.Module):
    """The products of a bidirectional recurrent layer, one by one."""

    def __init__(self, gates: int, inputs: int, hidden: int) -> None:
        """Make the weights of both directions."""
        super().__init__()
        self.steps = [(nn.Linear(inputs, gates * hidden), nn.Linear(hidden, gates * hidden)) for _ in range(2)]

    def forward(self, sequence: torch.Tensor) -> None:
        """Apply both products of every step and direction."""
        for into, again in self.steps:
            state = meta(sequence.shape[1], again.in_features)
            for step in sequence:
                into.to("meta")(step)
                again.to("meta")(state)


@settings(FEW, max_examples=8)
@given(st.sampled_from([(nn.LSTM, "lstm", 4), (nn.GRU, "gru", 3), (nn.RNN, "rnn_tanh", 1)]), SIZE, SIZE, SIZE, SIZE)
def test_recurrent_net(
    net: tuple[type[nn.RNNBase], str, int], steps: int, batch: int, inputs: int, hidden: int
) -> None:
    make, kind, gates = net
    sequence = meta(steps, batch, inputs)
    layer = make(inputs, hidden, bidirectional=True, device="meta")
    by_hand = torch_macs(lambda: Unrolled(gates, inputs, hidden)(sequence))
    assert check(kind, lambda: layer(sequence)).macs == by_hand


@FEW
@given(convolutions())
def test_window_is_where_the_gradient_is(drawn: tuple[int, int, int, dict[str, Any], torch.Tensor]) -> None:
    count, channels, maps, options, image = drawn
    assume(image.dim() == count + 2 and count < 3)
    weight = torch.ones(maps, channels // options["groups"], *options["kernel_size"])
    function = {1: F.conv1d, 2: F.conv2d}[count]
    real = torch.ones(1, *image.shape[1:], requires_grad=True)
    settings = {name: options[name] for name in ("stride", "padding", "dilation", "groups")}
    result = function(real, weight, **settings)
    window = check(f"conv{count}d", lambda: function(real, weight, **settings)).window
    assert window is not None
    middle = tuple(size // 2 for size in result.shape[2:])
    result[(0, 0, *middle)].backward()
    assert real.grad is not None
    for axis in range(count):
        others = [i for i in range(count + 2) if i != axis + 2]
        seen = real.grad.abs().sum(others).nonzero().flatten().tolist()
        start = middle[axis] * window.stride[axis] - window.padding[axis][0]
        taps = range(start, start + window.dilation[axis] * window.kernel[axis], window.dilation[axis])
        assert seen == [tap for tap in taps if 0 <= tap < real.shape[axis + 2]]


@FEW
@given(st.lists(st.tuples(SIDE, st.integers(1, 4), st.integers(1, 4)), min_size=2, max_size=2), st.data())
def test_pooled_size_with_ceil_mode(parts: list[tuple[int, int, int]], data: st.DataObject) -> None:
    kernel = [k for _, k, _ in parts]
    padding = [data.draw(st.integers(0, k // 2)) for k in kernel]
    ceil = data.draw(st.booleans())
    image = meta(2, *(size for size, _, _ in parts))
    options: dict[str, Any] = {"stride": [s for *_, s in parts], "padding": padding, "ceil_mode": ceil}
    check("max_pool2d", lambda: F.max_pool2d(image, kernel, **options))
    check("avg_pool2d", lambda: F.avg_pool2d(image, kernel, **options))


def test_slid_refuses_a_kernel_larger_than_its_input() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        slid((3,), Window((4,), (1,), ((0, 0),), (1,)))


def test_batch_of_two_doubles_the_macs() -> None:
    one, two = (check("conv2d", lambda n=n: F.conv2d(meta(n, 4, 8, 8), meta(6, 4, 3, 3))).macs for n in (1, 2))
    assert (one, two) == (7776, 15552)  # 36 positions x 4 x 9 x 6
