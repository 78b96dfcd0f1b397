"""What transformers' networks are called with: the inputs wished for, else those that their configs suggest."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from archprof.errors import UserError, did_you_mean
from archprof.records import Tensor
from archprof.sources.transformers_sizes import (
    DEFAULTS,
    FEATURES,
    FRAMES,
    IN_PIECES,
    NEEDED,
    TOKENS,
    Flat,
    Given,
    Sizes,
    channels,
    features,
    first,
    grid,
    patches,
    pictured,
    side,
    spectrogram,
    text,
)

if TYPE_CHECKING:
    from torch import nn

    from archprof.sources import Wish

TEXT_ONLY = (
    "profiled as text alone: pictures or sound come in pieces whose sizes are not known (give them with --input)"
)


def inputs_of(module: nn.Module, wish: Wish, dtype: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the inputs of a network, batch in front, as wished for, else as its config suggests; and notes on them.

    Raises UserError for an input that the network does not have.
    """
    parameters = inspect.signature(module.forward).parameters
    known = [name for name, p in parameters.items() if p.kind in {p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY}]
    for unknown in wish.inputs.keys() - set(known):
        raise UserError(
            f"{type(module).__name__} has no input {unknown!r}; {did_you_mean(unknown, known)}".rstrip("; ")
        )
    needed = [name for name in known if parameters[name].default is inspect.Parameter.empty]
    given = suggested(module, known, needed, is_free=not wish.inputs)
    for name in needed:
        if name not in given and name not in wish.inputs:
            raise UserError(
                f"{type(module).__name__} needs the input {name!r} too: --input {name}=SIZES, the batch left out"
            )
    names = [name for name in known if name in given or name in wish.inputs]
    left_out = "input_ids" in names and len(names) == 1 and {"pixel_values", "input_features"}.intersection(known)
    notes = (TEXT_ONLY,) if left_out else ()
    return {name: laid_out(name, given.get(name, ()), wish, dtype) for name in names}, notes


def laid_out(name: str, given: Given, wish: Wish, dtype: str) -> Any:
    """Return an input with its batch: in front, or along the first dimension where the samples stand in a row."""
    if isinstance(given, torch.Tensor) and name not in wish.inputs:
        return given.repeat(wish.batch, *(1 for _ in given.shape[1:]))
    whole = wish.tensor(name, () if isinstance(given, torch.Tensor) else given, type_of(name, dtype))
    if isinstance(given, Flat):
        batch, rows, *rest = whole.shape
        return Tensor((batch * rows, *rest), whole.dtype)
    return whole


def suggested(module: nn.Module, known: Sequence[str], needed: Sequence[str], *, is_free: bool) -> dict[str, Given]:
    """Return the inputs of a network, the batch left out, as far as its config and its layers tell them.

    A text alone stands for a text with pictures or sound where these come in pieces of several sizes, unless the places
    of a picture in it are told by their types, and the inputs are free to have it.
    """
    config: Any = module.config
    sizes = {name: size_of(name, module, is_needed=name in needed) for name in known}
    found = {name: size for name, size in sizes.items() if size is not None}
    vision = getattr(first(config, "vision_config"), "model_type", "")
    in_pieces = bool(first(config, "image_grid_pinpoints")) or vision == "pixtral" or IN_PIECES.intersection(known)
    if "query_embeds" in needed:
        found["encoder_hidden_states"] = (TOKENS, first(config, "encoder_hidden_size", "hidden_size"))
    told = {"pixel_values", "image_grid_thw", "mm_token_type_ids"} <= set(known)
    if told and is_free and fits_the_text(config):
        return text_with_picture(config)
    if in_pieces and "input_ids" in found:
        return {name: size for name, size in found.items() if name.endswith("ids")}
    if cut := cut_up(config, known, needed):
        return {**found, **cut}
    if "pixel_values" in found:
        found |= with_pictures(module, known, found)
    if "input_features_mask" in known and "input_features" in found:
        found["input_features_mask"] = (max(found["input_features"]),)
    return {**one_of_each(module, needed, found)}


def fits_the_text(config: Any) -> bool:
    """Tell whether a picture's tokens are as wide, and as many, as those of the text: not so in some default configs."""
    vision, wide = config.vision_config, first(config.get_text_config(), "hidden_size")
    own = "hidden_size" if config.model_type == "qwen2_vl" else "out_hidden_size"
    return config.model_type != "hunyuan_vl" and getattr(vision, own, wide) == wide  # that has tokens between rows


