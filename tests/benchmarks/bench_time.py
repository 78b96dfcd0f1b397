"""What measuring time costs, and how far rows explain a pass: one thread of the CPU, ratios to the bare pass.

On a machine that others share a network is measured up to four times, until its pass is steady; the steadiest is printed.

`python tests/benchmarks/bench_time.py [MODEL ...]`
"""

from __future__ import annotations

import sys

import archprof
from archprof.runs.acceptance import steadiest

MODELS = [
    *(f"torchvision:{name}" for name in ("resnet18", "resnet50", "densenet121", "vit_b_16", "swin_t", "efficientnet_b0")),
    "lenet5", "alexnet", "vgg16", "resnet20", "resnet56", "googlenet", "nin-cifar10", "inception-bottleneck",
]  # fmt: skip


def main(*models: str) -> None:
    """Print a line a model."""
    print(f"{'model':30} {'bare':>10} {'IQR':>6} {'passes':>6} {'marked/bare':>11} {'rows/bare':>9} {'coverage':>8}")
    for model in models or MODELS:
        timing = steadiest(lambda model=model: archprof.time(model, device="cpu", threads=1)).timing
        bare = timing.bare
        print(
            f"{model:30} {bare.median * 1e3:7.2f} ms {bare.iqr / bare.median:6.1%} {bare.n:6} "
            f"{timing.marked.median / bare.median:11.3f} {timing.rows_s / bare.median:9.3f} {timing.coverage:8.2%}",
            flush=True,
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
