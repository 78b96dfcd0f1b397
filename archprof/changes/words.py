"""What an op is, as settings with names and values that people read: `kernel 3`, `out_channels 64`, `bias yes`.

Two spellings of one thing are one: `(1, 1)` and `1`, a flatten with and without its last axis, in place or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archprof.records import Op, Tensor

IDLE = frozenset({"inplace"})
"""Settings that change neither what an op computes nor what it costs."""
RESHAPES = frozenset({"flatten", "reshape", "view", "unflatten", "squeeze", "unsqueeze", "expand"})
"""What these do is told by the shapes alone."""
SIZES = frozenset({"in_channels", "out_channels", "in_features", "out_features", "normalized_shape", "input", "output"})
"""Settings that say how wide something is, and not what form it has."""


@dataclass(frozen=True, slots=True)
class Looks:
    """An op for the eye: `settings` by name, `form` is what is left of them without sizes, `weights` is how many it has."""

    kind: str
    settings: Mapping[str, str]
    form: tuple[object, ...]
    identity: tuple[object, ...]
    weights: int


def looks(op: Op) -> Looks:
    """Return how an op looks; ops of equal `identity` are the same."""
    found = dict(_settings(op))
    found["input"] = ", ".join(map(_tensor, op.inputs))
    found["output"] = ", ".join(map(_tensor, op.outputs))
    form = op.kind, *sorted(item for item in found.items() if item[0] not in SIZES)
    return Looks(op.kind, found, form, (op.kind, *sorted(found.items())), len(op.weights))


def differences(one: Looks, other: Looks) -> list[tuple[str, str, str]]:
    """Return what differs as (setting, before, after), sizes of the tensors last; `no` stands for a setting that is not there."""
    found = [("kind", one.kind, other.kind)] if one.kind != other.kind else []
    names = dict.fromkeys((*one.settings, *other.settings))
    ordered = sorted(names, key=lambda name: name in {"input", "output"})
    before, after = one.settings, other.settings
    return found + [
        (name, before.get(name, "no"), after.get(name, "no"))
        for name in ordered
        if before.get(name, "no") != after.get(name, "no")
    ]


def told(found: Sequence[tuple[str, str, str]]) -> str:
    """Return differences as one line; shapes are told only where nothing else differs.

    >>> told([("kernel", "3", "5"), ("output", "1x8x4x4", "1x8x2x2")])
    'kernel 3 -> 5'
    """
    own = [change for change in found if change[0] not in {"input", "output"}]
    if not own and len(found) == 2 and found[0][1:] == found[1][1:]:
        own = [("shape", *found[0][1:])]
    return ", ".join(f"{name} {before} -> {after}" for name, before, after in own or found)


def _settings(op: Op) -> Iterator[tuple[str, str]]:
    if op.kind in RESHAPES:
        return
    yield from _weights(op)
    for name, given in _flat(op.arguments):
        if name not in IDLE and not _is_told(op, name, given):
            yield name, _text(given)


def _flat(arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, given in arguments.items():
        if name == "options" and isinstance(given, Mapping):
            yield from _flat(given)
        else:
            yield name, given


def _is_told(op: Op, name: str, given: object) -> bool:
    """Tell whether the sizes of an argument are told elsewhere: in the shapes of inputs, or as a setting of its own."""
    if name in {"running_mean", "running_var"}:
        return True
    if "bias" in name or name == "weight":
        return name == "weight" or given is None or isinstance(given, Tensor)
    if isinstance(given, Tensor):
        return given in op.inputs
    parts = given if isinstance(given, (tuple, list)) else ()
    return bool(parts) and all(isinstance(part, Tensor) for part in parts)


def _weights(op: Op) -> Iterator[tuple[str, str]]:
    given, weight = op.arguments, op.arguments.get("weight")
    if isinstance(weight, Tensor):
        shape = weight.shape
        if op.kind.startswith("conv") and len(shape) > 2:
            groups = given.get("groups", 1)
            ends = (shape[0], shape[1] * groups) if "transpose" in op.kind else (shape[1] * groups, shape[0])
            yield "kernel", _text(shape[2:])
            yield "in_channels", str(ends[0])
            yield "out_channels", str(ends[1])
        elif op.kind == "linear" and len(shape) == 2:
            yield "in_features", str(shape[1])
            yield "out_features", str(shape[0])
        elif len(shape) > 1:
            yield "weight", str(weight)
        if weight.dtype != "float32":
            yield "weights of", weight.dtype
    elif "weight" in given:
        yield "weight", "no"
    for name in given:
        if "bias" in name and (given[name] is None or isinstance(given[name], Tensor)):
            yield name, "no" if given[name] is None else "yes"


def _tensor(tensor: Tensor) -> str:
    return str(tensor) if tensor.dtype == "float32" else f"{tensor} {tensor.dtype}"


def _text(given: object) -> str:
    """Return a value as people write it; equal numbers in a row are one.

    >>> _text((3, 3)), _text((1, 7)), _text(None), _text(True), _text(0.5)
    ('3', '1x7', 'no', 'yes', '0.5')
    """
    if given is None or isinstance(given, bool):
        return "yes" if given else "no"
    if isinstance(given, Tensor):
        return _tensor(given)
    if isinstance(given, (tuple, list)):
        texts = [_text(part) for part in given]
        return texts[0] if len(set(texts)) == 1 else "x".join(texts)
    if isinstance(given, slice):
        return ":".join("" if part is None else str(part) for part in (given.start, given.stop, given.step))
    return str(given)
