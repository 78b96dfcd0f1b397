"""What a torch function without a rule costs, by the ATen operations it is made of, each under the rule of its name.

Only for functions that no rule knows; a custom operation that torch cannot take apart stays unknown.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from archprof import aten, inputs
from archprof.meta import Seen, described, tensors_in
from archprof.ops import RULES, completed, facts
from archprof.records import Facts, Op, Unknown


class Parts(TorchDispatchMode):
    """Notes every ATen operation that runs."""

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__()
        self.ops: list[Op] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation and note it by shapes."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        kind, entry = aten.kind_of(func), RULES.get(aten.kind_of(func))
        positional, named = described(args), {key: described(value) for key, value in kwargs.items()}
        arguments: dict[str, Any] = {}
        if entry is not None:
            try:
                arguments = entry.bind(*aten.arguments_of(func, positional, named))
            except TypeError:
                kind = func.overloadpacket.__name__
        outputs = tuple(map(described, tensors_in(result)))
        if func.overloadpacket.__name__ in aten.KINDS:
            outputs = outputs[:1]
        self.ops.append(Op(kind, kind, "", outputs=outputs, arguments=arguments))
        return result


def replayed(seen: Seen, on: str = "meta") -> None:
    """Make a call again, with empty tensors on meta or, on the CPU, random ones."""
    function, args, kwargs = seen.call or (None, (), {})
    if function is None:
        raise RuntimeError("the call was not kept")
    with torch.no_grad(), torch.device(on):
        function(*inputs.on(on, args), **inputs.on(on, kwargs))


def decomposed(op: Op, seen: Seen) -> Facts | Unknown:
    """Return the sum of what the parts of an op cost; Unknown where a part has no rule either, or torch refuses."""
    parts = Parts()
    try:
        with parts:
            replayed(seen)
    except (RuntimeError, NotImplementedError, TypeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        return Unknown(f"no rule for {op.kind!r}, and it cannot be taken apart: {reason}")
    found: list[Facts] = []
    for part in parts.ops:
        one = facts(part)
        if isinstance(one, Unknown):
            is_itself = part.kind.rpartition(".")[2] == op.kind.rpartition(".")[2]
            calls = "" if is_itself else f", which calls {part.kind!r}"
            return Unknown(f"no rule for {op.kind!r}{calls}")
        found.append(one)
    if not found:
        return Unknown(f"no rule for {op.kind!r}")
    total = functools.reduce(operator.add, found)
    return completed(op, dataclasses.replace(total, bytes_read=None, bytes_written=None))
