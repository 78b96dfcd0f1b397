"""JSON Schema of spec files for editors: sections with their meaning, and a snippet for every layer.

It describes the file's shape only; expressions are text to it. The layers come from the caller: nothing here needs torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archprof.language.explain import KEYWORDS
from archprof.language.skeleton import RESERVED, Skeleton

if TYPE_CHECKING:
    from collections.abc import Mapping

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_STEP = r"^((for|if) .+|_?[a-z_][a-z0-9_]*(\{.+\}[a-z0-9_]*)*( *, *[a-z_][a-z0-9_{}]*)*)$"
_BLOCK = r"^[A-Z][A-Za-z0-9_]*(\[.+\])?(\(.*\))?$"
_NAME = rf"^(?!(in|{'|'.join(KEYWORDS)})$)[A-Za-z_][A-Za-z0-9_]*$"


def json_schema(layers: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Return the JSON Schema of a spec file; `layers` has (settings, one-line description) by layer name.

    >>> schema = json_schema({"Conv2d": ("out_channels, kernel_size, stride=1", "Convolution.")})
    >>> schema["$defs"]["step"]["defaultSnippets"][0]["body"]
    'Conv2d(${1:out_channels}, ${2:kernel_size})'
    """
    schema = Skeleton.model_json_schema()
    sections = schema["properties"]
    plain = {"$ref": "#/$defs/value"}
    named = {"type": ["object", "null"], "additionalProperties": plain, "propertyNames": {"pattern": _NAME}}
    figures = {
        "type": "object",
        "required": ["source"],
        "additionalProperties": plain,
        "minProperties": 2,
        "maxProperties": 2,
    }
    check = {"type": ["string", "boolean"]}
    forms: dict[str, dict[str, Any]] = {
        "archprof": {"enum": [1, "1"]},
        "name": {"type": "string", "pattern": r"^[a-z0-9][a-z0-9._-]*$", "maxLength": 80},
        "inputs": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "propertyNames": {"pattern": r"^[a-z_][a-z0-9_]*$"},
        },
        "params": named,
        "variants": {"type": "object", "additionalProperties": named},
        "defaults": {"type": "object", "additionalProperties": named},
        "tables": {"type": "object", "additionalProperties": plain},
        "blocks": {
            "type": "object",
            "additionalProperties": {"$ref": "#/$defs/step"},
            "propertyNames": {"pattern": _BLOCK},
        },
        "steps": {"$ref": "#/$defs/step"},
        "outputs": {"type": "object"},
        "checks": _by_variant(check),
        "claims": _by_variant(figures),
    }
    for name, form in forms.items():
        sections[name] = {"description": sections[name].get("description", ""), **form}
    return {
        "$schema": DIALECT,
        **schema,
        "not": {"anyOf": [{"required": [name]} for name in RESERVED]},
        "anyOf": [{"required": ["steps"]}, {"required": ["extends"]}],
        "$defs": {
            "value": {
                "description": "a number, text, true, false, null, a block, an expression, or a list of them",
                "oneOf": [
                    {"type": ["string", "number", "boolean", "null"]},
                    {"type": "array", "items": {"$ref": "#/$defs/value"}},
                ],
            },
            "step": {
                "description": "an expression, a list (one long pipeline), or steps by name",
                "type": ["string", "number", "boolean", "null", "array", "object"],
                "items": {"type": ["string", "object"]},
                "additionalProperties": {"$ref": "#/$defs/step"},
                "propertyNames": {"pattern": _STEP},
                "defaultSnippets": [_snippet(name, *layers[name]) for name in sorted(layers)],
            },
        },
    }


def _by_variant(item: dict[str, Any]) -> dict[str, Any]:
    listed = {"type": "array", "items": item}
    return {"oneOf": [listed, {"type": "object", "additionalProperties": listed}]}


def _snippet(name: str, settings: str, about: str) -> dict[str, str]:
    """Return an editor's snippet: the layer with a field for every setting that has no default."""
    needed = [part.strip() for part in settings.split(", ") if part.strip() and "=" not in part]
    fields = ", ".join(f"${{{number}:{setting}}}" for number, setting in enumerate(needed, 1))
    return {
        "label": name,
        "description": f"{about} Settings: {settings or 'none'}",
        "body": f"{name}({fields})" if fields else name,
    }
