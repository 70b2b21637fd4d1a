"""The findings as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from sweep.doctor.finding import Finding, State

_STYLES = {State.OK: "green", State.WARNING: "yellow", State.PROBLEM: "bold red"}


def table(findings: Sequence[Finding]) -> Table:
    """One row for each, in the order of the checks."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    made.add_column("check", no_wrap=True)
    made.add_column("state", no_wrap=True)
    made.add_column("found", overflow="fold")
    made.add_column("mend", overflow="fold")
    for finding in findings:
        state = Text(str(finding.state), style=_STYLES[finding.state])
        made.add_row(finding.check, state, Text(finding.found), Text(finding.mend))
    return made
