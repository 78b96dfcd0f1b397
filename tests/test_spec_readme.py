"""Every example on the page about the language expands, and its checks hold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from archprof.expand import expand
from archprof.figures import check
from archprof.language import read
from archprof.language.bundled import folder
from archprof.pipeline import profile

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", (folder() / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES, ids=lambda text: text.splitlines()[1])
def test_an_example_is_a_spec(text: str, tmp_path: Path) -> None:
    path = tmp_path / "example.yaml"
    path.write_text(text, "utf-8")
    document = read(path)
    for variant in document.variants or [""]:
        spec = expand(document, variant)
        assert check(spec, profile(spec)) == []


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 6
