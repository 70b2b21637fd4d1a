"""Machines whose clocks differ: what was decided last holds, whatever its time says."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from journalled import Lab, line

from sweep.cli.control import cancel, retry
from sweep.launch import observe
from sweep.reconcile import State

AHEAD = 3600.0  # seconds: the node's clock


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path / "results")
    made.job("aaaa")
    made.sweep("one", {"p": ["aaaa"]})
    return made


def started(**fields: Any) -> bytes:
    return line("started", time.time() + AHEAD, attempt=1, host="far", **fields)


def state(lab: Lab) -> State:
    store = lab.synced()
    return observe(lab.root, store, ["aaaa"]).states["aaaa"].state


def test_a_retry_counts_after_a_failure_on_a_node_whose_clock_is_ahead(lab: Lab) -> None:
    lab.write("aaaa", 1, started(), line("failed", time.time() + AHEAD + 1, message="no"))
    assert state(lab) is State.FAILED
    retry(["aaaa"], lab.root.path, None)
    assert state(lab) is State.PLANNED


def test_a_cancel_counts_after_a_start_on_such_a_node(lab: Lab) -> None:
    lab.write("aaaa", 1, started())
    assert state(lab) is State.UNKNOWN
    cancel(["aaaa"], lab.root.path, None)
    assert state(lab) is State.CANCELLED
    retry(["aaaa"], lab.root.path, None)
    assert state(lab) is State.PLANNED
