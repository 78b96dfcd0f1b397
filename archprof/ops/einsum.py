"""Products written as a formula over named axes: einsum and tensordot.

Several operands are contracted in pairs from the left, which is what torch does unless opt_einsum is installed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from archprof.ops import rule
from archprof.ops.shapes import fit, promoted
from archprof.records import Facts, Tensor, contraction

Labels = tuple[str, ...]
Terms = list[tuple[Labels, Tensor]]


def parsed(equation: object, operands: Sequence[Any]) -> tuple[Terms, Labels]:
    """Return the labels of each operand's axes with the operand, and the labels of the output.

    Both of torch's ways of writing are understood, `"ij,jk->ik", a, b` and `a, [0, 1], b, [1, 2], [0, 2]`. The axes an
    ellipsis stands for are called `...0`, `...1` from the right, so that they broadcast.
    """
    if not isinstance(equation, str):
        return _parsed_lists([equation, *operands])
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = operands[0]
    left, arrow, right = equation.replace(" ", "").partition("->")
    texts = left.split(",")
    fit(len(texts) == len(operands), "not one subscript for each operand")
    terms = [(_labels(text, len(tensor.shape)), tensor) for text, tensor in zip(texts, operands, strict=True)]
    return terms, _output(terms, _tokens(right) if arrow else None)


def _parsed_lists(values: Sequence[Any]) -> tuple[Terms, Labels]:
    pairs = [(values[i], values[i + 1]) for i in range(0, len(values) - 1, 2)]
    terms = []
    for tensor, subscripts in pairs:
        text = ["..." if number is Ellipsis else f"{number:04}" for number in subscripts]
        terms.append((_spread(text, len(tensor.shape)), tensor))
    last = values[-1] if len(values) % 2 else None
    wanted = None if last is None else ["..." if number is Ellipsis else f"{number:04}" for number in last]
    return terms, _output(terms, wanted)


def _tokens(text: str) -> list[str]:
    before, dots, after = text.partition("...")
    return [*before, *([dots] if dots else []), *after]


def _labels(text: str, rank: int) -> Labels:
    return _spread(_tokens(text), rank)


def _spread(tokens: list[str], rank: int) -> Labels:
    """Return one label per axis, the ellipsis spread over the axes no letter names."""
    free = rank - sum(token != "..." for token in tokens)
    fit(free == 0 or (free > 0 and "..." in tokens), f"{tokens} do not name {rank} axes")
    result: list[str] = []
    for token in tokens:
        result += [f"...{i}" for i in reversed(range(free))] if token == "..." else [token]
    return tuple(result)


def _output(terms: Terms, wanted: list[str] | None) -> Labels:
    """Return the output's labels: the ellipsis axes first, then, unless said otherwise, the labels that occur once."""
    every = [label for labels, _ in terms for label in labels]
    dots = sorted({label for label in every if label.startswith("...")}, key=lambda label: -int(label[3:]))
    if wanted is None:
        return (*dots, *sorted(label for label in every if every.count(label) == 1 and label not in dots))
    result: list[str] = []
    for token in wanted:
        result += dots if token == "..." else [token]
    fit(set(result) <= set(every), "the output names an axis no operand has")
    return tuple(result)


def _sizes(terms: Terms) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for labels, tensor in terms:
        for label, size in zip(labels, tensor.shape, strict=True):
            known = sizes.get(label, 1)
            fit(size in {1, known} or known == 1, f"axis {label} has sizes {known} and {size}")
            sizes[label] = max(size, known) if size and known else 0
    return sizes


def einsum_shape(equation: object, *operands: Any) -> Tensor:
    """Return the sizes of the output's labels."""
    terms, output = parsed(equation, operands)
    sizes = _sizes(terms)
    return Tensor(tuple(sizes[label] for label in output), promoted(*(tensor for _, tensor in terms)))


@rule("einsum", shape=einsum_shape)
def einsum(out: Tensor, equation: object, *operands: Any) -> Facts:
    """[axes], [axes], ... -> [axes]

    MACs: for two operands the product of the sizes of all labels; more are contracted in pairs from the left. A label
    that one operand alone has is summed first, in FLOPs; a pair that sums nothing is a product: 1 FLOP per output.
    """
    terms, output = parsed(equation, operands)
    sizes = _sizes(terms)
    pairs: list[tuple[int, ...]] = []
    flops = 0
    result, rest = terms[0][0], [labels for labels, _ in terms[1:]]
    if not rest:
        return Facts(flops=_summed(result, set(output), sizes)[1])
    while rest:
        other, later = rest[0], {label for labels in rest[1:] for label in labels} | set(output)
        result, a = _summed(result, set(other) | later, sizes)
        other, b = _summed(other, set(result) | later, sizes)
        both = tuple(dict.fromkeys(result + other))
        kept = tuple(label for label in both if label in later)
        if len(kept) < len(both):
            pairs.append(_ordered(result, other, kept, sizes))
            flops += a + b
        else:
            flops += a + b + math.prod(sizes[label] for label in both)
        result, rest = kept, rest[1:]
    return contraction(*pairs, flops=flops) if pairs else Facts(flops=flops)


def _summed(labels: Labels, wanted: set[str], sizes: dict[str, int]) -> tuple[Labels, int]:
    """Return the labels that are wanted, and the additions that sum the others out."""
    kept = tuple(dict.fromkeys(label for label in labels if label in wanted))
    before, after = (math.prod(sizes[label] for label in some) for some in (dict.fromkeys(labels), kept))
    return kept, before - after


def _ordered(a: Labels, b: Labels, kept: Labels, sizes: dict[str, int]) -> tuple[int, ...]:
    """Return the sizes as people write a product: batch, rows, what is summed, columns."""
    batch = [label for label in a if label in b and label in kept]
    rows = [label for label in a if label not in b]
    middle = [label for label in a if label not in kept]
    columns = [label for label in b if label not in a]
    return tuple(sizes[label] for label in (*batch, *rows, *middle, *columns))


def contracted(a: Tensor, b: Tensor, dims: Any) -> tuple[list[int], list[int]]:
    """Return the axes of `a` and of `b` that tensordot sums over."""
    if isinstance(dims, int):
        return list(range(len(a.shape) - dims, len(a.shape))), list(range(dims))
    left, right = ([axis] if isinstance(axis, int) else list(axis) for axis in dims)
    left, right = [axis % len(a.shape) for axis in left], [axis % len(b.shape) for axis in right]
    fit([a.shape[i] for i in left] == [b.shape[i] for i in right], "the summed axes differ in size")
    return left, right


def tensordot_shape(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """Return the axes of both that are not summed."""
    left, right = contracted(a, b, dims)
    kept = [size for i, size in enumerate(a.shape) if i not in left]
    kept += [size for i, size in enumerate(b.shape) if i not in right]
    fit(a.dtype == b.dtype, "the dtypes differ")
    return Tensor(tuple(kept), a.dtype)


@rule("tensordot", shape=tensordot_shape)
def tensordot(out: Tensor, a: Tensor, b: Tensor, dims: Any = 2) -> Facts:
    """[*, s] * [s, +] -> [*, +]

    MACs: * x s x +, the product of all sizes with the summed ones once.
    """
    left, right = contracted(a, b, dims)
    rows = tuple(size for i, size in enumerate(a.shape) if i not in left)
    columns = tuple(size for i, size in enumerate(b.shape) if i not in right)
    return contraction((*rows, *(a.shape[i] for i in left), *columns))
