"""What torch's own allocator reports of a training step on the CPU: the oracle of memory."""

from __future__ import annotations

import contextlib

import torch
from torch.profiler import ProfilerActivity, profile

from archprof import inputs as given_inputs
from archprof.footprint.optimizers import optimizer as stepping
from archprof.footprint.passes import least_loss


def allocated(module, inputs, optimizer, amp=None):
    """Return the peak of a second training step, outputs and loss held to its end, under autocast to `amp`.

    That is what was there before the step, and the most that the allocator's events add to it.
    """
    module.train()
    values = {name: given_inputs.on("cpu", value) for name, value in inputs.items()}
    args, kwargs = given_inputs.call(module.forward, values)
    stepper = stepping(optimizer, list(module.parameters()))

    def step():
        with torch.autocast("cpu", amp) if amp else contextlib.nullcontext():
            result = module(*args, **kwargs)
            loss = least_loss(result)
        loss.backward()
        stepper.step()

    step()
    stepper.zero_grad(set_to_none=True)
    states = [t for state in stepper.state.values() for t in state.values() if isinstance(t, torch.Tensor)]
    tensors = (*module.parameters(), *module.buffers(), *states, *(t for _, t in given_inputs.leaves(values)))
    there = {t.untyped_storage()._cdata: t.untyped_storage().nbytes() for t in tensors}
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        step()
    events = [event for event in found.profiler.kineto_results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    now = most = 0
    for event in events:
        now += event.nbytes()
        most = max(most, now)
    return sum(there.values()) + most
