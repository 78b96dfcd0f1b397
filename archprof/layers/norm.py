"""Normalisation layers, under torch.nn's names without `num_features` and `normalized_shape`."""

from __future__ import annotations

from torch import nn

from archprof.layers import Built, Count, ShapeError, layer
from archprof.layers.window import inside, named, spatial
from archprof.records import Tensor


def batch_norm(dims: int):  # noqa: ANN201 - a builder
    """Return the builder of BatchNorm1d, 2d or 3d."""
    name = f"BatchNorm{dims}d"

    def build(x: Tensor, /, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True,
              track_running_stats: bool = True) -> Built:  # fmt: skip
        if dims == 1 and len(x.shape) in {2, 3}:
            return nn.BatchNorm1d(x.shape[1], eps, momentum, affine, track_running_stats)
        spatial(x, dims, name)
        return getattr(nn, name)(x.shape[1], eps, momentum, affine, track_running_stats)

    return named(build, name, "Batch normalisation of every channel.")


for _dims in (1, 2, 3):
    layer(batch_norm(_dims))


@layer
def LayerNorm(x: Tensor, /, eps: float = 1e-5, elementwise_affine: bool = True, bias: bool = True) -> Built:
    """Layer normalisation over the last axis."""
    return nn.LayerNorm(x.shape[-1], eps, elementwise_affine, bias)


@layer
def RMSNorm(x: Tensor, /, eps: float | None = None, elementwise_affine: bool = True) -> Built:
    """Root-mean-square normalisation over the last axis."""
    return nn.RMSNorm(x.shape[-1], eps, elementwise_affine)


@layer
def GroupNorm(x: Tensor, /, num_groups: Count, eps: float = 1e-5, affine: bool = True) -> Built:
    """Normalisation of groups of channels."""
    if x.shape[1] % num_groups:
        raise ShapeError(f"{x.shape[1]} channels do not divide into {num_groups} groups ({inside(x)})")
    return nn.GroupNorm(num_groups, x.shape[1], eps, affine)


@layer
def InstanceNorm2d(x: Tensor, /, eps: float = 1e-5, momentum: float = 0.1, affine: bool = False) -> Built:
    """Normalisation of every map of every sample."""
    spatial(x, 2, "InstanceNorm2d")
    return nn.InstanceNorm2d(x.shape[1], eps, momentum, affine)


@layer
def LocalResponseNorm(x: Tensor, /, size: Count, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Built:
    """Division by the energy of the neighbouring channels (AlexNet, 2012)."""
    return nn.LocalResponseNorm(size, alpha, beta, k)
