"""The table of op rules: for every kind a real call on the meta device, its MACs and its FLOPs, worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own habit
from torch import nn

from archprof.records import Tensor

Call = Callable[[], Any]


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


X, Y, Z = meta(2, 3), meta(2, 3), meta(2, 3)
SQUARE = meta(4, 4)
WHOLE = meta(2, 3, dtype=torch.int64)
TRUTH = meta(2, 3, dtype=torch.bool)
WAVE = meta(2, 3, dtype=torch.complex64)
V3, V5 = meta(3), meta(5)
LINE, IMAGE, VOLUME = meta(2, 4, 8), meta(2, 4, 8, 8), meta(2, 4, 8, 8, 8)
INDEX = meta(2, 3, dtype=torch.int64)
PICK = meta(2, dtype=torch.int64)


def each(
    names: str, macs: int, flops: int, *arguments: Any, owner: Any = torch, **options: Any
) -> list[tuple[str, Call, int, int]]:
    """Return a row for each of `names`, called on the same arguments at the same cost."""
    return [
        (name.strip("_"), partial(getattr(owner, name), *arguments, **options), macs, flops) for name in names.split()
    ]


def unpooled(count: int) -> Any:
    small = meta(2, 4, *[4] * count)
    pool = getattr(F, f"max_unpool{count}d")
    return pool(small, torch.zeros(small.shape, dtype=torch.int64, device="meta"), 2)


def packed() -> Any:
    return nn.utils.rnn.pack_padded_sequence(torch.zeros(3, 2, 5), torch.tensor([3, 1]), batch_first=False)


def mha(**options: Any) -> Any:
    layer = nn.MultiheadAttention(8, 2, device="meta", **options).eval()
    return layer(meta(5, 2, 8), meta(7, 2, 8), meta(7, 2, 8))


def net(kind: type[nn.RNNBase], **options: Any) -> Any:
    return kind(6, 5, device="meta", **options)(meta(7, 2, 6))


def assign() -> None:
    meta(4, 4)[1:3] = meta(2, 4)


# kind, a real call of it, its MACs, its FLOPs. The arithmetic stands beside each number that is not a product of two.
ROWS: list[tuple[str, Call, int, int]] = [
    # --- convolutions: n y c/g k m
    ("conv1d", lambda: F.conv1d(LINE, meta(6, 4, 3), meta(6)), 864, 1800),  # 2*6*4*3*6 = 864; 1728 + 72 bias
    (
        "conv2d",
        lambda: F.conv2d(IMAGE, meta(6, 2, 3, 3), meta(6), padding=1, groups=2),
        13824,
        28416,
    ),  # 2*64*2*9*6; +768
    ("conv3d", lambda: F.conv3d(VOLUME, meta(6, 4, 2, 2, 2), stride=2), 24576, 49152),  # 2*64*4*8*6
    ("conv_transpose1d", lambda: F.conv_transpose1d(LINE, meta(4, 6, 3), stride=2), 1152, 2304),  # 2*8*4*3*6
    (
        "convolution",
        lambda: torch.convolution(IMAGE, meta(4, 3, 2, 2), meta(6), [2, 2], [0, 0], [1, 1], True, [0, 0], 2),
        6144,
        15360,
    ),  # as the transposed convolution below
    (
        "conv_transpose2d",
        lambda: F.conv_transpose2d(IMAGE, meta(4, 3, 2, 2), meta(6), 2, groups=2),
        6144,
        15360,
    ),  # +2*6*256
    ("conv_transpose3d", lambda: F.conv_transpose3d(VOLUME, meta(4, 1, 2, 2, 2)), 32768, 65536),  # 2*512*4*8*1
    # --- pooling: k - 1 per output (max), k (average), 2k (power)
    ("max_pool1d", lambda: F.max_pool1d(LINE, 2), 0, 32),  # 2*4*4 outputs x 1
    ("max_pool2d", lambda: F.max_pool2d(IMAGE, 3, 2), 0, 576),  # 2*4*3*3 = 72 x 8
    ("max_pool3d", lambda: F.max_pool3d(VOLUME, 2), 0, 3584),  # 2*4*64 = 512 x 7
    ("max_pool1d_with_indices", lambda: F.max_pool1d(LINE, 2, return_indices=True), 0, 32),
    ("max_pool2d_with_indices", lambda: F.max_pool2d(IMAGE, 2, return_indices=True), 0, 384),  # 128 x 3
    ("max_pool3d_with_indices", lambda: F.max_pool3d(VOLUME, 2, return_indices=True), 0, 3584),
    ("avg_pool1d", lambda: F.avg_pool1d(LINE, 2), 0, 64),
    ("avg_pool2d", lambda: F.avg_pool2d(IMAGE, 3, 1, 1), 0, 4608),  # 2*4*64 = 512 x 9
    ("avg_pool3d", lambda: F.avg_pool3d(VOLUME, 2), 0, 4096),  # 512 x 8
    ("lp_pool1d", lambda: F.lp_pool1d(LINE, 2, 2), 0, 128),  # 32 x 4
    ("lp_pool2d", lambda: F.lp_pool2d(IMAGE, 2, 2), 0, 1024),  # 128 x 8
    ("lp_pool3d", lambda: F.lp_pool3d(VOLUME, 2, 2), 0, 8192),  # 512 x 16
    ("adaptive_avg_pool1d", lambda: F.adaptive_avg_pool1d(LINE, 3), 0, 80),  # 8 x windows of 3 + 4 + 3
    ("adaptive_avg_pool2d", lambda: F.adaptive_avg_pool2d(IMAGE, 1), 0, 512),
    ("adaptive_avg_pool3d", lambda: F.adaptive_avg_pool3d(VOLUME, (None, 4, 4)), 0, 4096),
    ("adaptive_max_pool1d", lambda: F.adaptive_max_pool1d(LINE, 2), 0, 48),  # 2*4*2 = 16 x 3
    ("adaptive_max_pool2d", lambda: F.adaptive_max_pool2d(IMAGE, 2), 0, 480),  # 32 x 15
    ("adaptive_max_pool3d", lambda: F.adaptive_max_pool3d(VOLUME, 4), 0, 3584),  # 512 x 7
    ("adaptive_max_pool1d_with_indices", lambda: F.adaptive_max_pool1d(LINE, 2, return_indices=True), 0, 48),
    ("adaptive_max_pool2d_with_indices", lambda: F.adaptive_max_pool2d(IMAGE, 2, return_indices=True), 0, 480),
    ("adaptive_max_pool3d_with_indices", lambda: F.adaptive_max_pool3d(VOLUME, 4, return_indices=True), 0, 3584),
    ("fractional_max_pool2d", lambda: F.fractional_max_pool2d(IMAGE, 2, 4), 0, 384),  # 128 x 3
    ("fractional_max_pool3d", lambda: F.fractional_max_pool3d(VOLUME, 2, 4), 0, 3584),
    ("fractional_max_pool2d_with_indices", lambda: F.fractional_max_pool2d(IMAGE, 2, 4, return_indices=True), 0, 384),
    ("fractional_max_pool3d_with_indices", lambda: F.fractional_max_pool3d(VOLUME, 2, 4, return_indices=True), 0, 3584),
    *[(f"max_unpool{count}d", partial(unpooled, count), 0, 0) for count in (1, 2, 3)],
    # --- matrix products
    ("linear", lambda: F.linear(meta(2, 7, 3), meta(5, 3), V5), 210, 490),  # 14*3*5; 420 + 70 bias
    ("matmul", lambda: meta(6, 1, 4, 3) @ meta(2, 3, 5), 720, 1440),  # 12 batches x 4*3*5
    ("rmatmul", lambda: torch.Tensor.__rmatmul__(meta(3, 5), meta(4, 3)), 60, 120),
    ("bmm", lambda: torch.bmm(meta(2, 4, 3), meta(2, 3, 5)), 120, 240),
    ("mm", lambda: torch.mm(meta(4, 3), meta(3, 5)), 60, 120),
    ("mv", lambda: torch.mv(meta(4, 3), V3), 12, 24),
    ("dot", lambda: torch.dot(V3, V3), 3, 6),
    ("vdot", lambda: torch.vdot(V3, V3), 3, 6),
    ("inner", lambda: torch.inner(meta(4, 3), meta(5, 3)), 60, 120),
    ("outer", lambda: torch.outer(V3, V5), 0, 15),
    ("ger", lambda: torch.ger(V3, V5), 0, 15),
    ("addmm", lambda: torch.addmm(V5, meta(4, 3), meta(3, 5)), 60, 140),  # 120 + 20 sums
    ("baddbmm", lambda: torch.baddbmm(meta(2, 4, 5), meta(2, 4, 3), meta(2, 3, 5), beta=0, alpha=0.5), 120, 280),
    ("addbmm", lambda: torch.addbmm(meta(4, 5), meta(2, 4, 3), meta(2, 3, 5)), 120, 260),  # 240 + 20
    ("addmv", lambda: torch.addmv(meta(4), meta(4, 3), V3, beta=2), 12, 32),  # 24 + 2*4
    ("addr", lambda: torch.addr(meta(3, 5), V3, V5), 0, 30),
    ("bilinear", lambda: F.bilinear(meta(2, 3), meta(2, 4), meta(5, 3, 4), V5), 160, 330),  # 2*3*5*4 + 2*5*4; 320 + 10
    ("cdist", lambda: torch.cdist(meta(2, 4, 3), meta(2, 5, 3)), 0, 360),  # 40 x 9
    ("einsum", lambda: torch.einsum("nqhd,nkhd->nhqk", meta(2, 5, 3, 4), meta(2, 6, 3, 4)), 720, 1440),  # 2*3*5*4*6
    ("tensordot", lambda: torch.tensordot(meta(2, 3, 4), meta(3, 4, 5), 2), 120, 240),
    # --- attention. Scores 2*3*4*6 = 144: 144*8 + 144*5 MACs, 6 FLOPs each
    (
        "scaled_dot_product_attention",
        lambda: F.scaled_dot_product_attention(meta(2, 3, 4, 8), meta(2, 3, 6, 8), meta(2, 3, 6, 5)),
        1872,
        4608,
    ),
    # q 2*5*64 = 640, k and v 2*7*64 = 896, out 640; scores 2*2*5*7 = 140, x 4 x 2 = 1120; sum 4192.
    # Biases 80 + 112 + 112 + 80 = 384, softmax and scale 840, mean over heads 140: 8384 + 1364
    ("multi_head_attention_forward", mha, 4192, 9748),
    # --- recurrent: 7 steps x 2 rows x G*5*(6 + 5) MACs, 70 hidden units
    ("lstm", lambda: net(nn.LSTM), 3080, 7630),  # 6160 + 70 * (13 + 8)
    ("gru", lambda: net(nn.GRU), 2310, 5810),  # 4620 + 70 * (11 + 6)
    ("rnn_tanh", lambda: net(nn.RNN), 770, 1820),  # 1540 + 70 * (2 + 2)
    ("rnn_relu", lambda: net(nn.RNN, nonlinearity="relu"), 770, 1820),
    ("lstm_cell", lambda: nn.LSTMCell(6, 5, device="meta")(meta(2, 6)), 440, 1090),  # 880 + 10 * 21
    ("gru_cell", lambda: nn.GRUCell(6, 5, device="meta")(meta(2, 6)), 330, 830),  # 660 + 10 * 17
    ("rnn_tanh_cell", lambda: nn.RNNCell(6, 5, device="meta")(meta(2, 6)), 110, 260),  # 220 + 10 * 4
    ("rnn_relu_cell", lambda: nn.RNNCell(6, 5, nonlinearity="relu", device="meta")(meta(2, 6)), 110, 260),
    # --- elementwise, six elements
    *each(
        "relu relu6 leaky_relu elu selu celu gelu silu mish hardswish hardsigmoid hardtanh tanhshrink "
        "softshrink softplus softsign rrelu",
        0,
        6,
        X,
        owner=F,
    ),
    *each("hardshrink", 0, 6, X),
    ("log_sigmoid", lambda: F.logsigmoid(X), 0, 6),
    ("threshold", lambda: F.threshold(X, 0.1, 20.0), 0, 6),
    *each(
        "sigmoid tanh exp exp2 expm1 log log2 log10 log1p sqrt rsqrt sin cos tan asin acos atan sinh cosh asinh "
        "acosh atanh erf erfc erfinv reciprocal logit sinc lgamma digamma arcsin arccos arctan arcsinh arccosh arctanh "
        "deg2rad rad2deg i0",
        0,
        6,
        X,
    ),
    ("mvlgamma", lambda: torch.mvlgamma(X, 2), 0, 6),
    *each(
        "special_expit special_erf special_erfc special_erfcx special_erfinv special_exp2 special_expm1 special_log1p "
        "special_logit special_sinc special_gammaln special_digamma special_psi special_entr special_ndtr "
        "special_ndtri special_log_ndtr special_i0 special_i0e special_i1 special_i1e special_bessel_j0 "
        "special_bessel_j1 special_round",
        0,
        6,
        X,
        owner=torch._C._special,
    ),
    *each(
        "neg negative square sign sgn round floor ceil trunc frac positive nan_to_num abs absolute fix angle", 0, 6, X
    ),
    *each("logical_not isnan isinf isfinite isposinf isneginf isreal signbit", 0, 6, X),
    ("conj_physical", lambda: torch.conj_physical(WAVE), 0, 6),
    ("bitwise_not", lambda: torch.bitwise_not(WHOLE), 0, 6),
    ("invert", lambda: ~TRUTH, 0, 6),
    *each(
        "add sub subtract rsub mul multiply maximum minimum fmax fmin remainder fmod floor_divide div divide "
        "true_divide atan2 arctan2 xlogy copysign pow hypot nextafter heaviside igamma igammac ldexp",
        0,
        6,
        X,
        Y,
    ),
    *each("__floordiv__ __rfloordiv__ __rpow__ __rmod__ __rdiv__", 0, 6, X, 2, owner=torch.Tensor),
    *each(
        "__and__ __or__ __xor__ __iand__ __ior__ __ixor__ __ilshift__ "
        "__irshift__ bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift "
        "__lshift__ __rshift__ __rlshift__ __rrshift__",
        0,
        6,
        WHOLE,
        2,
        owner=torch.Tensor,
    ),
    *each(
        "eq ne lt le gt ge greater greater_equal less less_equal not_equal logical_and logical_or logical_xor",
        0,
        6,
        X,
        Y,
    ),
    *each("gcd lcm", 0, 6, WHOLE, INDEX),
    ("polygamma", lambda: torch.polygamma(1, X), 0, 6),
    *each("special_xlogy special_xlog1py special_zeta", 0, 6, X, Y, owner=torch._C._special),
    *each("logaddexp logaddexp2", 0, 30, X, Y),
    ("isclose", lambda: torch.isclose(X, Y), 0, 30),
    *each("clamp clip", 0, 6, X, 0, 1),
    *each("clamp_min clamp_max", 0, 6, X, 0),
    ("prelu", lambda: F.prelu(X, V3), 0, 6),
    ("glu", lambda: F.glu(meta(2, 6)), 0, 12),
    ("where", lambda: torch.where(TRUTH, X, 0.0), 0, 6),
    ("masked_fill", lambda: X.masked_fill(TRUTH, 0.0), 0, 6),
    *each("addcmul addcdiv", 0, 18, X, Y, Z, value=2),
    ("lerp", lambda: torch.lerp(X, Y, 0.5), 0, 18),
    *each("complex polar", 0, 6, X, Y),
    ("cross", lambda: torch.cross(X, Y, dim=1), 0, 18),
    ("linalg_cross", lambda: torch.linalg.cross(X, Y), 0, 18),
    # --- normalisation, 2*4*8*8 = 512 elements
    ("batch_norm", lambda: nn.BatchNorm2d(4, device="meta").eval()(IMAGE), 0, 1024),
    ("layer_norm", lambda: F.layer_norm(IMAGE, (8, 8), meta(8, 8), meta(8, 8)), 0, 4096),
    ("group_norm", lambda: F.group_norm(IMAGE, 2, meta(4), meta(4)), 0, 4096),
    ("instance_norm", lambda: F.instance_norm(IMAGE), 0, 3072),
    ("rms_norm", lambda: F.rms_norm(IMAGE, (8,), meta(8)), 0, 2048),
    ("local_response_norm", lambda: F.local_response_norm(IMAGE, 5), 0, 4608),
    ("normalize", lambda: F.normalize(IMAGE), 0, 1536),
    *each("softmax log_softmax softmin", 0, 30, X, owner=F, dim=1),
    *each("special_softmax special_log_softmax", 0, 30, X, owner=torch._C._special, dim=1),
    ("gumbel_softmax", lambda: F.gumbel_softmax(X, hard=True), 0, 72),  # 6 x (9 + 3)
    ("norm_except_dim", lambda: torch.norm_except_dim(X), 0, 12),
    *each("_weight_norm _weight_norm_interface", 0, 18, X, meta(2, 1)),
    ("renorm", lambda: torch.renorm(X, 2, 0, 1.0), 0, 18),
    ("cosine_similarity", lambda: F.cosine_similarity(X, Y), 0, 36),
    # --- reductions of six elements
    *each("sum nansum prod amax amin argmax argmin max min", 0, 5, X),
    *each("mean nanmean", 0, 6, X),
    *each("all any median nanmedian count_nonzero aminmax", 0, 6, X),
    *each("_is_all_true _is_any_true", 0, 6, TRUTH),
    ("mode", lambda: torch.mode(torch.zeros(2, 3)), 0, 6),
    ("kthvalue", lambda: torch.kthvalue(X, 1), 0, 6),
    *each("nonzero argwhere unique_consecutive", 0, 6, torch.ones(2, 3)),
    ("nonzero_static", lambda: torch.nonzero_static(X, size=2), 0, 6),
    *each("var std var_mean std_mean", 0, 24, X),
    ("norm", lambda: torch.norm(X), 0, 12),
    ("linalg_vector_norm", lambda: torch.linalg.vector_norm(X), 0, 12),
    ("special_logsumexp", lambda: torch.special.logsumexp(X, 1), 0, 24),
    ("logsumexp", lambda: torch.logsumexp(X, 1), 0, 24),
    *each("cumsum cumprod cummax cummin", 0, 4, X, 1),  # two rows x 2
    ("logcumsumexp", lambda: torch.logcumsumexp(X, 1), 0, 20),
    ("diff", lambda: torch.diff(X, 2), 0, 6),  # two rows: 2 differences, then 1
    ("dist", lambda: torch.dist(X, Y), 0, 18),
    ("trace", lambda: torch.trace(SQUARE), 0, 3),
    ("segment_reduce", lambda: torch.segment_reduce(torch.ones(6), "sum", lengths=torch.tensor([2, 4])), 0, 6),
    *each("sort argsort", 0, 12, X),  # log2 3 -> 2
    ("msort", lambda: torch.msort(X.T), 0, 12),
    ("topk", lambda: torch.topk(X, 2), 0, 12),  # 6 x (1 + 1)
    # --- changes of resolution
    ("interpolate", lambda: F.interpolate(IMAGE, scale_factor=2, mode="bilinear"), 0, 14336),  # 2*4*256 = 2048 x 7
    ("grid_sample", lambda: F.grid_sample(IMAGE, meta(2, 5, 5, 2), align_corners=False), 0, 1600),  # 200 + 200 x 7
    ("affine_grid", lambda: F.affine_grid(torch.zeros(2, 2, 3), [2, 4, 5, 5], align_corners=False), 0, 400),  # 100 x 4
    ("pixel_shuffle", lambda: F.pixel_shuffle(IMAGE, 2), 0, 0),
    ("pixel_unshuffle", lambda: F.pixel_unshuffle(IMAGE, 2), 0, 0),
    ("channel_shuffle", lambda: F.channel_shuffle(IMAGE, 2), 0, 0),
    ("unfold", lambda: F.unfold(IMAGE, 3, padding=1, stride=2), 0, 0),
    ("unfold", lambda: IMAGE.unfold(dimension=-1, size=3, step=2), 0, 0),  # the method, a view
    ("fold", lambda: F.fold(meta(2, 16, 16), (8, 8), 2, stride=2), 0, 512),
    # --- views
    *each(
        "flatten ravel t adjoint squeeze unbind detach atleast_1d atleast_2d atleast_3d broadcast_tensors diagonal",
        0,
        0,
        X,
    ),
    ("meshgrid", lambda: torch.meshgrid(V3, V5, indexing="ij"), 0, 0),
    *each("view reshape", 0, 0, X, 3, -1, owner=torch.Tensor),
    *each("view_as reshape_as expand_as", 0, 0, X, Y, owner=torch.Tensor),
    ("expand", lambda: X.expand(4, -1, -1), 0, 0),
    ("broadcast_to", lambda: torch.broadcast_to(X, (4, 2, 3)), 0, 0),
    ("unflatten", lambda: IMAGE.unflatten(1, (2, 2)), 0, 0),
    *each("transpose swapaxes swapdims movedim moveaxis", 0, 0, X, 0, 1),
    ("permute", lambda: IMAGE.permute(0, 2, 3, 1), 0, 0),
    ("unsqueeze", lambda: X.unsqueeze(0), 0, 0),
    ("narrow", lambda: X.narrow(1, 0, 2), 0, 0),
    ("select", lambda: X.select(1, 0), 0, 0),
    *each("chunk split tensor_split", 0, 0, IMAGE, 2, dim=1),
    ("split_with_sizes", lambda: torch.split_with_sizes(IMAGE, [1, 3], 1), 0, 0),
    *each("hsplit vsplit dsplit", 0, 0, VOLUME, 2),
    ("as_strided", lambda: X.as_strided((2, 2), (1, 1)), 0, 0),
    *each("view_as_real real imag conj", 0, 0, WAVE),
    ("view_as_complex", lambda: torch.view_as_complex(meta(3, 2)), 0, 0),
    ("requires_grad", lambda: meta(2).requires_grad_(), 0, 0),
    ("get", lambda: X.T, 0, 0),
    *each("resolve_conj resolve_neg", 0, 0, X),
    *each("unsafe_chunk unsafe_split", 0, 0, IMAGE, 2, dim=1),
    ("unsafe_split_with_sizes", lambda: torch.unsafe_split_with_sizes(IMAGE, [1, 3], 1), 0, 0),
    # --- copies
    *each("repeat tile", 0, 0, X, (2, 1), owner=torch.Tensor),
    ("repeat_interleave", lambda: X.repeat_interleave(2, 1), 0, 0),
    ("flip", lambda: torch.flip(X, [1]), 0, 0),
    *each("fliplr flipud rot90 diag_embed diagflat block_diag triu tril clone", 0, 0, X),
    ("contiguous", lambda: X.contiguous(), 0, 0),
    ("diag", lambda: torch.diag(V3), 0, 0),
    ("masked_select", lambda: torch.masked_select(torch.ones(2, 3), torch.ones(2, 3, dtype=torch.bool)), 0, 0),
    *each("hstack vstack row_stack dstack column_stack cat concat concatenate stack", 0, 0, [X, Y]),
    *each("cartesian_prod", 0, 0, V3, V5),
    ("combinations", lambda: torch.combinations(torch.ones(3)), 0, 0),
    ("fft_fftshift", lambda: torch.fft.fftshift(X), 0, 0),
    ("fft_ifftshift", lambda: torch.fft.ifftshift(X), 0, 0),
    *each("__reversed__", 0, 0, X, owner=torch.Tensor),
    *each("__deepcopy__", 0, 0, X, {}, owner=torch.Tensor),
    ("narrow_copy", lambda: torch.narrow_copy(X, 1, 0, 2), 0, 0),
    ("expand_copy", lambda: torch.expand_copy(X, (4, 2, 3)), 0, 0),
    ("take", lambda: torch.take(X, INDEX), 0, 0),
    ("pack_padded_sequence", packed, 0, 0),
    ("pad_packed_sequence", lambda: nn.utils.rnn.pad_packed_sequence(packed()), 0, 0),
    ("roll", lambda: torch.roll(X, 1, 1), 0, 0),
    ("copy", lambda: meta(2, 3).copy_(X), 0, 0),
    ("pad", lambda: F.pad(IMAGE, (1, 2, 0, 1)), 0, 0),
    ("constant_pad_nd", lambda: torch.constant_pad_nd(IMAGE, (1, 2)), 0, 0),
    # --- dropout: nothing in evaluation
    *each("dropout dropout2d alpha_dropout feature_alpha_dropout", 0, 0, IMAGE, owner=F, training=False),
    ("dropout1d", lambda: F.dropout1d(LINE, training=False), 0, 0),
    ("dropout3d", lambda: F.dropout3d(VOLUME, training=False), 0, 0),
    ("feature_dropout", lambda: torch.feature_dropout(IMAGE, 0.5, False), 0, 0),
    # --- conversions
    ("to", lambda: X.to(torch.float16), 0, 0),
    ("type", lambda: X.type(torch.float16), 0, 0),
    ("type_as", lambda: X.type_as(WHOLE), 0, 0),
    *each("float half bfloat16 double int long short char byte bool cfloat cdouble", 0, 0, X, owner=torch.Tensor),
    ("cpu", lambda: torch.zeros(2).cpu(), 0, 0),
    # --- by position
    ("getitem", lambda: X[:, 1:], 0, 0),
    ("setitem", assign, 0, 0),
    ("embedding", lambda: F.embedding(INDEX, meta(10, 8)), 0, 0),
    ("embedding_bag", lambda: F.embedding_bag(INDEX, meta(10, 8)), 0, 48),  # 6 rows x 8, mean
    ("one_hot", lambda: F.one_hot(INDEX, 5), 0, 0),
    ("gather", lambda: torch.gather(X, 1, INDEX), 0, 0),
    ("take_along_dim", lambda: torch.take_along_dim(X, INDEX, 1), 0, 0),
    ("index_select", lambda: X.index_select(1, PICK), 0, 0),
    ("scatter", lambda: X.scatter(1, INDEX, Y), 0, 0),
    ("index_copy", lambda: X.index_copy(0, PICK, Y), 0, 0),
    ("put", lambda: X.put(INDEX, Y), 0, 0),
    ("fill_diagonal", lambda: meta(3, 3).fill_diagonal_(1.0), 0, 0),
    ("diagonal_scatter", lambda: torch.diagonal_scatter(SQUARE, meta(4)), 0, 0),
    ("as_strided_scatter", lambda: torch.as_strided_scatter(SQUARE, meta(2), (2,), (1,)), 0, 0),
    ("index_fill", lambda: X.index_fill(0, PICK, 1.0), 0, 0),
    ("masked_scatter", lambda: X.masked_scatter(TRUTH, Y), 0, 0),
    ("pad_sequence", lambda: torch.nn.utils.rnn.pad_sequence([X, X]), 0, 0),
    ("slice_scatter", lambda: torch.slice_scatter(X, meta(1, 3), 0, 0, 1), 0, 0),
    ("select_scatter", lambda: torch.select_scatter(X, V3, 0, 0), 0, 0),
    ("scatter_add", lambda: X.scatter_add(1, INDEX, Y), 0, 6),
    ("index_add", lambda: X.index_add(0, PICK, Y), 0, 6),
    ("scatter_reduce", lambda: X.scatter_reduce(1, INDEX, Y, "sum"), 0, 6),
    ("index_reduce", lambda: X.index_reduce(0, PICK, Y, "mean"), 0, 6),
    ("index_put", lambda: X.index_put((INDEX,), V3, accumulate=True), 0, 3),
]


OWN: list[tuple[str, tuple[Any, ...], Tensor, int, int]] = [
    # 2*6*2*2 = 48 outputs x (3 + 1 + 1)
    ("subsample", (Tensor((2, 6, 4, 4)), Tensor((6,)), Tensor((6,)), 2), Tensor((2, 6, 2, 2)), 0, 240),
    # 2*10*10 positions x 25 x 3 connections = 15000; 2 maps x 200 biases
    (
        "sparse_conv2d",
        (Tensor((2, 3, 14, 14)), Tensor((3, 5, 5)), Tensor((2,)), ((0, 1), (2,))),
        Tensor((2, 2, 10, 10)),
        15000,
        30400,
    ),
    ("rbf", (Tensor((2, 84)), Tensor((10, 84))), Tensor((2, 10)), 1680, 5040),  # 2*84*10; x 3
    ("scaled_tanh", (Tensor((2, 3)),), Tensor((2, 3)), 0, 18),
    ("split_heads", (Tensor((2, 5, 12)), 3), Tensor((2, 3, 5, 4)), 0, 0),
    ("merge_heads", (Tensor((2, 3, 5, 4)),), Tensor((2, 5, 12)), 0, 0),
    ("rope", (Tensor((2, 3, 5, 4)),), Tensor((2, 3, 5, 4)), 0, 360),
    ("pad_channels", (Tensor((2, 16, 7, 8)), 32, 2), Tensor((2, 32, 4, 4)), 0, 0),
    ("center_crop", (Tensor((2, 3, 8, 8)), 6), Tensor((2, 3, 6, 6)), 0, 0),
    ("crop_like", (Tensor((2, 3, 8, 8)), Tensor((2, 5, 6, 7))), Tensor((2, 3, 6, 7)), 0, 0),
]
"""Functions of archprof itself: kind, arguments, output, MACs, FLOPs."""
