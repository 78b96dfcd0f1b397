"""Time per op, measured: the model as it is and the same run with a mark after every op, by turns, until it is known."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from archprof import inputs as given_inputs
from archprof import units
from archprof.devices import Device
from archprof.errors import UnknownName, UserError
from archprof.meta import ALONE
from archprof.pipeline import opened_by, profile_of
from archprof.progress import Tell, nobody
from archprof.records import Column, Spread, Timing
from archprof.result import Profile
from archprof.runs import kernels, machine
from archprof.runs.clock import clock_for
from archprof.runs.failing import is_out_of_memory, memory_on, theirs
from archprof.runs.hidden import without_rows
from archprof.runs.modes import Modes
from archprof.runs.passes import FAILS, How, Passes, asleep, autocast, drawn_alike, keep_heap
from archprof.runs.passes import settings as switched
from archprof.runs.protocol import MOST_VALUES, by_turns, spread, warmed
from archprof.runs.tape import program, taped
from archprof.substrate import shortened, with_weights

MODES = ("eager", "queued", "graph")
WARM_S = {"cpu": 0.15, "cuda": 0.3}
"""A GPU takes longer to leave its idle clock."""
WIDE = 0.25
"""A row whose quartiles are further apart than this part of its median is not resolved."""
FLOOR_MARKS, AWAY_S = 200, 0.01
"""So many empty rows say what one costs; a device sleeps meanwhile where launches run ahead."""
LAUNCH = 0.9
"""A row is bound by its launch where the host takes this part of its time, or more."""

MEASURED = Column("measured_s", "s", "sum", "median time from the mark before it to its own, measured")
BACKWARD = Column("backward_s", "s", "sum", "median time of its part of the backward pass, measured")
HOST = Column("host_s", "s", "sum", "median time the host takes to launch it, measured")
IQR = Column("measured_iqr_s", "s", "none", "range between the quartiles of its times")
LEAST = Column("measured_min_s", "s", "none", "shortest time")
P90 = Column("measured_p90_s", "s", "none", "nine of ten times were shorter")
FLOPS = Column("achieved_flops_per_s", "FLOP/s", "ratio", "FLOPs over the measured time", ("flops", "measured_s"))
BYTES = Column(
    "achieved_bytes_per_s", "B/s", "ratio", "ideal traffic over the measured time", ("bytes_moved", "measured_s")
)
MOVED = Column("bytes_moved", "bytes", "sum", "ideal traffic: bytes read and written")
ROOF = Column(
    "roof_share", "share", "ratio", "least time on the device over the measured time", ("time_s", "measured_s")
)
ABOVE = Column("above_roof_s", "s", "sum", "measured time beyond the least time on the device")
FLAG = Column("measured_flag", "text", "none", "unresolved: too short or too uneven; launch-bound: the host is slower")


def time(
    model: Any,
    inputs: Any = None,
    *,
    device: str = "",
    batch: int = 1,
    dtype: str | None = None,
    settings: Mapping[str, str] | None = None,
    mode: str = "eager",
    training: bool = False,
    amp: bool = False,
    channels_last: bool = False,
    compiled: bool = False,
    cold: bool = False,
    threads: int | None = None,
    budget_s: float = 20.0,
    on: str | Device = "",
    convention: str = "",
    optimizer: str = "",
    field: bool = False,
    tell: Tell = nobody,
) -> Profile:
    """Return the Profile of a model run on `device`, with `measured_s` of every op and `timing` of the pass.

    `model`, `inputs`, `batch`, `dtype` and `settings` are as `profile` takes them, a module is copied, weights are random
    where the model has none; dtype "tf32" is float32 with products in TF32. Without `device` it is CUDA's, if there is one,
    else the CPU. `mode` is "eager" or, on CUDA, "queued" (launches run ahead) or "graph" (a CUDA graph). `training` adds
    the backward pass of ones. `amp` runs under autocast, `compiled` measures torch.compile too, `cold` clears the last
    cache before every pass. `on` names the device whose roofline the times are held against (a GPU that is known needs
    none); `convention`, `optimizer` and `field` are `profile`'s. Passes are repeated until the medians are known to 1 %, or
    `budget_s` seconds are spent.
    Raises UserError for a device that is not there or too small, ModelError where the model fails.

    >>> found = time("lenet5", device="cpu", budget_s=0.1)
    >>> found.timing.device, len(found.values["measured_s"]) == len(found.network)
    ('cpu', True)
    """
    if mode not in MODES:
        raise UnknownName("mode", mode, MODES)
    target = machine.chosen(device)
    if mode != "eager" and target.type != "cuda":
        raise UserError(f"mode {mode!r} is CUDA's; on {target.type} everything is eager")
    if mode == "graph" and training:
        raise UserError("mode 'graph' is for the forward pass alone")
    if threads is not None and threads < 1:
        raise UserError(f"threads are 1 or more, not {threads}")
    if dtype == "tf32" and target.type != "cuda":
        raise UserError(f"only CUDA multiplies in tf32, {target.type} does not")
    if not 0 < budget_s < math.inf:
        raise UserError(f"a budget is a number of seconds above 0, not {budget_s}")
    how = How(target, mode, training, amp, dtype == "tf32", channels_last, cold, threads)
    dtype = None if dtype == "tf32" else dtype
    roof = machine.known(target, on, tf32=how.tf32)
    tell("building", 0.0)
    if target.type == "cpu":
        keep_heap()
    else:
        gc.collect()  # circles may still hold the weights of an earlier model, and its CUDA graphs
    with ALONE, drawn_alike(target), switched(how), memory_on(target):
        opened = opened_by(model, inputs, batch, dtype, settings)
        module = _laid_out(with_weights(opened).to(target).train(training), how)
        values = {name: given_inputs.on(str(target), value) for name, value in opened.inputs.items()}
        values = {name: _laid_out_input(value, how) for name, value in values.items()}
        with _context(how):
            args, kwargs = given_inputs.call(module.forward, values)
            tell("first pass", 0.0)
            # one that caches does it now; one that fails does it again, and is told
            with contextlib.suppress(Exception), autocast(how):
                module(*args, **kwargs)
            with autocast(how):
                traced, steps = taped(module, values, str(target), training=training)
            if traced.failure is not None and is_out_of_memory(traced.failure.error):
                raise traced.failure.error
            found = profile_of(opened, traced, convention=convention, optimizer=optimizer, field=field, device=roof)
            numbers = [traced.numbers[name] for name, _ in given_inputs.leaves(values)]
            written = program(traced, steps, numbers, keeps=training)
            passes = Passes(module, values, written, how, found.model)
            return measured(found, passes, budget_s, tell, compiled=compiled)


def measured(found: Profile, passes: Passes, budget_s: float, tell: Tell, *, compiled: bool) -> Profile:
    """Return a profile with what its passes say, measured for at most `budget_s` seconds."""
    how = passes.how
    kinds = {"bare": passes.bare, "marked": passes.marked} | ({"compiled": passes.compiled} if compiled else {})
    peak, outside = passes.peak_bytes(), without_rows(passes)
    for name, run in kinds.items():
        tell(f"warm-up, {name}", 0.0)
        warmed(run, budget_s / 4, WARM_S.get(how.device.type, 0.3))
    for kept in (passes.rows, passes.host_rows, passes.backward_rows, passes.wholes):
        kept.clear()
    passes.behind = 0
    before = machine.state(how.device)
    most = max(3, MOST_VALUES // max(1, passes.ops))
    taken, stop = by_turns(kinds, budget_s, most, lambda rounds, part: tell(f"pass {rounds}", part))
    after = machine.state(how.device)
    rounds = len(taken["bare"])
    columns, values = _columns(found, passes, rounds)
    notes = [f"{stop} after {units.several(rounds, 'round')}: times are those of these"] if stop else []
    fused: tuple[tuple[str, float], ...] = ()
    try:
        for column, row in kernels.columns(passes):
            columns[column.name], values[column.name] = column, row
        if compiled and not stop:
            with theirs(FAILS["compiled"].format(passes.called)):
                fused = kernels.compiled_kernels(passes)
    except (
        RuntimeError,
        UserError,
    ) as error:  # lack of memory, the profiler's or a compiler's own: what was measured stays
        notes.append(f"which kernels there are is not known: {shortened(error)}")
    rows_s = sum(value for name in ("measured_s", "backward_s") for value in values.get(name, ()) if value is not None)
    part = [
        (sum(row) + sum(filter(None, back))) / whole
        for row, back, whole in zip(passes.rows, passes.backward_rows or [[]] * rounds, passes.wholes, strict=False)
        if whole
    ]
    about = {
        field.name: getattr(how, field.name)
        for field in dataclasses.fields(how)
        if field.name not in {"device", "threads"}
    }
    about["clock"] = passes.clock
    if how.mode == "queued":
        about["passes_not_ahead"] = passes.behind
    timing = Timing(
        device=str(how.device),
        bare=spread(taken["bare"]),
        marked=spread(taken["marked"]),
        rows_s=rows_s,
        coverage=spread(part).median if part else 0.0,
        settings=about,
        machine=machine.about(how.device) | _changed(before, after),
        compiled=spread(taken["compiled"]) if compiled else None,
        compiled_kernels=fused,
        without_rows=outside,
        peak_bytes=peak,
    )
    columns, values = {**found.columns, **columns}, {**found.values, **values}
    return dataclasses.replace(found, columns=columns, values=values, timing=timing, notes=(*found.notes, *notes))


def _columns(found: Profile, passes: Passes, rounds: int) -> tuple[dict[str, Column], dict[str, list[Any]]]:
    """Return the columns that were measured, and their values."""
    spreads = [spread(row) for row in zip(*passes.rows[:rounds], strict=True)]
    seconds = [row.median for row in spreads]
    made: list[tuple[Column, list[Any]]] = [
        (MEASURED, seconds),
        (IQR, [row.iqr for row in spreads]),
        (LEAST, [row.least for row in spreads]),
        (P90, [row.ninety for row in spreads]),
    ]
    if passes.backward_rows:
        made.append((BACKWARD, [_median(row) for row in zip(*passes.backward_rows[:rounds], strict=True)]))
    host = [spread(row).median for row in zip(*passes.host_rows[:rounds], strict=True)] if passes.host_rows else None
    if host is not None:
        made.append((HOST, host))
    flops, moved = found.values["flops"], zip(found.values["bytes_read"], found.values["bytes_written"], strict=True)
    made.append((FLOPS, [_rate(number, s) for number, s in zip(flops, seconds, strict=True)]))
    sums = [None if a is None or b is None else a + b for a, b in moved]
    made.append((MOVED, sums))
    made.append((BYTES, [_rate(number, s) for number, s in zip(sums, seconds, strict=True)]))
    if "time_s" in found.values:
        least = found.values["time_s"]
        made.append((ROOF, [None if s is None else s / m for s, m in zip(least, seconds, strict=True)]))
        made.append((ABOVE, [None if s is None else m - s for s, m in zip(least, seconds, strict=True)]))
    made.append((FLAG, flags(spreads, host, floor(passes.how))))
    return {column.name: column for column, _ in made}, {column.name: values for column, values in made}


def _median(row: Sequence[float | None]) -> float | None:
    known = [value for value in row if value is not None]
    return spread(known).median if known else None


def _rate(number: int | None, seconds: float) -> float | None:
    return number / seconds if number and seconds > 0 else None


def flags(spreads: Sequence[Spread], host: Sequence[float] | None, floor_s: float) -> list[str]:
    """Return for every row what is to be known of its time: '' where it stands for itself."""
    found = []
    for number, row in enumerate(spreads):
        if row.median <= 2 * floor_s or row.iqr > WIDE * row.median:
            found.append("unresolved")
        elif host is not None and host[number] >= LAUNCH * row.median:
            found.append("launch-bound")
        else:
            found.append("")
    return found


def floor(how: How) -> float:
    """Return the seconds between two marks with nothing in between; those of a graph are taken to be those of a queue."""
    clock = clock_for(how.device, FLOOR_MARKS)
    if how.mode != "eager":
        asleep(AWAY_S)
    for number in range(FLOOR_MARKS):
        clock.mark(number)
    clock.wait()
    return spread(clock.rows(FLOOR_MARKS - 1)).median


def _laid_out(module: nn.Module, how: How) -> nn.Module:
    return module.to(memory_format=torch.channels_last) if how.channels_last else module  # type: ignore[call-overload]


def _laid_out_input(value: Any, how: How) -> Any:
    if how.channels_last and isinstance(value, torch.Tensor) and value.dim() == 4:
        return value.contiguous(memory_format=torch.channels_last)
    return value


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    return {name: [before[name], after[name]] for name in before if name in after}


@contextlib.contextmanager
def _context(how: How) -> Iterator[None]:
    outside = Modes.now(how.device.type)
    try:
        with torch.set_grad_enabled(how.training):
            yield
    finally:
        outside.enter(outside)  # a program that fails may have left others
