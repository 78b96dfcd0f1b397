"""The figures a spec carries: checks, which must hold, and claims, which are shown beside ours.

Only compares; the numbers come from the Profile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archprof.errors import Problem, SpecError, did_you_mean
from archprof.language.evaluate import Evaluator, Exhausted, Mistake, mistake
from archprof.language.limits import DEFAULT, Limits

if TYPE_CHECKING:
    from archprof.language.expression import Expression
    from archprof.records import Claim, Spec
    from archprof.result import Profile

MEASURES = {"params": "params", "macs": "macs", "flops": "flops", "activations": "activation_elements",
            "connections": "connections", "buffers": "buffers"}  # fmt: skip
"""What a check may ask of the network or of a step, by the column it comes from."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A claim beside our figure; `ratio` is ours divided by the printed one."""

    claim: Claim
    computed: int

    @property
    def ratio(self) -> float | None:
        """Ours divided by the printed figure; None where that is 0."""
        return self.computed / self.claim.printed if self.claim.printed else None


def check(spec: Spec, profile: Profile) -> list[Problem]:
    """Return the checks of `spec` that do not hold (E601), each saying what was found instead.

    Raises SpecError where a check asks for something that is not there.
    """
    failed: list[Problem] = []
    broken: list[Problem] = []
    for expression in spec.checks:
        figures = _Figures(spec, profile, DEFAULT)
        try:
            if not figures.truth(expression):
                found = ", ".join(f"{name} is {value}" for name, value in figures.asked.items())
                failed.append(expression.problem("E601", "this check does not hold", found))
        except (Mistake, Exhausted) as problem:
            broken.append(problem.problem)
    if broken:
        raise SpecError(broken)
    return failed


def compare_claims(profile: Profile) -> list[Comparison]:
    """Return every claim of the profile's spec with our figure; raise SpecError for an unknown measure."""
    unknown = [c for c in profile.claims if c.measure not in MEASURES]
    if unknown:
        known = f"measures: {', '.join(MEASURES)}"
        raise SpecError([Problem("E202", c.span, f"there is no measure {c.measure!r}", known) for c in unknown])
    return [Comparison(claim, profile.totals[MEASURES[claim.measure]]) for claim in profile.claims]


class _Figures(Evaluator):
    """Evaluates a check; `asked` remembers which figures it looked at."""

    def __init__(self, spec: Spec, profile: Profile, limits: Limits) -> None:
        super().__init__(limits)
        self.spec, self.profile = spec, profile
        self.asked: dict[str, Any] = {}

    def lookup(self, at: Expression, name: str) -> Any:
        if name in self.spec.params:
            return self.spec.params[name]
        if name not in MEASURES:
            known = f"a check knows {', '.join(MEASURES)}, out.shape, STEP.params"
            label = did_you_mean(name, [*MEASURES, *self.spec.params], known)
            raise mistake(at, "E202", f"there is nothing called {name!r} here", label)
        return self.noted(name, self.profile.totals[MEASURES[name]])

    def on_attribute(self, at: Expression) -> Any:
        path = self.path(at.parts[0])
        if at.value == "shape":
            return self.noted(f"{path}.shape", list(self.shape(at, path)))
        if at.value not in MEASURES:
            raise mistake(at, "E206", f"a step has no {at.value!r}", did_you_mean(at.value, ["shape", *MEASURES]))
        ops = self.ops(at, path)
        return self.noted(f"{path}.{at.value}", self.profile.total(MEASURES[at.value], ops))

    def path(self, at: Expression) -> str:
        if at.kind == "attribute":
            return f"{self.path(at.parts[0])}.{at.value}"
        if at.kind == "index":
            return ".".join([self.path(at.parts[0]), *(str(self.whole(part)) for part in at.parts[1:])])
        if at.kind != "name":
            raise mistake(at, "E206", "a step's name was expected here")
        return self.spelled(at)

    def ops(self, at: Expression, path: str) -> Sequence[int]:
        found = [i for i, op in enumerate(self.profile.network.ops) if f"{op.path}.".startswith(f"{path}.")]
        if not found:
            steps = {op.path.split(".")[0] for op in self.profile.network.ops}
            raise mistake(at, "E202", f"there is no step {path!r}", did_you_mean(path, steps))
        return found

    def shape(self, at: Expression, path: str) -> tuple[int, ...]:
        graph = self.profile.network
        if path == "out" and len(graph.outputs) == 1:
            name, number = next(iter(graph.outputs.values()))
        elif path in graph.outputs:
            name, number = graph.outputs[path]
        elif path in graph.nodes and graph[path].kind == "input":
            name, number = path, 0
        else:
            name, number = graph.ops[self.ops(at, path)[-1]].name, 0
        return graph[name].outputs[number].shape[1:]

    def noted(self, name: str, value: Any) -> Any:
        self.asked[name] = value
        return value
