"""Losses. What a formula does per element counts as written; the sum over n elements costs n - 1, their mean n."""

from __future__ import annotations

from typing import Any

from archprof.ops import rule
from archprof.ops.shapes import broadcast, fit, promoted
from archprof.records import Facts, Tensor, Unknown, contraction

ELEMENTWISE = {
    "l1_loss": (2, "a difference, a magnitude"),
    "mse_loss": (2, "a difference, a square"),
    "smooth_l1_loss": (5, "a difference, a magnitude, a comparison; a square and a scale, or a sum and a scale"),
    "huber_loss": (5, "a difference, a magnitude, a comparison; a square and a scale, or a sum and a scale"),
    "binary_cross_entropy": (8, "2 logarithms, 2 complements, 2 products, a sum, a sign"),
    "binary_cross_entropy_with_logits": (8, "a complement, a product, and log(1 + exp(-|x|)) - min(x, 0) added: 6"),
    "kl_div": (3, "a logarithm (or an exponential), a difference, a product"),
    "soft_margin_loss": (4, "a product, a sign, an exponential, a logarithm"),
    "hinge_embedding_loss": (4, "a difference, a maximum, a comparison, a choice"),
}
"""FLOPs per element before the sum, and what they are."""


def reduction_of(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """Return the reduction meant, whichever of torch's two ways of saying it was used."""
    if size_average is None and reduce is None:
        return reduction
    if reduce is False:
        return "none"
    return "sum" if size_average is False else "mean"


def reduced(elements: int, reduction: str) -> int:
    """Return what summing or averaging that many elements costs."""
    if reduction == "none":
        return 0
    return max(0, elements - 1) if reduction == "sum" else elements


def _elementwise_shape(
    input: Tensor, target: Tensor, *settings: Any, reduction: str = "mean", **options: Any
) -> Tensor:
    fit(not settings and options.get("reduce") is None and options.get("size_average") is None, "the old arguments")
    shape = broadcast(input.shape, target.shape)
    return Tensor(shape if reduction == "none" else (), promoted(input, target))


def _register(kind: str, per: int, what: str) -> None:
    """File a loss that compares two tensors element by element."""

    def loss(out: Tensor, input: Tensor, target: Tensor, *settings: Any, size_average: bool | None = None,
             reduce: bool | None = None, reduction: str = "mean", weight: Tensor | None = None,
             pos_weight: Tensor | None = None, **options: Any) -> Facts:  # fmt: skip
        given = sum(isinstance(value, Tensor) for value in (weight, pos_weight, *settings))
        elements = Tensor(broadcast(input.shape, target.shape)).elements
        flops = (per + given + 2 * (pos_weight is not None)) * elements
        return Facts(flops=flops + reduced(elements, reduction_of(size_average, reduce, reduction)))

    loss.__doc__ = f"""[*], [*] -> []

    FLOPs: {per} per element: {what}; 1 more with weights, 3 with weights of positives; n for the mean, n - 1 for the sum.
    """
    rule(kind, shape=_elementwise_shape)(loss)


for _kind, (_per, _what) in ELEMENTWISE.items():
    _register(_kind, _per, _what)


def _entropy(logits: Tensor, target: Tensor, weight: Tensor | None, smoothing: float, reduction: str) -> int:
    """Return the FLOPs of a cross entropy, log-softmax included."""
    soft = target.shape == logits.shape
    rows = logits.elements // max(1, logits.shape[1 if len(logits.shape) > 1 else 0])
    flops = 5 * logits.elements + (2 * logits.elements if soft or smoothing else rows)
    flops += 0 if weight is None else logits.elements if soft else rows
    return flops + reduced(rows, reduction)


def _entropy_shape(input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
                   ignore_index: int = -100, reduce: bool | None = None, reduction: str = "mean",
                   label_smoothing: float = 0.0) -> Tensor:  # fmt: skip
    fit(size_average is None and reduce is None, "the old arguments")
    rows = input.shape[:1] + input.shape[2:] if len(input.shape) > 1 else ()
    fit(target.shape in {rows, input.shape}, "the target does not fit")
    return Tensor(rows if reduction == "none" else (), input.dtype)


@rule("cross_entropy", shape=_entropy_shape)
def cross_entropy(out: Tensor, input: Tensor, target: Tensor, weight: Tensor | None = None,
                  size_average: bool | None = None, ignore_index: int = -100, reduce: bool | None = None,
                  reduction: str = "mean", label_smoothing: float = 0.0) -> Facts:  # fmt: skip
    """[n, c, *x], [n, *x] -> []

    FLOPs: 5 per logit, a log-softmax; then 1 per row for the logit of its class, or 2 per logit where the target is
    probabilities or smoothed; 1 more each with class weights; rows for the mean, rows - 1 for the sum.
    """
    way = reduction_of(size_average, reduce, reduction)
    return Facts(flops=_entropy(input, target, weight, label_smoothing, way))


@rule("linear_cross_entropy")
def linear_cross_entropy(out: Tensor, input: Tensor, linear_weight: Tensor, target: Tensor, *,
                         linear_bias: Tensor | None = None, weight: Tensor | None = None, reduction: str = "mean",
                         ignore_index: int = -100, label_smoothing: float = 0.0,
                         options: object = None) -> Facts:  # fmt: skip
    """[n, f] * [c, f], [n] -> []

    MACs: n x f x c. FLOPs: + those of the cross entropy of n x c logits, 1 per logit for a bias.
    """
    rows = input.elements // max(1, input.shape[-1])
    logits = Tensor((rows, linear_weight.shape[0]))
    wanted = logits if target.elements == logits.elements != rows else Tensor((rows,))
    flops = _entropy(logits, wanted, weight, label_smoothing, reduction)
    flops += 0 if linear_bias is None else logits.elements
    return contraction((rows, input.shape[-1], linear_weight.shape[0]), flops=flops)


@rule("nll_loss")
def nll_loss(out: Tensor, input: Tensor, target: Tensor, weight: Tensor | None = None,
             size_average: bool | None = None, ignore_index: int = -100, reduce: bool | None = None,
             reduction: str = "mean") -> Facts:  # fmt: skip
    """[n, c, *x], [n, *x] -> []

    FLOPs: 1 per row, the sign; 1 more with class weights; rows for the mean, rows - 1 for the sum.
    """
    rows = target.elements
    way = reduction_of(size_average, reduce, reduction)
    return Facts(flops=(1 + (weight is not None)) * rows + reduced(rows, way))


@rule("poisson_nll_loss")
def poisson_nll_loss(out: Tensor, input: Tensor, target: Tensor, log_input: bool = True, full: bool = False,
                     size_average: bool | None = None, eps: float = 1e-8, reduce: bool | None = None,
                     reduction: str = "mean") -> Facts:  # fmt: skip
    """[*], [*] -> []

    FLOPs: 3 per element (exponential, product, difference), 4 where the input is no logarithm; 8 more for Stirling's
    term; n for the mean, n - 1 for the sum.
    """
    way = reduction_of(size_average, reduce, reduction)
    return Facts(flops=(4 - bool(log_input) + 8 * bool(full)) * input.elements + reduced(input.elements, way))


@rule("gaussian_nll_loss")
def gaussian_nll_loss(out: Tensor, input: Tensor, target: Tensor, var: Any, full: bool = False, eps: float = 1e-6,
                      reduction: str = "mean") -> Facts:  # fmt: skip
    """[*], [*], [*] -> []

    FLOPs: 7 per element: a limit, a logarithm, a difference, a square, a quotient, a sum, a half; 1 more for the
    constant; n for the mean, n - 1 for the sum.
    """
    return Facts(flops=(7 + bool(full)) * input.elements + reduced(input.elements, reduction))


@rule("margin_ranking_loss")
def margin_ranking_loss(out: Tensor, input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0,
                        size_average: bool | None = None, reduce: bool | None = None,
                        reduction: str = "mean") -> Facts:  # fmt: skip
    """[*], [*], [*] -> []

    FLOPs: 4 per element: a difference, a product, a sum, a maximum; n for the mean, n - 1 for the sum.
    """
    elements = Tensor(broadcast(input1.shape, input2.shape, target.shape)).elements
    return Facts(flops=4 * elements + reduced(elements, reduction_of(size_average, reduce, reduction)))


@rule("cosine_embedding_loss")
def cosine_embedding_loss(out: Tensor, input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0,
                          size_average: bool | None = None, reduce: bool | None = None,
                          reduction: str = "mean") -> Facts:  # fmt: skip
    """[n, f], [n, f], [n] -> []

    FLOPs: 6 per pair of features, a cosine; 4 per row: two differences, a maximum, a choice; n for the mean, n - 1 for
    the sum.
    """
    rows = target.elements
    way = reduction_of(size_average, reduce, reduction)
    return Facts(flops=6 * input1.elements + 4 * rows + reduced(rows, way))


@rule("multi_margin_loss")
def multi_margin_loss(out: Tensor, input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0,
                      weight: Tensor | None = None, size_average: bool | None = None, reduce: bool | None = None,
                      reduction: str = "mean") -> Facts:  # fmt: skip
    """[n, c], [n] -> []

    FLOPs: 4 per class: a difference, a maximum, a sum over classes, a division; 1 more for p = 2, 1 with weights; n for
    the mean, n - 1 for the sum.
    """
    rows = max(1, target.elements)
    way = reduction_of(size_average, reduce, reduction)
    return Facts(flops=(4 + (p != 1) + (weight is not None)) * input.elements + reduced(rows, way))


@rule("multilabel_margin_loss")
def multilabel_margin_loss(out: Tensor, input: Tensor, target: Tensor, size_average: bool | None = None,
                           reduce: bool | None = None, reduction: str = "mean") -> Facts:  # fmt: skip
    """[n, c], [n, c] -> []

    FLOPs: 4 (two sums, a maximum, an addition) for each pair of a label and a class that is none, an upper bound of
    c/2 x c/2 pairs a row; n for the mean, n - 1 for the sum.
    """
    classes = input.shape[-1]
    rows = input.elements // max(1, classes)
    pairs = rows * (classes // 2) * (classes - classes // 2)
    return Facts(flops=4 * pairs + reduced(rows, reduction_of(size_average, reduce, reduction)))


@rule("multilabel_soft_margin_loss")
def multilabel_soft_margin_loss(out: Tensor, input: Tensor, target: Tensor, weight: Tensor | None = None,
                                size_average: bool | None = None, reduce: bool | None = None,
                                reduction: str = "mean") -> Facts:  # fmt: skip
    """[n, c], [n, c] -> []

    FLOPs: 9 per class: 2 log-sigmoids, 2 signs, a complement, 2 products, a sum, and the mean over classes; 1 more with
    weights; n for the mean, n - 1 for the sum.
    """
    rows = input.elements // max(1, input.shape[-1])
    way = reduction_of(size_average, reduce, reduction)
    return Facts(flops=(9 + (weight is not None)) * input.elements + reduced(rows, way))


@rule("triplet_margin_loss")
def triplet_margin_loss(out: Tensor, anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0,
                        p: float = 2, eps: float = 1e-6, swap: bool = False, size_average: bool | None = None,
                        reduce: bool | None = None, reduction: str = "mean") -> Facts:  # fmt: skip
    """[*, f], [*, f], [*, f] -> []

    FLOPs: 4 per feature (a difference, its shift by eps, a power, a sum) for each of two distances, three with swap; 3
    per row (a difference, the margin, a maximum), 4 with swap; n for the mean, n - 1 for the sum.
    """
    rows = anchor.elements // max(1, anchor.shape[-1])
    way = reduction_of(size_average, reduce, reduction)
    return Facts(flops=(8 + 4 * bool(swap)) * anchor.elements + (3 + bool(swap)) * rows + reduced(rows, way))


@rule("triplet_margin_with_distance_loss")
def triplet_margin_with_distance_loss(out: Tensor, anchor: Tensor, positive: Tensor, negative: Tensor, *,
                                      distance_function: object = None, margin: float = 1.0, swap: bool = False,
                                      reduction: str = "mean") -> Facts | Unknown:  # fmt: skip
    """[*, f], [*, f], [*, f] -> []

    FLOPs: as triplet_margin_loss; unknown with a distance function of one's own.
    """
    if getattr(distance_function, "__name__", "pairwise_distance") != "pairwise_distance":
        return Unknown("what the distance function costs cannot be seen")
    return triplet_margin_loss(out, anchor, positive, negative, margin, swap=swap, reduction=reduction)


@rule("ctc_loss")
def ctc_loss(out: Tensor, log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any,
             blank: int = 0, reduction: Any = "mean", zero_infinity: bool = False) -> Facts:  # fmt: skip
    """[t, n, c], [n, s] -> []

    FLOPs: 13 per step and state, of which a sequence of s labels has 2s + 1: a log-sum-exp of three (2 comparisons, 3
    differences, 3 exponentials, 2 sums, a logarithm, a sum) and a sum. All t steps and s labels count, an upper bound:
    real lengths are data.
    """
    steps, batch = log_probs.shape[0], log_probs.shape[1] if len(log_probs.shape) == 3 else 1
    return Facts(flops=13 * steps * (2 * targets.elements + batch))
