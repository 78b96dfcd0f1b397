"""The project keeps its own rules: light commands, documented entries, short files, no word about the machine."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import archprof

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for path in (ROOT / "archprof").rglob("*.py") if "node_modules" not in path.parts)
HEAVY = ["torch", "networkx", "pandas", "torchvision", "sympy", "matplotlib"]
LONGEST = 400


def imported_by(program: str) -> set[str]:
    """Return which heavy libraries a program has imported when it ends."""
    program = f"import sys\n{program}\nprint('\\n', [name for name in {HEAVY} if name in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(ast.literal_eval(found.stdout.splitlines()[-1].strip()))


@pytest.mark.parametrize(
    "words",
    ["--help", "--version", "list specs", "list ops", "list analyses", "list formats", "list devices", "show --help"],
)
def test_light_commands_import_nothing_heavy(words: str) -> None:
    program = f"from archprof.cli import main\nmain({words.split()}, standalone_mode=False)"
    assert imported_by(program) == set()


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert imported_by("import archprof; dir(archprof)") == set()


def test_a_table_of_a_bundled_network_needs_torch_alone() -> None:
    program = "from archprof.cli import main\nmain(['show', 'resnet18', '--format', 'table'], standalone_mode=False)"
    assert imported_by(program) == {"torch"}


def test_every_public_name_is_there_and_documented() -> None:
    for name in set(archprof.__all__) - {"__version__"}:
        assert (getattr(archprof, name).__doc__ or "").strip(), name
    with pytest.raises(AttributeError, match="has no attribute 'profiel'"):
        archprof.profiel  # noqa: B018


@pytest.mark.parametrize(
    ("module", "name"),
    [("layers", "LAYERS"), ("ops", "RULES"), ("analyses", "ANALYSES"), ("renderers", "RENDERERS")],
)
def test_every_entry_of_a_registry_is_documented(module: str, name: str) -> None:
    entries = getattr(importlib.import_module(f"archprof.{module}"), name)
    assert len(entries) > 3
    for key, entry in entries.items():
        about = entry.doc[0] if module == "ops" else entry.about
        assert about, key
        if module == "analyses":
            assert all(column.meaning for column in entry.columns)


def test_no_two_analyses_have_a_column_in_common() -> None:
    from archprof.analyses import ANALYSES

    names = [column.name for entry in ANALYSES.values() for column in entry.columns]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("path", SOURCES, ids=[str(path.relative_to(ROOT)) for path in SOURCES])
def test_a_file_is_short_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= LONGEST
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a module says what it is for"
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            if any(isinstance(mark, ast.Name) and mark.id == "overload" for mark in node.decorator_list):
                continue
            assert ast.get_docstring(node), node.name


def test_nothing_names_the_machine_it_was_written_on() -> None:
    own = Path(__file__)
    machine = re.compile(r"(?<![\w.])/(?:home|root|opt|work|Users|mnt)/\w")
    files = [
        p for folder in ("archprof", "specs", "tests", "reports") for p in (ROOT / folder).rglob("*") if p.is_file()
    ]
    for path in files:
        if (
            path != own
            and "node_modules" not in path.parts
            and path.suffix in {".py", ".yaml", ".md", ".txt", ".dot", ".json", ".toml", ".tsv", ".html"}
        ):
            assert not machine.search(path.read_text("utf-8")), path
