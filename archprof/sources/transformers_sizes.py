"""Default sizes of the inputs of transformers' networks, by the names of their arguments, from their configs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

TOKENS, FRAMES, SAMPLES = 128, 1000, 16000
"""Tokens of a text where the network can take so many, frames of a spectrogram (10 ms each), samples of sound (one second)."""

PICTURE = 224
"""Height and width of a picture where a network takes it in patches, as many as it has, or does not say how large it is."""


class Flat(tuple[int, ...]):
    """Sizes of an input in which the samples of a batch stand one behind the other along the first dimension."""

    __slots__ = ()


Sizes = tuple[int, ...]
Given = Sizes | torch.Tensor
"""Sizes of one sample, the batch left out, or the values of one, where these say how another input is cut."""


def first(config: Any, *names: str, default: Any = None) -> Any:
    """Return the first of these settings that a config, or one within it, has; the outer ones first."""
    level = [config]
    while level:
        for part in level:
            for name in names:
                if getattr(part, name, None) is not None:
                    return getattr(part, name)
        level = [value for part in level for value in vars(part).values() if hasattr(value, "model_type")]
    return default


def text(config: Any) -> Sizes:
    """Return the tokens of a text, `TOKENS` or as many as there are positions."""
    positions = first(config, "max_position_embeddings", "n_positions", "max_target_positions", default=TOKENS)
    tokens = min(TOKENS, positions) if positions > 0 else TOKENS  # XLNet has -1, for as many as one likes
    if config.model_type in {"musicgen_decoder", "musicgen_melody_decoder"}:  # a codebook stands for a sample
        return Flat((config.num_codebooks, tokens))
    return (tokens, config.num_channels) if config.model_type == "dia_decoder" else (tokens,)


def decoded(config: Any) -> Sizes | None:
    """Return the tokens a decoder beside an encoder reads; None where there is no such decoder."""
    if not getattr(config, "is_encoder_decoder", False):
        return None
    decoder = (
        config.decoder_config
        if config.model_type == "dia"
        else config.decoder
        if "musicgen" in config.model_type
        else config
    )
    return text(decoder)


def pictured(config: Any) -> int:
    """Return the tokens that stand for a picture in a text."""
    return first(config, "image_seq_length", "mm_tokens_per_image", "image_seq_len", "num_image_tokens", default=0)


def channels(config: Any) -> int:
    """Return the channels of a picture."""
    found = first(config, "num_channels", "in_channels", "in_chans", default=3)
    return found if isinstance(found, int) else 3


def picture(config: Any) -> Sizes:
    """Return channels, height and width, and the frames before them where it is a clip."""
    size = first(config, "image_size", "crop_size", "max_img_size", default=PICTURE)
    if isinstance(size, Mapping):
        size = (size["height"], size["width"])
    height, width = (size, size) if isinstance(size, int) else tuple(size)[:2]
    frames = first(config, "num_frames", "frames_per_clip", default=4 if config.model_type.endswith("blipvideo") else 0)
    shape = (*([frames] if frames else []), channels(config), height, width)
    return Flat(shape) if config.model_type == "xclip_vision_model" else shape  # its frames are a batch


def clip(config: Any) -> Sizes:
    """Return frames, channels, height and width."""
    sizes = picture(config)
    return sizes if len(sizes) == 4 else (8, *sizes)


def grid(config: Any) -> tuple[int, int]:
    """Return how many patches a picture is high and wide."""
    size = side(config)
    merged = first(config, "spatial_merge_size", "merge_size", "merge_kernel_size", default=2)
    merged = 2 * (merged if isinstance(merged, int) else max(merged))
    tall = max(1, PICTURE // size // merged) * merged  # what is merged, and merged again, comes out even
    return tall, tall


def side(config: Any) -> int:
    """Return the pixels a patch is high and wide."""
    size = first(config, "patch_size", default=16)
    return size if isinstance(size, int) else size[0]


def patches(config: Any) -> Sizes:
    """Return how many patches a picture has, and the numbers in each."""
    tall, wide = grid(config)
    frames = first(config, "temporal_patch_size", "patch_temporal", default=1)
    return (tall * wide, channels(config) * frames * side(config) ** 2)


def wave(config: Any) -> Sizes:
    """Return the samples of a sound; a codec has channels before them, and some networks read a spectrogram by this name."""
    bins, frames = first(config, "num_mel_bins"), first(config, "max_length")
    if bins and frames:
        return (frames, bins)
    return (1, SAMPLES) if first(config, "audio_channels", "codebook_size", "channels") else (SAMPLES,)


def spectrogram(module: nn.Module, config: Any) -> Sizes:
    """Return mel bins and frames; frames come first unless a convolution over them, or their number, tells otherwise."""
    bins = first(config, "num_mel_bins", "feature_size", default=80)
    if config.model_type == "pop2piano":  # it is embedded already
        return (FRAMES, config.d_model)
    if chroma := first(config, "num_chroma"):
        return (FRAMES, chroma)
    if square := first(config, "spec_size"):
        return (1, square * first(config, "freq_ratio", default=4), bins)
    names = "feature_projection_input_dim", "input_feat_per_channel", "num_mel_channels", "input_feat_size", "input_dim"
    if wide := first(config, *names):
        return (FRAMES, wide)
    if positions := first(config, "max_source_positions"):
        return (bins, 2 * positions)
    if first(config, "n_window"):
        return (bins, FRAMES)
    entry = next(layers(module, (nn.Linear, nn.Conv1d, nn.Conv2d)), None)
    if isinstance(entry, nn.Conv1d) and entry.in_channels == bins:
        return (bins, FRAMES)
    if isinstance(entry, nn.Linear) and entry.in_features in range(bins, 4 * bins + 1, bins):
        return (FRAMES, entry.in_features)  # up to four frames in one
    return (FRAMES, bins)


def layers(module: nn.Module, kinds: tuple[type[nn.Module], ...]) -> Iterator[Any]:
    """Yield the layers of these kinds, in the order in which a network has them."""
    return (part for part in module.modules() if isinstance(part, kinds))


def features(module: nn.Module, config: Any) -> Sizes:
    """Return what a part of a network reads from another: a picture or a sound where it begins so, else embedded tokens."""
    entry = next(layers(module, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.LayerNorm)), None)
    if isinstance(entry, nn.Conv2d) and entry.in_channels <= 4:
        return (entry.in_channels, *picture(config)[-2:])
    if isinstance(entry, nn.Conv1d) and entry.groups == 1:
        return (entry.in_channels, SAMPLES if entry.in_channels == 1 else FRAMES)
    if isinstance(entry, nn.Linear):
        return (TOKENS, entry.in_features)
    if isinstance(entry, nn.LayerNorm):
        return (TOKENS, entry.normalized_shape[-1])
    return (TOKENS, first(config, "hidden_size", "d_model", "embed_dim", default=TOKENS))


def lagged(config: Any) -> int:
    """Return the length of a series that is read at lags too; 0 where it is not."""
    lags = getattr(config, "lags_sequence", None)
    return config.context_length + max(lags) if lags else 0


def series(config: Any) -> Sizes:
    """Return the length of a series, and how many there are side by side."""
    if length := lagged(config):
        return (length, config.input_size) if config.input_size > 1 else (length,)
    length = first(config, "context_length", default=512)
    return (length,) if first(config, "horizon_length") else (length, first(config, "num_input_channels", default=1))


def forecast(config: Any) -> Sizes | None:
    """Return the length of what follows a series, where a decoder reads it."""
    if not lagged(config):
        return None
    return (config.prediction_length, config.input_size) if config.input_size > 1 else (config.prediction_length,)


IN_PIECES = frozenset({
    "image_grid_thw", "input_features_mask", "feature_attention_mask", "aspect_ratio_ids", "image_token_pooling",
    "spatial_shapes", "image_embeds_position_mask", "high_res_pixel_values", "num_local_patches", "feature_lens",
})  # fmt: skip
"""Inputs that say how pictures or sounds of several sizes were cut."""

DEFAULTS: Mapping[str, Callable[[Any], Sizes | None]] = {
    "input_ids": text,
    "decoder_input_ids": decoded,
    "qformer_input_ids": text,
    "lang_ids": lambda config: () if config.model_type == "xmod" else None,
    "bbox": lambda config: (*text(config), 4),
    "pixel_values": picture,
    "pixel_values_videos": clip,
    "flattened_patches": lambda config: (2048, 2 + 3 * side(config) ** 2),
    "visual_feats": lambda config: (36, first(config, "visual_feat_dim", default=2048)),
    "visual_pos": lambda config: (36, first(config, "visual_pos_dim", default=4)),
    "input_values": wave,
    "past_values": series,
    "past_time_features": lambda config: (lagged(config), config.num_time_features) if lagged(config) else None,
    "future_values": forecast,
    "future_time_features": lambda config: (
        (config.prediction_length, config.num_time_features) if lagged(config) else None
    ),
    "states": lambda config: (TOKENS, first(config, "state_dim", default=17)),
    "actions": lambda config: (TOKENS, first(config, "act_dim", default=4)),
    "returns_to_go": lambda _: (TOKENS, 1),
    "timesteps": lambda _: (TOKENS,),
}
"""Sizes of an input from a config, the batch left out, by its name; None where it is better left out."""

NEEDED: Mapping[str, Callable[[Any], Sizes | None]] = {
    "image": picture,
    "prompt_pixel_values": picture,
    "prompt_masks": picture,
    "past_observed_mask": series,
    "past_values_padding": series,
    "freq": lambda _: (1,),
    "spectrogram": lambda config: (FRAMES, first(config, "model_in_dim", default=80)),
    "mel_spectrogram": lambda config: (first(config, "mel_dim", default=80), FRAMES),
    "audio_mel": lambda config: (FRAMES, first(config, "input_feat_size", default=80)),
    "audio_mel_mask": lambda _: (FRAMES,),
    "attention_mask": lambda _: (TOKENS,),
    "aspect_ratio_ids": lambda _: (1,),
    "aspect_ratio_mask": lambda config: (1, config.max_num_tiles),
    "latents": lambda config: (TOKENS, first(config, "hidden_size", default=TOKENS)),
}
"""The same of inputs that are given only where a network cannot do without."""

FEATURES = frozenset({
    "hidden_states", "inputs_embeds", "query_embeds", "noise_embeds", "context_hidden_states", "patch_embeds", "context",
})  # fmt: skip
"""Inputs that a part of a network has from another part."""
