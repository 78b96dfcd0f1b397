"""torchvision's networks by name: classification, segmentation and video, built on meta and without weights."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import torch
from torch import nn

from archprof.errors import UserError, nearest
from archprof.language.evaluate import Constants, Mistake
from archprof.language.explain import SyntaxProblem
from archprof.language.expression import parse_expression
from archprof.language.limits import DEFAULT
from archprof.meta import SkipInit, weights_of
from archprof.records import Tensor
from archprof.sources import Opened, Wish, source

FRAMES = 16
"""Pictures of a clip, for the video networks: what torchvision's own figures are for."""

SEGMENTED = 520
"""Height and width of a picture, for the segmentation networks: what torchvision's own figures are for."""


@source("torchvision")
def torchvision(name: str, wish: Wish) -> Opened:
    """Network of torchvision by its name (`torchvision:resnet50`), without weights; --set gives its arguments.

    Raises UserError where torchvision is not installed, or has no such network, or its network needs real data.
    """
    models = package()
    kinds = {"classification": models, "segmentation": models.segmentation, "video": models.video}
    kind = next((kind for kind, module in kinds.items() if name in models.list_models(module=module)), None)
    check_name(models, name)
    if kind is None:
        raise UserError(
            f"torchvision's {name!r} looks at its data (detection, flow, quantised), which has no shape yet"
        )
    settings = {key: plain(key, text) for key, text in wish.settings.items()}
    with weights_of(wish.dtype or "float32"):
        module = on_meta(models, name, settings)
    argument = next(iter(inspect.signature(module.forward).parameters))
    for unknown in wish.inputs.keys() - {argument}:
        raise UserError(f"torchvision's {name!r} has no input {unknown!r}: it is called {argument!r}")
    sizes = tuple(wish.inputs.get(argument) or default_sizes(models, name, kind, module))
    return Opened(f"torchvision:{name}", module, {argument: Tensor((wish.batch, *sizes), wish.dtype or "float32")})


def package() -> ModuleType:
    """Return torchvision.models; raise UserError where it is not installed."""
    try:
        from torchvision import models
    except ImportError:
        raise UserError("torchvision is not installed: pip install 'archprof[vision]'") from None
    return models


def check_name(models: ModuleType, name: str) -> None:
    """Raise UserError, with the nearest name, unless torchvision has this network."""
    if name not in models.list_models():
        close = nearest(name, models.list_models())
        guess = f"; did you mean {close!r}?" if close else ""
        raise UserError(f"torchvision has no model {name!r}{guess}")


def build(models: ModuleType, name: str, settings: Mapping[str, Any]) -> nn.Module:
    """Return a network without weights; raise UserError where an argument is wrong, or asks for weights to download."""
    for setting in settings:
        if setting.startswith("weights"):
            raise UserError(f"torchvision's {name!r} is built without weights, so {setting!r} cannot be set")
    builder = models.get_model_builder(name)
    options: dict[str, Any] = {"weights": None}
    if "weights_backbone" in inspect.signature(builder).parameters:
        options["weights_backbone"] = None
    if name in {"googlenet", "inception_v3"}:
        options["init_weights"] = False
    try:
        return builder(**options | dict(settings))
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        raise UserError(f"torchvision's {name!r} cannot be built: {error}") from None


def on_meta(models: ModuleType, name: str, settings: Mapping[str, Any]) -> nn.Module:
    """Return a network on meta; one that computes with its weights while it is built is built on the CPU first."""
    try:
        with torch.device("meta"), SkipInit(), torch.no_grad():
            return build(models, name, settings)
    except RuntimeError:
        try:
            return build(models, name, settings).to("meta")
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"torchvision's {name!r} cannot be built: {reason}") from None


def default_sizes(models: ModuleType, name: str, kind: str, module: nn.Module) -> tuple[int, ...]:
    """Return the input's sizes, the batch left out, that the network's first weights were trained with."""
    if kind == "segmentation":
        return 3, SEGMENTED, SEGMENTED
    crop = next(iter(models.get_model_weights(name))).transforms.keywords["crop_size"]
    crop = getattr(module, "image_size", crop)  # a vision transformer takes the size it was built for
    height, width = (crop, crop) if isinstance(crop, int) else crop[:2]
    return (3, FRAMES, height, width) if kind == "video" else (3, height, width)


def plain(key: str, text: str) -> Any:
    """Return the value that `--set key=text` writes: a number, a list, true, false, null or a quoted text."""
    try:
        return Constants(DEFAULT).evaluate(parse_expression(text, DEFAULT))
    except SyntaxProblem as found:
        raise UserError(f"--set {key}={text}: {found.what}") from None
    except Mistake as found:
        raise UserError(f"--set {key}={text}: {found.problem.what}") from None
