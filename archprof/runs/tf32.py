"""Torch's switches for products of float32 in TF32, of which it has two kinds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch


@contextlib.contextmanager
def products_in_tf32(wanted: bool) -> Iterator[None]:
    """Have CUDA multiply float32 in TF32, or not.

    Torch has two kinds of switches for it, old and new, and refuses to read an old one that says the opposite of the new.
    """
    cudnn: Any = torch.backends.cudnn
    parts: tuple[Any, ...] = (torch.backends.cuda.matmul, cudnn.conv, cudnn.rnn)
    before = [part.fp32_precision for part in parts]
    try:
        old = torch.get_float32_matmul_precision()
    except RuntimeError:
        old = "highest" if before[0] == "tf32" else "high"
    try:
        old_cudnn = cudnn.allow_tf32
    except RuntimeError:
        old_cudnn = before[1:] != ["tf32", "tf32"]
    torch.backends.cuda.matmul.allow_tf32 = cudnn.allow_tf32 = wanted  # these set both kinds
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(old)
        cudnn.allow_tf32 = old_cudnn
        for part, precision in zip(parts, before, strict=True):
            part.fp32_precision = precision
