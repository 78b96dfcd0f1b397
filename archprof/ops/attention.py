"""Attention whole: scaled dot-product attention, multi-head attention with its projections, heads and rotary positions.

The arithmetic beside the MACs is the same for all: per score 1 for the scale, 5 for the softmax, 1 for a mask tensor.
"""

from __future__ import annotations

import math
from typing import Any

from archprof.ops import rule
from archprof.ops.shapes import broadcast, fit
from archprof.records import Facts, Tensor, Unknown, contraction


def causal_pairs(queries: int, keys: int) -> int:
    """Return how many (query, key) pairs a causal mask leaves: query i, from 1, sees the first i keys.

    The mask is aligned at the first key, as torch's `is_causal` is; with equal lengths T that is T(T + 1)/2.
    """
    full = min(queries, keys)
    return full * (full + 1) // 2 + (queries - full) * keys


def sdpa_shape(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
               is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False) -> Tensor:  # fmt: skip
    """Return [*, h, t, dv]."""
    fit(query.shape[-1] == key.shape[-1] and key.shape[-2] == value.shape[-2], "query, key and value do not fit")
    fit(query.dtype == key.dtype == value.dtype, "the dtypes differ")
    lead = query.shape[:-2]
    if enable_gqa:
        fit(lead[-1] % key.shape[-3] == 0 == lead[-1] % value.shape[-3], "query heads are no multiple of key heads")
        fit(lead[:-1] == key.shape[:-3] == value.shape[:-3], "the batches differ")
    else:
        lead = broadcast(lead, key.shape[:-2], value.shape[:-2])
    if attn_mask is not None:
        scores = (*lead, query.shape[-2], key.shape[-2])
        fit(broadcast(attn_mask.shape, scores) == scores, "the mask does not fit the scores")
    return Tensor((*lead, query.shape[-2], value.shape[-1]), query.dtype)


@rule("scaled_dot_product_attention", shape=sdpa_shape)
def sdpa(out: Tensor, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None,
         dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None,
         enable_gqa: bool = False) -> Facts:  # fmt: skip
    """[n, h, t, d], [n, g, s, d], [n, g, s, dv] -> [n, h, t, dv]

    MACs: scores n x h x t x d x s, then n x h x t x s x dv, the query heads counting even where g < h. Effective: of
    the t x s pairs those a causal mask leaves. FLOPs: + 6 per score (scale 1, softmax 5), 1 more for a mask tensor.
    """
    *lead, queries, features = out.shape
    keys = key.shape[-2]
    pairs = causal_pairs(queries, keys) if is_causal else queries * keys
    batch = math.prod(lead)
    return contraction(
        (*lead, queries, key.shape[-1], keys),
        (*lead, queries, keys, features),
        effective_macs=batch * pairs * (key.shape[-1] + features),
        flops=(6 + (attn_mask is not None)) * batch * queries * keys,
    )


def _flex_shape(query: Tensor, key: Tensor, value: Tensor, score_mod: object = None, block_mask: Any = None,
                scale: float | None = None, enable_gqa: bool = False, return_lse: bool = False,
                kernel_options: object = None, *, return_aux: object = None) -> Tensor:  # fmt: skip
    fit(not return_lse and return_aux is None, "more than one output")
    return sdpa_shape(query, key, value, enable_gqa=enable_gqa)


@rule("flex_attention", shape=_flex_shape)
def flex_attention(out: Tensor | tuple[Tensor, ...], query: Tensor, key: Tensor, value: Tensor,
                   score_mod: object = None, block_mask: Any = None, scale: float | None = None,
                   enable_gqa: bool = False, return_lse: bool = False, kernel_options: object = None, *,
                   return_aux: object = None) -> Facts | Unknown:  # fmt: skip
    """[n, h, t, d], [n, g, s, d], [n, g, s, dv] -> [n, h, t, dv]

    MACs: scores n x h x t x d x s, then n x h x t x s x dv. Effective: the share of blocks that a block mask keeps,
    where its sparsity can be read; a block kept in part counts whole. FLOPs: + 6 per score (scale 1, softmax 5); with
    a score_mod unknown, as what it does cannot be seen.
    """
    if score_mod is not None:
        return Unknown("what score_mod does to a score cannot be seen")
    *lead, queries, features = (out if isinstance(out, Tensor) else out[0]).shape
    width, keys = key.shape[-1], key.shape[-2]
    scores = math.prod(lead) * queries * keys
    return contraction(
        (*lead, queries, width, keys),
        (*lead, queries, keys, features),
        effective_macs=round(scores * (width + features) * _kept(block_mask)),
        flops=6 * scores,
    )


def _kept(block_mask: Any) -> float:
    """Return the share of pairs a block mask keeps, all of them where it cannot say: on meta it has no values."""
    try:
        return 1 - float(block_mask.sparsity()) / 100
    except (AttributeError, RuntimeError, NotImplementedError):
        return 1.0


