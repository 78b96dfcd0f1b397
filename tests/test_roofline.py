"""The least time on a device: worked out by hand, never faster than the roof, and what rides along moves nothing twice."""

from __future__ import annotations

import json

import jsonschema
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import archprof
from archprof import fusion, ops
from archprof.cli import main
from archprof.devices.choice import find
from archprof.errors import UserError
from archprof.graph import Graph
from archprof.records import Facts, Op, Tensor, Unknown
from archprof.roofline import columns, roofline


class Net:
    """A network written down op by op, with the facts of the rules."""

    def __init__(self, dtype: str = "float32") -> None:
        self.dtype = dtype
        self.inputs: list[tuple[str, Tensor]] = []
        self.ops: list[tuple[Op, list[tuple[str, int]]]] = []
        self.made: dict[str, Tensor] = {}

    def input(self, *shape: int) -> str:
        name = f"x{len(self.inputs)}"
        self.made[name] = Tensor(shape, self.dtype)
        self.inputs.append((name, self.made[name]))
        return name

    def op(self, kind: str, out: tuple[int, ...], /, **arguments: object) -> str:
        """Add an op; an argument that is the name of a value, or a tuple of one, reads it."""
        name = f"{kind}{len(self.ops)}"
        read = [word for value in arguments.values() for word in self.words(value)]
        given = {key: self.filled(value) for key, value in arguments.items()}
        self.made[name] = Tensor(out, self.dtype)
        op = Op(name, kind, name, tuple(self.made[word] for word in read), (self.made[name],), (), given)
        self.ops.append((op, [(word, 0) for word in read]))
        return name

    def words(self, value: object) -> list[str]:
        return [word for word in (value if isinstance(value, tuple) else (value,)) if word in self.made]

    def filled(self, value: object) -> object:
        if isinstance(value, tuple):
            return tuple(map(self.filled, value))
        return self.made.get(value, value) if isinstance(value, str) else value

    def view(self, source: str, *shape: int) -> str:
        return self.op("view", shape, inputs=(source,))

    def conv(self, source: str, channels: int) -> str:
        n, c, h, w = self.made[source].shape
        return self.op("conv2d", (n, channels, h, w), input=source, weight=Tensor((channels, c, 1, 1), self.dtype))

    def relu(self, source: str) -> str:
        return self.op("relu", self.made[source].shape, input=source)

    def add(self, one: str, other: str) -> str:
        return self.op("add", self.made[one].shape, input=one, other=other)

    def graph(self, *outputs: str) -> Graph:
        graph = Graph.of(self.inputs, self.ops, {name: (name, 0) for name in outputs})
        graph.facts.update({op.name: ops.facts(op) for op, _ in self.ops})
        return graph


def values(graph: Graph, device: str) -> dict[str, list]:
    return {column.name: list(found) for column, found in columns(graph, roofline(graph, find(device)))}


# -- by hand -----------------------------------------------------------------------------------------------------------


def test_a_square_matrix_product_on_an_a100_is_bound_by_arithmetic() -> None:
    net = Net("bfloat16")
    graph = net.graph(net.op("matmul", (4096, 4096), input=net.input(4096, 4096), other=net.input(4096, 4096)))
    found = values(graph, "a100-sxm4-80gb")
    # 4096^3 = 68,719,476,736 MACs, twice that is 137,438,953,472 FLOPs; / 312e12 FLOP/s = 440.5 us
    # three matrices of 4096^2 * 2 bytes are 100,663,296 B; / 2039e9 B/s = 49.4 us
    assert found["time_s"] == [pytest.approx(440.509466e-6, rel=1e-8)]
    assert found["bytes_moved"] == found["fused_bytes"] == [100_663_296]
    assert found["intensity"] == [pytest.approx(1365.3333, rel=1e-7)]  # n / 3
    assert found["bound"] == ["compute"]


def test_a_relu_on_a_t4_is_bound_by_memory() -> None:
    net = Net()
    found = values(net.graph(net.relu(net.input(1, 64, 112, 112))), "t4")
    # 802,816 elements are read and written in 4 bytes: 6,422,528 B; / 320e9 B/s = 20.0704 us
    # 802,816 FLOPs; / 8.1e12 FLOP/s = 0.0991 us
    assert found["time_s"] == [pytest.approx(20.0704e-6, rel=1e-12)]
    assert found["intensity"] == [0.125]
    assert found["bound"] == ["memory"]


