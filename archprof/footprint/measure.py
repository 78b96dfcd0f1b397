"""From a model to its memory, on meta: no weight is allocated and no kernel runs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from archprof.backward import OPTIMIZERS
from archprof.errors import UnknownName, UserError
from archprof.footprint import Memory
from archprof.footprint.ledger import Ledger, Memo
from archprof.footprint.passes import inference, training
from archprof.meta import ALONE
from archprof.pipeline import opened_by
from archprof.sources import Opened
from archprof.substrate import with_weights


def memory(
    model: Any,
    inputs: Any = None,
    *,
    train: str = "",
    batch: int = 1,
    dtype: str | None = None,
    settings: Mapping[str, str] | None = None,
) -> Memory:
    """Return the Memory of a model: who is alive when in a pass of inference and, with `train`, in a training step.

    `model`, `inputs`, `batch`, `dtype` and `settings` are as `profile` takes them; `train` is an optimizer: sgd, momentum,
    adam or adamw. The loss is the least there can be: it keeps nothing, and its gradient is as large as the outputs.
    Attention is fused where the CPU's kernel would run. Workspace of kernels and fragmentation are not modelled.
    Raises UserError where the model cannot run.

    >>> found = memory("lenet5", train="momentum", batch=4)
    >>> found.inference.peak_bytes, found.peak_bytes == sum(block.bytes for block in found.last.at_peak)
    (413736, True)
    """
    if train and train not in OPTIMIZERS:
        raise UnknownName("optimizer", train, OPTIMIZERS)
    with ALONE, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        opened = opened_by(model, inputs, batch, dtype, settings)
        return measured(opened, train, {})


def measured(opened: Opened, train: str, memo: Memo) -> Memory:
    """Return the Memory of an opened model: on meta or, where it looks at its data, on the CPU."""
    notes = opened.notes
    try:
        return _on(opened, opened.module, train, "meta", memo, notes)
    except (RuntimeError, TypeError, ValueError, NotImplementedError) as error:
        if not any(word in str(error) for word in ("meta", "fake impl", "got Tensor")):
            raise UserError(f"{opened.name} fails: {_told(error)}") from error
    notes += ("run on the CPU, since it looks at its data: memory that depends on data is that of this run",)
    try:
        return _on(opened, with_weights(opened), train, "cpu", memo, notes)
    except (RuntimeError, TypeError, ValueError, NotImplementedError) as error:
        raise UserError(f"{opened.name} fails: {_told(error)}") from error


def _on(opened: Opened, module: Any, train: str, on: str, memo: Memo, notes: tuple[str, ...]) -> Memory:
    ledgers = Ledger(memo), Ledger(memo)
    alone = inference(module, opened.inputs, on, ledgers[0])
    step = training(module, opened.inputs, train, on, ledgers[1]) if train else None
    opaque = sorted(ledgers[0].opaque | ledgers[1].opaque)
    if opaque:
        notes += (f"without the memory of sparse tensors, which {', '.join(opaque)} read or make",)
    return Memory(opened.name, alone, train, step, notes)


def _told(error: Exception) -> str:
    line = " ".join(str(error).split()) or type(error).__name__
    return line if isinstance(error, RuntimeError) else f"{type(error).__name__}: {line}"
