"""Where models come from: a registry from schemes (`torchvision:`) to what opens a model. Specs need no scheme."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from archprof.errors import UserError
from archprof.language.limits import DEFAULT
from archprof.records import Tensor
from archprof.registry import Registry

if TYPE_CHECKING:
    from torch import nn

    from archprof.records import Claim


FLOATS = ("float64", "float32", "float16", "bfloat16")
"""Types that weights can have."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How a model is to be opened: samples at once, input sizes by name (batch left out), float type, arguments.

    Raises UserError for what no model can be: a batch of 0, a type weights cannot have, a setting that is no text.
    """

    batch: int = 1
    inputs: Mapping[str, Sequence[int] | Tensor] = field(default_factory=dict)
    dtype: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    def tensor(self, name: str, sizes: Sequence[int] = (), dtype: str = "") -> Tensor:
        """Return the input `name` with its batch: as it was wished for, else of `sizes` and `dtype` (that of weights)."""
        given = self.inputs.get(name, sizes)
        if isinstance(given, Tensor):
            given, dtype = given.shape, given.dtype
        return Tensor((self.batch, *given), dtype or self.dtype or "float32")

    def __post_init__(self) -> None:
        """Check the wish itself."""
        if not isinstance(self.batch, int) or self.batch < 1:
            raise UserError(f"a batch is a whole number, 1 or more, not {self.batch!r}")
        if self.batch > DEFAULT.integer:
            raise UserError(f"a batch has at most {DEFAULT.integer:,} samples")
        if self.dtype is not None and self.dtype not in FLOATS:
            raise UserError(f"there is no dtype {self.dtype!r} for weights; there are {', '.join(FLOATS)}")
        for name, text in self.settings.items():
            if not isinstance(text, str):
                raise UserError(f"settings are expressions, written as text: {{{name!r}: {str(text)!r}}}")


@dataclass(frozen=True, slots=True)
class Opened:
    """A model ready to be traced: its module, on meta, and its inputs by the names of its arguments, in their order.

    Each input is a nest of Tensors, real tensors and plain values. The module is archprof's own and may be changed; `real`
    returns another on the CPU, with weights, for a model that looks at its data. `notes` are for whoever reads the profile.
    """

    name: str
    module: nn.Module
    inputs: Mapping[str, Any]
    publication: str = ""
    claims: tuple[Claim, ...] = ()
    real: Callable[[], nn.Module] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """A source: the function from a name and a Wish to an Opened model.

    `accepts` tells names that are its own without its scheme, such as `file.pt2`.
    """

    function: Callable[[str, Wish], Opened]
    accepts: Callable[[str], bool] | None = None

    @property
    def about(self) -> str:
        """First line of the docstring."""
        return inspect.cleandoc(self.function.__doc__ or "").partition("\n")[0]


SOURCES: Registry[Source] = Registry("source", "archprof.sources")


Open = Callable[[str, Wish], Opened]


def source(scheme: str, *, accepts: Callable[[str], bool] | None = None) -> Callable[[Open], Open]:
    """Return a decorator that registers a function from a name (behind the `scheme:`) and a Wish to an Opened model.

    `accepts` tells names that need no scheme to be known as its own.
    """

    def file(function: Open) -> Open:
        SOURCES.register(scheme)(Source(function, accepts))
        return function

    return file


def split(model: Any) -> tuple[str, str] | None:
    """Return (scheme, name) of a model such as `torchvision:resnet50` or `file.pt2`, or None where it is no source's."""
    if not isinstance(model, str) or not {":", "."} & set(model):
        return None
    scheme, colon, name = model.partition(":")
    if colon and scheme in SOURCES:
        return scheme, name
    return next(((key, model) for key, entry in SOURCES.items() if entry.accepts and entry.accepts(model)), None)
