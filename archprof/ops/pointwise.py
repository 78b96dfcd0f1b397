"""Elementwise ops: activations, functions, arithmetic and comparisons, all at one FLOP per output element.

Whatever the function is (a ReLU, an exponential, a GELU), it counts 1: what it takes on a device is not counted here.
The few that are defined as several operations say so.
"""

from __future__ import annotations

from typing import Any

from archprof.ops import rule
from archprof.ops.shapes import broadcast, chosen, component, fit, promoted, same, same_float
from archprof.records import Facts, Tensor

Operand = Tensor | int | float | complex | bool


@rule(
    "relu", "hardtanh", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish",
    "hardsigmoid", "log_sigmoid", "tanhshrink", "softshrink", "hardshrink", "softplus", "softsign", "threshold",
    "rrelu",
    shape=same,
)  # fmt: skip
def activation(out: Tensor, input: Tensor, *settings: Any, **options: Any) -> Facts:
    """[*] -> [*]

    FLOPs: 1 per output.
    """
    return Facts(flops=out.elements)


@rule(
    "sigmoid", "tanh", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "rsqrt", "sin", "cos", "tan",
    "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "erf", "erfc", "erfinv", "reciprocal", "logit",
    "sinc", "lgamma", "digamma", "arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh", "deg2rad", "rad2deg",
    "i0", "mvlgamma", "special_expit", "special_erf", "special_erfc", "special_erfcx", "special_erfinv", "special_exp2",
    "special_expm1", "special_log1p", "special_logit", "special_sinc", "special_gammaln", "special_digamma",
    "special_psi", "special_entr", "special_ndtr", "special_ndtri", "special_log_ndtr", "special_i0", "special_i0e",
    "special_i1", "special_i1e", "special_bessel_j0", "special_bessel_j1",
    shape=same_float,
)  # fmt: skip
def function(out: Tensor, input: Tensor, *settings: Any, **options: Any) -> Facts:
    """[*] -> [*]

    FLOPs: 1 per output; integers become floats.
    """
    return Facts(flops=out.elements)


@rule(
    "neg", "negative", "square", "sign", "sgn", "round", "floor", "ceil", "trunc", "frac", "positive",
    "bitwise_not", "invert", "nan_to_num", "fix", "conj_physical", "special_round",
    shape=same,
)  # fmt: skip
def unary(out: Tensor, input: Tensor, *settings: Any, **options: Any) -> Facts:
    """[*] -> [*]

    FLOPs: 1 per output; the dtype stays.
    """
    return Facts(flops=out.elements)


def _magnitude(input: Tensor) -> Tensor:
    return Tensor(input.shape, component(input.dtype))


@rule("abs", "absolute", "angle", shape=_magnitude)
def magnitude(out: Tensor, input: Tensor) -> Facts:
    """[*] -> [*]

    FLOPs: 1 per output.
    """
    return Facts(flops=out.elements)


def _tested(input: Tensor, *_: object) -> Tensor:
    return Tensor(input.shape, "bool")


@rule("logical_not", "isnan", "isinf", "isfinite", "isposinf", "isneginf", "isreal", "signbit", shape=_tested)
def test(out: Tensor, input: Tensor) -> Facts:
    """[*] -> [*], bool

    FLOPs: 1 per output.
    """
    return Facts(flops=out.elements)


def _shape(*operands: object) -> tuple[int, ...]:
    return broadcast(*(operand.shape for operand in operands if isinstance(operand, Tensor)))


def binary_shape(input: Operand, other: Operand, **_: object) -> Tensor:
    """Return the operands' common shape in their promoted dtype."""
    return Tensor(_shape(input, other), promoted(input, other))


@rule("add", "sub", "subtract", "rsub", shape=lambda input, other, alpha=1: binary_shape(input, other))
def add(out: Tensor, input: Operand, other: Operand, alpha: float = 1) -> Facts:
    """[*], [*] -> [*]

    FLOPs: 1 per output, 2 with a factor alpha; shapes broadcast.
    """
    return Facts(flops=(1 + (alpha != 1)) * out.elements)


@rule(
    "mul", "multiply", "maximum", "minimum", "fmax", "fmin", "remainder", "fmod", "rmod", "bitwise_and", "bitwise_or",
    "bitwise_xor", "and", "or", "xor", "iand", "ior",
    "ixor", "ilshift", "irshift", "bitwise_left_shift", "bitwise_right_shift", "lshift", "rshift", "rlshift", "rrshift",
    "floor_divide", "floordiv", "rfloordiv", "gcd", "lcm", "hypot", "nextafter", "rpow", "heaviside",
    "igamma", "igammac",
    shape=binary_shape,
)  # fmt: skip
def binary(out: Tensor, input: Operand, other: Operand) -> Facts:
    """[*], [*] -> [*]

    FLOPs: 1 per output; shapes broadcast.
    """
    return Facts(flops=out.elements)


def _div_shape(input: Operand, other: Operand, rounding_mode: str | None = None) -> Tensor:
    result = binary_shape(input, other)
    return result if rounding_mode else same_float(result)


@rule(
    "div", "divide", "true_divide", "rdiv", "atan2", "arctan2", "xlogy", "special_xlogy", "special_xlog1py", "copysign",
    "special_zeta", "ldexp", "polygamma",
    shape=_div_shape,
)  # fmt: skip
def div(out: Tensor, input: Operand, other: Operand, rounding_mode: str | None = None) -> Facts:
    """[*], [*] -> [*]

    FLOPs: 1 per output; shapes broadcast, integers become floats unless the quotient is rounded.
    """
    return Facts(flops=out.elements)


