"""A measured pass as a timeline, for Chrome's and Perfetto's trace viewers and for speedscope, which shows sums too.

The ops stand one after another, each as long as its median; modules enclose their ops. The backward pass follows in the
order of the gradient, its last op first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from archprof.errors import UserError
from archprof.records import Op
from archprof.renderers import View, renderer
from archprof.renderers.stacks import USUAL, metric_of, paths, sampled
from archprof.result import Profile


@dataclass(frozen=True, slots=True)
class Interval:
    """An op on the timeline, in seconds from its start, below the modules it stands in (outermost first)."""

    op: Op
    number: int
    start: float
    end: float
    is_backward: bool = False

    @property
    def frames(self) -> list[str]:
        """The modules around the op and the op itself, by their names."""
        return [*(["backward"] if self.is_backward else []), *paths(self.op)]


def intervals(profile: Profile) -> list[Interval]:
    """Return the ops of a measured pass on the timeline; raise UserError where nothing was measured."""
    if profile.timing is None:
        raise UserError(f"{profile.model} was not measured: archprof time makes a timeline")
    at, found = 0.0, []
    ops = list(enumerate(profile.network.ops))
    for number, op in ops:
        end = at + profile.values["measured_s"][number]
        found.append(Interval(op, number, at, end))
        at = end
    for number, op in reversed(ops) if "backward_s" in profile.values else ():
        seconds = profile.values["backward_s"][number]
        if seconds is not None:
            found.append(Interval(op, number, at, at + seconds, is_backward=True))
            at += seconds
    return found


def spans(found: list[Interval]) -> Iterator[tuple[str, str, float, Interval | None]]:
    """Yield (`O` or `C`, name, seconds, op) as frames open and close; the op comes with its own opening."""
    stack: list[str] = []
    at = 0.0
    for interval in found:
        frames = interval.frames
        shared = next((i for i, pair in enumerate(zip(stack, frames[:-1], strict=False)) if pair[0] != pair[1]),
                      min(len(stack), len(frames) - 1))  # fmt: skip
        for name in reversed(stack[shared:]):
            yield "C", name, at, None
        for name in frames[shared:-1]:
            yield "O", name, interval.start, None
        stack = frames[:-1]
        yield "O", frames[-1], interval.start, interval
        yield "C", frames[-1], interval.end, None
        at = interval.end
    for name in reversed(stack):
        yield "C", name, at, None


@renderer("speedscope", ".speedscope.json", is_whole=True)
def speedscope(profile: Profile, view: View) -> str:
    """What ops have of each measure, for speedscope.app, and the timeline where one was measured: --sort is shown first."""
    numbers: dict[str, int] = {}
    first = [timeline(profile, numbers)] if profile.timing is not None else []
    asked = metric_of(profile, view) if view.sort else ""
    metrics = [metric for metric in dict.fromkeys([*USUAL, asked]) if profile.totals.get(metric)]
    profiles = [*first, *(sampled(profile, metric, numbers) for metric in metrics)]
    document = {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "exporter": f"archprof {profile.versions.get('archprof', '')}".strip(),
        "name": profile.model,
        "activeProfileIndex": len(first) + metrics.index(asked) if asked in metrics else 0,
        "shared": {"frames": [{"name": name} for name in numbers]},
        "profiles": profiles,
    }
    return json.dumps(document, allow_nan=False) + "\n"


def timeline(profile: Profile, numbers: dict[str, int]) -> dict[str, Any]:
    """Return a measured pass as speedscope reads it; `numbers` are those of the frames, new ones are added."""
    events = [
        {"type": kind, "frame": numbers.setdefault(name, len(numbers)), "at": at * 1e6}
        for kind, name, at, _ in spans(intervals(profile))
    ]
    return {
        "type": "evented",
        "name": f"{profile.model}, measured",
        "unit": "microseconds",
        "startValue": 0,
        "endValue": events[-1]["at"] if events else 0,
        "events": events,
    }


@renderer("chrome-trace", ".trace.json", is_whole=True)
def chrome_trace(profile: Profile, view: View) -> str:  # noqa: ARG001 - a timeline is whole
    """Timeline of a measured pass in the Trace Event Format, for Perfetto and chrome://tracing."""
    events: list[dict[str, Any]] = [{"name": "process_name", "ph": "M", "pid": 1, "args": {"name": profile.model}}]
    for kind, name, at, interval in spans(intervals(profile)):
        event: dict[str, Any] = {"name": name, "ph": "B" if kind == "O" else "E", "ts": at * 1e6, "pid": 1, "tid": 1}
        if interval is not None:
            facts = {
                column: profile.values[column][interval.number]
                for column in ("macs", "flops", "params", "measured_iqr_s", "measured_flag")
            }
            event["cat"] = "backward" if interval.is_backward else "forward"
            event["args"] = {"kind": interval.op.kind, "output": list(map(str, interval.op.outputs)), **facts}
        events.append(event)
    return json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}, allow_nan=False) + "\n"
