"""What losses see: everything where they are summed, else their own element or row."""

from __future__ import annotations

from archprof.ops.loss import ELEMENTWISE
from archprof.receptive.mixing import everything
from archprof.receptive.region import aligned, reduced, union
from archprof.receptive.rules import Answer, Call, sees

PLACES = (*ELEMENTWISE, "poisson_nll_loss", "margin_ranking_loss")
ROWS = {
    "cross_entropy": 1, "nll_loss": 1, "cosine_embedding_loss": -1, "multi_margin_loss": -1, "multilabel_margin_loss": -1,
    "multilabel_soft_margin_loss": -1, "triplet_margin_loss": -1, "triplet_margin_with_distance_loss": -1,
}  # fmt: skip
"""Kinds that read all along one axis, and which one it is."""


@sees(*PLACES, "gaussian_nll_loss")
def places(call: Call) -> Answer:
    """The element of the same place, or everything where they are summed."""
    fits = all(len(region.shape) <= len(call.out) for region in call.regions)
    if not call.out or not fits:
        return everything(call)
    return union([aligned(region, len(call.out)) for region in call.regions], call.out)


@sees(*ROWS)
def rows(call: Call) -> Answer:
    """The scores of all classes, or features, at the same place; everything where places are summed."""
    if not call.out:
        return everything(call)
    rank, axis = len(call.out) + 1, ROWS[call.op.kind]
    parts = [reduced(region, [axis], keep=False) if len(region.shape) == rank else region for region in call.regions]
    parts = [part for part in parts if part.shape == call.out]  # weights of classes are left out
    return union(parts, call.out)


@sees("ctc_loss", "linear_cross_entropy")
def sums(call: Call) -> Answer:
    """Everything: they are sums, but where told otherwise."""
    if call.op.kind == "ctc_loss" and call.out and len(call.input.shape) == 3:
        return reduced(call.input, [0, 2], keep=False)
    return everything(call)
