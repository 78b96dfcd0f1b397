"""torchvision's networks by name, detectors and optical flow too, built on meta and without weights."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from archprof.errors import UserError, nearest
from archprof.records import Tensor
from archprof.sources import Opened, Wish, source
from archprof.sources.building import NOT_BUILT, on_cpu, on_meta
from archprof.sources.settings import plain

if TYPE_CHECKING:
    from torch import nn

FRAMES = 16
"""Pictures of a clip, for the video networks: what torchvision's own figures are for."""

FIXED = {"segmentation": (3, 520, 520), "detection": (3, 800, 800), "flow": (3, 512, 512)}
"""Sizes of a picture where the weights do not say: what torchvision's own figures are for (detectors resize to 800)."""


@source("torchvision")
def torchvision(name: str, wish: Wish) -> Opened:
    """Network of torchvision by its name (`torchvision:resnet50`), without weights; --set gives its arguments.

    Detectors take a list of pictures, optical flow two, video a clip, and quantised networks are the float network that is
    quantised later. Raises UserError where torchvision is not installed or has no such network.
    """
    models = package()
    check_name(models, name)
    settings = plain(wish.settings)
    dtype = wish.dtype or "float32"

    def made() -> nn.Module:
        return build(models, name, settings)

    module = on_meta(made, dtype)
    kind = kind_of(models, name)
    sizes = default_sizes(models, name, kind, module)
    if kind == "flow":
        defaults: dict[str, Any] = {"image1": sizes, "image2": sizes}
    else:
        argument = next(iter(inspect.signature(module.forward).parameters))
        defaults = {argument: sizes}
    for unknown in wish.inputs.keys() - defaults.keys():
        raise UserError(
            f"torchvision's {name!r} has no input {unknown!r}: it is called {' and '.join(map(repr, defaults))}"
        )
    given = {key: wish.tensor(key, size) for key, size in defaults.items()}
    if kind == "detection":  # a list of pictures, each without a batch
        inputs: dict[str, Any] = {k: [Tensor(t.shape[1:], t.dtype)] * wish.batch for k, t in given.items()}
    else:
        inputs = dict(given)
    return Opened(f"torchvision:{name}", module, inputs, real=lambda: on_cpu(made, dtype))


def kind_of(models: ModuleType, name: str) -> str:
    """Return what a network of torchvision is for: classification, detection, optical flow ..."""
    kinds = {
        "segmentation": models.segmentation,
        "video": models.video,
        "detection": models.detection,
        "flow": models.optical_flow,
    }
    return next((k for k, module in kinds.items() if name in models.list_models(module=module)), "classification")


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
    if name.removeprefix("quantized_") in {"googlenet", "inception_v3"}:
        options["init_weights"] = False
    try:
        return builder(**options | dict(settings))
    except NOT_BUILT as error:
        raise UserError(f"torchvision's {name!r} cannot be built: {error}") from None


def default_sizes(models: ModuleType, name: str, kind: str, module: nn.Module) -> tuple[int, ...]:
    """Return the input's sizes, the batch left out, that the network's first weights were trained with."""
    if kind in FIXED:
        return FIXED[kind]
    crop = next(iter(models.get_model_weights(name))).transforms.keywords["crop_size"]
    crop = getattr(module, "image_size", crop)  # a vision transformer takes the size it was built for
    height, width = (crop, crop) if isinstance(crop, int) else crop[:2]
    return (3, FRAMES, height, width) if kind == "video" else (3, height, width)
