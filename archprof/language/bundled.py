"""Where the bundled specs lie, and which names they hold, found by reading headings only."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path

from archprof.errors import ArchprofError

_SECTION = re.compile(r"^([a-z]+):\s*(.*?)\s*$")
_VARIANT = re.compile(r"^  ([a-z0-9][a-z0-9._-]*):")


@dataclass(frozen=True, slots=True)
class Bundled:
    """A bundled name: the file it is in, the variant it means there ('' for the family itself), and the file's `about`."""

    name: str
    path: Path
    variant: str
    about: str


def folder() -> Path:
    """Return the folder of the bundled specs: inside the installed package, or beside it in a source tree."""
    package = Path(__file__).resolve().parent.parent
    for candidate in (package / "specs", package.parent / "specs"):
        if candidate.is_dir():
            return candidate
    raise ArchprofError(
        f"the bundled specs are missing: neither {package / 'specs'} nor {package.parent / 'specs'} exists"
    )


@functools.cache
def bundled() -> dict[str, Bundled]:
    """Return every bundled name, in the order of files and of variants within them.

    A file with variants is known by their names; one without, by its own.
    """
    found: dict[str, Bundled] = {}
    for path in sorted(folder().glob("*.yaml")):
        name, about, variants = _headings(path)
        for variant in variants or [name]:
            if variant in found:
                raise ArchprofError(f"the name {variant!r} is in {found[variant].path.name} and in {path.name}")
            found[variant] = Bundled(variant, path, variant if variants else "", about)
    return found


def _headings(path: Path) -> tuple[str, str, list[str]]:
    name, about, section = "", "", ""
    variants: list[str] = []
    for line in path.read_text("utf-8").splitlines():
        heading = _SECTION.match(line)
        if heading:
            section, value = heading.groups()
            name = value if section == "name" else name
            about = value if section == "about" else about
        elif section == "variants" and (variant := _VARIANT.match(line)):
            variants.append(variant[1])
    return name, about, variants
