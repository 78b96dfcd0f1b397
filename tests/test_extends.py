"""A spec laid over another one: what is replaced, removed and put in, and which files may be read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from archprof.errors import SpecError
from archprof.expand import expand
from archprof.language import read

if TYPE_CHECKING:
    from archprof.records import Spec

BASE = """\
archprof: 1
name: base
source: somebody 1999
inputs:
  x: float32[3, 8, 8]
params: {width: 8, k: 3}
variants:
  wide: {width: 16}
  widest: {like: wide, k: 1}
blocks:
  Twice(n):
    conv1: Conv2d(n, k)
    conv2: Conv2d(n, 1)
steps:
  stem: Conv2d(width, k)
  act: ReLU
  body:
    a: Twice(4)
    b: ReLU
  fc: Flatten -> Linear(2)
checks:
  - params == 0
"""


def net(folder: Path, text: str, variant: str = "") -> Spec:
    (folder / "base.yaml").write_text(BASE, "utf-8")
    (folder / "own.yaml").write_text(f"archprof: 1\nname: own\n{text}", "utf-8")
    return expand(read(folder / "own.yaml"), variant)


def layers(spec: Spec) -> list[str]:
    return [f"{call.path} {call.layer} {'x'.join(map(str, call.outputs[0].shape[1:]))}" for call in spec.calls]


def test_nothing_changed_is_the_base_without_its_checks(tmp_path: Path) -> None:
    spec = net(tmp_path, "extends: base.yaml\n")
    assert layers(spec) == [
        "stem Conv2d 8x6x6", "act ReLU 8x6x6", "body.a.conv1 Conv2d 4x4x4", "body.a.conv2 Conv2d 4x4x4",
        "body.b ReLU 4x4x4", "fc.flatten Flatten 64", "fc Linear 2",
    ]  # fmt: skip
    assert (spec.name, spec.source, spec.checks) == ("own", "somebody 1999", ())


def test_a_variant_of_the_base_gives_the_params(tmp_path: Path) -> None:
    assert layers(net(tmp_path, "extends: base.yaml:widest\n"))[0] == "stem Conv2d 16x8x8"
    assert layers(net(tmp_path, "extends: base.yaml:widest\nparams: {width: 5}\n"))[0] == "stem Conv2d 5x8x8"


def test_names_replace_and_null_removes(tmp_path: Path) -> None:
    text = "extends: base.yaml\ninputs:\n  x: float32[1, 9, 9]\nsteps:\n  act: null\n  fc: Flatten -> Linear(7)\n  body: null\n"
    assert layers(net(tmp_path, text)) == ["stem Conv2d 8x7x7", "fc.flatten Flatten 392", "fc Linear 7"]


def test_blocks_are_replaced_by_name(tmp_path: Path) -> None:
    spec = net(tmp_path, "extends: base.yaml\nblocks:\n  Twice(n): Conv2d(n, 5)\n")
    assert layers(spec)[2] == "body.a Conv2d 4x2x2"


def test_edits_put_steps_beside_others_inside_blocks_too(tmp_path: Path) -> None:
    text = (
        "extends: base.yaml\nedit:\n  - {after: stem, steps: {bn: BatchNorm2d}}\n  - {before: body.b, steps: {c: Tanh}}\n"
        "  - {after: Twice.conv1, steps: {mid: Sigmoid}}\n"
    )
    assert layers(net(tmp_path, text)) == [
        "stem Conv2d 8x6x6", "bn BatchNorm2d 8x6x6", "act ReLU 8x6x6", "body.a.conv1 Conv2d 4x4x4", "body.a.mid Sigmoid 4x4x4",
        "body.a.conv2 Conv2d 4x4x4", "body.c Tanh 4x4x4", "body.b ReLU 4x4x4", "fc.flatten Flatten 64", "fc Linear 2",
    ]  # fmt: skip


def test_a_bundled_spec_is_extended_by_its_file_name(tmp_path: Path) -> None:
    text = "extends: resnet.yaml:resnet18\nparams: {classes: 10}\nvariants:\n  own-small: {size: 64}\n"
    spec = net(tmp_path, text, "own-small")
    assert spec.inputs[0][1].shape == (1, 3, 64, 64)
    assert layers(spec)[-1] == "fc Linear 10"


def test_mistakes_point_into_the_file_they_are_in(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        net(tmp_path, "extends: base.yaml\nparams: {k: 9}\nsteps:\n  act: ReLuu\n")
    assert [(p.code, Path(p.span.file).name, p.span.line) for p in caught.value.problems] == [
        ("E301", "base.yaml", 15),
        ("E201", "own.yaml", 6),
    ]


def chain(folder: Path, count: int) -> Path:
    for number in range(count):
        text = f"archprof: 1\nname: n{number}\nextends: n{number + 1}.yaml\n"
        (folder / f"n{number}.yaml").write_text(text, "utf-8")
    (folder / f"n{count}.yaml").write_text(BASE, "utf-8")
    return folder / "n0.yaml"


def test_eight_files_may_extend_each_other_and_no_more(tmp_path: Path) -> None:
    assert len(expand(read(chain(tmp_path, 8))).calls) == 7
    with pytest.raises(SpecError, match="more than 8 files"):
        read(chain(tmp_path, 9))


def test_a_cycle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("archprof: 1\nname: one\nextends: two.yaml\n", "utf-8")
    (tmp_path / "two.yaml").write_text("archprof: 1\nname: two\nextends: one.yaml\n", "utf-8")
    with pytest.raises(SpecError, match=r"extend each other: one\.yaml -> two.yaml -> one.yaml"):
        read(tmp_path / "one.yaml")


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "secret.yaml").write_text(BASE, "utf-8")
    (tmp_path / "inner" / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    (tmp_path / "inner" / "own.yaml").write_text("archprof: 1\nname: own\nextends: link.yaml\n", "utf-8")
    with pytest.raises(SpecError, match="lies outside"):
        read(tmp_path / "inner" / "own.yaml")


def test_a_name_that_is_too_long_or_a_link_to_itself_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    for name in ("loop.yaml", f"{'x' * 300}.yaml"):
        (tmp_path / "own.yaml").write_text(f"archprof: 1\nname: own\nextends: {name}\n", "utf-8")
        with pytest.raises(SpecError, match=r"E212.*there is no file"):
            read(tmp_path / "own.yaml")
