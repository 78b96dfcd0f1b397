"""What is known of data on meta: what follows from inputs that were given with their values, such as the sizes of pictures.

A known tensor is a tensor on meta that carries its values along. A function of known tensors alone really runs, on the CPU,
so that a model may ask what came of it; whatever reads an unknown tensor is unknown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from archprof.meta import NAMES, MetaMode, Seen, abstract, described, empty, tensors_in

LARGEST = 1 << 22
"""Elements beyond which values are forgotten."""

MAKERS = frozenset({
    torch.arange, torch.tensor, torch.as_tensor, torch.scalar_tensor, torch.zeros, torch.ones, torch.full, torch.empty,
    torch.linspace, torch.eye,
})  # fmt: skip
"""Functions that make known tensors out of none."""

_METHODS = "expand_as view_as reshape_as type_as new_zeros new_ones new_full new_empty new_tensor"
OF_SHAPES = frozenset({
    torch.zeros_like, torch.ones_like, torch.full_like, torch.empty_like,
    *(getattr(torch.Tensor, name) for name in _METHODS.split()),
})  # fmt: skip
"""Functions that read no more of a tensor than its shape and type: of an unknown one, that is known."""

ASKING = frozenset({
    "__bool__", "__int__", "__float__", "__index__", "__contains__", "item", "tolist", "numpy", "equal", "allclose",
    "nonzero", "argwhere", "unique", "unique_consecutive", "masked_select", "bincount", "is_nonzero", "repeat_interleave",
})  # fmt: skip
"""Names of functions from which code learns a value, in Python or as a size."""

RANDOM = (
    "rand",
    "drop",
    "normal",
    "uniform",
    "bernoulli",
    "multinomial",
    "exponential",
    "poisson",
    "geometric",
    "cauchy",
)
"""Parts of the names of functions whose result nothing tells, and which would use up the user's random numbers."""

INDEXING = frozenset({torch.Tensor.__getitem__, torch.Tensor.__setitem__})
REPEATING = frozenset({torch.repeat_interleave, torch.Tensor.repeat_interleave})
"""Functions whose result is as large as the values of their second argument tell."""


class Unknowable(Exception):
    """A function reads what is not known."""


