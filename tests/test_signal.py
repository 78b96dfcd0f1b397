"""The signal of a network before any training: sizes worked out by hand, and why residual branches keep it alive."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch import nn

import archprof
from archprof.cli import main
from archprof.errors import UserError
from archprof.runs.signal import dead, rms, signal, silence


def at_convolutions(found, column: str) -> list[float]:
    ops = [number for number, op in enumerate(found.network.ops) if op.kind in {"conv2d", "linear"}]
    return [found.values[column][number] for number in ops]


class Scaled(nn.Module):
    """Three factors: what goes in is made 2, then 6, then 3 times as large."""

    def forward(self, x):
        return (x * 2 * 3) / 2


def test_activations_and_gradients_are_as_large_as_the_factors_make_them() -> None:
    inputs = torch.tensor([[3.0, 4.0]], requires_grad=False)

    class Learnt(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor([2.0, 2.0]))

        def forward(self, x):
            return (x * self.scale) * 3

    found = signal(Learnt(), torch.full_like(inputs, 1.0))
    first, second = found.values["activation_rms"]
    assert second == pytest.approx(3 * first)  # x * 2, then times 3
    out, back = found.values["gradient_rms"][1], found.values["gradient_rms"][0]
    assert back == pytest.approx(3 * out)  # d(3 y) / dy
    assert found.values["weight_gradient_rms"] == [pytest.approx(found.values["weight_gradient_rms"][0]), None]


def test_a_network_that_learns_nothing_has_activations_alone() -> None:
    found = signal(Scaled(), (2, 1000))
    one, two, three = found.values["activation_rms"]
    assert (two / one, three / one) == (pytest.approx(3), pytest.approx(1.5))
    assert found.values["gradient_rms"] == [None, None, None]


def test_kaiming_keeps_what_a_relu_lets_through() -> None:
    net = nn.Sequential(*(layer for _ in range(10) for layer in (nn.Linear(512, 512, bias=False), nn.ReLU())))
    kept = signal(net, (64, 512), init="kaiming").values["activation_rms"]
    # weights of variance 2 / 512 double the mean square, and a ReLU halves it
    assert kept[-2] / kept[0] == pytest.approx(1, abs=0.3)
    lost = signal(net, (64, 512)).values["activation_rms"]
    # torch's own: uniform in +-1/sqrt(512), variance 1 / (3 x 512): a layer and its ReLU leave 1 / 6 of the mean square
    assert lost[-2] / lost[0] == pytest.approx(math.sqrt(1 / 6) ** 9, rel=0.5)


def test_xavier_keeps_what_passes_a_line() -> None:
    net = nn.Sequential(*(nn.Linear(512, 512) for _ in range(10)))
    kept = signal(net, (64, 512), init="xavier").values["activation_rms"]
    assert kept[-1] / kept[0] == pytest.approx(1, abs=0.3)


def test_a_channel_is_dead_where_it_is_zero_for_all() -> None:
    values = torch.zeros(2, 4, 3)
    values[1, 2, 0] = 1.0
    assert dead(values) == 0.75
    assert dead(torch.zeros(3)) is None
    assert rms(torch.tensor([1.0, 7.0])) == 5.0  # (1 + 49) / 2 = 25


def test_plain_networks_lose_their_signal_and_residual_ones_keep_it() -> None:
    ends = {}
    for name in ("plain20", "plain56", "resnet20", "resnet56"):
        gradients = at_convolutions(signal(name, training=False), "gradient_rms")
        ends[name] = gradients[0] / gradients[-2]  # the first convolution beside the last
    assert ends["plain20"] < 1e-5
    assert ends["plain56"] < 1e-15
    assert ends["resnet20"] > 0.05
    assert ends["resnet56"] > 0.05


def test_batch_norm_in_training_keeps_activations_but_not_the_gradients_of_a_deep_plain_network() -> None:
    plain, residual = signal("plain56"), signal("resnet56")
    activations = at_convolutions(plain, "activation_rms")
    assert 0.3 < activations[-2] / activations[0] < 3
    gradients = at_convolutions(plain, "gradient_rms")
    assert gradients[0] / gradients[-2] > 100  # it grows on its way back
    gradients = at_convolutions(residual, "gradient_rms")
    assert gradients[0] / gradients[-2] < 30


def test_a_silent_branch_makes_a_block_the_identity() -> None:
    found = signal("residual-block", init="zero", training=False)
    graph = found.network
    add = next(op for op in graph.ops if op.kind == "add" and len(graph.producers(op.name)) == 2)
    sides = graph.producers(add.name)
    place = {op.name: number for number, op in enumerate(graph.ops)}
    branch = next(name for name in sides if name in place)
    assert found.values["activation_rms"][place[branch]] == 0


def test_a_silent_resnet_computes_its_blocks_inputs_exactly() -> None:
    module = archprof.compile("resnet20", device="cpu").eval()
    graph = archprof.profile("resnet20").network
    names = silence(module, graph)
    assert len(names) == 9  # one a block
    assert all(".bn2" in name for name in names)
    seen = {}
    for path, block in module.named_modules():
        if path.startswith("layer1.") and path.endswith("conv1"):
            block.register_forward_hook(lambda _, args, __, path=path: seen.update({path: args[0]}))
    with torch.no_grad():
        module(torch.randn(2, 3, 32, 32))
    entering = [seen[f"layer1.{number}.conv1"] for number in range(3)]
    assert torch.equal(entering[0], entering[1])  # g(a) = a: what enters is not negative, so the last ReLU keeps it
    assert torch.equal(entering[1], entering[2])


def test_the_same_seed_gives_the_same_signal_and_another_does_not() -> None:
    one, two, other = (signal("lenet5", seed=seed).values["gradient_rms"] for seed in (1, 1, 2))
    assert one == two
    assert one != other


def test_a_users_module_and_random_numbers_stay() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).eval()
    before, state = {k: v.clone() for k, v in module.state_dict().items()}, torch.get_rng_state()
    signal(module, (8, 4), init="kaiming")
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert all(weight.grad is None for weight in module.parameters())


def test_a_wrong_start_is_told() -> None:
    with pytest.raises(UserError, match="there is no init 'orthogonal'; there are default, kaiming, xavier, zero"):
        signal("lenet5", init="orthogonal")


def test_the_command_prints_a_table_or_draws_networks_together(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    result = CliRunner().invoke(main, ["signal", "lenet5", "--format", "table"])
    assert result.exit_code == 0
    assert "activation_rms" in result.stdout
    assert "one pass forward and back in training mode, init default, seed 0" in result.stdout
    file = tmp_path / "x.svg"
    result = CliRunner().invoke(main, ["signal", "plain20", "resnet20", "--eval", "-o", str(file)])
    assert result.exit_code == 0, result.output
    text = file.read_text()
    assert "plain20" in text
    assert "depth, in layers with parameters" in text
    assert CliRunner().invoke(main, ["signal", "lenet5", "-o", "x.gif"]).exit_code == 2


def test_a_signal_is_joined_to_rows_graph_and_diagram(tmp_path):
    import json

    import networkx
    from click.testing import CliRunner

    from archprof.cli import main

    profile = signal("resnet20", batch=2)
    names = [op.name for op in profile.network.ops]
    values = dict(zip(names, profile.values["activation_rms"], strict=True))
    graph = networkx.parse_graphml(profile.render("graphml"))
    assert graph.nodes["layer1.2.relu2"]["activation_rms"] == pytest.approx(values["layer1.2.relu2"])
    ops = {op["name"]: op for op in json.loads(profile.to_json())["ops"]}
    assert ops["layer1.2.relu2"]["gradient_rms"] > 0
    assert profile.by_module(1)["activation_rms"]["layer1"] == values["layer1.2.relu2"]  # its last op
    path = tmp_path / "x.dot"
    result = CliRunner().invoke(
        main, ["signal", "resnet20", "--batch", "2", "--metric", "gradient_rms", "-o", str(path)]
    )
    assert result.exit_code == 2  # curves and diagrams are pictures
    result = CliRunner().invoke(main, ["signal", "lenet5", "--metric", "gradient_rms", "-o", str(tmp_path / "x.svg")])
    assert result.exit_code == 0, result.output
    assert "gradient_rms" in (tmp_path / "x.svg").read_text("utf-8")
    result = CliRunner().invoke(main, ["signal", "lenet5", "--metric", "gradient_rms"])
    assert result.exit_code == 2
    assert "-o x.svg" in result.output + result.stderr


def test_a_model_that_fails_on_the_way_back_is_told():
    class Overwriting(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(8, 8)

        def forward(self, x):
            return self.first(x).sigmoid().add_(1)  # the sigmoid's gradient needs its output

    with pytest.raises(UserError, match="Overwriting fails on the way back: one of the variables"):
        signal(Overwriting(), (2, 8))


def test_a_signal_beyond_all_floats_is_unknown_and_told():
    import json

    class Bursting(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(8, 8)

        def forward(self, x):
            return torch.exp(self.first(x) * 1e4) + 1

    found = signal(Bursting(), (2, 8))
    assert [value is None for value in found.values["activation_rms"]] == [False, False, True, True]
    assert any(note.startswith("not finite (inf or nan), so left out, in ") for note in found.notes)
    assert json.loads(found.to_json())["ops"][2]["activation_rms"] is None
