"""Specs as models: a bundled name, `file.yaml`, or `file.yaml:variant`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archprof.errors import UserError, nearest
from archprof.expand import expand
from archprof.language import Document, read
from archprof.language.bundled import bundled
from archprof.meta import weights_of
from archprof.records import Tensor
from archprof.sources import FLOATS, Wish

if TYPE_CHECKING:
    from archprof.meta import Seen
    from archprof.records import Spec


def find(model: str | os.PathLike[str]) -> tuple[Path, str]:
    """Return the file and the variant ('' for none) that a model's name means.

    Raises UserError, with the nearest bundled name, where there is neither.
    """
    text = os.fspath(model)
    if os.path.isfile(text):  # noqa: PTH113 - pathlib's raises where a name is too long
        return Path(text), ""
    file, colon, variant = text.rpartition(":")
    if colon and os.path.isfile(file):  # noqa: PTH113
        return Path(file), variant
    if text in bundled():
        return bundled()[text].path, bundled()[text].variant
    path = Path(file if colon else text)
    if path.suffix in {".yaml", ".yml"} or os.sep in text:
        name = next((entry.path for entry in bundled().values() if entry.path.name == path.name), None)
        if name is not None and path.name == os.fspath(path):
            return name, variant if colon else ""
        raise UserError(f"there is no file {os.fspath(path)!r}")
    close = nearest(text, bundled())
    guess = f"did you mean {close!r}? " if close else ""
    raise UserError(
        f"there is no model {text!r}: {guess}'archprof list specs' shows the bundled ones, 'archprof list sources' the others"
    )


def document(model: str | os.PathLike[str]) -> tuple[Document, str]:
    """Return the document and variant that a model's name means."""
    path, variant = find(model)
    return read(path), variant


def load(
    model: str | os.PathLike[str],
    inputs: Mapping[str, Sequence[int] | Tensor] | None = None,
    *,
    batch: int = 1,
    dtype: str | None = None,
    settings: Mapping[str, str] | None = None,
    memo: dict[Any, Seen] | None = None,
) -> Spec:
    """Return the Spec of a bundled name, `file.yaml` or `file.yaml:variant`, every choice made.

    `dtype` is that of weights and float inputs; without it weights have the type of the first float input.
    Raises UserError where there is no such model, SpecError with every mistake of the file.

    >>> [call.layer for call in load("inception-bottleneck").calls]
    ['Conv2d', 'Conv2d']
    """
    Wish(batch, inputs or {}, dtype, settings or {})
    shapes: dict[str, Sequence[int]] = {}
    for name, sizes in (inputs or {}).items():
        if isinstance(sizes, Tensor):
            raise UserError(f"the dtype of the input {name!r} stands in the spec: give its sizes alone")
        shapes[name] = sizes
    found, variant = document(model)
    with weights_of(dtype or "float32"):
        spec = expand(found, variant, settings=settings, batch=batch, shapes=shapes, dtype=dtype, memo=memo)
    floats = [tensor.dtype for _, tensor in spec.inputs if tensor.dtype in FLOATS]
    return dataclasses.replace(spec, dtype=dtype or (floats or ["float32"])[0])
