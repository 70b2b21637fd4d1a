"""Numbers and ranges as people write them: `1e-4`, `20k`, `4M`, `4..64 x2`, `1..5`.

Plain YAML scalars mean what a reader takes them for. YAML 1.1, which PyYAML implements, reads
`1e-4` as text, `010` as 8, `1:30` as 90 and `no` as false; none of that happens here. A quoted
scalar is always text. `on/off/yes/no` stay text until a field wants true or false (`fields`).
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

LARGEST = 2**53 - 1  # whole numbers beyond it are not exact in JSON
MOST_ITEMS = 100_000

_SUFFIXES = {"k": 1_000, "M": 1_000_000, "G": 1_000_000_000}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*(_[0-9]+)*)")
_FLOAT = re.compile(r"[-+]?(([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)")
_SUFFIXED = re.compile(r"([-+]?[0-9]+(?:\.[0-9]+)?)([kMG])")
_RANGE = re.compile(r"(?P<low>\S*?[^\s.])\.\.(?P<high>[^\s.][^\s]*)(?:\s+x\s*(?P<ratio>\S+))?")
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_MOST_DIGITS = 400  # longer than any float: not a number that anybody meant


class Text(str):
    """A quoted scalar: text, whatever it looks like."""

    __slots__ = ()


def scalar(text: str) -> Any:
    """The value of an unquoted YAML scalar."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    number = parse_number(text)
    return text if number is None else number


def parse_number(text: str) -> int | float | None:
    """`12`, `1e-4`, `20k`, `1.5M`; None if the text is no number."""
    if len(text) > _MOST_DIGITS:
        return None
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    match = _SUFFIXED.fullmatch(text)
    if match is None:
        return None
    value = Decimal(match[1]) * _SUFFIXES[match[2]]
    return int(value) if value == value.to_integral_value() else float(value)


def looks_like_range(value: Any) -> bool:
    """Whether a value is text such as `4..64 x2` (right or wrong)."""
    return isinstance(value, str) and not isinstance(value, Text) and ".." in value


def expand(text: str) -> list[int | float]:
    """The values of `low..high` (steps of 1) or `low..high xR` (each R times the last).

    Raises ValueError with what was expected.
    """
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"expected a range such as 4..64 x2 or 1..5, got '{text}'")
    low, high = _number(match["low"], text), _number(match["high"], text)
    ratio = _number(match["ratio"], text) if match["ratio"] else None
    if low > high:
        raise ValueError(f"range '{text}' runs backwards: write the smaller end first")
    if ratio is None:
        return _counted(low, high, text)
    if low <= 0 or ratio <= 1:
        raise ValueError(f"range '{text}' needs a start above 0 and a factor above 1")
    return _multiplied(low, high, ratio, text)


def _number(part: str, text: str) -> Decimal:
    number = parse_number(part)
    if number is None:
        raise ValueError(
            f"expected a range such as 4..64 x2 or 1..5, got '{text}' ('{part}' is no number)"
        )
    return Decimal(str(number))


def _counted(low: Decimal, high: Decimal, text: str) -> list[int | float]:
    if low % 1 or high % 1:
        raise ValueError(f"range '{text}' counts by 1: its ends must be whole numbers")
    if high - low + 1 > MOST_ITEMS:
        raise ValueError(f"range '{text}' has {int(high - low) + 1:,} values; at most 100,000")
    return list(range(int(low), int(high) + 1))


def _multiplied(low: Decimal, high: Decimal, ratio: Decimal, text: str) -> list[int | float]:
    values: list[Decimal] = [low]
    # Decimal keeps 1e-4 x10 at 0.001 exactly; floats would drift and change identities.
    while values[-1] * ratio <= high and len(values) <= MOST_ITEMS:
        values.append(values[-1] * ratio)
    if len(values) > MOST_ITEMS:
        raise ValueError(f"range '{text}' has more than 100,000 values")
    if values[-1] != high:
        raise ValueError(
            f"range '{text}' does not end on {_plain(high)}: its last value is {_plain(values[-1])}"
        )
    return [_plain(value) for value in values]


def _plain(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)
