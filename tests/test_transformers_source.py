"""Networks of transformers: Llama by hand arithmetic, the others as torch counts them while they run, and what is refused."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from archprof import inputs as given_inputs
from archprof.cli import main
from archprof.pipeline import profile
from archprof.sources import SOURCES, Wish

pytest.importorskip("transformers", reason="transformers is not installed")

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers' own

SMALL = {
    "hidden_size": "64", "intermediate_size": "128", "num_hidden_layers": "2", "num_attention_heads": "4", "vocab_size": "1000",
}  # fmt: skip
GQA = SMALL | {"num_key_value_heads": "2"}
T5 = {
    "d_model": "64",
    "d_ff": "128",
    "num_layers": "2",
    "num_decoder_layers": "2",
    "num_heads": "4",
    "vocab_size": "1000",
}
SPEECH = {
    "d_model": "64", "encoder_layers": "2", "decoder_layers": "2", "encoder_attention_heads": "4",
    "decoder_attention_heads": "4", "encoder_ffn_dim": "128", "decoder_ffn_dim": "128",
}  # fmt: skip
TEXT = {f"text_config.{key}": value for key, value in SMALL.items()}
VISION = {f"vision_config.{key}": value for key, value in SMALL.items() if key != "vocab_size"}
LLAMA_8B = {
    "hidden_size": "4096", "intermediate_size": "14336", "num_hidden_layers": "32", "num_attention_heads": "32",
    "num_key_value_heads": "8", "vocab_size": "128256",
}  # fmt: skip
LLAMA_405B = {
    "hidden_size": "16384", "intermediate_size": "53248", "num_hidden_layers": "126", "num_attention_heads": "128",
    "num_key_value_heads": "8", "vocab_size": "128256",
}  # fmt: skip


def test_llama_is_counted_as_by_hand() -> None:
    found = profile("transformers:llama", {"input_ids": (10,)}, batch=3, settings=GQA)
    # a layer: query and output 64 x 64, key and value 64 x 2 heads of 16, gate, up and down 64 x 128, two norms of 64
    projections = 2 * 64 * 64 + 2 * 64 * 32
    assert projections == 12_288
    layer = projections + 3 * 64 * 128 + 2 * 64
    assert layer == 36_992
    # embedding and head 1000 x 64 each, a norm at the end
    assert found.params == 2 * layer + 2 * 1000 * 64 + 64 == 202_048
    # 3 x 10 tokens through the matrices; 4 query heads, 10 x 10 pairs, 16 features, scores and mixing
    dense = 3 * 10 * (2 * (12_288 + 24_576) + 64_000) + 2 * (3 * 4 * 10 * 10 * (16 + 16))
    assert found.macs == dense == 4_208_640
    # a causal mask leaves 10 * 11 / 2 of 100 pairs
    assert found.totals["effective_macs"] == dense - 2 * 3 * 4 * 45 * 32 == 4_174_080
    assert found.gaps == []


@pytest.mark.parametrize(("settings", "params"), [(LLAMA_8B, 8_030_261_248), (LLAMA_405B, 405_853_388_800)])
def test_llama_has_the_published_parameters(settings: dict[str, str], params: int) -> None:
    found = profile("transformers:llama", settings=settings)
    assert found.params == params
    assert not any("CPU" in note for note in found.notes)
    assert "all is true" in found.notes[0]


def test_a_window_given_as_a_mask_is_dense() -> None:
    wide, narrow = (profile("transformers:mistral", settings=GQA | {"sliding_window": size}) for size in ("4096", "16"))
    assert wide.macs == narrow.macs
    assert narrow.totals["effective_macs"] == narrow.macs > wide.totals["effective_macs"]


def test_experts_cost_what_is_routed_to_them() -> None:
    one, two = (
        profile(
            "transformers:mixtral",
            settings=GQA | {"num_local_experts": "4", "num_experts_per_tok": str(chosen)},
        )
        for chosen in (1, 2)
    )
    assert one.params == two.params
    assert two.macs - one.macs == 2 * 128 * 3 * 64 * 128  # two layers, 128 tokens, gate, up and down of one more expert


def counted(model: str, settings: dict[str, str]) -> tuple[int, int]:
    """Return parameters and MACs by torch's counter, on the CPU, attention as matrix products, experts one by one."""
    opened = SOURCES["transformers"].function(model, Wish(settings=settings))
    assert opened.real is not None
    module: Any = opened.real().eval().requires_grad_(False)
    if hasattr(module, "set_experts_implementation"):
        module.set_experts_implementation("eager")
    args, kwargs = given_inputs.call(module.forward, given_inputs.on("cpu", opened.inputs))
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        module(*args, **kwargs)
    return sum(p.numel() for p in module.parameters()), counter.get_total_flops() // 2


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("llama", GQA),
        ("qwen3", GQA | {"head_dim": "16"}),
        ("mistral", GQA | {"sliding_window": "16"}),
        ("mixtral", GQA | {"num_local_experts": "4"}),
        ("gpt2", {"n_embd": "64", "n_layer": "2", "n_head": "4", "vocab_size": "1000"}),
        ("bert", SMALL),
        ("t5", T5),
        ("bart", SPEECH | {"vocab_size": "1000"}),
        ("vit", SMALL | {"image_size": "64"}),
        ("beit", SMALL | {"image_size": "64"}),
        ("whisper", SPEECH | {"max_source_positions": "100"}),
        ("audio-spectrogram-transformer", SMALL | {"max_length": "64"}),
        ("clip", TEXT | VISION),
        ("mamba", {"hidden_size": "64", "num_hidden_layers": "2", "vocab_size": "1000", "state_size": "4"}),
    ],
)
def test_counts_are_those_of_torch(model: str, settings: dict[str, str]) -> None:
    settings = {
        key: value
        for key, value in settings.items()
        if not (model in {"vit", "beit", "audio-spectrogram-transformer"} and key == "vocab_size")
    }
    found = profile(f"transformers:{model}", settings=settings)
    assert (found.params, found.macs) == counted(model, settings)
    assert found.gaps == []
    assert not any("CPU" in note for note in found.notes)


