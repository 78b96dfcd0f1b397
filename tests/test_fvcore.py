"""Another counter as an oracle: fvcore's multiply-accumulates of convolutions and matrix products equal ours."""

from __future__ import annotations

import warnings

import pytest
import torch

from archprof.build import build
from archprof.sources.spec import load

CONTRACTIONS = {"conv", "addmm", "linear", "matmul", "bmm", "einsum"}


@pytest.mark.parametrize(
    ("name", "macs"),
    # torchvision's own figures: 1.814, 7.609 and 0.714 G
    [("resnet18", 1_814_073_344), ("vgg11", 7_609_090_048), ("alexnet-torchvision", 714_188_480)],
)
def test_contractions_are_counted_as_fvcore_counts_them(name: str, macs: int, profiled) -> None:
    spec = load(name)
    inputs = tuple(torch.zeros(tensor.shape) for _, tensor in spec.inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it uses what torch calls old
        from fvcore.nn import FlopCountAnalysis

        counts = FlopCountAnalysis(build(spec, "cpu").eval(), inputs)
        counts.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        theirs = sum(count for op, count in counts.by_operator().items() if op in CONTRACTIONS)
    assert theirs == macs
    assert profiled(name).macs == macs
