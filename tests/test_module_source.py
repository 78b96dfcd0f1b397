"""Any nn.Module: counted as hand arithmetic says, and left exactly as it was."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
import torch
from torch import nn

import archprof
from archprof.errors import ModelError, UserError


class Branches(nn.Module):
    """Two inputs, functions right in forward, a module used twice, a weight of its own, tensors that are no buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Linear(8, 8)
        self.scale = nn.Parameter(torch.ones(8))
        self.offsets = torch.arange(8.0)
        self.unused = nn.Linear(8, 100)
        self.calls = 0

    def forward(self, left: torch.Tensor, right: torch.Tensor | None = None) -> torch.Tensor:
        self.calls += 1
        both = self.shared(left) + self.shared(left if right is None else right)
        return both * self.scale + self.offsets


class Breaks(nn.Module):
    """Fails after its first layer."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x) @ torch.ones(7, 7, device=x.device)


def state(module: nn.Module) -> tuple[object, ...]:
    """Return all of a module that a profile might change."""
    values = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    flags = [part.training for part in module.modules()]
    hooks = [len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules()]
    attributes = [sorted(vars(part)) for part in module.modules()]
    return values, flags, hooks, attributes, torch.get_rng_state(), torch.is_grad_enabled(), torch.get_default_dtype()


def same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    (a, *rest_a), (b, *rest_b) = one, other
    assert isinstance(a, dict)
    assert isinstance(b, dict)
    (*plain_a, rng_a, _, dtype_a), (*plain_b, rng_b, _, dtype_b) = rest_a, rest_b
    tensors = a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
    return tensors and plain_a == plain_b and torch.equal(rng_a, rng_b) and dtype_a == dtype_b


def test_a_module_called_twice_costs_twice_and_owns_its_weights_once() -> None:
    found = archprof.profile(Branches(), [(3, 8), (3, 8)])
    assert found.macs == 2 * 3 * 8 * 8
    assert found.params == 8 * 8 + 8 + 8 + 8 * 100 + 100  # the unused layer is in the total ...
    assert sum(found.values["params"]) == 8 * 8 + 8 + 8  # ... and in no row
    assert [op.kind for op in found.network.ops] == ["linear", "linear", "add", "mul", "add"]
    assert [op.name for op in found.network.ops] == ["shared", "shared_1", "add", "mul", "add_1"]


def test_inputs_may_be_tensors_shapes_or_named() -> None:
    module = Branches()
    one = archprof.profile(module, torch.zeros(5, 8))
    named = archprof.profile(module, {"left": (5, 8), "right": torch.zeros(5, 8)})
    assert one.macs == named.macs == 2 * 5 * 8 * 8
    assert [op.name for op in named.network.inputs] == ["left", "right"]


@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize("grad", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_an_encoder_layer_costs_the_same_in_every_mode(is_training: bool, grad: type) -> None:
    layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True).train(is_training)
    with grad():
        found = archprof.profile(layer, (2, 10, 64))
    # four projections 4*B*T*E*E, scores and mixing 2*B*T*T*E, feed-forward 2*B*T*E*F: 327,680 + 25,600 + 327,680
    assert found.macs == 680_960
    assert found.gaps == []


def test_a_recurrent_net_is_one_op() -> None:
    found = archprof.profile(nn.LSTM(16, 32, 2, bidirectional=True), (5, 3, 16))
    # 5 steps of 3 samples; 2 directions of 4*32*(16+32), then 2 of 4*32*(64+32)
    assert found.macs == 5 * 3 * (2 * 4 * 32 * 48 + 2 * 4 * 32 * 96) == 552_960
    assert [op.kind for op in found.network.ops if op.weights] == ["lstm"]


def test_tied_weights_count_once() -> None:
    net = nn.Sequential(nn.Embedding(50, 8), nn.Linear(8, 50, bias=False))
    net[1].weight = net[0].weight
    found = archprof.profile(net, torch.zeros(1, 6, dtype=torch.int64))
    assert found.params == 50 * 8
    assert found.macs == 6 * 8 * 50


def test_weight_norm_and_parametrizations_are_counted_as_they_are() -> None:
    net = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(8, 4)), nn.utils.spectral_norm(nn.Linear(4, 3)))
    found = archprof.profile(net.eval(), (2, 8))
    assert found.params == 4 + 4 * 8 + 4 + 3 * 4 + 3
    assert found.macs >= 2 * (8 * 4 + 4 * 3)


def test_a_module_is_left_as_it_was() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.ReLU(inplace=True)).train()
    seen: list[object] = []
    module[0].register_forward_hook(lambda *_: seen.append(_))
    before = state(module)
    first = archprof.profile(module, (2, 3, 8, 8))
    assert same(before, state(module))
    assert seen == []  # the user's hooks watch the user's module
    second = archprof.profile(module, (2, 3, 8, 8))
    assert first.to_json() == second.to_json()
    assert len(module[0]._forward_hooks) == 1


def test_a_module_that_caches_is_left_as_it_was() -> None:
    module = Branches()
    archprof.profile(module, (3, 8))
    assert module.calls == 0
    assert torch.equal(module.offsets, torch.arange(8.0))


def test_a_module_that_fails_is_left_as_it_was() -> None:
    module = Breaks().train()
    before = state(module)
    with pytest.raises(ModelError, match="Breaks fails at the top, matmul of 2x4 and 7x7: ") as caught:
        archprof.profile(module, (2, 4))
    assert [op.kind for op in caught.value.profile.network.ops] == ["batch_norm", "ones"]  # what ran is kept
    assert same(before, state(module))
    assert torch.is_grad_enabled()


class Nested(nn.Module):
    """Takes a list, a dict, a number and None, and calls by keyword; gives back a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 2)

    def forward(self, images: list[torch.Tensor], extra: dict[str, torch.Tensor], *, scale: float = 1.0, mask=None):
        assert mask is None
        return {"sum": self.head(images[0] + images[1]) * scale, "extra": extra["a"] @ extra["b"]}


