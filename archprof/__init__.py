"""archprof: a static profiler for neural-network architectures.

The public names are imported on first use, so that `import archprof` is quick and imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from archprof.analyses import analysis
    from archprof.changes import Diff, diff
    from archprof.errors import ArchprofError, SpecError, UserError
    from archprof.footprint import Memory
    from archprof.footprint.measure import memory
    from archprof.layers import layer
    from archprof.ops import rule
    from archprof.pipeline import compile, profile  # noqa: A004 - the field's word
    from archprof.records import Facts, Tensor, contraction
    from archprof.renderers import renderer
    from archprof.result import Profile
    from archprof.runs.measure import time
    from archprof.runs.signal import signal
    from archprof.sources.spec import load

_HOMES = {
    "profile": "pipeline", "Profile": "result", "load": "sources.spec", "compile": "pipeline",
    "time": "runs.measure", "signal": "runs.signal", "memory": "footprint.measure", "Memory": "footprint",
    "diff": "changes", "Diff": "changes",
    "layer": "layers", "rule": "ops", "analysis": "analyses", "renderer": "renderers",
    "Facts": "records", "Tensor": "records", "contraction": "records",
    "ArchprofError": "errors", "UserError": "errors", "SpecError": "errors",
}  # fmt: skip

__all__ = ["ArchprofError", "Diff", "Facts", "Memory", "Profile", "SpecError", "Tensor", "UserError", "__version__", "analysis",
           "compile", "contraction", "diff", "layer", "load", "memory", "profile", "renderer", "rule", "signal",
           "time"]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'archprof' has no attribute {name!r}")
    return getattr(importlib.import_module(f"archprof.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
