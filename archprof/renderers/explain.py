"""Where the numbers come from: each op's formula with the sizes filled in, and for one op the rule and its weights."""

from __future__ import annotations

from archprof import units
from archprof.ops import RULES
from archprof.records import Facts, Op, Unknown
from archprof.renderers import View, renderer
from archprof.result import Profile


@renderer("explain")
def explain(profile: Profile, view: View) -> str:
    """Formula of every op's MACs, adding up to the total; for one op also its rule, weights and FLOPs."""
    numbers = profile.ops_at(view.path)
    if view.path and len(numbers) == 1:
        return one(profile, profile.network.ops[numbers[0]])
    lines = [f"{profile.model}{f' {view.path}' if view.path else ''}: MACs (multiply-accumulates), op by op"]
    counted = [(profile.network.ops[n], profile.network.facts[profile.network.ops[n].name]) for n in numbers]
    terms = [(op, facts) for op, facts in counted if isinstance(facts, Facts) and facts.macs]
    width = max((len(op.name) for op, _ in terms), default=0)
    lines += [f"  {op.name:<{width}}  {facts.formula} = {facts.macs:,}" for op, facts in terms]
    total = sum(facts.macs for _, facts in terms)
    lines.append(f"  {'total':<{width}}  {total:,}" + (f" ({units.count(total, 'MAC')})" if total >= 1000 else ""))
    unknown = [op.name for op, facts in counted if isinstance(facts, Unknown)]
    rest = len(counted) - len(terms) - len(unknown)
    if rest:
        have = "op has" if rest == 1 else "ops have"
        lines.append(f"  {rest} other {have} no multiply-accumulates (norms, activations, pooling, sums, views)")
    if unknown:
        lines.append(f"  ! unknown, so the total is a lower bound: {', '.join(unknown)}")
    return "\n".join(lines) + "\n"


def one(profile: Profile, op: Op) -> str:
    """Return everything known about one op."""
    facts = profile.network.facts[op.name]
    owned = profile.network.owned_weights[op.name]
    lines = [f"{op.name}: {op.layer or op.kind} ({op.kind})" + (f", {op.span}" if op.span else "")]
    if op.kind in RULES:
        lines += [f"  rule     {line}" if i == 0 else f"           {line}" for i, line in enumerate(RULES[op.kind].doc)]
        lines.append(f"           {RULES.origin(op.kind)}")
    makers = {edge.position: edge.producer for edge in profile.network.reads(op.name)}
    for position, tensor in enumerate(op.inputs):
        lines.append(
            f"  input    {makers.get(position, '(from where the recorder cannot see)')} {tensor} {tensor.dtype}"
        )
    lines += [f"  output   {tensor} {tensor.dtype}" for tensor in op.outputs]
    for weight in op.weights:
        kind = "buffer" if weight.is_buffer else "weight"
        shared = "" if weight in owned else " (counted where it is used first)"
        sizes = "*".join(map(str, weight.tensor.shape)) or "1"
        lines.append(f"  {kind}   {weight.name}: {sizes} = {weight.tensor.elements:,}{shared}")
    if isinstance(facts, Unknown):
        lines.append(f"  unknown  {facts.reason}")
        return "\n".join(lines) + "\n"
    lines.append(f"  MACs     {facts.formula + ' = ' if facts.formula else ''}{facts.macs:,}")
    if facts.effective != facts.macs:
        lines.append(f"           {facts.effective:,} of them under the mask")
    lines.append(f"  FLOPs    {facts.flops:,}")
    lines.append(f"  traffic  {units.size(facts.bytes_read or 0)} read, {units.size(facts.bytes_written or 0)} written")
    return "\n".join(lines) + "\n"
