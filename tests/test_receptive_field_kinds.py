"""Receptive fields of kinds of op that networks seldom have: Fourier, matrices, losses, scatters; worked out by hand."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

import archprof
from archprof.errors import UserError
from archprof.ops import RULES
from archprof.receptive import ELSEWHERE, SAME, SEES
from archprof.runs.gradient import claim, compared
from tests.test_receptive_field import Of, fields_of

NOBODY_KNOWS = {
    "as_strided", "as_strided_scatter",  # what lies where in memory
    "cartesian_prod", "combinations", "diagonal_scatter", "pack_padded_sequence", "pad_packed_sequence", "pad_sequence",
}  # fmt: skip


def test_every_kind_of_op_that_has_a_cost_has_a_receptive_field_but_for_a_few():
    known = {
        kind
        for kind in RULES
        if kind in SEES
        or kind in SAME
        or RULES[kind].function.__name__ == "make"  # what makes tensors reads none
        or (RULES[kind].function.__module__ == "archprof.ops.pointwise" and kind not in ELSEWHERE)
    }
    assert set(RULES) - known == NOBODY_KNOWS


def flat(run, rows, columns):
    """What each element of the last op's first output sees along both axes of a matrix of the input, in order."""
    profile, _, _, fields = fields_of(Of(lambda x: run(x[0, 0])), 1, 1, rows, columns)
    assert not fields.unknown
    op = profile.network.ops[-1]
    shape = op.outputs[0].shape
    return shape, {tuple(i): claim(fields, op.name, tuple(i)) for i in torch.ones(shape).nonzero().tolist()}


def all_see(run, expected, rows=4, columns=6):
    _, found = flat(run, rows, columns)
    assert set(found.values()) == {expected}


ALL = ((0, 3), (0, 5))


@pytest.mark.parametrize("run", [
    torch.fft.fft2, torch.fft.rfftn, lambda x: torch.fft.irfft2(x * 1j), torch.fft.fftn,
    lambda x: torch.linalg.svd(x).U, torch.linalg.svdvals, torch.linalg.pinv, lambda x: torch.linalg.qr(x).R,
    torch.linalg.matrix_norm, torch.linalg.norm, torch.linalg.matrix_rank,
    lambda x: F.mse_loss(x, torch.zeros_like(x)), lambda x: F.l1_loss(x, x * 2, reduction="sum"),
    lambda x: F.cross_entropy(x, torch.zeros(4, dtype=torch.int64, device=x.device)),
    lambda x: F.kl_div(x, x), lambda x: F.triplet_margin_loss(x, x + 1, x - 1),
    lambda x: torch.linalg.multi_dot([x[:3], x.mT, x]).sum(),
    lambda x: torch.take(x, torch.zeros(3, dtype=torch.int64, device=x.device)),
    lambda x: torch.vdot(x.flatten(), x.flatten()), lambda x: torch.quantile(x, 0.5),
])  # fmt: skip
def test_what_is_made_of_a_whole_matrix_sees_all_of_it(run):
    all_see(run, ALL)


ROWS = [
    # a row each: along the first axis its own place, along the second everything
    lambda x: torch.fft.fft(x).real,
    lambda x: torch.fft.rfft(x),
    lambda x: torch.fft.irfft(x * 1j),
    lambda x: torch.fft.hfft(x * 1j),
    lambda x: torch.fft.fftn(x, dim=(1,)),
    lambda x: torch.kthvalue(x, 2).values,
    lambda x: torch.mode(x).values,
    lambda x: torch.quantile(x, 0.5, dim=1),
    lambda x: torch.nanmedian(x, 1).values,
    lambda x: torch.linalg.vecdot(x, x),
    lambda x: torch.linalg.norm(x, dim=1),
    lambda x: F.pairwise_distance(x, x),
    lambda x: F.cross_entropy(x, torch.zeros(4, dtype=torch.int64, device=x.device), reduction="none"),
    lambda x: F.cosine_embedding_loss(x, x + 1, torch.ones(4, device=x.device), reduction="none"),
    lambda x: F.triplet_margin_loss(x, x + 1, x - 1, reduction="none"),
    lambda x: F.multi_margin_loss(x, torch.zeros(4, dtype=torch.int64, device=x.device), reduction="none"),
    lambda x: torch.nn.functional.bilinear(x, x, torch.ones(2, 6, 6, device=x.device)),
    lambda x: torch.linalg.det(x[:, :, None] * x[:, None]),
    lambda x: torch.linalg.inv(x[:, :, None] * x[:, None]),
    lambda x: torch.linalg.eigvalsh(x[:, :, None] * x[:, None]),
    lambda x: torch.addmv(torch.zeros(4, device=x.device), x, torch.zeros(6, device=x.device)),
    lambda x: torch.tensordot(x, torch.ones(6, 3, device=x.device), 1),
    lambda x: torch.inner(x, torch.ones(2, 6, device=x.device)),
]


