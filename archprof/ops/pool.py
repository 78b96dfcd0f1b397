"""Pooling: ops that slide a window without weights over the last axes, of fixed size or adaptive."""

from __future__ import annotations

import math
from collections.abc import Sequence

from archprof.ops import rule
from archprof.ops.shapes import Axes, axes, fit
from archprof.ops.window import slid
from archprof.records import Facts, Tensor, Window


def pool_window(kernel_size: Axes, stride: Axes | None, padding: Axes, dilation: Axes, count: int) -> Window:
    """Return the window of a pooling over `count` axes; without a stride windows do not overlap."""
    kernel = axes(kernel_size, count)
    sides = axes(padding, count)
    fit(all(2 * side <= k for side, k in zip(sides, kernel, strict=True)), "padding is more than half the kernel")
    step = kernel if stride is None or stride == [] else axes(stride, count)
    return Window(kernel, step, tuple((side, side) for side in sides), axes(dilation, count))


def pooled(input: Tensor, window: Window, *, ceil: bool) -> Tensor:
    """Return [n, c, *y] or, without a batch, [c, *y]."""
    count = len(window.kernel)
    fit(len(input.shape) - count in {1, 2}, "the input has the wrong number of axes")
    return Tensor(input.shape[:-count] + slid(input.shape[-count:], window, ceil=ceil), input.dtype)


def first(out: Tensor | tuple[Tensor, ...]) -> Tensor:
    """Return the values of a pooling that may also return indices."""
    return out if isinstance(out, Tensor) else out[0]


def _register_max_pool(count: int, *, indices: bool) -> None:
    """File max_pool1d, 2d or 3d: a [c, *x] input looks like [n, c, x] but for the name of the op."""

    def shape(input: Tensor, kernel_size: Axes, stride: Axes | None = None, padding: Axes = 0, dilation: Axes = 1,
              ceil_mode: bool = False, return_indices: bool = indices) -> Tensor | tuple[Tensor, ...]:  # fmt: skip
        result = pooled(input, pool_window(kernel_size, stride, padding, dilation, count), ceil=ceil_mode)
        return (result, Tensor(result.shape, "int64")) if return_indices else result

    @rule(f"max_pool{count}d_with_indices" if indices else f"max_pool{count}d", shape=shape)
    def max_pool(out: Tensor | tuple[Tensor, ...], input: Tensor, kernel_size: Axes, stride: Axes | None = None,
                 padding: Axes = 0, dilation: Axes = 1, ceil_mode: bool = False,
                 return_indices: bool = indices) -> Facts:  # fmt: skip
        """[n, c, *x] -> [n, c, *y]

        FLOPs: k - 1 comparisons per output. No MACs.
        """
        window = pool_window(kernel_size, stride, padding, dilation, count)
        return Facts(flops=(math.prod(window.kernel) - 1) * first(out).elements, window=window)


def _register_avg_pool(count: int) -> None:
    """File avg_pool1d, 2d or 3d."""

    def shape(input: Tensor, kernel_size: Axes, stride: Axes | None = None, padding: Axes = 0, ceil_mode: bool = False,
              count_include_pad: bool = True, divisor_override: int | None = None) -> Tensor:  # fmt: skip
        return pooled(input, pool_window(kernel_size, stride, padding, 1, count), ceil=ceil_mode)

    @rule(f"avg_pool{count}d", shape=shape)
    def avg_pool(out: Tensor, input: Tensor, kernel_size: Axes, stride: Axes | None = None, padding: Axes = 0,
                 ceil_mode: bool = False, count_include_pad: bool = True,
                 divisor_override: int | None = None) -> Facts:  # fmt: skip
        """[n, c, *x] -> [n, c, *y]

        FLOPs: k per output, k - 1 additions and a division. No MACs.
        """
        window = pool_window(kernel_size, stride, padding, 1, count)
        return Facts(flops=math.prod(window.kernel) * out.elements, window=window)


def _register_lp_pool(count: int) -> None:
    """File lp_pool1d, 2d or 3d."""

    def shape(input: Tensor, norm_type: float, kernel_size: Axes, stride: Axes | None = None,
              ceil_mode: bool = False) -> Tensor:  # fmt: skip
        return pooled(input, pool_window(kernel_size, stride, 0, 1, count), ceil=ceil_mode)

    @rule(f"lp_pool{count}d", shape=shape)
    def lp_pool(out: Tensor, input: Tensor, norm_type: float, kernel_size: Axes, stride: Axes | None = None,
                ceil_mode: bool = False) -> Facts:  # fmt: skip
        """[n, c, *x] -> [n, c, *y]

        FLOPs: 2k per output: k powers, k - 1 additions and a root. No MACs.
        """
        window = pool_window(kernel_size, stride, 0, 1, count)
        return Facts(flops=2 * math.prod(window.kernel) * out.elements, window=window)


