"""From a model to its memory, on meta: no weight is allocated and no kernel runs."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from archprof.devices import Device, meant
from archprof.errors import UnknownName, UserError
from archprof.footprint import Memory
from archprof.footprint.autocast import CPU, CUDA
from archprof.footprint.fit import Change, Fit, largest_batch
from archprof.footprint.ledger import Ledger, Memo
from archprof.footprint.optimizers import OPTIMIZERS
from archprof.footprint.passes import Way, inference, training
from archprof.footprint.recompute import blocks_of, recomputed
from archprof.meta import ALONE
from archprof.pipeline import opened_by
from archprof.records import Spec
from archprof.sources import Opened
from archprof.substrate import with_weights

AMP = ("", "bfloat16", "float16")
LIGHTER = ("adam8bit", "momentum", "adafactor", "sgd")
"""Optimizers that may need less memory, those first that are closest to Adam."""


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
    checkpoint: int = 0,
    amp: str = "",
    accumulate: int = 1,
) -> Memory:
    """Return the Memory of a model: who is alive when in a pass of inference and, with `train`, in a training step.

    `model`, `inputs`, `batch`, `dtype` and `settings` are as `profile` takes them; `train` is an optimizer: sgd, momentum,
    adam, adamw, adafactor or adam8bit. The loss is the least there can be: it keeps nothing, and its gradient is as large as
    the outputs. Attention is fused where the CPU's kernel would run. Workspace of kernels is not modelled.
    `on` names a device (`archprof list devices`), or is one, and asks whether that fits, for the largest batch that does, and
    for what to change where it does not. `foreach` steps all parameters at once, as torch does by default on a GPU: so it is
    taken with `on`, and else not. `checkpoint` asks what if the first so many blocks of the network were checkpointed; what
    the model checkpoints itself is always run as it does.
    `amp` runs it under torch.autocast of that type, bfloat16 or float16, with the casts of the CPU or, with `on`, of CUDA;
    `accumulate` adds the gradients of so many batches before a step.
    Raises UserError where the model cannot run.

    >>> found = memory("lenet5", train="momentum", batch=4)
    >>> found.inference.peak_bytes, found.peak_bytes == sum(block.bytes for block in found.last.at_peak)
    (413736, True)
    """
    if train and train not in OPTIMIZERS:
        raise UnknownName("optimizer", train, OPTIMIZERS)
    device = meant(on)
    if device and device.memory_bytes is None:
        raise UserError(f"how much memory {device.name} has is not known")
    if amp not in AMP:
        raise UnknownName("type of autocast", amp, filter(None, AMP))
    if accumulate < 1:
        raise UserError(f"gradients are accumulated over 1 batch or more, not {accumulate}")
    foreach = bool(device) if foreach is None else foreach
    way = Way(amp, CUDA if device else CPU, accumulate, foreach)
    asked = functools.partial(_measured, model, inputs, settings, {}, way)
    with ALONE, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = asked(train, batch, dtype, checkpoint)
        if not device:
            return found
        has_batch = isinstance(model, (str, Spec))
        return dataclasses.replace(found, fit=fit(found, device, asked, train, batch, dtype, has_batch=has_batch))


def fit(
    found: Memory, device: Device, asked: Any, train: str, batch: int, dtype: str | None, *, has_batch: bool
) -> Fit:
    """Return whether a model's memory fits a device; `asked` measures another optimizer, batch and dtype."""
    limit = device.memory_bytes or 0

    def peak(number: int) -> int:
        return asked(train, number, dtype).peak_bytes

    known = {batch: found.peak_bytes}
    most = largest_batch(peak, limit, known) if has_batch else None
    result = Fit(device, limit, found.peak_bytes, most, known.get(most or 0))
    if result.does_fit:
        return result
    others: list[tuple[str, str, str | None]] = []
    if has_batch and dtype in {None, "float32", "float64"}:
        others.append(("dtype bfloat16", train, "bfloat16"))
    if train in {"adam", "adamw"}:
        others += [(f"optimizer {name}", name, dtype) for name in LIGHTER]
        if has_batch and dtype in {None, "float32", "float64"}:
            others += [(f"dtype bfloat16, optimizer {name}", name, "bfloat16") for name in LIGHTER]
    changes = [Change(f"batch {most}", known[most], most, does_fit=True)] if most else []
    changes += _checkpointing(found, limit, lambda number: asked(train, batch, dtype, number).peak_bytes, batch)
    for what, optimizer, kind in others:
        bytes_ = asked(optimizer, batch, kind).peak_bytes
        changes.append(Change(what, bytes_, batch, does_fit=bytes_ <= limit))
    changes.sort(key=lambda change: not change.does_fit)
    return dataclasses.replace(result, changes=tuple(changes))


