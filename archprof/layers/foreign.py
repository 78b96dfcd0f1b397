"""`nn.X(...)` and `tv.X(...)`: torch's and torchvision's own modules, from an allow-list and with plain values only.

A spec's text never imports anything: the two prefixes stand for two fixed packages, and only nn.Module classes defined
in them are let through.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from typing import Any

from torch import nn

from archprof.layers import Built, Layer

PACKAGES = {"nn": ("torch.nn", "torch.nn.modules"), "tv": ("torchvision.ops", "torchvision.ops")}
"""Prefix: (where the name is looked up, where its class has to be defined)."""


@functools.cache
def foreign_layer(name: str) -> Layer | None:
    """Return the layer that `nn.X` or `tv.X` means, or None where there is none."""
    prefix, _, attribute = name.partition(".")
    module, home = PACKAGES[prefix]
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return None
    if not (inspect.isclass(found) and issubclass(found, nn.Module) and found.__module__.startswith(f"{home}.")):
        return None
    skipped = {"self", "device", "dtype"}
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(found.__init__).parameters
    settings = {key: p for key, p in parameters.items() if key not in skipped and p.kind in plain}

    def build(*_: object, **given: Any) -> Built:
        return found(**{key: tuple(v) if isinstance(v, list) else v for key, v in given.items()})

    build.__doc__ = f"{module}.{attribute}, all arguments written out."
    return Layer(name, build, None, settings, {})
