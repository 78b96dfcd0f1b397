"""Profile: what archprof found out about a network, as one table (row = op, column = measure) with totals and gaps.

It computes nothing an analysis should, and formats nothing: renderers do, and are found by their registered name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from archprof import units
from archprof.errors import UserError, nearest
from archprof.graph import Graph
from archprof.records import TEXT, Claim, Column, Op, Timing, Unknown

if TYPE_CHECKING:
    import os

    import networkx
    import pandas

    from archprof.receptive import Fields
    from archprof.verify import Verification


@dataclass(frozen=True, slots=True)
class Gap:
    """An op whose cost is unknown, and why; totals that miss it say so."""

    op: str
    reason: str


@dataclass(slots=True)
class Group:
    """A part of the module tree: its path, the ops right in it, and the groups below it, in execution order."""

    path: str
    parts: list[Group | int] = field(default_factory=list)

    def ops(self) -> Iterator[int]:
        """Yield the numbers of all ops in it, in order."""
        for part in self.parts:
            if isinstance(part, Group):
                yield from part.ops()
            else:
                yield part


@dataclass(frozen=True, eq=False)
class Profile:
    """The result of `archprof.profile`.

    `columns` are measures of the ops and `values[name]` a column's values, in the order of `network.ops` (None: unknown).
    Counts are for the batch given; counts and bytes are ints. `notes` are what a reader of the numbers has to know.
    `timing` is there where the network was run and measured.
    `convention` names the column that counts as another tool does, which tables then show in place of MACs.

    >>> import archprof
    >>> archprof.profile("inception-bottleneck").macs
    12443648
    """

    model: str
    network: Graph
    columns: Mapping[str, Column]
    values: Mapping[str, Sequence[Any]]
    outside: Mapping[str, int]
    source: str = ""
    claims: tuple[Claim, ...] = ()
    notes: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    convention: str = ""
    timing: Timing | None = None
    _run: Any = field(default=None, repr=False)  # (Traced, Opened), for `verify`: types that come with torch

    # Totals.

    @cached_property
    def totals(self) -> dict[str, Any]:
        """The total of every column that has one, over the ops whose value is known; `gaps` lists those it misses."""
        ops = range(len(self.network))
        summed = [name for name, column in self.columns.items() if column.total not in {"none", "output"}]
        return {name: self.total(name, ops) + self.outside.get(name, 0) for name in summed}

    @cached_property
    def summed(self) -> tuple[str, ...]:
        """The columns that add up: a part has a share of them, which it has of no rate and no largest value, total or not."""
        return tuple(name for name, column in self.columns.items() if column.total == "sum")

    @cached_property
    def partial(self) -> frozenset[str]:
        """The columns whose total is a lower bound only, marked `>`: of some op nobody knows the value."""
        return frozenset(name for name, values in self.values.items() if None in values)

    def total(self, column: str, ops: Sequence[int] | Iterator[int]) -> Any:
        """Return a column's total over those ops of the given numbers that are known, as its `total` says."""
        how = self.columns[column].total
        if how == "ratio":
            ops = list(ops)
            above, below = (self.total(part, ops) for part in self.columns[column].parts)
            return above / below if below else 0
        values = self.values[column]
        known = [value for number in ops if (value := values[number]) is not None]
        if not known:
            return 0
        return sum(known) if how == "sum" else max(known) if how == "max" else known[-1]

    @property
    def params(self) -> int:
        """Scalars of distinct parameter tensors."""
        return self.totals["params"]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one forward pass of the batch given."""
        return self.totals["macs"]

    @property
    def flops(self) -> int:
        """2 x MACs and the other arithmetic."""
        return self.totals["flops"]

    @cached_property
    def gaps(self) -> list[Gap]:
        """The ops that no rule knows, and those with an input that nobody was seen to make."""
        found = []
        for op in self.network.ops:
            facts = self.network.facts[op.name]
            if isinstance(facts, Unknown):
                found.append(Gap(op.name, facts.reason))
            elif len(self.network.reads(op.name)) < len(op.inputs):
                found.append(Gap(op.name, "an input comes from where the recorder cannot see"))
        return found

    # Tables.

    @cached_property
    def table(self) -> pandas.DataFrame:
        """One row an op, indexed by its name, in execution order; unknown values are missing."""
        import pandas as pd

        ops = self.network.ops
        described = {
            "kind": [op.kind for op in ops],
            "path": [op.path for op in ops],
            "layer": [op.layer for op in ops],
            "output_shape": [shape(op) for op in ops],
        }
        numbers = {name: typed(values, self.columns[name].unit) for name, values in self.values.items()}
        return pd.DataFrame(described | numbers, index=pd.Index([op.name for op in ops], name="name"))

    def by_module(self, depth: int = 1) -> pandas.DataFrame:
        """One row a module at most `depth` levels below the root, with the ops in it added up; no op counts twice.

        A sum that misses an op whose value is unknown is missing too. Weights that no op reads belong to no row. Of columns
        that do not add up but belong to an output (a receptive field), a module has the value of its last op.
        """
        import pandas as pd

        if depth < 1:
            raise UserError(f"modules are grouped at depth 1 or more, not {depth}")
        groups: dict[str, list[int]] = {}
        for number, op in enumerate(self.network.ops):
            groups.setdefault(".".join(op.path.split(".")[:depth]), []).append(number)
        sums = {
            name: [
                None if any(values[number] is None for number in numbers) else self.total(name, numbers)
                for numbers in groups.values()
            ]
            for name, values in self.values.items()
            if name in self.totals
        }
        for name, values in self.values.items():
            if self.columns[name].total == "output":
                sums[name] = [values[numbers[-1]] for numbers in groups.values()]
        columns = {name: typed(values, self.columns[name].unit) for name, values in sums.items()}
        return pd.DataFrame(columns, index=pd.Index(list(groups), name="module"))

    @cached_property
    def tree(self) -> Group:
        """The ops as a tree of modules, after their paths."""
        root = Group("")
        prefixes = {
            ".".join(op.path.split(".")[:i]) for op in self.network.ops for i in range(1, op.path.count(".") + 1)
        }
        groups = {"": root}
        for number, op in enumerate(self.network.ops):
            parent = root
            parts = op.path.split(".")
            levels = [".".join(parts[:i]) for i in range(1, len(parts) + 1)]
            for path in levels if op.path in prefixes else levels[:-1]:
                if path not in groups:
                    groups[path] = Group(path)
                    parent.parts.append(groups[path])
                parent = groups[path]
            parent.parts.append(number)
        return root

    # Explanations.

    def explain(self, path: str = "") -> str:
        """Return how the MACs of the op or module at `path` (or of all) come about, as text.

        Raises UserError where there is nothing at that path.
        """
        return self.render("explain", path=path)

    def ops_at(self, path: str) -> list[int]:
        """Return the numbers of the ops at or below a path; raise UserError where there are none."""
        if not path:
            return list(range(len(self.network)))
        found = [i for i, op in enumerate(self.network.ops) if op.name == path or f"{op.path}.".startswith(f"{path}.")]
        if not found:
            paths = {
                ".".join(op.path.split(".")[:i]) for op in self.network.ops for i in range(1, op.path.count(".") + 2)
            }
            close = nearest(path, paths)
            guess = f"; did you mean {close!r}?" if close else f"; its parts are {', '.join(g for g in self._top())}"
            raise UserError(f"{self.model} has nothing at {path!r}{guess}")
        return found

    def _top(self) -> list[str]:
        return list(dict.fromkeys(op.path.split(".")[0] for op in self.network.ops))

    # Pages.

    @property
    def graph(self) -> networkx.MultiDiGraph:
        """The plain networkx graph: one node an op (attribute `op`), one edge a tensor read; see `Graph.networkx`."""
        return self.network.networkx

    def render(self, format: str, **options: Any) -> str:
        """Return the profile in a registered format (`archprof list formats`)."""
        from archprof.renderers import RENDERERS, View

        return RENDERERS[format].function(self, View(**options))

    def draw(self, path: str | os.PathLike[str], **options: Any) -> tuple[str, ...]:
        """Write a diagram to `path`, whose ending says the format: .svg, .pdf, .png, .dot, .mmd or .tex.

        Returns what is to be said about it, such as the size of its text on the `page` it was drawn for.
        """
        from archprof.renderers.picture import draw

        return draw(self, path, **options)

    def report(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Write one HTML page about all that is known, `x.html`; see `archprof.reporting.report` for options."""
        from archprof.reporting import report

        report([self], path, **options)

    def show(self) -> None:
        """Show it: the table in a terminal, the whole report in a notebook."""
        from archprof.showing import show

        show(self)

    def verify(self) -> Verification:
        """Return how the counts fare against two oracles: torch's formulas op by op, and other tools on the whole model.

        It runs the model again, some tools with weights on the CPU. Raises UserError for a profile made by other means.
        """
        from archprof.verify import verify

        return verify(self)

    def receptive_field(self, input: str = "") -> Fields:
        """Return what every op sees of an input (by default the first one), per axis; see `archprof.receptive`.

        Raises UserError for a profile made by other means, or where no input has such an axis.
        """
        from archprof.receptive import fields_of

        if self._run is None:
            raise UserError("only what `profile` returned can be asked for its receptive fields")
        return fields_of(self._run[0], input)

    def with_memory(self) -> Profile:
        """Return this with the columns `saved_bytes` and `live_bytes`: what autograd keeps of an op, what is alive as it ends.

        Raises UserError for a profile made by other means, and where the model cannot run so.
        """
        from archprof.footprint.columns import with_memory

        return with_memory(self)

    def to_json(self) -> str:
        """Return the whole profile as one JSON document (`archprof/renderers/profile.schema.json`)."""
        return self.render("json")

    def __repr__(self) -> str:
        """Return its model and totals: the values of all ops would fill pages."""
        ops, least = units.several(len(self.network), "op"), "at least " * bool(self.gaps)
        return f"<Profile of {self.model}: {ops}, {self.totals['params']:,} parameters, {least}{self.totals['macs']:,} MACs>"

    def __str__(self) -> str:
        """Return the terminal's table, plain."""
        return self.render("table")

    def _repr_html_(self) -> str:
        """Return what a notebook shows: a static table and the diagram."""
        return self.render("notebook")


def shape(op: Op) -> str:
    """Return an op's output shapes as text, several after one another.

    >>> from archprof.records import Tensor
    >>> shape(Op("a", "relu", "a", outputs=(Tensor((1, 8, 4, 4)),)))
    '1x8x4x4'
    """
    return ", ".join(map(str, op.outputs))


def typed(values: Sequence[Any], unit: str) -> Any:
    """Return the values of a column in a unit as pandas keeps them: whole numbers, numbers or text, unknown ones missing.

    >>> [typed(values, unit).dtype.name for values, unit in (([1, None], "bytes"), ([0.5], "FLOP/s"), (["3x3"], "shape"))]
    ['Int64', 'Float64', 'string']
    """
    import pandas as pd

    if unit in TEXT:
        return pd.array([None if value is None else units.written(value, unit) for value in values], dtype="string")
    return pd.array(list(values), dtype="Int64" if unit in {"count", "bytes"} else "Float64")
