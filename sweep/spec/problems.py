"""Errors of a file a user wrote: collected, put in order, reported all at once.

Every line reads `file:line: field: what was expected; the nearest valid name`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from vitok_core.errors import UserError

_MOST_LINES = 40  # a file with more mistakes than this has one mistake many times
_LONGEST_VALUE = 60


class SpecError(UserError):
    """A sweep or site file is wrong. The message has one line per error."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [str(problem) for problem in self.problems[:_MOST_LINES]]
        if len(self.problems) > _MOST_LINES:
            lines.append(f"... and {len(self.problems) - _MOST_LINES} more errors")
        super().__init__("\n".join(lines))


@dataclass(frozen=True, order=True)
class Mark:
    """Where something was written: a file and a line (from 1), or an option of the command line."""

    place: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.place}:{self.line}" if self.line else self.place


@dataclass(frozen=True, order=True)
class Problem:
    """One error: where, which field, what was expected."""

    mark: Mark
    field: str
    message: str

    def __str__(self) -> str:
        field = f"{self.field}: " if self.field else ""
        return f"{self.mark}: {field}{self.message}"


class Problems:
    """Collects problems while a file is read; `check` raises them together."""

    def __init__(self) -> None:
        self._found: dict[Problem, None] = {}  # a dict: in order, without repeats

    def add(self, mark: Mark, field: str, message: str) -> None:
        self._found[Problem(mark, field, message)] = None

    def __bool__(self) -> bool:
        return bool(self._found)

    def check(self) -> None:
        """Raise SpecError if anything was found."""
        if self._found:
            raise SpecError(sorted(self._found))


def fail(mark: Mark, field: str, message: str) -> SpecError:
    """An error that leaves nothing more to read."""
    return SpecError([Problem(mark, field, message)])


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean …?`, or the list of what is known when nothing is near and it is short."""
    names = list(known)
    near = nearest_name(name, names)
    if near is not None:
        return f"; did you mean {near}?"
    if names and len(names) <= 16:
        return f"; known: {', '.join(names)}"
    return ""


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, by whole name or by the last part of a dotted one."""
    names = list(known)
    lowered = {each.lower(): each for each in reversed(names)}
    close = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    if close:
        return lowered[close[0]]
    tails = {each.rpartition(".")[2].lower(): each for each in reversed(names)}
    close = difflib.get_close_matches(name.rpartition(".")[2].lower(), tails, n=1, cutoff=0.7)
    return tails[close[0]] if close else None


def shown(value: Any) -> str:
    """A value as it stands in YAML, cut to fit on a line of an error message."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        text = "a mapping" if value else "an empty mapping"
    elif isinstance(value, list | tuple):
        text = f"[{', '.join(shown(item) for item in value[:6])}{', ...' * (len(value) > 6)}]"
    elif isinstance(value, str):
        text = f"'{_on_one_line(value)}'"
    else:
        text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."


def _on_one_line(text: str) -> str:
    """Line breaks and control characters as escapes: a message is one line."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