QWEN_VISION = {"embed_dim": "64", "depth": "2", "num_heads": "4", "hidden_size": "96"}
SPEECH_ENCODER = {key: value for key, value in SPEECH.items() if "decoder" not in key}
SIGLIP = SMALL | {"num_patches": "256"}
SERIES = {
    "prediction_length": "24", "d_model": "64", "encoder_layers": "2", "decoder_layers": "2",
    "encoder_attention_heads": "4", "decoder_attention_heads": "4",
}  # fmt: skip


@pytest.mark.parametrize(
    ("model", "settings", "inputs"),
    [
        ("qwen2_vl_vision", QWEN_VISION, {"hidden_states": "256x1176", "grid_thw": "1x3"}),  # 16 x 16, 3 x 2 x 14 x 14
        (
            "siglip2_vision_model",
            {key: value for key, value in SIGLIP.items() if key != "vocab_size"},
            {"pixel_values": "1x144x768", "pixel_attention_mask": "1x144", "spatial_shapes": "1x2"},
        ),
        ("bridgetower_vision_model", {"num_hidden_layers": "2"}, {"image": "1x3x288x288"}),
        ("time_series_transformer", SERIES, {"past_values": "1x31", "future_values": "1x24"}),  # 24 and 7 lags
        ("musicgen_decoder", {"hidden_size": "64", "num_hidden_layers": "2"}, {"input_ids": "4x128"}),
        ("audioflamingo3_encoder", SPEECH_ENCODER, {"input_features": "1x128x3000"}),
        ("speecht5_hifigan", {"upsample_initial_channel": "32"}, {"spectrogram": "1x1000x80"}),
    ],
)
def test_parts_and_patches_have_inputs_of_their_own(
    model: str, settings: dict[str, str], inputs: dict[str, str]
) -> None:
    found = profile(f"transformers:{model}", settings=settings)
    shapes = {op.name: str(op.outputs[0]) for op in found.network.inputs}
    assert inputs.items() <= shapes.items()
    assert (found.params, found.macs) == counted(model, settings)
    assert found.gaps == []
    assert not any("CPU" in note for note in found.notes)


