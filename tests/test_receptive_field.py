"""Receptive fields: worked out by hand, against the gradient, and as they are published."""

import copy
import random
import time
from fractions import Fraction

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

import archprof
from archprof.receptive import receptive_field
from archprof.runs.gradient import claim, compared

HALF = Fraction(1, 2)


class Of(nn.Module):
    """A module out of a function; layers that it needs are kept for their weights."""

    def __init__(self, run, *layers):
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.run = run

    def forward(self, x):
        return self.run(x, *self.layers)


def fields_of(module, *shape):
    profile = archprof.profile(module, [archprof.Tensor(shape)])
    traced, opened = profile._run
    return profile, traced, opened, receptive_field(profile.network, traced.reads)


def last(module, *shape):
    profile, _, _, fields = fields_of(module, *shape)
    return fields.fields[profile.network.ops[-1].name], fields


def intervals(module, *shape):
    """What every output along the last axis sees along the last input axis."""
    profile, _, _, fields = fields_of(module, *shape)
    op = profile.network.ops[-1]
    out = op.outputs[0].shape
    return [claim(fields, op.name, (*(0 for _ in out[:-1]), i))[-1] for i in range(out[-1])]


def conv(kernel, **settings):
    return nn.Conv1d(1, 1, kernel, **settings)


def up(kernel, stride, **settings):
    return nn.ConvTranspose1d(1, 1, kernel, stride, **settings)


# (network, length of the input, size, stride, padding): size = the widest of all outputs as if there were no border;
# chains: size' = size + (k - 1) d stride, stride' = stride s, padding' = padding + p stride
CHAINS = [
    # one convolution: k, s, p as they are; d spreads k to d (k - 1) + 1
    (conv(1), 9, 1, 1, 0),
    (conv(3), 9, 3, 1, 0),
    (conv(3, padding=1), 9, 3, 1, 1),
    (conv(2, padding=1), 9, 2, 1, 1),
    (conv(4, stride=2, padding=1), 12, 4, 2, 1),
    (conv(7, stride=2, padding=3), 32, 7, 2, 3),
    (conv(1, stride=2), 9, 1, 2, 0),
    (conv(3, dilation=2, padding=2), 16, 5, 1, 2),  # 2 x 2 + 1
    (conv(3, dilation=4, padding=4), 32, 9, 1, 4),  # 4 x 2 + 1
    (conv(2, dilation=3), 16, 4, 1, 0),  # 3 x 1 + 1
    (conv(4, padding="same"), 16, 4, 1, 1),  # 3 pixels around: 1 before, 2 after
    (conv(5, padding=2, padding_mode="circular"), 16, 5, 1, 2),
    # chains of two and three
    (nn.Sequential(conv(3, padding=1), conv(3, padding=1)), 16, 5, 1, 2),  # 3 + 2
    (nn.Sequential(conv(3, stride=2), conv(3)), 32, 7, 2, 0),  # 3 + 2 x 2
    (nn.Sequential(conv(3, stride=2, padding=1), conv(3, stride=2, padding=1)), 32, 7, 4, 3),  # 3 + 2 x 2; 1 + 1 x 2
    (nn.Sequential(conv(3, padding=1), conv(3, padding=2, dilation=2), conv(3, padding=4, dilation=4)), 32, 15, 1, 7),  # 3 + 4 + 8
    (nn.Sequential(conv(2, stride=2), conv(2, stride=2), conv(2, stride=2)), 32, 8, 8, 0),  # 2, 4, 8
    (nn.Sequential(conv(3, stride=3), conv(2)), 32, 6, 3, 0),  # 3 + 3
    # pooling: the same as a convolution's window
    (nn.MaxPool1d(2), 16, 2, 2, 0),
    (nn.MaxPool1d(3, 2, 1), 16, 3, 2, 1),
    (nn.MaxPool1d(3, 1, 1, dilation=2), 16, 5, 1, 1),
    (nn.AvgPool1d(4, 3, 2), 16, 4, 3, 2),
    (nn.LPPool1d(2, 3, 2), 16, 3, 2, 0),
    (nn.MaxPool1d(2, 2, ceil_mode=True), 9, 2, 2, 0),
    (nn.Sequential(conv(3, padding=1), nn.MaxPool1d(2), conv(3, padding=1)), 32, 8, 2, 3),  # 3, + 1, + 2 x 2; 1 + 1 x 2
    # what reads the element of the same place changes nothing
    (nn.Sequential(conv(3), nn.BatchNorm1d(1), nn.ReLU(), nn.Dropout()), 16, 3, 1, 0),
    # transposed: stride 1/s; output j reads the k/s inputs i with 0 <= j + p - s i < k
    (up(2, 2), 8, 1, HALF, 0),  # each output has one input
    (up(3, 2), 8, 2, HALF, 1),  # even outputs have i and i - 1, odd ones i
    (up(4, 2, padding=1), 8, 2, HALF, 1),
    (up(3, 3), 8, 1, Fraction(1, 3), 0),
    (up(5, 3), 8, 2, Fraction(1, 3), 1),  # phases 2, 2, 1
    (up(4, 3, padding=1, output_padding=1), 8, 2, Fraction(1, 3), 0),  # output 0: j + 1 = 1, and 1 - 3 < 0 has none
    (nn.Sequential(conv(3, stride=2, padding=1), up(2, 2)), 16, 3, 1, 1),
    (nn.Sequential(up(2, 2), conv(3, padding=1)), 16, 2, HALF, 1),  # 3 outputs in a row come from 2 inputs
    (nn.Sequential(up(2, 2), conv(2, stride=2)), 16, 1, 1, 0),
    # resampling
    (nn.Upsample(scale_factor=2), 8, 1, HALF, 0),
    (nn.Upsample(scale_factor=2, mode="linear"), 8, 2, HALF, 1),  # output 0 is at -1/4: between -1 and 0
    (nn.Upsample(scale_factor=3, mode="linear"), 8, 2, Fraction(1, 3), 1),  # output 1 is at 0 exactly: 1; others 2
    (nn.Upsample(size=15, mode="linear", align_corners=True), 8, 2, HALF, 0),  # outputs at 0, 1/2, 1: 1 and 2
    (nn.Sequential(conv(3, padding=1), nn.Upsample(scale_factor=2)), 8, 3, HALF, 1),
    # skips and branches: the widest path
    (Of(lambda x, c: x + c(x), conv(3, padding=1)), 16, 3, 1, 1),
    (Of(lambda x, a, b: a(x) + b(x), conv(3, padding=1), conv(7, padding=3)), 16, 7, 1, 3),
    (Of(lambda x, a, b: torch.cat([a(x), b(x)], 1), conv(1), conv(5, padding=2)), 16, 5, 1, 2),
    (Of(lambda x, a, b: a(x) + b(b(x)), conv(3, padding=2, dilation=2), conv(3, padding=1)), 16, 5, 1, 2),
    (Of(lambda x, a, b: b(x + a(x)), conv(3, padding=1), conv(3, padding=1)), 16, 5, 1, 2),  # 3 + 2
    # shapes
    (Of(lambda x: x[..., 2:]), 16, 1, 1, -2),
    (Of(lambda x: x[..., ::2]), 16, 1, 2, 0),
    (Of(lambda x, c: c(F.pad(x, (3, 1))), conv(3)), 16, 3, 1, 3),
    (Of(lambda x, c: c(x.transpose(1, 2).transpose(1, 2)), conv(3)), 16, 3, 1, 0),
    (Of(lambda x, c: c(x).unsqueeze(2).squeeze(2), conv(3)), 16, 3, 1, 0),
]  # fmt: skip


