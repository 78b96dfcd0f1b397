"""Models in Python files and packages, and exported programs, from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import archprof
from archprof.cli import main
from archprof.pipeline import profile

NETS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.a = nn.Linear(width, 4)

    def forward(self, x):
        return self.a(x)

def pair(width=8):
    return Net(width), (3, width)

def product(x, y):
    return x @ y

def words():
    return nn.Embedding(10, 4)

def lost():
    return open("no_such_file")

def unpacked():
    import no_such_module_at_all

def nothing():
    return 3

class Late(Net):
    def forward(self, x):
        return self.a(x) @ torch.ones(9, 9)

made = Net(16)
"""


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "user_nets.py").write_text(NETS, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "wish", "macs"),
    [
        ("user_nets:Net", {"inputs": {"x": [8]}}, 8 * 4),
        ("user_nets.py:Net", {"inputs": {"x": [16]}, "settings": {"width": "16"}, "batch": 3}, 3 * 16 * 4),
        ("user_nets:pair", {"settings": {"width": "16"}}, 3 * 16 * 4),
        ("user_nets:product", {"inputs": {"x": [3, 8], "y": [8, 4]}}, 3 * 8 * 4),
        ("user_nets:made", {"inputs": {"x": [16]}}, 16 * 4),
    ],
)
@pytest.mark.usefixtures("nets")
def test_a_name_in_a_module_or_file_is_a_model(name: str, wish: dict, macs: int) -> None:
    found = profile(name, **wish)
    assert found.model == name
    assert found.macs == macs
    assert found.gaps == []


@pytest.mark.usefixtures("nets")
def test_inputs_of_whole_numbers_say_so() -> None:
    result = CliRunner().invoke(main, ["show", "user_nets:words", "--input", "input=6:int64", "--format", "csv"])
    assert result.exit_code == 0
    assert "embedding,Embedding,1x6x4," in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["user_nets:Nett"], "'user_nets' has no 'Nett'; did you mean 'Net'?"),
        (["user_nets:Net"], "user_nets:Net needs inputs: tensors or shapes for x (--input x=3x224x224)"),
        (["nope.py:Net"], "there is no file 'nope.py'"),
        (["broken.py:Net"], "'broken.py' cannot be imported: ZeroDivisionError: division by zero"),
        (["user_nets:nothing"], "user_nets:nothing returns no torch.nn.Module, but int"),
        (["user_nets:NETS"], "'user_nets' has no 'NETS'"),
        (["user_nets:Net", "--set", "widht=3"], "got an unexpected keyword argument 'widht'"),
        (["user_nets:Net", "--input", "y=3"], "user_nets:Net has no input 'y'"),
        (["user_nets:Net", "--input", "x=3:int63"], "there is no dtype 'int63'; did you mean 'int64'?"),
        (["user_nets:lost"], "user_nets:lost cannot be built: FileNotFoundError: "),
        (["user_nets:unpacked"], "user_nets:unpacked cannot be built: ModuleNotFoundError: "),
        (
            ["user_nets:Net", "--set", f"width=len([{', '.join(['[0]*9999'] * 200)}])"],
            "more than 1,000,000 evaluation steps",
        ),
        (["user_nets.yaml:tiny"], "user_nets.yaml"),
        (["__main__:foo"], "there is no model '__main__:foo'"),
        (["x" * 300 + ":Net"], "there is no model "),
        (
            ["user_nets:Net", "--input", "x=8", "--batch", "9" * 20],
            "a batch has at most 9,223,372,036,854,775,807 samples",
        ),
        (
            ["user_nets.py:made", "--input", "x=9999999999x9999999999"],
            "an input of 1x9999999999x9999999999 is too large: ",
        ),
        (["missing.pt2"], "there is no file 'missing.pt2'"),
        (["broken.pt2"], "'broken.pt2' is no program saved by torch.export.save"),
        (["resnet18", "--input", "image=3x64x64:int64"], "the dtype of the input 'image' stands in the spec"),
    ],
)
def test_a_mistake_is_told_in_one_line(nets: Path, arguments: list[str], said: str) -> None:
    (nets / "broken.py").write_text("1 / 0", "utf-8")
    (nets / "broken.pt2").write_text("no archive", "utf-8")
    result = CliRunner().invoke(main, ["show", *arguments])
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_a_spec_beside_code_of_the_same_name_runs_no_code(nets: Path) -> None:
    (nets / "side.py").write_text("raise SystemExit(7)", "utf-8")
    (nets / "side.yaml").write_text(
        "archprof: 1\nname: side\ninputs:\n  x: float32[3]\nparams: {n: 1}\nvariants:\n  tiny: {n: 2}\nsteps:\n  a: Linear(n)\n",
        "utf-8",
    )
    assert profile("side.yaml:tiny").params == 8


@pytest.mark.usefixtures("nets")
def test_a_model_that_fails_half_way_shows_what_ran() -> None:
    result = CliRunner().invoke(main, ["show", "user_nets:Late", "--input", "x=8", "--format", "csv"])
    assert result.exit_code == 1
    assert "a,Linear,1x4," in result.stdout
    assert "error: user_nets:Late fails at the top, matmul of 1x4 and 9x9: " in result.stderr


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # torch 2.10 warns of a copy of its own class
def test_an_exported_file_is_a_model(tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU()).eval()
    torch.export.save(torch.export.export(net, (torch.zeros(1, 3, 8, 8),)), tmp_path / "net.pt2")
    found = profile(str(tmp_path / "net.pt2"))
    assert (found.model, found.macs, found.gaps) == ("net.pt2", 36 * 27 * 4, [])


def test_inputs_of_a_model_by_name_have_names() -> None:
    with pytest.raises(archprof.UserError, match=r"takes input sizes by name, such as \{'x': \(3, 224, 224\)\}"):
        archprof.profile("lenet5", (1, 32, 32))


def test_a_file_that_is_no_archive_is_told_in_a_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "net.pt2").write_text("junk")
    result = CliRunner().invoke(main, ["show", str(tmp_path / "net.pt2")])
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "no zip archive" in result.stderr
    assert not caplog.records
