"""The nouns of archprof: Tensor, Weight, Window, Op, Facts, Column, and the flat Call and Spec a file becomes.

All are frozen and hold plain Python values; nothing here imports torch, and nothing here computes a cost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archprof.errors import Span

ITEM_BYTES: Mapping[str, int] = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "float8_e4m3fn": 1, "float8_e5m2": 1,
    "float8_e4m3fnuz": 1, "float8_e5m2fnuz": 1, "float8_e8m0fnu": 1, "float4_e2m1fn_x2": 1,
    "int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1, "uint16": 2, "uint32": 4, "uint64": 8,
    "bool": 1, "complex32": 4, "bcomplex32": 4, "complex64": 8, "complex128": 16,
    "qint8": 1, "quint8": 1, "qint32": 4,
}  # fmt: skip
"""Bytes of one element, by torch's name of the dtype."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor without its values: shape (batch included) and torch's name of the dtype."""

    shape: tuple[int, ...]
    dtype: str = "float32"

    @property
    def elements(self) -> int:
        """Number of scalars."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Size in bytes, without padding."""
        return self.elements * ITEM_BYTES[self.dtype]

    def __str__(self) -> str:
        """Return the shape as people write it, `1x64x56x56`."""
        return "x".join(map(str, self.shape)) or "scalar"


@dataclass(frozen=True, slots=True)
class Weight:
    """A parameter or buffer of a model, under its name in the state dict.

    Weights with the same `storage` are one tensor under several names (tied); they count once.
    """

    name: str
    tensor: Tensor
    is_trainable: bool = True
    is_buffer: bool = False
    storage: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """What a sliding op reads, per spatial axis: kernel, stride, padding (before, after) and dilation."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Op:
    """One executed operation.

    `name` is unique in its graph; `path` is where the op stands in the model (`layer1.0.conv1`), `kind` what it is
    (`conv2d`). `arguments` are those of the torch function by name, with Tensors in place of tensors; a weight is among
    them too, and `weights` says which state-dict entries the op reads. `inputs` are the activations it reads, in order.
    """

    name: str
    kind: str
    path: str
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    weights: tuple[Weight, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    layer: str = ""
    span: Span | None = None

    @property
    def signature(self) -> tuple[object, ...]:
        """What the op's cost depends on: two ops with equal signatures cost the same."""
        return self.kind, tuple((name, hashable(value)) for name, value in self.arguments.items()), self.outputs


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about one op, from shapes alone; adds up with `+`.

    macs            multiply-accumulates of contractions, every masked pair included
    effective_macs  those that a mask, a window or a top-k leaves (None: all of them)
    flops           2 x macs and the other arithmetic
    bytes_read, bytes_written   ideal traffic, each tensor once (None: all inputs and weights, all outputs)
    window          what a sliding op sees, else None
    is_view         the output shares its input's memory, so nothing is moved
    formula         the MACs as a sum of products of the sizes, evaluating to `macs`
    """

    macs: int = 0
    flops: int = 0
    effective_macs: int | None = None
    bytes_read: int | None = None
    bytes_written: int | None = None
    window: Window | None = None
    is_view: bool = False
    formula: str = ""

    def __add__(self, other: Facts) -> Facts:
        """Return the facts of both ops done one after the other; a window belongs to one op, so it is dropped."""
        return Facts(
            macs=self.macs + other.macs,
            flops=self.flops + other.flops,
            effective_macs=_plus(self.effective, other.effective),
            bytes_read=_plus(self.bytes_read, other.bytes_read),
            bytes_written=_plus(self.bytes_written, other.bytes_written),
            is_view=self.is_view and other.is_view,
            formula=" + ".join(filter(None, (self.formula, other.formula))),
        )

    @property
    def effective(self) -> int:
        """The effective MACs, which are all MACs unless a rule says otherwise."""
        return self.macs if self.effective_macs is None else self.effective_macs


@dataclass(frozen=True, slots=True)
class Unknown:
    """In place of Facts: nobody has told archprof what this op costs."""

    reason: str


def contraction(*terms: tuple[int, ...], flops: int = 0, **rest: Any) -> Facts:
    """Return Facts whose MACs are the sum of the products of `terms`, with that sum written out as the formula.

    A leading 1 (a batch of one) is not written; `flops` is what comes on top of 2 x MACs.

    >>> contraction((1, 28, 28, 192, 5, 5, 32)).formula
    '28*28*192*5*5*32'
    """
    macs = sum(map(math.prod, terms))
    formula = " + ".join(_product(term) for term in terms)
    return Facts(macs=macs, flops=2 * macs + flops, formula=formula, **rest)


@dataclass(frozen=True, slots=True)
class Spread:
    """How measured seconds lie: median, quartiles, least, 90th percentile, the median's 95 % interval, how many they are."""

    median: float
    quarter: float
    three_quarters: float
    least: float
    ninety: float
    low: float
    high: float
    n: int

    @property
    def iqr(self) -> float:
        """Range between the quartiles."""
        return self.three_quarters - self.quarter


