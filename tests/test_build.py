"""Modules built from specs are ordinary modules: they run, train, load, copy and export, with the keys of meta."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import fx, nn

from archprof import build as building
from archprof.build import build
from archprof.errors import UserError
from archprof.pipeline import compile as compiled
from archprof.sources.spec import load

REAL = ["small", "sequence", "two", "tied", "shared", "lenet5-1998", "residual-block-projection"]


@pytest.fixture(scope="module")
def spec_of(folder):
    return lambda name, **options: load(
        folder / f"{name}.yaml" if (folder / f"{name}.yaml").exists() else name, **options
    )


def example(spec):
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(t.shape, generator=generator)
        if t.dtype == "float32"
        else torch.randint(0, spec.bounds[name], t.shape, generator=generator)
        for name, t in spec.inputs
    ]


@pytest.mark.parametrize("name", [*REAL, "resnet50", "googlenet-training", "alexnet"])
def test_a_real_module_has_the_keys_and_shapes_of_the_one_on_meta(name: str, spec_of) -> None:
    spec = spec_of(name)
    real, thought = build(spec, "cpu"), build(spec)
    assert {k: (v.shape, v.dtype) for k, v in real.state_dict().items()} == {
        k: (v.shape, v.dtype) for k, v in thought.state_dict().items()
    }
    assert {p.device.type for p in thought.parameters()} <= {"meta"}
    assert {p.device.type for p in real.parameters()} <= {"cpu"}


@pytest.mark.parametrize("name", REAL)
def test_a_real_module_gives_the_shapes_that_were_thought_out(name: str, spec_of, profiled) -> None:
    spec = spec_of(name)
    with torch.no_grad():
        result = build(spec, "cpu").eval()(*example(spec))
    graph = profiled(name).network
    results = result if isinstance(result, dict) else {next(iter(graph.outputs)): result}
    assert {key: tuple(value.shape) for key, value in results.items()} == {
        key: graph[op].outputs[number].shape for key, (op, number) in graph.outputs.items()
    }


@pytest.mark.parametrize("name", REAL)
def test_a_training_step_changes_every_parameter(name: str, spec_of) -> None:
    spec = spec_of(name, batch=2)
    torch.manual_seed(0)
    module = build(spec, "cpu").train()
    before = {key: value.clone() for key, value in module.named_parameters()}
    result = module(*example(spec))
    loss = sum(t.pow(2).sum() for t in (result.values() if isinstance(result, dict) else [result]))
    loss.backward()
    torch.optim.SGD(module.parameters(), lr=0.1).step()
    still = [key for key, value in module.named_parameters() if torch.equal(value, before[key])]
    assert [key for key in still if not key.startswith("rnn") and ".bias" not in key] == []


@pytest.mark.parametrize("name", REAL)
def test_a_copy_and_loaded_weights_give_equal_outputs(name: str, spec_of) -> None:
    spec = spec_of(name)
    module = build(spec, "cpu").eval()
    other = build(spec, "cpu").eval()
    other.load_state_dict(module.state_dict())
    inputs = example(spec)
    with torch.no_grad():
        results = [m(*inputs) for m in (module, copy.deepcopy(module), other)]
    first, *rest = [list(r.values()) if isinstance(r, dict) else [r] for r in results]
    assert all(torch.equal(a, b) for again in rest for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize("name", ["small", "two", "residual-block-projection"])
def test_a_module_exports(name: str, spec_of) -> None:
    spec = spec_of(name)
    module = build(spec, "cpu").eval()
    inputs = example(spec)
    exported = torch.export.export(module, tuple(inputs)).module()
    with torch.no_grad():
        ours, theirs = module(*inputs), exported(*inputs)
    for a, b in zip(ours.values(), theirs.values(), strict=True) if isinstance(ours, dict) else [(ours, theirs)]:
        assert torch.allclose(a, b)


def test_weights_are_initialised_as_torch_does(spec_of) -> None:
    spec = spec_of("chain")
    torch.manual_seed(7)
    ours = build(spec, "cpu")
    torch.manual_seed(7)
    theirs = nn.Conv2d(3, 4, 3)
    assert torch.equal(ours.conv.weight, theirs.weight)


def test_the_same_weights_are_shared_and_tied(spec_of) -> None:
    shared, tied = build(spec_of("shared"), "cpu"), build(spec_of("tied"), "cpu")
    assert sorted(shared.state_dict()) == ["first.bias", "first.weight", "last.bias", "last.weight"]
    assert tied.head.weight is tied.embed.weight


def test_batches_of_any_size_run(spec_of) -> None:
    module = build(spec_of("small"), "cpu").eval()
    assert module(torch.randn(5, 3, 8, 8)).shape == (5, 10)


def test_building_leaves_torch_as_it_was(spec_of) -> None:
    before = torch.get_rng_state()
    build(spec_of("small", dtype="bfloat16"))
    assert torch.get_default_dtype() is torch.float32
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.empty(1).device.type == "cpu"
    assert torch.is_grad_enabled()


def test_weights_have_the_type_that_was_asked_for(spec_of) -> None:
    spec = spec_of("small", dtype="float64")
    module = build(spec, "cpu").eval()
    assert module(torch.zeros(1, 3, 8, 8, dtype=torch.float64)).dtype is torch.float64


def test_a_node_knows_where_it_comes_from() -> None:
    module = compiled("resnet18")
    assert isinstance(module, fx.GraphModule)
    node = next(node for node in module.graph.nodes if node.target == "layer1.0.conv1")
    assert (node.meta["archprof"].layer, node.meta["archprof"].chain) == ("Conv2d", ("Basic",))
    assert node.meta["archprof"].span.file.endswith("resnet.yaml")


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "", "cpu:x"])
def test_a_device_that_is_not_there_is_the_users_mistake(device: str) -> None:
    with pytest.raises(UserError, match=r"^no device .* here: [^\n]*$"):
        build(load("lenet5"), device)


def test_weights_that_do_not_fit_are_refused_before_they_are_made(spec_of, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "free_bytes", lambda _: 6_000)
    with pytest.raises(
        UserError, match=r"the weights need 6.102 KiB on cpu, and 5.859 KiB are free; analysis works without"
    ):
        build(spec_of("chain"), "cpu")  # 1,562 parameters of 4 bytes
    build(spec_of("chain"))


def test_free_memory_is_known_on_linux_or_not_at_all() -> None:
    free = building.free_bytes(torch.device("cpu"))
    assert free is None or free > 2**20
    assert building.free_bytes(torch.device("meta")) is None
