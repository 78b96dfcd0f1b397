"""Renderers: each turns a Profile into text in one format. They compute no number; a profile has them all."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archprof.registry import Registry

if TYPE_CHECKING:
    from archprof.result import Profile


@dataclass(frozen=True, slots=True)
class View:
    """What part of a profile to show: at or below `path`, to `depth` levels (None: by cost), which columns and rows.

    `sort` names a column (largest first), `top` keeps that many rows; `raw` writes numbers without prefixes, `fold`
    makes one row of modules in a row that are exactly alike, `everything` opens all and leaves no row out. `width` is the
    terminal's, in characters, `color` whether it has colours, `unicode` whether it knows more than ASCII.
    """

    path: str = ""
    depth: int | None = None
    columns: tuple[str, ...] = ()
    sort: str = ""
    top: int | None = None
    raw: bool = False
    fold: bool = True
    everything: bool = False
    width: int = 100
    color: bool = False
    unicode: bool = True


@dataclass(frozen=True, slots=True)
class Renderer:
    """A format: the function from a Profile and a View to text, and the ending of its files ('' for none).

    A text that `is_whole` is a document: two of them one after the other are none.
    """

    function: Callable[[Profile, View], str]
    suffix: str
    is_whole: bool = False

    @property
    def about(self) -> str:
        """First line of the docstring."""
        return inspect.cleandoc(self.function.__doc__ or "").partition("\n")[0]


RENDERERS: Registry[Renderer] = Registry("format", "archprof.renderers")


def renderer(
    name: str, suffix: str = "", *, is_whole: bool = False
) -> Callable[[Callable[[Profile, View], str]], Callable[[Profile, View], str]]:
    r"""Return a decorator that registers a function from a Profile and a View to text; see `Renderer`.

    >>> @renderer("names")
    ... def names(profile, view):
    ...     "The names of the ops, one a line."
    ...     return "".join(f"{op.name}\n" for op in profile.network.ops)
    >>> RENDERERS["names"].about
    'The names of the ops, one a line.'
    """

    def file(function: Callable[[Profile, View], str]) -> Callable[[Profile, View], str]:
        RENDERERS.register(name)(Renderer(function, suffix, is_whole))
        return function

    return file
