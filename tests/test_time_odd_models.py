"""Odd models measured: what they set torch to, what they hand to their parts, what cannot run again."""

from __future__ import annotations

import sys
from collections import OrderedDict
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

import archprof
from archprof.errors import UserError
from archprof.runs import machine, passes, tape
from archprof.runs.clock import EventClock, HostClock, clock_for
from archprof.runs.tf32 import products_in_tf32
from archprof.trace import outputs_of
from tests.test_time import passes_of, replayed, same

HELD = {"ones": torch.ones(4)}


class Pair(NamedTuple):
    left: torch.Tensor
    right: torch.Tensor


class Model(nn.Module):
    """A linear layer, and a forward of one's own."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(4, 4)


class Casts(Model):
    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            y = self.line(x)
        return self.line(y.float()) + y


class Frozen(Model):
    def forward(self, x):
        with torch.no_grad():
            y = self.line(x)
        return self.line(y)


class Force(Model):
    """Takes a gradient in its forward, as force fields do."""

    def forward(self, x):
        with torch.enable_grad():
            at = x.detach().requires_grad_()
            return torch.autograd.grad((self.line(at) ** 2).sum(), at)[0]


class Rounded(torch.autograd.Function):
    @staticmethod
    def forward(_, x):
        return x * 2

    @staticmethod
    def backward(_, gradient):
        return gradient * 2


class Functional(Model):
    def forward(self, x):
        return self.line(Rounded.apply(self.line(x)))


class Halves(nn.Module):
    def forward(self, pair):
        return pair.left + pair.right


class Named(OrderedDict):
    @property
    def left(self):
        return self["left"]


class Left(nn.Module):
    def forward(self, named):
        return named.left + 1


class Hands(Model):
    """Hands a tuple with names to one part, a dict with attributes to another."""

    def __init__(self) -> None:
        super().__init__()
        self.halves, self.first = Halves(), Left()

    def forward(self, x):
        return self.first(Named(left=self.halves(Pair(self.line(x), x))))


class Global(Model):
    def forward(self, x):
        return self.line(x) * HELD["ones"].to(x.device)  # which is the tensor itself


class Remembers(Model):
    """Adds what it returned before, with its history."""

    def __init__(self) -> None:
        super().__init__()
        self.before = None

    def forward(self, x):
        y = self.line(x)
        self.before = y if self.before is None else self.before * 0.5 + y
        return self.before


@pytest.mark.parametrize("kind", [Casts, Frozen, Force, Functional, Hands, Global])
def test_a_program_sets_torch_as_its_model_does(kind) -> None:
    expected, found, _, _ = replayed(kind(), (2, 4))
    assert same(expected, found)
    assert [tensor.dtype for tensor in expected] == [tensor.dtype for tensor in found]
    assert not torch.is_autocast_enabled("cpu")


def normed() -> nn.Module:
    return torch.nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4))


@pytest.mark.parametrize("kind", [Casts, Frozen, Functional, Hands, normed])
def test_the_gradient_passes_through_a_program_as_through_its_model(kind) -> None:
    made = passes_of(kind(), (2, 4), training=True)
    torch.manual_seed(0)
    gradients = []
    for run in (lambda: [t for _, t in outputs_of(made.module(*made.args, **made.kwargs))],
                lambda: made.program.function(lambda _: None, lambda *_: None, *made.tensors)):  # fmt: skip
        made.module.zero_grad()
        made._back(tuple(run()))
        gradients.append([weight.grad for weight in made.module.parameters()])
    assert len(gradients[0]) >= 2
    for ours, plain in zip(*gradients, strict=True):
        assert torch.allclose(ours, plain, atol=0.1 if kind is normed else 1e-6)  # it goes on from pass to pass
    assert torch.is_grad_enabled()


def test_a_tensor_that_an_earlier_run_has_seen_is_none_of_this_run() -> None:
    for _ in range(2):
        archprof.time(Global(), (2, 4), device="cpu", threads=1, budget_s=0.05)


@pytest.mark.parametrize("training", [False, True])
def test_a_network_without_ops_is_timed(training) -> None:
    found = archprof.time(nn.Identity(), (2, 4), device="cpu", threads=1, training=training, budget_s=0.05)
    assert found.timing.rows_s == found.timing.coverage == 0
    assert "after every op" not in found.render("table")
    assert found.timing.bare.median > 0


def test_a_checkpointed_part_runs_again_and_has_no_row_for_it() -> None:
    class Saves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part, self.last = (
                nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 4), nn.Tanh()),
                nn.Linear(4, 4),
            )

        def forward(self, x):
            return self.last(checkpoint(self.part, x, use_reentrant=False))

    found = archprof.time(Saves(), (2, 4), device="cpu", threads=1, training=True, budget_s=0.1)
    # all of the part: the gradient of tanh needs its output
    assert found.timing.without_rows == {"addmm": 2, "gelu": 1, "tanh": 1}
    assert "addmm (2x), gelu (1x), tanh (1x)" in " ".join(found.render("table").split())
    assert archprof.time(Saves(), (2, 4), device="cpu", threads=1, budget_s=0.1).timing.without_rows == {}


def test_a_layer_that_torch_runs_as_one_kernel_is_named() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    timing = archprof.time(layer, (1, 4, 8), device="cpu", threads=1, budget_s=0.1).timing
    assert timing.without_rows == {"_transformer_encoder_layer_fwd": 1}


def test_what_cannot_run_again_is_told_in_a_line() -> None:
    with pytest.raises(UserError, match=r"^Remembers fails as it runs again: Trying to backward") as caught:
        archprof.time(Remembers(), (2, 4), device="cpu", threads=1, training=True, budget_s=0.1)
    assert "\n" not in str(caught.value)


def test_our_own_bug_keeps_its_traceback(monkeypatch) -> None:
    made = passes_of(Functional(), (2, 4), training=True)
    for broken in ("_watch", "_back"):
        with monkeypatch.context() as patch:
            patch.setattr(made, broken, lambda *_: tape.program(None, None, None))
            with pytest.raises(TypeError, match="None"):
                made.marked()
    with pytest.raises(NameError):  # a name that our program lacks
        patched(made, lambda *_: unheard_of).marked()  # noqa: F821
    with pytest.raises(UserError, match=r"^the ops of it cannot be run one by one: .*mat1 and mat2"):
        patched(made, lambda mark, *_: (torch.ones(2, 3) @ torch.ones(2, 3), mark(1))).marked()
    with pytest.raises(torch.OutOfMemoryError):  # in the words that the CPU has for it
        patched(made, lambda *_: torch.empty(1 << 60)).marked()


def patched(made, function):
    made.program = tape.Program(function, "", 0, 0)
    return made


def test_what_cannot_be_compiled_is_told_in_a_line(monkeypatch) -> None:
    def no_compiler(*_, **__):
        raise LookupError("no compiler\nis here")

    monkeypatch.setattr(torch, "compile", lambda _: no_compiler)
    with pytest.raises(UserError, match=r"^torch.compile fails on Linear: LookupError: no compiler is here$"):
        archprof.time(nn.Linear(4, 4), (2, 4), device="cpu", threads=1, compiled=True, budget_s=0.1)


def test_autocast_casts_the_weights_in_every_pass() -> None:
    class Counts(TorchDispatchMode):
        casts = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.casts += func is torch.ops.aten._to_copy.default
            return func(*args, **kwargs or {})

    made = passes_of(nn.Linear(4, 4), (2, 4), training=True, amp=True)
    for run in (made.bare, made.marked):
        with Counts() as counts:
            run()
            forward = counts.casts
            run()
        assert counts.casts == 2 * forward
        assert forward >= 3  # input, weight and bias


class Sleepy(HostClock, EventClock):
    """A clock whose device is asleep, and whose host says what it takes."""

    says = iter(())

    def has_begun(self) -> bool:
        return False

    def launch_s(self) -> float:
        return next(self.says)


def test_a_device_sleeps_as_long_as_launches_take_while_it_is_awake(monkeypatch) -> None:
    slept = []
    monkeypatch.setattr(torch.cuda, "_sleep", slept.append)
    monkeypatch.setattr(passes, "clock_for", lambda _, marks, **__: Sleepy(marks))
    # the first compiles; behind a device asleep a queue may be full, and what the host waits then is no launch
    monkeypatch.setattr(Sleepy, "says", iter([30.0, 0.002, 90.0, 90.0]))
    made = passes_of(nn.Linear(4, 4), (2, 4), mode="queued")
    with torch.no_grad():
        for _ in range(4):
            made.bare()
    assert slept == [9_000_000] * 2  # 1.5 x 2 ms at 3 GHz
    assert made.behind == 0


MATMUL, CUDNN = torch.backends.cuda.matmul, torch.backends.cudnn


def switches() -> list[object]:
    """Return what all switches say; None where torch refuses, since old and new were mixed."""
    found = [MATMUL.fp32_precision, CUDNN.conv.fp32_precision, CUDNN.rnn.fp32_precision]
    for old in (torch.get_float32_matmul_precision, lambda: CUDNN.allow_tf32):
        try:
            found.append(old())
        except RuntimeError:
            found.append(None)
    return found


@pytest.fixture
def _as_before():
    matmul, conv, rnn, precision, allowed = before = switches()
    yield
    torch.set_float32_matmul_precision(precision)
    CUDNN.allow_tf32 = allowed
    MATMUL.fp32_precision, CUDNN.conv.fp32_precision, CUDNN.rnn.fp32_precision = matmul, conv, rnn
    assert switches() == before


@pytest.mark.usefixtures("_as_before")
@pytest.mark.parametrize("set_by", ["nobody", "old switch", "new switch"])
@pytest.mark.parametrize("wanted", [False, True])
def test_the_switches_of_tf32_are_put_back(set_by, wanted) -> None:
    if set_by == "old switch":
        torch.set_float32_matmul_precision("high")
    elif set_by == "new switch":
        MATMUL.fp32_precision, CUDNN.conv.fp32_precision = "tf32", "ieee"
    before = switches()
    assert (None in before) == (set_by == "new switch")
    with products_in_tf32(wanted):
        assert (MATMUL.fp32_precision == "tf32") is wanted
        assert MATMUL.allow_tf32 is CUDNN.allow_tf32 is wanted
    assert switches() == before


def test_what_a_gpu_does_not_tell_is_left_out(monkeypatch) -> None:
    class NVMLError(Exception):
        pass

    def refused(_):
        raise NVMLError

    monkeypatch.setattr(torch.cuda, "clock_rate", lambda _: 1980)
    monkeypatch.setattr(torch.cuda, "temperature", refused)
    monkeypatch.setattr(torch.cuda, "power_draw", lambda _: 350_000)
    library = SimpleNamespace(
        nvmlDeviceGetCurrentClocksThrottleReasons=lambda handle: handle,
        **{f"nvmlClocksThrottleReason{name}": 1 << (2 + place) for place, name in enumerate(machine.THROTTLES)},
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    # 1: it is idle, 4: the power cap, 64: too hot, which are NVIDIA's own bits
    monkeypatch.setattr(torch.cuda, "_get_pynvml_handler", lambda _: 1 + 4 + 64)
    assert machine.state(torch.device("cuda", 0)) == {
        "clock_mhz": 1980, "power_mw": 350_000, "throttled_by": ["SwPowerCap", "HwThermalSlowdown"],
    }  # fmt: skip
    monkeypatch.setitem(sys.modules, "pynvml", None)  # as where the package is not installed
    assert "throttled_by" not in machine.state(torch.device("cuda", 0))


def test_a_device_type_without_a_backend_is_none() -> None:
    with pytest.raises(UserError, match="no device 'privateuseone' here"):
        archprof.time("lenet5", device="privateuseone")


def test_inputs_on_meta_have_values_where_the_model_runs() -> None:
    found = archprof.time(nn.Linear(4, 3), torch.empty(2, 4, device="meta"), device="cpu", budget_s=0.1)
    assert found.values["measured_s"][-1] > 0


def test_a_span_that_mps_does_not_tell_is_nothing_and_rows_still_add_up(monkeypatch) -> None:
    class Event:
        """Refuses what is empty or out of order, as torch.mps.Event does."""

        moments = iter(
            [5.0, 5.0, 9.0, 8.5, 12.0]
        )  # milliseconds; the second is at the first, the fourth before the third

        def __init__(self, *, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            self.at = next(self.moments)

        def elapsed_time(self, end) -> float:
            if end.at <= self.at:
                raise RuntimeError("End event 2 was not recorded after start event 1")
            return end.at - self.at

    monkeypatch.setattr(torch.mps, "Event", Event)
    found = clock_for(torch.device("mps"), 5)
    for number in range(5):
        found.mark(number)
    assert found.rows(4) == pytest.approx([0, 4e-3, 0, 3e-3])


def test_an_op_of_several_outputs_has_its_way_back_timed() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.LSTM(16, 32)

        def forward(self, x, h, c):
            return self.net(x, (h, c))

    sizes = [(5, 2, 16), (1, 2, 32), (1, 2, 32)]
    found = archprof.time(Recurrent(), sizes, device="cpu", training=True, budget_s=0.1)
    assert found.values["backward_s"][0] > 0
