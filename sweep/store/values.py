"""Journal values as the database takes them. A value of the wrong type makes its record unreadable.

Nothing here may pass on what a driver would refuse: one bad line must not stop everybody's sync.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

LARGEST = 2**63 - 1
_NON_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}

T = TypeVar("T")


class Unreadable(ValueError):  # noqa: N818  (a line's fate, not a failure)
    """A record without a field it needs, or with a value of the wrong type."""


def real(value: Any) -> float | None:
    """A float; not-a-number becomes None (NULL), as SQLite would make it."""
    if isinstance(value, str) and value in _NON_FINITE:
        value = _NON_FINITE[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unreadable(f"{value!r} is not a number")
    try:
        number = float(value)
    except OverflowError:
        raise Unreadable("a number out of range") from None
    return None if math.isnan(number) else number


def whole(value: Any) -> int:
    """An integer that fits 64 bits."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > LARGEST:
        raise Unreadable(f"{value!r} is not an integer")
    return value


def line(value: Any) -> str:
    """A string without NUL and lone surrogates, which no database takes."""
    if not isinstance(value, str):
        raise Unreadable(f"{value!r} is not a string")
    if value.isascii() and "\0" not in value:
        return value
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def maybe(read: Callable[[Any], T], value: Any) -> T | None:
    """As `read`, but None for what is missing or of the wrong type."""
    try:
        return None if value is None else read(value)
    except Unreadable:
        return None


def needed(read: Callable[[Any], T], record: Mapping[str, Any], key: str) -> T:
    """As `read` of one field that must be there."""
    if key not in record:
        raise Unreadable(f"no field {key!r}")
    return read(record[key])


def as_json(value: Any) -> str | None:
    """A structure kept as JSON text; None stays None."""
    return None if value is None else line(json.dumps(value, separators=(",", ":")))
