"""The whole route in one place: a model's name, file or Spec becomes a Profile."""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import platform
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import TYPE_CHECKING, Any

from archprof import __version__, conventions, receptive, roofline, sources
from archprof.analyses import ANALYSES
from archprof.build import build
from archprof.decompose import decomposed
from archprof.devices import Device, meant
from archprof.errors import ModelError, UserError
from archprof.graph import Graph
from archprof.meta import ALONE
from archprof.ops import RULES, facts
from archprof.records import Column, Facts, Spec, Unknown
from archprof.result import Profile
from archprof.sources import SOURCES, Opened, Wish, module
from archprof.sources.spec import load
from archprof.substrate import told, traced_somewhere

if TYPE_CHECKING:
    from torch import fx

    from archprof.meta import Seen
    from archprof.trace import Traced


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Put off Python's search for cycles.

    A trace makes many objects that stay; looking through them again and again makes its time grow faster than the model.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@_uncollected()
def profile(
    model: Any,
    inputs: Any = None,
    *,
    batch: int = 1,
    dtype: str | None = None,
    settings: Mapping[str, str] | None = None,
    convention: str = "",
    optimizer: str = "",
    on: str | Device = "",
    field: bool = False,
) -> Profile:
    """Return the Profile of a model, without its weights and, where shapes are enough, without running it.

    `model` is a bundled name, `file.yaml`, `file.yaml:variant`, `torchvision:NAME` or another source's, or a Spec: then
    `inputs` gives other input sizes by name (batch left out), `dtype` another float type of weights and inputs, and
    `settings` params of the spec or arguments of the source. Or it is an nn.Module (compiled, parallel or plain), a
    torch.export ExportedProgram or a function, which has batch, float type and settings of its own: then `inputs` are
    tensors or shapes, batch included, nested as the model takes them, in order or by name. It is left as it is: a twin is
    traced, in evaluation mode.
    `optimizer` (sgd, momentum, adam, adamw) adds columns with the backward pass and the optimizer's step.
    A model that looks at its data is told what follows from real tensors in `inputs`; where that is not enough, it runs once
    on the CPU, on random data where `inputs` has none. `notes` says so.
    `convention` adds a column with the counts of another tool (`archprof list conventions`).
    `field` adds columns with the receptive field of every op, its stride and padding.
    `on` names a device (`archprof list devices`), or is one, and adds columns with the least time each op takes there.
    Raises UserError, SpecError with every mistake of a spec, ModelError with the partial profile where the model fails.

    >>> profile("inception-direct").macs, profile("inception-bottleneck").macs
    (120422400, 12443648)
    """
    memo: dict[Any, Seen] = {}
    device = meant(on)
    with ALONE:
        opened = opened_by(model, inputs, batch, dtype, settings, memo)
        traced, notes = traced_somewhere(opened, memo)
    asked = {"convention": convention, "optimizer": optimizer, "field": field}
    return profile_of(opened, traced, notes, **asked, device=device)


def opened_by(
    model: Any,
    inputs: Any,
    batch: int = 1,
    dtype: str | None = None,
    settings: Mapping[str, str] | None = None,
    memo: dict[Any, Seen] | None = None,
) -> Opened:
    """Return a model as `profile` takes it, ready to be traced; raise UserError for what a module cannot be asked."""
    if isinstance(model, (str, os.PathLike, Spec)):
        if not isinstance(inputs, Mapping | None):
            raise UserError(
                "a model that is opened by its name takes input sizes by name, such as {'x': (3, 224, 224)}"
            )
        return open_model(model, Wish(batch, inputs or {}, dtype, settings or {}), memo)
    if batch != 1 or dtype is not None or settings:
        raise UserError("a module has its own batch, dtype and settings: give inputs with the batch you want")
    return module.opened(model, inputs)


