"""What `archprof check` does: every mistake of a spec, its checks, and its claims beside our figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from archprof import units
from archprof.errors import SpecError
from archprof.figures import Comparison, check, compare_claims
from archprof.language import read
from archprof.language.bundled import bundled
from archprof.pipeline import profile
from archprof.renderers.terminal import gaps_line
from archprof.sources.spec import find, load


def check_models(models: Sequence[str], *, echo: Callable[[str], None], quiet: bool = False) -> bool:
    """Check specs by name or file (all bundled ones without a name), every variant of a file; return whether all hold.

    Each network gives one line, and one more for every claim. Raises SpecError where a spec is wrong, after all have
    been looked at.
    """
    mistakes: list[SpecError] = []
    passed = True
    for name in expanded(models):
        try:
            spec = load(name)
            found = profile(spec)
            failed = check(spec, found)
            claims = compare_claims(found)
        except SpecError as error:
            mistakes.append(error)
            continue
        passed &= not failed
        for problem in failed:
            echo(str(problem))
        if not quiet:
            verdict = "fails" if failed else "ok"
            mark, gaps = ("at least ", f"; {gaps_line(found)}") if found.gaps else ("", "")
            checks = f"{len(spec.checks)} check{'s' * (len(spec.checks) != 1)}"
            counts = f"{units.count(found.params)} parameters, {mark}{units.count(found.macs, 'MAC')}{gaps}"
            echo(f"{spec.name}: {verdict}, {checks}, {counts}")
            for claim in claims:
                echo(f"  {written(claim)}")
    if mistakes:
        raise SpecError(dict.fromkeys(problem for error in mistakes for problem in error.problems))
    return passed


def expanded(models: Sequence[str]) -> Iterator[str]:
    """Yield every network meant: a file stands for itself and all its variants, nothing for all bundled names."""
    for model in models or list(bundled()):
        path, variant = find(model)
        yield model
        if not variant:
            yield from (f"{path}:{name}" for name in read(path).variants)


def written(comparison: Comparison) -> str:
    """Return a claim as one line: measure, printed, computed, difference, source."""
    claim, ratio = comparison.claim, comparison.ratio
    difference = "" if ratio is None else f" ({ratio - 1:+.1%})"
    return (
        f"{claim.measure}: printed {claim.text}, computed {units.count(comparison.computed)}"
        f"{difference}; {claim.source}"
    )
