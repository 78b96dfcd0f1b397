"""A spec that starts from another one: `extends: resnet.yaml:resnet18`, its own sections laid over the other's.

A name the base has is replaced, `null` removes it, and new steps are put in by `edit`. Only files below the folder of the
first file are read, or a bundled spec by its file name; there are no URLs.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from archprof.errors import Problem, Problems, SpecError, did_you_mean
from archprof.language.bundled import folder
from archprof.language.document import Block, Body, Document, Edit, Setting, Step, Steps, Variant
from archprof.language.expression import Expression
from archprof.language.limits import DEFAULT, Limits
from archprof.language.reader import read_alone

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from archprof.language.source import Scalar


def read(path: str | os.PathLike[str], limits: Limits = DEFAULT) -> Document:
    """Return the spec file at `path`, checked for form, with what it extends.

    Raises UserError where there is no such file and SpecError, with every mistake, where it is no spec.
    """
    return _complete(read_alone(path, limits), Path(path), _Journey(Path(path).resolve().parent, limits))


@dataclass(frozen=True, slots=True)
class _Journey:
    """The root folder no file may lie outside of, and the files on the way."""

    root: Path
    limits: Limits
    seen: tuple[Path, ...] = ()


def _complete(document: Document, path: Path, journey: _Journey) -> Document:
    """Return `document` laid over what it extends, if anything."""
    at = document.extends
    if at is None:
        if document.edits:
            raise SpecError(
                [document.edits[0].node.problem("E212", "there is nothing to edit", "add 'extends: file.yaml'")]
            )
        return document
    seen = (*journey.seen, path.resolve())
    base_path, variant = _located(at, path, journey)
    if base_path.resolve() in seen:
        names = " -> ".join([*(p.name for p in seen), base_path.name])
        raise SpecError([at.problem("E212", f"these files extend each other: {names}", "a spec cannot extend itself")])
    if len(seen) > journey.limits.extends:
        raise SpecError([at.problem("E502", f"more than {journey.limits.extends} files extend each other")])
    root = folder() if base_path.parent == folder() else journey.root
    base = _complete(read_alone(base_path, journey.limits), base_path, _Journey(root, journey.limits, seen))
    return _Merge(base, document, at, journey.limits).merged(variant)


def _located(at: Scalar, path: Path, journey: _Journey) -> tuple[Path, str]:
    """Return the file and the variant that `extends` names."""
    text = at.text.strip()
    file, colon, variant = text.rpartition(":") if Path(text).suffix not in {".yaml", ".yml"} else (text, "", "")
    if not colon:
        file = text
    label = "write file.yaml or file.yaml:variant"
    if "://" in text or Path(file).suffix not in {".yaml", ".yml"} or "\0" in text:
        raise SpecError([at.problem("E212", f"{text!r} is no local spec file", label)])
    if Path(file).is_absolute():
        raise SpecError([at.problem("E212", "a spec extends a file by its place relative to its own", label)])
    found = path.parent / file
    if not Path(os.path.realpath(found)).is_relative_to(journey.root):  # resolve() raises for a link to itself
        what = f"{file!r} lies outside of the folder {journey.root.name!r}"
        raise SpecError([at.problem("E212", what, "a spec extends files of its own folder or below")])
    if os.path.isfile(found):  # noqa: PTH113 - pathlib's raises where a name is too long
        return found, variant
    bundled = folder() / file
    if Path(file).name == file and os.path.isfile(bundled):  # noqa: PTH113
        return bundled, variant
    near = [p.name for place in (path.parent, folder()) for p in place.glob("*.yaml")]
    raise SpecError([at.problem("E212", f"there is no file {file!r}", did_you_mean(file, near))])


class _Merge:
    """Lays one document over another, collecting problems."""

    def __init__(self, base: Document, own: Document, at: Scalar, limits: Limits) -> None:
        self.base, self.own, self.at = base, own, at
        self.problems = Problems(limits.problems)

    def merged(self, variant: str) -> Document:
        base, own = self.base, self.own
        params = self.settings(self.chosen(variant), own.params)
        blocks = {**base.blocks, **own.blocks}
        for name, block in own.blocks.items():
            if _is_null(block.body):
                del blocks[name]
                if name not in base.blocks:
                    self.problems.append(self.absent(block.node, name, base.blocks))
        steps = self.steps(base.steps, own.steps)
        for edit in own.edits:
            steps = self.edited(edit, steps, blocks)
        if self.problems:
            raise SpecError(self.problems)
        return replace(
            own,
            about=own.about or base.about,
            origin=own.origin or base.origin,
            inputs=self.settings(base.inputs, own.inputs),
            params=params,
            variants=dict(own.variants),
            defaults=self.defaults(),
            tables=self.settings(base.tables, own.tables),
            blocks=blocks,
            steps=steps,
            outputs=own.outputs or base.outputs,
            requires=(*base.requires, *own.requires),
        )

    def chosen(self, variant: str) -> tuple[Setting, ...]:
        """Return the base's params with its variant's choices in place."""
        chosen: dict[str, Setting] = {}
        seen: set[str] = set()
        while variant and not (variant == self.base.name and variant not in self.base.variants):
            if variant not in self.base.variants or variant in seen:
                label = did_you_mean(
                    variant, self.base.variants, f"variants: {', '.join(self.base.variants) or 'none'}"
                )
                what = f"{Path(self.base.source.name).name} has no variant {variant!r}"
                raise SpecError([self.at.problem("E210", what, label)])
            found: Variant = self.base.variants[variant]
            seen.add(variant)
            chosen = {**{setting.name: setting for setting in found.settings}, **chosen}
            variant = found.like.text if found.like else ""
        return tuple(chosen.get(setting.name, setting) for setting in self.base.params)

    def settings(self, base: tuple[Setting, ...], own: tuple[Setting, ...]) -> tuple[Setting, ...]:
        """Return `own` over `base`: the same name replaces, null removes, a new name comes last."""
        known = {setting.name for setting in base}
        for setting in own:
            if setting.name not in known and _is_null(setting.value):
                self.problems.append(self.absent(setting.node, setting.name, known))
        mine = {setting.name: setting for setting in own}
        laid = [mine.get(setting.name, setting) for setting in base]
        laid += [setting for setting in own if setting.name not in known]
        return tuple(setting for setting in laid if setting.name not in mine or not _is_null(setting.value))

    def defaults(self) -> Mapping[str, tuple[Setting, ...]]:
        """Return the layers' defaults, each layer's settings laid over the base's."""
        names = dict.fromkeys([*self.base.defaults, *self.own.defaults])
        return {n: self.settings(self.base.defaults.get(n, ()), self.own.defaults.get(n, ())) for n in names}

    def absent(self, at: Scalar, name: str, known: Iterable[str]) -> Problem:
        label = self.problems.guess(name, known)
        return at.problem("E212", f"{Path(self.base.source.name).name} has no {name!r} to remove", label)

    def steps(self, base: Body, own: Body) -> Body:
        """Return the base's steps, those of the same name replaced or removed."""
        if not isinstance(own, Steps) or not own.steps:
            return own if not isinstance(own, Steps) else base
        if not isinstance(base, Steps):
            return own
        known = {_label(step): step for step in base.steps}
        mine = {_label(step): step for step in own.steps}
        for name, step in mine.items():
            if name in known:
                continue
            if _is_null(step.body):
                self.problems.append(self.absent(step.node, name, known))
                continue
            label = self.problems.guess(name, known, "edit: [{after: step, steps: {...}}]")
            what = f"{Path(self.base.source.name).name} has no step {name!r}; a new step must say where it goes"
            self.problems.append(step.node.problem("E212", what, label))
        laid = tuple(mine.get(_label(step), step) for step in base.steps)
        return replace(base, steps=tuple(s for s in laid if _label(s) not in mine or not _is_null(s.body)))

    def edited(self, edit: Edit, steps: Body, blocks: dict[str, Block]) -> Body:
        """Return the steps with an edit's own put in; an edit of a block changes `blocks` instead."""
        place = edit.anchor.text.split(".")
        block = blocks.get(place[0])
        if block is not None and len(place) > 1:
            body = _inserted(block.body, place[1:], edit)
            if body is not None:
                blocks[place[0]] = replace(block, body=body)
                return steps
        else:
            body = _inserted(steps, place, edit)
            if body is not None:
                return body
        label = self.problems.guess(edit.anchor.text, _places(steps, blocks), "name a step, or Block.step")
        self.problems.append(edit.anchor.problem("E212", f"there is no step {edit.anchor.text!r}", label))
        return steps


