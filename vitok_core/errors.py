"""The one exception hierarchy of the project.

A `UserError` is something that the user can mend (a bad file, a missing path): the command line
prints its message as one line and exits with its code. Everything else is a bug and keeps its
traceback.
"""

from __future__ import annotations


class UserError(Exception):
    """Bad input or a bad environment; the message says where, what was expected and what to do."""

    exit_code = 2


class Stopped(Exception):  # noqa: N818  (a control-flow signal, not a failure)
    """A job stopped before its end because it was asked to; it resumes from its checkpoint."""

    def __init__(self, reason: str, step: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.step = step