def test_inputs_are_nested_as_the_model_takes_them() -> None:
    inputs = {"images": [(3, 4), (3, 4)], "extra": {"a": (2, 5), "b": torch.zeros(5, 7)}, "scale": 2.0, "mask": None}
    found = archprof.profile(Nested(), inputs)
    assert [op.name for op in found.network.inputs] == ["images.0", "images.1", "extra.a", "extra.b"]
    assert found.macs == 3 * 4 * 2 + 2 * 5 * 7
    assert list(found.network.outputs) == ["sum", "extra"]
    assert found.gaps == []


GIVEN = "it looks at its data: counts that depend on data are those of the values given"


class Choosy(nn.Module):
    """Looks at its data: only positive rows are multiplied."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[x[:, 0] > 0] @ self.weight if bool(x.sum() > 0) else x


def test_a_model_that_looks_at_its_data_is_run_on_what_was_given() -> None:
    found = archprof.profile(Choosy(), torch.tensor([[1.0] * 4, [-0.5] * 4, [2.0] * 4]))
    assert found.macs == 2 * 4 * 2  # two rows of three
    assert found.notes == (GIVEN,)
    assert found.gaps == []


@pytest.mark.filterwarnings("ignore:.*spectral_norm")
def test_a_tensor_is_not_taken_for_one_that_is_gone() -> None:
    net = nn.Sequential(nn.utils.spectral_norm(nn.Linear(4, 4)), nn.ReLU(), nn.Linear(4, 3))  # replaces its weight
    first = archprof.profile(net, (2, 4)).to_json()
    assert all(archprof.profile(net, (2, 4)).to_json() == first for _ in range(200))


class Masked(nn.Module):
    """Skips its layer where everything is masked."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return x if (mask == 0).all() else self.layer(x)


def test_a_question_is_answered_by_the_data_given_and_assumed_only_without() -> None:
    given = archprof.profile(Masked(), [(3, 4), torch.tensor([0, 1])])
    assert given.macs == 3 * 4 * 4
    assert given.notes == (GIVEN,)
    without = archprof.profile(Masked(), [(3, 4), (2,)])
    assert without.macs == 0
    assert without.notes == ("assumed of the data, which are not there: all is true (asked by the model)",)


def test_wrappers_are_taken_off() -> None:
    plain, inner = nn.Sequential(nn.Linear(8, 4), nn.ReLU()), nn.Sequential(nn.Linear(8, 4), nn.ReLU())
    inner[1] = torch.compile(inner[1])
    within = archprof.profile(inner, (3, 8))
    for wrapped in (torch.compile(plain), nn.DataParallel(plain), nn.DataParallel(torch.compile(plain))):
        assert [op.name for op in archprof.profile(wrapped, (3, 8)).network.ops] == ["0", "1"]
    assert within.macs == 3 * 8 * 4


