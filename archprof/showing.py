"""`profile.show()`: the table where there is a terminal, the whole report where there is a notebook."""

from __future__ import annotations

import importlib
import sys
from html import escape
from typing import TYPE_CHECKING

import click

from archprof.options import terminal
from archprof.reporting import written

if TYPE_CHECKING:
    from archprof.result import Profile

HEIGHT = 760
"""Pixels of the report in a notebook; it scrolls within."""


def show(profile: Profile) -> None:
    """Show a profile: in a notebook its report, in a frame of its own; elsewhere the table."""
    if not is_notebook():
        click.echo(profile.render("table", **terminal("auto")), nl=False)
        return
    shown = importlib.import_module("IPython.display")  # a notebook has it; we need no notebook
    shown.display(shown.HTML(frame(profile)))


def is_notebook() -> bool:
    """Tell whether this runs in a notebook: IPython is there, and a kernel, no terminal, listens to it."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")


def frame(profile: Profile) -> str:
    """Return the report as a frame that can reach neither the notebook nor the network."""
    page = escape(written([profile]), quote=True)
    look = f"width: 100%; height: {HEIGHT}px; border: 1px solid #8884; background: #fff"
    return f'<iframe title="{escape(profile.model)}" sandbox="allow-scripts" srcdoc="{page}" style="{look}"></iframe>'
