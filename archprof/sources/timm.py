"""timm's networks by name, built on meta and without weights."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from archprof.errors import UserError, nearest
from archprof.sources import Opened, Wish, source
from archprof.sources.building import NOT_BUILT, on_cpu, on_meta
from archprof.sources.settings import plain

if TYPE_CHECKING:
    from torch import nn

LOADED = ("pretrained", "checkpoint", "cache_dir")
"""How the names of arguments begin with which timm would read or download weights."""


@source("timm")
def timm(name: str, wish: Wish) -> Opened:
    """Network of timm by its name (`timm:vit_base_patch16_224`), without weights; --set gives its arguments.

    Pictures have the size of the network's own configuration. Raises UserError where timm is not installed or has no such
    network.
    """
    library = package()
    check_name(library, name)
    settings = plain(wish.settings)
    dtype = wish.dtype or "float32"

    def made() -> nn.Module:
        return build(library, name, settings)

    module = on_meta(made, dtype)
    argument = next(iter(inspect.signature(module.forward).parameters))
    for unknown in wish.inputs.keys() - {argument}:
        raise UserError(f"timm's {name!r} has no input {unknown!r}: it is called {argument!r}")
    inputs = {argument: wish.tensor(argument, default_size(module, settings), dtype)}
    return Opened(f"timm:{name}", module, inputs, real=lambda: on_cpu(made, dtype))


def package() -> ModuleType:
    """Return timm; raise UserError where it is not installed."""
    try:
        import timm
    except ImportError:
        raise UserError("timm is not installed: pip install 'archprof[timm]'") from None
    return timm


def check_name(library: ModuleType, name: str) -> None:
    """Raise UserError, with the nearest name, unless timm has this network, with or without the tag of its weights."""
    architecture, dot, _ = name.partition(".")
    models = library.list_models()
    if architecture not in models:  # neither are names that timm would look up elsewhere, such as `hf-hub:...`
        close = nearest(architecture, models)
        raise UserError(f"timm has no model {name!r}" + (f"; did you mean {close!r}?" if close else ""))
    tagged = library.list_models(f"{architecture}.*", pretrained=True) if dot else [name]
    if name not in tagged:
        close = nearest(name, tagged) or architecture
        raise UserError(f"timm has no model {name!r}; did you mean {close!r}?")


def build(library: ModuleType, name: str, settings: Mapping[str, Any]) -> nn.Module:
    """Return a network without weights; raise UserError where an argument is wrong, or asks for weights."""
    for setting in settings:
        if setting.startswith(LOADED):
            raise UserError(f"timm's {name!r} is built without weights, so {setting!r} cannot be set")
    try:
        return library.create_model(name, pretrained=False, **settings)
    except NOT_BUILT as error:
        raise UserError(f"timm's {name!r} cannot be built: {error}") from None


def default_size(module: Any, settings: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the sizes of a picture, the batch left out: those of the network's configuration, unless it was built for others."""
    channels, height, width = module.pretrained_cfg["input_size"]
    size = settings.get("img_size") or (height, width)
    return (settings.get("in_chans") or channels, *(size if isinstance(size, (list, tuple)) else (size, size)))
