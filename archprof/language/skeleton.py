"""The sections a spec file may have, as a pydantic model; the JSON Schema for editors comes from it.

It looks at the shape of the file only: names, lists, mappings. Expressions are text here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from archprof.errors import Problem, did_you_mean
from archprof.language.source import Items, Node, Scalar, Table

if TYPE_CHECKING:
    from archprof.language.limits import Limits

Plain = str | list[Any]
Body = str | list[Any] | dict[str, Any]
Figures = dict[str, str]
RESERVED = ("sweeps", "targets", "weights")
"""Sections the language keeps for later; using one is an error that says so."""


class Skeleton(BaseModel):
    """A family of architectures: inputs, choices (params, variants), blocks, steps, and what must come out."""

    model_config = ConfigDict(extra="forbid", title="archprof spec")

    archprof: Annotated[Literal["1"], Field(description="version of the spec language")] = "1"
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", description="name of the family", max_length=80)]
    about: Annotated[str, Field(description="one sentence on what makes it itself")] = ""
    source: Annotated[str, Field(description="the publication it comes from")] = ""
    inputs: Annotated[dict[str, str], Field(description="name: dtype[sizes], the batch left out")] = {}
    params: Annotated[dict[str, Plain], Field(description="numbers, lists and blocks that variants choose")] = {}
    variants: Annotated[
        dict[str, dict[str, Plain]], Field(description="name: {param: value}; like: another variant")
    ] = {}
    defaults: Annotated[
        dict[str, dict[str, Plain]], Field(description="settings of a layer, unless it says otherwise")
    ] = {}
    tables: Annotated[dict[str, Plain], Field(description="rows of numbers, or a picture of X and .")] = {}
    blocks: Annotated[dict[str, Body], Field(description="Name(setting, other=1): its steps")] = {}
    steps: Annotated[Body, Field(description="the network: name: in -> Layer(...) -> Layer")] = ""
    outputs: Annotated[dict[str, Any], Field(description="name: step; the last step where left out")] = {}
    checks: Annotated[list[str] | dict[str, list[str]], Field(description="must hold; by variant, or for all")] = []
    claims: Annotated[
        list[Figures] | dict[str, list[Figures]], Field(description="printed figures with their source")
    ] = []
    requires: Annotated[list[str], Field(description="plug-ins whose layers the spec uses")] = []
    extends: Annotated[str, Field(description="file.yaml or file.yaml:variant in the same folder")] = ""
    edit: Annotated[
        list[dict[str, Any]], Field(description="{after|before: step, steps: {...}} on the extended spec")
    ] = []


def plain(node: Node) -> Any:
    """Return the node as nested dicts, lists and strings."""
    match node:
        case Table():
            return {key.text: plain(value) for key, value in node}
        case Items():
            return [plain(item) for item in node.items]
        case Scalar():
            return node.text
    raise AssertionError(node)


def check_skeleton(root: Table, limits: Limits) -> list[Problem]:
    """Return what is wrong with the shape of the file, each problem at its node."""
    problems = [
        key.problem("E005", f"the section {key.text!r} is reserved and not supported yet", "remove it")
        for key, _ in root
        if key.text in RESERVED
    ]
    try:
        Skeleton.model_validate({key.text: plain(value) for key, value in root if key.text not in RESERVED})
    except ValidationError as error:
        places: dict[int, Problem] = {}
        for found in error.errors(include_url=False)[: limits.problems]:
            node, key = _locate(root, found["loc"])
            at = key if key is not None and found["type"] == "extra_forbidden" else node
            places.setdefault(at.start, _problem(at, found, key))
        problems += places.values()
    return problems


def _problem(at: Node, found: Any, key: Scalar | None) -> Problem:
    where = found["loc"][0]
    kind = found["type"]
    if kind == "extra_forbidden":
        known = [*Skeleton.model_fields, *RESERVED]
        label = did_you_mean(str(where), known)
        return at.problem("E005", f"a spec has no section {str(where)!r}", label, f"sections: {', '.join(known)}")
    if kind == "missing":
        return at.problem("E005", f"the section {where!r} is missing", f"add '{where}: ...'")
    name = key.text if key is not None else where
    if kind == "string_type":
        return at.problem("E110", f"{name!r} must be text in one line, not {_form(at)}")
    if kind in {"dict_type", "list_type"}:
        form = "a mapping (name: value)" if kind == "dict_type" else "a list (- item)"
        return at.problem("E110", f"{name!r} must be {form}, not {_form(at)}")
    if kind == "literal_error":
        return at.problem("E005", "this is version 1 of the spec language", "write 'archprof: 1'")
    if kind == "string_pattern_mismatch":
        return at.problem("E103", "a spec's name has lower-case letters, digits, '.', '_' and '-' only")
    return at.problem("E110", f"{name!r}: {found['msg'].lower()}")


def _form(node: Node) -> str:
    if isinstance(node, Scalar) and not node.text:
        return "nothing"
    return "a mapping" if isinstance(node, Table) else "a list" if isinstance(node, Items) else "text"


def _locate(root: Table, place: tuple[str | int, ...]) -> tuple[Node, Scalar | None]:
    """Return the node a pydantic location means and its key; parts naming a type of a union lead nowhere."""
    node: Node = root
    last: Scalar | None = None
    for part in place:
        if isinstance(node, Table):
            for key, value in node:
                if key.text == part:
                    node, last = value, key
                    break
        elif isinstance(node, Items) and isinstance(part, int) and part < len(node.items):
            node, last = node.items[part], None
    return node, last
