"""Measured time: every op has a row, rows add up to the pass, and what takes long is what was made to take long."""

from __future__ import annotations

import dataclasses
import json
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest
import torch
from click.testing import CliRunner
from test_exports import SPEEDSCOPE
from torch import nn

import archprof
from archprof import inputs as given_inputs
from archprof.cli import main
from archprof.errors import ModelError, UserError
from archprof.pipeline import opened_by
from archprof.records import Spread, Timing
from archprof.renderers.terminal import beside
from archprof.runs import machine
from archprof.runs.measure import flags, measured
from archprof.runs.passes import How, Passes
from archprof.runs.protocol import by_turns, spread, warmed
from archprof.runs.tape import program, taped
from archprof.substrate import with_weights
from archprof.trace import outputs_of

SLEEP_S = 0.02


@torch.library.custom_op("archprof_test::sleepy", mutates_args=())
def sleepy(x: torch.Tensor) -> torch.Tensor:
    time.sleep(SLEEP_S)
    return x.clone()


@sleepy.register_fake
def _(x):
    return torch.empty_like(x)


def _sleepy_backward(_, gradient):
    time.sleep(2 * SLEEP_S)
    return gradient * 1


sleepy.register_autograd(_sleepy_backward)


class Sleeper(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.last = nn.Linear(4, 4)

    def forward(self, x):
        return self.last(torch.ops.archprof_test.sleepy(self.first(x)))


class Odd(nn.Module):
    """Everything a straight line must keep: writes in place, slices, several outputs, a loop, a constant, a module twice."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.arange(6.0)
        self.line = nn.Linear(6, 6)
        self.relu = nn.ReLU(inplace=True)
        self.cell = nn.LSTM(6, 3, batch_first=True)

    def forward(self, x, *, scale=2.0):
        y = x.clone()
        y[:, 1] = y[:, 0] * scale
        for _ in range(3):
            y = self.relu(self.line(y)) + self.table
        low, high = y.chunk(2, dim=1)
        values, places = torch.cat([high, low], dim=1).max(dim=-1)
        states, (hidden, _) = self.cell(y)
        return {"values": values.add_(1), "places": places, "hidden": hidden, "states": states.transpose(1, 2)}


def replayed(model, inputs=None, **wish):
    """Return what a model returns, and what the program of its run does, on the same inputs."""
    opened = opened_by(model, inputs, **wish)
    module = with_weights(opened).eval()
    values = {name: given_inputs.on("cpu", value) for name, value in opened.inputs.items()}
    args, kwargs = given_inputs.call(module.forward, values)
    with torch.no_grad():
        module(*args, **kwargs)
        traced, steps = taped(module, values, "cpu")
        assert traced.failure is None
        leaves = list(given_inputs.leaves(values))
        written = program(traced, steps, [traced.numbers[name] for name, _ in leaves])
        expected = [tensor for _, tensor in outputs_of(module(*args, **kwargs))]
        marks = []
        found = written.function(marks.append, None, *[tensor for _, tensor in leaves])
    assert marks == list(range(1, len(traced.graph) + 1))  # one mark after every op, in order
    return expected, found, traced, steps


def same(expected, found) -> bool:
    return len(expected) == len(found) and all(map(torch.equal, expected, found))


@pytest.mark.parametrize(
    "spec", ["lenet5", "lenet5-1998", "inception-module", "residual-block-projection", "nin-cifar10"]
)
def test_a_program_computes_what_its_network_does(spec: str) -> None:
    expected, found, _, _ = replayed(spec)
    assert same(expected, found)


@pytest.mark.parametrize(
    "name", ["swin_t", "vit_b_32", "shufflenet_v2_x0_5", "r3d_18", "ssdlite320_mobilenet_v3_large"]
)
def test_a_program_computes_what_a_network_of_torchvision_does(name: str) -> None:
    pytest.importorskip("torchvision", reason="torchvision is not installed")
    expected, found, _, _ = replayed(f"torchvision:{name}")
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(expected, found, strict=True))


def test_a_program_keeps_writes_in_place_loops_and_several_outputs() -> None:
    expected, found, traced, steps = replayed(Odd(), {"x": (2, 4, 6), "scale": 3.0})
    assert same(expected, found)
    kinds = [op.kind for op in traced.graph.ops]
    assert kinds.count("linear") == 3
    assert kinds.count("lstm") == 1
    whole = [step.function for step in steps if isinstance(step.function, nn.Module)]
    assert [type(module).__name__ for module in whole] == ["Linear", "ReLU"] * 3  # an LSTM returns more than a tensor


def test_a_module_with_a_hook_is_not_called_whole() -> None:
    expected, found, traced, steps = replayed(torch.nn.utils.spectral_norm(nn.Linear(3, 3)), (1, 3))
    assert same(expected, found)
    assert traced.graph.ops[-1].kind == "linear"  # what is before makes its weight
    assert not any(isinstance(step.function, nn.Module) for step in steps)


def test_what_sleeps_takes_the_time() -> None:
    found = archprof.time(Sleeper(), (2, 4), device="cpu", threads=2, budget_s=0.5)  # two threads: by the wall clock
    assert found.timing.settings["clock"] == "wall"
    first, slow, last = found.values["measured_s"]
    assert slow >= SLEEP_S
    assert max(first, last) < SLEEP_S
    assert found.timing.rows_s == pytest.approx(first + slow + last)
    assert found.timing.bare.median >= SLEEP_S


def test_what_sleeps_on_the_way_back_takes_the_time_there() -> None:
    found = archprof.time(Sleeper(), (2, 4), device="cpu", threads=2, training=True, budget_s=0.6)
    first, slow, last = found.values["backward_s"]
    assert slow >= 2 * SLEEP_S
    assert max(first, last) < SLEEP_S
    assert found.timing.settings["training"] is True


def test_an_op_has_its_way_back_whichever_of_its_outputs_is_used() -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru, self.head = nn.GRU(32, 64), nn.Linear(64, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.gru(x)[1][-1])

    found = archprof.time(Last(), (20, 4, 32), device="cpu", threads=1, training=True, budget_s=0.5)
    back = dict(zip((op.kind for op in found.network.ops), found.values["backward_s"], strict=True))
    assert back["gru"] > 10 * back["getitem"]


def test_one_thread_is_timed_by_its_own_clock() -> None:
    found = archprof.time(Sleeper(), (2, 4), device="cpu", threads=1, budget_s=0.3)
    assert found.timing.settings["clock"] == "thread"
    assert found.values["measured_s"][1] < SLEEP_S  # asleep, a thread takes no time of the CPU


def passes_of(model, inputs, **how) -> Passes:
    opened = opened_by(model, inputs)
    how = How(torch.device("cpu"), **how)
    module = with_weights(opened).train(how.training)
    values = {name: given_inputs.on("cpu", value) for name, value in opened.inputs.items()}
    traced, steps = taped(module, values, "cpu", training=how.training)
    numbers = [traced.numbers[name] for name, _ in given_inputs.leaves(values)]
    return Passes(module, values, program(traced, steps, numbers, keeps=how.training), how)


def test_rows_add_up_to_the_marked_pass() -> None:
    passes = passes_of(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)), (1, 8))
    with torch.no_grad():
        seconds = [passes.marked() for _ in range(3)]
    assert [sum(row) for row in passes.rows] == pytest.approx(seconds)
    assert passes.wholes == seconds
    assert all(len(row) == 3 and min(row) > 0 for row in passes.rows)


def test_forward_and_backward_rows_add_up_to_the_pass_but_for_its_start() -> None:
    passes = passes_of(nn.Sequential(nn.Linear(64, 512), nn.Tanh(), nn.Linear(512, 64)), (64, 64), training=True)
    wholes = [passes.marked() for _ in range(9)]
    explained = [sum(ahead) + sum(back) for ahead, back in zip(passes.rows, passes.backward_rows, strict=True)]
    assert all(part <= whole for part, whole in zip(explained, wholes, strict=True))
    assert max(part / whole for part, whole in zip(explained, wholes, strict=True)) > 0.8


def test_nothing_of_a_users_module_changes() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)).train()
    module[1].eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    state = torch.get_rng_state(), torch.get_num_threads(), torch.backends.cudnn.allow_tf32, torch.is_grad_enabled()
    archprof.time(module, (2, 3, 8, 8), device="cpu", threads=1, training=True, budget_s=0.1)
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert [part.training for part in module] == [True, False, True]
    assert all(weight.grad is None for weight in module.parameters())
    assert not any("forward" in vars(part) for part in module.modules())
    assert torch.equal(state[0], torch.get_rng_state())
    assert state[1:] == (torch.get_num_threads(), torch.backends.cudnn.allow_tf32, torch.is_grad_enabled())


def test_a_pass_says_what_its_rows_leave_out() -> None:
    bare, marked = (Spread(ms / 1e3, 0, 0, 0, 0, (ms - 1) / 1e3, (ms + 1) / 1e3, 9) for ms in (100, 97))
    timing = Timing("cpu", bare, marked, rows_s=0.095, coverage=0.99)
    said = beside(timing)
    # 99 % of 97 ms are 96.03 ms, 95 of them in rows; 0.97 ms are in none; the marked pass is 3 ms shorter, known to 1
    assert {of.split()[1]: seconds for of, seconds in said.items()} == pytest.approx(
        {"down": 1.03e-3, "from": 0.97e-3, "the": 3e-3}
    )
    assert not beside(dataclasses.replace(timing, marked=bare, rows_s=0.1, coverage=1.0))
    close = dataclasses.replace(marked, median=0.0991)
    assert not beside(dataclasses.replace(timing, marked=close, rows_s=0.0991, coverage=1.0))


PAGES = """
import resource, torch
from archprof.runs.passes import keep_heap
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    kept = [torch.ones(2 << 20) for _ in range(5)]
    del kept
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
first = [faults() for _ in range(5)][-1]
keep_heap()
print(first, [faults() for _ in range(5)][-1])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep what is freed by other rules")
def test_memory_that_a_pass_frees_is_there_for_the_next() -> None:
    done = subprocess.run([sys.executable, "-c", PAGES], capture_output=True, text=True, check=True)
    first, then = map(int, done.stdout.split())
    assert first > 5_000  # five tensors of 8 MiB, in pages of 4 KiB
    assert then < 0.1 * first


def test_counts_are_those_of_the_static_profile() -> None:
    measured_, static = archprof.time("resnet20", device="cpu", threads=1, budget_s=0.2), archprof.profile("resnet20")
    assert {name: measured_.totals[name] for name in static.totals} == static.totals
    assert [op.name for op in measured_.network.ops] == [op.name for op in static.network.ops]


def test_a_spread_is_that_of_its_values() -> None:
    found = spread([9.0, 1.0, 2.0, 8.0, 3.0, 7.0, 4.0, 6.0, 5.0])
    assert (found.least, found.quarter, found.median, found.three_quarters, found.n) == (1, 3, 5, 7, 9)
    assert found.ninety == pytest.approx(8.2)  # place 0.9 x 8 = 7.2 from 0: 8 + 0.2
    assert found.iqr == 4
    # the second and the last but one, as tables have it: 1 - 2 x (1 + 9) / 2 ** 9 = 96 %; the third: 82 %
    assert (found.low, found.high) == (2, 8)


def test_kinds_of_passes_take_turns_until_the_budget_is_spent() -> None:
    order = []

    def run(name):
        order.append(name)
        time.sleep(0.01)
        return 0.01

    taken, _ = by_turns({"a": lambda: run("a"), "b": lambda: run("b")}, 0.1, 10**6, lambda *_: None)
    assert order == ["a", "b"] * len(taken["a"])
    assert 2 <= len(taken["b"]) == len(taken["a"]) <= 6


def test_sampling_ends_early_where_the_medians_are_known() -> None:
    taken, _ = by_turns({"a": lambda: time.sleep(0.001) or 1.0}, 60.0, 10**6, lambda *_: None)
    assert len(taken["a"]) >= 30


def test_an_interruption_keeps_the_whole_rounds() -> None:
    runs = iter([1.0, 1.0, 1.0, KeyboardInterrupt()])

    def run():
        value = next(runs)
        if isinstance(value, BaseException):
            raise value
        return value

    taken, stop = by_turns({"a": run, "b": run}, 60.0, 10**6, lambda *_: None)
    assert (taken, stop) == ({"a": [1.0], "b": [1.0]}, "interrupted")
    with pytest.raises(KeyboardInterrupt):
        by_turns({"a": lambda: (_ for _ in ()).throw(KeyboardInterrupt)}, 60.0, 10**6, lambda *_: None)


def test_warm_up_lasts_until_passes_agree() -> None:
    times = iter([1.0, 0.5, 0.3, 0.2, 0.2, 0.2, 0.2])
    assert warmed(lambda: next(times), budget_s=60.0, least_s=0.0) == 6


def test_rows_are_flagged_by_their_floor_spread_and_launch() -> None:
    even, uneven = spread([1e-3] * 8), spread([1e-3, 1e-3, 1e-3, 2e-3, 3e-3, 4e-3, 5e-3, 6e-3])
    assert flags([even, uneven, even], None, 1e-7) == ["", "unresolved", ""]
    assert flags([even], None, 6e-4) == ["unresolved"]
    assert flags([even, even], [2e-3, 1e-4], 1e-7) == ["launch-bound", ""]


def test_a_model_that_fails_says_where() -> None:
    with pytest.raises(ModelError, match=r"fails in 1 \(Linear\), linear of 2x4 and 3x5") as caught:
        archprof.time(nn.Sequential(nn.Linear(4, 4), nn.Linear(5, 3)), (2, 4), device="cpu")
    assert len(caught.value.profile.network) == 1


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"device": "meta"}, "nothing runs on meta"),
        ({"device": "toaster"}, "no device 'toaster' here"),
        ({"mode": "slow"}, "there is no mode 'slow'"),
        ({"mode": "graph"}, "mode 'graph' is CUDA's"),
        ({"threads": 0}, "threads are 1 or more"),
        ({"dtype": "tf32"}, "only CUDA multiplies in tf32"),
        ({"budget_s": float("nan")}, "a budget is a number of seconds above 0"),
        ({"budget_s": 0}, "a budget is a number of seconds above 0"),
    ],
)
def test_a_wrong_wish_is_refused(how, said: str) -> None:
    with pytest.raises(UserError, match=said):
        archprof.time("lenet5", **{"device": "cpu", **how})


