"""What the tools that hook modules ask of a recurrent net: how long it runs, and the weights of its cells."""

from __future__ import annotations

from dataclasses import dataclass

from archprof.records import Op, Tensor

GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
"""Rows of weights a hidden unit."""


@dataclass(frozen=True, slots=True)
class Recurrent:
    """A recurrent op: steps x samples, gates, whether it has biases, and (input, hidden) weights a layer and direction."""

    steps: int
    gates: int
    has_biases: bool
    cells: tuple[tuple[Tensor, Tensor], ...]


def recurrent(op: Op) -> Recurrent:
    """Return a recurrent net or cell in one form.

    The overload for packed sequences has batch_sizes in second place, so that its arguments stand one name further on.
    """
    arguments, gates = op.arguments, GATES[op.kind.removesuffix("_cell")]
    steps = arguments["input"].elements // arguments["input"].shape[-1]
    if "w_ih" in arguments:
        cells = ((arguments["w_ih"], arguments["w_hh"]),)
        return Recurrent(steps, gates, arguments.get("b_ih") is not None, cells)
    is_packed = isinstance(arguments["has_biases"], (list, tuple))
    params, flag = ("has_biases", "num_layers") if is_packed else ("params", "has_biases")
    weights, has_biases = arguments[params], bool(arguments[flag])
    is_projected = gates * weights[1].shape[1] != weights[1].shape[0]
    size = 2 + 2 * has_biases + is_projected
    return Recurrent(
        steps, gates, has_biases, tuple((weights[i], weights[i + 1]) for i in range(0, len(weights), size))
    )
