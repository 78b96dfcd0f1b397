"""Devices: numbers in order and with their sources, and the right one under every name that people and torch use."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import archprof.devices.bundled
from archprof.cli import main
from archprof.devices import DEVICES
from archprof.devices.choice import device_of, find, known
from archprof.devices.reader import read
from archprof.errors import UnknownName, UserError

GIB = 2**30
FILES = sorted(Path(archprof.devices.bundled.__file__).parent.glob("*.yaml"))

DTYPES = "'float64', 'float32', 'tf32', 'float16', 'bfloat16', 'float8_e4m3fn', 'float8_e5m2' or 'int8'"

MINE = """
name: My-Card
match: MINE 9000
peak_tflops: {float32: 10, bfloat16: 100}
bandwidth_gb_s: 500
memory_gib: 16
sources: [the box it came in]
"""


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARCHPROF_DEVICES", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_a_file_is_named_after_its_device_and_has_its_sources(file: Path) -> None:
    device = read(file)
    assert device.name.lower().replace("+", "plus") == file.stem
    assert DEVICES[device.name] == device
    assert device.sources
    assert all(source.strip() for source in device.sources)


@pytest.mark.parametrize("name", list(DEVICES))
def test_peaks_are_dense_so_that_a_narrower_type_is_never_slower(name: str) -> None:
    peaks = DEVICES[name].peaks
    no_int8_cores = name.startswith("V100")  # its tensor cores know halves only
    widest_first = ("float32", "tf32", "{half}") if no_int8_cores else ("float32", "tf32", "{half}", "int8")
    for half in ("float16", "bfloat16"):
        ordered = [peaks[dtype] for name in widest_first if (dtype := name.format(half=half)) in peaks]
        assert ordered == sorted(ordered)
    if {"float16", "int8"} <= peaks.keys():  # a sparse peak beside a dense one would be twice that
        adds_up_in_float32_at_half_rate = name.startswith("RTX")
        assert peaks["int8"] / peaks["float16"] < (4.01 if adds_up_in_float32_at_half_rate else 2.03)


@pytest.mark.parametrize("name", list(DEVICES))
def test_the_ridge_lies_where_such_devices_have_theirs(name: str) -> None:
    """Between 20 and 800 FLOP/B, on the peak of halves, or of float32 for the one CPU without halves."""
    device = DEVICES[name]
    dtype = next(dtype for dtype in ("bfloat16", "float16", "float32") if dtype in device.peaks)
    assert (dtype == "float32") == (name == "EPYC-7763")
    assert 20 <= device.ridge(dtype) <= 800


def test_the_ridge_of_an_a100_by_hand() -> None:
    assert find("a100-sxm4-80gb").ridge("bfloat16") == pytest.approx(153.02, abs=0.01)  # 312e12 / 2039e9


@pytest.mark.parametrize(
    ("real", "gib", "name"),
    [
        ("NVIDIA H100 80GB HBM3", 79.1, "H100-SXM"),
        ("NVIDIA H100 PCIe", 79.1, "H100-PCIe"),
        ("NVIDIA H100 NVL", 93.0, None),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", 9.5, None),
        ("NVIDIA GH200 480GB", 94.5, None),
        ("NVIDIA H200", 139.8, "H200-SXM"),
        ("NVIDIA H200 NVL", 139.8, None),
        ("NVIDIA B200", 178.4, "B200-SXM"),
        ("NVIDIA A100-SXM4-80GB", 79.2, "A100-SXM4-80GB"),
        ("NVIDIA A100-SXM4-40GB", 39.4, "A100-SXM4-40GB"),
        ("A100-SXM4-40GB", 39.4, "A100-SXM4-40GB"),
        ("NVIDIA A100-PCIE-40GB", 39.4, "A100-PCIe-40GB"),
        ("NVIDIA A100 80GB PCIe", 79.2, "A100-PCIe-80GB"),
        ("NVIDIA A100-SXM4-80GB MIG 3g.40gb", 39.3, None),
        ("Tesla T4", 14.6, "T4"),
        ("NVIDIA L4", 22.0, "L4"),
        ("NVIDIA L40S", 44.4, "L40S"),
        ("NVIDIA L40", 44.4, None),
        ("NVIDIA A10", 22.1, "A10"),
        ("NVIDIA A10G", 22.1, "A10G"),
        ("Tesla V100-SXM2-16GB", 15.8, None),
        ("Tesla V100-SXM2-32GB", 31.7, "V100-SXM2-32GB"),
        ("Tesla V100-PCIE-32GB", 31.7, "V100-PCIe-32GB"),
        ("NVIDIA GeForce RTX 3090", 23.7, "RTX-3090"),
        ("NVIDIA GeForce RTX 3090 Ti", 23.7, None),
        ("NVIDIA GeForce RTX 4090", 23.6, "RTX-4090"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", 15.7, None),
        ("Orin", 61.4, "Jetson-AGX-Orin"),
        ("Orin", 30.0, None),
        ("AMD Instinct MI250X", 64.0, "MI250X-GCD"),
        ("AMD Instinct MI300X", 192.0, "MI300X"),
        ("TPU v5 lite", 16, "TPU-v5e"),
        ("AMD EPYC 7763 64-Core Processor", 503, "EPYC-7763"),
        ("Intel(R) Xeon(R) Platinum 8480+", 1000, "Xeon-8480+"),
        ("Apple M1", 16, None),
        ("", 16, None),
    ],
)
def test_the_hardware_s_own_name_finds_it_or_nothing(real: str, gib: float, name: str | None) -> None:
    found = device_of(real, round(gib * GIB))
    assert (found.name if found else None) == name


def test_a_16_gb_v100_is_told_apart_by_its_memory_alone() -> None:
    assert device_of("Tesla V100-SXM2-32GB", round(15.8 * GIB)) is None


@pytest.mark.parametrize(
    ("typed", "name"),
    [("H100-SXM", "H100-SXM"), ("h100_sxm", "H100-SXM"), ("h100 s", "H100-SXM"), ("a10", "A10"), ("rtx 40", "RTX-4090"),
     ("apple-m1", "Apple-M1"), ("MI3", "MI300X"), ("a100-sxm4-8", "A100-SXM4-80GB")],
)  # fmt: skip
def test_a_name_is_found_in_any_spelling_and_by_a_unique_beginning(typed: str, name: str) -> None:
    assert find(typed).name == name


def test_a_beginning_of_several_lists_them() -> None:
    with pytest.raises(UserError, match=r"^the device 'h100' may be H100-PCIe, H100-SXM$"):
        find("h100")


def test_an_unknown_name_gives_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"^there is no device 'h100-smx'; did you mean 'H100-SXM'\?$"):
        find("h100-smx")
    with pytest.raises(UserError, match=r"^there is no device ' ': archprof list devices has all"):
        find(" ")


def test_tf32_is_how_float32_may_run() -> None:
    assert find("h100-sxm:tf32").peak("float32") == 494.5e12
    assert find("h100-sxm:tf32").vector_peak == find("h100-sxm").peak("float32") == 67e12
    with pytest.raises(UserError, match=r"^T4 has no peak for tf32; it has float32, float16, int8"):
        find("t4:tf32")


def test_a_type_without_a_peak_lists_those_with_one() -> None:
    with pytest.raises(
        UserError, match=r"^V100-SXM2-32GB has no peak for bfloat16; it has float32, float16, int8 \(--d"
    ):
        find("v100-sxm2-32gb").peak("bfloat16")


def test_own_files_are_devices_too(own_folder: Path) -> None:
    file = own_folder / "mine.yaml"
    file.write_text(MINE)
    assert find(str(file)) == find("my card") == device_of("ACME MINE 9000", 16 * GIB)
    assert find("my-card").peak("bfloat16") == 100e12
    assert find("my-card").bandwidth == 500e9


def test_an_own_file_stands_over_a_bundled_one(own_folder: Path) -> None:
    (own_folder / "t4.yaml").write_text(MINE.replace("My-Card", "t4").replace("MINE 9000", "T4"))
    assert find("T4").bandwidth == 500e9
    assert [name for name in known() if name.lower() == "t4"] == ["t4"]
    assert device_of("Tesla T4", 15 * GIB) == find("t4")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("bandwidth_gb_s: 500\n", "", "bandwidth_gb_s: field required"),
        ("500", "-1", "bandwidth_gb_s: input should be greater than 0"),
        ("500", ".inf", "bandwidth_gb_s: input should be a finite number"),
        ("500", "fast", "bandwidth_gb_s: input should be a valid number, unable to parse string as a number"),
        ("{float32: 10, bfloat16: 100}", "{}", "peak_tflops: dictionary should have at least 1 item after validation, not 0"),
        ("bfloat16", "half", f"peak_tflops.half: input should be {DTYPES}"),
        ("memory_gib", "memory", "memory: extra inputs are not permitted"),
        ("MINE 9000", "'('", "match: no regular expression: missing ), unterminated subpattern at position 0"),
        ("sources: [the box it came in]", "sources: []", "sources: list should have at least 1 item after validation, not 0"),
        ("sources:", "quality: {l2_mib: derived}\nsources:", "the file: quality speaks of 'l2_mib', which has no number"),
        (MINE, "[]", "the file: input should be a valid dictionary or instance of Sheet"),
    ],
)  # fmt: skip
def test_a_mistake_in_an_own_file_is_one_line(old: str, new: str, message: str, own_folder: Path) -> None:
    file = own_folder / "mine.yaml"
    file.write_text(MINE.replace(old, new))
    with pytest.raises(UserError) as caught:
        find(str(file))
    assert str(caught.value) == f"{file}: {message}"


def test_a_file_that_is_missing_or_no_yaml_is_one_line(own_folder: Path) -> None:
    with pytest.raises(UserError, match=r"^cannot read '.*none\.yaml': No such file or directory$"):
        find(str(own_folder / "none.yaml"))
    (own_folder / "odd.yaml").write_text("name: [")
    with pytest.raises(UserError, match=r"odd\.yaml:\d+: no YAML: "):
        find(str(own_folder / "odd.yaml"))


def test_a_folder_of_ones_own_that_is_none_is_told(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("ARCHPROF_DEVICES", str(tmp_path / "nowhere"))
    result = CliRunner().invoke(main, ["list", "devices"])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ARCHPROF_DEVICES names ")
    assert result.stderr.endswith("which is no folder\n")


def test_tensor_cores_are_meant_in_any_case_and_for_a_device_at_hand() -> None:
    from archprof.runs import machine

    assert str(find("A100-SXM4-80GB:TF32")) == "A100-SXM4-80GB:tf32"
    device = find("a100-sxm4-80gb")
    assert str(machine.known(torch.device("cpu"), device, tf32=True)) == "A100-SXM4-80GB:tf32"
    assert machine.known(torch.device("cpu"), device, tf32=False) == device
