"""Runs torch functions on shapes alone: from a memo, else from a shape rule, else with torch's own meta kernel.

It is a TorchFunctionMode, so it sees the functions people name (`F.conv2d`, `Tensor.__add__`), attention and recurrent
nets whole. It records nothing: `archprof.trace` does.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from archprof import aten, records
from archprof.ops import RULES, Shapes, tensors

DTYPES: Mapping[str, torch.dtype] = {
    name: getattr(torch, name) for name in records.ITEM_BYTES if isinstance(getattr(torch, name, None), torch.dtype)
}
NAMES: Mapping[torch.dtype, str] = {dtype: name for name, dtype in DTYPES.items()}
"""Torch's dtypes by the name archprof gives them, and back."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A torch function call, by shapes: its kind, its arguments by name, and what it returns.

    `result` has the shape rule's answer in the structure torch returns, from which new tensors can be made; None where
    only torch itself can (a view, or a function without a shape rule). `outputs` are the tensors in the result, in
    order; none where the call returned a size or a flag. `call` is (function, args, kwargs), tensors as records, so that
    the call can be made again.
    """

    kind: str
    arguments: Mapping[str, Any]
    outputs: tuple[records.Tensor, ...]
    result: Shapes | None
    call: tuple[Callable[..., Any], Any, Any] | None = None


def kind_of(function: Callable[..., Any]) -> str:
    """Return the op kind of a torch function: its name without the marks of operators and in-place variants.

    >>> kind_of(torch.Tensor.__iadd__), kind_of(torch.conv2d), kind_of(torch.Tensor.relu_)
    ('add', 'conv2d', 'relu')
    """
    if isinstance(function, torch._ops.OpOverloadPacket):  # noqa: SLF001 - torch.ops.mylib.add
        function = getattr(function, function.overloads()[0])
    if isinstance(function, torch._ops.OpOverload):  # noqa: SLF001
        return aten.kind_of(function)
    name = getattr(function, "__name__", str(function))
    if name.startswith("__") and name.endswith("__"):
        name = name[2:-2]
        if name[:1] == "i" and name[1:] in _OPERATORS:
            name = name[1:]
        return _DUNDER.get(name, name)
    return name.strip("_")


_FOR_PYTHON = frozenset({
    torch.Tensor.__bool__, torch.Tensor.__int__, torch.Tensor.__float__, torch.Tensor.__complex__,
    torch.Tensor.__index__, torch.Tensor.__len__, torch.Tensor.__contains__, torch.Tensor.item,
})  # fmt: skip
_ASKING = frozenset({torch.Tensor.__bool__, torch.Tensor.__contains__, torch.Tensor.item})
_OPERATORS = frozenset({
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "div", "and", "or", "xor", "lshift", "rshift",
})  # fmt: skip
_DUNDER = {
    "truediv": "div", "floordiv": "floor_divide", "mod": "remainder", "radd": "add", "rmul": "mul",
    **dict.fromkeys(("bool", "int", "float", "complex", "index"), "item"),
}  # fmt: skip
"""What operators are called; those that ask for the value itself are no `Tensor.bool` or `Tensor.float`."""


def described(value: Any) -> Any:
    """Return an argument, torch-free and hashable: records for tensors, dtypes by name, lists as tuples."""
    if isinstance(value, torch.Tensor):
        return records.Tensor(tuple(value.shape), NAMES[value.dtype])
    if isinstance(value, (list, tuple)):
        if isinstance(value, torch.Size):
            return tuple(value)
        return tuple(map(described, value))
    if isinstance(value, dict):
        return tuple((key, described(item)) for key, item in value.items())
    if isinstance(value, torch.dtype):
        return NAMES.get(value, str(value))
    if isinstance(value, torch.device):
        return str(value)
    return value


def abstract(value: Any) -> Any:
    """Return an argument with records in place of tensors, and everything else as torch takes it."""
    if isinstance(value, torch.Tensor):
        return described(value)
    if type(value) in {list, tuple}:
        return type(value)(map(abstract, value))
    if isinstance(value, dict):
        return {key: abstract(item) for key, item in value.items()}
    return value


def empty(tensor: records.Tensor) -> torch.Tensor:
    """Return a meta tensor of the recorded shape and dtype."""
    return torch.empty(tensor.shape, dtype=DTYPES[tensor.dtype], device="meta")


ALONE = threading.RLock()
"""Held while torch's default dtype or random numbers may be other than the user's: they belong to all threads at once."""


@contextlib.contextmanager
def weights_of(dtype: str) -> Iterator[None]:
    """Make torch.nn give new weights this float type, meanwhile."""
    with ALONE:
        before = torch.get_default_dtype()
        torch.set_default_dtype(DTYPES[dtype])
        try:
            yield
        finally:
            torch.set_default_dtype(before)


def made(shapes: Shapes | None) -> Any:
    """Return new meta tensors in the structure that a shape rule gives."""
    if isinstance(shapes, tuple):
        return tuple(map(made, shapes))
    return None if shapes is None else empty(shapes)


def tensors_in(value: object) -> list[torch.Tensor]:
    """Return every torch tensor in nested lists, tuples and dicts, in order."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in tensors_in(item)]
    return []