@pytest.fixture(scope="module")
def lenet():
    return archprof.time("lenet5", device="cpu", threads=1, training=True, budget_s=0.2)


def test_the_document_fits_its_schema(lenet) -> None:
    schema = json.loads((Path(archprof.__file__).parent / "renderers" / "profile.schema.json").read_text())
    document = json.loads(lenet.to_json())
    jsonschema.validate(document, schema)
    assert document["timing"]["bare"]["n"] >= 1
    assert document["columns"]["measured_s"]["unit"] == "s"
    assert all(op["measured_s"] > 0 for op in document["ops"])


def test_a_timeline_nests_and_is_as_long_as_its_rows(lenet) -> None:
    document = json.loads(lenet.render("speedscope"))
    frames = [frame["name"] for frame in document["shared"]["frames"]]
    timeline, *sums = document["profiles"]
    assert [part["name"] for part in sums] == ["macs", "params", "activation_bytes"]
    jsonschema.validate(document, json.loads(SPEEDSCOPE.read_text("utf-8")))
    open_, at = [], 0.0
    for event in timeline["events"]:
        assert event["at"] >= at - 1e-9
        at = event["at"]
        if event["type"] == "O":
            open_.append(frames[event["frame"]])
        else:
            assert open_.pop() == frames[event["frame"]]
    assert open_ == []
    assert timeline["endValue"] == pytest.approx(lenet.timing.rows_s * 1e6)
    events = json.loads(lenet.render("chrome-trace"))["traceEvents"]
    assert sum(event["ph"] == "B" for event in events) == sum(event["ph"] == "E" for event in events)
    assert {event.get("cat") for event in events} >= {"forward", "backward"}


