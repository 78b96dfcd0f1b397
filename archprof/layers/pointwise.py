"""Activations and dropout: one input, the same shape out, under torch.nn's names and settings."""

from __future__ import annotations

from typing import Literal

from torch import nn

from archprof.layers import Built, Count, ShapeError, layer
from archprof.layers.window import axis_of, inside, named
from archprof.records import Tensor

PLAIN = {
    "ReLU": "max(x, 0).", "ReLU6": "min(max(x, 0), 6).", "SiLU": "x * sigmoid(x) (swish).", "Mish": "x * tanh(softplus(x)).",
    "Sigmoid": "1 / (1 + exp(-x)).", "Tanh": "Hyperbolic tangent.", "Hardswish": "x * min(max(x + 3, 0), 6) / 6.",
    "Hardsigmoid": "min(max(x + 3, 0), 6) / 6.", "Softsign": "x / (1 + |x|).", "SELU": "Self-normalising exponential unit.",
    "Identity": "The input itself.",
}  # fmt: skip
"""Activations without settings, by name."""


def plain(name: str):  # noqa: ANN201 - a builder
    """Return the builder of an activation without settings."""

    def build(x: Tensor, /) -> Built:
        return getattr(nn, name)()

    return named(build, name, PLAIN[name])


for _name in PLAIN:
    layer(plain(_name))


@layer
def GELU(x: Tensor, /, approximate: Literal["none", "tanh"] = "none") -> Built:
    """x times the normal distribution function of x."""
    return nn.GELU(approximate)


@layer
def LeakyReLU(x: Tensor, /, negative_slope: float = 0.01) -> Built:
    """x where positive, a fraction of it elsewhere."""
    return nn.LeakyReLU(negative_slope)


@layer
def PReLU(x: Tensor, /, num_parameters: Count = 1, init: float = 0.25) -> Built:
    """LeakyReLU with a learnt slope."""
    if num_parameters != 1 and num_parameters != (x.shape[1] if len(x.shape) > 1 else 1):
        raise ShapeError(f"PReLU has 1 slope or one a channel, not {num_parameters} for {inside(x)}")
    return nn.PReLU(num_parameters, init)


@layer
def ELU(x: Tensor, /, alpha: float = 1.0) -> Built:
    """x where positive, alpha * (exp(x) - 1) elsewhere."""
    return nn.ELU(alpha)


@layer
def Softplus(x: Tensor, /, beta: float = 1.0, threshold: float = 20.0) -> Built:
    """log(1 + exp(beta * x)) / beta."""
    return nn.Softplus(beta, threshold)


@layer
def Softmax(x: Tensor, /, dim: int = -1) -> Built:
    """exp(x), divided by its sum over an axis (0 is the batch)."""
    axis_of(x, dim)
    return nn.Softmax(dim)


@layer
def LogSoftmax(x: Tensor, /, dim: int = -1) -> Built:
    """Logarithm of Softmax."""
    axis_of(x, dim)
    return nn.LogSoftmax(dim)


@layer
def Dropout(x: Tensor, /, p: float = 0.5) -> Built:
    """Zeroes a fraction of the elements while training."""
    return nn.Dropout(p)


@layer
def Dropout2d(x: Tensor, /, p: float = 0.5) -> Built:
    """Zeroes a fraction of the maps while training."""
    return nn.Dropout2d(p)
