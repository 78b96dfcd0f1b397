"""Fourier transforms, by the convention of FFTW: 5 n log2 n FLOPs for n complex points, half of it for real ones.

Scaling by a norm is not counted. No MACs: a fast transform is no contraction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from archprof.ops import rule
from archprof.ops.shapes import category
from archprof.records import Facts, Tensor

Sizes = int | Sequence[int] | None


def transform(points: int, *, real: bool) -> float:
    """Return the FLOPs of one transform of `points`."""
    return (2.5 if real else 5.0) * points * math.log2(max(1, points))


def _cost(signal: Tensor, dim: Sizes, sizes: Sizes, *, real: bool) -> Facts:
    """Return the cost of all transforms along `dim`; without it, along the last axes that sizes are given for.

    `signal` has the sizes that are transformed, in every axis.
    """
    if dim is None:
        dim = range(-(len(sizes) if isinstance(sizes, Sequence) else len(signal.shape)), 0)
    axes = {axis % len(signal.shape) for axis in ((dim,) if isinstance(dim, int) else dim)}
    points = math.prod(signal.shape[axis] for axis in axes)
    count = math.prod(size for axis, size in enumerate(signal.shape) if axis not in axes)
    return Facts(flops=round(count * transform(points, real=real)))


def _register(name: str, default: Sizes) -> None:
    """File the transforms of one dimensionality (`fft`, `fft2` or `fftn`): complex, to real and from real."""

    @rule(f"fft_{name}", f"fft_i{name}")
    def complex_fft(out: Tensor, input: Tensor, s: Sizes = None, dim: Sizes = default, norm: str | None = None,
                    n: Sizes = None) -> Facts:  # fmt: skip
        """[*, n] -> [*, n], complex

        FLOPs: 5 n log2 n per transform of n complex points, 2.5 n log2 n of real ones; several axes are one transform
        of all their points.
        """
        return _cost(out, dim, s, real=category(input.dtype) < 3)

    @rule(f"fft_r{name}", f"fft_ih{name}")
    def real_fft(out: Tensor, input: Tensor, s: Sizes = None, dim: Sizes = default, norm: str | None = None,
                 n: Sizes = None) -> Facts:  # fmt: skip
        """[*, n] -> [*, n/2 + 1], complex

        FLOPs: 2.5 n log2 n per transform of n real points; several axes are one transform of all their points.
        """
        last = dim[-1] if isinstance(dim, Sequence) else -1 if dim is None else dim
        length = n if s is None else s[-1] if isinstance(s, Sequence) else s
        sizes = list(out.shape)  # only the last axis is halved in the spectrum
        sizes[last] = length if isinstance(length, int) and length > 0 else input.shape[last]
        return _cost(Tensor(tuple(sizes)), dim, s, real=True)

    @rule(f"fft_ir{name}", f"fft_h{name}")
    def to_real_fft(out: Tensor, input: Tensor, s: Sizes = None, dim: Sizes = default, norm: str | None = None,
                    n: Sizes = None) -> Facts:  # fmt: skip
        """[*, n/2 + 1], complex -> [*, n]

        FLOPs: 2.5 n log2 n per transform of n real points; several axes are one transform of all their points.
        """
        return _cost(out, dim, s, real=True)


for _name, _dim in (("fft", -1), ("fft2", (-2, -1)), ("fftn", None)):
    _register(_name, _dim)


@rule("stft")
def stft(out: Tensor, input: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None,
         window: Tensor | None = None, center: bool = True, pad_mode: str = "reflect", normalized: bool = False,
         onesided: bool | None = None, return_complex: bool | None = None,
         align_to_window: bool | None = None) -> Facts:  # fmt: skip
    """[*, t] -> [*, n/2 + 1, frames], complex

    FLOPs: per frame of n samples 2.5 n log2 n, 5 n log2 n of a complex signal, and n for the window.
    """
    bins, frames = out.shape[-2:] if category(out.dtype) == 3 else out.shape[-3:-1]
    count = frames * math.prod(input.shape[:-1])
    per = transform(n_fft, real=category(input.dtype) < 3) + n_fft * (window is not None)
    return Facts(flops=round(count * per) if bins else 0)


@rule("istft")
def istft(out: Tensor, input: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None,
          window: Tensor | None = None, *settings: Any, **options: Any) -> Facts:  # fmt: skip
    """[*, n/2 + 1, frames], complex -> [*, t]

    FLOPs: per frame of n samples 2.5 n log2 n, 5 n log2 n for a complex signal, n for the window and n for the overlap
    that is added; 1 per output, the division by the windows' envelope, which is not counted itself.
    """
    frames = math.prod(input.shape[:-2]) * input.shape[-1]
    per = transform(n_fft, real=category(out.dtype) < 3) + n_fft * (1 + (window is not None))
    return Facts(flops=round(frames * per) + out.elements)
