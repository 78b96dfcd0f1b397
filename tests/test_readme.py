"""What README.md says is what happens: its commands are run, and so are its spec and its Python."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from archprof.cli import main

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = re.findall(r"```console\n\$ archprof (.*?)\n(.*?)```", README, re.DOTALL)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize(("command", "printed"), COMMANDS, ids=[command for command, _ in COMMANDS])
def test_a_command_prints_what_the_readme_shows(command: str, printed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "torchvision" in command:
        pytest.importorskip("torchvision", reason="torchvision is not installed")
    monkeypatch.setenv("COLUMNS", "100")
    words = shlex.split(command)
    terminal = ["--format", "table"] if words[0] in {"show", "compare", "diff"} else []  # a pipe would get TSV
    result = CliRunner().invoke(main, [*words, *terminal])
    assert result.output.strip("\n") == printed.strip("\n")


def test_there_are_two_set_up_commands() -> None:
    assert [line.split(" && ")[0] for block in blocks("sh") for line in block.splitlines()] == [
        "pip install .",
        "pip install -e '.[dev]'",
    ]


def test_the_main_job_of_the_first_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _, *commands = blocks("sh")[0].strip().split(" && ")
    assert len(commands) == 3
    for command in commands:
        result = CliRunner().invoke(main, shlex.split(command)[1:])
        assert result.exit_code == 0, result.output
    pictures = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert pictures == ["inception-bottleneck.svg", "inception-direct.svg", "resnet50.svg"]


def test_the_spec_passes_its_check(tmp_path: Path) -> None:
    spec = tmp_path / "tiny.yaml"
    spec.write_text(blocks("yaml")[0])
    result = CliRunner().invoke(main, ["check", str(spec)])
    # 3*9*16+16 = 448; four blocks of 2*(16*9*16+16) = 4640; 16*10+10 = 170: 448 + 18560 + 170 = 19178
    assert result.output == "tiny: ok, 1 check, 19.18 k parameters, 19.32 MMAC\n"


def test_the_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(blocks("python")[0], names)  # noqa: S102 - our own page
    assert "56*56*64*1*1*64" in capsys.readouterr().out
    assert (tmp_path / "resnet50.svg").stat().st_size > 10_000
