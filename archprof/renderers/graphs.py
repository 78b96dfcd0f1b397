"""The graph for other programs: GraphML and node-link JSON for networkx and Gephi, Model Explorer, Netron.

Plain dicts, written after the formats of those programs; a node is an op or an input, an edge a tensor read. What is
unknown is left out, as none of them has a word for it.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from archprof.records import Op
from archprof.renderers import View, renderer
from archprof.renderers.stacks import column_of
from archprof.result import Profile

if TYPE_CHECKING:
    import networkx

GRADIENT = ("#ffffff", "#fee391", "#fec44f", "#fe9929", "#d95f0e", "#993404")
"""The colours of the diagram's shares, least first."""
UNSPEAKABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML has no way to write."""


@renderer("graphml", ".graphml", is_whole=True)
def graphml(profile: Profile, view: View) -> str:  # noqa: ARG001 - a graph is whole
    """GraphML of the ops and tensors, for networkx, Gephi, yEd."""
    import networkx

    buffer = io.BytesIO()
    networkx.write_graphml(_flat(profile, is_xml=True), buffer, prettyprint=True)
    return buffer.getvalue().decode("utf-8").rstrip() + "\n"


@renderer("node-link", ".node-link.json", is_whole=True)
def node_link(profile: Profile, view: View) -> str:  # noqa: ARG001 - a graph is whole
    """Node-link JSON of the ops and tensors, as networkx and D3 read it."""
    import networkx

    found = networkx.node_link_data(_flat(profile), edges="edges")
    return json.dumps(found, indent=1, allow_nan=False) + "\n"


@renderer("model-explorer", ".model-explorer.json", is_whole=True)
def model_explorer(profile: Profile, view: View) -> str:  # noqa: ARG001 - a graph is whole
    """Graph for Google's Model Explorer: modules as layers that open, shapes on the edges."""
    graph = profile.network
    ids, numbers = _ids(profile), _numbers(profile)
    nodes = []
    for op in graph.nodes.values():
        facts = {"kind": op.kind, "path": op.path, **numbers.get(op.name, {})}
        outputs = [
            {"id": str(place), "attrs": _pairs({"tensor_shape": f"{tensor.dtype}{list(tensor.shape)}"})}
            for place, tensor in enumerate(op.outputs)
        ]
        edges = [
            {"sourceNodeId": ids[e.producer], "sourceNodeOutputId": str(e.output), "targetNodeInputId": str(e.position)}
            for e in graph.reads(op.name)
        ]
        node = {"id": ids[op.name], "label": op.layer or op.kind, "namespace": _namespace(op), "attrs": _pairs(facts)}
        nodes.append(node | {"incomingEdges": edges, "outputsMetadata": outputs})
    groups = {path.replace(".", "/"): {"class": name} for path, name in graph.modules.items() if path}
    found = {"id": profile.model, "nodes": nodes, "groupNodeAttributes": groups}
    return json.dumps({"label": profile.model, "graphs": [found]}, allow_nan=False) + "\n"


@renderer("model-explorer-data", ".node-data.json", is_whole=True)
def model_explorer_data(profile: Profile, view: View) -> str:
    """One measure of every op for Model Explorer's graph, with the diagram's colours: --sort says which (macs)."""
    metric = column_of(profile, view)
    ids = _ids(profile)
    known = zip(profile.network.ops, profile.values[metric], strict=True)
    results = {ids[op.name]: {"value": value} for op, value in known if value is not None}
    stops = [{"stop": place / (len(GRADIENT) - 1), "bgColor": color} for place, color in enumerate(GRADIENT)]
    found = {profile.model: {"name": metric, "results": results, "gradient": stops}}
    return json.dumps(found, allow_nan=False) + "\n"


@renderer("netron", ".netron.json", is_whole=True)
def netron(profile: Profile, view: View) -> str:
    """Attachment for Netron: measures of every op, to be dropped on the same model as ONNX with nodes of these names."""
    names = view.columns or ("macs", "flops", "params", "activation_bytes")
    metrics = [
        {"kind": "node", "target": op.name, "name": name, "value": value}
        for op, numbers in zip(profile.network.ops, _lines(profile), strict=True)
        for name, value in numbers.items()
        if name in names
    ]
    return json.dumps({"signature": "netron:attachment", "metrics": metrics}, indent=1, allow_nan=False) + "\n"


def _ids(profile: Profile) -> dict[str, str]:
    """Return an id for every node: its name, which is unique, but never empty: Model Explorer gets stuck on that."""
    return {name: name or " " for name in profile.network.nodes}


def _namespace(op: Op) -> str:
    """Return the modules around an op as Model Explorer writes them; the label is not among them."""
    return "/".join(part.replace("/", "_") or "_" for part in op.path.split(".")[:-1])


def _pairs(found: dict[str, Any]) -> list[dict[str, str]]:
    return [{"key": key, "value": str(value)} for key, value in found.items()]


def _lines(profile: Profile) -> Iterator[dict[str, Any]]:
    """Yield the known numbers of every op, by column."""
    for values in zip(*profile.values.values(), strict=True):
        line = dict(zip(profile.values, values, strict=True))
        yield {name: value for name, value in line.items() if isinstance(value, (int, float, str))}


def _numbers(profile: Profile) -> dict[str, dict[str, Any]]:
    return {op.name: line for op, line in zip(profile.network.ops, _lines(profile), strict=True)}


def _flat(profile: Profile, *, is_xml: bool = False) -> networkx.MultiDiGraph:
    """Return the graph with attributes that are texts and numbers only: GraphML knows no lists and no None."""
    import networkx

    def text(given: str) -> str:
        return UNSPEAKABLE.sub("\ufffd", given) if is_xml else given

    found = networkx.MultiDiGraph(model=text(profile.model))
    numbers = _numbers(profile)
    names: dict[str, str] = {}
    for op in profile.network.nodes.values():
        name = text(op.name)
        while name in found:  # two names may differ in what cannot be written
            name += "'"
        names[op.name] = name
        about = {"kind": op.kind, "path": op.path, "layer": op.layer, "shape": ", ".join(map(str, op.outputs))}
        found.add_node(name, **{key: text(value) for key, value in about.items()}, **numbers.get(op.name, {}))
    for edge in profile.network.edges:
        about = {"output": edge.output, "position": edge.position, "shape": str(edge.tensor)}
        ends = names[edge.producer], names[edge.consumer]
        found.add_edge(
            *ends, f"{edge.output}-{edge.position}", **about, dtype=edge.tensor.dtype, bytes=edge.tensor.bytes
        )
    return found