class MetaMode(TorchFunctionMode):
    """Answers torch functions on meta tensors without running kernels, wherever a shape rule allows it.

    The memo maps (function, shapes, other arguments) to what was seen; it may be shared by several modes. Outputs made
    this way carry no gradient history, so it is for use under `torch.no_grad()`.
    """

    is_meta = True
    """Whether shapes are enough: a mode in which every function really runs has False here."""

    def __init__(self, memo: dict[Any, Seen] | None = None) -> None:
        """Use `memo`, or a fresh one."""
        super().__init__()
        self.memo: dict[Any, Seen] = {} if memo is None else memo
        self.failing: tuple[str, Mapping[str, Any]] | None = None  # the function that torch refused

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Return what `func` would return, on shapes."""
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") == "__get__":
            result = func(*args, **kwargs)
            if not isinstance(result, torch.Tensor):
                return result
        if func in _FOR_PYTHON:  # `bool(x)` is another function than `x.bool()`
            answer = self.assumed(func, args[0]) if self.is_meta and func in _ASKING else None
            return func(*args, **kwargs) if answer is None else answer
        # 1, 1.0 and True are equal as keys, and what torch returns for them is not
        key = (func, described(args), described(kwargs), *map(type, args), *map(type, kwargs.values()))
        if not self.is_meta:  # what comes out may depend on the data
            return self.seen(func, args, kwargs, *self.learn(func, args, kwargs, key))
        try:
            seen = self.memo.get(key)
        except TypeError:  # an argument that cannot be hashed, such as a callable object with equality
            return self.seen(func, args, kwargs, *self.learn(func, args, kwargs, key))
        if seen is None:
            seen, result = self.learn(func, args, kwargs, key)
            self.memo[key] = seen
        elif seen.result is None:
            result = func(*args, **kwargs)
        else:
            result = args[0] if self.in_place(func, args, seen) else made(seen.result)
        return self.seen(func, args, kwargs, seen, result)

    def learn(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], key: Any
    ) -> tuple[Seen, Any]:
        """Return what is seen of a call that the memo does not know, and its result."""
        kind, entry, arguments = self.bound(func, *key[1:3])
        call = func, abstract(args), abstract(kwargs)
        shapes = entry.output(arguments) if self.is_meta and entry is not None and "out" not in kwargs else None
        if shapes is not None:
            seen = Seen(kind, arguments, tuple(tensors(shapes)), shapes, call)
            return seen, args[0] if self.in_place(func, args, seen) else made(shapes)
        self.failing = kind, arguments
        result = func(*args, **kwargs)
        self.failing = None
        changed = args[0] if kind == "setitem" else result  # it returns nothing, and writes all the same
        return Seen(kind, arguments, tuple(map(described, tensors_in(changed))), None, call), result

    @staticmethod
    def bound(func: Callable[..., Any], positional: Any, named: Any) -> tuple[str, Any, dict[str, Any]]:
        """Return the kind of a call, the rule of that kind if it takes these arguments, and them by their names."""
        named = dict(named)
        if isinstance(func, torch._ops.OpOverload):  # noqa: SLF001 - the class of torch.ops.aten.relu.default
            positional, named = aten.arguments_of(func, positional, named)
        kind = kind_of(func)
        entry = RULES.get(kind)
        if entry is not None:
            with contextlib.suppress(TypeError):
                return kind, entry, entry.bind(positional, named)
        return kind, None, {**{str(i): value for i, value in enumerate(positional)}, **named}

    @staticmethod
    def in_place(func: Callable[..., Any], args: tuple[Any, ...], seen: Seen) -> bool:
        """Tell whether the call returns its first argument, changed."""
        name = getattr(func, "__name__", "")
        if name.endswith("__"):
            changes = name.startswith("__i") and name[3:-2] in _OPERATORS
        else:
            changes = name.endswith("_") or seen.arguments.get("inplace") is True
        return bool(args) and changes

    def assumed(self, func: Callable[..., Any], tensor: torch.Tensor) -> bool | None:  # noqa: ARG002 - a recorder's
        """Return what is taken for the answer of `bool(x)`, `x.item()` or `y in x` on meta; None: torch refuses."""
        return None

    def seen(self, func: Any, args: Any, kwargs: Any, seen: Seen, result: Any) -> Any:  # noqa: ARG002 - a recorder's
        """Return `result`; a recorder notes the call first."""
        return result


class SkipInit(TorchFunctionMode):
    """Leaves new weights as they are: on meta there is nothing to initialise, and building is twice as fast.

    On a real device it is for weights that are overwritten anyway.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Return the tensor to be filled, and anything else as it is."""
        kwargs = kwargs or {}
        # on a real device fills stay: torch's truncated normal draws until all values are within its bounds
        if getattr(func, "__module__", None) == "torch.nn.init" or (func in _FILLS and args[0].is_meta):
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


_FILLS = frozenset({torch.Tensor.fill_, torch.Tensor.zero_, torch.Tensor.uniform_, torch.Tensor.normal_})
