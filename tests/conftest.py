"""What several test files share: small specs as files, and profiles that are made once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import nets
import pytest

from archprof.pipeline import profile
from archprof.plugins import load_plugin
from archprof.result import Profile


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all the small specs; the plug-in they need is loaded."""
    load_plugin(Path(__file__).parent / "mystery.py")
    return nets.write(tmp_path_factory.mktemp("specs with a blank"))


@pytest.fixture(scope="session")
def profiled(folder: Path) -> Callable[..., Profile]:
    """Profile a small spec or a bundled network by name, once for all tests; options are those of `profile`."""

    @functools.cache
    def made(name: str, **options: object) -> Profile:
        return profile(folder / f"{name}.yaml" if name in nets.NETS else name, **options)

    return made
