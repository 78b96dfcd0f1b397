"""Parts of attention: heads, rotary positions, the scaled dot product, and torch's MultiheadAttention."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import handle_torch_function, has_torch_function

from archprof.layers import Built, Count, ShapeError, layer
from archprof.layers.window import inside
from archprof.records import Tensor


@layer
def Heads(x: Tensor, /, heads: Count) -> Built:
    """Features split into heads: time x (heads * d) -> heads x time x d."""
    if len(x.shape) != 3 or heads < 1 or x.shape[-1] % heads:
        raise ShapeError(f"Heads needs time x features that divide into {heads} heads, and gets {inside(x)}")
    return lambda x: split_heads(x, heads)


@layer
def MergeHeads(x: Tensor, /) -> Built:
    """Heads side by side again: heads x time x d -> time x (heads * d)."""
    if len(x.shape) != 4:
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
def MultiheadAttention(
    q: Tensor, k: Tensor, v: Tensor, /, num_heads: Count, dropout: float = 0.0, bias: bool = True
) -> Built:
    """Attention with its projections, under torch's weight names; `(x, x, x) ->` for self-attention."""
    if len(q.shape) != 3 or q.shape[-1] % num_heads:
        raise ShapeError(
            f"MultiheadAttention needs time x features that divide into {num_heads} heads, and gets {inside(q)}"
        )
    sizes = {"kdim": k.shape[-1], "vdim": v.shape[-1]}
    return SelfAttention(q.shape[-1], num_heads, dropout, bias, batch_first=True, **sizes)


@layer
def WindowAttention(x: Tensor, /, num_heads: Count, window_size: Count, shift: int = 0) -> Built:
    """Self-attention within windows of a map, channels last, with a learnt bias for every offset (Swin transformer)."""
    if len(x.shape) != 4 or any(side % window_size for side in x.shape[1:3]) or x.shape[-1] % num_heads:
        what = f"height x width x channels in windows of {window_size} and {num_heads} heads"
        raise ShapeError(f"WindowAttention needs {what}, and gets {inside(x)}")
    return ShiftedWindowAttention(x.shape[1], x.shape[2], x.shape[3], num_heads, window_size, shift)


class ShiftedWindowAttention(nn.Module):
    """See WindowAttention; pixels that only the cyclic shift brings together do not see each other."""

    def __init__(self, height: int, width: int, channels: int, heads: int, window: int, shift: int) -> None:
        """Number the offsets within a window, and the regions that a shift mixes."""
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        rows, columns = (axis.flatten() for axis in torch.meshgrid(*[torch.arange(window)] * 2, indexing="ij"))
        offsets = [axis[:, None] - axis[None, :] + window - 1 for axis in (rows, columns)]
        self.register_buffer("relative_position_index", (offsets[0] * (2 * window - 1) + offsets[1]).flatten())
        apart = None
        if shift:
            sides = [_regions(side, window, shift) for side in (height, width)]
            regions = self.split((sides[0][:, None] * 3 + sides[1])[None, :, :, None]).squeeze(0).squeeze(-1)
            apart = (regions[:, :, None] != regions[:, None, :]).unsqueeze(1) * -100.0
        self.register_buffer("apart", apart, persistent=False)

    def split(self, x: torch.Tensor) -> torch.Tensor:
        """[n, h, w, c] -> [n, windows, pixels, c]."""
        n, height, width, c = x.shape
        side = self.window
        tiles = x.reshape(n, height // side, side, width // side, side, c).transpose(2, 3)
        return tiles.reshape(n, height * width // side**2, side**2, c)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[n, h, w, c] -> [n, h, w, c]."""
        n, height, width, c = x.shape
        side = self.window
        shifted = torch.roll(x, (-self.shift, -self.shift), (1, 2)) if self.shift else x
        qkv = self.qkv(self.split(shifted)).unflatten(-1, (3, self.heads, c // self.heads)).permute(3, 0, 1, 4, 2, 5)
        bias = self.relative_position_bias_table[self.relative_position_index]
        bias = bias.reshape(side**2, side**2, self.heads).permute(2, 0, 1)
        if self.apart is not None:
            bias = bias + self.apart
        mixed = functional.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2], attn_mask=bias)
        mixed = self.proj(mixed.transpose(2, 3).flatten(3))
        mixed = (
            mixed.reshape(n, height // side, width // side, side, side, c).transpose(2, 3).reshape(n, height, width, c)
        )
        return torch.roll(mixed, (self.shift, self.shift), (1, 2)) if self.shift else mixed

    def extra_repr(self) -> str:
        """Show the sizes."""
        return f"heads={self.heads}, window={self.window}, shift={self.shift}"


def _regions(side: int, window: int, shift: int) -> torch.Tensor:
    """Return, for every row of a shifted map, 0 to 2: rows of one window and different numbers do not belong together."""
    rows = torch.arange(side)
    return (rows >= side - window).long() + (rows >= side - shift).long()


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