@pytest.mark.parametrize("run", ROWS)
def test_what_is_made_of_rows_sees_its_own_row(run):
    _, found = flat(run, 4, 6)
    assert found == {place: ((place[0], place[0]), (0, 5)) for place in found}


SAME_PLACE = [
    lambda x: F.mse_loss(x, x * 2, reduction="none"),
    lambda x: F.smooth_l1_loss(x, x * 2, reduction="none"),
    lambda x: F.binary_cross_entropy_with_logits(x, x, reduction="none"),
    lambda x: torch.view_as_real(torch.view_as_complex(torch.stack([x, x * 2], -1)))[..., 0],
    lambda x: x.cfloat().real,
    lambda x: x.index_fill(0, torch.zeros(1, dtype=torch.int64, device=x.device), 1.0),
    lambda x: torch.rot90(torch.rot90(x), -1),
    lambda x: torch.rot90(x, 4),
    lambda x: torch.fft.ifftshift(torch.fft.fftshift(x)),
]


@pytest.mark.parametrize("run", SAME_PLACE)
def test_what_is_of_one_element_sees_its_own_place(run):
    _, found = flat(run, 4, 6)
    assert found == {(i, j): ((i, i), (j, j)) for i, j in found}


def sees(run, rows, columns, expected):
    """Compare with a table by hand: a function of the place in the output."""
    shape, found = flat(run, rows, columns)
    assert found == {place: expected(*place) for place in found}
    return shape


def test_a_shifted_spectrum_is_moved_by_half():
    # fftshift of n = 5 moves by 2: output j is input (j - 2) mod 5 = j + 3 mod 5
    sees(lambda x: torch.fft.fftshift(x, 1), 1, 5, lambda i, j: ((i, i), ((j + 3) % 5, (j + 3) % 5)))
    # ifftshift of 5 moves by -2
    sees(lambda x: torch.fft.ifftshift(x, 1), 1, 5, lambda i, j: ((i, i), ((j + 2) % 5, (j + 2) % 5)))


def test_a_spectrum_of_fewer_points_sees_only_those():
    sees(lambda x: torch.fft.fft(x, n=4), 2, 6, lambda i, _j: ((i, i), (0, 3)))
    sees(lambda x: torch.fft.irfft(x * 1j, n=6), 2, 6, lambda i, _j: ((i, i), (0, 3)))  # 6 / 2 + 1 = 4 frequencies


def test_frames_of_a_short_fourier_transform_see_their_window():
    def run(x):
        return torch.stft(x, 4, hop_length=2, center=False, window=torch.ones(4, device=x.device), return_complex=True)

    assert sees(run, 1, 10, lambda b, _f, t: ((b, b), (2 * t, 2 * t + 3))) == (1, 3, 4)

    def middle(x):
        return torch.stft(x, 4, hop_length=2, window=torch.ones(4, device=x.device), return_complex=True)

    # frame t is around 2 t: from 2 t - 2 to 2 t + 1; before the first what is mirrored: -2, -1 are 2, 1
    # and behind the last (of 10): the last frame is around 10: 8, 9 and mirrored 10, 11: 8, 7
    expected = [(0, 2), (0, 3), (2, 5), (4, 7), (6, 9), (7, 9)]
    sees(middle, 1, 10, lambda b, _f, t: ((b, b), expected[t]))


