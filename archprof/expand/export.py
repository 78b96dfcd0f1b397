"""A Spec as a flat spec again: one step a call, every setting written out; and a fingerprint that tells specs apart.

What the export forgets is the shape of the source: blocks, params, checks and the dots in the names of modules.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from typing import TYPE_CHECKING, Any

from archprof.errors import UserError
from archprof.expand.steps import taken
from archprof.layers import LAYERS
from archprof.layers.foreign import foreign_layer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from archprof.records import Call, Spec

_RESERVED = frozenset({"in", "if", "else", "and", "or", "not", "for", "true", "false", "null", "outputs"})


def export(spec: Spec) -> str:
    """Return YAML of the spec language that means the same calls as `spec`; paths become names, dots underscores.

    Raises UserError where a setting has no form in the language (a plug-in's own object).
    """
    names = _Names(taken())
    values: list[str] = [names.free(name) for name, _ in spec.inputs]
    lines = ["archprof: 1", f"name: {_spec_name(spec.name)}", "inputs:"]
    for (own, tensor), name in zip(spec.inputs, values, strict=True):
        bound = f" < {spec.bounds[own]}" if own in spec.bounds else ""
        lines.append(f"  {name}: {tensor.dtype}[{', '.join(map(str, tensor.shape[1:]))}]{bound}")
    used = {number for call in spec.calls for number in call.inputs} | {number for _, number in spec.outputs}
    steps: list[tuple[str, str]] = []
    modules: dict[str, str] = {}
    for call in spec.calls:
        made = range(len(values), len(values) + len(call.outputs))
        given = _step_names(call, [number in used for number in made], names)
        first = next((name for name in given if name != "_"), given[0])
        values += given
        steps.append((", ".join(given), _line(call, [values[i] for i in call.inputs], modules)))
        modules.setdefault(call.module, first)
    width = max((len(name) for name, _ in steps), default=0)
    lines.append("steps:")
    lines += [f"  {name + ':':{min(width, 40) + 1}} {text}" for name, text in steps]
    lines.append("outputs:")
    seen = _Names()
    lines += [f"  {seen.free(name)}: {values[number]}" for name, number in spec.outputs]
    return "\n".join(lines) + "\n"


def fingerprint(spec: Spec) -> str:
    """Return a hash of what a spec computes: inputs, layers with all settings, shapes, wiring, shared weights, outputs."""
    first: dict[str, int] = {}
    parts: list[Any] = [[(tensor, bound) for (name, tensor) in spec.inputs for bound in (spec.bounds.get(name),)]]
    for number, call in enumerate(spec.calls):
        shared = first.setdefault(call.module, number)
        is_module = _shares(call)
        tied = None if call.tie is None else first.get(call.tie)
        parts.append((call.layer, _settings(call), call.inputs, call.outputs, shared if is_module else number, tied))
    parts.append([number for _, number in spec.outputs])
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _shares(call: Call) -> bool:
    return call.module != call.path


def _settings(call: Call) -> list[tuple[str, Any]]:
    """Return a call's settings, the layer's own defaults included, in the layer's order."""
    layer = foreign_layer(call.layer) if "." in call.layer else LAYERS[call.layer]
    given = dict(call.settings)
    if layer is None:
        return list(given.items())
    defaults = {n: p.default for n, p in layer.settings.items() if p.default is not inspect.Parameter.empty}
    full = {**defaults, **given}
    return [(name, full[name]) for name in layer.settings if name in full and (name in given or "." not in call.layer)]


def _step_names(call: Call, used: list[bool], names: _Names) -> list[str]:
    base = call.path.replace(".", "_") or "out"
    if len(used) == 1:
        return [names.free(base if used[0] else f"_{base}")]
    if not any(used):
        return [names.free(f"_{base}_{i}") for i in range(len(used))]
    return [names.free(f"{base}_{i}") if needed else "_" for i, needed in enumerate(used)]


def _line(call: Call, inputs: list[str], modules: dict[str, str]) -> str:
    settings = [f"{name}={_written(value)}" for name, value in _settings(call)]
    if call.tie is not None:
        settings.append(f"tie={modules[call.tie]}")
    layer = f"{call.layer}({', '.join(settings)})" if settings else call.layer
    if _shares(call) and call.module in modules:
        layer = f"share({modules[call.module]})"
    if not inputs:
        return layer
    source = inputs[0] if len(inputs) == 1 else f"({', '.join(inputs)})"
    return f"{source} -> {layer}"


def _written(value: Any) -> str:
    """Return a setting's value as an expression."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_written, value))}]"
    if (
        isinstance(value, str)
        and "\n" not in value
        and not ('"' in value and "'" in value)
        and ": " not in value
        and " #" not in value
    ):
        return f'"{value}"' if '"' not in value else f"'{value}'"
    raise UserError(f"the setting {value!r} cannot be written in a spec")


def _spec_name(name: str) -> str:
    return re.sub(r"[^a-z0-9._-]", "-", name.lower()).lstrip("._-") or "net"


class _Names:
    """Hands out names that are legal and not taken."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.taken = {*_RESERVED, *taken}

    def free(self, wanted: str) -> str:
        """Return `wanted`, made legal, with a number behind it where it is taken."""
        base = re.sub(r"[^a-z0-9_]", "_", wanted.lower())
        base = base if base[:1].isalpha() or base[:1] == "_" else f"n{base}"
        name, number = base, 2
        while name in self.taken:
            name, number = f"{base}_{number}", number + 1
        self.taken.add(name)
        return name
