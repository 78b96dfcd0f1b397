"""Memory on meta beside torch's MemTracker and the CPU's allocator: python tests/benchmarks/bench_memory.py [MODEL@BATCH ...].

A training step after the first, with the same least loss, outputs and loss held to its end. MemTracker runs on meta too, as
its own examples have it; peaks are told as ratios to the allocator's, time is that of the process, imports and building left
out. The allocator's number is what was there before the step and the most that its events add to that.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch.distributed._tools.mem_tracker import MemTracker

sys.path.insert(0, str(Path(__file__).parents[1]))

from allocation import allocated

from archprof import inputs as given_inputs
from archprof import memory, units
from archprof.footprint.optimizers import optimizer as stepping
from archprof.footprint.passes import least_loss
from archprof.pipeline import opened_by
from archprof.substrate import with_weights

if TYPE_CHECKING:
    import torch

MODELS = ("resnet18@4", "torchvision:mobilenet_v3_small@8", "torchvision:densenet121@2", "torchvision:vit_b_16@1",
          "torchvision:convnext_tiny@1", "torchvision:swin_t@1", "torchvision:efficientnet_b0@2",
          "torchvision:shufflenet_v2_x1_0@8", "torchvision:regnet_y_400mf@4", "timm:deit_tiny_patch16_224@4",
          "resnet50@2", "torchvision:googlenet@4", "torchvision:mnasnet1_0@4", "alexnet@8")  # fmt: skip


def tracked(module: torch.nn.Module, inputs: Any, optimizer: str) -> int:
    """Return the peak that MemTracker tells of two training steps on meta."""
    module.train()
    values = {name: given_inputs.on("meta", value) for name, value in inputs.items()}
    args, kwargs = given_inputs.call(module.forward, values)
    stepper = stepping(optimizer, list(module.parameters()))
    tracker = MemTracker()
    tracker.track_external(module, stepper, *(tensor for _, tensor in given_inputs.leaves(values)))
    with tracker:
        for _ in range(2):
            tracker.reset_mod_stats()
            result = module(*args, **kwargs)
            loss = least_loss(result)
            loss.backward()
            stepper.step()
            stepper.zero_grad(set_to_none=True)
            del result, loss
    return sum(kinds["Total"] for kinds in tracker.get_tracker_snapshot("peak").values())


def timed(run: Callable[[], Any]) -> tuple[Any, float]:
    """Return what a call returns, None where it fails, and its seconds of CPU time."""
    start = time.process_time()
    try:
        found = run()
    except Exception as error:
        print(f"  {type(error).__name__}: {str(error).splitlines()[0][:100]}", file=sys.stderr)
        found = None
    return found, time.process_time() - start


def main() -> None:
    """Print a row a model and optimizer."""
    warnings.simplefilter("ignore")
    memory("lenet5", train="sgd")  # imports
    print(f"{'':36}{'':10}{'allocator':>11}{'ours':>9}{'MemTracker':>12}{'ours':>10}{'MemTracker':>12}{'times':>8}")
    rows = []
    for model in sys.argv[1:] or MODELS:
        name, _, batch = model.partition("@")
        for optimizer in ("momentum", "adamw"):
            opened = opened_by(name, None, int(batch or 1))
            ours, ours_s = timed(lambda: memory(name, train=optimizer, batch=int(batch or 1)).peak_bytes)  # noqa: B023
            theirs, theirs_s = timed(lambda: tracked(opened.module, opened.inputs, optimizer))  # noqa: B023
            real = allocated(with_weights(opened), opened.inputs, optimizer)
            rows.append(ours / real - 1)
            peaks = f"{units.size(real):>11} {rows[-1]:+8.2%} " + (
                f"{theirs / real - 1:+11.2%}" if theirs else f"{'-':>11}"
            )
            print(
                f"{model:36}{optimizer:10}{peaks} {ours_s:7.2f} s {theirs_s:9.2f} s {theirs_s / ours_s:6.1f} x",
                flush=True,
            )
    print(f"ours from {min(rows):+.2%} to {max(rows):+.2%}")


if __name__ == "__main__":
    main()