def test_a_place_of_a_signal_sees_the_frames_that_reach_it():
    def run(x):
        spectrum = torch.view_as_complex(torch.stack([x, x], -1))[None]
        return torch.istft(spectrum, 4, hop_length=2, window=torch.ones(4, device=x.device))

    # 3 frequencies x 5 frames; place j lies at j + 2 of the padded signal: frames t with 0 <= j + 2 - 2 t < 4
    expected = [(0, 1), (0, 1), (1, 2), (1, 2), (2, 3), (2, 3), (3, 4), (3, 4)]
    sees(run, 3, 5, lambda _b, j: ((0, 2), expected[j]))


def test_products_of_two_see_a_row_of_each():
    sees(lambda x: torch.outer(x[0], x[:, 0]), 3, 4, lambda i, j: ((0, j), (0, i)))
    sees(torch.corrcoef, 3, 4, lambda i, j: ((min(i, j), max(i, j)), (0, 3)))
    sees(lambda x: torch.cdist(x, x), 3, 4, lambda i, j: ((min(i, j), max(i, j)), (0, 3)))
    pairs = [(0, 1), (0, 2), (1, 2)]
    sees(torch.pdist, 3, 4, lambda k: (pairs[k], (0, 3)))
    sees(lambda x: torch.linalg.multi_dot([x, torch.ones(4, 2, device=x.device), torch.ones(2, 5, device=x.device)]),
         3, 4, lambda i, _j: ((i, i), (0, 3)))  # fmt: skip
    # kron: place i of n of the second: row i // 2, column j // 2 of the first
    sees(lambda x: torch.kron(x, torch.ones(2, 2, device=x.device)), 2, 3,
         lambda i, j: ((i // 2, i // 2), (j // 2, j // 2)))  # fmt: skip
    sees(lambda x: torch.kron(torch.ones(2, 2, device=x.device), x), 2, 3, lambda i, j: ((i % 2,) * 2, (j % 3,) * 2))
    sees(lambda x: torch.linalg.cross(x, x), 2, 3, lambda i, _j: ((i, i), (0, 2)))


def test_of_several_right_sides_a_solution_sees_its_own():
    sees(lambda x: torch.linalg.solve(torch.eye(3, device=x.device), x), 3, 4, lambda _i, j: ((0, 2), (j, j)))
    sees(lambda x: torch.linalg.solve(x, torch.eye(3, device=x.device)), 3, 3, lambda _i, _j: ((0, 2), (0, 2)))


def test_diagonals_see_their_places():
    sees(torch.diagonal, 3, 4, lambda i: ((i, i), (i, i)))
    sees(lambda x: torch.diagonal(x, 1), 3, 4, lambda i: ((i, i), (i + 1, i + 1)))
    sees(lambda x: torch.diag(x, -1), 3, 4, lambda i: ((i + 1, i + 1), (i, i)))
    empty = (None, None)
    sees(torch.diag_embed, 2, 3, lambda b, i, j: ((b, b), (i, i)) if i == j else empty)
    sees(lambda x: torch.block_diag(x, x), 1, 2, lambda i, j: ((0, 0), (j % 2, j % 2)) if j // 2 == i else empty)


def test_turned_matrices_see_what_is_there_now():
    sees(torch.rot90, 3, 4, lambda i, j: ((j, j), (3 - i, 3 - i)))  # its last column is the first row
    sees(lambda x: torch.rot90(x, 2), 3, 4, lambda i, j: ((2 - i, 2 - i), (3 - j, 3 - j)))
    sees(lambda x: torch.rot90(x, -1), 3, 4, lambda i, j: ((2 - j, 2 - j), (i, i)))


def test_differences_see_as_many_more_as_they_are_deep():
    sees(torch.diff, 2, 5, lambda i, j: ((i, i), (j, j + 1)))
    sees(lambda x: torch.diff(x, 3, 1), 2, 5, lambda i, j: ((i, i), (j, j + 3)))


def test_what_is_put_somewhere_may_be_there():
    def scattered(x):
        return torch.zeros_like(x).scatter(0, torch.zeros(1, 4, dtype=torch.int64, device=x.device), x[:1])

    sees(scattered, 3, 4, lambda _i, _j: ((0, 0), (0, 3)))
    sees(lambda x: torch.slice_scatter(torch.zeros_like(x), x[:, :2], 1, 1, 3), 2, 4,
         lambda i, j: ((i, i), (j - 1, j - 1)) if j in {1, 2} else (None, None))  # fmt: skip
    sees(lambda x: torch.select_scatter(torch.zeros_like(x), x[:, 3], 1, 0), 2, 4,
         lambda i, j: ((i, i), (3, 3)) if j == 0 else (None, None))  # fmt: skip


def test_a_cell_sees_all_features_of_its_sample():
    net = nn.LSTMCell(4, 3)
    profile, _, _, fields = fields_of(Of(lambda x, net: net(x[0, 0])[0], net), 1, 1, 2, 4)
    assert claim(fields, profile.network.ops[-1].name, (1, 2)) == ((1, 1), (0, 3))


def test_a_bag_sees_its_words():
    def run(x):
        return F.embedding_bag(x.long(), torch.ones(9, 3, device=x.device))

    sees(run, 2, 5, lambda b, _f: ((b, b), (0, 4)))


@pytest.mark.parametrize("settings", [((12, 12), 3, 1, 1, 2), ((12, 12), 2, 1, 0, 2), ((13, 14), (3, 2), 2, 1, 1)])
def test_patches_that_are_added_up_see_where_their_gradient_is_not_zero(settings):
    size, kernel, dilation, padding, stride = settings

    def run(x, conv):
        patches = F.unfold(F.interpolate(conv(x), size), kernel, dilation, padding, stride)
        return F.fold(patches * 2, size, kernel, dilation, padding, stride)

    net = Of(run, nn.Conv2d(4, 4, 3, padding=1))
    profile, _, opened, fields = fields_of(net, 1, 4, 12, 12)
    assert not fields.unknown
    ops = profile.network.ops
    found = compared(net, opened.inputs, [op.kind for op in ops], [op.name for op in ops], fields, ops=5, places=12)
    assert [each for each in found if not each.is_equal] == []
    assert any(each.op == ops[-1].name for each in found)


def agrees(run, *shape, layers=()):
    """Compare what all ops are said to see with where their gradient is not zero."""
    net = Of(run, *layers)
    profile, _, opened, fields = fields_of(net, *shape)
    assert not fields.unknown
    ops = profile.network.ops
    found = compared(net, opened.inputs, [op.kind for op in ops], [op.name for op in ops], fields, ops=9, places=12)
    assert [each for each in found if not each.is_equal] == []
    assert any(each.op == ops[-1].name for each in found)


def size_of(run, *shape, layers=()):
    """The widest interval of the last op along every axis of the input."""
    profile, _, _, fields = fields_of(Of(run, *layers), *shape)
    return [field.size for field in fields.fields[profile.network.ops[-1].name]]


def test_an_instance_norm_with_statistics_of_the_training_sees_its_own_place():
    def run(x, conv, norm):
        return norm(conv(x))

    conv = nn.Conv2d(3, 3, 3, padding=1)
    tracked = nn.InstanceNorm2d(3, track_running_stats=True)
    assert size_of(run, 1, 3, 8, 8, layers=(conv, tracked)) == [3, 3]
    assert size_of(run, 1, 3, 8, 8, layers=(conv, nn.InstanceNorm2d(3))) == [8, 8]
    agrees(run, 1, 3, 8, 8, layers=(conv, tracked))


def test_arguments_by_name_may_be_in_any_order():
    # place 0 after a roll by 1 holds what was the last
    for run in (lambda x: torch.roll(x, dims=1, shifts=1), lambda x: torch.roll(x, 1, dims=1), lambda x: x.roll(1, 1)):
        sees(run, 3, 4, lambda i, j: ((i, i), ((j - 1) % 4,) * 2))
    # axes 0 1 2 to 2 0 1: the last to the front
    shape = sees(lambda x: torch.movedim(x[..., None], destination=0, source=2), 3, 4,
                 lambda _, i, j: ((i, i), (j, j)))  # fmt: skip
    assert shape == (1, 3, 4)
    # three equal axes: the shape does not tell them apart; axis 0 becomes the last, so that place (j, _, i) is x[i, j]
    sees(lambda x: torch.movedim(x[..., None].expand(3, 3, 3), destination=2, source=0), 3, 3,
         lambda j, _, i: ((i, i), (j, j)))  # fmt: skip
    sees(lambda x: x.transpose(dim1=0, dim0=1), 3, 3, lambda j, i: ((i, i), (j, j)))
    sees(lambda x: torch.swapaxes(x, axis1=1, axis0=0), 3, 4, lambda j, i: ((i, i), (j, j)))
    sees(lambda x: torch.permute(x, dims=(1, 0)), 3, 4, lambda j, i: ((i, i), (j, j)))
    sees(lambda x: x.permute(1, 0), 3, 4, lambda j, i: ((i, i), (j, j)))


def test_a_list_of_numbers_names_places_along_its_axis():
    sees(lambda x: x[:, [2, 0, -1]], 2, 4, lambda i, j: ((i, i), ([2, 0, 3][j],) * 2))
    sees(lambda x: x[[1, 0, 1]], 2, 4, lambda i, j: (([1, 0, 1][i],) * 2, (j, j)))
    sees(lambda x: x[1:, [True, False, True, False]], 2, 4, lambda _, j: ((1, 1), (2 * j, 2 * j)))
    sees(lambda x: x[1, 2], 2, 4, lambda: ((1, 1), (2, 2)))


@pytest.mark.parametrize("index", [lambda _: [2, 1, 0], lambda x: torch.tensor([2, 1, 0], device=x.device)])
def test_channels_in_another_order_leave_the_window_of_a_convolution(index):
    def run(x, conv):
        return conv(x[:, index(x)])

    conv = nn.Conv2d(3, 4, 3, padding=1)
    assert size_of(run, 1, 3, 8, 8, layers=(conv,)) == [3, 3]
    agrees(run, 1, 3, 8, 8, layers=(conv,))


def places(*values):
    """Rows of numbers on the device of a tensor."""
    return lambda x: torch.tensor(values, device=x.device)


def test_what_is_looked_up_along_one_axis_keeps_its_place_along_the_others():
    def own_row(i, _j):
        return (i, i), (0, 4)

    sees(lambda x: x.index_select(1, places(4, 0)(x)), 3, 5, own_row)
    sees(lambda x: torch.index_select(x, 0, places(2, 0)(x)), 3, 5, lambda _, j: ((0, 2), (j, j)))
    sees(lambda x: x.gather(1, places([4, 0], [1, 1])(x)), 3, 5, own_row)  # two rows of three, from the first on
    sees(lambda x: x.gather(-2, places([2, 1, 0])(x)), 3, 5, lambda _, j: ((0, 2), (j, j)))
    sees(lambda x: torch.take_along_dim(x, places([4], [0], [1])(x), 1), 3, 5, own_row)
    sees(lambda x: torch.take_along_dim(x, places([4])(x), 1), 3, 5, own_row)  # one row for all three
    sees(lambda x: torch.take_along_dim(x, places(4, 0)(x)), 3, 5, lambda _: ((0, 2), (0, 4)))  # of the flat tensor


def test_what_says_where_to_look_is_seen_too():
    # row i of the index comes from row 2 - i
    sees(lambda x: x.gather(1, x.flip(0).long()), 3, 5,
         lambda i, _: ((min(i, 2 - i), max(i, 2 - i)), (0, 4)))  # fmt: skip
    sees(lambda x: torch.zeros_like(x).gather(1, x.long()), 3, 5, lambda i, j: ((i, i), (j, j)))
    sees(lambda x: torch.zeros_like(x).index_select(0, x[0].long()), 3, 5, lambda i, _: ((0, 0), (i, i)))


def test_slices_that_are_scaled_by_their_norm_see_the_slice():
    sees(lambda x: torch.renorm(x, 2, 0, 1.0), 3, 4, lambda i, _: ((i, i), (0, 3)))
    sees(lambda x: torch.renorm(x, 2, -1, 1.0), 3, 4, lambda _, j: ((0, 2), (j, j)))
    agrees(lambda x: torch.renorm(x[0, 0], 2, 0, 1e-3), 1, 1, 3, 4)


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM, nn.RNN])
def test_a_recurrent_net_sees_what_its_first_state_does(kind):
    def claims(first, shape, places):
        def run(x, encoder, decoder):
            _, state = encoder(x)
            begin = torch.zeros_like(x[:, :2] if first else x[:2])
            return decoder(begin, state)[0]

        layers = (kind(4, 4, 2, batch_first=first), kind(4, 4, 2, batch_first=first))
        profile, _, _, fields = fields_of(Of(run, *layers), *shape)
        return [claim(fields, profile.network.ops[-1].name, place) for place in places]

    # [batch, time, features], looked at along times and features: each time sees all that the encoder read
    assert claims(True, (1, 6, 4), [(0, 0, 0), (0, 1, 3)]) == [((0, 5), (0, 3))] * 2
    # [time, batch, features], looked at along batch and features: each sample sees its own
    assert claims(False, (6, 2, 4), [(0, 0, 0), (1, 1, 3)]) == [((0, 0), (0, 3)), ((1, 1), (0, 3))]


def test_a_recurrent_nets_own_input_is_seen_beside_its_first_state():
    def run(x, net):
        return net(x, x[:, 4:5].movedim(0, 1))[0]  # begins with time 4 of 6

    agrees(run, 1, 6, 4, layers=(nn.GRU(4, 4, batch_first=True),))
    profile, _, _, fields = fields_of(Of(run, nn.GRU(4, 4, batch_first=True)), 1, 6, 4)
    found = [claim(fields, profile.network.ops[-1].name, (0, t, 0))[0] for t in range(6)]
    assert found == [(0, 4), (0, 4), (0, 4), (0, 4), (0, 4), (0, 5)]


def test_values_that_are_looked_for_see_their_own_place_and_what_they_are_compared_with():
    def first(x):
        return torch.zeros_like(x)

    def own(i, j):
        return (i, i), (j, j)

    sees(lambda x: torch.searchsorted(first(x), x), 3, 4, own)
    sees(lambda x: torch.searchsorted(x, first(x)), 3, 4, lambda i, _: ((i, i), (0, 3)))
    sees(lambda x: torch.searchsorted(x[0], first(x)), 3, 4, lambda _i, _j: ((0, 0), (0, 3)))
    sees(lambda x: torch.searchsorted(x[0], 1.0), 3, 4, lambda: ((0, 0), (0, 3)))
    sees(lambda x: torch.searchsorted(x, x.flip(0)), 3, 4,
         lambda i, _: ((min(i, 2 - i), max(i, 2 - i)), (0, 3)))  # fmt: skip
    sees(lambda x: torch.bucketize(x, first(x)[0]), 3, 4, own)
    sees(lambda x: torch.bucketize(first(x), x[1]), 3, 4, lambda _i, _j: ((1, 1), (0, 3)))
    sees(lambda x: torch.isin(x, first(x)), 3, 4, own)
    sees(lambda x: torch.isin(first(x)[0], x), 3, 4, lambda _: ((0, 2), (0, 3)))


@pytest.mark.parametrize(("queries", "keys"), [(3, 6), (6, 3), (6, 6)])
def test_query_i_of_causal_attention_sees_the_keys_up_to_i(queries, keys):
    def run(x):
        row = x[0]  # [1, places, features]; queries that are constants
        begin = torch.ones(1, queries, 2, device=x.device, dtype=x.dtype)
        return F.scaled_dot_product_attention(begin, row[:, :keys], row[:, :keys], is_causal=True)

    profile, _, _, fields = fields_of(Of(run), 1, 1, 8, 2)
    found = [claim(fields, profile.network.ops[-1].name, (0, i, 0))[0] for i in range(queries)]
    assert found == [(0, min(i, keys - 1)) for i in range(queries)]
    agrees(lambda x: run(x) * 1, 1, 1, 8, 2)


@pytest.mark.parametrize("by_index", [False, True])
def test_what_is_written_into_a_view_of_a_view_is_seen_in_all_of_them(by_index):
    def run(x, then):
        whole = x[0, 0] * 1.0
        row = whole[0]
        if by_index:
            row[1:3] = x.mean()
        else:
            row[1:3].add_(x.mean())
        return then(whole, row)

    def claims(then, *places):
        profile = archprof.profile(Of(lambda x: run(x, then)), [(1, 1, 2, 4)])
        fields = profile.receptive_field()
        return [claim(fields, profile.network.ops[-1].name, place) for place in places]

    # the mean of all was put at 1 and 2 of row 0
    everything, before = ((0, 1), (0, 3)), ((0, 0), (0, 0))
    assert claims(lambda whole, _: whole * 2, (0, 0), (0, 1), (0, 2)) == [before, everything, everything]
    assert claims(lambda whole, _: whole * 2, (0, 3), (1, 1)) == [((0, 0), (3, 3)), ((1, 1), (1, 1))]
    assert claims(lambda _, row: row * 2, (0,), (1,), (2,)) == [before, everything, everything]


def test_what_is_written_into_a_view_that_nobody_follows_is_unknown_in_all_above():
    def run(x):
        whole = x * 1.0
        whole[:, 0].transpose(1, 2)[..., 1:].add_(x.mean())
        return whole * 2

    profile = archprof.profile(Of(run), [(1, 1, 4, 4)])
    assert profile.receptive_field().unknown == (profile.network.ops[-1].name,)


def test_what_is_written_into_a_weight_is_not_in_the_value():
    def run(x, norm):
        whole = x * 1.0
        norm.running_mean[:1] = whole[0, 0, 0, :1]
        return whole * 2

    profile = archprof.profile(Of(run, nn.BatchNorm2d(2)), [(1, 1, 4, 4)])
    assert not profile.receptive_field().unknown
    assert [field.size for field in profile.receptive_field().fields[profile.network.ops[-1].name]] == [1, 1]


@pytest.mark.parametrize("run", [lambda x: torch.einsum("...c->...", x), lambda x: torch.zeros_like(x) * 2])
def test_a_plot_of_nothing_is_refused_in_one_line(run, tmp_path):
    pytest.importorskip("matplotlib")
    from archprof import growth

    profile = archprof.profile(Of(run), [(1, 3, 8, 8)])
    with pytest.raises(UserError, match="nothing to plot") as refused:
        growth.draw(profile, tmp_path / "growth.svg")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "growth.svg").exists()


def test_maps_with_few_connections_see_the_maps_they_are_connected_to():
    profile = archprof.profile("lenet5-1998")
    fields = profile.receptive_field()
    assert not fields.unknown
    # 5; 6 by 2 (C1, S2); 6 + 4 x 2 = 14; 16 by 4 (C3, S4); 16 + 4 x 4 = 32 (C5): LeCun et al. 1998, the whole 32 x 32
    sizes = {op.name: fields.fields[op.name][0].size for op in profile.network.ops}
    kinds = {op.name: op.kind for op in profile.network.ops}
    assert [sizes[name] for name in sizes if kinds[name] in {"conv2d", "sparse_conv2d", "subsample"}] == [
        5,
        6,
        14,
        16,
        32,
    ]


@pytest.mark.parametrize("model", [
    "deeplabv3_mobilenet_v3_large", "densenet121", "efficientnet_v2_s", "googlenet", "lraspp_mobilenet_v3_large",
    "maxvit_t", "mc3_18", "mnasnet0_5", "quantized_shufflenet_v2_x0_5", "raft_small", "regnet_y_400mf",
    "s3d", "squeezenet1_1", "ssdlite320_mobilenet_v3_large", "swin3d_t", "swin_v2_t", "vit_b_32",
])  # fmt: skip
def test_no_op_of_torchvisions_families_is_unknown(model):
    assert not archprof.profile(f"torchvision:{model}").receptive_field().unknown


def test_axes_are_those_of_the_first_window():
    pytest.importorskip("timm")  # its lambdas slide in 3-D, over keys and maps
    found = archprof.profile("timm:lambda_resnet26t").receptive_field()
    assert found.sizes == (256, 256)
