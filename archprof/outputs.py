"""Files that are to be written: whether they can be is told before any work is done."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from archprof.errors import UserError


def checked(path: str | os.PathLike[str], what: str, endings: Collection[str]) -> Path:
    """Return the path of what can be written; raise UserError for another ending, or a folder that is missing."""
    path = Path(path)
    if path.suffix not in endings:
        raise UserError(f"{what}'s name ends in {', '.join(endings)}, not {path.suffix or 'nothing'!r}")
    return in_folder(path)


def in_folder(path: Path) -> Path:
    """Return a path whose folder is there; raise UserError where it is not."""
    if not os.path.isdir(path.absolute().parent):  # noqa: PTH112 - pathlib's raises where a name is too long
        raise UserError(f"there is no folder {str(path.parent)!r}")
    return path


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Raise UserError where the system cannot write to `path`."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {str(path)!r}: {error.strerror}") from None
