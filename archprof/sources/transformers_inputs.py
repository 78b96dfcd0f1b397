"""What transformers' networks are called with: default sizes by the names of their arguments, from their configs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from archprof.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from torch import nn

    from archprof.sources import Wish

TOKENS = 128
"""Tokens of a text, where the network can take so many."""


def inputs_of(module: nn.Module, wish: Wish, dtype: str) -> dict[str, Any]:
    """Return the inputs of a network, batch in front: the sizes wished for, else those that its config suggests.

    Raises UserError for an input that the network does not have.
    """
    parameters = inspect.signature(module.forward).parameters
    known = [name for name, p in parameters.items() if p.kind in {p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY}]
    for unknown in wish.inputs.keys() - set(known):
        raise UserError(f"{type(module).__name__} has no input {unknown!r}; {did_you_mean(unknown, known)}".rstrip("; "))
    sizes = {name: DEFAULTS[name](module.config) for name in known if name in DEFAULTS and name not in wish.inputs}
    found = {name: size for name, size in sizes.items() if size is not None} | dict.fromkeys(wish.inputs, ())
    return {name: wish.tensor(name, found[name], type_of(name, dtype)) for name in known if name in found}


def type_of(name: str, dtype: str) -> str:
    """Return the type of an input, which transformers' names tell."""
    whole = name.endswith(("ids", "id", "mask", "positions", "bbox", "boxes", "labels", "lengths", "timesteps"))
    return "int64" if whole else dtype


def first(config: Any, *names: str, default: Any = None) -> Any:
    """Return the first of these settings that a config, or one within it, has."""
    for part in (config, *(value for value in vars(config).values() if hasattr(value, "model_type"))):
        for name in names:
            if getattr(part, name, None) is not None:
                return getattr(part, name)
    return default


def text(config: Any) -> tuple[int, ...]:
    """Return the tokens of a text, `TOKENS` or as many as there are positions."""
    positions = first(config, "max_position_embeddings", "n_positions", "max_target_positions", default=TOKENS)
    return (min(TOKENS, positions),)


def picture(config: Any) -> tuple[int, ...]:
    """Return channels, height and width."""
    size = first(config, "image_size", default=224)
    if isinstance(size, Mapping):
        size = (size["height"], size["width"])
    height, width = (size, size) if isinstance(size, int) else tuple(size)[:2]
    return (first(config, "num_channels", "in_channels", "in_chans", default=3), height, width)


def spectrogram(config: Any) -> tuple[int, ...]:
    """Return mel bins and frames."""
    return (first(config, "num_mel_bins", default=80), 2 * first(config, "max_source_positions", default=1500))


def decoded(config: Any) -> tuple[int, ...] | None:
    """Return the tokens a decoder beside an encoder reads; None where there is no such decoder."""
    return text(config) if getattr(config, "is_encoder_decoder", False) else None


DEFAULTS: Mapping[str, Callable[[Any], tuple[int, ...] | None]] = {
    "input_ids": text,
    "decoder_input_ids": decoded,
    "pixel_values": picture,
    "input_values": lambda config: (16000,),
    "input_features": spectrogram,
}
"""Sizes of an input from a config, the batch left out, by its name; None where it is better left out."""
