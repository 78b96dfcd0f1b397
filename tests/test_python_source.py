"""Models in Python files and packages, and exported programs, from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

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
