"""What editors and `archprof new` are given: a JSON Schema that fits every bundled spec, and files that pass their checks."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import ruamel.yaml

from archprof.errors import UserError
from archprof.expand import expand
from archprof.expand.export import fingerprint
from archprof.figures import check
from archprof.language import read
from archprof.language.bundled import bundled, folder
from archprof.language.schema import json_schema
from archprof.language.template import template
from archprof.layers import LAYERS
from archprof.pipeline import profile
from archprof.sources.spec import load

SCHEMA = json_schema({name: (layer.form, layer.about) for name, layer in LAYERS.items()})
BAD = Path(__file__).parent / "bad_specs"


def plain(path: Path) -> object:
    return ruamel.yaml.YAML(typ="safe", pure=True).load(path)


def valid(data: object) -> bool:
    return jsonschema.Draft202012Validator(SCHEMA).is_valid(data)


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    snippets = {snippet["label"]: snippet["body"] for snippet in SCHEMA["$defs"]["step"]["defaultSnippets"]}
    assert snippets["Linear"] == "Linear(${1:out_features})"
    assert snippets["ReLU"] == "ReLU"


@pytest.mark.parametrize("path", sorted(folder().glob("*.yaml")), ids=lambda path: path.stem)
def test_the_schema_fits_every_bundled_spec(path: Path) -> None:
    jsonschema.validate(plain(path), SCHEMA)


@pytest.mark.parametrize("name", ["E005_section", "E005_missing", "E005_reserved", "E005_version", "E103_name", "E110_inputs", "E110_text",
                                  "E103_step", "E103_block", "E110_claim", "E102_injection"])  # fmt: skip
def test_the_schema_refuses(name: str) -> None:
    assert not valid(plain(BAD / f"{name}.yaml"))


def test_the_template_passes_its_own_checks(tmp_path: Path) -> None:
    path = tmp_path / "mynet.yaml"
    path.write_text(template("mynet"), "utf-8")
    for variant in ("", "mynet-small", "mynet-large"):
        spec = expand(read(path), variant)
        assert check(spec, profile(spec)) == []


@pytest.mark.parametrize("name", list(bundled()))
def test_a_new_spec_like_a_bundled_one_is_the_same_network(name: str, tmp_path: Path) -> None:
    path = tmp_path / "mynet.yaml"
    path.write_text(template("mynet", name), "utf-8")
    assert fingerprint(expand(read(path))) == fingerprint(load(name))


@pytest.mark.parametrize(
    ("name", "like"), [("My Net", None), ("resnet50", None), ("a\nb", None), ("mynet", "resnet51"), ("../x", None)]
)
def test_a_bad_name_is_refused(name: str, like: str | None) -> None:
    with pytest.raises(UserError):
        template(name, like)
