"""How long archprof.profile takes on torch modules beside what it is held against, in one run, on one thread.

Peers: a plain forward on meta, torch's own FlopCounterMode on meta, and other profilers as their users call them (a model
on the CPU, with weights). `python tests/benchmarks/bench_peers.py [QUICK]` prints ratios; it asserts nothing.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import resource
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import click
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import archprof

RUNS = 3 if "QUICK" in sys.argv else 11


def milliseconds(work: Callable[[], object], runs: int = RUNS) -> float:
    """Return the median time of `work`, after one run that is not counted."""
    work()
    times = []
    for _ in range(runs):
        gc.collect()
        start = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def llama(**sizes: int) -> nn.Module:
    """Return a Llama decoder from its config: the 8B one, unless other sizes are given."""
    from transformers import LlamaConfig, LlamaForCausalLM

    eight = {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
             "num_key_value_heads": 8, "vocab_size": 128256}  # fmt: skip
    return LlamaForCausalLM(LlamaConfig(**{**eight, **sizes}))


def networks() -> dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], torch.dtype]]:
    """Return how each network is made, and its input."""
    from torchvision import models

    found: dict[str, Any] = {
        name: (lambda name=name: models.get_model(name, weights=None), (1, 3, 224, 224), torch.float32)
        for name in ("resnet50", "vit_b_16")
    }
    with contextlib.suppress(ImportError):
        importlib.import_module("transformers")
        found["llama-8b"] = llama, (1, 128), torch.int64
    return found


def peers(module: nn.Module, x: torch.Tensor) -> dict[str, Callable[[], object]]:
    """Return the profilers that are installed, as a user calls them on a module on the CPU."""

    def fvcore() -> object:
        from fvcore.nn import FlopCountAnalysis

        return FlopCountAnalysis(module, x).unsupported_ops_warnings(False).uncalled_modules_warnings(False).total()

    def torchinfo() -> object:
        return importlib.import_module("torchinfo").summary(module, input_data=x, verbose=0)

    def thop() -> object:
        return importlib.import_module("thop").profile(module, inputs=(x,), verbose=False)

    def ptflops() -> object:
        options = {"print_per_layer_stat": False, "verbose": False, "as_strings": False}
        return importlib.import_module("ptflops").get_model_complexity_info(module, tuple(x.shape[1:]), **options)

    def calflops() -> object:
        options = {"print_results": False, "print_detailed": False, "output_as_string": False}
        return importlib.import_module("calflops").calculate_flops(module, input_shape=tuple(x.shape), **options)

    def torchlens() -> object:
        return importlib.import_module("torchlens").trace(module, x)

    return {work.__name__: work for work in (fvcore, torchinfo, thop, ptflops, calflops, torchlens)}


class Residuals(nn.Module):
    """A residual net of so many blocks, each of six ops."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 1), nn.ReLU())
            for _ in range(blocks)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sum of all blocks."""
        for block in self.blocks:
            x = x + block(x)
        return x


def compare() -> None:
    """Print ours beside a meta forward, torch's counter and every peer."""
    for name, (made, shape, dtype) in networks().items():
        with torch.device("meta"):
            module = made().eval()
        x = torch.zeros(shape, dtype=dtype, device="meta")
        with torch.no_grad():
            ours = milliseconds(lambda m=module, x=x: archprof.profile(m, x))
            plain = milliseconds(lambda m=module, x=x: m(x))

            def count(m: nn.Module = module, x: torch.Tensor = x) -> None:
                with FlopCounterMode(display=False):
                    m(x)

            counted = milliseconds(count)
        click.echo(f"{name}: profile {ours:.0f} ms; {ours / plain:.2f}x of a forward on meta ({plain:.0f} ms), "
                   f"{ours / counted:.2f}x of FlopCounterMode on meta ({counted:.0f} ms)")  # fmt: skip
        if name.startswith("llama"):
            continue  # 32 GB of weights: its peers cannot be called on the CPU
        real = made().eval()
        for peer, work in peers(real, torch.zeros(shape, dtype=dtype)).items():
            try:
                with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                    took = milliseconds(work, 1 if peer == "torchlens" else min(RUNS, 3))
            except Exception as error:
                click.echo(f"  {peer}: fails ({type(error).__name__}: {str(error).splitlines()[0][:60]})")
                continue
            click.echo(f"  {peer}: {took:.0f} ms, ours {ours / took:.3f}x")


def grow() -> None:
    """Print how time grows with the number of ops, and how much memory 100,000 ops need."""
    times = {}
    for blocks in (100, 2000):
        with torch.device("meta"):
            module = Residuals(blocks).eval()
        times[blocks] = milliseconds(lambda m=module: archprof.profile(m, (1, 8, 32, 32)), 3)
    click.echo(
        f"2,000 residual blocks {times[2000]:.0f} ms, {times[2000] / times[100]:.1f}x of 100 ({times[100]:.0f} ms)"
    )
    with torch.device("meta"):
        module = Residuals(16_667).eval()
    start = time.perf_counter()
    found = archprof.profile(module, (1, 8, 32, 32))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    click.echo(
        f"{len(found.network):,} ops in {time.perf_counter() - start:.1f} s; this process has needed {peak:.2f} GiB"
    )


def main() -> None:
    """Print the figures."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    if "GROW" in sys.argv:
        grow()
    else:
        compare()


if __name__ == "__main__":
    main()
