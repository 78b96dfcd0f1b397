"""Every model type of transformers, made small from its default config, against an oracle."""

from __future__ import annotations

import functools
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import transformers
from coverage_rows import Note, compared, counted

import archprof
from archprof.errors import ArchprofError
from archprof.sources import SOURCES, Wish

LAYERS = dict.fromkeys(
    ["num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers", "num_encoder_layers", "num_decoder_layers", "text_encoder_layers", "decoder_num_hidden_layers", "encoder_num_hidden_layers", "num_blocks_layers"], 2
)  # fmt: skip
WIDTHS = (
    dict.fromkeys(["hidden_size", "d_model", "n_embd", "embed_dim", "dim", "projection_dim", "out_hidden_size"], 64)
    | dict.fromkeys(
        ["num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads", "decoder_attention_heads"],
        4,
    )
    | dict.fromkeys(["num_key_value_heads"], 2)
    | dict.fromkeys(["head_dim"], 16)
    | dict.fromkeys(
        [
            "intermediate_size",
            "ffn_dim",
            "n_inner",
            "encoder_ffn_dim",
            "decoder_ffn_dim",
            "d_ff",
            "moe_intermediate_size",
        ],
        128,
    )
)
SIZES = (
    {"vocab_size": 1000, "mm_tokens_per_image": 49}
    | dict.fromkeys(["num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts"], 4)
    | dict.fromkeys(["num_experts_per_tok", "top_k", "moe_topk", "moe_k"], 2)
)
STEPS = (("small", LAYERS | SIZES | WIDTHS), ("short", LAYERS | SIZES), ("few layers", LAYERS), ("default", {}))
UNSET: dict[str, Any] = WIDTHS | SIZES | {
    "prediction_length": 24, "n_group": 1, "topk_group": 1, "pad_token_id": 0, "mask_token_id": 4, "n_shared_experts": 1,
    "sliding_window": 64, "shared_expert_intermediate_size": 128, "top_k_experts": 2,
    "layer_types": "['full_attention', 'full_attention']",
}  # fmt: skip
"""What is set where a config leaves it open and the network cannot be built, or run, without."""
SECTIONS = {
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 10000.0,
        "mrope_section": [2, 3, 3],
        "partial_rotary_factor": 1.0,
    }
}
"""Parts of a head of 16 features, for networks whose default config splits another number than it has."""
LARGEST = 400_000_000
"""Parameters beyond which no oracle runs."""
UNBUILT = ("has no network", "cannot be built", "cannot be made")
TRYING_S = 15
"""No larger network is tried after so many seconds."""


def smaller(config: Any, sizes: dict[str, int], prefix: str = "", *, unset: bool = False) -> dict[str, str]:
    """Return the settings that make a config smaller, those of configs within it too; and set what is `unset`."""
    found: dict[str, str] = {}
    for name, value in vars(config).items():
        if isinstance(value, transformers.PreTrainedConfig):
            found |= smaller(value, sizes, f"{prefix}{name}.", unset=unset)
        elif type(value) is int and name in sizes and value > sizes[name]:
            found[prefix + name] = str(sizes[name])
        elif value is None and unset and name in UNSET:
            found[prefix + name] = str(UNSET[name])
        elif (
            type(value) is int
            and value >= 1000
            and name.endswith(("token_id", "token_index"))
            and "vocab_size" in sizes
        ):
            found[prefix + name] = str(900 + len(found))
    return found


def with_sections(model: str) -> str:
    """Return a config.json of a type in which heads are split as they are wide once it is made small; "" if none are."""
    config = transformers.CONFIG_MAPPING[model]()
    given: dict[str, Any] = {"model_type": model}
    for name, part in (("", config), *vars(config).items()):
        if hasattr(part, "rope_parameters") and "vision" not in part.model_type:
            given |= {name: {"model_type": part.model_type, **SECTIONS}} if name else SECTIONS
    if len(given) == 1:
        return ""
    path = Path(tempfile.mkdtemp()) / "config.json"
    path.write_text(json.dumps(given))
    return str(path)


def names() -> list[str]:
    """Return all model types."""
    return list(transformers.CONFIG_MAPPING.keys())


def warm() -> None:
    """Import what all need."""
    for model in ("bert", "vit", "llama"):
        row(model)


def oracle(model: str, settings: dict[str, str]) -> tuple[int, int]:
    """Return parameters, and MACs as torch counts them while the model itself runs on the CPU."""
    opened = SOURCES["transformers"].function(model, Wish(settings=settings))
    assert opened.real is not None
    torch.manual_seed(0)  # the random weights of the profile, whose lengths and choices depend on them
    module = opened.real()
    if hasattr(module, "set_experts_implementation"):
        module.set_experts_implementation("eager")  # a product an expert: the counter has no formula for grouped ones
    return sum(p.numel() for p in module.parameters()), counted(module, opened.inputs, "cpu")


def whose(failed: list[tuple[str, dict[str, str], ArchprofError]]) -> str:
    """Return the verdict on a network that no try profiles: does it run by itself, without us, on the same inputs?"""
    said = str(failed[-1][2])  # as it comes, where there was time for that
    if any(reason in said for reason in UNBUILT):
        return "not built"  # our recorder has not begun
    if "needs the input" in said or "needs inputs" in said:
        return "needs more"
    built = [tried for tried in failed if not any(reason in str(tried[2]) for reason in UNBUILT)]
    if not built:
        return "not built"
    name, settings, _ = built[0]  # the smallest
    try:
        oracle(name, settings)
    except Exception:
        return "needs more"
    return "fails"


def tries(model: str, config: Any) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield ever larger networks of a type: what their size is called, the model's name, its settings."""
    (small, sizes), *larger = STEPS
    alike = {name: size for name, size in sizes.items() if name != "head_dim"} | {"num_key_value_heads": 4}
    filled = smaller(config, sizes, unset=True)
    yield small, model, smaller(config, sizes)
    yield "small, filled in", model, filled
    yield "small, heads alike", model, smaller(config, alike, unset=True)
    if split := with_sections(model):
        yield "small, split", split, filled
    for size, sizes in larger:
        yield size, model, smaller(config, sizes)


def row(model: str, note: Note = lambda _: None) -> dict[str, Any]:
    """Return what archprof and the oracle count of a type's network."""
    began = time.monotonic()
    try:
        config = transformers.CONFIG_MAPPING[model]()
    except Exception as error:
        return {"verdict": "not built", "why": f"no default config: {error}"}
    failed: list[tuple[str, dict[str, str], ArchprofError]] = []
    for size, name, settings in tries(model, config):
        if failed and time.monotonic() - began > TRYING_S:
            break
        try:
            profile = archprof.profile(f"transformers:{name}", settings=settings)
        except ArchprofError as error:
            failed.append((name, settings, error))
            continue
        said = "" if profile.params <= LARGEST else "too large for the oracle"
        return {"size": size, **compared(profile, functools.partial(oracle, name, settings), said, note)}
    return {"verdict": whose(failed), "why": str(failed[-1][2])[:400]}
