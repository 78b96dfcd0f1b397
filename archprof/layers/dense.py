"""Layers over features: Linear, Embedding, Bilinear, the recurrent nets, and Parameter, a tensor of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import nn

from archprof.layers import Built, Count, ShapeError, layer
from archprof.layers.window import inside, named
from archprof.records import Tensor


@layer
def Linear(x: Tensor, /, out_features: Count, bias: bool = True) -> Built:
    """Dense layer over the last axis."""
    if x.dtype.startswith(("int", "bool", "uint")):
        raise ShapeError(f"Linear needs numbers with a fraction, and gets {x.dtype}; did you mean Embedding?")
    if len(x.shape) < 2:
        raise ShapeError("Linear needs features")
    return nn.Linear(x.shape[-1], out_features, bias)


@layer
def Embedding(x: Tensor, /, num_embeddings: Count, embedding_dim: Count, padding_idx: int | None = None) -> Built:
    """Table of vectors looked up by whole numbers."""
    if not x.dtype.startswith(("int", "uint")):
        raise ShapeError(f"Embedding needs whole numbers (int64 tokens), and gets {x.dtype}")
    return nn.Embedding(num_embeddings, embedding_dim, padding_idx)


@layer
def Bilinear(x: Tensor, y: Tensor, /, out_features: Count, bias: bool = True) -> Built:
    """Product form of two feature vectors: x A y + b."""
    if x.shape[:-1] != y.shape[:-1]:
        raise ShapeError(f"Bilinear needs equal shapes but for the features, and gets {inside(x)} and {inside(y)}")
    return nn.Bilinear(x.shape[-1], y.shape[-1], out_features, bias)


def recurrent(name: str) -> Callable[..., Built]:
    """Return the builder of LSTM, GRU or RNN: it gives the output sequence [n, t, h] and the last hidden state."""
    base: type[nn.Module] = getattr(nn, name)

    class Recurrent(base):  # type: ignore[valid-type, misc]
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            outputs, state = super().forward(x)
            hidden = state[0] if isinstance(state, tuple) else state
            return outputs, hidden

    Recurrent.__name__ = Recurrent.__qualname__ = name

    def build(x: Tensor, /, hidden_size: Count, num_layers: Count = 1, bias: bool = True, dropout: float = 0.0,
              bidirectional: bool = False) -> Built:  # fmt: skip
        return made(x, hidden_size, num_layers, bias, dropout, bidirectional)

    def build_projected(x: Tensor, /, hidden_size: Count, num_layers: Count = 1, bias: bool = True, dropout: float = 0.0,
                        bidirectional: bool = False, proj_size: int = 0) -> Built:  # fmt: skip
        return made(x, hidden_size, num_layers, bias, dropout, bidirectional, proj_size=proj_size)

    def made(x: Tensor, hidden_size: int, num_layers: int, bias: bool, dropout: float, bidirectional: bool,
             **extra: int) -> Built:  # fmt: skip
        if len(x.shape) != 3:
            raise ShapeError(f"{name} needs time x features, and gets {inside(x)}")
        return Recurrent(x.shape[-1], hidden_size, num_layers, bias, True, dropout, bidirectional, **extra)

    function = build_projected if name == "LSTM" else build  # torch projects the state of an LSTM only
    return named(
        function, name, f"{name} over time x features; its outputs are the sequence and the last hidden state."
    )


for _name in ("LSTM", "GRU", "RNN"):
    layer(recurrent(_name))


def _parameter(shape: list[int], init: float | Literal["zeros", "ones", "normal"] = "zeros") -> Built:
    """Learnt tensor of its own, without a batch axis (class tokens, position embeddings, scales)."""
    value = torch.empty(tuple(shape))
    if init == "normal":
        nn.init.normal_(value, std=0.02)
    else:
        nn.init.constant_(value, float(init == "ones") if isinstance(init, str) else init)
    return nn.Parameter(value)


_parameter.takes_no_input = True  # type: ignore[attr-defined]
layer(named(_parameter, "Parameter", _parameter.__doc__ or ""))
