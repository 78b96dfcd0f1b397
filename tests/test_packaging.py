"""What a wheel carries, and that an installed archprof finds it: the specs, the grammar, the schema, the template."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
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
        archive.extractall(place / "site")  # noqa: S202 - a wheel of our own
    return place / "site"


def test_a_wheel_carries_its_data(installed: Path) -> None:
    package = installed / "archprof"
    specs = {path.name for path in (ROOT / "specs").glob("*.yaml")}
    assert {path.name for path in (package / "specs").glob("*.yaml")} == specs
    devices = {path.name for path in (ROOT / "archprof" / "devices").glob("*.yaml")}
    assert {path.name for path in (package / "devices").glob("*.yaml")} == devices
    assert len(devices) > 30
    for name in ("language/grammar.lark", "language/template.yaml", "renderers/profile.schema.json",
                 "py.typed", "renderers/report/static/THIRD_PARTY_LICENSES.txt", "renderers/report/page.html", "renderers/report/static/report.js", "renderers/report/static/report.css"):  # fmt: skip
        assert (package / name).read_bytes() == (ROOT / "archprof" / name).read_bytes()
    (entry,) = installed.glob("*.dist-info/entry_points.txt")
    assert "archprof = archprof.cli:run" in entry.read_text()


def names_of(archive: Path) -> dict[str, int]:
    """Return what an sdist holds, without the folder it is in, and the size of each."""
    with tarfile.open(archive) as packed:
        return {member.name.partition("/")[2]: member.size for member in packed.getmembers() if member.isfile()}


def test_a_wheel_carries_nothing_else(installed: Path) -> None:
    files = [path.relative_to(installed) for path in installed.rglob("*") if path.is_file()]
    assert {path.parts[0] for path in files} == {"archprof", f"archprof-{archprof.__version__}.dist-info"}
    kinds = {path.suffix for path in files if path.parts[0] == "archprof"}
    assert kinds == {".py", ".typed", ".yaml", ".lark", ".json", ".html", ".css", ".js", ".txt", ".md"}
    assert not [path for path in files if {"node_modules", "__pycache__", "web"} & set(path.parts)]
    assert (installed / f"archprof-{archprof.__version__}.dist-info" / "licenses" / "LICENSE").is_file()
    assert sum((installed / path).stat().st_size for path in files) < 3_000_000


def test_an_sdist_has_what_a_wheel_is_built_and_tested_from(installed: Path, tmp_path: Path) -> None:
    (archive,) = SdistBuilder(str(ROOT)).build(directory=str(tmp_path))
    files = names_of(Path(archive))
    tops = {name.partition("/")[0] for name in files}
    assert tops == {"archprof", "specs", "tests", "README.md", "LICENSE", "pyproject.toml", "PKG-INFO", ".gitignore"}
    assert not [name for name in files if "node_modules/" in name or "__pycache__/" in name or ".pytest_cache" in name]
    assert sum(files.values()) < 4_000_000
    web = ROOT / "archprof" / "renderers" / "report" / "web"
    sources = [path.relative_to(ROOT).as_posix() for path in (web / "src").iterdir()]
    assert set(sources) | {"archprof/renderers/report/web/package-lock.json"} <= set(files)
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path / "tree", filter="data")
    (tree,) = (tmp_path / "tree").iterdir()
    (wheel,) = WheelBuilder(str(tree)).build(directory=str(tmp_path / "again"))
    with zipfile.ZipFile(wheel) as packed:
        again = {name for name in packed.namelist() if not name.endswith("RECORD")}
    first = {path.relative_to(installed).as_posix() for path in installed.rglob("*") if path.is_file()}
    assert again == {name for name in first if not name.endswith("RECORD")}


def test_an_installed_archprof_profiles_a_bundled_network(installed: Path, tmp_path: Path) -> None:
    program = "import archprof; print(archprof.__file__); print(archprof.profile('inception-bottleneck').macs)"
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(installed)!r}); {program}"]
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.splitlines()
    assert printed == [str(installed / "archprof" / "__init__.py"), "12443648"]


def test_a_source_tree_finds_the_specs_beside_the_package() -> None:
    assert Path(archprof.__file__).parent == ROOT / "archprof"
    assert folder() == ROOT / "specs"
    assert len(bundled()) > 70
