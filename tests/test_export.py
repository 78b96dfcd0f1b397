"""A spec printed flat and read again computes the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from language_cases import CASES

from archprof.expand import expand
from archprof.expand.export import export, fingerprint
from archprof.language.bundled import bundled
from archprof.language.limits import DEFAULT
from archprof.language.reader import read_text
from archprof.language.source import Source
from archprof.sources.spec import load

if TYPE_CHECKING:
    from archprof.records import Spec


def again(spec: Spec) -> Spec:
    return expand(read_text(Source("flat.yaml", export(spec)), DEFAULT))


@pytest.mark.parametrize("name", list(bundled()))
def test_a_bundled_spec_survives_its_export(name: str) -> None:
    spec = load(name)
    assert fingerprint(again(spec)) == fingerprint(spec)


@pytest.mark.parametrize("title", CASES)
def test_every_construct_survives_its_export(title: str) -> None:
    spec = expand(read_text(Source("net.yaml", "archprof: 1\nname: net\n" + CASES[title][0]), DEFAULT))
    assert fingerprint(again(spec)) == fingerprint(spec)


def test_names_that_no_step_can_have_are_changed() -> None:
    text = "archprof: 1\nname: net\ninputs:\n  x: float32[3]\nsteps:\n"
    text += "  add:\n    module: Linear(4)\n  up:\n    load:\n      state:\n        b: Linear(2)\n  load_state: {dict: Linear(5)}\n"
    spec = expand(read_text(Source("net.yaml", text), DEFAULT))
    assert fingerprint(again(spec)) == fingerprint(spec)
    assert "  add_module_2:" in export(spec)
    assert "  load_state_dict_2:" in export(spec)


def test_an_export_is_a_readable_spec() -> None:
    text = """
archprof: 1
name: net
inputs:
  x: float32[3, 8, 8]
blocks:
  Twice(width):
    first: Conv2d(width, 3, padding=1)
    sum: first + in
steps:
  a: Twice(3) * 2
  b: ReLU
"""
    text = text.replace("first: Conv2d", "first: in -> Conv2d")
    settings = 'stride=1, padding=1, dilation=1, groups=1, bias=true, padding_mode="zeros"'
    assert (
        export(expand(read_text(Source("net.yaml", text), DEFAULT)))
        == f"""\
archprof: 1
name: net
inputs:
  x: float32[3, 8, 8]
steps:
  a_0_first: x -> Conv2d(out_channels=3, kernel_size=3, {settings})
  a_0_sum:   (a_0_first, x) -> Add
  a_1_first: a_0_sum -> Conv2d(out_channels=3, kernel_size=3, {settings})
  a_1_sum:   (a_1_first, a_0_sum) -> Add
  b:         a_1_sum -> ReLU
outputs:
  b: b
"""
    )


def test_fingerprints_tell_specs_apart() -> None:
    assert fingerprint(load("resnet18")) != fingerprint(load("resnet34"))
    assert fingerprint(load("resnet18")) == fingerprint(load("resnet18"))
