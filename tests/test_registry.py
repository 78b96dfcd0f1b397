"""The one registry: names are found, refused, guessed and loaded from where they are filed."""

from __future__ import annotations

import sys
from importlib import metadata

import pytest

from archprof import registry
from archprof.errors import ArchprofError, UnknownName
from archprof.registry import Registry
from archprof.renderers import RENDERERS


def test_entries_are_found_in_sorted_order() -> None:
    shapes: Registry[int] = Registry("shape")
    shapes.register("square", "quadrat")(4)
    shapes.register("line")(2)
    assert dict(shapes) == {"line": 2, "quadrat": 4, "square": 4}
    assert list(shapes) == ["line", "quadrat", "square"]
    assert "line" in shapes
    assert shapes.get("circle") is None
    assert len(shapes) == 3


def test_a_name_that_is_taken_is_refused() -> None:
    shapes: Registry[object] = Registry("shape")
    shapes.register("square")(test_entries_are_found_in_sorted_order)
    shapes.register("square")(test_entries_are_found_in_sorted_order)
    with pytest.raises(ArchprofError, match=r"there already is a shape 'square', from .*test_registry:\d+"):
        shapes.register("square")(lambda: None)


def test_an_unknown_name_names_the_nearest_or_all() -> None:
    shapes: Registry[int] = Registry("shape")
    shapes.register("Square", "line")(1)
    with pytest.raises(UnknownName, match=r"^there is no shape 'squar'; did you mean 'Square'[?]$"):
        shapes["squar"]
    with pytest.raises(UnknownName, match=r"^there is no shape 'xyz'; there are Square, line$"):
        shapes["xyz"]


def test_a_package_is_loaded_on_the_first_look(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "shapes_of_a_test"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from archprof.registry import Registry\nSHAPES = Registry('shape', __name__)\n"
    )
    (package / "round.py").write_text("from shapes_of_a_test import SHAPES\nSHAPES.register('circle')('o')\n")
    monkeypatch.syspath_prepend(tmp_path)
    import shapes_of_a_test

    assert "shapes_of_a_test.round" not in sys.modules
    assert dict(shapes_of_a_test.SHAPES) == {"circle": "o"}


def test_a_newcomer_cannot_take_the_name_of_what_is_not_loaded_yet(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "forms_of_a_test"
    package.mkdir()
    (package / "__init__.py").write_text("from archprof.registry import Registry\nFORMS = Registry('form', __name__)\n")
    (package / "round.py").write_text(
        "from forms_of_a_test import FORMS\n@FORMS.register('circle')\ndef circle(): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    from forms_of_a_test import FORMS

    with pytest.raises(ArchprofError, match=r"there already is a form 'circle', from forms_of_a_test[.]round:2"):
        FORMS.register("circle")(test_entries_are_found_in_sorted_order)


def test_installed_plug_ins_register_what_they_hold(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plugged_by_a_test.py").write_text(
        "from archprof.renderers import renderer\n"
        "@renderer('nothing')\n"
        "def nothing(profile, view):\n"
        "    'Nothing at all.'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    point = metadata.EntryPoint("mine", "plugged_by_a_test", registry.ENTRY_POINTS)
    monkeypatch.setattr(registry, "_plugins", lambda: (point,))
    monkeypatch.setattr(RENDERERS, "_entries", dict(RENDERERS))
    monkeypatch.setattr(RENDERERS, "_package", "archprof.renderers")
    assert RENDERERS["nothing"].about == "Nothing at all."
