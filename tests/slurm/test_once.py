"""Submission exactly once: launchers that race, die at any call, or get no answer from sbatch."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections import Counter
from pathlib import Path

import pytest
from desk import SITE, Desk
from stubbed import wait_until

pytestmark = pytest.mark.slurm

# Loaded by every Python process of a launch: kills the process at its n-th effect.
DYING = """\
import os, signal, sys

_at = int(os.environ.get("VITOK_TEST_DIE_AT", "0"))
_root = os.environ.get("VITOK_RESULTS", "")
_count = 0

def _hook(event, arguments):
    global _count
    if event == "subprocess.Popen":
        hit = "sbatch" in str(arguments[0])
    elif event == "open":
        hit = isinstance(arguments[2], int) and arguments[2] & (os.O_CREAT | os.O_WRONLY)
        hit = hit and str(arguments[0]).startswith(_root)
    else:
        hit = event in ("os.link", "os.rename", "os.mkdir") and _root in str(arguments)
    if hit:
        _count += 1
        if _count == _at:
            os.kill(os.getpid(), signal.SIGKILL)

if _at:
    sys.addaudithook(_hook)
try:
    from sweep.schedulers.slurm import polling
    polling._SUBMITTING = 3.0
except ImportError:
    pass
"""

SBATCH = """\
#!/bin/sh
{before}
{sbatch} "$@"{output}
code=$?
{after}
exit $code
"""


def hooked(desk: Desk, folder: Path) -> dict[str, str]:
    """The environment in which launchers die as told, and wait less before they believe."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(DYING)
    return {"PYTHONPATH": f"{desk.bench.code}{os.pathsep}{folder}"}


def wrapped(folder: Path, before: str = "", after: str = "", output: str = "") -> dict[str, str]:
    """The environment in which sbatch does more than it says."""
    folder.mkdir(exist_ok=True)
    real = shutil.which("sbatch")
    script = folder / "sbatch"
    script.write_text(SBATCH.format(sbatch=real, before=before, after=after, output=output))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def runs_by_task(desk: Desk) -> Counter[str]:
    """How many Slurm jobs there were for each (batch's name, index)."""
    names = {batch["tag"] for batch in desk.batches()}
    rows = [row for row in desk.cluster.accounted("@") if row[1] in names]
    return Counter(f"{name}_{job.rpartition('_')[2]}" for job, name, _ in rows)


def handed_over(desk: Desk) -> Counter[str]:
    """How many tasks of Slurm's each job was in, whatever they are called."""
    tasks = runs_by_task(desk)
    return Counter(
        job
        for batch in desk.batches()
        for index, members in batch["tasks"].items()
        if tasks[f"{batch['tag']}_{index}"]
        for member in members
        for job in member["folders"]
    )


def all_done_once(desk: Desk) -> None:
    assert desk.states() == {"done": 6}
    assert desk.ended() == dict.fromkeys(desk.weights(), 1)
    desk.cluster.settle()
    wait_until(lambda: sum(runs_by_task(desk).values()) >= 6, 60)
    # Every job was handed to Slurm once: no task twice, and no job in two tasks.
    assert set(runs_by_task(desk).values()) == {1}
    jobs = [path.name for path in desk.bench.root.jobs.iterdir()]
    assert handed_over(desk) == dict.fromkeys(jobs, 1)
    desk.check()


def test_two_launches_at_the_same_moment(desk: Desk, tmp_path: Path) -> None:
    """Two login nodes over one results root, each with a database of its own."""
    file = desk.bench.sweep()
    both = [
        desk.start("launch", file, "--yes", "--db", f"sqlite:///{tmp_path}/{n}.db")
        for n in range(2)
    ]
    for process in both:
        _, said = process.communicate(timeout=180)
        assert process.returncode in (0, 3), said
    desk.wait(done=6)
    all_done_once(desk)


# Tasks that Slurm holds back are still waiting when the next launch looks for them: it must find
# them by their names. Those that start at once have written their ids themselves by then.
LATER = "slurm: {options: {begin: now+20}}\n"
WHEN = pytest.mark.parametrize("site", ["", LATER], ids=["at once", "pending"])


@WHEN
@pytest.mark.parametrize(
    "batch", [0, *(pytest.param(n, marks=pytest.mark.longest) for n in (1, 2))]
)
def test_a_launcher_killed_at_any_call(desk: Desk, tmp_path: Path, batch: int, site: str) -> None:
    """Killed at its n-th effect on the disk or on Slurm, for a spread of n; the next ones mend."""
    desk.site.write_text(SITE + site)
    env = hooked(desk, tmp_path / "hook")
    file = desk.bench.sweep()
    died = 0
    for at in (3 + batch, 17 + 5 * batch, 40 + 6 * batch, 70 + 9 * batch, 95 + 2 * batch):
        process = desk.start("launch", file, "--yes", "--no-watch",
                             **env, VITOK_TEST_DIE_AT=str(at))  # fmt: skip
        process.communicate(timeout=120)
        died += process.returncode == -9
    assert died >= 2
    wait_until(lambda: _finish(desk, file, env), 180)
    all_done_once(desk)


@WHEN
def test_a_launcher_killed_around_each_sbatch(desk: Desk, tmp_path: Path, site: str) -> None:
    """Before Slurm hears of it, and after Slurm took it but before the launcher could read it."""
    desk.site.write_text(SITE + site)
    env = hooked(desk, tmp_path / "hook")
    file = desk.bench.sweep()
    kill = 'kill -9 "$PPID"'
    for before, after in ((kill + "; exit 1", ""), ("", kill)):
        wrap = wrapped(tmp_path / "bin", before, after)
        process = desk.start("launch", file, "--yes", "--no-watch", **env, **wrap)
        process.communicate(timeout=120)
        assert process.returncode == -9
    wait_until(lambda: _finish(desk, file, env), 180)
    all_done_once(desk)


def test_sbatch_times_out_though_slurm_took_the_job(desk: Desk, tmp_path: Path) -> None:
    said = "Batch job submission failed: Socket timed out on send/recv operation"
    after = f'echo "sbatch: error: {said}" >&2; exit 1'
    wrap = wrapped(tmp_path / "bin", after=after, output=" >/dev/null")
    done = desk.cli("launch", desk.bench.sweep(), "--yes", **wrap)
    assert done.returncode == 0, done.stderr
    all_done_once(desk)


def test_a_refused_array_leaves_no_claim_in_the_way(desk: Desk) -> None:
    good = desk.site.read_text()
    desk.site.write_text(good.replace("hours: 1", "hours: 1, partition: nowhere"))
    refused = desk.launch(desk.bench.sweep(), "--no-watch")
    assert refused.returncode == 2
    assert "nowhere" in refused.stderr or "partition" in refused.stderr
    assert desk.states()["unknown"] == desk.states()["submitted"] == 0
    desk.site.write_text(good)
    done = desk.launch(desk.bench.sweep())
    assert done.returncode == 0, done.stderr
    all_done_once(desk)


def _finish(desk: Desk, file: str, env: dict[str, str]) -> bool:
    """Launch again, as a user would; whether all is done."""
    done = desk.cli("launch", file, "--yes", **env)
    print(done.stderr, file=sys.stderr)  # noqa: T201
    return done.returncode in (0, 3) and desk.states() == {"done": 6}
