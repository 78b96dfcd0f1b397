"""A calibrated device is one that `--on` reads, with rates that were reached and no others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from ruamel.yaml import YAML

import archprof
from archprof.cli import main
from archprof.devices.reader import read
from archprof.errors import UserError
from archprof.runs import calibrate
from archprof.runs.calibrate import sheet
from archprof.runs.passes import How, settings


@pytest.fixture(autouse=True)
def _small(monkeypatch) -> None:
    monkeypatch.setattr(calibrate, "SIZES", {"cpu": (16, 64)})
    monkeypatch.setattr(calibrate, "SECONDS", 0.01)
    monkeypatch.setattr(calibrate.machine, "cache_bytes", lambda _: 1)


def test_a_sheet_says_what_was_measured(tmp_path: Path) -> None:
    text = sheet(torch.device("cpu"), {"float32": 1.23456e11, "bfloat16": 2e11}, 1.5e10)
    (tmp_path / "mine.yaml").write_text(text)
    found = read(tmp_path / "mine.yaml")
    assert found.peaks == {"float32": pytest.approx(1.235e11), "bfloat16": pytest.approx(2e11)}
    assert found.bandwidth == pytest.approx(1.5e10)
    assert "measured by archprof calibrate" in found.sources[0]


def test_a_calibrated_device_can_be_used(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["calibrate", "--device", "cpu", "--threads", "1", "-o", "mine.yaml"])
    assert result.exit_code == 0, result.output
    assert "wrote mine.yaml" in result.stderr
    found = archprof.profile("lenet5", on="./mine.yaml")
    device = read(Path("mine.yaml"))
    # a lower bound on the whole: all products at once on the rate that was measured
    assert found.totals["time_s"] >= 2 * 416_520 / device.peaks["float32"]


def test_a_device_slower_than_another_is_measured_slower(monkeypatch) -> None:
    monkeypatch.setattr(calibrate, "SIZES", {"cpu": (128,)})
    cpu = torch.device("cpu")
    with settings(How(cpu, threads=1)):  # by the thread's own time
        double, single = (max(calibrate.matmul_rates(cpu, dtype, 0.2)) for dtype in ("float64", "float32"))
    assert 1 < single / double < 8  # twice as many floats in a register


def test_sizes_without_room_leave_the_rates_of_smaller_ones(monkeypatch) -> None:
    def rates(_, dtype, __):
        yield from {"float64": [2e9], "float32": [4e9, 3e9]}.get(dtype, [])
        if dtype == "float16":
            raise RuntimeError("\"addmm_impl_cpu_\" not implemented for 'Half'")
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(calibrate, "matmul_rates", rates)
    monkeypatch.setattr(calibrate, "HOST_DTYPES", ("float64", "float32", "float16"))
    found = YAML(typ="safe").load(calibrate.calibrate("cpu", seconds=0.05))
    assert found["peak_tflops"] == {"float64": 0.002, "float32": 0.004}
    monkeypatch.setattr(calibrate, "HOST_DTYPES", ("float16",))
    with pytest.raises(UserError, match="cpu multiplies in none of float16"):
        calibrate.calibrate("cpu", seconds=0.05)
    monkeypatch.setattr(calibrate, "HOST_DTYPES", ("bfloat16",))
    with pytest.raises(UserError, match="out of memory on cpu"):
        calibrate.calibrate("cpu", seconds=0.05)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--device", "toaster"], "no device 'toaster' here"), (["-o", "mine.txt"], "a device file's name ends in .yaml")],
)
def test_a_mistake_is_told_in_one_line(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(main, ["calibrate", *arguments])
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
