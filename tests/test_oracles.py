"""Counts against two oracles: torch's formulas op by op, other tools on the whole model; every difference has a name."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from rich.console import Console
from torch import nn
from torch.nn import functional
from torch.overrides import handle_torch_function, has_torch_function

import archprof
from archprof import Facts, progress
from archprof.cli import main
from archprof.errors import UnknownName, UserError
from archprof.ops import RULES
from archprof.pipeline import profile
from archprof.verify import Check, Count, Difference, Verification


class Of(nn.Module):
    """A function of the input and of modules."""

    def __init__(self, function: Callable[..., Any], *parts: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(parts)

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(x, *self.parts)


def verified(module: nn.Module, *size: int) -> Verification:
    return profile(module.eval(), size).verify()


# -- rules against torch -----------------------------------------------------------------------------------------------

LAYERS: dict[str, tuple[nn.Module, tuple[int, ...], int]] = {
    # 2 samples x 5 steps x 4 gates x 6 units x (8 + 6), then x (12 + 6), in two directions
    "lstm": (nn.LSTM(8, 6, 2, batch_first=True, bidirectional=True), (2, 5, 8), 2 * 5 * 24 * (14 + 18) * 2),
    "projected lstm": (nn.LSTM(8, 6, proj_size=3), (5, 2, 8), 2 * 5 * (24 * 11 + 6 * 3)),
    "gru": (nn.GRU(8, 6), (5, 2, 8), 2 * 5 * 18 * 14),
    "cell": (nn.LSTMCell(8, 6), (2, 8), 2 * 24 * 14),
    # 4 projections of 5 tokens, and two products of 5 x 5 x 8
    "attention": (Of(lambda x, part: part(x, x, x), nn.MultiheadAttention(8, 2, batch_first=True)), (2, 5, 8),
                  2 * (4 * 5 * 64 + 2 * 25 * 8)),
    "encoder": (nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2), (2, 5, 8),
                2 * 2 * (4 * 5 * 64 + 2 * 25 * 8 + 2 * 5 * 8 * 16)),
    "causal attention": (Of(lambda x: functional.scaled_dot_product_attention(x, x, x, is_causal=True)), (2, 2, 5, 8),
                         2 * 2 * 2 * 25 * 8),
    "transposed convolution": (nn.ConvTranspose2d(8, 4, 3, stride=2, groups=2, output_padding=1), (1, 8, 7, 7),
                               49 * 8 * 2 * 9),
    "grouped convolution": (nn.Conv2d(8, 16, 3, groups=4, dilation=2, padding="same"), (1, 8, 7, 7), 49 * 16 * 2 * 9),
    "einsum": (Of(lambda x: torch.einsum("bij,bkj->bik", x, x)), (2, 5, 8), 2 * 25 * 8),
    "einsum of three": (Of(lambda x: torch.einsum("bij,bkj,bkl->bil", x, x, x)), (2, 5, 8), 2 * 2 * 25 * 8),
    "vectors": (Of(lambda x: torch.addmv(x[:, 0], x, x[0]).dot(x @ x[0])), (5, 8), 40 + 40 + 5),
    "sums of products": (Of(lambda x: torch.addbmm(x[0, :, :5], x, x.transpose(1, 2))), (2, 5, 8), 2 * 25 * 8),
    "embedding": (Of(lambda x, part: part(x.long()), nn.Embedding(10, 4)), (2, 5), 0),
    "resampling": (Of(lambda x: functional.interpolate(x, scale_factor=2, mode="bicubic")), (1, 8, 4, 4), 0),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_a_rule_counts_what_torch_counts_in_its_decomposition(name: str) -> None:
    module, size, macs = LAYERS[name]
    found = verified(module, *size)
    assert [check.outcome for check in found.checks] == ["equal"] * len(found.checks)
    assert sum((check.decomposition or 0) * len(check.ops) for check in found.checks) == macs == found.macs
    assert found.is_right
    assert [dict(count.unexplained) for count in found.counts] == [{}, {}]


def test_where_torch_has_no_formula_nothing_is_called_equal() -> None:
    found = verified(Of(lambda x, part: part(x, x), nn.Bilinear(8, 8, 3)), 2, 8)
    (check,) = found.checks
    assert (check.outcome, check.decomposition, check.reason) == (
        "no oracle", None, "torch has no formula for _trilinear",
    )  # fmt: skip
    assert found.is_right


def test_a_sum_of_one_element_is_counted_though_aten_only_multiplies() -> None:
    found = verified(Of(lambda x: torch.einsum("bxd,byd->bxy", x, x)), 2, 8, 1)
    (check,) = found.checks
    assert check.rule == 2 * 8 * 8 * 1
    assert (check.outcome, check.reason) == (
        "no oracle", "ATen multiplies elementwise where what is summed has one element",
    )  # fmt: skip
    assert found.is_right


def test_an_op_without_a_rule_is_no_equal_either(profiled) -> None:
    found = profiled("gap").verify()
    assert [check.kind for check in found.of("no oracle")] == ["mystery"]
    assert found.of("no oracle")[0].reason == "no rule for 'mystery'"


def twice(x: torch.Tensor) -> torch.Tensor:
    return handle_torch_function(twice, (x,), x) if has_torch_function((x,)) else x @ x


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that forgets an axis."""
    len(RULES)
    monkeypatch.setattr(RULES, "_entries", dict(RULES))

    @archprof.rule("twice", shape=lambda x: x)
    def rule(out, x):  # noqa: ARG001
        return Facts(macs=x.elements)