def _checkpointing(found: Memory, limit: int, peak: Callable[[int], int], batch: int) -> list[Change]:
    """Return what checkpointing the fewest blocks that make it fit gives; all of them where that is not enough."""
    if found.training is None or not found.blocks:
        return []
    low, high = 0, len(found.blocks)
    known = {high: peak(high)}
    while known[high] <= limit and high - low > 1:
        middle = (low + high) // 2
        known[middle] = peak(middle)
        low, high = (low, middle) if known[middle] <= limit else (middle, high)
    which = found.blocks[0] if high == 1 else f"{found.blocks[0]} to {found.blocks[high - 1]}"
    what = f"checkpointing {which} ({high} of {len(found.blocks)} blocks)"
    return [Change(what, known[high], batch, does_fit=known[high] <= limit)]


def _measured(
    model: Any,
    inputs: Any,
    settings: Mapping[str, str] | None,
    memo: Memo,
    way: Way,
    train: str,
    batch: int,
    dtype: str | None,
    checkpoint: int = 0,
) -> Memory:
    return measured(opened_by(model, inputs, batch, dtype, settings), train, memo, way, checkpoint=checkpoint)


def measured(opened: Opened, train: str, memo: Memo, way: Way, *, checkpoint: int = 0) -> Memory:
    """Return the Memory of an opened model: on meta or, where it looks at its data, on the CPU."""
    how = {"way": way, "checkpoint": checkpoint}
    errors = (RuntimeError, TypeError, ValueError, NotImplementedError)
    try:
        return _on(opened, opened.module, train, "meta", memo, opened.notes, **how)
    except errors as error:
        if not any(word in str(error) for word in ("meta", "fake impl", "got Tensor")):
            raise UserError(f"{opened.name} fails: {_told(error)}") from error
    note = "run on the CPU, since it looks at its data: memory that depends on data is that of this run"
    try:
        how["way"] = dataclasses.replace(way, lists=CPU)
        return _on(opened, with_weights(opened), train, "cpu", memo, (*opened.notes, note), **how)
    except errors as error:
        raise UserError(f"{opened.name} fails: {_told(error)}") from error


def _on(
    opened: Opened,
    module: Any,
    train: str,
    on: str,
    memo: Memo,
    notes: tuple[str, ...],
    *,
    way: Way,
    checkpoint: int,
) -> Memory:
    ledgers = Ledger(memo), Ledger(memo)
    alone = inference(module, opened.inputs, on, ledgers[0], way)
    blocks, step = blocks_of(module), None
    if checkpoint > len(blocks):
        raise UserError(f"{opened.name} has {len(blocks)} blocks to checkpoint, not {checkpoint}")
    if train:
        with recomputed(module, blocks[:checkpoint]):
            step = training(module, opened.inputs, train, on, ledgers[1], way=way)
    notes += tuple(_noted(way, train))
    opaque = sorted(ledgers[0].opaque | ledgers[1].opaque)
    if opaque:
        notes += (f"without the memory of sparse tensors, which {', '.join(opaque)} read or make",)
    return Memory(opened.name, alone, train, step, notes, tuple(blocks))


def _noted(way: Way, train: str) -> Iterator[str]:
    """Yield what is to be said of how it ran."""
    if way.amp:
        where = "CUDA" if way.lists == CUDA else "the CPU"
        yield f"under autocast to {way.amp} as on {where}: weights stay as they are, with copies in half precision"
    if train and way.accumulate > 1:
        yield f"gradients of {way.accumulate} batches a step are added: from the second batch on they are alive throughout"


def _told(error: Exception) -> str:
    line = " ".join(str(error).split()) or type(error).__name__
    return line if isinstance(error, RuntimeError) else f"{type(error).__name__}: {line}"
