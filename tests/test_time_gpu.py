"""Time on a GPU of arithmetic (tests/fake_cuda.py): every figure is worked out by hand from times that the test has set."""

from __future__ import annotations

import pytest
import torch
from click.testing import CliRunner
from torch import nn
from torch.autograd import DeviceType
from torch.autograd.profiler_util import EventList, FunctionEvent

import archprof
from archprof.cli import main
from archprof.errors import UserError
from archprof.runs import kernels
from archprof.runs.kernels import PASSES, PREFIX, columns, compiled_kernels
from tests.fake_cuda import Kernels, _gpu  # noqa: F401 - the fixture `gpu`
from tests.test_time import passes_of

LONG = (100.0, 20.0), (50.0, 20.0), (200.0, 20.0)
SHORT = (5.0, 20.0), (4.0, 20.0), (6.0, 20.0)


SECOND = 1_000_000
"""Microseconds, which the profiler counts."""


def timed(model: nn.Module, mode: str = "eager", **how):
    return archprof.time(model, (2, 4), device="cuda", mode=mode, budget_s=5.0, **how)


def in_us(values) -> list[float]:
    return [pytest.approx(1e6 * value, abs=1e-3) for value in values]


def test_kernels_that_take_longer_than_their_launches_have_their_own_time(gpu) -> None:
    gpu.record_us = 1.0
    found = timed(Kernels(*LONG))
    # the device waits for the first launch alone; the host is ahead of all others
    assert in_us(found.values["measured_s"]) == [20 + 100, 50, 200]
    # a launch, and the mark after it
    assert in_us(found.values["host_s"]) == [21, 21, 21]
    assert in_us([found.timing.rows_s, found.timing.bare.median, found.timing.marked.median]) == [370, 370, 370]
    assert found.timing.coverage == 1
    assert list(found.values["measured_flag"]) == ["", "", ""]
    assert (found.timing.device, found.timing.settings["clock"]) == ("cuda:0", "events")


def test_kernels_that_take_less_than_their_launches_are_bound_by_them(gpu) -> None:
    gpu.record_us = 1.0
    found = timed(Kernels(*SHORT))
    # the first ends 20 + 5 after its mark; then every kernel begins 21 after the one before it began (a launch and a mark),
    # and the device is done with one before the next comes: row 2 is 41 + 4 - 25, row 3 is 62 + 6 - 45
    assert in_us(found.values["measured_s"]) == [25, 20, 23]
    assert in_us(found.values["host_s"]) == [21, 21, 21]
    # 21 of 25 is less than nine tenths, 21 of 23 is more
    assert list(found.values["measured_flag"]) == ["", "launch-bound", "launch-bound"]
    # the bare pass has no marks in between: its last kernel begins after three launches
    assert in_us([found.timing.bare.median, found.timing.marked.median]) == [60 + 6, 68]


@pytest.mark.parametrize("times", [LONG, SHORT])
@pytest.mark.parametrize("mode", ["queued", "graph"])
def test_what_runs_ahead_has_no_gaps(gpu, mode, times) -> None:
    gpu.record_us, gpu.graph_launch_us = 1.0, 30.0
    found = timed(Kernels(*times), mode)
    assert in_us(found.values["measured_s"]) == [kernel for kernel, _ in times]
    assert in_us([found.timing.bare.median, found.timing.marked.median]) == [sum(kernel for kernel, _ in times)] * 2
    if mode == "queued":
        assert found.timing.settings["passes_not_ahead"] == 0
        bound = ["launch-bound" if 0.9 * kernel <= 21 else "" for kernel, _ in times]
        assert list(found.values["measured_flag"]) == bound
    else:
        assert "host_s" not in found.values  # nothing is launched op by op
        assert gpu.captures == 2  # of the bare pass and of the marked one


@pytest.mark.parametrize("times", [LONG, SHORT])
def test_a_graph_is_no_slower_than_a_queue_and_a_queue_than_launching(gpu, times) -> None:
    gpu.record_us = 0.5
    passes = [timed(Kernels(*times), mode).timing.marked.median for mode in ("graph", "queued", "eager")]
    assert passes == sorted(passes)
    assert passes[1] < passes[2]


