"""Normalisation: batch, layer, group, instance, RMS, local response, softmax and its kin, unit length.

The conventions are per element of the input and leave the few operations per group (a root, a division by k) out.
"""

from __future__ import annotations

from collections.abc import Sequence

from archprof.ops import rule
from archprof.ops.shapes import fit, floating, named, same
from archprof.records import Facts, Tensor

STATISTICS = 4
"""FLOPs per element of mean and variance: a sum; a difference, a square and a sum."""


def _batch_norm_shape(input: Tensor, running_mean: Tensor | None, running_var: Tensor | None,
                      weight: Tensor | None = None, bias: Tensor | None = None, training: bool = False,
                      momentum: float | None = 0.1, eps: float = 1e-5,
                      cudnn_enabled: bool = True) -> Tensor:  # fmt: skip
    per_map = [tensor for tensor in (running_mean, running_var, weight, bias) if tensor]
    fit(all(tensor.shape == (input.shape[1],) for tensor in per_map), "the input has the wrong number of channels")
    return input


@rule("batch_norm", shape=_batch_norm_shape)
def batch_norm(out: Tensor, input: Tensor, running_mean: Tensor | None, running_var: Tensor | None,
               weight: Tensor | None = None, bias: Tensor | None = None, training: bool = False,
               momentum: float | None = 0.1, eps: float = 1e-5, cudnn_enabled: bool = True) -> Facts:  # fmt: skip
    """[n, c, *x], [c], [c] -> [n, c, *x]

    FLOPs: 2 per element, a scale and a shift that hold mean, variance, weight and bias; 4 more in training for mean and
    variance (a sum; a difference, a square, a sum).
    """
    return Facts(flops=(2 + STATISTICS * bool(training)) * out.elements)


def _layer_norm_shape(input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None,
                      bias: Tensor | None = None, eps: float | None = 1e-5,
                      cudnn_enable: bool = True) -> Tensor:  # fmt: skip
    tail = tuple(normalized_shape)
    fit(input.shape[len(input.shape) - len(tail) :] == tail, "the input has the wrong last sizes")
    fit(all(tensor.shape == tail for tensor in (weight, bias) if tensor), "weight or bias do not fit")
    return input


@rule("layer_norm", shape=_layer_norm_shape)
def layer_norm(out: Tensor, input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None,
               bias: Tensor | None = None, eps: float = 1e-5, cudnn_enable: bool = True) -> Facts:  # fmt: skip
    """[*, f] -> [*, f]

    FLOPs: 6 per element: mean and variance 4, subtract and scale 2; 1 more for a weight and 1 for a bias.
    """
    return _normalised(out, weight, bias)


def _group_norm_shape(input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None,
                      eps: float = 1e-5, cudnn_enabled: bool = True) -> Tensor:  # fmt: skip
    fit(input.shape[1] % num_groups == 0, f"{input.shape[1]} channels do not make {num_groups} groups")
    fit(all(tensor.shape == (input.shape[1],) for tensor in (weight, bias) if tensor), "weight or bias do not fit")
    return input


@rule("group_norm", shape=_group_norm_shape)
def group_norm(out: Tensor, input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None,
               eps: float = 1e-5, cudnn_enabled: bool = True) -> Facts:  # fmt: skip
    """[n, c, *x] -> [n, c, *x]

    FLOPs: 6 per element: mean and variance 4, subtract and scale 2; 1 more for a weight and 1 for a bias.
    """
    return _normalised(out, weight, bias)


@rule("instance_norm", shape=same)
def instance_norm(out: Tensor, input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None,
                  weight: Tensor | None = None, bias: Tensor | None = None, use_input_stats: bool = True,
                  momentum: float = 0.1, eps: float = 1e-5) -> Facts:  # fmt: skip
    """[n, c, *x] -> [n, c, *x]

    FLOPs: 6 per element: mean and variance 4, subtract and scale 2; 1 more for a weight and 1 for a bias. With stored
    statistics 2, as a batch norm.
    """
    return _normalised(out, weight, bias) if use_input_stats else Facts(flops=2 * out.elements)


