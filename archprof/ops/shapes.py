"""What shape rules share: axes, broadcasting, torch's type promotion, and the check that arguments fit each other.

It holds no rule and knows no op.
"""

from __future__ import annotations

from collections.abc import Sequence

from archprof.records import ITEM_BYTES, Tensor

Axes = int | Sequence[int]

_COMPONENTS = {"complex32": "float16", "bcomplex32": "bfloat16", "complex64": "float32", "complex128": "float64"}
_COMPLEX = {component: dtype for dtype, component in _COMPONENTS.items()}
_DEFAULTS = ("bool", "int64", "float32", "complex64")
"""The dtype a plain Python number brings, by category; floats are torch's default dtype, taken to be float32."""


def fit(claim: bool, message: str) -> None:
    """Raise ValueError with `message` unless `claim` holds."""
    if not claim:
        raise ValueError(message)


def axes(value: Axes, count: int) -> tuple[int, ...]:
    """Return `value` once per axis: `3` and `(3,)` become `(3, 3)` for two axes."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * count if len(values) == 1 else values


def chosen(dim: Axes | None, rank: int) -> tuple[int, ...]:
    """Return the axes `dim` names, counted from 0 and sorted; None and an empty list name them all."""
    if dim is None or (not isinstance(dim, int) and not dim):
        return tuple(range(rank))
    listed = (dim,) if isinstance(dim, int) else tuple(dim)
    fit(all(-max(rank, 1) <= axis < max(rank, 1) for axis in listed), f"no axis {dim} in {rank} axes")
    return tuple(sorted(axis % rank for axis in listed)) if rank else ()


def reduced(shape: tuple[int, ...], dim: Axes | None, *, keepdim: bool) -> tuple[int, ...]:
    """Return `shape` without the axes of `dim`, or with 1 in their place."""
    gone = chosen(dim, len(shape))
    return tuple(1 if axis in gone else size for axis, size in enumerate(shape) if keepdim or axis not in gone)


def broadcast(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the common shape, aligned at the right, where a size of 1 stretches."""
    rank = max(map(len, shapes), default=0)
    result = []
    for sizes in zip(*((1,) * (rank - len(shape)) + tuple(shape) for shape in shapes), strict=True):
        wide = {size for size in sizes if size != 1}
        fit(len(wide) < 2, f"{shapes} do not broadcast")
        result.append(wide.pop() if wide else 1)
    return tuple(result)


def named(dtype: object) -> str:
    """Return the plain name of a torch dtype, or of what already is one: `torch.float16` is `float16`."""
    return str(dtype).removeprefix("torch.")


def floating(dtype: str) -> str:
    """Return what a function like exp or mean makes of `dtype`: integers and bools become float32."""
    return dtype if category(dtype) >= 2 else _DEFAULTS[2]


def category(dtype: str) -> int:
    """Return 0 for bool, 1 for integers, 2 for floats, 3 for complex numbers."""
    if dtype == "bool":
        return 0
    if dtype.lstrip("qu").startswith("int"):
        return 1
    return 3 if dtype in _COMPONENTS else 2


def component(dtype: str) -> str:
    """Return the dtype of the parts of a complex dtype; any other is its own part."""
    return _COMPONENTS.get(dtype, dtype)


def promoted(*operands: object) -> str:
    """Return the dtype of an elementwise result of tensors and Python numbers, by torch's rule.

    Tensors with axes decide; a scalar tensor counts only where its category is higher, a Python number after that.
    """
    full = [operand.dtype for operand in operands if isinstance(operand, Tensor) and operand.shape]
    single = [operand.dtype for operand in operands if isinstance(operand, Tensor) and not operand.shape]
    numbers = [
        _DEFAULTS[(bool, int, float, complex).index(type(operand))]
        for operand in operands
        if isinstance(operand, (bool, int, float, complex))
    ]
    result = _meet(numbers)
    for group in (single, full):
        result = _outrank(_meet(group), result)
    fit(result is not None, "no operand has a dtype")
    return result or ""


def _meet(dtypes: list[str]) -> str | None:
    """Return the smallest dtype that holds all of one priority."""
    result: str | None = None
    for dtype in dtypes:
        result = dtype if result is None else _pair(result, dtype)
    return result


def _pair(a: str, b: str) -> str:
    if a == b:
        return a
    low, high = sorted((a, b), key=lambda dtype: (category(dtype), ITEM_BYTES[dtype]))
    if category(high) == 3 and category(low) > 1:
        return _COMPLEX[_pair(component(low), component(high))]
    if category(low) != category(high):
        return high
    if category(high) == 2:
        return "float32" if ITEM_BYTES[low] == ITEM_BYTES[high] else high
    if category(high) == 1 and "uint8" in (a, b):
        return "int16" if "int8" in (a, b) else high
    return high


def _outrank(strong: str | None, weak: str | None) -> str | None:
    """Return what a higher priority and a lower one make of each other: the lower wins only by a higher category."""
    if strong is None or weak is None:
        return strong or weak
    if category(strong) == 2 and category(weak) == 3:
        return _COMPLEX[strong]
    return weak if category(weak) > category(strong) else strong


def same(input: Tensor, *_: object, **__: object) -> Tensor:
    """Return the first argument's shape and dtype."""
    return input


def same_float(input: Tensor, *_: object, **__: object) -> Tensor:
    """Return the first argument's shape, integers turned into floats."""
    return Tensor(input.shape, floating(input.dtype))
