"""What follows from values that were given is known on meta; what is written over with something unknown is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import archprof
from archprof.errors import UserError
from archprof.records import Tensor

GRID = torch.tensor([[1, 2, 3], [1, 4, 5]])  # two pictures of 2 x 3 and 4 x 5 patches


class Code(nn.Module):
    """Runs a function on patches of 8 numbers and their grid."""

    def __init__(self, function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.ones(8, 3))

    def forward(self, x: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        return self.function(x, grid) @ self.weight


def by_lengths(x: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    return x.split(grid.prod(-1).tolist())[1]


def by_ends(x: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    ends = torch.nn.functional.pad(grid.prod(-1).cumsum(0), (1, 0))
    return x[ends[0] : ends[1]]


def by_mask(x: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    mask = torch.arange(x.shape[0]) < grid[0].prod()
    return x[mask]


def by_rows(x: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    return torch.cat([x[: h * w] for _, h, w in grid])


def by_places(x: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    found = torch.zeros_like(x)
    found[:3] = x[:3]  # no longer known, which does not matter
    return found[torch.ones_like(x[:, 0]).bool().nonzero()[: grid[1, 2]].squeeze(1)]


@pytest.mark.parametrize(
    ("function", "rows"),
    [
        (by_lengths, 4 * 5),
        (by_ends, 2 * 3),
        (by_mask, 2 * 3),
        (by_rows, 2 * 3 + 4 * 5),
        (by_places, 5),
    ],
)
def test_values_that_were_given_answer_what_is_asked_on_meta(
    function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], rows: int
) -> None:
    found = archprof.profile(Code(function), {"x": Tensor((26, 8)), "grid": GRID})
    assert found.macs == rows * 8 * 3
    assert not any("CPU" in note for note in found.notes)
    assert any("of the values given" in note for note in found.notes)
    assert found.gaps == []


def in_a_view(sizes: torch.Tensor, unknown: torch.Tensor) -> None:
    sizes[1:].copy_(unknown)


def in_place(sizes: torch.Tensor, unknown: torch.Tensor) -> None:
    sizes[1:] = unknown


def as_output(sizes: torch.Tensor, unknown: torch.Tensor) -> None:
    torch.add(unknown, 0, out=sizes[1:])


def at_random(sizes: torch.Tensor, unknown: torch.Tensor) -> None:  # noqa: ARG001
    sizes.uniform_(0, 1)


@pytest.mark.parametrize("write", [in_a_view, in_place, as_output, at_random])
def test_what_is_written_over_is_not_known(write: Callable[[torch.Tensor, torch.Tensor], None]) -> None:
    def written(x: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        sizes = grid[0].clone().float()
        write(sizes, x[0, 1:3])  # numbers nobody gave
        return x[:1] if bool((sizes > 1.5).any()) else x[:2]

    found = archprof.profile(Code(written), {"x": Tensor((26, 8)), "grid": GRID})
    assert any("CPU" in note for note in found.notes)  # only there is an answer
    assert found.macs == 2 * 8 * 3  # random numbers are below 1


def test_the_random_numbers_of_the_user_are_left_alone() -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    archprof.profile(
        Code(lambda x, grid: x * torch.rand_like(grid[0].float()).sum()), {"x": Tensor((26, 8)), "grid": GRID}
    )
    assert torch.equal(torch.get_rng_state(), state)


def test_given_values_are_left_as_they_are() -> None:
    def changes(x: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        grid.zero_()
        return x

    grid = GRID.clone()
    archprof.profile(Code(changes), {"x": Tensor((26, 8)), "grid": grid})
    assert torch.equal(grid, GRID)


def test_sparse_values_are_not_carried() -> None:
    inputs = {"x": Tensor((26, 8)), "grid": torch.eye(26).to_sparse()}
    found = archprof.profile(Code(lambda x, grid: x * grid.to_dense().sum()), inputs)
    assert found.macs == 26 * 8 * 3


def test_a_nested_tensor_is_refused() -> None:
    ragged = torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)], layout=torch.jagged)
    with pytest.raises(UserError, match="'grid' is a nested tensor"):
        archprof.profile(Code(lambda x, grid: x), {"x": Tensor((26, 8)), "grid": ragged})  # noqa: ARG005