def _inserted(body: Body, place: list[str], edit: Edit) -> Body | None:
    """Return `body` with an edit's steps beside the step at `place`, or None where there is no such step."""
    if not isinstance(body, Steps):
        return None

    def deeper(step: Step, rest: list[str]) -> tuple[Step, ...] | None:
        inner = _inserted(step.body, rest, edit)
        return None if inner is None else (replace(step, body=inner),)

    for number, step in enumerate(body.steps):
        found: tuple[Step, ...] | None = None
        if place == [_label(step)]:
            found = (step, *edit.steps) if edit.side == "after" else (*edit.steps, step)
        elif step.key.kind != "names":
            found = deeper(step, place)
        elif _label(step) == place[0]:
            found = deeper(step, place[1:])
        if found is not None:
            return replace(body, steps=(*body.steps[:number], *found, *body.steps[number + 1 :]))
    return None


def _places(steps: Body, blocks: Mapping[str, Block]) -> list[str]:
    found = [_label(step) for step in steps.steps] if isinstance(steps, Steps) else []
    for name, block in blocks.items():
        if isinstance(block.body, Steps):
            found += [f"{name}.{_label(step)}" for step in block.body.steps]
    return found


def _label(step: Step) -> str:
    return " ".join(step.node.text.split())


def _is_null(body: Body) -> bool:
    return isinstance(body, Expression) and body.kind == "const" and body.value is None
