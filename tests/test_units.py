"""Numbers for people say what they are, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archprof import units


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1, "1"),
        (999, "999"),
        (1_000, "1.000 k"),
        (999_949, "999.9 k"),
        (999_950, "1.000 M"),
        (25_557_032, "25.56 M"),
        (4_089_184_256, "4.089 G"),
        (8_030_261_248, "8.030 G"),
        (10**18, "1.000 E"),
        (10**21, "1000 E"),
    ],
)
def test_a_count_has_four_digits_and_a_prefix(value: int, text: str) -> None:
    assert units.count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (1_023, "1,023 B"),
        (1_024, "1.000 KiB"),
        (1_000, "1,000 B"),
        (102_228_128, "97.49 MiB"),
        (2**30, "1.000 GiB"),
    ],
)
def test_a_size_has_a_binary_prefix(value: int, text: str) -> None:
    assert units.size(value) == text


@given(st.integers(0, 10**15))
def test_a_count_reads_back_to_four_digits(value: int) -> None:
    text = units.count(value).replace(",", "")
    assert units.parse(text.replace(" P", "e15").replace(" ", "")) == pytest.approx(value, rel=5.1e-4)


@given(st.integers(0, 10**18))
def test_a_plain_number_reads_back_as_it_was(value: int) -> None:
    assert units.parse(str(value)) == value
    assert units.parse(f"{value:_}") == value
    assert isinstance(units.parse(str(value)), int)


@pytest.mark.parametrize(
    ("text", "value"), [("2G", 2_000_000_000), (" 4.1 M ", 4_100_000), ("138k", 138_000), ("0.5", 0.5)]
)
def test_a_quantity_is_read(text: str, value: float) -> None:
    assert units.parse(text) == value


@pytest.mark.parametrize("text", ["", "G", "-3", "1.2.3", "2 GB", "0x10", "1e", "NaN", "٣x"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number such as"):
        units.parse(text)


def test_a_column_is_written_by_its_unit() -> None:
    assert units.written(2048, "bytes") == "2.000 KiB"
    assert units.written(2048, "bytes", raw=True) == "2,048"
    assert units.written((7, 7), "shape") == "7x7"
    assert units.written("conv", "text") == "conv"