@pytest.mark.usefixtures("wrong")
def test_a_wrong_rule_differs() -> None:
    found = verified(Of(twice), 5, 5)
    (check,) = found.checks
    assert (check.kind, check.outcome, check.rule, check.decomposition) == ("twice", "differs", 25, 125)
    assert not found.is_right
    assert "differs: twice of 5x5 (twice): rule 25, torch 125 MACs" in str(found)
    assert "rules differ" in str(found)


PLUGIN = '''
import archprof
from torch.overrides import handle_torch_function, has_torch_function

def squared(x):
    return handle_torch_function(squared, (x,), x) if has_torch_function((x,)) else x @ x

@archprof.rule("squared", shape=lambda x: x)
def rule(out, x):
    """[n, n] -> [n, n]

    MACs: n x n, which is wrong."""
    return archprof.Facts(macs=x.elements)

@archprof.layer
def Squared(x, /):
    """x times x."""
    return squared
'''

SPEC = """\
archprof: 1
name: wrong
inputs:
  x: float32[5]
steps:
  - Squared
"""


def test_a_wrong_rule_of_a_plug_in_is_exit_code_1(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    from archprof.layers import LAYERS as KNOWN

    for registry in (KNOWN, RULES):
        len(registry)
        monkeypatch.setattr(registry, "_entries", dict(registry))
    (tmp_path / "mine.py").write_text(PLUGIN)
    (tmp_path / "wrong.yaml").write_text(SPEC)
    words = ["verify", str(tmp_path / "wrong.yaml"), "--plugin", str(tmp_path / "mine.py"), "--batch", "5"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1, result.output
    assert "rule 25, torch 125 MACs" in result.output


def test_what_archprof_itself_writes_another_way_is_said() -> None:
    found = profile("lenet5-1998").verify()
    reasons = {check.kind: check.reason for check in found.of("no oracle")}
    assert reasons.keys() == {"sparse_conv2d", "rbf"}
    # 60 of the 6 x 16 pairs of maps are connected, and the code masks a dense kernel: 100 places x 25 x 6 x 16
    assert reasons["sparse_conv2d"].endswith("goes another way (240,000 MACs)")
    assert found.is_right
    assert [dict(count.unexplained) for count in found.counts] == [{}, {"conv": 240_000}]


# -- whole models against other tools ----------------------------------------------------------------------------------


def test_every_difference_of_vit_b_16_is_named_to_the_last_mac() -> None:
    flop_counter, fvcore = profile("vit-b-16").verify().counts
    # 12 layers, 197 tokens of 768: 4 projections, two products, an MLP of 3072; patches of 16 x 16 x 3; the head
    ours = 12 * 197 * (4 * 768**2 + 2 * 197 * 768 + 2 * 768 * 3072) + 196 * 768 * 768 + 768 * 1000
    assert flop_counter == Count("FlopCounterMode", "meta", ours, ours)
    fused = Difference(
        "multi_head_attention_forward", -12 * 2 * 197**2 * 768, "fused scores, or scores with a mask, counted 0"
    )
    norms = Difference("layer_norm", 25 * 197 * 768 * 5, "5 counted per element read")
    assert (fvcore.on, fvcore.total, fvcore.macs) == ("cpu", 16_867_412_736, ours)
    assert fvcore.differences == (fused, norms)
    assert fvcore.is_explained
    assert fvcore.total == ours + fused.macs + norms.macs


@pytest.mark.parametrize("name", ["torchvision:swin_t", "lenet5", "squeezenet-1.1"])
def test_a_network_verifies_without_a_rest(name: str) -> None:
    if ":" in name:
        pytest.importorskip("torchvision", reason="torchvision is not installed")
    size = {"x": [3, 64, 64]} if ":" in name else {}
    found = profile(name, size).verify()
    assert {check.outcome for check in found.checks} == {"equal"}
    assert [count.is_explained for count in found.counts] == [True, True]


def test_what_a_tool_leaves_out_has_its_reason() -> None:
    net = Of(lambda x, part: part(x)[0] + x.mv(x[0])[:, None], nn.LSTM(8, 8))
    flop_counter, fvcore = verified(net, 5, 8).counts
    assert flop_counter.differences == (Difference("mv", -40, "counted 0: torch has no formula for mv"),)
    assert fvcore.differences == (
        Difference("lstm", -5 * 4 * 8 * 16, "counted 0: fvcore has no handle"),
        Difference("mv", -40, "counted 0: fvcore has no handle"),
    )


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of torch.jit, when fvcore is imported
def test_what_no_one_can_explain_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    from fvcore.nn import FlopCountAnalysis

    whole = FlopCountAnalysis.by_operator
    monkeypatch.setattr(FlopCountAnalysis, "by_operator", lambda self: whole(self) + Counter(conv=7))
    found = verified(Of(lambda x, part: part(torch.einsum("abcd->abdc", x)), nn.Conv2d(3, 4, 3)), 1, 3, 8, 8)
    fvcore = found.counts[1]
    assert (dict(fvcore.unexplained), fvcore.is_explained) == ({"conv": 7}, False)
    assert "+7 unexplained, in conv" in " ".join(str(found).split())
    assert "known: einsum: three operands" in str(found)


def test_a_model_that_looks_at_its_data_is_run_on_the_cpu() -> None:
    found = verified(Of(lambda x, part: part(x) if x.sum() > 0 else x, nn.Linear(8, 8)), 2, 8)
    assert [count.on for count in found.counts] == ["cpu", "cpu"]
    assert [count.total for count in found.counts] == [128, 128]
    assert found.is_right


def test_a_tool_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archprof.substrate.free_bytes", lambda _: 100)
    fvcore = verified(nn.Linear(8, 8), 2, 8).counts[1]
    assert (fvcore.total, fvcore.is_explained) == (None, False)
    assert fvcore.failure == "weights of 288 B are too large to run it here"


# -- pages -------------------------------------------------------------------------------------------------------------


def test_the_command_prints_both_oracles() -> None:
    result = CliRunner(env={"COLUMNS": "80"}).invoke(main, ["verify", "lenet5"])
    assert result.exit_code == 0
    assert max(map(len, result.output.splitlines())) <= 80
    assert "conv2d" in result.output
    assert "every rule that torch's formulas can judge is right" in result.output


def test_json_has_everything() -> None:
    result = CliRunner().invoke(main, ["verify", "lenet5", "--format", "json"])
    document = json.loads(result.output)
    assert (document["model"], document["is_right"]) == ("lenet5", True)
    assert {check["outcome"] for check in document["checks"]} == {"equal"}
    assert [count["tool"] for count in document["counts"]] == ["FlopCounterMode", "fvcore"]
    assert all(count["is_explained"] for count in document["counts"])


def test_a_long_list_is_cut_in_the_table() -> None:
    checks = tuple(Check("odd", "2", (f"odd_{number}",), 4, 5) for number in range(12))
    text = str(Verification("many", 48, checks, (Count("tool", "meta", None, 48, failure="it is away"),)))
    assert "differs: 2 more (--format json has all)" in text
    assert "tool did not run: it is away" in text
    with pytest.raises(UnknownName, match="there is no format of a verification 'pdf'"):
        Verification("many", 48, checks, ()).render("pdf")


def test_a_profile_without_a_run_cannot_be_verified(profiled) -> None:
    import dataclasses

    with pytest.raises(UserError, match="lenet5 cannot be verified"):
        dataclasses.replace(profiled("lenet5"), _run=None).verify()


def test_progress_is_shown_where_it_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    page = io.StringIO()
    monkeypatch.setattr(progress, "PATIENCE", 0.05)
    monkeypatch.setattr(progress, "Console", lambda **_: Console(file=page, force_terminal=True))
    with progress.shown() as tell:
        tell("fvcore", 0.5)
        time.sleep(0.3)
    assert "fvcore" in page.getvalue()