def test_patches_of_a_batch_stand_in_a_row() -> None:
    one, three = (profile("transformers:qwen2_vl_vision", batch=batch, settings=QWEN_VISION) for batch in (1, 3))
    assert {op.name: str(op.outputs[0]) for op in three.network.inputs} == {
        "hidden_states": "768x1176",
        "grid_thw": "3x3",
    }
    # a patch of 3 x 2 x 14 x 14 to 64; two layers of query, key, value and output and an MLP of 4 x 64; attention of 256
    # patches with each other; 2 x 2 patches merged through 256 x 256 and 256 x 96
    layer = 256 * (4 * 64 * 64 + 2 * 64 * 256) + 2 * 256 * 256 * 64
    assert one.macs == 256 * 1176 * 64 + 2 * layer + 64 * (256 * 256 + 256 * 96)
    assert three.macs == 3 * one.macs  # each picture looks at itself alone
    flop_counter = next(count for count in one.verify().counts if count.tool == "FlopCounterMode")
    assert flop_counter.on == "cpu"  # where there are values to be asked for, and no formula for attention
    assert flop_counter.total == one.macs - 2 * 2 * 256 * 256 * 64


def test_a_picture_stands_in_a_text_by_default_where_its_places_are_told(tmp_path: Path) -> None:
    vision = {f"vision_config.{key}": value for key, value in (QWEN_VISION | {"hidden_size": "64"}).items()}
    settings = TEXT | vision | {"text_config.num_key_value_heads": "2", "image_token_id": "900"}
    config = {
        "model_type": "qwen2_vl",
        "text_config": {
            "model_type": "qwen2_vl_text",
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]},
        },
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = profile(f"transformers:{tmp_path}", settings=settings)
    alone = profile(f"transformers:{tmp_path}", {"input_ids": (128,)}, settings=settings)
    assert (found.params, found.macs) == counted(str(tmp_path), settings)
    # 16 x 16 patches of 3 x 2 x 14 x 14, of which 2 x 2 make a token
    assert {op.name: str(op.outputs[0]) for op in found.network.inputs} == {
        "input_ids": "1x192", "pixel_values": "256x1176", "image_grid_thw": "1x3", "mm_token_type_ids": "1x192",
    }  # fmt: skip
    assert not any("CPU" in note or "text alone" in note for note in found.notes)
    assert [op.name for op in alone.network.inputs] == ["input_ids"]
    assert any("text alone" in note for note in alone.notes)


def test_a_loop_that_ends_where_all_of_any_are_true_runs_on() -> None:
    # the head makes at most `max_text_length` tokens and one more, and ends before where all have ended
    short, long = (profile("transformers:slanet", settings={"max_text_length": str(length)}).macs for length in (1, 2))
    assert long > short


def test_networks_with_pictures_in_pieces_are_text_alone_and_say_so() -> None:
    found = profile("transformers:llava_next", settings=TEXT | VISION)
    assert [op.name for op in found.network.inputs] == ["input_ids"]
    assert any("text alone" in note for note in found.notes)
    assert not any("text alone" in note for note in profile("transformers:llama", settings=GQA).notes)


def test_sound_is_mel_bins_first_where_a_convolution_takes_them() -> None:
    # the first layer of clvp's conditioning encoder is a convolution over 80 mel bins
    found = profile("transformers:clvp")
    assert str(next(op for op in found.network.inputs if op.name == "input_features").outputs[0]) == "1x80x1000"


def test_pictures_lengthen_the_text_they_stand_in() -> None:
    settings = TEXT | VISION | {"vision_config.image_size": "56", "image_seq_length": "16"}
    found = profile("transformers:llava", settings=settings)
    assert {op.name: str(op.outputs[0]) for op in found.network.inputs} == {
        "input_ids": "1x144", "pixel_values": "1x3x56x56",
    }  # fmt: skip


