"""kill -9 of writers and of syncing processes: nothing is lost and nothing is taken twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from databases import Databases
from journalled import Lab, journalled_metrics, line, rows, stored_metrics
from sqlalchemy import event

from sweep.store import sync
from sweep.store.check import check


@pytest.fixture
def lab(tmp_path: Path, databases: Databases) -> Lab:
    return Lab(tmp_path / "results", databases.new())


_WRITER = """
import sys, time
from pathlib import Path
from sweep.journal import Journal
journal = Journal(Path(sys.argv[1]))
journal.write("started", host="h", pid=1)
step = 0
while True:
    step += 1
    journal.write("metric", step=step, name="loss", value=1.0 / step)
    if step % 50 == 0:
        journal.write("result", name="psnr", value=float(step), protocol="p")
"""
_SYNCER = """
import sys
from pathlib import Path
from sweep.layout import Root
from sweep.store import open_store, sync
root = Root(Path(sys.argv[1]))
store = open_store(root, sys.argv[2])
while True:
    sync(store, root)
"""


def _start(code: str, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)])


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("seed", [1, 2])
def test_kill_9_of_writers_and_syncers_loses_and_doubles_nothing(lab: Lab, seed: int) -> None:
    chance = random.Random(seed)
    lab.job("a")
    syncers = [_start(_SYNCER, lab.root.path, lab.db) for _ in range(2)]
    try:
        for attempt in range(1, 7):
            journal = lab.folder("a").journals / f"{attempt}.jsonl"
            writer = _start(_WRITER, journal)
            _wait_until(lambda path=journal: path.exists() and path.stat().st_size > 200)
            time.sleep(chance.uniform(0, 0.1))
            victim = chance.randrange(2)
            _kill(syncers[victim])
            syncers[victim] = _start(_SYNCER, lab.root.path, lab.db)
            time.sleep(chance.uniform(0, 0.1))
            _kill(writer)
    finally:
        for process in syncers:
            _kill(process)
    store = lab.open()
    seen = stored_metrics(store)
    sync(store, lab.root)
    truth = journalled_metrics(lab.root)
    assert truth.total() > 100
    assert not seen - truth  # what the dead had taken in is true
    assert stored_metrics(store) == truth
    assert check(store, lab.root) == []


def _wait_until(true: Callable[[], bool], patience: float = 30.0) -> None:
    end = time.monotonic() + patience
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_sync_killed_at_any_statement_leaves_rows_and_offset_together(lab: Lab) -> None:
    """Fail at the n-th write to the database, for every n until none fails."""
    lab.job("a")
    lab.sweep("demo", {"p1": ["a"]})
    lab.claim("a")
    lab.write("a", 1, *(line("metric", step=s, name="loss", value=1.0) for s in range(9)))
    died = 0
    while _sync_dying_at(lab, died + 1):
        died += 1
        store = lab.open()
        whole = rows(store, "SELECT COUNT(*) FROM metrics") == [(9,)]
        assert whole == bool(rows(store, "SELECT 1 FROM offsets WHERE path LIKE '%journal%'"))
    assert died > 5
    store = lab.open()
    assert stored_metrics(store) == journalled_metrics(lab.root)
    assert check(store, lab.root) == []


def _sync_dying_at(lab: Lab, statement: int) -> bool:
    """Sync in a child that dies without a word after so many statements; False: it got through."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
    left = [statement]

    def count(*_: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            os._exit(9)

    try:
        store = lab.open()
        event.listen(store.engine, "after_cursor_execute", count)
        sync(store, lab.root)
    finally:
        os._exit(0 if left[0] > 0 else 8)


def test_many_callers_at_once(lab: Lab) -> None:
    for job in range(20):
        lab.job(f"{job:x}a")
        lab.write(f"{job:x}a", 1, *(line("metric", step=s, name="l", value=1.0) for s in range(99)))
    code = _SYNCER.replace("while True:", "for _ in range(3):")
    processes = [_start(code, lab.root.path, lab.db) for _ in range(8)]
    assert [process.wait() for process in processes] == [0] * 8
    store = lab.open()
    assert stored_metrics(store) == journalled_metrics(lab.root)
