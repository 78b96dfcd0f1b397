"""Numbers for people: SI prefixes for counts, IEC prefixes for bytes, and back again.

Everywhere else in archprof counts and bytes are plain integers and times are seconds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

COUNT_PREFIXES = ("", "k", "M", "G", "T", "P", "E")
BYTE_PREFIXES = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
TIME_PREFIXES = ("", "m", "\N{MICRO SIGN}", "n")
_QUANTITY = re.compile(r"\s*(\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*([kKMGT]?)\s*")


def digits(value: float, significant: int = 4) -> str:
    """Return `value` rounded to `significant` digits, written without an exponent and keeping its trailing zeros.

    >>> digits(118.0), digits(4.0892), digits(0)
    ('118.0', '4.089', '0')
    """
    if value == 0:
        return "0"
    exponent = int(f"{value:.{significant - 1}e}".partition("e")[2])
    places = max(0, significant - 1 - exponent)
    return f"{value:.{places}f}"


def scale(value: float, base: int = 1000) -> int:
    """Return the power of `base` that leaves `value` between 1 and `base` after rounding to four digits.

    >>> scale(25_557_032), scale(999_999), scale(12)
    (2, 2, 0)
    """
    power = 0
    size = abs(value)
    while size >= base * (1 - 5e-5) and power < len(COUNT_PREFIXES) - 1:
        size /= base
        power += 1
    return power


def count(value: float, unit: str = "") -> str:
    """Return a count with an SI prefix.

    >>> count(4_089_184_256, "MAC"), count(12), count(0)
    ('4.089 GMAC', '12', '0')
    """
    power = scale(value)
    number = digits(value / 1000**power) if power else f"{value:,}"
    return f"{number} {COUNT_PREFIXES[power]}{unit}".strip()


def size(value: float) -> str:
    """Return bytes with an IEC prefix.

    >>> size(102_228_128), size(512)
    ('97.49 MiB', '512 B')
    """
    power = scale(value, 1024)
    number = digits(value / 1024**power) if power else f"{value:,}"
    return f"{number} {BYTE_PREFIXES[power]}B"


def duration(value: float) -> str:
    """Return seconds with an SI prefix.

    >>> duration(0.00123), duration(4.2e-7), duration(0), duration(75)
    ('1.230 ms', '420.0 ns', '0 s', '75.00 s')
    """
    power = 0
    while value and abs(value) * 1000**power < 1 - 5e-5 and power < len(TIME_PREFIXES) - 1:
        power += 1
    return f"{digits(value * 1000**power)} {TIME_PREFIXES[power]}s"


def several(number: int, what: str) -> str:
    """Return a number of things in words.

    >>> several(1, "thread"), several(2000, "thread")
    ('1 thread', '2,000 threads')
    """
    return f"{number:,} {what}{'s' * (number != 1)}"


def written(value: object, unit: str, *, raw: bool = False) -> str:
    """Return a value of a column for people, after the column's unit; a whole number without a prefix if `raw`.

    >>> written(102_228_128, "bytes"), written(25_557_032, "count"), written(25_557_032, "count", raw=True)
    ('97.49 MiB', '25.56 M', '25,557,032')
    """
    if isinstance(value, (tuple, list)):
        return "x".join(map(str, value))
    if not isinstance(value, (int, float)):
        return str(value)
    if raw:
        return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"
    if unit == "s":
        return duration(value)
    if unit == "share":
        return f"{value:.1%}"
    if unit.endswith("/s"):
        power = scale(value)
        return f"{digits(value / 1000**power)} {COUNT_PREFIXES[power]}{unit}"
    if isinstance(value, float):
        plain = digits(value) if 1e-4 <= abs(value) < 1e6 or not value else f"{value:.3e}"
        return f"{plain} {unit}".rstrip()
    return size(value) if unit == "bytes" else count(value, "" if unit == "count" else unit)


def together(values: Sequence[float], unit: str) -> list[str]:
    """Return numbers of one column in one unit, that of the largest, with four digits or three places.

    A number that would keep fewer than three digits has a unit of its own: a column of millions would say that 128 are 0.
    What needs no prefix has none.

    >>> together([118_013_952, 642_252, 2_048, 0], "count")
    ['118.0 M', '0.642 M', '2.048 k', '0']
    >>> together([102_228_128, 1_404_928, 512], "bytes"), together([0.00123, 4.2e-5, 4.2e-7], "s")
    (['97.49 MiB', '1.340 MiB', '512 B'], ['1.230 ms', '42.00 µs', '420.0 ns'])
    """
    factor, prefixed = common(values, unit)
    if factor == 1 or not prefixed:
        return [written(value, unit) for value in values]
    found = []
    for value in values:
        part = abs(value) / factor
        if part < 0.0995 or (isinstance(value, int) and abs(value) < 1000):
            found.append(written(value, unit))
        else:
            number = digits(value / factor) if part >= 1 else f"{value / factor:.3f}"
            found.append(f"{number} {prefixed}")
    return found


def common(values: Sequence[float], unit: str) -> tuple[float, str]:
    """Return the unit that the largest of some numbers is written in, after what one of it is in the plain one.

    >>> common([118_013_952, 2_048], "count"), common([2048], "bytes"), common([512], "count")
    ((1000000.0, 'M'), (1024.0, 'KiB'), (1.0, ''))
    """
    prefixed = written(max(map(abs, values), default=0), unit).partition(" ")[2]
    return _step(prefixed, unit), prefixed


def _step(prefixed: str, unit: str) -> float:
    """Return what one of a prefixed unit is in the plain one: 1024 for `KiB` of bytes."""
    if unit == "bytes":
        return float(1024 ** BYTE_PREFIXES.index(prefixed.removesuffix("B")))
    if unit == "s":
        return 1000.0 ** -TIME_PREFIXES.index(prefixed.removesuffix("s"))
    prefix = prefixed.removesuffix("" if unit == "count" else unit)
    return float(1000 ** COUNT_PREFIXES.index(prefix)) if prefix in COUNT_PREFIXES else 1.0


POINT = re.compile(r"(\D*\d[\d,]*)(\.\d+)?(.*)")
"""A number in words: what stands before its point, behind it, and its unit."""


def on_point(texts: Sequence[str]) -> list[str]:
    """Return the cells of a column padded to one width, their points below each other.

    >>> on_point(["118.0 M", "2.048 k", "0", "-", ">16"])
    ['118.0   M', '  2.048 k', '  0      ', '  -      ', '>16      ']
    """
    found = [POINT.fullmatch(text) for text in texts]
    parts = [(text, "", "") if match is None else (match[1], match[2] or "", match[3])
             for text, match in zip(texts, found, strict=True)]  # fmt: skip
    before, behind, units = (max((len(part[place]) for part in parts), default=0) for place in range(3))
    return [f"{part[0]:>{before}}{part[1]:<{behind}}{part[2]:<{units}}" for part in parts]


def factor(prefix: str) -> int:
    """Return what a prefix stands for, SI (`k`, `M`) or IEC (`Ki`, `Mi`).

    >>> factor("M"), factor("Ki"), factor("")
    (1000000, 1024, 1)
    """
    if prefix.endswith("i"):
        return 1024 ** BYTE_PREFIXES.index(prefix.capitalize())
    return 1000 ** COUNT_PREFIXES.index(prefix.replace("K", "k"))


def parse(text: str) -> float:
    """Return the number that `text` writes, with an optional SI prefix (`2G`, `4.1 M`, `1_000`).

    Raises ValueError for anything else.

    >>> parse("2G"), parse("25_557_032")
    (2000000000, 25557032)
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a number such as 2G, 4.1M or 25_557_032")
    number, prefix = match.groups()
    value = Decimal(number) * factor(prefix)
    return int(value) if value == int(value) else float(value)
