"""Decoding with a cache of keys and values: a language model reads a text at once, and then one token after another.

The model keeps what it keeps: its own cache object is filled by the model itself, and grows and slides as that does it.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from archprof.errors import UserError
from archprof.footprint import CACHE, Cache, Live
from archprof.footprint.ledger import Ledger
from archprof.footprint.passes import Way, inference
from archprof.meta import described
from archprof.records import Tensor

TEXT = "input_ids"
PASTS = ("cache", "past_key_values")
"""What transformers calls it, since 5.24 and before."""
PLAIN = Way()


def checked(name: str, module: nn.Module, inputs: Mapping[str, Any]) -> None:
    """Raise UserError where a model takes no cache of what it has read."""
    if getattr(getattr(module, "config", None), "is_encoder_decoder", False):
        raise UserError(f"{name} is an encoder with a decoder: only decoders alone are asked for their cache")
    known = inspect.signature(module.forward).parameters.keys()
    if not {TEXT, "use_cache"} <= known or known.isdisjoint(PASTS) or TEXT not in inputs:
        raise UserError(f"{name} keeps no cache of keys and values: it does not take {TEXT} and {' or '.join(PASTS)}")


def prefilled(
    module: nn.Module,
    inputs: Mapping[str, Any],
    tokens: int,
    on: str = "meta",
    ledger: Ledger | None = None,
    way: Way = PLAIN,
) -> Live:
    """Return the memory of a pass that reads so many tokens at once, of which it makes the last one's output alone."""
    return _read(module, inputs, tokens, None, on, ledger or Ledger(), way)[0]


def decoded(
    module: nn.Module,
    inputs: Mapping[str, Any],
    tokens: int,
    on: str = "meta",
    ledger: Ledger | None = None,
    way: Way = PLAIN,
) -> tuple[Live, Cache]:
    """Return the memory of a pass that reads one token with so many in the cache, and what the cache is then.

    The last of these has been read by itself, as all but the first pass do: a window has slid by then. Raises UserError
    where no cache comes of reading.
    """
    ledger, past = ledger or Ledger(), None
    for number in (tokens - 1, 1) if tokens > 1 else (1,):
        past = _read(module, inputs, number, past, on, Ledger(ledger.memo), way)[1]
    _held(ledger, past)
    live, _ = _read(module, inputs, 1, past, on, ledger, way)
    before, after = (live.by_kind(moment)[CACHE] for moment in (0, live.end))
    if not before:
        raise UserError("it keeps no cache of keys and values")
    batch = _shape(inputs)[0]
    config = getattr(module, "config", None)
    if hasattr(config, "get_text_config"):
        config = config.get_text_config()
    positions = getattr(config, "max_position_embeddings", None)
    return live, Cache(tokens, batch, before, (after - before) // batch, positions)


def _held(ledger: Ledger, past: Any) -> None:
    for name, tensor in tensors_of("", past):
        ledger.hold(tensor, CACHE, name)


def _read(
    module: nn.Module, inputs: Mapping[str, Any], tokens: int, past: Any, on: str, ledger: Ledger, way: Way
) -> tuple[Live, Any]:
    """Return the memory of reading so many tokens after those in a cache, and the cache that comes of it."""
    text = _text(module, inputs, tokens)
    with _kept(module, ledger) as found:
        live = inference(module, text if past is None else {**text, _past(module): past}, on, ledger, way)
    return live, found[-1] if found else None


def _past(module: nn.Module) -> str:
    known = inspect.signature(module.forward).parameters
    return next(name for name in PASTS if name in known)


def _text(module: nn.Module, inputs: Mapping[str, Any], tokens: int) -> dict[str, Any]:
    """Return the arguments that have a model read so many tokens, as in transformers' own loop."""
    batch, dtype = _shape(inputs)
    text = {TEXT: Tensor((batch, tokens), dtype), "use_cache": True}
    is_short = "logits_to_keep" in inspect.signature(module.forward).parameters
    return {**text, "logits_to_keep": 1} if is_short else text


def _shape(inputs: Mapping[str, Any]) -> tuple[int, str]:
    text = inputs[TEXT]
    text = described(text) if isinstance(text, torch.Tensor) else text
    return text.shape[0], text.dtype


@contextlib.contextmanager
def _kept(module: nn.Module, ledger: Ledger) -> Iterator[list[Any]]:
    """Note what a model keeps of a pass as its cache; yields a list that gets the cache."""
    found: list[Any] = []
    name = _past(module)

    def note(_module: nn.Module, _args: Any, result: Any) -> None:
        past = result.get(name) if isinstance(result, Mapping) else getattr(result, name, None)
        for _, tensor in tensors_of("", past):
            block = ledger.block(tensor)
            if block is not None:
                block.kind = CACHE
        found.append(past)

    handle = module.register_forward_hook(note)
    try:
        yield found
    finally:
        handle.remove()


def tensors_of(name: str, value: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors that an object of any nesting holds, with their names; single numbers are none."""
    if isinstance(value, torch.Tensor):
        if value.dim():
            yield name, value
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from tensors_of(f"{name}.{number}", item)
    elif isinstance(value, Mapping) or (hasattr(value, "__dict__") and not isinstance(value, (type, nn.Module))):
        for key, item in (value if isinstance(value, Mapping) else vars(value)).items():
            yield from tensors_of(f"{name}.{key}".strip("."), item)
