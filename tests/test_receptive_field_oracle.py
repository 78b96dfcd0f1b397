"""The oracle of receptive fields: it is quick, and it still refuses what is wrong."""

import copy

import pytest
import torch
from torch import nn

import archprof
from archprof.runs.gradient import check, compared
from archprof.runs.stand_ins import Thin
from tests.test_receptive_field import MAPS, Of, Random, fields_of


def net(kernel, padding):
    convs = [nn.Conv2d(4, 8, 3, padding=1), nn.Conv2d(8, 8, kernel, padding=padding), nn.Conv2d(8, 4, 3, padding=1)]
    return Of(lambda x, a, b, c: c(nn.functional.relu(a(x) + b(a(x)))), *convs)


def rows_of(module, opened, profile, fields):
    ops = profile.network.ops
    kinds, names = [op.kind for op in ops], [op.name for op in ops]
    return compared(module, opened.inputs, kinds, names, fields, ops=6, places=6)


@pytest.mark.parametrize(("kernel", "padding"), [(5, 2), ((3, 5), (1, 2)), (1, 0)])
def test_claims_about_another_kernel_are_refuted(kernel, padding):
    _, _, _, claimed = fields_of(net(3, 1), 1, 4, 24, 24)
    other = net(kernel, padding)
    profile, _, opened, _ = fields_of(other, 1, 4, 24, 24)
    assert not all(row.is_equal for row in rows_of(other, opened, profile, claimed))


DENSE = {**{name: MAPS[name] for name in list(MAPS)[::3]}, **{seed: Random(seed) for seed in (3, 14, 159, 2653)}}


@pytest.mark.parametrize("what", DENSE)
def test_one_channel_for_all_has_the_gradient_that_all_have(what, monkeypatch):
    found = []
    for is_thin in (True, False):
        module = copy.deepcopy(DENSE[what])
        shape = (1, 4, 12, 12) if isinstance(what, str) else (1, 2, *module.size)
        profile, _, opened, fields = fields_of(module, *shape)
        if not is_thin:
            monkeypatch.setattr(Thin, "layer", lambda *_: None)
        found.append(rows_of(module, opened, profile, fields))
    assert found[0] == found[1]
    assert found[0]


def test_a_u_net_is_checked_row_by_row():
    profile = archprof.profile("unet")
    fields = profile.receptive_field()
    told = []
    rows = check(profile, fields, lambda what, part: told.append((what, part)))
    assert len(rows) == 18
    assert all(row.is_equal for row in rows)
    assert told[0] == ("forward", 0.0)
    assert [part for _, part in told] == sorted(part for _, part in told)


def test_whole_numbers_have_no_gradient_to_check_with():
    class Words(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.mix = torch.nn.Embedding(9, 4), torch.nn.Conv1d(4, 4, 3)

        def forward(self, words):
            return self.mix(self.table(words).mT)

    profile = archprof.profile(Words(), torch.zeros(1, 8, dtype=torch.int64))
    with pytest.raises(archprof.UserError, match="whole numbers have no gradient"):
        check(profile, profile.receptive_field())


def test_a_check_leaves_random_numbers_as_they_are():
    class Noisy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(1, 1, 3)

        def forward(self, x):
            return self.conv(x) + torch.rand(1, dtype=x.dtype)

    profile = archprof.profile(Noisy(), (1, 1, 8, 8))
    before = torch.random.get_rng_state()
    check(profile, profile.receptive_field())
    assert torch.equal(before, torch.random.get_rng_state())
