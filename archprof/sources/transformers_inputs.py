"""What transformers' networks are called with: default sizes by the names of their arguments, from their configs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from archprof.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from torch import nn

    from archprof.sources import Wish

TOKENS, FRAMES, SAMPLES = 128, 1000, 16000
"""Tokens of a text where the network can take so many, frames of a spectrogram (10 ms each), samples of sound (one second)."""

Sizes = tuple[int, ...]


def inputs_of(module: nn.Module, wish: Wish, dtype: str) -> dict[str, Any]:
    """Return the inputs of a network, batch in front: the sizes wished for, else those that its config suggests.

    Raises UserError for an input that the network does not have.
    """
    parameters = inspect.signature(module.forward).parameters
    known = [name for name, p in parameters.items() if p.kind in {p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY}]
    for unknown in wish.inputs.keys() - set(known):
        raise UserError(
            f"{type(module).__name__} has no input {unknown!r}; {did_you_mean(unknown, known)}".rstrip("; ")
        )
    sizes = suggested(module.config, known) | dict.fromkeys(wish.inputs, ())
    for name in known:
        if parameters[name].default is inspect.Parameter.empty and name not in sizes:
            raise UserError(
                f"{type(module).__name__} needs the input {name!r} too: --input {name}=SIZES, the batch left out"
            )
    return {name: wish.tensor(name, sizes[name], type_of(name, dtype)) for name in known if name in sizes}


def suggested(config: Any, known: Sequence[str]) -> dict[str, Sizes]:
    """Return the sizes of a network's inputs, the batch left out, as far as its config tells them.

    A text alone stands for a text with pictures or sound where these come in pieces of several sizes.
    """
    found = {name: size for name in known if name in DEFAULTS and (size := DEFAULTS[name](config)) is not None}
    in_pieces = (
        first(config, "image_grid_pinpoints") or getattr(first(config, "vision_config"), "model_type", "") == "pixtral"
    )
    if (in_pieces or IN_PIECES.intersection(known)) and "input_ids" in found:
        found = {name: size for name, size in found.items() if name.endswith("ids")}
    if {"pixel_attention_mask", "image_attention_mask"}.intersection(known) and "pixel_values" in found:
        found["pixel_values"] = (1, *found["pixel_values"])  # one of several pictures
    if "pixel_values" in found and "input_ids" in found:
        found["input_ids"] = (found["input_ids"][0] + pictured(config),)
    return found


def type_of(name: str, dtype: str) -> str:
    """Return the type of an input, which transformers' names tell."""
    whole = name.endswith(("ids", "id", "mask", "positions", "bbox", "boxes", "labels", "lengths", "timesteps", "seq"))
    return "int64" if whole else dtype


def first(config: Any, *names: str, default: Any = None) -> Any:
    """Return the first of these settings that a config, or one within it, has."""
    for part in (config, *(value for value in vars(config).values() if hasattr(value, "model_type"))):
        for name in names:
            if getattr(part, name, None) is not None:
                return getattr(part, name)
    return default


def text(config: Any) -> Sizes:
    """Return the tokens of a text, `TOKENS` or as many as there are positions."""
    positions = first(config, "max_position_embeddings", "n_positions", "max_target_positions", default=TOKENS)
    return (min(TOKENS, positions) if positions > 0 else TOKENS,)  # XLNet has -1, for as many as one likes


def decoded(config: Any) -> Sizes | None:
    """Return the tokens a decoder beside an encoder reads; None where there is no such decoder."""
    return text(config) if getattr(config, "is_encoder_decoder", False) else None


def pictured(config: Any) -> int:
    """Return the tokens that stand for a picture in a text."""
    return first(config, "image_seq_length", "mm_tokens_per_image", "image_seq_len", "num_image_tokens", default=0)


def picture(config: Any) -> Sizes:
    """Return channels, height and width, and the frames before them where it is a clip."""
    size = first(config, "image_size", "crop_size", default=224)
    if isinstance(size, Mapping):
        size = (size["height"], size["width"])
    height, width = (size, size) if isinstance(size, int) else tuple(size)[:2]
    channels = first(config, "num_channels", "in_channels", "in_chans", default=3)
    frames = first(config, "num_frames", "frames_per_clip")
    return (*([frames] if frames else []), channels if isinstance(channels, int) else 3, height, width)


def wave(config: Any) -> Sizes:
    """Return the samples of a sound; a codec has channels before them, and some networks read a spectrogram by this name."""
    bins, frames = first(config, "num_mel_bins"), first(config, "max_length")
    if bins and frames:
        return (frames, bins)
    return (1, SAMPLES) if first(config, "audio_channels", "codebook_size") else (SAMPLES,)


def spectrogram(config: Any) -> Sizes:
    """Return mel bins and frames; frames come first where nothing says how many there are."""
    bins = first(config, "num_mel_bins", default=80)
    if side := first(config, "spec_size"):
        return (1, side * first(config, "freq_ratio", default=4), bins)
    if positions := first(config, "max_source_positions"):
        return (bins, 2 * positions)
    wide = first(
        config,
        "feature_projection_input_dim",
        "input_feat_per_channel",
        "num_mel_channels",
        "input_feat_size",
        "input_dim",
    )
    return (FRAMES, wide or bins)


IN_PIECES = frozenset({
    "image_grid_thw", "input_features_mask", "feature_attention_mask", "aspect_ratio_ids",
    "spatial_shapes", "image_embeds_position_mask", "high_res_pixel_values",
})  # fmt: skip
"""Inputs that say how pictures or sounds of several sizes were cut."""

DEFAULTS: Mapping[str, Callable[[Any], Sizes | None]] = {
    "input_ids": text,
    "decoder_input_ids": decoded,
    "qformer_input_ids": text,
    "bbox": lambda config: (*text(config), 4),
    "pixel_values": picture,
    "pixel_values_videos": picture,
    "flattened_patches": lambda config: (2048, 2 + 3 * first(config, "patch_size", default=16) ** 2),
    "visual_feats": lambda config: (36, first(config, "visual_feat_dim", default=2048)),
    "visual_pos": lambda config: (36, first(config, "visual_pos_dim", default=4)),
    "input_values": wave,
    "input_features": spectrogram,
    "past_values": lambda config: (
        first(config, "context_length", default=512),
        first(config, "num_input_channels", default=1),
    ),
    "states": lambda config: (TOKENS, first(config, "state_dim", default=17)),
    "actions": lambda config: (TOKENS, first(config, "act_dim", default=4)),
    "returns_to_go": lambda _: (TOKENS, 1),
    "timesteps": lambda _: (TOKENS,),
}
"""Sizes of an input from a config, the batch left out, by its name; None where it is better left out."""
