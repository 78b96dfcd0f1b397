"""Memory on meta beside what torch's allocator reports on the CPU: python tests/benchmarks/bench_memory.py [MODEL@BATCH ...].

A training step after the first, with the same least loss, outputs and loss held to its end. The allocator's number is what
was there before the step and the most that its events add to that.
"""

from __future__ import annotations

import sys
import time
import warnings
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from archprof import inputs as given_inputs
from archprof import memory, units
from archprof.footprint.optimizers import optimizer as stepping
from archprof.footprint.passes import least_loss
from archprof.pipeline import opened_by
from archprof.substrate import with_weights

MODELS = ("resnet18@4", "torchvision:mobilenet_v3_small@8", "torchvision:densenet121@2", "torchvision:vit_b_16@1",
          "torchvision:convnext_tiny@1", "torchvision:swin_t@1", "torchvision:efficientnet_b0@2",
          "torchvision:shufflenet_v2_x1_0@8", "torchvision:regnet_y_400mf@4", "timm:deit_tiny_patch16_224@4",
          "resnet50@2", "torchvision:googlenet@4", "torchvision:mnasnet1_0@4", "alexnet@8")  # fmt: skip


def allocated(module: torch.nn.Module, inputs: Any, optimizer: str) -> int:
    """Return the peak that the allocator reports of a second training step."""
    module.train()
    values = {name: given_inputs.on("cpu", value) for name, value in inputs.items()}
    args, kwargs = given_inputs.call(module.forward, values)
    stepper = stepping(optimizer, list(module.parameters()))

    def step() -> None:
        result = module(*args, **kwargs)
        loss = least_loss(result)
        loss.backward()
        stepper.step()

    step()
    stepper.zero_grad(set_to_none=True)
    states = [t for state in stepper.state.values() for t in state.values() if isinstance(t, torch.Tensor)]
    there = {t.untyped_storage()._cdata: t.untyped_storage().nbytes() for t in
             (*module.parameters(), *module.buffers(), *states, *(t for _, t in given_inputs.leaves(values)))}  # fmt: skip
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        step()
    events = [e for e in found.profiler.kineto_results.events() if e.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    now = most = 0
    for event in events:
        now += event.nbytes()
        most = max(most, now)
    return sum(there.values()) + most


def main() -> None:
    """Print a row a model and optimizer."""
    warnings.simplefilter("ignore")
    rows = []
    for model in sys.argv[1:] or MODELS:
        name, _, batch = model.partition("@")
        for optimizer in ("momentum", "adamw"):
            start = time.perf_counter()
            static = memory(name, train=optimizer, batch=int(batch or 1)).peak_bytes
            seconds = time.perf_counter() - start
            opened = opened_by(name, None, int(batch or 1))
            real = allocated(with_weights(opened), opened.inputs, optimizer)
            rows.append(static / real - 1)
            sizes = f"{units.size(static):>10} {units.size(real):>10}"
            print(f"{model:36}{optimizer:10}{sizes} {rows[-1]:+8.2%} {seconds:6.2f} s", flush=True)
    print(f"from {min(rows):+.2%} to {max(rows):+.2%}")


if __name__ == "__main__":
    main()