@pytest.mark.usefixtures("gpu")
def test_a_model_that_waits_for_the_device_is_not_ahead_and_says_so() -> None:
    class Waits(Kernels):
        def forward(self, x):
            return super().forward(torch.ops.archprof_test.waits(super().forward(x)))

    found = timed(Waits((10.0, 20.0)), "queued")
    first, _, last = found.values["measured_s"]
    assert in_us([first, last]) == [10, 20 + 10]  # asleep before the first, awake before the last
    assert found.timing.settings["passes_not_ahead"] == 2 * found.timing.bare.n  # of bare and marked passes all
    assert "the host was not ahead" in found.render("table")
    with pytest.raises(
        UserError, match=r"^Waits cannot be a CUDA graph, .*mode queued.*not permitted when stream is cap"
    ):
        timed(Waits((10.0, 20.0)), "graph")


@pytest.mark.parametrize("mode", ["eager", "queued"])
def test_rounds_before_memory_ran_out_are_kept(gpu, mode) -> None:
    whole = timed(Kernels(*LONG), mode)
    used = len(gpu.runs)
    gpu.__init__(
        free_passes=used - 4
    )  # the last round: three kernels of the marked pass, and one of the bare one before
    found = timed(Kernels(*LONG), mode)
    assert found.timing.bare.n == found.timing.marked.n == whole.timing.bare.n - 1
    assert found.values["measured_s"] == whole.values["measured_s"]
    assert found.notes[-1] == f"out of memory after {whole.timing.bare.n - 1} rounds: times are those of these"


@pytest.mark.usefixtures("gpu")
def test_times_are_kept_where_the_profiler_cannot_run(monkeypatch) -> None:
    def fails(_):
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2.00 GiB.")

    monkeypatch.setattr(kernels, "columns", fails)
    found = timed(Kernels(*LONG), "graph")
    assert in_us(found.values["measured_s"]) == [100, 50, 200]
    assert found.notes[-1] == "which kernels there are is not known: CUDA out of memory. Tried to allocate 2.00 GiB."


@pytest.mark.parametrize("runs", [0, 2, 4, 13])
def test_memory_that_is_too_small_is_told_in_a_line(gpu, runs) -> None:
    gpu.free_passes = runs
    with pytest.raises(UserError, match=r"^out of memory on cuda:0: try a smaller batch, or a smaller dtype$"):
        timed(Kernels(*LONG))


def test_a_graph_is_warmed_up_before_it_is_captured(gpu) -> None:
    class Lazy(Kernels):
        """Makes something at its first run in a mode, as a compiler does."""

        def forward(self, x):
            if len(gpu.runs) < 4:
                gpu.synchronize()
            return super().forward(x)

    assert in_us(timed(Lazy(*SHORT), "graph").values["measured_s"]) == [5, 4, 6]


def test_every_kind_of_pass_has_a_graph_of_its_own(gpu, monkeypatch) -> None:
    slow = Kernels((9.0, 20.0))
    monkeypatch.setattr(torch, "compile", lambda *_, **__: slow)
    monkeypatch.setattr(kernels, "compiled_kernels", lambda _: ())
    timing = timed(Kernels(*SHORT), "graph", compiled=True).timing
    assert in_us([timing.bare.median, timing.marked.median, timing.compiled.median]) == [15, 15, 9]
    assert gpu.captures == 3


def test_the_peak_of_memory_is_that_of_a_pass_without_the_cache_that_is_cleared(gpu) -> None:
    gpu.peak = 12345
    assert timed(Kernels(*LONG)).timing.peak_bytes == 12345


def test_the_backward_pass_has_its_rows(gpu) -> None:
    found = timed(nn.Sequential(nn.Linear(4, 4), Kernels(*LONG)), training=True)
    # the line's own kernels are the CPU's, and take no time here; on the way back a kernel takes twice as long
    assert in_us(found.values["measured_s"]) == [0, 20 + 100, 50, 200]
    assert in_us(found.values["backward_s"]) == [0, 200, 100, 400]
    assert in_us([found.timing.rows_s, found.timing.bare.median]) == [370 + 700] * 2
    assert gpu.captures == 0


def test_a_table_of_a_gpu_names_it_and_its_flags(gpu) -> None:
    gpu.peak, gpu.record_us = 3 << 20, 1.0
    text = timed(Kernels(*SHORT)).render("table")
    assert "on cuda:0 (Arithmetic 1): eager, device events" in text
    assert "launch-bound, the host takes longer to launch it than the device to run it: 2 of 3 ops" in text
    assert "the allocator held at most 3.000 MiB" in text


