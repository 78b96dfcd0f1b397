"""From a model to its memory, on meta: no weight is allocated and no kernel runs."""

from __future__ import annotations

import dataclasses
import functools
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from archprof.devices import Device, meant
from archprof.errors import ArchprofError, UnknownName, UserError
from archprof.footprint import Memory, cache
from archprof.footprint.advice import Asked, fit
from archprof.footprint.autocast import CPU, CUDA
from archprof.footprint.ledger import Ledger, Memo
from archprof.footprint.passes import Way, inference, training
from archprof.footprint.places import ran
from archprof.footprint.recompute import blocks_of, chosen, recomputed
from archprof.footprint.samples import batch_of, resized
from archprof.meta import ALONE
from archprof.optimizers import REMEMBERED
from archprof.pipeline import opened_by, profile
from archprof.records import Spec
from archprof.sources import Opened

if TYPE_CHECKING:
    from torch import nn

AMP = ("", "bfloat16", "float16")


def memory(
    model: Any,
    inputs: Any = None,
    *,
    train: str = "",
    batch: int = 1,
    dtype: str | None = None,
    settings: Mapping[str, str] | None = None,
    on: str | Device = "",
    foreach: bool | None = None,
    checkpoint: int | str | Sequence[str] = 0,
    amp: str = "",
    accumulate: int = 1,
    cache: int = 0,
) -> Memory:
    """Return the Memory of a model: who is alive when in a pass of inference and, with `train`, in a training step.

    `model`, `inputs`, `batch`, `dtype` and `settings` are as `profile` takes them; `train` is an optimizer: sgd, momentum,
    adam, adamw, adafactor or adam8bit. The loss is the least there can be: it keeps nothing, and its gradient is as large as
    the outputs. Attention is fused where the CPU's kernel would run. Workspace of kernels is not modelled.
    `on` names a device (`archprof list devices`), or is one, and asks whether that fits, for the largest batch that does, and
    for what to change where it does not. The batch of a module is the size that the first axes of its inputs share, where it
    is one (but for axes of 1); these axes are made longer, and all other inputs stay as they are. `foreach` steps all
    parameters at once, as torch does by default on a GPU: so it is taken with `on`, and else not.
    `checkpoint` asks what if these blocks of the network were checkpointed: the first so many, or those of these names or
    patterns (`"layer3*"`); what the model checkpoints itself is always run as it does.
    `amp` runs it under torch.autocast of that type, bfloat16 or float16, with the casts of the CPU or, with `on`, of CUDA;
    `accumulate` adds the gradients of so many batches before a step.
    `cache` has a language model read so many tokens at once, and then the next one with these in its own cache: the peak is
    that of the latter, and with `on` the largest context that fits is told.
    Raises UserError where the model cannot run.

    >>> found = memory("lenet5", train="momentum", batch=4)
    >>> found.inference.peak_bytes, found.peak_bytes == sum(block.bytes for block in found.last.at_peak)
    (413736, True)
    """
    if train and train not in REMEMBERED:
        raise UnknownName("optimizer", train, REMEMBERED)
    device = meant(on)
    if device and device.memory_bytes is None:
        raise UserError(f"how much memory {device.name} has is not known")
    if amp not in AMP:
        raise UnknownName("type of autocast", amp, filter(None, AMP))
    if accumulate < 1:
        raise UserError(f"gradients are accumulated over 1 batch or more, not {accumulate}")
    if cache < 0:
        raise UserError(f"a cache has 1 token or more, not {cache}")
    if cache and train:
        raise UserError("a training step keeps no cache: ask for one of the two")
    foreach = bool(device) if foreach is None else foreach
    way = Way(amp, CUDA if device else CPU, accumulate, foreach)
    asked = Asked(train, batch, dtype, (checkpoint,) if isinstance(checkpoint, str) else checkpoint, cache)
    is_named = isinstance(model, (str, os.PathLike, Spec))
    with ALONE, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ask = functools.partial(_measured, model, inputs, settings, {}, way, None)
        if not device:
            return ask(asked)
        why = ""
        if not is_named:
            size, why = batch_of(opened_by(model, inputs, batch, dtype, settings).inputs)
            ask = functools.partial(_measured, model, inputs, settings, {}, way, size)
            asked = dataclasses.replace(asked, batch=size)
        found = ask(asked)
        work = functools.partial(_work, model, inputs, batch, dtype, settings)
        return dataclasses.replace(found, fit=fit(found, device, ask, asked, work, why, has_dtype=is_named))


