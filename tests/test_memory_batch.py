"""The largest batch of modules that are given with inputs: which axes are the batch, and what is not known."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import archprof
from archprof import Tensor
from archprof.devices import Device
from archprof.footprint.samples import batch_of, resized

SMALL = Device("Small", {"float32": 1e12}, 1e11, memory_bytes=2**20)


@pytest.mark.parametrize(
    ("shapes", "batch"),
    [
        ([(4, 8)], 4),
        ([(4, 8), (4,), ()], 4),  # a scalar has no axis
        ([(1, 77), (4, 8)], 4),  # positions, the same for all
        ([(1, 77), (1, 8)], 1),
        ([(4, 8), (100, 8)], 0),
        ([()], 0),
        ([(0, 8)], 0),
    ],
)
def test_the_batch_is_what_first_axes_share(shapes, batch):
    inputs = {f"x{number}": Tensor(shape) for number, shape in enumerate(shapes)}
    found, why = batch_of(inputs)
    assert found == batch
    assert bool(why) == (not batch)


def test_other_inputs_stay_as_they_are():
    inputs = {"x": torch.zeros(4, 8), "parts": [Tensor((4, 2), "int64"), (Tensor((1, 4)), 3)], "flag": True}
    assert resized(inputs, 4, 9) == {
        "x": Tensor((9, 8)),
        "parts": [Tensor((9, 2), "int64"), (Tensor((1, 4)), 3)],
        "flag": True,
    }


class Summed(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 16)

    def forward(self, x, offset):
        return torch.relu(self.linear(x) + offset)


def test_a_modules_largest_batch_fits_and_one_more_does_not():
    found = archprof.memory(Summed(), [(4, 8), (1, 16)], train="sgd", on=SMALL).fit
    most = found.largest_batch
    sizes = [
        archprof.memory(Summed(), [(n, 8), (1, 16)], train="sgd", foreach=True).peak_bytes for n in (most, most + 1)
    ]
    assert sizes[0] == found.largest_peak_bytes <= 2**20 < sizes[1]
    # an output of 16 numbers, its sum with the offset, and the input of 8, which inference has alive at once: 4 bytes each;
    # beside them weights and offset
    alone = archprof.memory(Summed(), [(4, 8), (1, 16)], on=SMALL).fit
    assert alone.largest_batch == (2**20 - 4 * (8 * 16 + 16 + 16)) // (4 * (8 + 16 + 16))


def test_what_cannot_be_told_is_none_with_a_note():
    found = archprof.memory(Summed(), [(3, 4, 8), (4, 16)], on=SMALL)
    assert found.fit.largest_batch is None
    assert found.fit.note == "the largest batch is not known: inputs differ in their first axes (x 3, offset 4)"
    assert found.fit.note in found.render(width=120)

    class Fixed(nn.Module):
        def forward(self, x):
            return torch.relu(x.view(4, 8))

    found = archprof.memory(Fixed(), (4, 8), on=SMALL).fit
    assert found.largest_batch is None
    assert "the largest batch is not known: Fixed fails" in found.note

    class Looking(nn.Module):
        def forward(self, x):
            return x[x > 0].sum() if float(x.sum()) >= 0 else x

    found = archprof.memory(Looking(), (4, 8), on=SMALL).fit
    assert found.largest_batch is None
    assert "it runs on the CPU" in found.note
