"""The whole route in one place: a model's name, file or Spec becomes a Profile."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib import metadata
from typing import TYPE_CHECKING, Any

from torch import nn

from archprof import __version__, conventions, sources
from archprof.analyses import ANALYSES
from archprof.build import build
from archprof.errors import UserError
from archprof.graph import Graph
from archprof.ops import facts
from archprof.records import Facts, Spec, Unknown
from archprof.result import Profile
from archprof.sources import SOURCES, Opened, Wish, module
from archprof.sources.spec import load
from archprof.trace import trace

if TYPE_CHECKING:
    import os

    from torch import fx

    from archprof.meta import Seen


def profile(
    model: str | os.PathLike[str] | Spec | nn.Module,
    inputs: Any = None,
    *,
    batch: int = 1,
    dtype: str | None = None,
    settings: Mapping[str, str] | None = None,
    convention: str = "",
) -> Profile:
    """Return the Profile of a model: a bundled name, `file.yaml`, `file.yaml:variant`, `torchvision:NAME`, Spec or nn.Module.

    `inputs` gives other input sizes by name (batch left out), `dtype` another float type of weights and inputs,
    `settings` params of the spec, or arguments of another source. An nn.Module is left as it is: a twin on meta is
    traced, in evaluation mode; its `inputs` are tensors or shapes with the batch (one, several, or by argument), and it
    has batch, float type and settings of its own. No weight is allocated and nothing is run but shapes.
    `convention` adds a column with the counts of another tool (`archprof list conventions`).
    Raises UserError, and SpecError with every mistake of a spec.

    >>> profile("inception-direct").macs, profile("inception-bottleneck").macs
    (120422400, 12443648)
    """
    memo: dict[Any, Seen] = {}
    if isinstance(model, nn.Module):
        if batch != 1 or dtype is not None or settings:
            raise UserError("a module has its own batch, dtype and settings: give inputs with the batch you want")
        opened = module.opened(model, inputs)
    else:
        opened = open_model(model, Wish(batch, inputs or {}, dtype, settings or {}), memo)
    try:
        graph = trace(opened.module, opened.inputs, memo)
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError, NotImplementedError) as error:
        if not isinstance(model, nn.Module) and sources.split(model) is None:
            raise  # a spec that expands can be traced: this is our own mistake
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        sizes = ", ".join(f"{name} {tensor}" for name, tensor in opened.inputs.items())
        raise UserError(f"{opened.name} cannot be run on shapes with {sizes}: {first}") from error
    attach_facts(graph)
    columns, values, outside = {}, {}, {}
    for entry in ANALYSES.values():
        for column, found in zip(entry.columns, entry.function(graph), strict=True):
            columns[column.name], values[column.name] = column, found.values
            outside[column.name] = found.outside
    if convention:
        columns[convention], values[convention] = conventions.column(graph, convention)
    found_by = versions()
    return Profile(
        opened.name, graph, columns, values, outside, opened.publication, opened.claims, found_by, convention
    )


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


def attach_facts(graph: Graph) -> None:
    """Ask each op's rule once (ops with equal signatures share the answer) and hang the facts on the graph."""
    known: dict[Any, Facts | Unknown] = {}
    for op in graph.ops:
        signature = op.signature
        if signature not in known:
            known[signature] = facts(op)
        graph.facts[op.name] = known[signature]


def versions() -> dict[str, str]:
    """Return the versions a profile depends on."""
    return {"archprof": __version__, "python": platform.python_version(), "torch": metadata.version("torch")}