def test_float32_may_run_on_tensor_cores() -> None:
    net = Net()
    graph = net.graph(net.op("matmul", (4096, 4096), input=net.input(4096, 4096), other=net.input(4096, 4096)))
    # 137,438,953,472 FLOPs at 19.5e12 and at 156e12 FLOP/s
    assert values(graph, "a100-sxm4-80gb")["time_s"] == [pytest.approx(7.0481515e-3, rel=1e-6)]
    assert values(graph, "a100-sxm4-80gb:tf32")["time_s"] == [pytest.approx(0.88101893e-3, rel=1e-6)]


def test_what_rides_along_moves_only_what_is_new() -> None:
    net = Net()
    image = net.input(1, 8, 4, 4)  # 128 elements: 512 B
    way = net.relu(net.conv(image, 8))  # 64 weights: 256 B
    last = net.relu(net.add(net.conv(way, 8), image))
    found = values(net.graph(last), "t4")
    # conv 512 in + 256 weights, its relu writes 512; conv 512 + 256, add reads the other 512, its relu writes 512
    assert found["bytes_moved"] == [1280, 1024, 1280, 1536, 1024]
    assert found["fused_bytes"] == [768, 512, 768, 512, 512]
    assert found["bound"] == ["memory", "fused", "memory", "fused", "fused"]
    # 2 * 128 * 8 FLOPs and one each of 128 elements: 2176 over 1280 B, and with the add 2304 over 1792 B
    assert found["intensity"] == [1.7, None, pytest.approx(2304 / 1792), None, None]
    assert found["time_s"] == [1280 / 320e9, 0.0, 1792 / 320e9, 0.0, 0.0]


def test_a_tensor_that_others_read_too_is_written() -> None:
    net = Net()
    conv = net.conv(net.input(1, 8, 4, 4), 8)
    graph = net.graph(net.relu(conv), net.relu(conv))
    assert [len(group.ops) for group in fusion.groups(graph)] == [1, 1, 1]
    net = Net()
    conv = net.conv(net.input(1, 8, 4, 4), 8)
    assert [len(group.ops) for group in fusion.groups(net.graph(net.relu(conv), conv))] == [1, 1]


def test_an_add_rides_with_the_later_of_two_and_reads_the_other() -> None:
    net = Net()
    image = net.input(1, 8, 4, 4)
    net.add(net.conv(image, 8), net.conv(image, 8))
    found = values(net.graph("add2"), "t4")
    assert found["fused_bytes"] == [1280, 768, 1024]
    assert found["bound"] == ["memory", "memory", "fused"]


def test_a_square_of_what_rides_along_reads_nothing() -> None:
    net = Net()
    conv = net.conv(net.input(1, 8, 4, 4), 8)
    found = values(net.graph(net.op("mul", (1, 8, 4, 4), input=conv, other=conv)), "t4")
    assert found["fused_bytes"] == [768, 512]


def test_a_view_on_the_way_does_not_matter_and_costs_nothing() -> None:
    net = Net()
    flat = net.view(net.conv(net.input(1, 8, 4, 4), 8), 1, 128)
    found = values(net.graph(net.relu(flat)), "t4")
    assert found["fused_bytes"] == [768, 0, 512]
    assert found["bound"] == ["memory", None, "fused"]
    assert found["time_s"][1:] == [0.0, 0.0]
    assert found["intensity"][1] is None


def test_what_spreads_over_more_elements_reads_its_input() -> None:
    net = Net()
    small = net.relu(net.input(1, 4))
    net.op("add", (8, 4), input=small, other=net.input(8, 4))
    assert [len(group.ops) for group in fusion.groups(net.graph("add1"))] == [1, 1]


def test_masked_pairs_cost_no_time() -> None:
    net = Net("float16")
    q = net.input(1, 1, 1024, 64)
    graph = net.graph(net.op("scaled_dot_product_attention", (1, 1, 1024, 64), query=q, key=q, value=q, is_causal=True))
    (kernel,) = roofline(graph, find("t4")).kernels
    facts = graph.facts["scaled_dot_product_attention0"]
    # 2 * 1024 * 1024 * 64 MACs; a causal mask leaves 1024 * 1025 / 2 of the 1024^2 pairs
    assert (kernel.macs, facts.effective_macs) == (134_217_728, 67_174_400)
    assert kernel.work == facts.flops - 2 * (134_217_728 - 67_174_400)