def test_a_timeline_needs_a_measurement() -> None:
    with pytest.raises(UserError, match="was not measured"):
        archprof.profile("lenet5").render("chrome-trace")
    with pytest.raises(UserError, match="was not measured"):
        archprof.profile("lenet5").render("folded", sort="time")


def test_the_table_shows_times_and_what_the_pass_took() -> None:
    result = CliRunner().invoke(main, ["time", "lenet5", "--threads", "1", "--budget", "0.2", "--format", "table"])
    assert result.exit_code == 0
    assert "measured_s" in result.stdout
    assert "a pass takes" in result.stdout
    assert "CPU time of the thread" in result.stdout
    assert "1 thread)" in result.stdout


def test_a_timed_table_sorts_by_what_was_measured() -> None:
    words = ["time", "lenet5", "--device", "cpu", "--threads", "1", "--budget", "0.2", "--sort", "achieved_flops_per_s"]
    result = CliRunner().invoke(main, [*words, "--format", "table"])
    assert result.exit_code == 0
    assert "share" not in result.stdout
    result = CliRunner().invoke(main, [*words, "--format", "folded"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'achieved_flops_per_s' does not add up" in result.stderr


def test_a_picture_may_be_coloured_by_time(tmp_path: Path, lenet) -> None:
    lenet.draw(tmp_path / "x.svg", metric="time")
    assert "share of time" in (tmp_path / "x.svg").read_text()
    with pytest.raises(UserError, match="time is measured first"):
        archprof.profile("lenet5").draw(tmp_path / "y.svg", metric="time")


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler, and there is no g++ here")
def test_a_file_of_a_timed_run_is_what_its_ending_says(tmp_path: Path) -> None:
    for name in ("lenet.svg", "lenet.speedscope.json", "lenet.zip"):
        words = ["time", "lenet5", "--device", "cpu", "--threads", "1", "--budget", "0.2", "-o", str(tmp_path / name)]
        assert CliRunner().invoke(main, words).exit_code == (2 if name.endswith("zip") else 0)
    assert "share of time" in (tmp_path / "lenet.svg").read_text("utf-8")
    assert json.loads((tmp_path / "lenet.speedscope.json").read_text("utf-8"))["profiles"]


def test_a_compiled_pass_is_timed_with_its_kernels() -> None:
    model = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Sigmoid())
    timing = archprof.time(model, (8, 64), device="cpu", threads=1, compiled=True, budget_s=0.2).timing
    assert timing.compiled.n == timing.bare.n
    kernels = dict(timing.compiled_kernels)
    assert any("fused" in name and "tanh" in name and "sigmoid" in name for name in kernels)  # one for both
    assert all(seconds > 0 for seconds in kernels.values())


def test_a_cuda_device_that_is_not_there_is_told_in_a_line() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    result = CliRunner().invoke(main, ["time", "lenet5", "--device", "cuda"])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: no device 'cuda' here")
    assert result.stderr.count("\n") == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
@pytest.mark.parametrize("mode", ["eager", "queued", "graph"])
def test_a_gpu_is_timed_in_every_mode(mode: str) -> None:
    found = archprof.time("resnet18", device="cuda", mode=mode, budget_s=3)
    assert found.timing.rows_s == pytest.approx(found.timing.marked.median, rel=0.05)
    assert found.timing.peak_bytes > found.totals["param_bytes"]
    assert found.timing.machine["name"] == machine.name_of(torch.device("cuda"))


def test_measured_is_public_from_passes_too() -> None:
    passes = passes_of(nn.Linear(4, 4), (1, 4))
    with torch.no_grad():
        found = measured(archprof.profile(nn.Linear(4, 4), (1, 4)), passes, 0.1, lambda *_: None, compiled=False)
    assert found.values["achieved_flops_per_s"][0] == pytest.approx(36 / found.values["measured_s"][0])  # 2 x 16 + 4