@pytest.mark.usefixtures("gpu")
def test_the_command_takes_the_gpu_there_is() -> None:
    result = CliRunner().invoke(main, ["time", "lenet5", "--mode", "queued", "--budget", "0.2", "--format", "json"])
    assert result.exit_code == 0, result.output
    assert '"device": "cuda:0"' in result.stdout


class Profiler:
    """What torch's profiler returns, made of its own events."""

    def __init__(self, events: list[FunctionEvent]) -> None:
        self.found = EventList(events, use_device="cuda")
        self.found._build_tree()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return

    def events(self):
        return self.found

    def key_averages(self):
        return self.found.key_averages()


def event(number: int, name: str, start: float, end: float, *launched, on=DeviceType.CPU, is_range=False):
    made = FunctionEvent(
        number,
        name,
        thread=1,
        start_us=start,
        end_us=end,
        device_type=on,
        use_device="cuda",
        is_user_annotation=is_range,
        stack=[],
    )
    for kernel, seconds in launched:
        made.append_kernel(kernel, 0, seconds * SECOND)
    return made


def test_kernels_are_those_of_their_op_and_ranges_are_none(monkeypatch) -> None:
    found = []
    for run, factor in enumerate([9, 1, 3, 2]):  # the first pass is not looked at; of 1, 3 and 2 the median is 2
        at = 1000 * run
        first, second = f"{PREFIX}{run}.0", f"{PREFIX}{run}.1"
        found += [
            event(at, first, at, at + 100, (first, 50 * factor), is_range=True),
            event(at, first, at, at + 100, on=DeviceType.CUDA, is_range=True),
            event(at, "aten::linear", at + 10, at + 90),
            event(at, "aten::addmm", at + 20, at + 80, ("gemm", 4 * factor), ("Memset (Device)", 1 * factor)),
            event(at, "gemm", at + 30, at + 40, on=DeviceType.CUDA),
            event(at, second, at + 200, at + 300, is_range=True),
            # a range of the model's own, with a twin on the device that is as long as what is in it
            event(at, "mine", at + 210, at + 290, ("mine", 7 * factor), is_range=True),
            event(at, "aten::relu", at + 220, at + 280, ("clamp", 2 * factor)),
            event(at, "aten::fill_", at + 400, at + 410, ("outside", 1 * factor)),
        ]
    monkeypatch.setattr(kernels, "watching", lambda _: Profiler(found))
    passes = passes_of(nn.Sequential(nn.Linear(4, 4), nn.ReLU()), (2, 4))
    monkeypatch.setitem(kernels.ON_DEVICE, "cpu", None)
    (_, counts), (_, names), (_, seconds) = columns(passes)
    assert PASSES == 3
    assert counts == [2, 1]
    assert names == ["gemm; Memset (Device)", "clamp"]
    assert seconds == pytest.approx([2 * (4 + 1), 2 * 2])


def test_a_profiler_that_saw_no_kernels_says_nothing_of_them(monkeypatch) -> None:
    monkeypatch.setitem(kernels.ON_DEVICE, "cpu", None)
    monkeypatch.setattr(kernels, "watching", lambda _: Profiler([event(1, f"{PREFIX}1.0", 0, 1, is_range=True)]))
    assert columns(passes_of(nn.ReLU(), (2, 4))) == []


def test_a_kernel_of_a_compiled_pass_is_counted_once(monkeypatch) -> None:
    region, fused = "Torch-Compiled Region: 0/0", "triton_poi_fused_tanh_0"
    found = [
        event(1, region, 0, 500, (fused, 6), (region, 20), is_range=True),
        event(1, region, 0, 500 * SECOND, on=DeviceType.CUDA, is_range=True),
        event(2, "aten::mm", 10, 90, ("gemm", 8)),
        event(2, "gemm", 20, 20 + 8 * SECOND, on=DeviceType.CUDA),
        event(3, fused, 100, 190, (fused, 6)),
        event(3, fused, 110, 110 + 6 * SECOND, on=DeviceType.CUDA),
    ]
    monkeypatch.setattr(torch, "compile", lambda module, **_: module)
    monkeypatch.setattr(kernels, "watching", lambda _: Profiler(found))
    passes = passes_of(nn.Tanh(), (2, 4))
    monkeypatch.setitem(kernels.ON_DEVICE, "cpu", None)
    assert compiled_kernels(passes) == (("gemm", pytest.approx(8)), (fused, pytest.approx(6)))
