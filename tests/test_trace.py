"""The recorder: every op once, under a name and path of its own, with the tensors and weights it really reads."""

from __future__ import annotations

import pytest
import torch
from torch import fx, nn

from archprof.graph import Graph
from archprof.pipeline import attach_facts, profile
from archprof.records import Tensor
from archprof.result import Profile
from archprof.trace import trace


def traced(module: nn.Module, **inputs: tuple[int, ...]) -> Graph:
    with torch.device("meta"):
        graph_module = fx.symbolic_trace(module.to("meta"))
    return trace(graph_module, {name: Tensor(shape) for name, shape in inputs.items()}).graph


def paths(graph: Graph) -> list[tuple[str, str, str]]:
    return [(op.name, op.path, op.kind) for op in graph]


def test_ops_of_one_step_stand_below_it_by_kind(profiled) -> None:
    assert paths(profiled("sequence").network) == [
        ("rnn.zeros", "rnn.zeros", "zeros"),
        ("rnn.zeros_1", "rnn.zeros", "zeros"),
        ("rnn.lstm", "rnn.lstm", "lstm"),
        ("mixed.transpose", "mixed.transpose", "transpose"),
        ("mixed.multi_head_attention_forward", "mixed.multi_head_attention_forward", "multi_head_attention_forward"),
        ("mixed.transpose_1", "mixed.transpose", "transpose"),
        ("sum.add", "sum.add", "add"),
        ("sum.add_1", "sum.add", "add"),
    ]


def test_recurrent_nets_and_attention_are_read_whole(profiled) -> None:
    graph = profiled("sequence").network
    # 4 gates of 5 units see 6 inputs and 5 states at each of 7 steps
    assert graph.facts["rnn.lstm"].macs == 7 * 4 * 5 * (6 + 5)
    # four projections of 5 to 5 for 7 positions, and all pairs of positions for scores and for mixing
    assert graph.facts["mixed.multi_head_attention_forward"].macs == 4 * 7 * 5 * 5 + 2 * 7 * 7 * 5
    assert [weight.name for weight in graph["rnn.lstm"].weights] == [
        "rnn.weight_ih_l0",
        "rnn.weight_hh_l0",
        "rnn.bias_ih_l0",
        "rnn.bias_hh_l0",
    ]


@pytest.mark.parametrize("name", ["resnet50", "googlenet", "alexnet", "lenet5-1998", "sequence"])
def test_names_are_unique_and_every_weight_belongs_to_one_op(name: str, profiled) -> None:
    graph = profiled(name).network
    names = [op.name for op in graph]
    assert len(set(names)) == len(names)
    owned = [weight.name for weights in graph.owned_weights.values() for weight in weights]
    counters = {weight.name for weight in graph.unused_weights}
    assert sorted(owned + list(counters)) == sorted(weight.name for weight in graph.weights)
    assert all(name.endswith("num_batches_tracked") for name in counters)


def test_every_op_of_a_spec_knows_its_line(profiled) -> None:
    spans = {op.name: op.span.line for op in profiled("chain").network}
    assert spans == {"conv": 7, "relu": 8, "flatten": 9, "fc": 10}


def test_an_op_never_takes_the_name_of_another_step() -> None:
    graph = fx.Graph()
    x = graph.placeholder("x")
    twice = graph.call_module("a", (x,))
    graph.output(graph.call_module("a_add", (twice,)))
    root = nn.Module()
    root.add_module("a", Doubled())
    root.add_module("a_add", nn.ReLU())
    found = trace(fx.GraphModule(root, graph), {"x": Tensor((2,))}).graph
    assert [op.name for op in found] == ["a.add", "a.add_1", "a_add"]


class Doubled(nn.Module):
    def forward(self, x):
        return (x + x) + 1.0


class InPlace(nn.Module):
    def forward(self, x):
        y = x * 2
        y.relu_()
        y += x
        return y


class Masked(nn.Module):
    def forward(self, x):
        mask = x > 0
        return mask, ~mask, mask


class Scaled(nn.Module):
    def forward(self, n):
        return n + 1, n + 1.0, n + True


class Constant(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("table", torch.zeros(3))
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, x):
        return x * self.scale + self.table + self.scale


def test_what_is_changed_in_place_is_read_in_order() -> None:
    graph = traced(InPlace(), x=(3,))
    assert [op.kind for op in graph] == ["mul", "relu", "add"]
    assert [graph.producers(op.name) for op in graph] == [["x"], ["mul"], ["relu_", "x"]]
    assert list(graph.outputs.values()) == [(graph.ops[-1].name, 0)]


