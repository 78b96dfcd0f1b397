"""The batch of a module that is given with its inputs: which axes are as long as the batch, and inputs of another batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from archprof import inputs as given_inputs
from archprof.meta import described
from archprof.records import Tensor


def batch_of(inputs: Mapping[str, Any]) -> tuple[int, str]:
    """Return the size of the first axis that the inputs share, or 0 and why that cannot be told.

    Numbers without an axis do not count, nor do axes of 1 where other inputs have more: they serve all samples alike.
    """
    sizes = {name: tensor.shape[0] for name, tensor in given_inputs.tensors_of(inputs).items() if tensor.shape}
    several = {name: size for name, size in sizes.items() if size > 1}
    found = sorted(set(several.values()) or set(sizes.values()))
    if len(found) == 1 and found[0]:
        return found[0], ""
    if not found or not found[-1]:
        return 0, "no input has samples along its first axis"
    told = ", ".join(f"{name} {size}" for name, size in several.items())
    return 0, f"inputs differ in their first axes ({told})"


def resized(inputs: Mapping[str, Any], size: int, batch: int) -> dict[str, Any]:
    """Return the inputs with `batch` in place of a first axis of this size."""

    def changed(value: Any) -> Any:
        if isinstance(value, (torch.Tensor, Tensor)):
            tensor = described(value) if isinstance(value, torch.Tensor) else value
            return Tensor((batch, *tensor.shape[1:]), tensor.dtype) if tensor.shape[:1] == (size,) else value
        if isinstance(value, Mapping):
            return {key: changed(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            items = [changed(item) for item in value]
            return items if isinstance(value, list) else tuple(items)
        return value

    return {name: changed(value) for name, value in inputs.items()}