def test_a_dtype_without_a_peak_is_the_user_s_mistake() -> None:
    net = Net("bfloat16")
    graph = net.graph(net.op("matmul", (4, 4), input=net.input(4, 4), other=net.input(4, 4)))
    with pytest.raises(UserError, match=r"^V100-SXM2-32GB has no peak for bfloat16; it has float32, float16, int8"):
        roofline(graph, find("v100-sxm2-32gb"))
    net = Net()
    net.op("matmul", (4, 4), input=net.input(4, 4), other=net.input(4, 4))
    with pytest.raises(UserError, match=r"^TPU-v4 has no peak for float32; it has bfloat16, int8"):
        roofline(net.graph("matmul0"), find("tpu-v4"))


def test_an_unknown_op_is_unknown_and_said_to_be() -> None:
    net = Net()
    net.op("warp", (1, 4), input=net.relu(net.input(1, 4)))
    graph = net.graph("warp1")
    assert isinstance(graph.facts["warp1"], Unknown)
    found = values(graph, "t4")
    assert [found[name][1] for name in found] == [None] * 5
    assert (
        str(roofline(graph, find("t4")))
        == "at least 0.1000 ns on T4, without 1 unknown op: compute-bound 0%, memory-bound 100%"
    )


# -- laws --------------------------------------------------------------------------------------------------------------


