"""One pass of a model with its memory noted: inference, or a whole training step."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from archprof import inputs as given_inputs
from archprof.build import Origin
from archprof.errors import UserError
from archprof.footprint import BACKWARD, BUFFERS, FORWARD, GRADIENTS, INPUTS, PARAMETERS, STATE, STEP, Live
from archprof.footprint.attention import fused
from archprof.footprint.autocast import CPU, casting
from archprof.footprint.ledger import Ledger
from archprof.footprint.optimizers import optimizer as stepping
from archprof.footprint.ruled import kernels_imported
from archprof.meta import DTYPES
from archprof.trace import outputs_of
from archprof.watch import Nodes, eagerly, watched_modules

Loss = Callable[[Any], torch.Tensor]
Autocast = Callable[[], contextlib.AbstractContextManager[Any]]

RUNNER = "archprof_runner"
"""Where a GraphModule says what runs it, if not `Nodes`."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a pass runs: `amp` is the type of torch.autocast with the `lists` of a device, `cpu` or `cuda`; none without it.

    `accumulate` is the number of batches whose gradients are added before a step, and `foreach` steps all parameters at once.
    """

    amp: str = ""
    lists: str = CPU
    accumulate: int = 1
    foreach: bool = False


class _Least(torch.autograd.Function):
    """A loss of outputs that keeps nothing of them, and whose gradient is as large as they are."""

    @staticmethod
    def forward(ctx: Any, *outputs: torch.Tensor) -> torch.Tensor:
        ctx.like = [(tensor.shape, tensor.dtype) for tensor in outputs]
        return outputs[0].new_zeros(())

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        one = gradients[0]
        found = [one.new_ones(shape, dtype=dtype) for shape, dtype in ctx.like]
        return found[0] if len(found) == 1 else tuple(found)


def least_loss(result: Any) -> torch.Tensor:
    """Return a loss of all outputs that have a gradient; a real one needs no less memory. Raises UserError where none has."""
    wanted = [tensor for _, tensor in outputs_of(result) if tensor.requires_grad]
    if not wanted:
        raise UserError("it cannot be trained: none of its outputs has a gradient")
    return _Least.apply(*wanted)


def inference(
    module: nn.Module,
    inputs: Mapping[str, Any],
    on: str = "meta",
    ledger: Ledger | None = None,
    way: Way = Way(),
) -> Live:
    """Return the memory of one forward pass without gradients, in evaluation mode."""
    ledger = ledger or Ledger()
    module.eval()
    with _settled(on, way) as autocast:
        values = _held(ledger, module, inputs, on)
        with torch.no_grad(), ledger:
            ledger.begin(FORWARD)
            with autocast():
                result = _ran(module, values, ledger, on)
            ledger.begin("")
        del result
    return ledger.closed()


def training(
    module: nn.Module,
    inputs: Mapping[str, Any],
    optimizer: str = "adamw",
    on: str = "meta",
    ledger: Ledger | None = None,
    loss: Loss = least_loss,
    way: Way = Way(),
) -> Live:
    """Return the memory of one training step after the first: forward, backward, and the optimizer's step.

    Gradients are not there when it starts, the optimizer's state is. Outputs and loss stay to the end, as in the usual loop.
    With several batches a step two of them run: the first makes the gradients, and all others are like the second.
    """
    ledger = ledger or Ledger()
    kernels_imported()  # optimizers take torch's compiler, and most of autograd torch's kernels
    module.train()
    with _settled(on, way) as autocast:
        values = _held(ledger, module, inputs, on)
        trainable = [p for p in module.parameters() if p.requires_grad]
        if not trainable:
            raise UserError("it cannot be trained: it has no parameters that are")
        stepper = stepping(optimizer, trainable, foreach=way.foreach)
        with torch.enable_grad(), ledger:
            for again in ("", " 2")[: way.accumulate]:
                ledger.begin(FORWARD, again)
                with autocast(), torch.autograd.graph.saved_tensors_hooks(ledger.saved, lambda tensor: tensor):
                    result = _ran(module, values, ledger, on)
                    ledger.origin = Origin("loss", "", None)
                    value = loss(result)
                ledger.begin(BACKWARD, again)
                value.backward()
            ledger.begin(STEP)
            stepper.step()
            ledger.begin("")
        for name, parameter in module.named_parameters():
            if parameter.grad is not None:
                _named(ledger, parameter.grad, GRADIENTS, name)
            for key, state in stepper.state.get(parameter, {}).items():
                if isinstance(state, torch.Tensor):
                    _named(ledger, state, STATE, f"{name}.{key}")
        live = ledger.closed()
        module.zero_grad(set_to_none=True)
        del result, value
    return live


def _named(ledger: Ledger, tensor: torch.Tensor, kind: str, name: str) -> None:
    block = ledger.block(tensor)
    if block is not None:
        block.kind, block.path = kind, name
        if kind == STATE:
            block.op, block.born = "", 0  # made by the first step, there in all others


def _held(ledger: Ledger, module: nn.Module, inputs: Mapping[str, Any], on: str) -> dict[str, Any]:
    """Return the inputs on a device, noted as the weights are."""
    for name, parameter in module.named_parameters():
        ledger.hold(parameter, PARAMETERS, name)
    for name, buffer in module.named_buffers():
        ledger.hold(buffer, BUFFERS, name)
    values = {name: given_inputs.on(on, value) for name, value in inputs.items()}
    for name, tensor in given_inputs.leaves(values):
        ledger.hold(tensor, INPUTS, name)
    return values


def _ran(module: nn.Module, values: dict[str, Any], ledger: Ledger, on: str) -> Any:
    if isinstance(module, fx.GraphModule):
        return module.meta.get(RUNNER, Nodes)(module, ledger, frees=True).run(*values.values())
    args, kwargs = given_inputs.call(module.forward, values)
    with torch.device(on), eagerly(), watched_modules(module, ledger):
        return module(*args, **kwargs)


@contextlib.contextmanager
def _settled(on: str, way: Way) -> Iterator[Autocast]:
    """Take fused attention on meta and no fast path of whole layers, and leave random numbers as they are.

    Yields what turns autocast on, where that is asked for: torch's own, and on meta with casts as on the device.
    """
    before, was_on = torch.backends.mha.get_fastpath_enabled(), gc.isenabled()
    gc.disable()  # whenever it comes, it frees what nothing else does: what is counted is to be the same every time
    torch.backends.mha.set_fastpath_enabled(False)
    half = DTYPES[way.amp] if way.amp else None
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng(devices=[]))
            if on == "meta":
                casts = stack.enter_context(casting(way.lists, half)) if half else None
                stack.enter_context(fused(casts.lowered) if casts else fused())
            yield lambda: torch.autocast(CPU, half) if half else contextlib.nullcontext()
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
        if was_on:
            gc.enable()
