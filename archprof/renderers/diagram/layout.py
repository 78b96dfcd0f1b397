"""Runs Graphviz, always in a child process with a time limit: DOT text in, picture out.

It looks for `ARCHPROF_DOT`, for `dot` on the PATH, and for the Graphviz inside pygraphviz's wheel, in this order.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys

from archprof.errors import DrawingError

FORMATS = ("svg", "pdf", "png")
PIXELS = 16_000
"""Larger PNGs are refused: most viewers do not open them."""
MISSING = "there is no Graphviz to draw with: `pip install pygraphviz`, or install Graphviz so that `dot` is on PATH"
HURRY = ("-Gmclimit=0.1", "-Gnslimit=1", "-Gnslimit1=1", "-Gsplines=line")
"""Limits for a second try: they cost straightness, and keep a layout from taking minutes."""

CHILD = """
import sys
del sys.path[0]
import pygraphviz
graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode())
for option in sys.argv[2:]:
    name, _, value = option.removeprefix("-G").partition("=")
    graph.graph_attr[name] = value
sys.stdout.buffer.write(graph.draw(format=sys.argv[1].removeprefix("-T"), prog="dot"))
"""
"""What stands in for `dot` with pygraphviz. The first entry of sys.path goes, lest a file in the working directory be
taken for a library."""


class LateError(DrawingError):
    """A layout took too long, twice."""


def render(dot: str, format: str, timeout: float = 10.0) -> bytes:
    """Return the picture of a DOT text as `svg`, `pdf` or `png`, or its layout as `json`.

    A layout that takes longer than `timeout` seconds is tried once more with limits and straight lines. Raises
    DrawingError, whose one line says what to do, where there is no Graphviz, where it fails and where it is late again.
    """
    if format not in (*FORMATS, "json"):
        raise DrawingError(f"cannot draw {format!r}: a picture is {', '.join(FORMATS)}")
    command = [*engine(), f"-T{format}", *(("-Gdpi=200",) if format == "png" else ())]
    for options in ((), HURRY):
        try:
            done = subprocess.run(  # noqa: S603 - the engine is the user's own choice, its arguments are constants
                [*command, *options], input=dot.encode(), capture_output=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            continue
        except OSError as error:
            raise DrawingError(f"cannot run {command[0]} ({error.strerror}): check ARCHPROF_DOT") from error
        if done.returncode or not done.stdout:
            said = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
            raise DrawingError(f"Graphviz failed: {said[-1]}; try another format, or a smaller --depth")
        if format == "png" and max(size := _pixels(done.stdout)) > PIXELS:
            raise DrawingError(
                f"a PNG of {size[0]:,} x {size[1]:,} pixels opens nowhere: take .svg or .pdf, or --depth 1"
            )
        return done.stdout
    raise LateError(f"Graphviz took longer than {timeout:g} s, twice: draw less, with --depth 1 or --collapse")


def _pixels(png: bytes) -> tuple[int, int]:
    """Return width and height, which a PNG begins with."""
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])


def engine() -> list[str]:
    """Return the command that reads DOT on its standard input and takes `dot`'s options -T and -G."""
    chosen = os.environ.get("ARCHPROF_DOT") or shutil.which("dot")
    if chosen:
        return [chosen]
    if importlib.util.find_spec("pygraphviz"):
        return [sys.executable, "-c", CHILD]
    raise DrawingError(MISSING)