@pytest.mark.parametrize(("module", "length", "size", "stride", "padding"), CHAINS)
def test_size_stride_and_padding_are_those_worked_out_by_hand(module, length, size, stride, padding):
    found = last(module, 1, 1, length)[0][-1]
    assert (found.size, found.stride, found.padding) == (size, stride, padding)


# (network, sizes, strides, paddings) along each axis, of inputs of 24 positions each
AXES = [
    (nn.Conv2d(1, 1, (3, 5), (1, 2), (1, 0)), (3, 5), (1, 2), (1, 0)),
    (
        nn.Sequential(nn.Conv2d(1, 1, (1, 7), padding=(0, 3)), nn.Conv2d(1, 1, (7, 1), padding=(3, 0))),
        (7, 7),
        (1, 1),
        (3, 3),
    ),
    (nn.Sequential(nn.MaxPool2d((2, 1)), nn.Conv2d(1, 1, 3)), (6, 3), (2, 1), (0, 0)),  # 2 + 2 x 2
    (nn.ConvTranspose2d(1, 1, (2, 3), (2, 3)), (1, 1), (HALF, Fraction(1, 3)), (0, 0)),
    (nn.ConvTranspose2d(1, 1, (4, 5), (2, 3), (1, 1)), (2, 2), (HALF, Fraction(1, 3)), (1, 1)),  # 5 at 3: 2, 2, 1
    (Of(lambda x, c: c(F.pad(x, (0, 1, 2, 0))), nn.Conv2d(1, 1, (2, 4), 2)), (2, 4), (2, 2), (2, 0)),  # asymmetric
    (nn.Conv2d(1, 1, 3, dilation=(1, 6), padding=(1, 6)), (3, 13), (1, 1), (1, 6)),  # 6 x 2 + 1
    (nn.Upsample(scale_factor=(2, 3)), (1, 1), (HALF, Fraction(1, 3)), (0, 0)),
    (nn.Conv3d(1, 1, (1, 3, 3), (1, 2, 2), (0, 1, 1)), (1, 3, 3), (1, 2, 2), (0, 1, 1)),
    # (2 + 1)-D: in space, then in time; then a pool of all three: 3 + 1, 7 + 2
    (
        nn.Sequential(
            nn.Conv3d(1, 1, (1, 7, 7), (1, 2, 2), (0, 3, 3)),
            nn.Conv3d(1, 1, (3, 1, 1), padding=(1, 0, 0)),
            nn.MaxPool3d(2),
        ),
        (4, 9, 9),
        (2, 4, 4),
        (1, 3, 3),
    ),
    (nn.ConvTranspose3d(1, 1, (3, 2, 2), (2, 2, 1)), (2, 1, 2), (HALF, HALF, 1), (1, 0, 1)),
]


