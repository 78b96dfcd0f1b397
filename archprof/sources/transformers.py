"""Networks of transformers by model type or config.json: built on meta, without weights, and without code from a hub."""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from archprof.errors import UserError, did_you_mean
from archprof.sources import FLOATS, Opened, Wish, source
from archprof.sources.building import on_cpu, on_meta
from archprof.sources.settings import plain
from archprof.sources.transformers_inputs import inputs_of

if TYPE_CHECKING:
    from torch import nn

TASKS = (
    "MULTIMODAL_LM", "SPEECH_SEQ_2_SEQ", "SEQ_TO_SEQ_CAUSAL_LM", "MASKED_LM", "CAUSAL_LM", "CTC", "RNNT", "TDT",
    "IMAGE_CLASSIFICATION", "ZERO_SHOT_IMAGE_CLASSIFICATION", "VIDEO_CLASSIFICATION", "AUDIO_CLASSIFICATION",
    "OBJECT_DETECTION", "ZERO_SHOT_OBJECT_DETECTION", "UNIVERSAL_SEGMENTATION", "SEMANTIC_SEGMENTATION",
    "IMAGE_SEGMENTATION", "INSTANCE_SEGMENTATION", "DEPTH_ESTIMATION", "TEXT_TO_WAVEFORM", "TEXT_TO_SPECTROGRAM",
    "QUESTION_ANSWERING", "SEQUENCE_CLASSIFICATION", "KEYPOINT_MATCHING", "", "BACKBONE", "TABLE_RECOGNITION", "RETRIEVAL",
)  # fmt: skip
"""Transformers' Auto classes, the fullest first, "" being those without a head; only encoder-decoders are looked up among
the first three."""


@source("transformers")
def transformers(name: str, wish: Wish) -> Opened:
    """Network of transformers by model type, config.json or its directory (`transformers:llama`), without weights.

    --set gives settings of the config, `text_config.hidden_size=64` those of a config within it. The class is the one the
    config names, else the fullest there is for the type. Nothing is downloaded and no code from a hub is run. Raises
    UserError where transformers is not installed or cannot build that.
    """
    package = installed()
    settings = plain(wish.settings)
    with quiet_and_offline():
        config = configured(package, *read(package, name), settings)
        found = architecture(package, config)
        dtype = wish.dtype or str(config.dtype).removeprefix("torch.")
        dtype = dtype if dtype in FLOATS else "float32"

        def made() -> nn.Module:
            try:
                with quiet_and_offline():
                    return found._from_config(type(config)(**config.to_dict()), dtype=dtype)  # noqa: SLF001 - as its Auto classes do
            except RuntimeError:  # what meta may be the reason of
                raise
            except Exception as error:
                raise UserError(f"{found.__name__} cannot be built: {one_line(error)}") from error

        module = on_meta(made, dtype)
    inputs, notes = inputs_of(module, wish, dtype)
    name = f"transformers:{config.model_type}"
    return Opened(name, module, inputs, real=lambda: on_cpu(made, dtype), notes=notes)


def installed() -> ModuleType:
    """Return transformers; raise UserError where it is not installed."""
    try:
        return importlib.import_module("transformers")
    except ImportError:
        raise UserError("transformers is not installed: pip install 'archprof[transformers]'") from None


@contextlib.contextmanager
def quiet_and_offline() -> Iterator[None]:
    """Keep transformers from printing advice and its hub from being asked, meanwhile."""
    constants: Any = importlib.import_module("huggingface_hub.constants")
    logger = logging.getLogger("transformers")
    before, level = constants.HF_HUB_OFFLINE, logger.level
    constants.HF_HUB_OFFLINE = True
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
        logger.setLevel(level)


def read(package: ModuleType, name: str) -> tuple[Any, dict[str, Any]]:
    """Return the config class that a model type or config.json names, and the settings the file gives."""
    types = package.CONFIG_MAPPING
    path = Path(name, "config.json") if os.path.isdir(name) else Path(name)  # noqa: PTH112 - pathlib's raises where
    if not os.path.isfile(path):  # noqa: PTH113 - a name is too long
        if name in types:
            return types[name], {}
        advice = did_you_mean(name, types.keys(), "nothing is downloaded: give a config.json")
        raise UserError(f"transformers has no model type {name!r}, and there is no such file; {advice}")
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is no JSON: {error}") from None
    if not isinstance(given, dict) or not isinstance(given.get("model_type"), str):
        raise UserError(f"{path} is no config of transformers: it has no model_type")
    if "auto_map" in given:
        raise UserError(f"{path} names code of its own (auto_map), and code from a hub is not run")
    kind = given.pop("model_type")
    if kind not in types:
        raise UserError(
            f"{path}: transformers has no model type {kind!r}; {did_you_mean(kind, types.keys())}".rstrip("; ")
        )
    return types[kind], given


