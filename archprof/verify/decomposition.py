"""First oracle: torch's own FLOP formulas, on the ATen operations that a recorded call is made of."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, bmm_flop, mm_flop

from archprof.decompose import replayed
from archprof.errors import UserError
from archprof.graph import Graph
from archprof.meta import Seen
from archprof.ops import tensors
from archprof.progress import Tell
from archprof.records import Facts, Op
from archprof.verify import Check

aten = torch.ops.aten

SMALL = 2**24
"""Scalars and MACs up to which a call may run on the CPU, where meta does not do."""

VECTORS: Mapping[Any, Any] = {
    aten.mv: lambda a, b, **_: mm_flop(a, (*b, 1)),
    aten.addmv: lambda _, a, b, **__: mm_flop(a, (*b, 1)),
    aten.dot: lambda a, b, **_: mm_flop((1, *a), (*b, 1)),
    aten.vdot: lambda a, b, **_: mm_flop((1, *a), (*b, 1)),
    aten.addbmm: lambda _, a, b, **__: bmm_flop(a, b),
}
"""Products that torch has no formula for, under its formula for matrices: a vector is one row or column."""

VECTOR_NAMES = frozenset(packet.__name__ for packet in VECTORS)

HIDDEN = frozenset({
    "_trilinear", "_cdist_forward", "_euclidean_dist", "mkldnn_rnn_layer", "_cudnn_rnn", "miopen_rnn",
    "_thnn_fused_lstm_cell", "_thnn_fused_gru_cell", "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_fused_attention_overrideable", "_native_multi_head_attention", "_transformer_encoder_layer_fwd",
    "_int_mm", "_grouped_mm", "_scaled_grouped_mm", "_weight_int8pack_mm", "_weight_int4pack_mm", "_fft_c2c", "_fft_r2c",
    "_fft_c2r", "linalg_inv_ex", "linalg_solve_ex", "_linalg_solve_ex", "_linalg_svd", "_linalg_eigh", "linalg_qr",
    "linalg_lu_factor_ex", "linalg_cholesky_ex", "_linalg_det", "_linalg_slogdet", "linalg_lstsq", "triangular_solve",
    "linalg_solve_triangular", "linalg_eig", "linalg_householder_product", "cholesky_solve", "ormqr", "lu_unpack",
})  # fmt: skip
"""ATen operations with contractions inside for which torch has no formula: it counts 0 there, which says nothing."""


class Leaves(TorchDispatchMode):
    """Notes the ATen operations that torch takes no further apart; to be entered before a FlopCounterMode."""

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__()
        self.names: dict[str, None] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation and note its name, with its library where that is not ATen."""
        packet = getattr(func, "overloadpacket", func)
        library = getattr(func, "namespace", "")
        self.names[packet.__name__ if library in {"aten", "prims", "prim"} else f"{library}::{packet.__name__}"] = None
        return func(*args, **(kwargs or {}))

    @property
    def hidden(self) -> list[str]:
        """Those that torch has no formula for, and that may contract all the same."""
        return [name for name in self.names if name in HIDDEN or "::" in name]

    @property
    def products(self) -> list[str]:
        """The hidden ones, and products with vectors: what a FlopCounterMode in its default settings leaves out."""
        return [*self.hidden, *(name for name in self.names if name in VECTOR_NAMES)]


@contextlib.contextmanager
def plain_attention(*, math: bool = True) -> Iterator[None]:
    """Leave out the fast path of multi-head attention, which hides its products; attention by matrix products if `math`."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH) if math else contextlib.nullcontext():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def checked(graph: Graph, seen: Mapping[str, Seen], tell: Tell) -> Iterator[Check]:
    """Yield a Check for every distinct signature in a graph."""
    groups: dict[Any, list[Op]] = {}
    for op in graph.ops:
        groups.setdefault(op.signature, []).append(op)
    for number, ops in enumerate(groups.values()):
        tell("torch's formulas", number / len(groups))
        facts = graph.facts[ops[0].name]
        rule = facts.macs if isinstance(facts, Facts) else None
        theirs, reason = counted(ops[0], seen[ops[0].name], rule)
        if rule is None:
            reason = getattr(facts, "reason", "")
        shapes = ", ".join(map(str, tensors(ops[0].arguments)))
        yield Check(ops[0].kind, shapes, tuple(op.name for op in ops), rule, theirs, reason)


def counted(op: Op, seen: Seen, rule: int | None) -> tuple[int | None, str]:
    """Return the MACs of a call by torch's formulas; or None and why they cannot be had, or say nothing."""
    on = "meta"
    try:
        macs, leaves = count(seen, on)
    except Exception as error:  # noqa: BLE001 - whatever torch says, meta does not do
        size = sum(tensor.elements for tensor in (*tensors(op.arguments), *op.outputs))
        if max(size, rule or 0) > SMALL:
            return None, f"cannot be run on meta ({told(error)}), and is too large for the CPU"
        on = "cpu"
        try:
            macs, leaves = count(seen, on)
        except Exception as again:  # noqa: BLE001 - random data may not suit it
            return None, f"cannot be run again: {told(again)}"
    if leaves.hidden:
        return None, f"torch has no formula for {', '.join(leaves.hidden)}"
    if op.kind == "einsum" and not macs and rule == sum(tensor.elements for tensor in op.outputs):
        return None, "ATen multiplies elementwise where what is summed has one element"
    function = seen.call[0] if seen.call else None
    if macs != rule and getattr(function, "__module__", "").startswith("archprof."):
        # a sparse convolution runs as a dense one with a mask, a distance as squares and sums: the rule is of what is meant
        return None, f"archprof's own function, whose torch code goes another way ({macs:,} MACs)"
    return macs, ""


def count(seen: Seen, on: str) -> tuple[int, Leaves]:
    """Make a call again and return half of what torch counts, with the operations that it counts them in."""
    leaves, counter = Leaves(), FlopCounterMode(display=False, custom_mapping=dict(VECTORS))
    with warnings.catch_warnings(), plain_attention(), torch.backends.opt_einsum.flags(enabled=False):
        warnings.simplefilter("ignore")  # the model's run has given them
        with torch.random.fork_rng(devices=[]), leaves, counter:
            replayed(seen, on)
    return counter.get_total_flops() // 2, leaves


def told(error: Exception) -> str:
    """Return the first line of an error's message, with its kind where that says more."""
    line = str(error).strip().partition("\n")[0]
    return line if isinstance(error, (RuntimeError, UserError)) and line else f"{type(error).__name__}: {line}"
