"""What one check found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"  # jobs run, but not as well, or not in every case
    PROBLEM = "problem"  # something that was asked for does not work


@dataclass(frozen=True)
class Finding:
    """One row of the table.

    Args:
        found: what there is, in one line.
        mend: what to do about it, in one line; "" where nothing is to be done.
    """

    check: str
    state: State
    found: str
    mend: str = ""

    def as_json(self) -> dict[str, str]:
        return {**vars(self), "state": str(self.state)}


def ok(check: str, found: str) -> Finding:
    return Finding(check, State.OK, found)


def warning(check: str, found: str, mend: str) -> Finding:
    return Finding(check, State.WARNING, found, mend)


def problem(check: str, found: str, mend: str) -> Finding:
    return Finding(check, State.PROBLEM, found, mend)


def unreadable(check: str, error: OSError) -> Finding:
    """A problem that the system tells."""
    where = f"{error.filename}: " if error.filename is not None else ""
    found = f"{where}{error.strerror or type(error).__name__}"
    return problem(check, found, "see that you may read it (`ls -ld`), or name another place")


def told(check: str, line: str, mend: str = "see the site file") -> Finding:
    """A problem that a message tells, with its mend behind the first semicolon.

    Args:
        mend: for a message without one.
    """
    found, _, own = line.partition("; ")
    return problem(check, found, own or mend)