def adaptive_window(size: tuple[int, ...], result: tuple[int, ...]) -> Window:
    """Return the window an adaptive pooling comes down to: exact where the sizes divide, else its widest window."""
    kernel = tuple(max(_lengths(x, y), default=1) for x, y in zip(size, result, strict=True))
    step = tuple(max(1, x // max(1, y)) for x, y in zip(size, result, strict=True))
    return Window(kernel, step, ((0, 0),) * len(size), (1,) * len(size))


def _lengths(size: int, result: int) -> list[int]:
    """Return how many inputs each of `result` outputs along one axis of `size` reads."""
    return [-(-(i + 1) * size // result) - i * size // result for i in range(result)]


def adaptive_reads(input: Tensor, out: Tensor, count: int) -> int:
    """Return how many inputs all windows of an adaptive pooling read, overlaps counted twice."""
    sizes = zip(input.shape[-count:], out.shape[-count:], strict=True)
    return math.prod(input.shape[:-count]) * math.prod(sum(_lengths(x, y)) for x, y in sizes)


Sizes = int | Sequence[int | None] | None


def adaptive(input: Tensor, output_size: Sizes, count: int) -> Tensor:
    """Return the output of an adaptive pooling; None keeps an axis."""
    fit(len(input.shape) - count in {1, 2}, "the input has the wrong number of axes")
    wanted = (output_size,) if isinstance(output_size, int) or output_size is None else tuple(output_size)
    wanted = wanted * count if len(wanted) == 1 else wanted
    size = tuple(x if y is None else y for x, y in zip(input.shape[-count:], wanted, strict=True))
    return Tensor(input.shape[:-count] + size, input.dtype)


def _register_adaptive_avg(count: int) -> None:
    """File adaptive_avg_pool1d, 2d or 3d."""

    def shape(input: Tensor, output_size: Sizes) -> Tensor:
        return adaptive(input, output_size, count)

    @rule(f"adaptive_avg_pool{count}d", shape=shape)
    def adaptive_avg_pool(out: Tensor, input: Tensor, output_size: Sizes) -> Facts:
        """[n, c, *x] -> [n, c, *y]

        FLOPs: k per output, k being the inputs its own window reads. No MACs.
        """
        window = adaptive_window(input.shape[-count:], out.shape[-count:])
        return Facts(flops=adaptive_reads(input, out, count), window=window)


def _register_adaptive_max(count: int, *, indices: bool) -> None:
    """File adaptive_max_pool1d, 2d or 3d."""

    def shape(input: Tensor, output_size: Sizes, return_indices: bool = indices) -> Tensor | tuple[Tensor, ...]:
        result = adaptive(input, output_size, count)
        return (result, Tensor(result.shape, "int64")) if return_indices else result

    @rule(f"adaptive_max_pool{count}d_with_indices" if indices else f"adaptive_max_pool{count}d", shape=shape)
    def adaptive_max_pool(out: Tensor | tuple[Tensor, ...], input: Tensor, output_size: Sizes,
                          return_indices: bool = indices) -> Facts:  # fmt: skip
        """[n, c, *x] -> [n, c, *y]

        FLOPs: k - 1 comparisons per output, k being the inputs its own window reads. No MACs.
        """
        result = first(out)
        window = adaptive_window(input.shape[-count:], result.shape[-count:])
        return Facts(flops=adaptive_reads(input, result, count) - result.elements, window=window)


def _register_fractional(count: int) -> None:
    """File fractional_max_pool2d or 3d."""

    @rule(f"fractional_max_pool{count}d", f"fractional_max_pool{count}d_with_indices")
    def fractional_max_pool(out: Tensor | tuple[Tensor, ...], input: Tensor, kernel_size: Axes,
                            output_size: Axes | None = None, output_ratio: object = None,
                            return_indices: bool = False) -> Facts:  # fmt: skip
        """[n, c, *x] -> [n, c, *y]

        FLOPs: k - 1 comparisons per output. No window: where it stands is drawn at random.
        """
        return Facts(flops=(math.prod(axes(kernel_size, count)) - 1) * first(out).elements)


for _count in (1, 2, 3):
    _register_max_pool(_count, indices=False)
    _register_max_pool(_count, indices=True)
    _register_avg_pool(_count)
    _register_lp_pool(_count)
    _register_adaptive_avg(_count)
    _register_adaptive_max(_count, indices=False)
    _register_adaptive_max(_count, indices=True)
for _count in (2, 3):
    _register_fractional(_count)


@rule("max_unpool1d", "max_unpool2d", "max_unpool3d")
def max_unpool(out: Tensor, input: Tensor, indices: Tensor, kernel_size: Axes, stride: Axes | None = None,
               padding: Axes = 0, output_size: object = None) -> Facts:  # fmt: skip
    """[n, c, *x], [n, c, *x] -> [n, c, *y]

    FLOPs: 0, it puts the values where the indices say and zeros elsewhere.
    """
    return Facts()