def configured(package: ModuleType, kind: Any, given: dict[str, Any], settings: Mapping[str, Any]) -> Any:
    """Return the config of this class with what a file gives and, over that, the settings of a user."""
    base = made_config(kind, given)
    changed = dict(given)
    for key, value in settings.items():
        *outer, last = key.split(".")
        place, config = changed, base
        for part in outer:
            check_setting(key, part, config)
            outside, config = config, getattr(config, part)
            if not isinstance(config, package.PreTrainedConfig):
                raise UserError(f"--set {key}: {part!r} has no settings of its own")
            if not isinstance(place.get(part), dict):
                place[part] = defaults(outside, part, config)
            place[part] = place = dict(place[part])
        check_setting(key, last, config)
        place[last] = value
        kinds = place.get("layer_types")
        is_count = last == "num_hidden_layers" and isinstance(value, int)
        if is_count and isinstance(kinds, list) and kinds:  # one a layer: begun again, or cut off
            place["layer_types"] = (kinds * (value // len(kinds) + 1))[:value]
    config = made_config(kind, changed) if settings else base
    for part in (config, *inner(package, config)):
        if "use_cache" not in settings and getattr(part, "use_cache", None):
            part.use_cache = False
        if getattr(part, "use_pretrained_backbone", None):
            part.use_pretrained_backbone = False
    return config


def defaults(outside: Any, part: str, config: Any) -> dict[str, Any]:
    """Return the settings that a config within another is made of, without what follows from them where that is known."""
    given = getattr(outside, "sub_configs_defaults", {}).get(part)
    return {**(given.init_kwargs if given else config.to_diff_dict()), "model_type": config.model_type}


def made_config(kind: Any, given: Mapping[str, Any]) -> Any:
    """Return a config, or raise UserError with what is wrong with the settings."""
    try:
        return kind(**given)
    except Exception as error:
        raise UserError(f"{kind.__name__} cannot be made: {one_line(error)}") from error


def check_setting(key: str, part: str, config: Any) -> None:
    """Raise UserError, with the nearest name, unless a config has this setting."""
    known = {*config.to_dict(), *config.attribute_map}
    if part not in known:
        raise UserError(
            f"--set {key}: {config.model_type} has no setting {part!r}; {did_you_mean(part, known)}".rstrip("; ")
        )


def inner(package: ModuleType, config: Any) -> Iterator[Any]:
    """Yield the configs within a config."""
    for value in vars(config).values():
        if isinstance(value, package.PreTrainedConfig):
            yield value
            yield from inner(package, value)


def architecture(package: ModuleType, config: Any) -> Any:
    """Return the class that a config names, else the fullest class for its type."""
    for name in config.architectures or ():
        found = getattr(package, name, None) if isinstance(name, str) else None
        if not hasattr(found, "_from_config"):
            raise UserError(f"transformers has no architecture {name!r}, which the config names")
        return found
    auto = importlib.import_module("transformers.models.auto.modeling_auto")
    others = []
    for task in TASKS if getattr(config, "is_encoder_decoder", False) else ("MULTIMODAL_LM", *TASKS[3:]):
        mapping = getattr(auto, f"MODEL_FOR_{task}_MAPPING" if task else "MODEL_MAPPING")
        if type(config) in mapping:
            try:
                found = mapping[type(config)]
            except ValueError:  # a class that is listed, and is not there
                continue
            found = found[0] if isinstance(found, tuple) else found
            if is_made_for(found, config):
                return found
            others.append(found)  # made for another type, or a part of the network
    if others:
        return others[0]
    with contextlib.suppress(ImportError):
        auto = importlib.import_module(type(config).__module__.replace(".configuration_", ".modeling_"))
    for found in vars(auto).values():  # part of a network, which has no Auto class
        if getattr(found, "config_class", None) is type(config) and "forward" in vars(found):
            return found
    raise UserError(f"transformers has no network for the model type {config.model_type!r}")


def is_made_for(found: Any, config: Any) -> bool:
    """Tell whether a class says that it takes such a config, or says nothing, as one whose libraries are missing."""
    try:
        return isinstance(config, found.config_class or type(config))
    except (AttributeError, ImportError):  # it is told when it is built
        return True


def one_line(error: Exception) -> str:
    """Return what an error says on one line."""
    return " ".join(str(error).split()) or type(error).__name__