def test_a_config_of_a_file_names_its_class_and_type(tmp_path: Path) -> None:
    config = {
        "model_type": "bert", "architectures": ["BertForSequenceClassification"], "dtype": "bfloat16", "hidden_size": 64,
        "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 1000,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = profile(f"transformers:{tmp_path}", {"input_ids": (7,)}, batch=2, settings={"num_hidden_layers": "1"})
    # embeddings (1000 + 512 + 2) x 64 and a norm; a layer of 4 x (64*64 + 64), (64*128 + 128), (128*64 + 64) and two norms;
    # pooler 64*64 + 64; two classes
    embeddings, layer = 1514 * 64 + 128, 4 * 4160 + 8320 + 8256 + 2 * 128
    assert found.params == embeddings + layer + 4160 + 130
    assert found.totals["param_bytes"] == 2 * found.params
    assert str(found.network.inputs[0].outputs[0]) == "2x7"
    assert found.network.inputs[0].outputs[0].dtype == "int64"


def test_a_config_without_a_bound_on_positions_takes_the_usual_text() -> None:
    settings = {"d_model": "64", "n_layer": "1", "n_head": "4", "d_inner": "128", "vocab_size": "1000"}
    assert str(profile("transformers:xlnet", settings=settings).network.inputs[0].outputs[0]) == "1x128"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["transformers:lama"], "no model type 'lama', and there is no such file; did you mean 'llama'?"),
        (["transformers:meta-llama/Llama-3.1-8B"], "there is no such file; nothing is downloaded: give a config.json"),
        (["transformers:llama", "--set", "hiden_size=64"], "has no setting 'hiden_size'; did you mean 'hidden_size'?"),
        (["transformers:llava", "--set", "text_config.hiden_size=64"], "llama has no setting 'hiden_size'"),
        (["transformers:llama", "--set", "hidden_size.x=64"], "'hidden_size' has no settings of its own"),
        (["transformers:llama", "--set", "hidden_size='wide'"], "LlamaConfig cannot be made"),
        ([f"transformers:{'x' * 300}"], "and there is no such file"),
        (["transformers:llama", "--input", "input_id=64"], "no input 'input_id'; did you mean 'input_ids'?"),
    ],
)
def test_a_mistake_is_told_in_one_line(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(main, ["show", *arguments])
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model_type": "llama", "auto_map": {"AutoModel": "m.Net"}}, "names code of its own"),
        ({"model_type": "lama"}, "did you mean 'llama'?"),
        ({"hidden_size": 64}, "it has no model_type"),
        ({"model_type": "llama", "architectures": [1]}, "no architecture 1, which"),
        ({"model_type": "llama", "architectures": ["LamaForCausalLM"]}, "has no architecture 'LamaForCausalLM'"),
    ],
)
def test_a_file_that_is_none_of_transformers_is_refused(tmp_path: Path, config: dict[str, Any], said: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    result = CliRunner().invoke(main, ["show", f"transformers:{path}"])
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("layers", ["'x'", "4.0"])
def test_layers_that_are_no_whole_number_are_refused(tmp_path: Path, layers: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(
        json.dumps({"model_type": "gemma3_text", "layer_types": ["full_attention"], "num_hidden_layers": 1})
    )
    result = CliRunner().invoke(main, ["show", f"transformers:{path}", "--set", f"num_hidden_layers={layers}"])
    assert result.exit_code == 2
    assert "Gemma3TextConfig cannot be made" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_class_whose_libraries_are_missing_says_so_when_it_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    class Missing(type):
        def __getattr__(cls, name: str) -> Any:
            raise ImportError(f"needs a library for {name}")

    auto = importlib.import_module("transformers.models.auto.modeling_auto")
    bert = importlib.import_module("transformers").BertConfig
    monkeypatch.setattr(auto, "MODEL_FOR_MASKED_LM_MAPPING", {bert: Missing("Net", (), {})})
    result = CliRunner().invoke(main, ["show", "transformers:bert"])
    assert result.exit_code == 2
    assert "Net cannot be built: needs a library for _from_config" in result.stderr
    assert result.stderr.count("\n") == 1
