"""How a model is run can be said wherever it is timed, and nowhere else."""

from __future__ import annotations

import inspect

import pytest
from click.testing import CliRunner

import archprof
from archprof.cli import main
from archprof.options import RUN
from archprof.runs import measure

HOW = {
    "--device cpu": ("device", "cpu"), "--mode queued": ("mode", "queued"), "--amp": ("amp", True), "--cold": ("cold", True),
    "--channels-last": ("channels_last", True), "--compile": ("compiled", True), "--threads 3": ("threads", 3),
    "--train": ("training", True), "--budget 0.5": ("budget_s", 0.5),
}  # fmt: skip
COMMANDS = {
    "time lenet5": "", "show lenet5": "--time", "path lenet5": "--time", "roofline lenet5 --on t4": "--time",
    "draw lenet5 -o x.dot": "--metric time",
}  # fmt: skip


def test_options_are_arguments_of_the_library() -> None:
    assert set(RUN) <= set(inspect.signature(archprof.time).parameters)
    assert {name for name, _ in HOW.values()} == set(RUN)


@pytest.mark.parametrize(("command", "timed"), COMMANDS.items())
def test_every_command_that_measures_hands_on_how(command, timed, monkeypatch) -> None:
    asked = {}

    def time(_, **how):
        asked.update(how)
        raise archprof.UserError("enough")

    monkeypatch.setattr(measure, "time", time)
    result = CliRunner().invoke(main, f"{command} {timed} {' '.join(HOW)}".split())
    assert (result.exit_code, result.stderr) == (2, "error: enough\n")
    assert {name: asked[name] for name in RUN} == dict(HOW.values())


@pytest.mark.parametrize("command", [command for command, timed in COMMANDS.items() if timed])
def test_how_a_model_is_run_is_a_mistake_where_it_is_not(command) -> None:
    result = CliRunner().invoke(main, [*command.split(), "--budget", "3"])
    assert (result.exit_code, result.stderr) == (2, "error: --budget says how a model is run: it needs --time\n")


def test_a_diagram_that_is_timed_is_coloured_by_time(tmp_path) -> None:
    file = tmp_path / "x.svg"
    words = ["draw", "lenet5", "--time", "--device", "cpu", "--threads", "1", "--budget", "0.1", "-o", str(file)]
    assert CliRunner().invoke(main, words).exit_code == 0
    assert "share of time" in file.read_text("utf-8")