@pytest.mark.parametrize(("module", "sizes", "strides", "paddings"), AXES)
def test_each_axis_has_its_own_field_as_worked_out_by_hand(module, sizes, strides, paddings):
    found = last(module, 1, 1, *[24] * len(sizes))[0]
    assert tuple(field.size for field in found) == sizes
    assert tuple(field.stride for field in found) == strides
    assert tuple(field.padding for field in found) == paddings


def test_the_tables_by_hand_have_many_rows():
    assert len(CHAINS) + len(AXES) + len(EACH) + len(WHOLE) + len(RESHAPED) >= 100


WHOLE = [
    nn.AdaptiveAvgPool1d(1),
    nn.AdaptiveMaxPool1d(1),
    Of(lambda x: x.mean(-1)),
    Of(lambda x: x.flatten(1)[:, None] @ torch.ones(12, 3)),
    nn.Linear(12, 4),
    Of(lambda x, c: x * c(x.mean(-1, keepdim=True)).sigmoid(), conv(1)),  # squeeze and excitation
    Of(lambda x: F.scaled_dot_product_attention(x.mT, x.mT, x.mT)),
    Of(lambda x: F.softmax(x, -1)),
    nn.GroupNorm(1, 1),
    nn.InstanceNorm1d(1),
    nn.LayerNorm(12),
    nn.LSTM(1, 2, 2, bidirectional=True, batch_first=True),
    Of(lambda x, c: c(x * x.mean(-1, keepdim=True)), conv(3)),  # and all behind it
]


@pytest.mark.parametrize("module", WHOLE)
def test_what_mixes_an_axis_sees_the_whole_input_and_says_so(module):
    if isinstance(module, nn.LSTM):
        module = Of(lambda x, net: net(x.mT), module)
    found = last(module, 1, 1, 12)[0][-1]
    assert found.is_whole
    assert found.size == 12


