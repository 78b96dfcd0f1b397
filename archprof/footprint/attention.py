"""Fused attention on meta: torch takes the unfused path there, which keeps scores that no fused kernel ever stores."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch

FLASH = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # noqa: SLF001
MATH = torch.ops.aten._scaled_dot_product_attention_math  # noqa: SLF001


@contextlib.contextmanager
def fused(cast: Callable[[Any], Any] | None = None) -> Iterator[None]:
    """Have attention on meta make its output and one number a query, as the CPU's kernel does, where that would run.

    `cast` is what autocast does to its tensors.
    """

    def attention(*args: Any, **kwargs: Any) -> Any:
        if cast is None or not torch.is_autocast_enabled("cpu"):
            return _attention(*args, **kwargs)
        args, kwargs = cast(args), cast(kwargs)
        with torch._C._DisableAutocast():  # noqa: SLF001 - what it is made of is not cast again, as in torch
            return _attention(*args, **kwargs)

    library = torch.library.Library("aten", "IMPL")
    library.impl("scaled_dot_product_attention", attention, "AutogradMeta")
    try:
        yield
    finally:
        library._destroy()  # noqa: SLF001


def _attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = torch.where(attn_mask, torch.zeros((), dtype=query.dtype, device="meta"), -torch.inf)
    if not _fits(query, key, value, attn_mask, dropout_p, enable_gqa):
        return MATH(query, key, value, attn_mask, dropout_p, is_causal, None, scale=scale, enable_gqa=enable_gqa)[0]
    is_flat = query.dim() == 3
    if is_flat:
        query, key, value = query.unsqueeze(0), key.unsqueeze(0), value.unsqueeze(0)
    output = FLASH(query, key, value, dropout_p, is_causal, attn_mask=attn_mask, scale=scale)[0]
    return output.squeeze(0) if is_flat else output


def _fits(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    dropout: float,
    gqa: bool,
) -> bool:
    """Tell whether the CPU's fused kernel takes this: no dropout, no gradient for the mask, matching batches and heads."""
    if dropout or (mask is not None and mask.requires_grad) or not query.dim() == key.dim() == value.dim() in {3, 4}:
        return False
    if query.shape[-1] != key.shape[-1] or key.shape != value.shape or query.shape[:-3] != key.shape[:-3]:
        return False
    if query.shape[-3] != key.shape[-3] and not gqa:
        return False
    return query.shape[-2] > 0 and key.shape[-2] > 0 and all(t.stride(-1) == 1 for t in (query, key, value))
