"""Parts of attention: heads, rotary positions, the scaled dot product, and torch's MultiheadAttention."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import handle_torch_function, has_torch_function

from archprof.layers import Built, ShapeError, layer
from archprof.layers.window import inside
from archprof.records import Tensor


@layer
def Heads(x: Tensor, /, heads: int) -> Built:
    """Features split into heads: time x (heads * d) -> heads x time x d."""
    if len(x.shape) != 3 or heads < 1 or x.shape[-1] % heads:  # noqa: PLR2004 - batch, time, features
        raise ShapeError(f"Heads needs time x features that divide into {heads} heads, and gets {inside(x)}")
    return lambda x: split_heads(x, heads)


@layer
def MergeHeads(x: Tensor, /) -> Built:
    """Heads side by side again: heads x time x d -> time x (heads * d)."""
    if len(x.shape) != 4:  # noqa: PLR2004 - batch, heads, time, features
        raise ShapeError(f"MergeHeads needs heads x time x features, and gets {inside(x)}")
    return merge_heads


@layer
def RoPE(x: Tensor, /, theta: float = 10000.0) -> Built:
    """Rotary position embedding: pairs of features turned by an angle that grows with the position."""
    if x.shape[-1] % 2:
        raise ShapeError(f"RoPE needs an even number of features, and gets {inside(x)}")
    return lambda x: rope(x, theta)


@layer
def ScaledDotProductAttention(q: Tensor, k: Tensor, v: Tensor, /, causal: bool = False, gqa: bool = False) -> Built:
    """softmax(q k / sqrt(d)) v per head; `gqa` lets several query heads share a key head."""
    if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise ShapeError(f"queries {inside(q)}, keys {inside(k)} and values {inside(v)} do not match")
    if q.shape[1] != k.shape[1] and not (gqa and k.shape[1] and q.shape[1] % k.shape[1] == 0):
        raise ShapeError(f"{q.shape[1]} query heads and {k.shape[1]} key heads; write gqa=true if they share")
    return lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=gqa)


class SelfAttention(nn.MultiheadAttention):
    """torch's MultiheadAttention, batch first, returning the mixed values only."""

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """[n, t, e], [n, s, e], [n, s, e] -> [n, t, e]."""
        return super().forward(q, k, v, need_weights=False)[0]


@layer
def MultiheadAttention(q: Tensor, k: Tensor, v: Tensor, /, num_heads: int, dropout: float = 0.0, bias: bool = True) -> Built:
    """Attention with its projections, under torch's weight names; `(x, x, x) ->` for self-attention."""
    if len(q.shape) != 3 or q.shape[-1] % num_heads:  # noqa: PLR2004 - batch, time, features
        raise ShapeError(f"MultiheadAttention needs time x features that divide into {num_heads} heads, and gets {inside(q)}")
    sizes = {"kdim": k.shape[-1], "vdim": v.shape[-1]}
    return SelfAttention(q.shape[-1], num_heads, dropout, bias, batch_first=True, **sizes)


def split_heads(input: torch.Tensor, heads: int) -> torch.Tensor:
    """[n, t, h*d] -> [n, h, t, d], a view."""
    if has_torch_function((input,)):
        return handle_torch_function(split_heads, (input,), input, heads)
    return input.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(input: torch.Tensor) -> torch.Tensor:
    """[n, h, t, d] -> [n, t, h*d], a copy."""
    if has_torch_function((input,)):
        return handle_torch_function(merge_heads, (input,), input)
    return input.transpose(1, 2).flatten(2)


def rope(input: torch.Tensor, theta: float = 10000.0) -> torch.Tensor:
    """[*n, t, d] -> [*n, t, d]: the halves of the features turned against each other (as in Llama)."""
    if has_torch_function((input,)):
        return handle_torch_function(rope, (input,), input, theta)
    half = input.shape[-1] // 2
    rates = theta ** -(torch.arange(half, device=input.device, dtype=torch.float32) / half)
    angles = torch.outer(torch.arange(input.shape[-2], device=input.device, dtype=torch.float32), rates)
    cos, sin = (table.repeat(1, 2).to(input.dtype) for table in (angles.cos(), angles.sin()))
    first, second = input.chunk(2, -1)
    return input * cos + torch.cat((-second, first), -1) * sin
