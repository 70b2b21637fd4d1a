"""Which processes belong to a submission, and how seldom the process table is searched."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from stubbed import Bench, wait_until

from sweep.schedulers.local import LocalScheduler
from sweep.schedulers.processes import Living, processes
from sweep.schedulers.queue import Limits


def test_somebody_elses_command_in_the_run_folder_is_no_job(tmp_path: Path) -> None:
    """Only submitit's own processes count, and only living ones."""
    run = tmp_path / "logs" / "s.1"
    run.mkdir(parents=True)
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    watching = subprocess.Popen([*sleep, str(run)])
    acting = subprocess.Popen([*sleep, "submitit.core._submit", str(run)])
    living = Living()
    try:
        wait_until(lambda: processes({"s.1": run})["s.1"])
        time.sleep(0.2)
        assert [p.pid for p in processes({"s.1": run, "s.2": tmp_path})["s.1"]] == [acting.pid]
        assert [p.pid for p in living.of({"s.1": run})["s.1"]] == [acting.pid]
        acting.send_signal(signal.SIGKILL)
        wait_until(lambda: psutil.Process(acting.pid).status() == psutil.STATUS_ZOMBIE)
        assert living.of({"s.1": run}) == {"s.1": []}
    finally:
        for process in (watching, acting):
            process.kill()
            process.wait()


def test_a_look_does_not_search_the_process_table(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.behave(all={"steps": 10_000, "pause": 0.05})
    scheduler = LocalScheduler(bench.root, Limits(1), bench.code)
    ids = scheduler.submit([bench.submission(bench.job("job"))])
    wait_until(lambda: bench.trace("began"))
    searched = []
    search = psutil.process_iter
    monkeypatch.setattr(psutil, "process_iter", lambda: searched.append(1) or search())
    scheduler.poll(ids)
    assert not searched  # a living supervisor knows
    own = Living()
    runs = {entry.id: entry.run for entry in scheduler.queue.entries()}
    for _ in range(3):
        assert own.of(runs)
    assert len(searched) == 1