def _work(
    model: Any, inputs: Any, batch: int, dtype: str | None, settings: Mapping[str, str] | None, blocks: Sequence[str]
) -> dict[str, int]:
    """Return the multiply-accumulates of blocks and, under "", of all; none where the profile fails."""
    try:
        found = profile(model, inputs, batch=batch, dtype=dtype, settings=settings)
    except ArchprofError:
        return {}
    macs = [macs or 0 for macs in found.values["macs"]]
    work = {"": sum(macs)}
    for op, count in zip(found.network.ops, macs, strict=True):
        home = next((path for path in blocks if f"{op.path}.".startswith(f"{path}.")), None)
        if home is not None:
            work[home] = work.get(home, 0) + count
    return work


def _measured(
    model: Any,
    inputs: Any,
    settings: Mapping[str, str] | None,
    memo: Memo,
    way: Way,
    size: int | None,
    asked: Asked,
) -> Memory:
    """Return the Memory of a model as it is asked; a module has inputs with a batch of that `size`, or None."""
    opened = opened_by(model, inputs, asked.batch if size is None else 1, asked.dtype, settings)
    if size is not None and asked.batch != size:
        opened = dataclasses.replace(opened, inputs=resized(opened.inputs, size, asked.batch))
    return measured(opened, asked.train, memo, way, checkpoint=asked.checkpoint, tokens=asked.cache)


def measured(
    opened: Opened, train: str, memo: Memo, way: Way, *, checkpoint: int | Sequence[str] = 0, tokens: int = 0
) -> Memory:
    """Return the Memory of an opened model: on meta or, where it looks at its data, on the CPU."""

    def run(module: nn.Module, on: str) -> Memory:
        here = way if on == "meta" else dataclasses.replace(way, lists=CPU)
        return _on(opened, module, train, on, memo, here, checkpoint=checkpoint, tokens=tokens)

    found, notes = ran(opened, run)
    return dataclasses.replace(found, notes=(*opened.notes, *notes, *found.notes))


def _on(
    opened: Opened,
    module: Any,
    train: str,
    on: str,
    memo: Memo,
    way: Way,
    *,
    checkpoint: int | Sequence[str],
    tokens: int,
) -> Memory:
    notes: tuple[str, ...] = ()
    blocks = blocks_of(module)
    again = chosen(opened.name, module, blocks, checkpoint)
    ledgers = [Ledger(memo), Ledger(memo)]
    step, decoding, kept = None, None, None
    if tokens:
        cache.checked(opened.name, module, opened.inputs)
        alone = cache.prefilled(module, opened.inputs, tokens, on, ledgers[0], way)
        decoding, kept = cache.decoded(module, opened.inputs, tokens, on, ledgers[1], way)
    else:
        alone = inference(module, opened.inputs, on, ledgers[0], way)
    if train:
        with recomputed(module, again):
            step = training(module, opened.inputs, train, on, ledgers[1], way=way)
        if again:
            told = f"{len(again)} of {len(blocks)} blocks" if set(again) <= set(blocks) else ", ".join(again)
            notes += (f"checkpointed: {told} keep only their inputs, and run again in the backward pass",)
    notes += tuple(_noted(way, train))
    if kept and kept.positions and tokens > kept.positions:
        notes += (f"it is made for texts of {kept.positions:,} tokens, and this one is longer",)
    opaque = sorted(ledgers[0].opaque | ledgers[1].opaque)
    if opaque:
        notes += (f"without the memory of sparse tensors, which {', '.join(opaque)} read or make",)
    return Memory(opened.name, alone, train, step, decoding, kept, notes, tuple(blocks), on=on)


def _noted(way: Way, train: str) -> Iterator[str]:
    """Yield what is to be said of how it ran."""
    if way.amp:
        where = "CUDA" if way.lists == CUDA else "the CPU"
        yield f"under autocast to {way.amp} as on {where}: weights stay as they are, with copies in half precision"
    if train and way.accumulate > 1:
        yield f"gradients of {way.accumulate} batches a step are added: from the second batch on they are alive throughout"
