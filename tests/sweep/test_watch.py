"""Watching: what is printed where there is no terminal, and when it ends."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from rich.console import Console

from sweep import watch as module
from sweep.reconcile import State
from sweep.status import JobStatus, Progress
from sweep.watch import is_over, share_done, troubled, watch


def job(name: str, state: State, percent: float | None = None, reason: str = "") -> JobStatus:
    progress = None if percent is None else Progress(percent, 100, "steps", percent, None, None)
    return JobStatus(f"id{name}", name, "floor", state, 1, None, progress, reason)


def watched(monkeypatch: pytest.MonkeyPatch, looks: Sequence[list[JobStatus]], terminal: bool
            ) -> tuple[list[JobStatus], str]:  # fmt: skip
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=100, height=30)
    remaining = iter(looks)
    last = watch(lambda: next(remaining), console)
    assert list(remaining) == []
    return last, out.getvalue()


LOOKS = [
    [job("a", State.SUBMITTED), job("b", State.SUBMITTED)],
    [job("a", State.RUNNING, 50), job("b", State.SUBMITTED)],
    [job("a", State.DONE), job("b", State.RUNNING)],
    [job("a", State.DONE), job("b", State.FAILED, 10, "ValueError: [red]\nmore")],
]


def test_plain_lines_name_every_change(monkeypatch: pytest.MonkeyPatch) -> None:
    last, out = watched(monkeypatch, LOOKS, terminal=False)
    assert last == LOOKS[-1]
    assert out.splitlines() == [
        "running: a-ida", "done: a-ida", "running: b-idb",
        "failed: b-idb (ValueError: [red])", "2 jobs: 1 done, 1 failed",
    ]  # fmt: skip


def test_a_terminal_shows_a_table_and_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    last, out = watched(monkeypatch, LOOKS, terminal=True)
    assert last == LOOKS[-1]
    assert "failed" in out
    assert "1/2" in out.replace(" ", "") or "1.0/2" in out.replace(" ", "")


def test_the_end_and_its_trouble() -> None:
    ended = [job(str(state), state) for state in State if state not in module.ACTIVE]
    assert is_over(ended)
    assert is_over([])
    for state in module.ACTIVE:
        assert not is_over([*ended, job("active", state)])
    assert {each.state for each in troubled(ended)} == {
        State.FAILED, State.LOST, State.BLOCKED, State.UNKNOWN, State.CANCELLED,
    }  # fmt: skip


def test_a_running_job_counts_by_its_progress() -> None:
    assert share_done(job("a", State.DONE)) == 1
    assert share_done(job("a", State.RUNNING, 25)) == 0.25
    assert share_done(job("a", State.RUNNING, 250)) == 1
    assert share_done(job("a", State.RUNNING)) == 0
    assert share_done(job("a", State.FAILED, 99)) == 0
