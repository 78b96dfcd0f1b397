"""A Profile as a file whose ending says the format: text by its renderer, a picture, Parquet or a spreadsheet."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from archprof.errors import UserError
from archprof.outputs import in_folder, writing
from archprof.renderers import RENDERERS, View
from archprof.renderers.picture import asked

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from archprof.result import Profile

BINARY = {".parquet": "pyarrow", ".xlsx": "openpyxl"}
"""Endings of tables that are no text, and the package that writes each; the extra is called like the ending."""
PICTURES = (".svg", ".pdf", ".png", ".mmd")
FIRST = {".html": "html", ".json": "json", ".tex": "latex", ".dot": "dot"}
"""Which format an ending means where several have it."""


def checked(output: str) -> Path:
    """Return where to write to; raise UserError, before any work, for an ending, a folder or a package that is missing."""
    path = Path(output)
    in_folder(path)
    ending = ending_of(path.name)
    if not ending:
        raise UserError(f"the ending of {path.name!r} says no format; there are {', '.join(sorted(endings()))}")
    package = BINARY.get(ending)
    if package and importlib.util.find_spec(package) is None:
        raise UserError(f"a {ending} file needs {package}: pip install 'archprof[{ending[1:]}]'")
    return path


def endings() -> dict[str, str]:
    """Return the endings of files and the formats they mean; pictures and binary tables are their own."""
    found = {RENDERERS[name].suffix: name for name in RENDERERS if RENDERERS[name].suffix}
    return found | FIRST | {ending: ending for ending in (*BINARY, *PICTURES)}


def ending_of(name: str) -> str:
    """Return the longest ending of a file's name that says a format, or nothing.

    >>> ending_of("net.model-explorer.json"), ending_of("net.json"), ending_of("net.zip")
    ('.model-explorer.json', '.json', '')
    """
    return max((ending for ending in endings() if name.endswith(ending)), key=len, default="")


def write(profiles: Sequence[Profile], path: Path, format: str, view: View) -> tuple[str, ...]:
    """Write profiles to a file: in `format`, or as its ending says; several one after another where that is text.

    Returns what is to be said about it, such as that less is drawn than was asked for.
    """
    ending = "" if format else ending_of(path.name)
    if len(profiles) > 1 and ending in {*BINARY, *PICTURES}:
        raise UserError(f"a {ending} file is about one model")
    with writing(path):
        if ending in PICTURES:
            return profiles[0].draw(path, **asked(profiles[0], view))
        if ending in BINARY:
            _table(profiles[0], path, view)
        else:
            path.write_text(text(profiles, format or endings()[ending], view), "utf-8")
    return ()


def text(profiles: Sequence[Profile], format: str, view: View) -> str:
    """Return profiles in a format, one after another; rows for programs are one table, which says of which model each is."""
    from archprof.renderers.delimited import SEPARATORS, delimited

    if format in SEPARATORS and len(profiles) > 1:
        return delimited(profiles, view, SEPARATORS[format])
    return "\n".join(RENDERERS[format].function(profile, view) for profile in profiles)


def frame(profile: Profile, view: View) -> pd.DataFrame:
    """Return the rows of the table for programs, typed: counts and bytes are whole numbers, unknown ones are missing."""
    import pandas as pd

    from archprof.renderers.delimited import records
    from archprof.result import typed

    header, rows = records(profile, view)
    found = {}
    for place, name in enumerate(header):
        cells = [row[place] for row in rows]
        found[name] = typed(cells, profile.columns[name].unit if name in profile.columns else "text")
    return pd.DataFrame(found)


def _table(profile: Profile, path: Path, view: View) -> None:
    import pandas as pd

    table = frame(profile, view)
    if path.suffix == ".parquet":
        table.to_parquet(path, engine="pyarrow", index=False)
        return
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    texts = table.select_dtypes(include="string").columns
    for name in texts:
        table[name] = table[name].str.replace(ILLEGAL_CHARACTERS_RE, "\ufffd", regex=True)
    with pd.ExcelWriter(path, engine="openpyxl") as book:
        table.to_excel(book, sheet_name="ops", index=False)
        for row in book.sheets["ops"].iter_rows():
            for cell in row:
                if cell.data_type == "f":
                    cell.data_type = "s"  # a name that begins with `=` is no formula
        book.sheets["ops"].freeze_panes = "B2"
