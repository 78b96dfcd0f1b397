"""The text of a new spec file: a commented example, or a copy of another spec under a new name.

It writes no file.
"""

from __future__ import annotations

import re
from importlib import resources

from archprof.errors import UnknownName, UserError
from archprof.language.bundled import bundled


def template(name: str, like: str | None = None) -> str:
    """Return a spec called `name` that passes its checks: commented, or starting from the bundled spec `like`.

    Raises UserError where the name is none, or is the name of a bundled spec.

    >>> template("mynet").splitlines()[1]
    'name: mynet'
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,79}", name):
        raise UserError(f"{name!r} cannot be a spec's name: lower-case letters, digits, '.', '_' and '-' only")
    if name in bundled():
        raise UserError(f"there is a bundled spec {name!r} already: choose another name")
    if like is None:
        return resources.files("archprof.language").joinpath("template.yaml").read_text("utf-8").replace("NAME", name)
    if like not in bundled():
        raise UnknownName("bundled spec", like, bundled())
    found = bundled()[like]
    base = f"{found.path.name}:{found.variant}" if found.variant else found.path.name
    return (
        f"archprof: 1\nname: {name}\nabout: {like}, changed\nextends: {base}\n\n"
        "# What the base has is replaced by name, and removed by null:\n"
        "#\n# params:\n#   classes: 10\n"
        "# edit:\n#   - after: fc\n#     steps:\n#       prob: Softmax\n"
    )
