"""A user's own Python file: what it registers works like ours, and what is wrong with it is said in one line."""

from __future__ import annotations

import sys

import pytest

from archprof.analyses import ANALYSES
from archprof.errors import UserError
from archprof.pipeline import profile
from archprof.plugins import load_plugin
from archprof.renderers import RENDERERS

PLUGIN = '''
import archprof
from archprof.analyses import Values
from archprof.records import Column

@archprof.rule("triple", shape=lambda input: input)
def triple_rule(out, input):
    """[*x] -> [*x]

    FLOPs: 1 per output."""
    return archprof.Facts(flops=out.elements)

def triple(input):
    from torch.overrides import handle_torch_function
    return handle_torch_function(triple, (input,), input)

@archprof.layer
def Triple(x, /):
    """Three times the input."""
    return triple

@archprof.analysis(
    Column("rank", "count", "max", "number of axes"), Column("sizes", "shape", "none", "sizes of the output")
)
def rank(graph):
    """Number of axes of what every op puts out."""
    shapes = [op.outputs[0].shape for op in graph.ops]
    return [Values([len(shape) for shape in shapes]), Values(shapes)]

@archprof.renderer("names", ".txt")
def names(profile, view):
    """The names of the ops, one a line."""
    return "".join(f"{op.name}\\n" for op in profile.network.ops)
'''


@pytest.fixture
def plugin(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """A plug-in that registers one of each, taken out again afterwards."""
    from archprof.layers import LAYERS
    from archprof.ops import RULES

    for known in (LAYERS, RULES, ANALYSES, RENDERERS):
        len(known)
        monkeypatch.setattr(known, "_entries", dict(known))
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN)
    load_plugin(path)
    return path


@pytest.mark.usefixtures("plugin")
def test_layer_rule_analysis_and_format_of_a_plug_in_work_together(tmp_path) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text("archprof: 1\nname: net\ninputs:\n  x: float32[8]\nsteps:\n  a: Triple\n  b: Linear(2)\n")
    found = profile(spec)
    assert found.gaps == []
    assert found.flops == 8 + (2 * 16 + 2)
    assert found.totals["rank"] == 2
    assert "sizes" not in found.totals
    assert found.render("names") == "a\nb\n"
    assert "1x8" in found.render("table", columns=("rank", "sizes"))
    assert list(found.table["sizes"]) == ["1x8", "1x2"]
    assert "sizes" not in found.by_module()


def test_a_plug_in_named_twice_is_run_once(plugin) -> None:
    load_plugin(plugin)
    load_plugin(plugin.parent / "." / plugin.name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise RuntimeError('one\\ntwo')", r"^the plug-in '.*bad.py' fails: RuntimeError: one$"),
        ("def (", r"^the plug-in '.*bad.py' fails: SyntaxError: .*$"),
        ("import sys; sys.exit(3)", r"^the plug-in '.*bad.py' fails: SystemExit: 3$"),
        (
            "import archprof\n@archprof.layer\ndef Conv2d(x, /): ...",
            r"^the plug-in '.*bad.py' fails: ArchprofError: there already is a layer 'Conv2d', from archprof.layers",
        ),
        ("import no_such_module_at_all", r"fails: ModuleNotFoundError: No module named 'no_such_module_at_all'$"),
    ],
)
def test_a_plug_in_that_fails_is_the_users_mistake(text: str, message: str, tmp_path) -> None:
    path = tmp_path / "bad.py"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        load_plugin(path)


def test_a_plug_in_may_have_dataclasses_of_annotations_that_are_text(tmp_path) -> None:
    path = tmp_path / "dated.py"
    text = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    a: int = 1\n"
    )
    path.write_text(text)
    load_plugin(path)
    path = tmp_path / "dated_badly.py"
    path.write_text(text + "1 / 0\n")
    with pytest.raises(UserError, match="ZeroDivisionError"):
        load_plugin(path)
    assert "archprof_plugin_dated_badly" not in sys.modules
    del sys.modules["archprof_plugin_dated"]


def test_a_plug_in_that_is_missing_or_no_python_file_is_named(tmp_path) -> None:
    with pytest.raises(UserError, match=r"there is no plug-in file '.*none\.py'"):
        load_plugin(tmp_path / "none.py")
    with pytest.raises(UserError, match="there is no plug-in file"):
        load_plugin(tmp_path)
    (tmp_path / "a.yaml").write_text("x: 1")
    with pytest.raises(UserError, match="is not a Python file"):
        load_plugin(tmp_path / "a.yaml")
