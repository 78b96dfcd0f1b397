"""The acceptance script on a GPU of arithmetic (tests/fake_cuda.py): what it checks, what it leaves out, what it writes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import archprof
from archprof.errors import UserError
from archprof.runs import acceptance
from archprof.runs.acceptance import Check, main, rows_add_up, steadiest
from tests.fake_cuda import Kernels, _gpu  # noqa: F401 - the fixture `gpu`

LONG, SHORT = ((4000.0, 20.0), (2000.0, 20.0)), ((5.0, 20.0), (4.0, 20.0), (6.0, 20.0))


def processes(_):
    yield Check("G5 spread over 3 processes", "resnet50", 0.01, "<= 0.02", passed=True)


@pytest.fixture(autouse=True)
def _small(monkeypatch) -> None:
    def measured(model: str, device: str, batch: int, mode: str, budget_s: float):
        if model == "too large":
            raise UserError(
                "out of memory on cuda:0: try a smaller batch, or a smaller dtype"
            ) from torch.OutOfMemoryError()
        kernels = SHORT if model == "resnet18" else LONG
        return archprof.time(Kernels(*kernels), (batch, 4), device=device, mode=mode, budget_s=budget_s)

    monkeypatch.setattr(acceptance, "measured", measured)
    monkeypatch.setattr(acceptance, "models", lambda _: [("long", 1), ("too large", 32)])
    monkeypatch.setattr(acceptance, "processes_agree", processes)


def run(path: Path, *words: str) -> tuple[int, dict[str, list]]:
    result = CliRunner().invoke(main, [*words, "--budget", "1", "-o", str(path)], catch_exceptions=False)
    found: dict[str, list] = {}
    for check in json.loads(path.read_text("utf-8"))["checks"]:
        found.setdefault(check["name"], []).append(check)
    assert all(name in result.stdout for name in found)
    return result.exit_code, found


def test_every_gate_has_a_line_and_its_figure(gpu, tmp_path: Path) -> None:
    gpu.record_us = 1.0
    code, found = run(tmp_path / "x.json")
    assert code == 0
    assert {name[:2] for name in found} == {"G1", "G2", "G3", "G4", "G5", "G6"}
    rows, left_out = found["G1 rows / bare pass"]
    assert (rows["figure"], rows["passed"]) == (pytest.approx(1), True)
    assert left_out["passed"] is None
    assert "out of memory" in left_out["remark"]
    assert found["G2 cost of marks"][0]["figure"] == pytest.approx(0)
    assert found["G3 events / kernels"][0]["remark"] == "the profiler saw no kernels"
    # 5 + 4 + 6 ahead; three launches of 20 and the last kernel's 6 without marks; with them two of three rows are bound
    assert found["G4 graph / queued"][0]["figure"] == pytest.approx(1)
    assert found["G4 queued / eager"][0]["figure"] == pytest.approx(15 / 66)
    assert found["G4 rows bound by launch"][0]["figure"] == pytest.approx(2 / 3)
    # an empty row is what the host takes to record it, or nothing where it is ahead
    assert [check["figure"] for check in found["G6 empty row"]] == [pytest.approx(1e-6), pytest.approx(0)]


def test_what_is_wrong_fails(gpu, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(acceptance, "models", lambda _: [("long", 1)])

    def broken(_):
        raise UserError("no device")

    monkeypatch.setattr(acceptance, "processes_agree", broken)
    gpu.record_us = 300.0  # the host is slower than the kernels: marks cost more than they may
    code, found = run(tmp_path / "x.json")
    assert code == 1
    assert found["G5 spread over 3 processes"][0]["passed"] is False
    assert found["G5 spread over 3 processes"][0]["remark"] == "no device"


@pytest.mark.usefixtures("gpu")
def test_no_network_is_begun_when_there_is_no_time_left(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(acceptance, "LIMIT_S", -1.0)
    code, found = run(tmp_path / "x.json")
    assert code == 0
    assert [check["remark"] for check in found["G1 rows / bare pass"]] == ["no time left"] * 2


def test_a_device_that_is_not_there_is_told() -> None:
    result = CliRunner().invoke(main, ["--device", "toaster"])
    assert result.exit_code == 1
    assert "no device 'toaster' here" in result.stderr


def with_passes(quarter: float, median: float, three_quarters: float):
    found = archprof.time("lenet5", device="cpu", budget_s=0.05)
    bare = dataclasses.replace(found.timing.bare, quarter=quarter, median=median, three_quarters=three_quarters)
    return dataclasses.replace(found, timing=dataclasses.replace(found.timing, bare=bare, marked=bare, rows_s=median))


def test_what_is_uneven_is_measured_again_and_not_judged() -> None:
    uneven, less, steady = (with_passes(0.1 - part, 0.1, 0.1 + part) for part in (0.02, 0.01, 0.001))
    given = iter([uneven, less, steady, uneven])
    assert steadiest(lambda: next(given)) is steady
    assert next(given) is uneven
    given = iter([uneven, less, uneven, uneven])
    assert steadiest(lambda: next(given)) is less
    assert [check.passed for check in rows_add_up(steady, "it")] == [True, True]
    for check in rows_add_up(less, "it"):  # 0.09 to 0.11 of 0.1
        assert (check.passed, check.remark) == (None, "uneven: the middle half of the passes spans 20.0%")
