"""What can be said about a spec without carrying it out: mistakes in blocks nobody uses and branches not taken.

Layers and their settings, variants and defaults are looked at everywhere. Lower-case names are not: what they stand for
depends on the loops and conditions around them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archprof.errors import Problem, did_you_mean
from archprof.language.document import expressions, expressions_of
from archprof.layers import LAYERS
from archprof.layers.foreign import foreign_layer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from archprof.language.document import Document, Setting, Step
    from archprof.language.expression import Expression


def check(document: Document) -> Iterator[Problem]:
    """Yield the problems that the text of a spec shows, whichever variant is chosen."""
    yield from _names(document)
    yield from _variants(document)
    yield from _defaults(document)
    known = _settings(document)
    mentioned: set[str] = set()
    for root in _roots(document):
        for at in _within(root):
            if at.kind == "layer":
                mentioned.add(at.value)
                yield from _layer(at, known, document)
            elif at.kind == "name" and isinstance(at.value, str):
                mentioned.add(at.value)
    for setting in (*document.params, *document.tables):
        own = setting.node.source is document.source
        if own and setting.name not in mentioned:
            yield setting.node.problem(
                "E402", f"{setting.name!r} is never used", "is a name misspelt, or is this left over?"
            )


def _within(root: Expression) -> Iterator[Expression]:
    pending = [root]
    while pending:
        at = pending.pop()
        yield at
        pending.extend(at.parts)


def _roots(document: Document) -> Iterator[Expression]:
    """Yield every outermost expression of the spec."""
    settings: list[Setting] = [*document.inputs, *document.params, *document.tables]
    settings += [setting for variant in document.variants.values() for setting in variant.settings]
    settings += [setting for group in document.defaults.values() for setting in group]
    yield from (setting.value for setting in settings)
    for block in document.blocks.values():
        yield from (default for _, default in block.key.settings if default is not None)
        yield from expressions(block.body)
    yield from expressions(document.steps)
    yield from expressions_of(document.outputs)
    for checks in document.checks.values():
        yield from checks
    for claims in document.claims.values():
        yield from (claim.printed for claim in claims)


def _settings(document: Document) -> dict[str, tuple[str, ...] | None]:
    """Return the settings of every capital name; None where it may be several things (a setting or a param)."""
    known: dict[str, tuple[str, ...] | None] = {name: tuple(layer.settings) for name, layer in LAYERS.items()}
    known |= {name: tuple(n for n, _ in block.key.settings) for name, block in document.blocks.items()}
    variables = [setting.name for setting in document.params]
    for block in document.blocks.values():
        variables += [name for name, _ in block.key.settings]
        variables += _loop_names(expressions_steps(block.body))
    variables += _loop_names(expressions_steps(document.steps))
    known.update(dict.fromkeys((name for name in variables if name[:1].isupper()), None))
    return known


def expressions_steps(body: object) -> Iterator[Step]:
    """Yield every step under a body."""
    pending = [body]
    while pending:
        found = pending.pop()
        for step in (*getattr(found, "steps", ()), *getattr(found, "items", ())):
            if hasattr(step, "key"):
                yield step
                pending.append(step.body)


def _loop_names(steps: Iterable[Step]) -> list[str]:
    return [name for step in steps for name in step.key.names]


def _layer(at: Expression, known: Mapping[str, tuple[str, ...] | None], document: Document) -> Iterator[Problem]:
    """Yield what is wrong with a layer written somewhere: its name, and its settings' names and number."""
    name = at.value
    if name not in known:
        foreign = foreign_layer(name) if "." in name else None
        if foreign is None:
            label = did_you_mean(name, known)
            notes = [f"the spec requires the plug-in {plugin!r}: is it installed?" for plugin in document.requires]
            yield at.problem("E201", f"there is no layer or block {name!r}", label, *notes)
        return
    settings = known[name]
    if settings is None:
        return
    form = LAYERS[name].form if name in LAYERS and name not in document.blocks else ", ".join(settings)
    note = f"settings of {name}: {form or 'none'}"
    free = len(settings)
    for part in at.parts:
        free -= 1
        if part.kind == "setting" and part.value == "tie":
            free += 1
        elif part.kind == "setting" and part.value not in settings:
            label = did_you_mean(part.value, settings)
            yield part.problem("E203", f"{name} has no setting {part.value!r}", label, note)
            return
        elif free < 0:
            yield part.problem("E203", f"{name} has no setting left for this", "", note)
            return


def _names(document: Document) -> Iterator[Problem]:
    for name, block in document.blocks.items():
        if name in LAYERS:
            yield block.node.problem("E107", f"{name!r} is a built-in layer", "rename the block")


def _variants(document: Document) -> Iterator[Problem]:
    params = {setting.name for setting in document.params}
    for variant in document.variants.values():
        for setting in variant.settings:
            if setting.name not in params:
                label = did_you_mean(setting.name, params, f"params: {', '.join(sorted(params)) or 'none'}")
                yield setting.node.problem("E211", f"the spec has no param {setting.name!r}", label)
        seen, at = {variant.name}, variant
        while at.like is not None:
            like = at.like.text
            if like not in document.variants:
                label = did_you_mean(like, document.variants, f"variants: {', '.join(document.variants)}")
                yield at.like.problem("E210", f"there is no variant {like!r} to be like", label)
                break
            if like in seen:
                if variant.name != min(seen):
                    break
                yield at.like.problem("E210", f"the variant {like!r} is like itself", "remove one 'like'")
                break
            seen.add(like)
            at = document.variants[like]


def _defaults(document: Document) -> Iterator[Problem]:
    settings = {**{n: tuple(layer.settings) for n, layer in LAYERS.items()},
                **{n: tuple(name for name, _ in block.key.settings) for n, block in document.blocks.items()}}  # fmt: skip
    for name, group in document.defaults.items():
        if name not in settings:
            at = next((key for key, _ in _section(document, "defaults") if key.text == name), document.root)
            yield at.problem("E201", f"there is no layer or block {name!r}", did_you_mean(name, settings))
            continue
        for default in group:
            if default.name not in settings[name]:
                label = did_you_mean(default.name, settings[name])
                note = f"settings of {name}: {', '.join(settings[name]) or 'none'}"
                yield default.node.problem("E203", f"{name} has no setting {default.name!r}", label, note)


def _section(document: Document, name: str) -> Iterable[tuple]:  # type: ignore[type-arg]
    found = document.root.get(name)
    return getattr(found, "entries", ())
