"""How a signal goes through a network before any training: how large activations and their gradients are, op by op.

The network runs once forward and once backward on normal random data and with real weights. The gradient starts as normal
random numbers at every output, so that no loss favours a layer.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import networkx
import torch
from torch import nn

from archprof import inputs as given_inputs
from archprof import units
from archprof.errors import UnknownName
from archprof.graph import Graph
from archprof.meta import ALONE
from archprof.pipeline import opened_by, profile_of
from archprof.progress import Tell, nobody
from archprof.records import Column
from archprof.result import Profile
from archprof.runs.failing import theirs
from archprof.runs.passes import How, drawn_alike
from archprof.runs.tape import program, taped
from archprof.substrate import with_weights

ACTIVATION = Column("activation_rms", "", "output", "root mean square of the op's output")
GRADIENT = Column("gradient_rms", "", "output", "root mean square of the gradient at the op's output")
DEAD = Column("dead_share", "share", "output", "channels (axis 1) of its output that are 0 for every sample and place")
WEIGHTS = Column("weight_gradient_rms", "", "none", "root mean square of the gradient of the parameters it owns")
COLUMNS = (ACTIVATION, GRADIENT, DEAD, WEIGHTS)

Starter = Callable[[nn.Module], None]
"""Gives a module's own weights other values."""


def kaiming(module: nn.Module) -> None:
    """He et al. 2015: normal weights that keep the size of what a ReLU lets through; biases 0."""
    if isinstance(module, WEIGHTED):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")  # type: ignore[arg-type]
        if module.bias is not None:
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]


def xavier(module: nn.Module) -> None:
    """Glorot and Bengio 2010: uniform weights that keep the size of what passes a symmetric function; biases 0."""
    if isinstance(module, WEIGHTED):
        nn.init.xavier_uniform_(module.weight)  # type: ignore[arg-type]
        if module.bias is not None:
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]


WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear)
STARTS: Mapping[str, Starter | None] = {"default": None, "kaiming": kaiming, "xavier": xavier, "zero": None}
"""Ways to begin: as the model's own code does it; in two known ways; or with every residual branch 0, which is the default
and then the last weights of each branch set to 0 (Goyal et al. 2017 do so with the norm's scale)."""


def signal(
    model: Any,
    inputs: Any = None,
    *,
    init: str = "default",
    batch: int = 8,
    seed: int = 0,
    training: bool = True,
    dtype: str | None = None,
    settings: Mapping[str, str] | None = None,
    tell: Tell = nobody,
) -> Profile:
    """Return the Profile of a model with `activation_rms`, `gradient_rms`, `dead_share` and `weight_gradient_rms`.

    `model`, `inputs`, `dtype` and `settings` are as `archprof.profile` takes them; a module is copied. `init` is "default",
    "kaiming", "xavier" or "zero" (default, with every residual branch 0). Without `training` norms use what they have
    learnt, which is nothing yet: they change nothing, as in a network without. None where there is nothing to measure:
    whole numbers, values beyond all floats, or where no gradient comes. Raises UnknownName for another `init`, ModelError
    where the model fails.

    >>> found = signal("lenet5", batch=2)
    >>> found.values["activation_rms"][0] > 0
    True
    """
    if init not in STARTS:
        raise UnknownName("init", init, STARTS)
    how = How(torch.device("cpu"), training=training)
    is_named = not isinstance(model, nn.Module) and not callable(model)
    with ALONE, drawn_alike(how.device, seed), torch.enable_grad():
        tell("building", 0.0)
        opened = opened_by(model, inputs, batch if is_named else 1, dtype, settings)
        module = with_weights(opened, seed).train(training)
        starter = STARTS[init]
        if starter is not None:
            module.apply(starter)
        torch.manual_seed(seed)
        values = {name: normal(given_inputs.on("cpu", value)) for name, value in opened.inputs.items()}
        tell("first pass", 0.2)
        traced, steps = taped(module, values, "cpu", training=training)
        found = profile_of(opened, traced)
        if init == "zero":
            silence(module, found.network)
        numbers = [traced.numbers[name] for name, _ in given_inputs.leaves(values)]
        written = program(traced, steps, numbers, keeps=True)
        tell("forward and backward", 0.5)
        columns = measured(found, module, written.function, [tensor for _, tensor in given_inputs.leaves(values)])
    mode = "training" if training else "evaluation"
    notes = (*found.notes, f"one pass forward and back in {mode} mode, init {init}, seed {seed}, random data")
    beyond = [n for n, row in enumerate(zip(*columns.values(), strict=True)) if not all(map(_is_finite, row))]
    if beyond:
        first = found.network.ops[beyond[0]].path
        notes += (f"not finite (inf or nan), so left out, in {units.several(len(beyond), 'op')}, first in {first}",)
        columns = {name: [v if _is_finite(v) else None for v in values] for name, values in columns.items()}
    return dataclasses.replace(
        found,
        columns={**found.columns, **{column.name: column for column in COLUMNS}},
        values={**found.values, **columns},
        notes=notes,
    )