def mha_shape(query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int, num_heads: int,
              in_proj_weight: Tensor | None, in_proj_bias: Tensor | None, bias_k: Tensor | None, bias_v: Tensor | None,
              add_zero_attn: bool, dropout_p: float, out_proj_weight: Tensor, out_proj_bias: Tensor | None,
              training: bool = True, key_padding_mask: Tensor | None = None, need_weights: bool = True,
              attn_mask: Tensor | None = None, use_separate_proj_weight: bool = False,
              q_proj_weight: Tensor | None = None, k_proj_weight: Tensor | None = None,
              v_proj_weight: Tensor | None = None, static_k: Tensor | None = None, static_v: Tensor | None = None,
              average_attn_weights: bool = True, is_causal: bool = False) -> tuple[Tensor | None, ...]:  # fmt: skip
    """Return [t, n, e] and, if they are needed, the weights [n, t, s] or, not averaged, [n, h, t, s]."""
    width = query.shape[-1]
    fit(width == embed_dim_to_check == out_proj_weight.shape[0] and width % num_heads == 0, "the widths do not fit")
    fit(key.shape[:-1] == value.shape[:-1] and query.shape[1:-1] == key.shape[1:-1], "query, key and value do not fit")
    fit(use_separate_proj_weight or query.shape[1:] == key.shape[1:] == value.shape[1:], "the widths do not fit")
    result = Tensor((*query.shape[:-1], out_proj_weight.shape[0]), query.dtype)
    if not need_weights:
        return result, None
    batch = query.shape[1:-1]
    heads = () if average_attn_weights else (num_heads,)
    return result, Tensor((*batch, *heads, query.shape[0], _keys(key, static_k, bias_k, add_zero_attn)), query.dtype)


@rule("multi_head_attention_forward", shape=mha_shape)
def mha(out: Tensor | tuple[Tensor, ...], query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int,
        num_heads: int, in_proj_weight: Tensor | None, in_proj_bias: Tensor | None, bias_k: Tensor | None,
        bias_v: Tensor | None, add_zero_attn: bool, dropout_p: float, out_proj_weight: Tensor,
        out_proj_bias: Tensor | None, training: bool = True, key_padding_mask: Tensor | None = None,
        need_weights: bool = True, attn_mask: Tensor | None = None, use_separate_proj_weight: bool = False,
        q_proj_weight: Tensor | None = None, k_proj_weight: Tensor | None = None, v_proj_weight: Tensor | None = None,
        static_k: Tensor | None = None, static_v: Tensor | None = None, average_attn_weights: bool = True,
        is_causal: bool = False) -> Facts:  # fmt: skip
    """[t, n, e], [s, n, ek], [s, n, ev] -> [t, n, e]

    MACs: projections of query, key and value (n x t x e x e, n x s x ek x e, n x s x ev x e), scores n x h x t x d x s
    and n x h x t x s x d, projection out n x t x e x e. Effective: the scores a causal mask leaves. FLOPs: + 1 per
    output for each bias, 6 per score (7 with a mask tensor), h per averaged weight returned.
    """
    width = query.shape[-1]
    batch = math.prod(query.shape[1:-1])
    queries, keys = query.shape[0], _keys(key, static_k, bias_k, add_zero_attn)
    head = width // num_heads
    ways = [] if static_k else [key]
    ways += [] if static_v else [value]
    projections = [(batch, queries, width, width), *((batch, way.shape[0], way.shape[-1], width) for way in ways)]
    projected = sum(rows * length * wide for rows, length, _, wide in projections)
    scores = batch * num_heads * queries * keys
    masks = attn_mask is not None or key_padding_mask is not None
    flops = (projected if in_proj_bias else 0) + (6 + masks) * scores
    flops += batch * queries * width if out_proj_bias else 0
    flops += scores if need_weights and average_attn_weights else 0
    pairs = causal_pairs(queries, keys) if is_causal else queries * keys
    attention = ((batch, num_heads, queries, head, keys), (batch, num_heads, queries, keys, head))
    output = (batch, queries, width, width)
    macs = sum(map(math.prod, (*projections, *attention, output)))
    masked = 2 * batch * width * (queries * keys - pairs)
    return contraction(*projections, *attention, output, flops=flops, effective_macs=macs - masked)


def _keys(key: Tensor, static_k: Tensor | None, bias_k: Tensor | None, add_zero_attn: bool) -> int:
    length = static_k.shape[1] if static_k else key.shape[0]
    return length + (bias_k is not None) + bool(add_zero_attn)


def _heads_shape(input: Tensor, heads: int) -> Tensor:
    n, t, width = input.shape
    fit(width % heads == 0, f"{width} features do not make {heads} heads")
    return Tensor((n, heads, t, width // heads), input.dtype)


@rule("split_heads", shape=_heads_shape)
def heads(out: Tensor, input: Tensor, heads: int) -> Facts:
    """[n, t, h*d] -> [n, h, t, d]

    FLOPs: 0, a view.
    """
    return Facts(is_view=True)


def _merge_heads_shape(input: Tensor) -> Tensor:
    n, h, t, d = input.shape
    return Tensor((n, t, h * d), input.dtype)


@rule("merge_heads", shape=_merge_heads_shape)
def merge_heads(out: Tensor, input: Tensor) -> Facts:
    """[n, h, t, d] -> [n, t, h*d]

    FLOPs: 0, but the elements move.
    """
    return Facts()


@rule("rope", shape=lambda input, theta=10000.0: input)
def rope(out: Tensor, input: Tensor, theta: float = 10000.0) -> Facts:
    """[n, h, t, d] -> [n, h, t, d]

    FLOPs: 3 per element: two multiplications (by cosine and sine) and an addition; the tables are not counted.
    """
    return Facts(flops=3 * out.elements)
