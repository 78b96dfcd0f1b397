"""What a wheel carries, and that an installed archprof finds it: the specs, the grammar, the schema, the template."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

import archprof
from archprof.language.bundled import bundled, folder

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the wheel as an installer does, away from the source tree."""
    place = tmp_path_factory.mktemp("wheel")
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(place / "dist"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place / "site")
    return place / "site"


def test_a_wheel_carries_its_data(installed: Path) -> None:
    package = installed / "archprof"
    specs = {path.name for path in (ROOT / "specs").glob("*.yaml")}
    assert {path.name for path in (package / "specs").glob("*.yaml")} == specs
    devices = {path.name for path in (ROOT / "archprof" / "devices").glob("*.yaml")}
    assert {path.name for path in (package / "devices").glob("*.yaml")} == devices
    assert len(devices) > 30
    for name in ("language/grammar.lark", "language/template.yaml", "renderers/profile.schema.json",
                 "renderers/report/page.html", "renderers/report/static/report.js", "renderers/report/static/report.css"):  # fmt: skip
        assert (package / name).read_bytes() == (ROOT / "archprof" / name).read_bytes()
    (entry,) = installed.glob("*.dist-info/entry_points.txt")
    assert "archprof = archprof.cli:run" in entry.read_text()


def test_an_installed_archprof_profiles_a_bundled_network(installed: Path, tmp_path: Path) -> None:
    program = "import archprof; print(archprof.__file__); print(archprof.profile('inception-bottleneck').macs)"
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(installed)!r}); {program}"]
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.splitlines()
    assert printed == [str(installed / "archprof" / "__init__.py"), "12443648"]


def test_a_source_tree_finds_the_specs_beside_the_package() -> None:
    assert Path(archprof.__file__).parent == ROOT / "archprof"
    assert folder() == ROOT / "specs"
    assert len(bundled()) > 70