def _is_finite(value: float | None) -> bool:
    return value is None or math.isfinite(value)


def normal(value: Any) -> Any:
    """Return a nest with normal random numbers in place of floats."""
    if isinstance(value, torch.Tensor):
        return torch.randn_like(value) if value.is_floating_point() else value
    if isinstance(value, Mapping):
        return {key: normal(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(normal, value))
    return value


def measured(
    found: Profile, module: nn.Module, run: Callable[..., tuple[torch.Tensor, ...]], tensors: list[torch.Tensor]
) -> dict[str, list[float | None]]:
    """Return the columns' values: what a pass leaves at every op, and the gradient that comes back there."""
    ops = len(found.network)
    values: dict[str, list[float | None]] = {column.name: [None] * ops for column in COLUMNS}

    def keep(number: int, tensor: torch.Tensor, *_: torch.Tensor) -> None:
        if not tensor.is_floating_point():
            return
        values["activation_rms"][number - 1] = rms(tensor)
        values["dead_share"][number - 1] = dead(tensor)
        if tensor.requires_grad:
            tensor.register_hook(lambda gradient: values["gradient_rms"].__setitem__(number - 1, rms(gradient)))

    with theirs(f"{found.model} fails as it runs again"):
        outputs = [tensor for tensor in run(lambda _: None, keep, *tensors) if tensor.requires_grad]
    with theirs(f"{found.model} fails on the way back"):
        torch.autograd.backward(outputs, [torch.randn_like(tensor) for tensor in outputs])
    gradients = {name: weight.grad for name, weight in module.named_parameters() if weight.grad is not None}
    for number, op in enumerate(found.network.ops):
        own = [gradients[w.name] for w in found.network.owned_weights[op.name] if w.name in gradients]
        if own:
            values["weight_gradient_rms"][number] = rms(torch.cat([gradient.flatten() for gradient in own]))
    return values


def rms(tensor: torch.Tensor) -> float:
    """Return the root of the mean of the squares.

    >>> rms(torch.tensor([3.0, 4.0, 0.0, 0.0]))
    2.5
    """
    return tensor.detach().double().square().mean().sqrt().item()


def dead(tensor: torch.Tensor) -> float | None:
    """Return the share of channels (axis 1) that are 0 everywhere; None for a tensor without such an axis."""
    if tensor.dim() < 2 or not tensor.numel():
        return None
    axes = [axis for axis in range(tensor.dim()) if axis != 1]
    return (tensor.detach() == 0).all(dim=axes[0] if len(axes) == 1 else tuple(axes)).double().mean().item()


def silence(module: nn.Module, graph: Graph) -> list[str]:
    """Set the last weights of every residual branch to 0, and return the names of the ops they belong to.

    A residual is an `add` of two activations; its branch is the side with more ops since both were one. An add whose
    branches begin in different inputs is none.
    """
    weights = dict(module.named_parameters())
    silenced = []
    for op in graph.ops:
        sides = graph.producers(op.name)
        if op.kind != "add" or len(sides) != 2:
            continue
        last = last_weighted(graph, longer(graph.networkx, *sides))
        if last is not None:
            silenced.append(last)
            with torch.no_grad():
                for weight in graph[last].weights:
                    if weight.name in weights:
                        weights[weight.name].zero_()
    return silenced


def longer(graph: networkx.MultiDiGraph, first: str, second: str) -> str:
    """Return the one of two ops that is further from where both come from."""
    if first in networkx.ancestors(graph, second):
        return second
    if second in networkx.ancestors(graph, first):
        return first
    only = networkx.ancestors(graph, first) ^ networkx.ancestors(graph, second)
    own = len(only & networkx.ancestors(graph, first))
    return first if own >= len(only) - own else second


def last_weighted(graph: Graph, name: str) -> str | None:
    """Return the nearest op with parameters from here back along a chain; None where it forks or begins before."""
    while name in graph.nodes:
        if any(not weight.is_buffer for weight in graph[name].weights):
            return name
        before = graph.producers(name)
        if len(before) != 1 or len(graph.consumers(before[0])) != 1:
            return None
        name = before[0]
    return None
