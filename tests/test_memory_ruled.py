"""What operations make on meta by our rules, against torch's own kernels there: sizes, strides and types of every output."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from typing import Any, ClassVar

import pytest
import torch

import archprof
from archprof.footprint import ledger
from archprof.footprint.ledger import BATCH_NORM, NEW, OTHER, Ledger
from archprof.footprint.ruled import keeps_shape, result_of
from tests.op_table import ROWS
from tests.op_table_numerics import NUMERICS


def layouts(result: Any) -> list[Any]:
    """Return size, steps along axes that have more than one place, and type of each tensor."""
    return [
        tensor
        if tensor is None
        else (
            tuple(tensor.shape),
            [s for n, s in zip(tensor.shape, tensor.stride(), strict=True) if n > 1],
            tensor.dtype,
        )
        for tensor in ([result] if isinstance(result, torch.Tensor) else result)
    ]


class Comparing(Ledger):
    """A ledger that asks torch, too, and holds our answer against it."""

    answered: ClassVar[Counter[str]] = Counter()

    def _remembered(self, func: Any, args: Any, kwargs: Any, given: list[torch.Tensor]) -> Any:
        kind = ledger._aliasing(func, self.memo)
        if kind == NEW:
            ours = result_of(func, args, kwargs, given)
            torchs = func(*args, **kwargs)
            if ours is not None:
                self.answered[str(func)] += 1
                places = slice(0, 1) if func is BATCH_NORM and not args[5] else slice(None)  # statistics are dropped
                assert layouts(ours)[places] == layouts(torchs)[places], func
        elif kind != OTHER and keeps_shape(func, args, kwargs):
            shape = args[0].shape
            assert func(*args, **kwargs).shape == shape
        return super()._remembered(func, args, kwargs, given)


@pytest.mark.parametrize("has_gradient", [False, True])
@pytest.mark.parametrize(("kind", "call"), [row[:2] for row in (*ROWS, *NUMERICS)])
def test_an_operation_makes_what_torch_makes(kind: str, call: Any, has_gradient: bool) -> None:
    if kind == "linear_cross_entropy" and not hasattr(torch.nn.functional, kind):
        pytest.skip("this torch has no linear_cross_entropy")
    with Comparing(), torch.set_grad_enabled(has_gradient):
        call()


@pytest.mark.parametrize(
    "name",
    ["resnet18", "googlenet", "alexnet", "lenet5-1998", "torchvision:swin_t", "torchvision:vit_b_16",
     "torchvision:efficientnet_b0", "torchvision:mobilenet_v3_large", "torchvision:r3d_18"],
)  # fmt: skip
def test_networks_make_what_torch_makes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if ":" in name:
        pytest.importorskip("torchvision")
    monkeypatch.setattr("archprof.footprint.measure.Ledger", Comparing)
    before = Comparing.answered.total()
    archprof.memory(name, train="adamw", batch=2)
    assert Comparing.answered.total() > before


def test_inference_of_a_spec_imports_no_compiler_and_no_symbolic_algebra() -> None:
    code = (
        "import sys, archprof\n"
        "for name in ('resnet18', 'alexnet', 'googlenet', 'lenet5', 'nin-cifar10'): archprof.memory(name)\n"
        "print(sorted({'sympy', 'torch._dynamo', 'triton'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
