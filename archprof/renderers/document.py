"""The one JSON document that everything else can be made from; its schema is `profile.schema.json` beside this file."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from archprof.records import Facts
from archprof.renderers import View, renderer
from archprof.result import Profile

SCHEMA_VERSION = "1.2"


@renderer("json", ".json", is_whole=True)
def document(profile: Profile, view: View) -> str:  # noqa: ARG001 - the document is always whole
    """JSON document: totals, gaps, and every op with its shapes, counts and formula."""
    return json.dumps(as_dict(profile), indent=2, allow_nan=False) + "\n"


def as_dict(profile: Profile) -> dict[str, Any]:
    """Return the document as plain dicts, lists, strings and ints; unknown is null."""
    graph = profile.network
    ops = []
    for number, op in enumerate(graph.ops):
        facts = graph.facts[op.name]
        ops.append(
            {
                "name": op.name,
                "kind": op.kind,
                "path": op.path,
                "layer": op.layer,
                "inputs": graph.producers(op.name),
                "output_shapes": [list(tensor.shape) for tensor in op.outputs],
                "output_dtypes": [tensor.dtype for tensor in op.outputs],
                **{name: values[number] for name, values in profile.values.items()},
                "formula": facts.formula if isinstance(facts, Facts) else None,
                "source": str(op.span) if op.span else None,
            }
        )
    return {
        "schema_version": SCHEMA_VERSION,
        "model": profile.model,
        "inputs": {op.name: {"shape": list(op.outputs[0].shape), "dtype": op.outputs[0].dtype} for op in graph.inputs},
        "outputs": {name: {"op": op, "output": output} for name, (op, output) in graph.outputs.items()},
        "totals": profile.totals,
        "gaps": [{"op": gap.op, "reason": gap.reason} for gap in profile.gaps],
        "notes": list(profile.notes),
        "claims": [{"measure": c.measure, "printed": c.printed, "source": c.source} for c in profile.claims],
        "columns": {
            name: {"unit": c.unit, "total": c.total, "meaning": c.meaning} for name, c in profile.columns.items()
        },
        "ops": ops,
        **({} if profile.timing is None else {"timing": dataclasses.asdict(profile.timing)}),
        "versions": dict(profile.versions),
    }
