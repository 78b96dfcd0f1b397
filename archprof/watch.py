"""Tells a recorder where a running model is: its node, its module, and what torch would hide from it."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import fx, nn
from torch.overrides import _get_current_function_mode_stack, handle_torch_function

from archprof.build import Origin


class Nodes(fx.Interpreter):
    """Runs a GraphModule node by node, telling the recorder which step it is at; forgets results no step needs if `frees`."""

    def __init__(self, module: fx.GraphModule, recorder: Any, *, frees: bool = False) -> None:
        super().__init__(module, garbage_collect_values=frees)
        self.recorder = recorder

    def run_node(self, n: fx.Node) -> Any:
        """Run a node, its origin told before."""
        path = str(n.target) if n.op == "call_module" else n.name
        self.recorder.origin = n.meta.get("archprof") or self.exported(n) or Origin(path, "", None)
        return super().run_node(n)

    def exported(self, n: fx.Node) -> Origin | None:
        """Return the module that a node of an exported program came from; nodes of one module share the origin."""
        stack = [entry for entry in n.meta.get("nn_module_stack", {}).values() if entry[0]]
        if not stack:
            return None
        path, kind = stack[-1]
        if self.recorder.origin.path != path:
            return Origin(path, str(kind).rpartition(".")[2], None)
        return self.recorder.origin


@contextlib.contextmanager
def wrapped(module: nn.Module, wrap: Callable[[str, nn.Module], Callable[..., Any]]) -> Iterator[None]:
    """Have `wrap(path, part)` stand in place of every part's `forward`; what was there before is back afterwards.

    A ScriptModule has no `forward` that could be replaced, so it is left alone.
    """
    before: list[tuple[dict[str, Any], Any]] = []
    try:
        for path, part in module.named_modules():
            if not isinstance(part, torch.jit.ScriptModule):
                state = vars(part)
                before.append((state, state.get("forward")))
                state["forward"] = wrap(path, part)
        yield
    finally:
        for state, forward in before:
            if forward is None:
                state.pop("forward", None)
            else:
                state["forward"] = forward


def watched_modules(module: nn.Module, recorder: Any) -> contextlib.AbstractContextManager[None]:
    """Tell the recorder which module is running, by wrapping every `forward`.

    That is cheaper than hooks, and sees a `forward` that a model calls itself.
    """

    def watched(path: str, part: nn.Module) -> Callable[..., Any]:
        is_container = bool(part._modules) or hasattr(part, "is_function")  # noqa: SLF001 - children() is slow
        return _watched(part.forward, recorder, path, "" if is_container else type(part).__name__, is_container)

    return wrapped(module, watched)


@contextlib.contextmanager
def vmaps(recorder: Any) -> Iterator[None]:
    """Have torch.vmap seen as one op, what it maps included: the tensors within stand for a slice of the real ones."""
    apis = torch._functorch.apis  # noqa: SLF001 - vmap itself is no function that modes see
    mapped = apis.vmap_impl

    @functools.wraps(mapped)
    def vmap(*args: Any, **kwargs: Any) -> Any:
        if recorder not in _get_current_function_mode_stack():  # it is recording this very call
            return mapped(*args, **kwargs)
        return handle_torch_function(vmap, (), *args, **kwargs)

    vmap.__name__ = "vmap"
    apis.vmap_impl = vmap
    try:
        yield
    finally:
        apis.vmap_impl = mapped


def eagerly() -> contextlib.AbstractContextManager[Any]:
    """Let functions under torch.compile run as they are written; nothing to do where torch's compiler is not loaded."""
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else contextlib.nullcontext()


def _watched(
    forward: Callable[..., Any], recorder: Any, path: str, layer: str, is_container: bool
) -> Callable[..., Any]:
    @functools.wraps(forward)
    def watched(*args: Any, **kwargs: Any) -> Any:
        outer = recorder.origin, recorder.is_container
        origin = Origin(path, layer, None)  # each call has one of its own
        recorder.origin, recorder.is_container = origin, is_container
        try:
            return forward(*args, **kwargs)
        except Exception as error:
            if recorder.failed is None or recorder.failed[0] is not error:  # the innermost module is told
                recorder.failed = error, origin
            raise
        finally:
            recorder.origin, recorder.is_container = outer

    return watched
