"""How large a spec may be. A file can never raise these; a user may, by passing a Limits of their own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds that keep any file, hostile ones included, to seconds and megabytes."""

    file_bytes: int = 1 << 20
    yaml_events: int = 50_000
    yaml_depth: int = 32
    expression_characters: int = 4_000
    expression_depth: int = 64
    integer: int = (1 << 63) - 1
    exponent: int = 64
    list_items: int = 10_000
    calls: int = 20_000
    evaluation_steps: int = 1_000_000
    nested_blocks: int = 32
    evaluation_depth: int = 128
    extends: int = 8
    problems: int = 100
    seconds: float = 10.0


DEFAULT = Limits()