EACH = [
    # at borders padding sees nothing
    (conv(3, padding=1), 4, [(0, 1), (0, 2), (1, 3), (2, 3)]),
    (conv(1, padding=1), 2, [None, (0, 0), (1, 1), None]),
    (nn.Sequential(conv(3), conv(1, padding=1)), 4, [None, (0, 2), (1, 3), None]),
    # transposed, phase by phase: j + p - 2 i in 0 .. k - 1
    (up(3, 2), 3, [(0, 0), (0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (2, 2)]),
    (up(4, 2, padding=1), 3, [(0, 0), (0, 1), (0, 1), (1, 2), (1, 2), (2, 2)]),
    (up(2, 3), 2, [(0, 0), (0, 0), None, (1, 1), (1, 1)]),  # the third of each three has no input
    (up(3, 2, dilation=2), 2, [(0, 0), None, (0, 1), None, (0, 1), None, (1, 1)]),
    (up(3, 3, output_padding=1), 2, [(0, 0)] * 3 + [(1, 1)] * 3 + [None]),
    # adaptive: from floor(i n / m) to ceil((i + 1) n / m)
    (nn.AdaptiveAvgPool1d(3), 7, [(0, 2), (2, 4), (4, 6)]),
    (nn.AdaptiveAvgPool1d(5), 3, [(0, 0), (0, 1), (1, 1), (1, 2), (2, 2)]),
    # places (j + 1/2) n / m - 1/2; a weight of 0 reads nothing
    (nn.Upsample(scale_factor=2, mode="linear"), 3, [(0, 0), (0, 1), (0, 1), (1, 2), (1, 2), (2, 2)]),
    (nn.Upsample(size=3, mode="linear", align_corners=True), 2, [(0, 0), (0, 1), (1, 1)]),
    (nn.Upsample(size=4), 3, [(0, 0), (0, 0), (1, 1), (2, 2)]),  # floor(3 j / 4)
    # what is put around repeats
    (conv(3, padding=1, padding_mode="circular"), 4, [(0, 3), (0, 2), (1, 3), (0, 3)]),
    (conv(3, padding=1, padding_mode="reflect"), 4, [(0, 1), (0, 2), (1, 3), (2, 3)]),
    (Of(lambda x: x.flip(-1)), 3, [(2, 2), (1, 1), (0, 0)]),
    (Of(lambda x: x.cumsum(-1)), 3, [(0, 0), (0, 1), (0, 2)]),
    (Of(lambda x: torch.roll(x, 1, -1)), 3, [(2, 2), (0, 0), (1, 1)]),
    (Of(lambda x: torch.cat([x, x[..., :1]], -1)), 2, [(0, 0), (1, 1), (0, 0)]),
]  # fmt: skip


@pytest.mark.parametrize(("module", "length", "expected"), EACH)
def test_every_output_sees_the_interval_worked_out_by_hand(module, length, expected):
    assert intervals(module, 1, 1, length) == expected


def layer(chance, channels, count):
    """A layer by chance for maps with `count` axes: it keeps the channels."""
    kinds = ("Conv", "Conv", "ConvTranspose", "MaxPool", "AvgPool", "Adaptive", "Upsample", "Group", "Gate", "Act")
    kind = chance.choice(kinds)
    k, s, d = chance.randint(1, 4), chance.randint(1, 3), chance.randint(1, 3)
    p = chance.randint(0, k // 2)
    if kind == "Conv":
        groups = chance.choice([1, channels])
        return getattr(nn, f"Conv{count}d")(channels, channels, k, s, chance.randint(0, 3), d, groups)
    if kind == "ConvTranspose":
        more = chance.randint(0, max(s, d) - 1)
        return getattr(nn, f"ConvTranspose{count}d")(channels, channels, k, s, min(p, k - 1), more, dilation=d)
    if kind == "MaxPool":
        return getattr(nn, f"MaxPool{count}d")(k, s, p, ceil_mode=chance.random() < 0.3)
    if kind == "AvgPool":
        return getattr(nn, f"AvgPool{count}d")(k, s, p)
    if kind == "Adaptive":
        return getattr(nn, f"AdaptiveAvgPool{count}d")(chance.randint(2, 7))
    if kind == "Upsample":
        mode = chance.choice(["nearest", "nearest-exact", "area", {1: "linear", 2: "bilinear", 3: "trilinear"}[count]])
        corners = chance.choice([True, False]) if "linear" in mode else None
        return nn.Upsample(scale_factor=chance.choice([2, 3, 1.5]), mode=mode, align_corners=corners)
    if kind == "Group":
        return nn.GroupNorm(1, channels) if chance.random() < 0.2 else getattr(nn, f"BatchNorm{count}d")(channels)
    if kind == "Gate":
        return Gate(channels, count) if chance.random() < 0.3 else nn.Sigmoid()
    return nn.GELU()


class Gate(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, channels, count):
        super().__init__()
        self.conv = getattr(nn, f"Conv{count}d")(channels, channels, 1)

    def forward(self, x):
        return x * torch.sigmoid(self.conv(x.mean(tuple(range(2, x.ndim)), keepdim=True)))


class Random(nn.Module):
    """Layers by chance, with skips, branches of other lengths, pieces and concatenations among them."""

    def __init__(self, seed):
        super().__init__()
        chance = random.Random(seed)  # noqa: S311 - no secrets
        self.count = chance.choice([1, 1, 2, 2, 3])
        self.size = tuple(chance.randint(9, {1: 40, 2: 17, 3: 10}[self.count]) for _ in range(self.count))
        self.steps = nn.ModuleList()
        self.how = []
        for _ in range(chance.randint(2, 6)):
            self.how.append(chance.choice(["plain", "plain", "add", "cat", "piece", "flip", "pad"]))
            self.steps.append(nn.ModuleList(layer(chance, 2, self.count) for _ in range(2)))

    def forward(self, x):
        for how, (a, b) in zip(self.how, self.steps, strict=True):
            if max(x.shape[2:]) > 40 or min(x.shape[2:]) < 4:
                break
            y = a(x)
            if how in {"add", "cat"}:
                z = b(x)
                size = [min(m, n) for m, n in zip(y.shape[2:], z.shape[2:], strict=True)]
                at = (..., *(slice(n) for n in size))
                y = y[at] + z[at] if how == "add" else torch.cat([y[at], z[at]], 1)[:, 1:3]
            if how == "piece":
                y = y[:, :, 1::2]
            if how == "flip":
                y = y.flip(-1)
            if how == "pad":
                y = F.pad(y, (2, 0), mode="replicate") if y.ndim < 6 else y
            x = y
        return x


@pytest.mark.parametrize("start", range(0, 200, 20))
def test_random_nets_see_where_their_gradient_is_not_zero(start):
    tried = 0
    seed = start * 100
    while tried < 20:
        seed += 1
        net = Random(seed)
        shape = (1, 2, *net.size)
        try:
            with torch.no_grad():
                if net.eval()(torch.ones(shape)).numel() == 0:
                    continue
        except RuntimeError:
            continue  # it became too small for a kernel
        tried += 1
        profile, _, opened, fields = fields_of(net, *shape)
        assert not fields.unknown, (seed, fields.unknown)
        ops = profile.network.ops
        kinds, names = [op.kind for op in ops], [op.name for op in ops]
        for found in compared(net, opened.inputs, kinds, names, fields, ops=4, places=4, seed=seed):
            assert found.is_equal, (seed, found, net)


def windows(x, net):
    """Attention within windows of 4 x 4 that are shifted by 2, as in Swin."""
    x = torch.roll(x, (-2, -2), (2, 3))
    n, c, h, w = x.shape
    x = x.view(n, c, h // 4, 4, w // 4, 4).permute(0, 2, 4, 3, 5, 1).reshape(-1, 16, c)
    x = net(x, x, x, need_weights=False)[0]
    x = x.view(n, h // 4, w // 4, 4, 4, c).permute(0, 5, 1, 3, 2, 4).reshape(n, c, h, w)
    return torch.roll(x, (2, 2), (2, 3))


def in_place(x, c):
    y = torch.zeros(1, 4, 14, 14, dtype=x.dtype, device=x.device)
    y[0, 1:3, 2:, :-2].copy_(c(x)[0, :2])
    return y * 1


C, C2 = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(8, 4, 3, groups=2)
MAPS = {
    "groups of channels that see other things": Of(lambda x, a, b: b(torch.cat([x, a(x)], 1)), C, C2),
    "depthwise": Of(lambda x, a, b: b(torch.cat([x, a(x)], 1)), C, nn.Conv2d(8, 8, (1, 4), (2, 3), groups=8)),
    "transposed groups": Of(lambda x, a, b: b(torch.cat([x, a(x)], 1)), C, nn.ConvTranspose2d(8, 4, 3, 2, groups=2)),
    "shuffled channels": Of(lambda x, a, b, f: b(f(torch.cat([x, a(x)], 1))), C, C2, nn.ChannelShuffle(2)),
    "pixels to space": Of(lambda x, a, c: c(F.pixel_shuffle(torch.cat([x, a(x)], 1), 2)), C, nn.Conv2d(2, 1, 3)),
    "space to pixels": Of(lambda x, c: c(F.pixel_unshuffle(x, 2)), nn.Conv2d(16, 1, 3)),
    "patches": Of(lambda x: F.unfold(x, (3, 2), (2, 1), 1, (2, 3))),
    "windows of one axis": Of(lambda x: x.unfold(3, 4, 3).sum(-1)),
    "shifted windows": Of(windows, nn.MultiheadAttention(4, 2, batch_first=True)),
    "rows by einsum": Of(lambda x: torch.einsum("nchw,ndhw->nhcd", x, x)),
    "columns by matmul": Of(lambda x: x[..., :3] @ x[..., :3, :]),
    "bicubic": nn.Upsample(scale_factor=2, mode="bicubic"),
    "bicubic between corners": nn.Upsample(size=(20, 7), mode="bicubic", align_corners=True),
    "smaller, antialiased": Of(lambda x: F.interpolate(x, (5, 9), mode="bilinear", antialias=True)),
    "smaller by a third": Of(lambda x: F.interpolate(x, scale_factor=0.7, mode="bilinear")),
    "response beside": Of(lambda x, c: nn.functional.local_response_norm(torch.cat([x, c(x)], 1), 3), C),
    "stacked": Of(lambda x, c: torch.stack([x, c(x)], 2)[:, :, 1], C),
    "halves": Of(lambda x, c: c(torch.cat(x.chunk(2, 3)[::-1], 3)), C),
    "each one twice": Of(lambda x, c: c(x.repeat_interleave(2, 3)), C),
    "tiled": Of(lambda x, c: c(x.repeat(1, 1, 2, 1)), C),
    "written into a part": Of(in_place, C),
    "norm of a place": Of(lambda x, n: n(x.permute(0, 2, 3, 1)), nn.LayerNorm(4)),
    "norm of groups": Of(lambda x, c, n: n(torch.cat([x, c(x)], 1)), C, nn.GroupNorm(4, 8)),
    "tokens": Of(lambda x, c: c(x.flatten(2).transpose(1, 2).transpose(1, 2).reshape(x.shape)), C),
    "rows in both directions": Of(lambda x, n: n(x[0].permute(1, 2, 0))[0], nn.GRU(4, 3, bidirectional=True)),
    "rows one after the other": Of(lambda x, n: n(x[0].permute(1, 2, 0))[0], nn.LSTM(4, 3, 2)),
    "causal rows": Of(lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True)),
    "mirrored": Of(lambda x, c: c(F.pad(x, (3, 2, 1, 0), mode="reflect")), C),
    "around a corner": nn.Conv2d(4, 1, 5, 2, padding=2, padding_mode="circular"),
    "largest of a dilated window": nn.MaxPool2d(3, 2, 1, 2),
    "ceiling": nn.AvgPool2d(3, 2, 1, ceil_mode=True),
    "crop": Of(lambda x, c: c(x[:, :, 2:-1, 1::3]), C),
    "left out": Of(lambda x, c: c(F.pad(x, (-2, 1, -1, -1))), C),
    "gate of a column": Of(lambda x, c: c(x * x.mean(2, keepdim=True)), C),
}  # fmt: skip


@pytest.mark.parametrize("what", MAPS)
def test_maps_see_where_their_gradient_is_not_zero(what):
    net = copy.deepcopy(MAPS[what])
    profile, _, opened, fields = fields_of(net, 1, 4, 12, 12)
    assert not fields.unknown
    ops = profile.network.ops
    found = compared(net, opened.inputs, [op.kind for op in ops], [op.name for op in ops], fields, ops=5, places=8)
    assert found
    assert [each for each in found if not each.is_equal] == []


# https://distill.pub/2019/computing-receptive-fields (Araujo et al. 2019), table of popular networks: AlexNet 195, VGG-16
# 212, ResNet-50 483 before global pooling. In torchvision's ResNet-50 (v1.5) the stride of the first block of a stage is in its
# 3 x 3 and not in the 1 x 1 before it: the three windows of 2 more pixels are taken at the stride before, so that it is
# 483 - 2 (8 - 4) - 2 (16 - 8) - 2 (32 - 16) = 427
@pytest.mark.parametrize(("model", "op", "size"), [
    ("torchvision:alexnet", "features.12", 195),
    ("torchvision:vgg16", "features.30", 212),
    ("torchvision:resnet50", "layer4.2.add", 427),
])  # fmt: skip
def test_networks_see_what_is_published(model, op, size):
    profile = archprof.profile(model)
    fields = receptive_field(profile.network, profile._run[0].reads)
    name = next(n for n in fields.fields if n.startswith(op))
    assert [found.size for found in fields.fields[name]] == [size, size]
    assert all(found.is_whole for found in fields.fields[profile.network.ops[-1].name])
    assert not fields.unknown


def test_resnet_50_v1_has_the_published_field():
    from torchvision.models import resnet50

    net = resnet50()
    for stage in (net.layer2, net.layer3, net.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    _, _, _, fields = fields_of(net, 1, 3, 224, 224)
    name = next(n for n in fields.fields if n.startswith("layer4.2.add"))
    assert fields.fields[name][0].size == 483


def attended(x, first, last):
    """Attention within windows of 4 x 4, which are made and undone by reshapes, between two convolutions."""
    x = first(x)
    n, c, h, w = x.shape
    x = x.view(n, c, h // 4, 4, w // 4, 4).permute(0, 2, 4, 3, 5, 1).reshape(-1, 16, c)
    x = F.scaled_dot_product_attention(x, x, x)
    return last(x.view(n, h // 4, w // 4, 4, 4, c).permute(0, 5, 1, 3, 2, 4).reshape(n, c, h, w))


def same(i, o=4):
    return nn.Conv2d(i, o, 3, padding=1)


# (network, size, stride, padding), for maps of 4 channels of 24 x 24; after a 3 x 3: 3, 1, 1
RESHAPED = [
    (lambda x, a, _b: F.pixel_shuffle(a(x), 2), 1, 3, HALF, 1),
    # three places in a row of the larger map are of two neighbours: 3 + 1; the first begins one further before
    (lambda x, a, b: b(F.pixel_shuffle(a(x), 2)), 1, 4, HALF, 2),
    # channels of a block see one of its two rows: 3, two further each
    (lambda x, a, _b: F.pixel_unshuffle(a(x), 2), 16, 3, 2, 1),
    # a block sees 2 + 2, and three of them 4 + 2 x 2; 1 + 2 before the input
    (lambda x, a, b: b(F.pixel_unshuffle(a(x), 2)), 16, 8, 2, 3),
    # as a view by hand: the same
    (lambda x, a, b: b(a(x).view(1, 4, 12, 2, 12, 2).permute(0, 1, 3, 5, 2, 4).reshape(1, 16, 12, 12)), 16, 8, 2, 3),
    # patches beside each other as channels, as Swin merges them
    (lambda x, a, b: b(torch.cat([y[..., ::2, ::2], y[..., 1::2, 1::2]], 1)) if (y := a(x)) is not None else y, 8, 8, 2, 3),
    # windows of 4 see 4 + 2; a 3 x 3 at their border two of them: 8 + 2, from 4 + 1 before the input on
    (attended, 4, 10, 1, 5),
    # tokens and back
    (lambda x, a, b: b(a(x).flatten(2).transpose(1, 2).relu().transpose(1, 2).reshape(1, 4, 24, 24)), 4, 5, 1, 2),
    # as transformers do it: a class token in front, which is taken off again
    (lambda x, a, b: b(torch.cat([torch.zeros_like(t[:, :, :1]), t], 2)[:, :, 1:].reshape(1, 4, 24, 24))
     if (t := a(x).flatten(2)) is not None else t, 4, 5, 1, 2),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(RESHAPED)))
def test_reshapes_keep_strides_as_worked_out_by_hand(case):
    run, channels, size, stride, padding = RESHAPED[case]
    net = Of(run, same(4), same(channels))
    profile, _, opened, fields = fields_of(net, 1, 4, 24, 24)
    for found in fields.fields[profile.network.ops[-1].name]:
        assert (found.size, found.stride, found.padding, found.reason) == (size, stride, padding, "")
    ops = profile.network.ops
    rows = compared(net, opened.inputs, [op.kind for op in ops], [op.name for op in ops], fields, ops=4, places=12)
    assert [row for row in rows if not row.is_equal] == []


def test_where_there_is_no_stride_a_word_says_why():
    tokens = last(Of(lambda x, c: c(x).flatten(2), same(4)), 1, 4, 24, 24)[0]
    assert [(found.size, found.stride_text) for found in tokens] == [(3, "shared"), (3, "shared")]
    rolled = last(Of(lambda x: torch.roll(x, 2, 3)), 1, 4, 24, 24)[0]
    assert [found.stride_text for found in rolled] == ["1", "uneven"]


def test_channels_that_see_other_things_are_told_apart_when_they_become_places():
    # channel 0 sees its place, 1 to 3 one before and behind: of each block, only the first place is narrow
    found = intervals(
        Of(lambda x, c: F.pixel_shuffle(torch.cat([x, c(x).expand(1, 3, 4, 4)], 1), 2), same(1, 1)), 1, 1, 4, 4
    )
    assert found == [(0, 0), (0, 1), (1, 1), (0, 2), (2, 2), (1, 3), (3, 3), (2, 3)]


def test_branches_that_do_not_line_up_are_told():
    even = Of(lambda x, c: x[..., :-1] + c(x), conv(2))  # x is at i, the window of two between i and i + 1
    (warning,) = last(even, 1, 1, 16)[1].warnings
    assert "0.5 apart" in warning
    strides = Of(lambda x, c: x[..., :7] + c(x), conv(3, stride=2))
    (warning,) = last(strides, 1, 1, 16)[1].warnings
    assert "1 and 2" in warning
    assert last(Of(lambda x, c: x + c(x), conv(3, padding=1)), 1, 1, 16)[1].warnings == ()


def test_tokens_of_several_maps_behind_each_other_are_not_branches_that_do_not_line_up():
    tokens = Of(lambda x, c: torch.cat([x.flatten(2), c(x).flatten(2)], 2), nn.Conv2d(4, 4, 2, stride=2))
    assert last(tokens, 1, 4, 24, 24)[1].warnings == ()


def test_paths_of_unequal_length_are_told():
    (found,) = last(Of(lambda x, c: x + c(x), conv(5, padding=2)), 1, 1, 16)[0]
    assert found.paths == (1, 5)


def test_phases_of_a_transposed_convolution_are_told():
    (found,) = last(up(5, 3), 1, 1, 8)[0]
    assert sorted(found.sizes) == [1, 2, 2]


def test_an_op_that_nobody_knows_is_unknown_and_so_is_all_behind_it():
    module = Of(lambda x, c: c(x).as_strided((1, 1, 3), (6, 6, 2)) + 1, conv(3))
    _, fields = last(module, 1, 1, 8)
    assert len(fields.unknown) >= 2


def test_what_is_written_into_a_part_is_seen():
    def run(x):
        y = torch.zeros_like(x)
        y[..., 2:] = x[..., :-2]
        return y * 1

    assert intervals(Of(run), 1, 1, 4) == [None, None, (0, 0), (1, 1)]


def archprof_says(*words):
    from click.testing import CliRunner

    from archprof.cli import main

    return CliRunner().invoke(main, ["field", *words])


def test_the_page_tells_size_stride_padding_and_what_sees_everything():
    page = archprof_says("resnet18").output
    (row,) = [line.split() for line in page.splitlines() if "layer4.1.conv2" in line]
    assert row[2:6] == ["1x512x7x7", "435", "32", "217"]  # 307 + 2 x 2 x 32; 153 + 2 x 32
    (row,) = [line for line in page.splitlines() if "avgpool" in line]
    assert "whole input" in row
    assert "paths" in page


def test_a_check_from_the_command_line_compares_with_the_gradient():
    result = archprof_says("lenet5", "--check")
    assert result.exit_code == 0, result.output
    assert "gradient check: 18 of 18 outputs see what is claimed" in result.output


def test_an_input_that_is_not_there_is_the_users_mistake():
    result = archprof_says("resnet18", "--of", "nobody")
    assert result.exit_code == 2
    assert "there is no input 'nobody'" in result.output + result.stderr


def test_growth_is_plotted(tmp_path):
    pytest.importorskip("matplotlib")
    result = archprof_says("resnet18", "-o", str(tmp_path / "growth.svg"))
    assert result.exit_code == 0, result.output
    assert "resnet18: receptive field" in (tmp_path / "growth.svg").read_text("utf-8")


def test_where_data_say_what_is_read_it_may_be_anywhere():
    net = Of(lambda x, c: F.grid_sample(c(x), torch.zeros(1, 3, 3, 2, dtype=x.dtype, device=x.device)), C)
    profile, _, _, fields = fields_of(copy.deepcopy(net), 1, 4, 12, 12)
    assert fields.fields[profile.network.ops[-1].name][0].is_whole
    from archprof.fields import page
    from archprof.renderers import View

    assert "anywhere: data say where" in page(profile, fields, View())


def test_resnet_50_takes_less_than_half_a_second():
    def seconds():
        begin = time.process_time()
        archprof.profile("torchvision:resnet50").receptive_field()
        return time.process_time() - begin

    assert min(seconds() for _ in range(4)) < 0.5


def test_columns_are_there_when_they_are_asked_for():
    profile = archprof.profile("resnet18", field=True)
    row = profile.table.loc["layer4.1.conv2"]
    assert (row["receptive_field"], row["effective_stride"], row["effective_padding"]) == ("435", "32", "217")
    assert "receptive_field" not in archprof.profile("resnet18").columns


def test_a_module_sees_what_its_last_op_sees():
    page = archprof_says("resnet18", "layer1").output
    first = page.splitlines()[4].split()
    # 11 after the stem, and four 3 x 3 at stride 4 more: 11 + 4 x 2 x 4 = 43; padding 3 + 1 x 2 + 4 x 4 = 21
    assert first[:7] == ["layer1", "14", "ops", "1x64x56x56", "43", "4", "21"]
    profile = archprof.profile("resnet18", field=True)
    assert profile.by_module(1)["receptive_field"]["layer1"] == "43"
    assert "receptive_field" not in profile.totals
    table = profile.render("table", depth=1, columns=("receptive_field", "effective_stride"), width=100)
    (row,) = [line.split() for line in table.splitlines() if line.strip().startswith("layer1")]
    assert row[4:6] == ["43", "4"]


def test_columns_go_into_every_format():
    import json

    import networkx

    profile = archprof.profile("vgg16", field=True)
    ops = {op["name"]: op for op in json.loads(profile.to_json())["ops"]}
    assert ops["features.30"]["receptive_field"] == "212"
    assert ops["features.30"]["effective_stride"] == "32"
    graph = networkx.parse_graphml(profile.render("graphml"))
    assert graph.nodes["features.30"]["receptive_field"] == "212"
    csv = profile.render("csv", columns=("receptive_field", "effective_stride"))
    assert "features.30,MaxPool2d,1x512x7x7,212,32" in csv.splitlines()


def test_diagrams_are_coloured_by_what_is_seen():
    from archprof.renderers.picture import source, told

    profile = archprof.profile("vgg16", field=True)
    dot = source(profile, metric="receptive_field")
    assert "features.24" in dot
    assert "receptive_field 196" in dot  # three convolutions in a row have that of the last: 100 + 3 x 2 x 16
    assert "receptive_field up to 224" in dot
    assert "part of the largest receptive_field" in dot
    assert "together" not in dot
    assert "Largest receptive_field: " in told(profile, {"metric": "receptive_field"})


def test_a_diagram_is_drawn_from_the_command_line(tmp_path):
    from click.testing import CliRunner

    from archprof.cli import main

    result = CliRunner().invoke(main, ["draw", "lenet5", "--metric", "receptive_field", "-o", str(tmp_path / "x.dot")])
    assert result.exit_code == 0, result.output
    assert "receptive_field 14" in (tmp_path / "x.dot").read_text("utf-8")  # 5, 6, 14: 6 + 4 x 2
