"""The table of op rules, second part: losses, spectra, linear algebra, torchvision, factories, order. Values are worked out by hand."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own habit
from torchvision import ops

from archprof.records import Tensor
from tests.op_table import SQUARE, Call, X, Y, each, meta

Z = meta(2, 3)
ROW = meta(2, 8)  # 8 log2 8 = 24 for each of two signals
GRID = meta(2, 4, 8)  # 32 log2 32 = 160
HALF, HALVES = (meta(*shape, dtype=torch.complex64) for shape in ((2, 5), (2, 4, 5)))
LABELS = meta(2, dtype=torch.int64)
SIGNS = meta(2)
TALL = meta(2, 6, 3)  # two matrices of m = 6, n = 3: mn^2 = 54, n^3 = 27, m^2n = 108
CUBE = meta(2, 3, 3)  # n^3 = 27
REAL = torch.eye(3).expand(2, 3, 3) + 1  # where the meta device has no kernel
SPIKES = torch.arange(6.0).reshape(2, 3)


def bf16(*shape: int) -> torch.Tensor:
    return meta(*shape, dtype=torch.bfloat16)


def fft(name: str, signal: torch.Tensor, flops: int, **options: Any) -> tuple[str, Call, int, int]:
    return f"fft_{name}", lambda: getattr(torch.fft, name)(signal, **options), 0, flops


def linalg(names: str, flops: int, *arguments: Any, **options: Any) -> list[tuple[str, Call, int, int]]:
    return [(f"linalg_{name}", lambda name=name: getattr(torch.linalg, name)(*arguments, **options), 0, flops)
            for name in names.split()]  # fmt: skip


def ctc() -> torch.Tensor:
    labels, steps, lengths = torch.ones(2, 3, dtype=torch.int64), torch.tensor([5, 5]), torch.tensor([3, 3])
    return F.ctc_loss(torch.zeros(5, 2, 7), labels, steps, lengths)


NUMERICS: list[tuple[str, Call, int, int]] = [
    # --- losses of 6 elements: per element, and 6 for the mean
    *each("l1_loss mse_loss", 0, 18, X, Y, owner=F),  # 6 x 2 + 6
    *each("smooth_l1_loss huber_loss", 0, 36, X, Y, owner=F),  # 6 x 5 + 6
    *each("binary_cross_entropy binary_cross_entropy_with_logits", 0, 54, X, Y, owner=F),  # 6 x 8 + 6
    *each("kl_div", 0, 23, X, Y, owner=F, reduction="sum"),  # 6 x 3 + 5
    *each("soft_margin_loss hinge_embedding_loss", 0, 24, X, Y, owner=F, reduction="none"),  # 6 x 4
    ("poisson_nll_loss", lambda: F.poisson_nll_loss(X, Y, log_input=False), 0, 30),  # 6 x 4 + 6
    ("gaussian_nll_loss", lambda: F.gaussian_nll_loss(SPIKES, SPIKES, torch.ones(2, 3), full=True), 0, 54),  # 6 x 8 + 6
    ("cross_entropy", lambda: F.cross_entropy(X, LABELS), 0, 34),  # 6 x 5, 2 signs, 2 for the mean
    ("nll_loss", lambda: F.nll_loss(X, LABELS, meta(3), reduction="sum"), 0, 5),  # 2 x 2 + 1
    ("linear_cross_entropy", lambda: F.linear_cross_entropy(X, meta(5, 3), LABELS), 30, 114),  # 2*3*5; 60 + 50 + 4
    ("margin_ranking_loss", lambda: F.margin_ranking_loss(X, Y, Z), 0, 30),  # 6 x 4 + 6
    ("cosine_embedding_loss", lambda: F.cosine_embedding_loss(X, Y, SIGNS), 0, 46),  # 6 x 6 + 2 x 4 + 2
    (
        "multi_margin_loss",
        lambda: F.multi_margin_loss(SPIKES, torch.ones(2, dtype=torch.int64), p=2),
        0,
        32,
    ),  # 6 x 5 + 2
    ("multilabel_margin_loss", lambda: F.multilabel_margin_loss(SPIKES, -torch.ones(2, 3, dtype=torch.int64)), 0, 18),
    ("multilabel_soft_margin_loss", lambda: F.multilabel_soft_margin_loss(X, Y), 0, 56),  # 6 x 9 + 2
    ("triplet_margin_loss", lambda: F.triplet_margin_loss(X, Y, Z), 0, 56),  # 6 x 8 + 2 x 3 + 2
    ("triplet_margin_with_distance_loss", lambda: F.triplet_margin_with_distance_loss(X, Y, Z, swap=True), 0, 82),
    ("ctc_loss", ctc, 0, 910),  # 13 x 5 steps x 2 sequences of 7 states
    # --- spectra
    fft("fft", HALF, 116, dim=-1),  # 2 x 5 x 5 log2 5 = 50 x 2.3219
    fft("ifft", ROW, 120),  # real: 2 x 2.5 x 24
    fft("rfft", ROW, 120),
    fft("irfft", HALF, 120),  # back to 8 points
    fft("hfft", HALF, 120),
    fft("ihfft", ROW, 120),
    fft("fft2", GRID, 800),  # 2 x 2.5 x 160
    fft("ifft2", meta(2, 4, 8, dtype=torch.complex64), 1600),
    fft("rfft2", GRID, 800),
    fft("irfft2", HALVES, 800),
    fft("hfft2", HALVES, 800),
    fft("ihfft2", GRID, 800),
    fft("fftn", GRID, 960),  # all 64 points: 2.5 x 64 x 6
    fft("ifftn", GRID, 960),
    fft("rfftn", GRID, 800, s=(4, 8)),
    fft("irfftn", HALVES, 960),
    fft("hfftn", HALVES, 960),
    fft("ihfftn", GRID, 960),
    # 5 frames of 16 samples in each of 2 signals: 10 x (2.5 x 16 x 4 + 16)
    ("stft", lambda: torch.stft(meta(2, 32), 16, 8, window=meta(16), return_complex=True), 0, 1760),
    # 10 x (160 + 16 + 16), 64 samples divided
    ("istft", lambda: torch.istft(torch.zeros(2, 9, 5, dtype=torch.complex64), 16, 8, window=torch.ones(16)), 0, 1984),
    # --- linear algebra: two matrices
    *linalg("cholesky cholesky_ex", 18, CUBE),  # 27/3
    *each("det logdet slogdet", 0, 36, REAL),  # 2/3 x 27
    *linalg("lu lu_factor lu_factor_ex det slogdet", 36, CUBE),
    ("inverse", lambda: torch.inverse(CUBE), 0, 108),  # 2 x 27
    *linalg("inv inv_ex", 108, CUBE),
    ("cholesky_inverse", lambda: torch.cholesky_inverse(CUBE), 0, 36),
    ("geqrf", lambda: torch.geqrf(torch.rand(2, 6, 3)), 0, 180),  # 2 x 54 - 18
    ("orgqr", lambda: torch.orgqr(torch.rand(2, 6, 3), torch.rand(2, 3)), 0, 180),
    *linalg("householder_product", 180, TALL, meta(2, 3)),
    *linalg("eigh", 486, CUBE),  # 9 x 27
    *linalg("eigvalsh", 72, CUBE),  # 4/3 x 27
    *linalg("eig", 1350, CUBE),  # 25 x 27
    *linalg("eigvals", 540, REAL),  # 10 x 27
    *linalg("svdvals cond matrix_rank", 360, TALL),  # 4 x 54 - 36
    *linalg("svd", 2214, TALL),  # 4 x 108 + 8 x 54 + 9 x 27 = 1107
    ("svd", lambda: torch.svd(TALL), 0, 2214),
    *linalg("pinv", 2430, TALL),  # 1107 + 2 x 54
    ("pinverse", lambda: torch.pinverse(TALL), 0, 2430),
    *linalg("qr", 360, TALL),  # 90 for R, 90 for Q
    *linalg("solve solve_ex", 180, CUBE, meta(2, 3, 4)),  # 18 + 18 x 4
    *linalg("solve_triangular", 72, CUBE, meta(2, 3, 4), upper=True),  # 9 x 4
    ("cholesky_solve", lambda: torch.cholesky_solve(meta(2, 3, 4), CUBE), 0, 144),  # 18 x 4
    *linalg("lu_solve", 144, CUBE, meta(2, 3, dtype=torch.int32), meta(2, 3, 4)),
    *linalg("lstsq", 756, torch.rand(2, 6, 3), torch.rand(2, 6, 4)),  # 90 + 4 x 18 x 4
    ("linalg_matrix_power", lambda: torch.linalg.matrix_power(CUBE, 6), 162, 324),  # 2, 4, 4 + 2: three products of 27
    ("matrix_power", lambda: torch.matrix_power(CUBE, -2), 54, 216),  # one product of 27; inverse 2 x 27
    # 10x100x5 + 10x5x50, not 100x5x50 + 10x100x50
    ("linalg_multi_dot", lambda: torch.linalg.multi_dot([meta(10, 100), meta(100, 5), meta(5, 50)]), 7500, 15000),
    ("linalg_matmul", lambda: torch.linalg.matmul(meta(2, 4, 3), meta(3, 5)), 120, 240),
    ("linalg_vecdot", lambda: torch.linalg.vecdot(X, Y), 6, 12),
    *linalg("norm", 12, X),
    *linalg("matrix_norm", 72, TALL),  # 36 x 2
    ("kron", lambda: torch.kron(X, SQUARE), 0, 96),
    *each("cov corrcoef", 12, 40, SPIKES),  # 2*3*2; 24 + 6 x 2 + 4
    # --- distances
    ("pairwise_distance", lambda: F.pairwise_distance(X, Y), 0, 24),
    ("pdist", lambda: F.pdist(torch.ones(4, 3)), 0, 54),  # 6 pairs x 9
    # --- products in narrow types and groups
    ("int_mm", lambda: torch._int_mm(meta(32, 16, dtype=torch.int8), meta(16, 8, dtype=torch.int8)), 4096, 8192),
    ("grouped_mm", lambda: torch._grouped_mm(bf16(16, 8), bf16(4, 8, 24), offs=meta(4, dtype=torch.int32)), 3072, 6144),
    (
        "scaled_mm",
        lambda: torch._scaled_mm(
            meta(16, 32).to(torch.float8_e4m3fn), meta(48, 32).to(torch.float8_e4m3fn).T, meta(1), meta(1)
        ),
        24576,  # 16*32*48
        49920,  # + 768 scales
    ),
    # --- torchvision: 64 positions x 4*9*6; 2*64*4*9*6, 7 x 64*36 samples, 2 x 18*64 offsets, 384 biases
    (
        "deform_conv2d",
        lambda: ops.deform_conv2d(meta(1, 4, 8, 8), meta(1, 18, 8, 8), meta(6, 4, 3, 3), padding=1),
        13824,
        46464,
    ),
    ("roi_align", lambda: ops.roi_align(meta(1, 4, 8, 8), meta(3, 5), 2, sampling_ratio=3), 0, 3456),  # 48 x 9 x 8
    (
        "ps_roi_align",
        lambda: ops.ps_roi_align(meta(1, 8, 8, 8), meta(3, 5), 2, sampling_ratio=3),
        0,
        1728,
    ),  # 24 x 9 x 8
    ("roi_pool", lambda: ops.roi_pool(meta(1, 4, 8, 8), meta(3, 5), 2), 0, 768),  # 3 regions x 4 maps x 64
    ("ps_roi_pool", lambda: ops.ps_roi_pool(meta(1, 8, 8, 8), meta(3, 5), 2), 0, 384),  # 3 regions x 8/4 maps x 64
    ("nms", lambda: ops.nms(torch.rand(5, 4), torch.rand(5), 0.5), 0, 120),  # 10 pairs
    # --- factories
    *each("zeros ones empty rand randn", 0, 0, 2, 3),
    ("full", lambda: torch.full((2, 3), 1.0), 0, 0),
    *each("eye arange randperm hann_window hamming_window bartlett_window blackman_window kaiser_window", 0, 0, 4),
    ("fft_fftfreq", lambda: torch.fft.fftfreq(4), 0, 0),
    ("fft_rfftfreq", lambda: torch.fft.rfftfreq(4), 0, 0),
    ("empty_strided", lambda: torch.empty_strided((2, 3), (3, 1)), 0, 0),
    ("new_empty_strided", lambda: X.new_empty_strided((2, 3), (3, 1)), 0, 0),
    ("empty_permuted", lambda: torch.empty_permuted((2, 3), (1, 0)), 0, 0),
    ("new", lambda: X.new(2, 3), 0, 0),
    ("binomial", lambda: torch.binomial(torch.ones(3), torch.ones(3)), 0, 0),
    *each("linspace logspace", 0, 0, 0, 1, 5),
    ("randint", lambda: torch.randint(5, (2, 3)), 0, 0),
    *each("tensor as_tensor asarray", 0, 0, [1.0, 2.0]),
    ("scalar_tensor", lambda: torch.scalar_tensor(1.0), 0, 0),
    *each("tril_indices triu_indices", 0, 0, 3, 3),
    *each("zeros_like ones_like empty_like rand_like randn_like", 0, 0, X),
    *each("full_like randint_like", 0, 0, X, 4),
    *each("new_zeros new_ones new_empty", 0, 0, X, (2, 3), owner=torch.Tensor),
    ("new_full", lambda: X.new_full((2,), 1.0), 0, 0),
    ("new_tensor", lambda: torch.zeros(1).new_tensor([1.0]), 0, 0),
    *each(
        "uniform_ normal_ bernoulli_ random_ exponential_ log_normal_ cauchy_ zero_", 0, 0, meta(2), owner=torch.Tensor
    ),
    ("fill", lambda: meta(2).fill_(1.0), 0, 0),
    ("multinomial", lambda: torch.multinomial(torch.ones(3), 2), 0, 0),
    ("poisson", lambda: torch.poisson(torch.ones(3)), 0, 0),
    # --- order
    ("unique", lambda: torch.unique(SPIKES), 0, 24),  # 6 x (3 + 1)
    *each("quantile nanquantile", 0, 18, X, 0.5, dim=1),  # 6 x 2 + 2 x 3
    ("searchsorted", lambda: torch.searchsorted(meta(7), X), 0, 18),  # 6 x 3
    ("bucketize", lambda: torch.bucketize(X, meta(8)), 0, 24),  # 6 x 4
    ("isin", lambda: torch.isin(X, meta(4)), 0, 24),
    ("histc", lambda: torch.histc(SPIKES, 4), 0, 18),
    ("histogram", lambda: torch.histogram(SPIKES, torch.arange(4.0)), 0, 18),  # 6 x (2 + 1)
    ("bincount", lambda: torch.bincount(torch.ones(6, dtype=torch.int64)), 0, 6),
]

ATTENTION = (
    "flex_attention",
    (Tensor((1, 6, 4, 8)), Tensor((1, 2, 5, 8)), Tensor((1, 2, 5, 3)), None, None, None, True),
)
"""6 heads x 20 pairs x (8 + 3) MACs, 6 FLOPs for each of 120 scores. Torch has no kernel of it on meta."""
FUNCTIONS = [(*ATTENTION, Tensor((1, 6, 4, 3)), 1320, 3360)]