def text_with_picture(config: Any) -> dict[str, Given]:
    """Return a text with a picture in its middle, which stands there as as many tokens as are left of its patches."""
    tall, wide = grid(config)
    tokens = tall * wide // first(config, "spatial_merge_size", "merge_size", default=2) ** 2
    half = torch.zeros(text(config)[0] // 2, dtype=torch.int64)
    types = torch.cat([half, torch.ones(tokens, dtype=torch.int64), half])[None]
    return {
        "input_ids": types * first(config, "image_token_id", "image_token_index"),
        "mm_token_type_ids": types,
        "pixel_values": Flat(in_a_row(config)),
        "image_grid_thw": torch.tensor([[1, tall, wide]]),
    }


def in_a_row(config: Any) -> Sizes:
    """Return the sizes of patches one behind the other: their numbers in a row too, but for two families."""
    rows, numbers = patches(config)
    if config.model_type in {"paddleocr_vl", "kimi_k25", "kimi_k25_vision"}:
        return (rows, channels(config), side(config), side(config))
    return (rows, numbers)


def size_of(name: str, module: nn.Module, *, is_needed: bool) -> Sizes | None:
    """Return the sizes of an input, the batch left out; None where they are not known, or it is better left out."""
    config: Any = module.config
    if name == "input_features":
        return spectrogram(module, config)
    if name in DEFAULTS:
        return DEFAULTS[name](config)
    if not is_needed:
        return None
    return features(module, config) if name in FEATURES else NEEDED[name](config) if name in NEEDED else None


def with_pictures(module: nn.Module, known: Sequence[str], found: Mapping[str, Sizes]) -> dict[str, Sizes]:
    """Return the sizes of pictures, one of several or a pair where that is asked for, and of the text they stand in."""
    config: Any = module.config
    changed: dict[str, Sizes] = {}
    if "pixel_attention_mask" in known or config.model_type == "idefics":
        changed["pixel_values"] = (1, *found["pixel_values"])
    elif "aspect_ratio_ids" in known:
        changed["pixel_values"] = (1, config.max_num_tiles, *found["pixel_values"])  # in tiles
    elif type(module).__name__.endswith("KeypointMatching"):
        changed["pixel_values"] = (2, *found["pixel_values"])
    if "input_ids" in found and (tokens := pictured(config)):
        changed["input_ids"] = (found["input_ids"][0] + tokens,)
    return changed


def one_of_each(module: nn.Module, needed: Sequence[str], found: dict[str, Sizes]) -> dict[str, Sizes]:
    """Return the inputs without those that a network takes in place of another: a wave or a spectrogram, sound or text."""
    config: Any = module.config
    main = getattr(getattr(module, "encoder", module), "main_input_name", "")
    sounds = {"input_values", "input_features"}
    if sounds <= found.keys() and not sounds <= set(needed):
        found = {name: size for name, size in found.items() if name == main or name not in sounds}
    if config.model_type == "pop2piano":
        found.pop("input_ids", None)
    return found


def cut_up(config: Any, known: Sequence[str], needed: Sequence[str]) -> dict[str, Given]:
    """Return the patches of one picture, and their layout, for a network that takes pictures of any size in patches."""
    tall, wide = grid(config)
    rows, numbers = patches(config)
    pixels = next((name for name in ("hidden_states", "pixel_values") if name in known), "")
    for name in ("grid_thw", "image_grid_thw"):
        if name in needed and pixels:
            found: dict[str, Given] = {pixels: Flat(in_a_row(config)), name: torch.tensor([[1, tall, wide]])}
            return found | ({"merge_sizes": torch.tensor([2])} if "merge_sizes" in needed else {})
    if "spatial_shapes" in known:
        return {
            "pixel_values": (rows, numbers),
            "pixel_attention_mask": torch.ones(1, rows, dtype=torch.bool),
            "spatial_shapes": torch.tensor([[tall, wide]]),
        }
    if "feature_lens" in known and "input_ids" not in known:
        return {
            "input_features": Flat((first(config, "num_mel_bins"), FRAMES)),
            "feature_lens": torch.tensor([FRAMES]),
        }
    if "target_sizes" in known and "input_ids" not in known:
        return {
            "pixel_values": (channels(config), side(config), rows * side(config)),
            "target_sizes": torch.tensor([[tall, wide]]),
        }
    if "pixel_position_ids" in needed:
        return {
            "pixel_values": (rows, numbers),
            "pixel_position_ids": torch.cartesian_prod(torch.arange(tall), torch.arange(wide))[None],
        }
    return {}


def type_of(name: str, dtype: str) -> str:
    """Return the type of an input, which transformers' names tell."""
    if name.endswith("mask"):
        return "bool"  # true wherever the data are made up: nothing is masked
    whole = name.endswith((
        "ids", "id", "positions", "bbox", "boxes", "labels", "lengths", "timesteps", "seq", "freq", "padding",
    ))  # fmt: skip
    return "int64" if whole else dtype
