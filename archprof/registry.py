"""The one class behind every list of named things: layers, op rules, analyses, renderers, sources.

A registry fills itself from the modules of its own package on the first look, then from third parties' entry points.
It knows nothing about what it holds.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import threading
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from typing import Generic, TypeVar

from archprof.errors import ArchprofError, UnknownName

Entry = TypeVar("Entry")

ENTRY_POINTS = "archprof.plugins"
"""The entry-point group third parties use: each entry names a module, and importing it registers what it holds."""


LOADING = threading.RLock()
"""Held while a registry fills, so that a thread that looks meanwhile waits, and finds all."""


class Registry(Mapping[str, Entry], Generic[Entry]):
    """A read-only mapping from names to entries, filled by a decorator and iterated in sorted order.

    `what` is the word for an entry in messages; `package` is imported, module by module, on the first look.

    >>> shapes = Registry("shape")
    >>> @shapes.register("square")
    ... def square(side):
    ...     return side * side
    >>> shapes["square"](3)
    9
    """

    def __init__(self, what: str, package: str | None = None) -> None:
        """Make an empty registry; nothing is imported yet."""
        self.what = what
        self._package = package
        self._entries: dict[str, Entry] = {}

    def register(self, *names: str) -> Callable[[Entry], Entry]:
        """Return a decorator that files an entry under each of `names`.

        Raises ArchprofError for a name that is taken: one name, one meaning.
        """

        def file(entry: Entry) -> Entry:
            if self._package and not _module(entry).startswith(self._package):
                self.load()  # ours come first, so that it is the newcomer whose name is taken
            for name in names:
                if self._entries.get(name, entry) is not entry:
                    raise ArchprofError(f"there already is a {self.what} {name!r}, from {self.origin(name)}")
                self._entries[name] = entry
            return entry

        return file

    def load(self) -> None:
        """Import the registry's own package and the plug-ins, once."""
        with LOADING:
            package, self._package = self._package, None
            if package is None:
                return
            for module in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}."):
                importlib.import_module(module.name)
            for point in _plugins():
                point.load()

    def origin(self, name: str) -> str:
        """Return `module:line` of the entry called `name`, for listings."""
        entry = inspect.unwrap(getattr(self._entries[name], "function", self._entries[name]))  # type: ignore[arg-type]
        code = getattr(entry, "__code__", None)
        module = getattr(entry, "__module__", type(entry).__module__)
        return f"{module}:{code.co_firstlineno}" if code else module

    def __getitem__(self, name: str) -> Entry:
        """Return the entry called `name`; raise UnknownName, with the nearest names, where there is none."""
        self.load()
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownName(self.what, name, self._entries) from None

    def get(self, name: str, default: Entry | None = None) -> Entry | None:  # type: ignore[override]
        """Return the entry called `name`, or `default`."""
        self.load()
        return self._entries.get(name, default)

    def __contains__(self, name: object) -> bool:
        """Tell whether there is an entry called `name`."""
        self.load()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        """Iterate the names in sorted order."""
        self.load()
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        """Return the number of names."""
        self.load()
        return len(self._entries)


def _module(entry: object) -> str:
    """Return the name of the module that an entry was written in."""
    return getattr(getattr(entry, "function", entry), "__module__", "")


@functools.cache
def _plugins() -> tuple[metadata.EntryPoint, ...]:
    """Return the entry points of installed plug-ins; looking through all packages is slow, so it is done once."""
    return tuple(metadata.entry_points(group=ENTRY_POINTS))
