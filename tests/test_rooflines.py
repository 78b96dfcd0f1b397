"""The command `roofline`: devices side by side as text, and the plot as a file."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import archprof
from archprof import rooflines
from archprof.cli import main
from archprof.devices.choice import find
from archprof.errors import UserError
from archprof.plot import place, reached
from archprof.renderers import View
from archprof.roofline import roofline

BOTH = ["--on", "h100-sxm,t4", "--dtype", "float16"]


def run(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["roofline", *words], catch_exceptions=False)
    return result.exit_code, result.stdout, result.stderr


def test_devices_stand_below_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    code, out, _ = run("inception-direct", *BOTH)
    assert code == 0
    lines = [line.split() for line in out.splitlines() if line.startswith((" H100", " T4"))]
    # 28*28*192*5*5*32 = 120,422,400 MACs, twice at 65e12 FLOP/s are 3.705 us, at 989e12 0.2435 us
    # 28*28*192 + 192*5*5*32 + 28*28*32 = 329,216 numbers of 2 bytes at 320e9 B/s are 2.06 us, at 3350e9 0.197 us
    # 989e12 / 3350e9 = 295.2, 65e12 / 320e9 = 203.1
    assert [line[0] for line in lines] == ["H100-SXM", "T4"]
    assert lines[1][1:5] == ["3.705", "µs", "100.0%", "0.0%"]
    assert lines[0][1:3] == ["243.5", "ns"]
    assert [line[-4:-1] for line in lines] == [["TB/s", "295.2", "FLOP/B"], ["GB/s", "203.1", "FLOP/B"]]


@pytest.mark.parametrize(
    ("width", "dropped"), [(80, ": compute-bound, ridge\n"), (100, ": compute-bound\n"), (120, "")]
)
def test_a_narrow_terminal_has_fewer_columns_and_whole_numbers(
    width: int, dropped: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    code, out, _ = run("resnet50", "--on", "h100-sxm,a100-sxm4-80gb")
    assert code == 0
    assert "…" not in out
    assert max(map(len, out.splitlines())) <= width
    assert f"left out for lack of width{dropped}" in out if dropped else "left out" not in out


def test_branches_wrap_and_numbers_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = CliRunner().invoke(main, ["path", "inception-module"])
    assert result.exit_code == 0
    assert "…" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["resnet18", "--on", "h100"], "error: the device 'h100' may be H100-PCIe, H100-SXM\n"),
        (["resnet18", "--on", "t4", "-o", "x.gif"], "error: a plot's name ends in .svg, .pdf, .png, not '.gif'\n"),
        (["resnet18", "--on", "t4", "-o", "none/x.svg"], "error: there is no folder 'none'\n"),
        (["resnet18", "--on", "t4", "-o", ""], "error: a plot's name ends in .svg, .pdf, .png, not 'nothing'\n"),
    ],
)
def test_mistakes_are_one_line(words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*words) == (2, "", message)


def test_without_a_device_nothing_can_be_said() -> None:
    code, _, err = run("resnet18")
    assert code == 2
    assert "--on" in err
    assert run("resnet18", "--on", ",")[0] == 2


def test_a_network_without_contractions_has_no_roof() -> None:
    from torch import nn

    from archprof.rooflines import table

    with pytest.raises(UserError, match="multiplies nothing"):
        table(archprof.profile(nn.ReLU(), [(1, 4)]), [find("t4")], None)


def test_without_matplotlib_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    found = run("resnet18", "--on", "t4", "-o", str(tmp_path / "x.svg"))
    assert found == (2, "", "error: a plot needs matplotlib: pip install 'archprof[plot]'\n")


@pytest.mark.parametrize("suffix", ["svg", "pdf", "png"])
def test_a_plot_is_written_and_the_same_again(suffix: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    files = [tmp_path / f"{name}.{suffix}" for name in "ab"]
    for file in files:
        assert run("inception-bottleneck", *BOTH, "-o", str(file)) == (0, "", f"wrote {file}\n")
    first, second = (file.read_bytes() for file in files)
    assert first == second
    assert first.startswith({"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}[suffix])
    assert first.rstrip().endswith({"svg": b"</svg>", "pdf": b"%%EOF", "png": b"IEND\xaeB`\x82"}[suffix])


def test_the_plot_has_a_dot_a_kernel_on_its_roof() -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    from archprof.plot import drawn

    figure = drawn([archprof.profile("inception-bottleneck", dtype="float16")], [find("t4"), find("h100-sxm")])
    upper = [axes for axes in figure.axes if axes.get_yscale() == "log"]
    assert [axes.get_title("left") for axes in upper] == ["T4", "H100-SXM"]
    for axes, peak, bandwidth in zip(upper, (65e12, 989e12), (320e9, 3350e9), strict=True):
        dots = [tuple(map(float, dot.get_offsets()[0])) for dot in axes.collections]
        assert len(dots) == 2  # two convolutions
        for x, y in dots:
            assert y == pytest.approx(min(peak, x * bandwidth), rel=1e-3)
    lower = [axes for axes in figure.axes if axes.get_yscale() == "linear"]
    for axes in lower:
        assert sum(bar.get_height() for bar in axes.patches) == pytest.approx(100)


def test_more_devices_than_a_row_holds_and_many_kinds_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    file = tmp_path / "x.svg"
    words = ["googlenet", "--dtype", "float16", "--on", "h100-sxm,t4,l4,a10", "-o", str(file)]
    assert run(*words)[0] == 0
    assert file.stat().st_size > 10_000


def test_a_measured_dot_stands_below_its_roof_by_what_the_time_was_longer() -> None:
    found = archprof.profile("alexnet", on="t4")
    slow = dataclasses.replace(
        found, values={**found.values, "measured_s": [2 * (s or 0.0) for s in found.values["time_s"]]}
    )
    kernels = [k for k in roofline(slow.network, find("t4")).kernels if place(k) and k.work]
    assert kernels
    for kernel in kernels:
        (x, roof), below = place(kernel), reached(slow, kernel)
        assert below == (x, pytest.approx(roof / 2))
    assert reached(found, kernels[0]) is None


def test_the_command_holds_a_measured_run_against_its_roofs() -> None:
    code, out, _ = run("lenet5", "--on", "t4", "--time", "--color", "never")
    assert code == 0
    assert "x least" in out
    assert "measured here, on " in out


def test_a_least_time_is_that_of_the_forward_pass_and_so_is_what_it_is_compared_with() -> None:
    found = archprof.time("lenet5", device="cpu", training=True, budget_s=0.1)
    ahead = sum(found.values["measured_s"])
    least = roofline(found.network, find("t4")).time_s
    assert f"{ahead / least:.2f}" in rooflines.table(found, [find("t4")], View(width=200))


def test_several_networks_have_a_table_and_a_panel_each() -> None:
    code, out, _ = run("inception-direct", "inception-bottleneck", *BOTH)
    assert code == 0
    assert [line.split(":")[0] for line in out.splitlines() if line.startswith("inception")] == [
        "inception-direct", "inception-bottleneck",
    ]  # fmt: skip
    assert out.count(" T4 ") == 2


@pytest.mark.parametrize("devices", [["t4"], ["t4", "h100-sxm"]])
def test_panels_of_several_networks_share_their_axes_and_colours(devices: list[str]) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    from archprof.plot import drawn

    profiles = [archprof.profile(name, dtype="float16") for name in ("inception-bottleneck", "lenet5")]
    found = list(map(find, devices))
    upper = [axes for axes in drawn(profiles, found).figure.axes if axes.get_yscale() == "log"]
    assert [axes.get_title("left") for axes in upper] == [
        f"{profile.model} on {device}" for profile in profiles for device in found
    ]
    assert len({axes.get_xlim() for axes in upper}) == len({axes.get_ylim() for axes in upper}) == 1
    convolutions = {tuple(axes.collections[0].get_edgecolor()[0]) for axes in upper}  # the dot with most MACs
    assert len(convolutions) == 1
