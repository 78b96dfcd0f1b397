"""Activation checkpointing as a question: what if these blocks kept only their inputs, and ran again in the backward pass?"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

from torch import fx, nn
from torch.utils.checkpoint import checkpoint

from archprof.errors import UserError, did_you_mean
from archprof.footprint.passes import RUNNER
from archprof.watch import Nodes


def blocks_of(module: nn.Module) -> list[str]:
    """Return the paths of a network's blocks: modules of several parts in a list or sequence, the outermost ones, in order.

    Those of a spec are what it calls blocks.
    """
    if isinstance(module, fx.GraphModule):
        named = getattr(module.meta.get("archprof"), "blocks", {})
        return [path for path in named if not any(path.startswith(f"{other}.") for other in named)]
    found: list[str] = []
    for path, part in module.named_modules():
        if not isinstance(part, (nn.Sequential, nn.ModuleList)) or len(part) < 2:
            continue
        if any(path == block or path.startswith(f"{block}.") for block in found):
            continue
        names = (f"{path}.{name}".strip(".") for name, child in part.named_children() if next(child.children(), None))
        found += names
    return found


def chosen(name: str, module: nn.Module, blocks: Sequence[str], which: int | Sequence[str]) -> list[str]:
    """Return the paths of what is to run again: the first so many blocks, or all that these names or patterns mean.

    A pattern (`layer3*`) means blocks or, where none is called so, other modules, the outermost ones. Raises UserError for
    what there is not in the model called `name`.
    """
    if isinstance(which, int):
        if not 0 <= which <= len(blocks):
            raise UserError(f"{name} has {len(blocks)} blocks to checkpoint, not {which}")
        return list(blocks[:which])
    paths = [path for path, _ in module.named_modules() if path]
    found: set[str] = set()
    for pattern in which:
        meant = [path for path in blocks if fnmatchcase(path, pattern)]
        meant = meant or [path for path in paths if fnmatchcase(path, pattern)]
        if not meant:
            there = f"its blocks are {blocks[0]} to {blocks[-1]}" if blocks else ""
            advice = did_you_mean(pattern, [*blocks, *paths], there)
            raise UserError(f"{name} has no block or module {pattern!r} to checkpoint; {advice}".rstrip("; "))
        found.update(meant)
    return [path for path in paths if path in found and not any(path.startswith(f"{other}.") for other in found)]


HOW = {"use_reentrant": False, "preserve_rng_state": False}


@contextlib.contextmanager
def recomputed(module: nn.Module, paths: Sequence[str]) -> Iterator[None]:
    """Run these blocks under torch's checkpoint, meanwhile."""
    if isinstance(module, fx.GraphModule):
        module.meta[RUNNER] = functools.partial(Recomputing, paths)
        try:
            yield
        finally:
            del module.meta[RUNNER]
        return
    parts = [module.get_submodule(path) for path in paths]
    for part in parts:
        vars(part)["forward"] = functools.partial(checkpoint, part.forward, **HOW)
    try:
        yield
    finally:
        for part in parts:
            del vars(part)["forward"]


class Recomputing(Nodes):
    """Runs a GraphModule with neighbouring nodes of a block under torch's checkpoint, as if they were one module."""

    def __init__(self, blocks: Sequence[str], module: fx.GraphModule, recorder: Any, *, frees: bool = False) -> None:
        super().__init__(module, recorder, frees=frees)
        self.blocks = blocks

    def run(self, *args: Any) -> Any:  # type: ignore[override]
        """Run the graph on its inputs."""
        self.args_iter = iter(args)
        result = None
        graph: fx.Graph = self.module.graph  # type: ignore[assignment]
        for path, group in itertools.groupby(tuple(graph.nodes), self.block):
            nodes = list(group)
            result = self.again(nodes) if path else self.steps(nodes)
        return result

    def block(self, node: fx.Node) -> str:
        """Return the block that a node is in, if it is one that runs again."""
        stack = [path for path, _ in node.meta.get("nn_module_stack", {}).values()]
        path = node.meta["archprof"].path if "archprof" in node.meta else (stack or [""])[-1]
        return next((block for block in self.blocks if f"{path}.".startswith(f"{block}.")), "")

    def steps(self, nodes: Iterable[fx.Node]) -> Any:
        """Run nodes, and forget what none needs behind them; return what the last one gives."""
        result = None
        for node in nodes:
            result = self.env[node] = self.run_node(node)
            for gone in self.user_to_last_uses.get(node, ()):
                self.env.pop(gone, None)
        return result

    def again(self, nodes: list[fx.Node]) -> None:
        """Run nodes now and, for their gradients, once more."""
        inside = set(nodes)
        read = list(dict.fromkeys(source for node in nodes for source in node.all_input_nodes if source not in inside))
        made = [node for node in nodes if not inside.issuperset(node.users)]

        def block(*values: Any) -> tuple[Any, ...]:
            env, origin = self.env, self.recorder.origin
            self.env = dict(zip(read, values, strict=True))
            try:
                self.steps(nodes)
                return tuple(self.env[node] for node in made)
            finally:
                self.env, self.recorder.origin = env, origin

        self.env.update(zip(made, checkpoint(block, *(self.env[node] for node in read), **HOW), strict=True))
        for node in nodes:
            for gone in self.user_to_last_uses.get(node, ()):
                self.env.pop(gone, None)