@st.composite
def networks(draw: st.DrawFn) -> tuple[list[tuple[str, int, int]], int, int, str]:
    kinds = st.sampled_from(["conv", "relu", "add", "flatten"])
    steps = draw(st.lists(st.tuples(kinds, st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=12))
    return steps, draw(st.integers(1, 64)), draw(st.integers(1, 16)), draw(st.sampled_from(["float32", "float16"]))


def written(network: tuple[list[tuple[str, int, int]], int, int, str], batch: int) -> Graph:
    steps, channels, side, dtype = network
    net = Net(dtype)
    made = [net.input(batch, channels, side, side)]
    for kind, one, other in steps:
        source, second = made[one % len(made)], made[other % len(made)]
        if kind == "conv":
            made.append(net.conv(source, channels))
        elif kind == "flatten":
            made.append(net.view(net.view(source, batch * channels * side * side), batch, channels, side, side))
        else:
            made.append(net.relu(source) if kind == "relu" else net.add(source, second))
    return net.graph(made[-1])


@settings(max_examples=60, deadline=None)
@given(networks(), st.sampled_from(["t4", "h100-sxm", "v100-sxm2-32gb", "h100-sxm:tf32"]))
def test_nothing_is_faster_than_its_roof_and_rows_make_the_total(network, name: str) -> None:
    device = find(name)
    graph = written(network, 1)
    found = roofline(graph, device)
    told = values(graph, name)
    dtype = network[3]
    assert sum(told["time_s"]) == pytest.approx(found.time_s)
    assert sum(told["fused_bytes"]) <= sum(told["bytes_moved"])
    assert found.time_s >= sum(told["fused_bytes"]) / device.bandwidth * (1 - 1e-9)
    assert found.share("compute") + found.share("memory") == pytest.approx(1 if found.time_s else 0)
    seen = [number for kernel in found.kernels for number in kernel.ops]
    assert len(set(seen)) == len(seen)
    for kernel in found.kernels:
        facts = [graph.facts[graph.ops[number].name] for number in kernel.ops]
        assert all(isinstance(fact, Facts) for fact in facts)
        assert sum(fact.flops for fact in facts) == kernel.work
        assert 2 * kernel.macs <= kernel.time_s * device.peak(dtype) * (1 + 1e-9)
        assert kernel.work <= kernel.time_s * (device.peak(dtype) + device.vector_peak) * (1 + 1e-9)
    # whatever a network's last op is, inputs that are read come from memory and its output goes there
    assert found.time_s > 0 or all(fact.is_view for fact in graph.facts.values())


@settings(max_examples=40, deadline=None)
@given(networks())
def test_two_samples_take_no_less_than_one_and_no_more_than_twice(network) -> None:
    device = find("h100-sxm")
    one, two = (roofline(written(network, batch), device).time_s for batch in (1, 2))
    assert one <= two * (1 + 1e-9)
    assert two <= 2 * one * (1 + 1e-9)


# -- the whole route ---------------------------------------------------------------------------------------------------


def test_show_adds_the_columns_and_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "130")
    words = ["show", "resnet18", "--on", "h100-sxm", "--dtype", "bfloat16", "--format", "table"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    for word in ("time_s", "bound", "fused_bytes", "share of time_s", "at least ", " on H100-SXM: compute-bound "):
        assert word in result.output


def test_models_are_compared_on_a_device() -> None:
    words = ["compare", "inception-direct", "inception-bottleneck", "--on", "t4", "--format", "csv"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    header, direct, bottleneck = (line.split(",") for line in result.output.splitlines())
    assert {"time_s", "fused_bytes"} <= set(header)
    assert not {"bound", "intensity"} & set(header)
    # 240,844,800 FLOPs at 8.1e12 are 29.73 us; 24,887,296 are 3.073 us: 4,816,896 at their peak, and 2.1 MB at 320e9 B/s
    at = header.index("time_s")
    assert float(direct[at]) == pytest.approx(29.734e-6, rel=1e-3)
    assert float(bottleneck[at]) < float(direct[at])
    table = CliRunner().invoke(main, [*words[:-1], "table"]).output
    assert "time_s: lower bound on T4: " in " ".join(table.split())


MEASURED = {
    "ghostnet_050": 4.854, "gmlp_ti16_224": 14.501, "lcnet_035": 2.608, "mobilenetv3_small_100": 3.202,
    "repvgg_a2": 26.476, "resnet18": 9.857, "resnet34": 16.732, "vit_small_patch16_224": 26.475, "xcit_nano_12_p16_224": 8.357,
}  # fmt: skip
"""Milliseconds for 256 images of 224x224 on an RTX 4090, compiled, mixed precision: timm 7479d451,
results/benchmark-infer-amp-nchw-pt240-cu124-rtx4090-dynamo.csv."""


@pytest.mark.parametrize("name", MEASURED)
def test_no_network_was_measured_faster_than_its_bound(name: str) -> None:
    """The bound is no loose one either: a compiled network comes within three times."""
    pytest.importorskip("timm", reason="timm is not installed")
    found = archprof.profile(f"timm:{name}", batch=256, dtype="float16", on="rtx-4090")
    assert not found.gaps
    assert 1 < MEASURED[name] / (1000 * found.totals["time_s"]) < 3


def test_the_weights_of_a_network_have_to_be_read() -> None:
    found = archprof.profile("resnet18", dtype="float16", on="t4")
    # 11,689,512 parameters of 2 bytes at 320e9 B/s are 73.06 us; 1.81 GMAC at 65e12 FLOP/s are 55.8 us
    assert found.totals["time_s"] > 73e-6
    assert found.totals["time_s"] == pytest.approx(sum(found.values["time_s"]))
    assert found.notes[-1].startswith("at least ")
    assert found.table["intensity"].dtype == "Float64"


def test_a_document_with_times_keeps_to_its_schema(request: pytest.FixtureRequest) -> None:
    schema = request.config.rootpath / "archprof" / "renderers" / "profile.schema.json"
    document = json.loads(archprof.profile("inception-bottleneck", on="t4").to_json())
    jsonschema.validate(document, json.loads(schema.read_text()))
    assert document["columns"]["time_s"]["unit"] == "s"
    assert document["totals"]["time_s"] > 0


def test_a_module_has_its_own_dtype_and_a_device_may_be_given() -> None:
    found = archprof.profile(nn.Linear(8, 8).half(), [(1, 8)], on=find("t4"))
    assert found.values["bound"] == ["memory"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["show", "resnet18", "--on", "h100"], "error: the device 'h100' may be H100-PCIe, H100-SXM\n"),
        (["show", "resnet18", "--on", "tpu-v4"], "error: TPU-v4 has no peak for float32; it has bfloat16, int8 (--dtype chooses another)\n"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(words: list[str], message: str) -> None:
    result = CliRunner().invoke(main, words)
    assert (result.exit_code, result.stderr) == (2, message)