def know(tensor: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Return a tensor on meta that carries these values, unless they are too many, or sparse."""
    if values.numel() <= LARGEST and _is_plain(values):
        tensor._archprof_values = values  # type: ignore[attr-defined]  # noqa: SLF001 - our own mark
    return tensor


def values_of(tensor: torch.Tensor) -> torch.Tensor | None:
    """Return the values of a known tensor, None of any other."""
    values = getattr(tensor, "_archprof_values", None)
    return None if values is None or getattr(values.untyped_storage(), "_archprof_unknown", False) else values


def forget(tensor: torch.Tensor) -> None:
    """Make a tensor unknown, and all that share its memory, since something unknown is written there."""
    values = values_of(tensor)
    if values is not None:
        storage: Any = values.untyped_storage()
        storage._archprof_unknown = True  # noqa: SLF001 - our own mark, kept as long as the storage


def ran(func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Return what a function of known tensors returns on their values; raises Unknowable where it reads others."""
    given = tensors_in(args) + tensors_in(kwargs)
    known = [tensor for tensor in given if values_of(tensor) is not None]
    if len(known) < len(given) and (func not in OF_SHAPES or max(tensor.numel() for tensor in given) > LARGEST):
        raise Unknowable
    if not known and func not in MAKERS and func not in OF_SHAPES:
        raise Unknowable
    if any(word in getattr(func, "__name__", "") for word in RANDOM):
        raise Unknowable
    try:
        with torch.device("cpu"):
            result = func(*_real(args), **_real(kwargs))
    except (RuntimeError, TypeError, ValueError, IndexError):  # on meta it fails too, and is told there
        raise Unknowable from None
    if getattr(func, "__name__", "") == "__get__" and not isinstance(result, torch.Tensor):
        raise Unknowable  # of what it is on meta: its device
    if not all(map(_is_plain, tensors_in(result))):
        raise Unknowable
    return result


class KnowingMode(MetaMode):
    """Answers torch functions on shapes or, where they read known values alone, on these.

    `has_answered` tells whether the code has asked for such a value and got it.
    """

    def __init__(self, memo: dict[Any, Seen] | None = None, *, knows: bool = False) -> None:
        """Look for known values only where it `knows` some."""
        super().__init__(memo)
        self.knows = knows
        self.has_answered = False

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Return what `func` would return."""
        kwargs = kwargs or {}
        if not self.knows:
            return super().__torch_function__(func, types, args, kwargs)
        if func is torch.Tensor.__iter__ and values_of(args[0]) is not None:
            return iter(self.__torch_function__(torch.Tensor.unbind, types, args))
        try:
            values = ran(func, args, kwargs)
        except Unknowable:
            return self.on_unknown(func, types, args, kwargs)
        self.has_answered |= is_asking(func, args, kwargs)
        return self.noted(func, args, kwargs, carried(values, args))

    def on_unknown(self, func: Callable[..., Any], types: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return what comes of a call that reads more than known values; what it writes to is known no more."""
        if func in INDEXING and (index := indexed(args[1])) is not None:
            self.has_answered = True
            result = self.noted(func, args, kwargs, func(args[0], index, *args[2:]))
        elif func in REPEATING and len(args) > 1 and isinstance(args[1], torch.Tensor) and "output_size" not in kwargs:
            times = values_of(args[1])
            self.has_answered |= times is not None
            result = super().__torch_function__(
                func, types, args, kwargs if times is None else {**kwargs, "output_size": int(times.sum())}
            )
        else:
            result = super().__torch_function__(func, types, args, kwargs)
        written = tensors_in(kwargs.get("out"))
        if args and (result is args[0] or func is torch.Tensor.__setitem__):
            written += tensors_in(args[0])
        for tensor in written:
            forget(tensor)
        return result

    def noted(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> Any:
        """Return the result of a call, which is noted first."""
        kind, _, arguments = self.bound(func, described(args), described(kwargs))
        outputs = tuple(map(described, tensors_in(args[0] if kind == "setitem" else result)))
        seen = Seen(kind, arguments, outputs, None, (func, abstract(args), abstract(kwargs)))
        return self.seen(func, args, kwargs, seen, result)


def is_asking(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Tell whether code learns a value from this call: in Python, or as the size of what it returns."""
    name = getattr(func, "__name__", "")
    places = name == "where" and len(args) + len(kwargs) == 1
    return name in ASKING or places or (func in INDEXING and indexed(args[1]) is not None)


def _is_plain(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor is of a dtype that is recorded, and has its elements in one memory."""
    return tensor.dtype in NAMES and tensor.layout is torch.strided


def _real(value: Any) -> Any:
    """Return an argument with values in place of known tensors, on the CPU."""
    if isinstance(value, torch.Tensor):
        values = values_of(value)
        return torch.empty(value.shape, dtype=value.dtype, device="cpu") if values is None else values
    if isinstance(value, torch.device) or value == "meta":
        return torch.device("cpu")
    if isinstance(value, dict):
        return {key: _real(item) for key, item in value.items()}
    if isinstance(value, slice):
        return slice(_real(value.start), _real(value.stop), _real(value.step))
    if type(value) in {list, tuple}:
        return type(value)(map(_real, value))
    return value


def carried(result: Any, args: Any) -> Any:
    """Return a result as tensors on meta that carry its values; the first argument itself where that was changed."""
    if isinstance(result, torch.Tensor):
        if args and isinstance(args[0], torch.Tensor) and values_of(args[0]) is result:
            return args[0]
        return know(empty(described(result)), result)
    if isinstance(result, (list, tuple)) and tensors_in(result):
        items = [carried(item, ()) for item in result]
        return items if isinstance(result, list) else tuple(items) if type(result) is tuple else type(result)(items)
    return result


def indexed(index: Any) -> tuple[Any, ...] | None:
    """Return an index without what meta cannot look at, known masks as places and bounds as numbers; None: it has none."""
    items = index if isinstance(index, tuple) else (index,)
    found: list[Any] = []
    for item in items:
        values = values_of(item) if isinstance(item, torch.Tensor) else None
        if values is not None and values.dtype == torch.bool and values.ndim:
            found += [places.to("meta") for places in values.nonzero(as_tuple=True)]
        elif isinstance(item, slice) and tensors_in([item.start, item.stop, item.step]):
            found.append(slice(*map(_number, (item.start, item.stop, item.step))))
        else:
            found.append(item)
    return tuple(found) if any(new is not old for new, old in zip(found, items, strict=False)) else None


def _number(bound: Any) -> Any:
    values = values_of(bound) if isinstance(bound, torch.Tensor) else None
    return bound if values is None else int(values)
