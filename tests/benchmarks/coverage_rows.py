"""What a row of the scoreboard says: a profile beside torch's own counter on the same module and inputs."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from archprof import inputs as given_inputs
from archprof.result import Profile

RECURRENT = {"lstm", "gru", "rnn_tanh", "rnn_relu"}
Note = Callable[[dict[str, Any]], None]
"""Hears what is known of a row before an oracle runs that may take too long."""


def compared(
    profile: Profile, oracle: Callable[[], tuple[int, int]], unheard: str = "", note: Note = lambda _: None
) -> dict[str, Any]:
    """Return the verdict on a profile beside the oracle's parameters and MACs; `unheard` says why it is not asked."""
    traced, _ = profile._run
    found: dict[str, Any] = {
        "on": traced.on,
        "params": profile.params,
        "macs": profile.macs,
        "notes": "; ".join(profile.notes),
        "gaps": ", ".join(sorted({gap.reason for gap in profile.gaps})),
    }
    verdict = "gap" if profile.gaps else "no oracle"
    if unheard:
        return {**found, "verdict": verdict, "why": unheard}
    note({**found, "verdict": verdict, "why": "the oracle takes too long"})
    try:
        params, macs = oracle()
    except Exception as error:
        return {**found, "verdict": verdict, "why": f"{type(error).__name__}: {error}"[:300]}
    found |= {"oracle_params": params, "oracle_macs": macs}
    if profile.gaps:
        return {**found, "verdict": "gap"}
    if (params, macs) == (profile.params, profile.macs):
        return {**found, "verdict": "exact"}
    note({**found, "verdict": "differs", "why": "taking the difference apart takes too long"})
    named = named_difference(profile, params, macs)
    return {**found, "verdict": "explained" if named else "differs", "why": named}


def named_difference(profile: Profile, params: int, macs: int) -> str:
    """Return the differences to the oracle by op kind, where they add up to the last MAC; nothing where they do not."""
    if params != profile.params:
        return ""
    recurrent = [op for op in profile.network.ops if op.kind in RECURRENT]
    if profile.macs - macs == sum(profile.network.facts[op.name].macs for op in recurrent):
        return f"{', '.join({op.kind for op in recurrent})} {profile.macs - macs:+,}: torch's counter has no formula on the CPU"
    verified = profile.verify()
    count = verified.counts[0]
    hidden = [check for check in verified.of("no oracle") if check.rule]
    if verified.is_right and profile.macs - macs == sum(check.rule * len(check.ops) for check in hidden):
        return "; ".join(f"{check.kind} {check.rule * len(check.ops):+,}: {check.reason}" for check in hidden)
    if verified.is_right and count.is_explained and count.total == macs:
        return "; ".join(f"{part.kind} {part.macs:+,}: {part.reason}" for part in count.differences)
    return ""


def opened_again(profile: Profile) -> tuple[int, int]:
    """Return parameters, and MACs as torch counts them, of the profile's model run where the profile was made."""
    traced, opened = profile._run
    torch.manual_seed(0)  # the random weights and pictures of the profile, whose number of proposals depends on them
    module = opened.module if traced.on == "meta" else opened.real()
    return sum(weight.numel() for weight in module.parameters()), counted(module, opened.inputs, traced.on)


def counted(module: nn.Module, inputs: Any, on: str) -> int:
    """Return half the FLOPs that torch's counter sees, with attention as matrix products and without its fast path."""
    module.eval().requires_grad_(requires_grad=False)  # the counter's hooks want a graph of what requires one
    values = {name: given_inputs.on(on, value) for name, value in inputs.items()}
    args, kwargs = given_inputs.call(module.forward, values)
    torch.backends.mha.set_fastpath_enabled(False)
    os.environ["TRANSFORMERS_DISABLE_TORCH_CHECK"] = "1"  # inputs are zeros, so that there are no image tokens
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), torch.device(on), counter:
        module(*args, **kwargs)
    return counter.get_total_flops() // 2