def test_inverting_a_mask_leaves_the_mask_alone() -> None:
    graph = traced(Masked(), x=(3,))
    assert [op.kind for op in graph] == ["gt", "invert"]
    assert list(graph.outputs.values()) == [(graph.ops[0].name, 0), (graph.ops[1].name, 0), (graph.ops[0].name, 0)]


def test_equal_numbers_of_other_types_are_other_calls() -> None:
    with torch.device("meta"):
        module = fx.symbolic_trace(Scaled())
    graph = trace(module, {"n": Tensor((3,), "int64")}).graph
    assert [op.outputs[0].dtype for op in graph] == ["int64", "float32", "int64"]


def test_parameters_and_buffers_are_weights_not_inputs() -> None:
    graph = traced(Constant(), x=(2, 3))
    assert [graph.producers(op.name) for op in graph] == [["x"], ["mul"], ["add"]]
    assert [[weight.name for weight in op.weights] for op in graph] == [["scale"], ["table"], ["scale"]]
    assert [[weight.name for weight in graph.owned_weights[op.name]] for op in graph] == [["scale"], ["table"], []]


def test_chunks_are_told_apart() -> None:
    class Gated(nn.Module):
        def forward(self, x):
            a, b = x.chunk(2, 1)
            return b * a

    graph = fx.Graph()
    x = graph.placeholder("x")
    graph.output(graph.call_module("gate", (x,)))
    root = nn.Module()
    root.add_module("gate", Gated())
    found = trace(fx.GraphModule(root, graph), {"x": Tensor((2, 6))}).graph
    assert [(edge.producer, edge.output) for edge in found.reads("gate.mul")] == [("gate.chunk", 1), ("gate.chunk", 0)]


def test_a_tensor_from_nowhere_is_a_gap() -> None:
    class Hidden(nn.Module):
        def forward(self, x):
            with torch._C.DisableTorchFunction():
                y = x.clone()
            return y.relu()

    graph = fx.Graph()
    x = graph.placeholder("x")
    graph.output(graph.call_module("hidden", (x,)))
    root = nn.Module()
    root.add_module("hidden", Hidden())
    found = trace(fx.GraphModule(root, graph), {"x": Tensor((2, 6))}).graph
    attach_facts(found, {})
    gaps = Profile("hidden", found, {}, {}, {}).gaps
    assert [(gap.op, gap.reason) for gap in gaps] == [("hidden", "an input comes from where the recorder cannot see")]
    assert found.producers("hidden") == []


def test_what_vmap_maps_is_one_op_of_its_real_size() -> None:
    class Mask(nn.Module):
        def forward(self, x):
            causal = torch.vmap(torch.vmap(lambda i, j: i >= j, (None, 0)), (0, None))
            return torch.where(causal(torch.arange(6), torch.arange(6)), x, 0)

    found = profile(Mask(), {"x": (6, 6)})
    assert [op.kind for op in found.network.ops] == ["arange", "arange", "vmap", "where"]
    assert found.network.producers("vmap") == ["arange", "arange_1"]
    assert found.network.facts["vmap"].flops == 6 * 6  # a comparison of each pair
    assert found.gaps == []
    assert torch.vmap(torch.add)(torch.ones(3), torch.ones(3)).tolist() == [2, 2, 2]  # and vmap is as it was


def test_what_starts_a_layer_made_on_the_way_is_no_op() -> None:
    class Grows(nn.Module):
        def forward(self, x):
            nn.init.uniform_(torch.empty(3, 3))
            return x.relu()

    found = profile(Grows(), {"x": (2, 3)})
    assert [op.kind for op in found.network.ops] == ["empty", "relu"]
    assert found.flops == 6


def test_tracing_leaves_gradients_on() -> None:
    traced(InPlace(), x=(3,))
    assert torch.is_grad_enabled()
    assert (torch.ones(1, requires_grad=True) * 2).requires_grad


def test_lengths_of_packed_sequences_are_looked_up_on_the_cpu() -> None:
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cells = nn.LSTM(4, 3, batch_first=True)

        def forward(self, x, lengths):
            return self.cells(nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True))[0].data

    found = profile(Packed(), [(2, 5, 4), torch.tensor([5, 3])])
    assert found.macs == (5 + 3) * 4 * 3 * (4 + 3)  # steps x gates x hidden x (input + hidden)
    assert any("CPU" in note for note in found.notes)
