"""How far long work is, on standard error, where it takes longer than one likes to look at nothing."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

Tell = Callable[[str, float], None]
"""Hears what is being done, and which part of all is done already."""

PATIENCE = 2.0
"""Seconds before anything is shown."""


@contextlib.contextmanager
def shown() -> Iterator[Tell]:
    """Show what is told, from a while on, in a terminal; nothing stays behind."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    task = progress.add_task("", total=1.0)
    timer = threading.Timer(PATIENCE, progress.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda what, part: progress.update(task, description=what, completed=part)
    finally:
        timer.cancel()
        timer.join()
        progress.stop()


def nobody(what: str, part: float) -> None:
    """Hear nothing."""