@dataclass(frozen=True, slots=True)
class Timing:
    """A measured pass: `bare` as the model runs, `marked` with a mark after every op, in seconds.

    `rows_s` is the sum of the rows' medians, `coverage` how much of a marked pass the rows are (median over the passes).
    `compiled` is the pass under torch.compile, `compiled_kernels` its parts by the profiler (name, seconds); `peak_bytes` is
    the most memory that an accelerator's allocator held. `without_rows` counts the operations of a pass that none of the rows
    has, such as those of a checkpointed part that runs again. `settings` say how it was run, `machine` on what.
    """

    device: str
    bare: Spread
    marked: Spread
    rows_s: float
    coverage: float
    settings: Mapping[str, Any] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    compiled: Spread | None = None
    compiled_kernels: tuple[tuple[str, float], ...] = ()
    without_rows: Mapping[str, int] = field(default_factory=dict)
    peak_bytes: int | None = None


TEXT = ("text", "shape")
"""Units of what is no number."""


@dataclass(frozen=True, slots=True)
class Column:
    """A measure of an op: its name, unit (`count`, `bytes`, `s`, `FLOP/B`, `shape`, `text`), how it totals, what it means.

    `total` is `sum`, `max`, `last`, `none`, `output` (of a module, that of its last op; of the network, none) or `ratio`: then
    `parts` are the columns whose totals are divided.
    """

    name: str
    unit: str
    total: str
    meaning: str
    parts: tuple[str, str] = ("", "")

    @property
    def is_text(self) -> bool:
        """Tell whether its values are no numbers."""
        return self.unit in TEXT


@dataclass(frozen=True, slots=True)
class Call:
    """One layer applied to values: an element of a Spec's flat program.

    `inputs` are value numbers: the spec's inputs come first, then the outputs of every call in order. `module` is the
    state-dict prefix of the weights; a layer applied again (`share`) has the module of the first and a path of its own.
    """

    layer: str
    path: str
    module: str
    settings: tuple[tuple[str, Any], ...]
    inputs: tuple[int, ...]
    outputs: tuple[Tensor, ...]
    span: Span
    chain: tuple[str, ...] = ()
    tie: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A figure printed elsewhere, to be shown beside ours: measure, value, where it is printed, and how (`138M`)."""

    measure: str
    printed: float
    source: str
    span: Span
    text: str = ""


@dataclass(frozen=True, slots=True)
class Spec:
    """An architecture with every choice made: named inputs, the flat program, and which values are the outputs.

    `bounds` has, for inputs of whole numbers, the number they stay below; `blocks` the block that each path is an
    instance of. `checks` are expressions of the spec language.
    `dtype` is that of the weights.
    """

    name: str
    file: str
    source: str
    inputs: tuple[tuple[str, Tensor], ...]
    calls: tuple[Call, ...]
    outputs: tuple[tuple[str, int], ...]
    bounds: Mapping[str, int] = field(default_factory=dict)
    blocks: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    checks: tuple[Any, ...] = ()
    dtype: str = "float32"
    claims: tuple[Claim, ...] = ()


def hashable(value: object) -> object:
    """Return `value` with its lists, dicts and slices turned into tuples, so that it can be a dictionary key."""
    if isinstance(value, (list, tuple)):
        return tuple(map(hashable, value))
    if isinstance(value, dict):
        return tuple((key, hashable(item)) for key, item in value.items())
    if isinstance(value, slice):  # hashable from Python 3.12 on
        return "slice", value.start, value.stop, value.step
    return value


def _plus(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a + b


def _product(term: tuple[int, ...]) -> str:
    return "*".join(map(str, term[1:] if len(term) > 1 and term[0] == 1 else term))