def _normalised(out: Tensor, weight: Tensor | None, bias: Tensor | None) -> Facts:
    return Facts(flops=(STATISTICS + 2 + (weight is not None) + (bias is not None)) * out.elements)


def _rms_norm_shape(input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None,
                    eps: float | None = None) -> Tensor:  # fmt: skip
    return _layer_norm_shape(input, normalized_shape, weight)


@rule("rms_norm", shape=_rms_norm_shape)
def rms_norm(out: Tensor, input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None,
             eps: float | None = None) -> Facts:  # fmt: skip
    """[*, f] -> [*, f]

    FLOPs: 3 per element: a square, a sum, a scale; 1 more for a weight.
    """
    return Facts(flops=(3 + (weight is not None)) * out.elements)


@rule("local_response_norm", shape=same)
def local_response_norm(out: Tensor, input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75,
                        k: float = 1.0) -> Facts:  # fmt: skip
    """[n, c, *x] -> [n, c, *x]

    FLOPs: size + 4 per element: a square, size - 1 sums over neighbouring maps, a scale, a shift, a power, a division.
    """
    return Facts(flops=(size + 4) * out.elements)


@rule("normalize", shape=lambda input, p=2.0, dim=1, eps=1e-12: input)
def normalize(out: Tensor, input: Tensor, p: float = 2.0, dim: int | tuple[int, ...] = 1, eps: float = 1e-12) -> Facts:
    """[*] -> [*]

    FLOPs: 3 per element: a power, a sum, a division by the length.
    """
    return Facts(flops=3 * out.elements)


def _softmax_shape(input: Tensor, dim: int | None = None, dtype: object = None) -> Tensor:
    fit(dim is None or -max(1, len(input.shape)) <= dim < max(1, len(input.shape)), f"no axis {dim}")
    return Tensor(input.shape, named(dtype) if dtype else floating(input.dtype))


@rule("softmax", "log_softmax", "softmin", "special_softmax", "special_log_softmax", shape=_softmax_shape)
def softmax(out: Tensor, input: Tensor, dim: int | None = None, dtype: object = None) -> Facts:
    """[*] -> [*]

    FLOPs: 5 per element: the largest, a difference, an exponential, a sum, a division (for the logarithm a difference).
    """
    return Facts(flops=5 * out.elements)


@rule("gumbel_softmax")
def gumbel_softmax(out: Tensor, logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10,
                   dim: int = -1) -> Facts:  # fmt: skip
    """[*] -> [*]

    FLOPs: 9 per element: the noise (a logarithm and its sign), its sum with the logits, a division by tau, and the
    softmax, 5; 3 more where hard (the largest, and the difference and sum that carry gradients). Random numbers are not
    counted.
    """
    return Facts(flops=(9 + 3 * bool(hard)) * out.elements)


@rule("norm_except_dim")
def norm_except_dim(out: Tensor, v: Tensor, pow: int = 2, dim: int = 0) -> Facts:
    """[k, *] -> [k, 1]

    FLOPs: 2 per element: a power and a sum.
    """
    return Facts(flops=2 * v.elements)


@rule("weight_norm", "weight_norm_interface")
def weight_norm(out: Tensor | tuple[Tensor, ...], v: Tensor, g: Tensor, dim: int = 0) -> Facts:
    """[k, *], [k, 1] -> [k, *]

    FLOPs: 3 per element: a square, a sum, a scale.
    """
    return Facts(flops=3 * v.elements)


@rule("renorm")
def renorm(out: Tensor, input: Tensor, p: float, dim: int, maxnorm: float) -> Facts:
    """[*] -> [*]

    FLOPs: 3 per element: a power, a sum, a scale.
    """
    return Facts(flops=3 * out.elements)


@rule("cosine_similarity")
def cosine_similarity(out: Tensor, x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Facts:
    """[*, f], [*, f] -> [*]

    FLOPs: 6 per pair of features: three products and three sums. No MACs: no matrix product computes it.
    """
    rank = max(len(x1.shape), len(x2.shape))
    sizes = [tensor.shape[dim % rank - rank] for tensor in (x1, x2) if len(tensor.shape) >= rank - dim % rank]
    return Facts(flops=6 * out.elements * max(sizes))