@torch.compile
def compiled(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return torch.relu(x @ weight)


class CompiledWithin(nn.Module):
    """Calls a compiled function, and a layer compiled in place."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.layer = nn.Parameter(torch.ones(4, 4)), nn.Linear(4, 4)
        self.layer.compile()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return compiled(self.layer(x), self.weight)

    @torch.compile
    def encode(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


def test_what_is_compiled_within_is_seen_as_it_was_written() -> None:
    module = CompiledWithin()
    assert [op.kind for op in archprof.profile(module, (3, 4)).network.ops] == ["linear", "matmul", "relu"]
    assert [op.kind for op in archprof.profile(module.encode, (3, 4)).network.ops] == ["linear"]


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # torch 2.10 warns of a copy of its own class
def test_an_exported_program_is_counted_as_the_module_it_came_from() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3, groups=1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 5)).eval()
    program = torch.export.export(net, (torch.zeros(2, 3, 8, 8),))
    exported, plain = archprof.profile(program), archprof.profile(net, (2, 3, 8, 8))
    assert exported.macs == plain.macs == 2 * 36 * 27 * 4 + 2 * 144 * 5
    assert exported.params == plain.params
    assert exported.flops == plain.flops
    assert exported.gaps == []
    assert [op.path for op in exported.network.ops if op.weights] == ["0", "1", "3"]


def test_a_function_is_traced_with_what_it_closes_over() -> None:
    layer, offset = nn.Linear(8, 4), torch.ones(4)

    def model(x: torch.Tensor) -> torch.Tensor:
        return layer(x) + offset

    functions = (model, torch.compile(model), functools.partial(model), layer.forward)
    before = state(layer)
    for function in functions:
        found = archprof.profile(function, (3, 8))
        assert found.macs == 3 * 8 * 4
        assert found.params == 36
        assert found.gaps == []
    assert archprof.profile(torch.relu, (2, 3)).flops == 6
    assert same(before, state(layer))


NET = nn.Sequential(nn.Linear(8, 4), nn.Linear(4, 2))
NET.head = nn.Linear(8, 3)
head, half = nn.Linear(1000, 1000), nn.Linear(8, 5)


def helper(x: torch.Tensor, times: int = 1) -> torch.Tensor:
    return helper(x, times - 1) if times else NET[0](x)


@torch.no_grad()
def wrapped(x: torch.Tensor) -> torch.Tensor:
    return helper(x)


def defaulted(x: torch.Tensor, net: nn.Module = NET[0], *, scale: torch.Tensor = torch.ones(4)) -> torch.Tensor:  # noqa: B008
    return net(x) * scale


@pytest.mark.parametrize(
    ("function", "params", "macs"),
    [
        (lambda x: NET.head(x), 36 + 10 + 27, 24),  # all of NET; not the global `head`, of a million
        (lambda x: half(x), 45, 40),  # a name that nn.Module has
        (lambda x: helper(x), 73, 32),
        (lambda x: sum(part(x).sum() for part in (lambda y: helper(y), half)), 73 + 45, 32 + 40),
        (lambda x: functools.partial(helper, times=2)(x), 73, 32),
        (lambda x: wrapped(x), 73, 32),
        (lambda x: torch.compile(helper)(x) if x is None else helper(x), 73, 32),
        (defaulted, 36, 32),
    ],
)
def test_a_function_is_traced_with_what_its_helpers_reach(
    function: Callable[..., torch.Tensor], params: int, macs: int
) -> None:
    seen: list[object] = []
    handles = [part.register_forward_pre_hook(lambda *given: seen.append(given)) for part in (*NET, NET.head, half)]
    before = state(NET)
    found = archprof.profile(function, (1, 8))
    assert same(before, state(NET))
    for handle in handles:
        handle.remove()
    assert (found.params, found.macs) == (params, macs)
    assert found.gaps == []
    assert not seen  # the model itself never ran


def test_what_a_helper_writes_is_seen_by_the_function_and_not_by_the_user() -> None:
    calls, first, second = 0, nn.Linear(8, 8), nn.Linear(8, 8)

    def count() -> None:
        nonlocal calls
        calls += len(list(first.children())) + 1

    def model(x: torch.Tensor) -> torch.Tensor:
        count()
        return first(x) if calls else second(x) + 1

    found = archprof.profile(model, (1, 8))
    assert found.flops == 2 * 64 + 8
    assert calls == 0


def test_what_fails_after_some_layers_is_told_with_its_place() -> None:
    net = nn.Sequential(nn.Linear(8, 4), nn.Sequential(nn.ReLU(), nn.Linear(5, 2)))
    with pytest.raises(
        ModelError, match=r"Sequential fails in 1\.1 \(Linear\), linear of 3x4 and 2x5 and 2: "
    ) as caught:
        archprof.profile(net, (3, 8))
    assert caught.value.profile.macs == 3 * 8 * 4


def test_what_the_model_catches_is_no_failure() -> None:
    class Forgiving(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wrong, self.right = nn.Sequential(nn.Linear(3, 2)), nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            try:
                return self.wrong(x)
            except RuntimeError:
                return self.right(x)

    found = archprof.profile(Forgiving(), (1, 8))
    assert [op.path for op in found.network.ops] == ["right"]


def test_no_weight_is_copied() -> None:
    with torch.device("meta"):
        huge = nn.Linear(1 << 20, 1 << 20)  # 4 TiB
    assert archprof.profile(huge, (1, 1 << 20)).macs == 1 << 40


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (None, "Branches needs inputs: tensors or shapes for left"),
        ({"middle": (3, 8)}, "Branches has no input 'middle'; its inputs are left, right"),
        ([(3, 8), (3, 8), (3, 8)], "Branches takes 2 inputs, and gets 3"),
        ({"left": "3x8"}, "the input 'left' is a tensor or a shape"),
        ((3, -8), "the input 'left' has a negative size"),
    ],
)
def test_wrong_inputs_are_told(inputs: object, said: str) -> None:
    with pytest.raises(UserError, match=said):
        archprof.profile(Branches(), inputs)


def test_a_module_has_a_batch_of_its_own() -> None:
    with pytest.raises(UserError, match="a module has its own batch"):
        archprof.profile(Branches(), (3, 8), batch=2)


@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.parametrize(
    ("model", "said"),
    [
        (lambda: nn.Sequential(nn.ReLU(), torch.jit.script(nn.Linear(4, 4))), "Sequential's '1' is TorchScript"),
        (lambda: nn.Sequential(nn.LazyLinear(4)), "Sequential's '0' is lazy and has no weights yet"),
        (lambda: nn.ReLU, "ReLU is a class: make a module of it first"),
        (lambda: 3, "a model is a name, a Spec, a module or a function, not 3"),
    ],
)
def test_what_cannot_be_profiled_says_why(model: Callable[[], object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        archprof.profile(model(), (1, 4))


@pytest.mark.filterwarnings("ignore:torch.ao.quantization", "ignore:torch.quantize")
def test_what_a_quantised_layer_costs_is_a_gap() -> None:
    net = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 4)), {nn.Linear})
    assert [gap.op for gap in archprof.profile(net, (1, 4)).gaps] == ["0.quantized.linear_dynamic"]


def test_assignment_to_a_part_is_an_op_on_the_whole() -> None:
    def model(x: torch.Tensor) -> torch.Tensor:
        y = torch.zeros(3, 4)
        y[1] = x[0]
        return y @ x.T

    network = archprof.profile(model, (3, 4)).network
    assert network.producers("matmul")[0] == "setitem"
    assert network.producers("setitem") == ["zeros", "getitem"]


def test_modes_of_the_caller_change_nothing() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    plain = archprof.profile(net, (2, 3, 8, 8)).to_json()
    for mode in (torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode(), torch.device("meta")):
        with mode:
            assert archprof.profile(net, (2, 3, 8, 8)).to_json() == plain


class Sized(nn.Module):
    """Makes as many rows as the data tell, a size that one of torch's own functions reads from a tensor."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = (x > -1).sum()  # all of them
        return nn.functional.interpolate(x, size=(rows, rows), mode="bilinear") @ torch.ones(6, 3)


def test_a_size_that_the_data_tell_is_found_on_the_cpu() -> None:
    found = archprof.profile(Sized(), (1, 1, 2, 3))
    assert found.macs == 6 * 6 * 3
    assert found.notes[0].startswith("run on the CPU")
