"""Recurrent nets whole (lstm, gru, plain) and their single cells.

A packed sequence counts its real lengths: its data holds one row for each step that exists.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from archprof.ops import rule
from archprof.ops.shapes import fit
from archprof.records import Facts, Tensor, contraction

ELEMENTWISE = {"lstm": 13, "gru": 11, "rnn": 2}
"""FLOPs per hidden unit and step beside products and biases.

lstm: 4 sums of both products, 5 nonlinearities, f*c + i*g (3), o*tanh(c) (1). gru: 3 sums, 3 nonlinearities, the reset
(1), (1 - z)*n + z*h (4). rnn: 1 sum, 1 nonlinearity.
"""


@dataclass(frozen=True, slots=True)
class _Net:
    """A call of a recurrent net, whichever of torch's two overloads it was."""

    states: list[Tensor]
    weights: list[Tensor]
    has_biases: bool
    directions: int
    steps: int
    batch: int

    def cells(self, *, projected: bool) -> list[list[Tensor]]:
        """Return the weights cell by cell: input, hidden, two biases if there are any, projection if there is one."""
        size = 2 + 2 * self.has_biases + projected
        fit(len(self.weights) % size == 0 and bool(self.weights), "the weights are not complete")
        return [self.weights[i : i + size] for i in range(0, len(self.weights), size)]


def _net(input: Tensor, hx: Any, params: Any, has_biases: Any, num_layers: Any, bidirectional: Any,
         batch_first: Any) -> _Net:  # fmt: skip
    """Return the call in one form.

    The packed overload is (data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional): every
    argument stands one place further right. Its rows, one for each step that exists, count as steps of a batch of one.
    """
    if isinstance(has_biases, (list, tuple)):
        hx, params, has_biases, bidirectional = params, has_biases, num_layers, batch_first
        steps, batch = input.shape[0], 1
    else:
        batched = len(input.shape) == 3
        fit(len(input.shape) in {2, 3}, "the input has the wrong number of axes")
        steps = input.shape[1 if batched and batch_first else 0]
        batch = input.shape[0 if batch_first else 1] if batched else 1
    states = list(hx) if isinstance(hx, (list, tuple)) else [hx]
    return _Net(states, list(params), bool(has_biases), 1 + bool(bidirectional), steps, batch)


def _net_shape(input: Tensor, hx: Any, params: Any, has_biases: Any, num_layers: Any, dropout: Any, train: Any,
               bidirectional: Any, batch_first: Any = False) -> tuple[Tensor, ...]:  # fmt: skip
    net = _net(input, hx, params, has_biases, num_layers, bidirectional, batch_first)
    fit(net.weights[0].shape[1] == input.shape[-1], "the input has the wrong number of features")
    fit(net.weights[0].dtype == input.dtype, "the dtypes differ")
    return Tensor((*input.shape[:-1], net.directions * net.states[0].shape[-1]), input.dtype), *net.states


def _register(kind: str, family: str, gates: int) -> None:
    """File one recurrent function; `gates` are the rows of weights per hidden unit."""

    @rule(kind, shape=_net_shape)
    def recurrent(out: tuple[Tensor, ...], input: Tensor, hx: Any, params: Any, has_biases: Any, num_layers: Any,
                  dropout: Any, train: Any, bidirectional: Any, batch_first: Any = False) -> Facts:  # fmt: skip
        """[t, n, f], [layers, n, h] -> [t, n, h], [layers, n, h]

        MACs: for every layer and direction t x n x G x h x (f + h), G being 4 for lstm, 3 for gru and 1 for rnn,
        + t x n x h x p for a projection to p. FLOPs: + per hidden unit and step 13, 11 or 2, and 2G for the biases.
        """
        net = _net(input, hx, params, has_biases, num_layers, bidirectional, batch_first)
        hidden = net.states[-1].shape[-1]
        projected = net.states[0].shape[-1] != hidden
        cells = net.cells(projected=projected)
        terms: list[tuple[int, ...]] = []
        for cell in cells:
            terms += [(net.steps, net.batch, gates, hidden, weight.shape[1]) for weight in cell[:2]]
            terms += [(net.steps, net.batch, hidden, cell[-1].shape[0])] if projected else []
        units = net.steps * net.batch * hidden * len(cells)
        return contraction(*terms, flops=units * (ELEMENTWISE[family] + 2 * gates * net.has_biases))


def _cell_shape(input: Tensor, hx: Any, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None,
                b_hh: Tensor | None = None) -> Tensor | tuple[Tensor, ...]:  # fmt: skip
    fit(w_ih.shape[1] == input.shape[-1] and w_ih.dtype == input.dtype, "the input does not fit the weights")
    return tuple(hx) if isinstance(hx, (list, tuple)) else hx


def _register_cell(kind: str, family: str, gates: int) -> None:
    """File one recurrent cell."""

    @rule(kind, shape=_cell_shape)
    def cell(out: Tensor | tuple[Tensor, ...], input: Tensor, hx: Any, w_ih: Tensor, w_hh: Tensor,
             b_ih: Tensor | None = None, b_hh: Tensor | None = None) -> Facts:  # fmt: skip
        """[n, f], [n, h] -> [n, h]

        MACs: n x G x h x (f + h), G being 4 for lstm, 3 for gru and 1 for rnn. FLOPs: + per hidden unit 13, 11 or 2,
        and G for each bias.
        """
        batch, hidden = math.prod(input.shape[:-1]), w_hh.shape[1]
        biases = (b_ih is not None) + (b_hh is not None)
        terms = [(batch, gates, hidden, weight.shape[1]) for weight in (w_ih, w_hh)]
        return contraction(*terms, flops=batch * hidden * (ELEMENTWISE[family] + gates * biases))


for _kind, _family, _gates in (("lstm", "lstm", 4), ("gru", "gru", 3), ("rnn_tanh", "rnn", 1), ("rnn_relu", "rnn", 1)):
    _register(_kind, _family, _gates)
    _register_cell(f"{_kind}_cell", _family, _gates)
