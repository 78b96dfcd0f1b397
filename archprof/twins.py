"""Is a spec the very network somebody else has written? Same state-dict keys, and same outputs with the weights copied.

Steps of a spec are in lower case, so keys are compared without capitals. Every parameter and running statistic is
randomised first: a head of zeros would make any two networks equal.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from archprof.build import build
from archprof.errors import UserError
from archprof.meta import DTYPES
from archprof.records import Spec
from archprof.sources import torchvision

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True, slots=True)
class Twin:
    """The comparison of a spec with another implementation of the same network.

    `missing` and `extra` are state-dict keys the spec lacks or has on top, `unequal` those of another shape.
    `difference` is the largest absolute difference of the outputs (None where the keys do not match, so none was made).
    """

    name: str
    reference: str
    keys: int
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    unequal: tuple[str, ...] = ()
    difference: float | None = None
    shapes: tuple[tuple[int, ...], ...] = ()
    tolerance: float = field(default=1e-5)

    @property
    def is_same(self) -> bool:
        """Whether keys and shapes agree and the outputs differ by no more than the tolerance."""
        return self.difference is not None and self.difference <= self.tolerance


def twin(spec: Spec, reference: str, *, tolerance: float = 1e-5, seed: int = 0) -> Twin:
    """Compare `spec` with `torchvision:NAME` by weights and outputs on random inputs, on the CPU.

    Raises UserError where there is no such network, torchvision is not installed, or the network cannot take the
    inputs of `spec`.
    """
    other = reference_module(reference, spec).eval()
    ours = build(spec, "cpu").eval()
    other.training = getattr(other, "aux_logits", False)  # else the heads for training give nothing; dropout stays off
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        randomise(other)
        inputs = [random_input(spec, name) for name, _ in spec.inputs]
        try:
            settle(other, inputs)
        except (RuntimeError, TypeError, ValueError, AssertionError) as error:
            given = ", ".join(f"{name} {tensor} {tensor.dtype}" for name, tensor in spec.inputs)
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UserError(f"{reference} cannot take the inputs of {spec.name} ({given}): {reason}") from None
    mine = ours.state_dict()
    theirs = {key.lower(): value for key, value in other.state_dict().items()}  # a spec's steps are in lower case
    missing = tuple(key for key in theirs if key not in mine)
    extra = tuple(key for key in mine if key not in theirs)
    unequal = tuple(key for key in mine if key in theirs and mine[key].shape != theirs[key].shape)
    found = Twin(spec.name, reference, len(theirs), missing, extra, unequal, tolerance=tolerance)
    if missing or extra or unequal:
        return found
    ours.load_state_dict(copy.deepcopy(theirs))
    with torch.no_grad():
        a, b = outputs(ours(*inputs)), outputs(other(*inputs))
    shapes = tuple(tuple(t.shape) for t in a)
    if shapes != tuple(tuple(t.shape) for t in b):
        return found
    difference = max(float((x - y).abs().max()) for x, y in zip(a, b, strict=True))
    return Twin(spec.name, reference, len(theirs), difference=difference, shapes=shapes, tolerance=tolerance)


def randomise(module: nn.Module) -> None:
    """Fill every parameter and running statistic with values that tell them apart; variances stay positive."""
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if not tensor.is_floating_point():
                continue
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif tensor.dim() > 1:
                nn.init.normal_(tensor, std=(2 / max(1, tensor[0].numel())) ** 0.5)
            else:
                tensor.uniform_(0.5, 1.0) if name.endswith("weight") else tensor.uniform_(-0.2, 0.2)


def settle(module: nn.Module, inputs: Sequence[torch.Tensor]) -> None:
    """Bring the running statistics of batch norms near those of `inputs`.

    With statistics drawn at random a deep network's output hardly depends on its input, so that any two would agree.
    """
    hooks = [m.register_forward_pre_hook(_observe) for m in module.modules() if isinstance(m, NORMS)]
    with torch.no_grad():
        module(*inputs)
    for hook in hooks:
        hook.remove()


def _observe(norm: nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
    values = arguments[0].transpose(0, 1).flatten(1)
    mean, var = norm.running_mean, norm.running_var
    if values.shape[1] > 1 and isinstance(mean, torch.Tensor) and isinstance(var, torch.Tensor):
        spread, middle = torch.var_mean(values, 1)
        mean.mul_(spread.sqrt()).add_(middle)
        var.mul_(spread)


def random_input(spec: Spec, name: str) -> torch.Tensor:
    """Return random values for one input: normal, or whole numbers below the input's bound."""
    tensor = dict(spec.inputs)[name]
    dtype = DTYPES[tensor.dtype]
    if dtype.is_floating_point:
        return torch.randn(tensor.shape, dtype=dtype)
    return torch.randint(0, spec.bounds.get(name, 2), tensor.shape, dtype=dtype)


def reference_module(reference: str, spec: Spec) -> nn.Module:
    """Return the network that `torchvision:NAME` means, without weights, with as many classes as the spec has."""
    scheme, _, name = reference.rpartition(":")
    if scheme not in {"", "torchvision"}:
        raise UserError(f"cannot compare with {reference!r}: write torchvision:NAME")
    models = torchvision.package()
    torchvision.check_name(models, name)
    has_heads = any("aux" in output for output, _ in spec.outputs)
    return torchvision.build(models, name, {"aux_logits": has_heads} if name in {"googlenet", "inception_v3"} else {})


def outputs(result: Any) -> list[torch.Tensor]:
    """Return the tensors of a model's result, in order."""
    if isinstance(result, torch.Tensor):
        return [result]
    items = result.values() if isinstance(result, Mapping) else result
    return [tensor for item in items if item is not None for tensor in outputs(item)]


def described(found: Twin) -> str:
    """Return a comparison as text for people."""
    head = f"{found.name} against {found.reference}: "
    lines = []
    for what, keys in (("missing", found.missing), ("extra", found.extra), ("of another shape", found.unequal)):
        if keys:
            shown = ", ".join(keys[:5]) + (", ..." if len(keys) > 5 else "")
            lines.append(f"  {len(keys)} keys {what}: {shown}")
    if found.difference is None:
        lines.insert(0, head + ("the state dicts differ" if lines else "the outputs have other shapes"))
    else:
        verdict = "bit-equal" if found.difference == 0 else f"largest difference {found.difference:.3g}"
        shapes = ", ".join("x".join(map(str, shape)) for shape in found.shapes)
        lines.append(f"{head}{found.keys} equal keys, outputs {shapes} {verdict} (tolerance {found.tolerance:g})")
    return "\n".join(lines) + "\n"