def profile_of(
    opened: Opened,
    traced: Traced,
    notes: tuple[str, ...] = (),
    *,
    convention: str = "",
    optimizer: str = "",
    field: bool = False,
    device: Device | None = None,
) -> Profile:
    """Return the Profile of what was traced; raise ModelError with it where the model failed."""
    if traced.failure is not None and opened.real is None:
        raise traced.failure.error  # a spec that expands can be traced: this is our own mistake
    notes = (*opened.notes, *notes)
    graph = traced.graph
    attach_facts(graph, traced.seen)
    parts = {op.kind for op in graph.ops if op.kind not in RULES and isinstance(graph.facts[op.name], Facts)}
    if parts:
        notes += (f"without a rule, and counted by the operations they are made of: {', '.join(sorted(parts))}",)
    columns, values, outside = measured(traced, convention, optimizer)
    if field:
        for column, found in receptive.columns(traced):
            columns[column.name], values[column.name] = column, found
    if device is not None:
        roof = roofline.roofline(graph, device)
        notes += (str(roof),)
        for column, found in roofline.columns(graph, roof):
            columns[column.name], values[column.name] = column, found
    about = {"source": opened.publication, "claims": opened.claims, "notes": notes, "convention": convention}
    result = Profile(opened.name, graph, columns, values, outside, **about, versions=versions(), _run=(traced, opened))
    if traced.failure is None:
        return result
    message = f"{opened.name} fails {told(traced.failure)}"
    raise (ModelError(message, result) if len(graph) else UserError(message)) from traced.failure.error


def measured(
    traced: Traced, convention: str, optimizer: str
) -> tuple[dict[str, Column], dict[str, Any], dict[str, int]]:
    """Return the columns of every analysis, and of what was asked for on top, with their values and what is outside."""
    graph = traced.graph
    columns: dict[str, Column] = {}
    values: dict[str, Any] = {}
    outside: dict[str, int] = {}
    for entry in ANALYSES.values():
        for column, found in zip(entry.columns, entry.function(graph), strict=True):
            columns[column.name], values[column.name] = column, found.values
            outside[column.name] = found.outside
    if convention:
        columns[convention], values[convention] = conventions.column(graph, convention)
    if optimizer:
        from archprof.backward import columns as training  # torch's counter, and with it its compiler of kernels

        for column, found in training(traced, optimizer):
            columns[column.name], values[column.name] = column, found
    return columns, values, outside


def open_model(model: str | os.PathLike[str] | Spec, wish: Wish, memo: dict[Any, Seen] | None = None) -> Opened:
    """Return the module and inputs that a model's name means: from a source where it has a scheme, else from a spec."""
    found = sources.split(model)
    if found is not None:
        scheme, name = found
        return SOURCES[scheme].function(name, wish)
    if not isinstance(model, Spec):
        options = {"batch": wish.batch, "dtype": wish.dtype, "settings": wish.settings}
        model = load(model, wish.inputs, **options, memo=memo)
    return Opened(model.name, build(model), dict(model.inputs), model.source, model.claims)


def compile(  # noqa: A001 - what it does, in the field's word
    model: str | os.PathLike[str] | Spec,
    *,
    device: str = "meta",
    settings: Mapping[str, str] | None = None,
) -> fx.GraphModule:
    """Return a model as a torch.fx.GraphModule: on "meta" for analysis, on a real device ready to train.

    Raises UserError for an unknown model or device, SpecError with every mistake of a spec.

    >>> list(compile("inception-direct").state_dict())
    ['conv.weight', 'conv.bias']
    """
    return build(model if isinstance(model, Spec) else load(model, settings=settings), device)


def attach_facts(graph: Graph, seen: Mapping[str, Seen]) -> None:
    """Ask each op's rule once (ops with equal signatures share the answer) and hang the facts on the graph.

    An op without a rule is counted by what it calls in turn, as far as that has rules.
    """
    known: dict[Any, Facts | Unknown] = {}
    for op in graph.ops:
        call = seen.get(op.name)
        signature = op.signature if call is None else id(call)  # equal calls were seen once
        if signature not in known:
            found = facts(op)
            if op.kind not in RULES and call is not None:
                found = decomposed(op, call)
            known[signature] = found
        graph.facts[op.name] = known[signature]


@functools.cache
def versions() -> Mapping[str, str]:
    """Return the versions a profile depends on; looking them up takes as long as a small network's trace, so once."""
    return {"archprof": __version__, "python": platform.python_version(), "torch": metadata.version("torch")}