@rule("pow", shape=lambda input, exponent: binary_shape(input, exponent))
def power(out: Tensor, input: Operand, exponent: Operand) -> Facts:
    """[*], [*] -> [*]

    FLOPs: 1 per output, whatever the exponent.
    """
    return Facts(flops=out.elements)


@rule("logaddexp", "logaddexp2", shape=binary_shape)
def logaddexp(out: Tensor, input: Tensor, other: Tensor) -> Facts:
    """[*], [*] -> [*]

    FLOPs: 5 per output: the larger, a difference, an exponential, a logarithm, a sum.
    """
    return Facts(flops=5 * out.elements)


@rule(
    "eq", "ne", "lt", "le", "gt", "ge", "greater", "greater_equal", "less", "less_equal", "not_equal", "logical_and",
    "logical_or", "logical_xor",
    shape=lambda input, other: Tensor(_shape(input, other), "bool"),
)  # fmt: skip
def compare(out: Tensor, input: Operand, other: Operand) -> Facts:
    """[*], [*] -> [*], bool

    FLOPs: 1 per output; shapes broadcast.
    """
    return Facts(flops=out.elements)


@rule("isclose", shape=lambda input, other, *_, **__: Tensor(_shape(input, other), "bool"))
def isclose(out: Tensor, input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8,
            equal_nan: bool = False) -> Facts:  # fmt: skip
    """[*], [*] -> [*], bool

    FLOPs: 5 per output: difference, magnitude, tolerance (2) and comparison.
    """
    return Facts(flops=5 * out.elements)


def _clamp_shape(input: Tensor, min: Operand | None = None, max: Operand | None = None) -> Tensor:
    limits = [limit for limit in (min, max) if limit is not None]
    return Tensor(_shape(input, *limits), promoted(input, *limits))


@rule("clamp", "clip", "clamp_min", "clamp_max", shape=_clamp_shape)
def clamp(out: Tensor, input: Tensor, min: Operand | None = None, max: Operand | None = None) -> Facts:
    """[*] -> [*]

    FLOPs: 1 per output, with one limit or with two.
    """
    return Facts(flops=out.elements)


@rule("prelu", shape=lambda input, weight: input)
def prelu(out: Tensor, input: Tensor, weight: Tensor) -> Facts:
    """[n, c, *], [c] -> [n, c, *]

    FLOPs: 1 per output.
    """
    return Facts(flops=out.elements)


def _glu_shape(input: Tensor, dim: int = -1) -> Tensor:
    (axis,) = chosen(dim, len(input.shape))
    fit(input.shape[axis] % 2 == 0, "an axis that is no even number cannot be halved")
    return Tensor((*input.shape[:axis], input.shape[axis] // 2, *input.shape[axis + 1 :]), input.dtype)


@rule("glu", shape=_glu_shape)
def glu(out: Tensor, input: Tensor, dim: int = -1) -> Facts:
    """[*, 2c] -> [*, c]

    FLOPs: 2 per output: the sigmoid of one half, times the other.
    """
    return Facts(flops=2 * out.elements)


@rule("scaled_tanh", shape=lambda input, amplitude=1.7159, slope=2 / 3: input)
def scaled_tanh(out: Tensor, input: Tensor, amplitude: float = 1.7159, slope: float = 2 / 3) -> Facts:
    """[*] -> [*]

    FLOPs: 3 per output: two multiplications and a tanh (LeCun et al. 1998).
    """
    return Facts(flops=3 * out.elements)


def _where_shape(condition: Tensor, input: Operand, other: Operand) -> Tensor:
    return Tensor(_shape(condition, input, other), promoted(input, other))


@rule("where", shape=_where_shape)
def where(
    out: Tensor | tuple[Tensor, ...], condition: Tensor, input: Operand | None = None, other: Operand | None = None
) -> Facts:
    """[*] bool, [*], [*] -> [*], or [*] bool -> the places where it holds

    FLOPs: 1 per output, the choice; 1 per condition where only places are asked for.
    """
    return Facts(flops=out.elements if isinstance(out, Tensor) else condition.elements)


@rule("masked_fill", shape=lambda input, mask, value: Tensor(_shape(input, mask), input.dtype))
def masked_fill(out: Tensor, input: Tensor, mask: Tensor, value: Operand) -> Facts:
    """[*], [*] bool -> [*]

    FLOPs: 1 per output, the choice.
    """
    return Facts(flops=out.elements)


@rule("addcmul", "addcdiv", shape=lambda input, tensor1, tensor2, *, value=1: _three(input, tensor1, tensor2))
def addcmul(out: Tensor, input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Facts:
    """[*], [*], [*] -> [*]

    FLOPs: 2 per output, a product or quotient and a sum; 3 with a factor.
    """
    return Facts(flops=(2 + (value != 1)) * out.elements)


def _three(*operands: Tensor) -> Tensor:
    return Tensor(_shape(*operands), promoted(*operands))


@rule("lerp", shape=lambda input, end, weight: Tensor(_shape(input, end, weight), input.dtype))
def lerp(out: Tensor, input: Tensor, end: Tensor, weight: Operand) -> Facts:
    """[*], [*], [*] -> [*]

    FLOPs: 3 per output: a difference, a product and a sum.
    """
    return Facts(flops=3 * out.elements)


@rule("complex", "polar")
def compose(out: Tensor, real: Tensor, imag: Tensor) -> Facts:
    """[*], [*] -> [*], complex

    FLOPs: 1 per output.
    """
    return Facts(flops=out.elements)


@rule("cross", "linalg_cross", shape=lambda input, other, dim=-1: _three(input, other))
def cross(out: Tensor, input: Tensor, other: Tensor, dim: int | None = -1) -> Facts:
    """[*, 3], [*, 3] -> [*, 3]

    FLOPs: 3 per output: two products and a difference.
    """
    return Facts(flops=3 * out.elements)
