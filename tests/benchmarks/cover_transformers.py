"""Every model type of transformers, made small: is it traced, and are its counts those of torch's own counter?

`python tests/benchmarks/cover_transformers.py [TYPE ...] > coverage.tsv`: one row a type, the sums on the standard error.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import transformers
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import archprof
from archprof import inputs as given_inputs
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
LIMIT_S = 24


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


def run(model: str, settings: dict[str, str], *, counted: bool) -> tuple[int, int]:
    """Return parameters and, where `counted`, MACs as torch counts them while the model itself runs on the CPU."""
    opened = SOURCES["transformers"].function(model, Wish(settings=settings))
    assert opened.real is not None
    torch.manual_seed(0)
    module = opened.real().eval()
    if hasattr(module, "set_experts_implementation"):
        module.set_experts_implementation("eager")  # a product an expert: the counter has no formula for grouped ones
    params = sum(p.numel() for p in module.parameters())
    module.requires_grad_(False)
    args, kwargs = given_inputs.call(module.forward, given_inputs.on("cpu", opened.inputs))
    torch.backends.mha.set_fastpath_enabled(False)
    os.environ["TRANSFORMERS_DISABLE_TORCH_CHECK"] = "1"  # inputs are zeros, so that there are no image tokens
    counter = FlopCounterMode(display=False) if counted else contextlib.nullcontext()
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        module(*args, **kwargs)
    return params, counter.get_total_flops() // 2 if isinstance(counter, FlopCounterMode) else 0


def whose(failed: list[tuple[str, dict[str, str], ArchprofError]]) -> str:
    """Return the verdict on a network that no try profiles: does it run by itself, without us, on the same inputs?"""
    said = str(failed[-1][2])  # as it comes, where there was time for that
    if "has no network for the model type" in said:
        return "no network"
    if "cannot be built" in said or "cannot be made" in said:
        return "cannot be built"  # by transformers itself: our recorder has not begun
    if "needs the input" in said or "needs inputs" in said:
        return "inputs of its own"
    name, settings, _ = next(
        tried for tried in failed if "cannot be" not in str(tried[2])
    )  # the smallest that is built
    try:
        run(name, settings, counted=False)
    except Exception:
        return "fails by itself"
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


def row(model: str, note: Callable[[dict[str, Any]], None] = lambda _: None) -> dict[str, Any]:
    """Return what is found of one model type, and `note` it before an oracle that may take too long."""
    found: dict[str, Any] = {"type": model, "result": "", "size": ""}
    began = time.monotonic()
    try:
        config = transformers.CONFIG_MAPPING[model]()
    except Exception as error:
        return found | {"result": "no default config", "why": " ".join(str(error).split())[:300]}
    profile, name, settings = None, model, {}
    failed: list[tuple[str, dict[str, str], ArchprofError]] = []
    for size, name, settings in tries(model, config):
        if time.monotonic() - began > LIMIT_S / 2:
            break
        try:
            profile = archprof.profile(f"transformers:{name}", settings=settings)
        except ArchprofError as error:
            failed.append((name, settings, error))
        except Exception as error:
            found["result"] = "BUG"
            found["why"] = "".join(traceback.format_exception(error)[-3:]).replace("\n", " | ")
            return found
        else:
            found["size"] = size
            break
    if profile is None:
        why = " ".join(str(failed[-1][2]).split())[:400]
        return found | {"result": whose(failed), "why": why}
    found |= {"params": profile.params, "macs": profile.macs, "ops": len(profile.network.ops)}
    found["on"] = "cpu" if any("CPU" in note for note in profile.notes) else "meta"
    found["notes"] = "; ".join(profile.notes)
    found["gaps"] = ",".join(sorted({gap.reason for gap in profile.gaps}))
    found["seconds"] = round(time.monotonic() - began, 1)
    if profile.params > LARGEST:
        return found | {"result": "no oracle", "why": "too large"}
    note(found | {"result": "no oracle", "why": "it takes too long"})
    try:
        params, macs = run(name, settings, counted=True)
    except Exception as error:
        return found | {"result": "no oracle", "why": " ".join(str(error).split())[:300]}
    found |= {"oracle_params": params, "oracle_macs": macs}
    same = params == profile.params and macs == profile.macs
    return found | {
        "result": "gap" if profile.gaps else "exact" if same else "params" if params != profile.params else "macs"
    }


def timed(model: str) -> dict[str, Any]:
    """Return the row of a type, from a process of its own that has a time limit."""
    with tempfile.TemporaryFile("w+") as file:

        def write(found: dict[str, Any]) -> None:
            file.seek(0)
            file.truncate()
            json.dump(found, file)
            file.flush()

        pid = os.fork()
        if pid == 0:
            signal.alarm(LIMIT_S)
            with contextlib.suppress(BaseException):
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                os.dup2(1, 2)
                write(row(model, write))
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        file.seek(0)
        text = file.read()
    return json.loads(text) if text else {"type": model, "result": "killed", "why": f"time or memory ({status})"}


COLUMNS = [
    "type",
    "result",
    "size",
    "on",
    "params",
    "oracle_params",
    "macs",
    "oracle_macs",
    "gaps",
    "seconds",
    "ops",
    "why",
    "notes",
]


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    models = sys.argv[1:] or list(transformers.CONFIG_MAPPING.keys())
    for model in ("bert", "vit", "llama"):
        row(model)  # what they import is there for all
    print("\t".join(COLUMNS))
    count: collections.Counter[str] = collections.Counter()
    for found in map(timed, models):
        count[found["result"]] += 1
        print("\t".join(str(found.get(column, "")) for column in COLUMNS), flush=True)
    print(dict(count), file=sys.stderr)


if __name__ == "__main__":
    main()
