"""Numbers, ranges and the traps of YAML 1.1."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.spec.scalars import expand, parse_number, scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4), ("1E5", 1e5), (".5", 0.5), ("2.", 2.0), ("-3", -3), ("+3", 3), ("0", 0),
        ("20k", 20_000), ("100k", 100_000), ("4M", 4_000_000), ("1.5k", 1500), ("2G", 2 * 10**9),
        ("1_000", 1000), ("0.0015k", 1.5),
        ("true", True), ("False", False), ("null", None), ("~", None), ("", None),
        ("on", "on"), ("off", "off"), ("yes", "yes"), ("no", "no"), ("y", "y"),
        ("010", "010"), ("0x10", "0x10"), ("1:30", "1:30"), ("2026-01-01", "2026-01-01"),
        (".inf", ".inf"), (".nan", ".nan"), ("inf", "inf"), ("nan", "nan"), ("20K", "20K"),
        ("20kk", "20kk"), ("1e", "1e"), ("e5", "e5"), ("٣", "٣"), ("1__0", "1__0"),
    ],
)  # fmt: skip
def test_plain_scalars_mean_what_they_look_like(text: str, value: Any) -> None:
    read = scalar(text)
    assert read == value
    assert type(read) is type(value)


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_that_python_writes_reads_back(number: int | float) -> None:
    assert parse_number(repr(number)) == number


def test_a_number_longer_than_any_float_is_text() -> None:
    assert parse_number("9" * 9000) is None


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("4..64 x2", [4, 8, 16, 32, 64]),
        ("1..5", [1, 2, 3, 4, 5]),
        ("0..0", [0]),
        ("10k..80k x2", [10_000, 20_000, 40_000, 80_000]),
        ("1e-4..1e-1 x10", [1e-4, 1e-3, 1e-2, 1e-1]),
        ("0.5..4 x2", [0.5, 1, 2, 4]),
        ("8..8 x2", [8]),
        ("1..8  x 2", [1, 2, 4, 8]),
    ],
)
def test_ranges(text: str, values: list[float]) -> None:
    assert expand(text) == values
    assert all(type(a) is type(b) for a, b in zip(expand(text), values, strict=True))


@given(st.integers(1, 50), st.integers(2, 9), st.integers(0, 12))
def test_a_range_is_a_geometric_series(low: int, ratio: int, steps: int) -> None:
    high = low * ratio**steps
    assert expand(f"{low}..{high} x{ratio}") == [low * ratio**n for n in range(steps + 1)]


@given(st.sampled_from([-6, -5, -4, -3]), st.integers(1, 6))
def test_decades_are_exact(low: int, steps: int) -> None:
    values = expand(f"1e{low}..1e{low + steps} x10")
    assert values == [float(f"1e{low + n}") for n in range(steps + 1)]
    assert all(math.isfinite(value) for value in values)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("64..4 x2", "runs backwards"),
        ("4..60 x2", "does not end on 60: its last value is 32"),
        ("4..64 x1", "factor above 1"),
        ("0..64 x2", "start above 0"),
        ("1..1G", "has 1,000,000,000 values"),
        ("1..1e300 x1.0001", "more than 100,000 values"),
        ("0.5..3", "whole numbers"),
        ("a..b", "'a' is no number"),
        ("1..", "expected a range"),
        ("..4", "expected a range"),
        ("1..4 x", "expected a range"),
        ("1...4", "expected a range"),
    ],
)
def test_bad_ranges_say_why(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        expand(text)
