"""A profile leaves the model and the process as they were: over many models, after failures too, and in threads."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn
from untouched import MODELS

import archprof
from archprof.errors import ArchprofError

pytestmark = pytest.mark.filterwarnings("default")  # other people's models warn as they like


class Raises(nn.Module):
    """Stands for a module that fails."""

    def forward(self, *_: object, **__: object) -> torch.Tensor:
        raise ValueError("broken on purpose")


class Breaks(nn.Module):
    """Fails behind a module."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *args: Any) -> torch.Tensor:
        self.module(*args)
        raise ValueError("broken on purpose")


def items(prefix: str, value: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield every object in an attribute with its path and, where it can change in place, a copy."""
    yield prefix, value, value.detach().clone() if isinstance(value, torch.Tensor) else None
    if isinstance(value, dict):
        for key, item in value.items():
            yield from (
                items(f"{prefix}[{key!r}]", item)
                if not isinstance(item, nn.Module)
                else [(f"{prefix}[{key!r}]", item, None)]
            )
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield f"{prefix}[{number}]", item, None


def state(module: nn.Module) -> list[tuple[str, Any, Any]]:
    """Return each attribute of each submodule, hooks, flags, weights and statistics among them, and gradients."""
    found = []
    for path, part in module.named_modules():
        for name, value in vars(part).items():
            found += items(f"{path}.{name}", value)
        for name, weight in part.named_parameters(recurse=False):
            found += items(f"{path}.{name}.grad", weight.grad)
    return found


def surroundings(module: nn.Module) -> dict[str, Any]:
    """Return what torch and Python keep for the whole process, and the classes of the model."""
    homes = [torch, torch.nn.functional, torch.Tensor, nn.Module, *{type(part) for part in module.modules()}]
    functions = {
        (home.__name__, name): value
        for home in homes
        for name, value in vars(home).items()
        if not isinstance(value, ModuleType) and not name.startswith(("__", "_abc"))
    }
    return functions | {
        "rng": torch.get_rng_state().tolist(),
        "python's rng": random.getstate(),
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "fast path": torch.backends.mha.get_fastpath_enabled(),
        "modes": torch.overrides._len_torch_function_stack(),
    }


def assert_same_state(before: list[tuple[str, Any, Any]], after: list[tuple[str, Any, Any]]) -> None:
    assert [path for path, *_ in before] == [path for path, *_ in after]
    for (path, old, copy), (_, new, now) in zip(before, after, strict=True):
        assert old is new, path
        assert copy is None or copy.is_meta or torch.equal(copy, now), path


def assert_same_surroundings(before: dict[Any, Any], after: dict[Any, Any]) -> None:
    assert before.keys() <= after.keys()
    for name, value in before.items():
        assert after[name] is value or (isinstance(name, str) and after[name] == value), name


def broken(module: nn.Module, found: archprof.Profile) -> nn.Module:
    """Return the module with the layer in the middle of its ops replaced by one that fails, or one behind it."""
    layers = [op.path for op in found.network.ops if op.layer and op.path in dict(module.named_modules())]
    layers = [path for path in layers if path]
    if not layers:
        return Breaks(module)
    path = layers[len(layers) // 2]
    parent, _, name = path.rpartition(".")
    module.get_submodule(parent)._modules[name] = Raises()
    return module


@pytest.mark.parametrize("name", MODELS)
def test_a_profile_leaves_everything_as_it_was(name: str) -> None:
    made, inputs = MODELS[name]
    module = made().train()
    module.training = not any(True for _ in module.children())  # flags differ, and are kept
    if parameters := [weight for weight in module.parameters() if weight.requires_grad]:
        parameters[0].grad = torch.zeros_like(parameters[0])
    module.register_forward_hook(lambda *_: pytest.fail("the user's hook ran"))
    module.register_forward_pre_hook(lambda *_: pytest.fail("the user's hook ran"))
    inside, outside = state(module), surroundings(module)
    first = archprof.profile(module, inputs)
    second = archprof.profile(module, inputs)
    assert_same_state(inside, state(module))
    assert_same_surroundings(outside, surroundings(module))
    assert first.to_json() == second.to_json()

    module = broken(module, first)
    inside, outside = state(module), surroundings(module)
    with pytest.raises(ArchprofError, match="broken on purpose"):
        archprof.profile(module, inputs)
    assert_same_state(inside, state(module))
    assert_same_surroundings(outside, surroundings(module))


def test_profiles_in_threads_are_those_made_alone() -> None:
    names = list(MODELS)
    modules = {name: MODELS[name][0]() for name in names}
    alone = {name: archprof.profile(modules[name], MODELS[name][1]).to_json() for name in names}
    outside = surroundings(nn.Module())
    with ThreadPoolExecutor(4) as pool:
        together = pool.map(lambda name: archprof.profile(modules[name], MODELS[name][1]).to_json(), names)
        for name, found in zip(names, together, strict=True):
            assert found == alone[name], name
    assert_same_surroundings(outside, surroundings(nn.Module()))


FRESH = """
import concurrent.futures, sys, torch
import archprof
sys.setswitchinterval(1e-5)
def one(dtype):
    found = archprof.profile("inception-bottleneck", dtype=dtype)
    return len(found.gaps), found.macs, found.totals["param_bytes"] // found.params
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    print(*pool.map(one, ["float32", "float16", "float64", "bfloat16"] * 4), torch.get_default_dtype())
"""


def test_the_first_profiles_of_a_process_may_run_in_threads_with_different_dtypes() -> None:
    result = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True, check=False)
    expected = [(0, 12443648, size) for size in (4, 2, 8, 2)] * 4
    assert result.stdout.strip() == f"{' '.join(map(str, expected))} torch.float32", result.stderr[-500:]
