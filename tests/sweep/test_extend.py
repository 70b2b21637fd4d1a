"""`extend`: more seeds of a launched sweep, and of what is there nothing anew."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from stubbed import SWEEP, Bench, ends
from sweepfiles import SMALL, write

from sweep.planning.extend import extended
from sweep.planning.plan import plan_file, plan_of
from sweep.spec.read import read
from vitok_core.errors import UserError

INLINE = ("--scheduler", "inline")
SEVERAL = SWEEP.replace("CHAIN", "true") + "include:\n  - {tokenizer.patch: 32, seeds: [4]}\n"


def points(bench: Bench) -> dict[str, list[Any]]:
    done = bench.cli("query", "SELECT point_id, slug, p, seed FROM points", "--json")
    return {row["point_id"]: list(row.values()) for row in json.loads(done.stdout)}


def test_new_seeds_run_and_what_is_there_stays(bench: Bench) -> None:
    file = bench.sweep(chain=True)
    assert bench.cli("launch", file, *INLINE, "--set", "train.steps=6").returncode == 0
    before, jobs = points(bench), set(bench.root.job_folders())
    Path(file).unlink()  # as it was launched, whatever becomes of its file

    dry = bench.cli("extend", "stub", "--seeds", "2", "--dry-run", *INLINE)
    assert (dry.returncode, points(bench)) == (0, before), dry.stderr
    assert len(dry.stdout.split()) == 8  # a floor has no seed

    done = bench.cli("extend", "stub", "--seeds", "2", "--yes", *INLINE)
    assert done.returncode == 0, done.stderr
    assert "stub: 4 new points, seeds 1, 2" in done.stderr
    assert "write `seeds: [0, 1, 2]` there" in done.stderr
    after = points(bench)
    assert before.items() <= after.items()
    assert sorted(row[3] for row in after.values()) == [0, 0, 1, 1, 2, 2]
    assert jobs < set(bench.root.job_folders())
    assert all(attempts == ["finished"] for attempts in ends(bench.root).values())
    assert len(bench.order()) == 6 + 8

    again = bench.cli("extend", "stub", "--seeds", "0", *INLINE)
    assert again.returncode == 3, again.stderr
    assert bench.cli("db", "check").returncode == 0


def test_seeds_written_into_the_file_are_the_same_points(bench: Bench) -> None:
    file = bench.sweep(chain=True)
    bench.cli("launch", file, *INLINE)
    bench.cli("extend", "stub", "--seeds", "1", *INLINE)
    Path(file).write_text(SWEEP.replace("CHAIN", "true") + "seeds: [0, 1]\n")
    assert bench.cli("launch", file, *INLINE).returncode == 3


def test_a_failed_extension_is_launched_again(bench: Bench) -> None:
    bench.cli("launch", bench.sweep(chain=True), *INLINE)
    bench.behave(tokenizer={"fail_at": 2})
    failed = bench.cli("extend", "stub", "--seeds", "1", *INLINE)
    assert failed.returncode == 4
    again = "`vitok-sweep retry JOB` and `vitok-sweep extend stub --seeds 0`"
    assert again in failed.stderr
    bench.behave()
    bench.cli("retry", "stub")
    assert bench.cli("extend", "stub", "--seeds", "0", *INLINE).returncode == 0
    assert len(points(bench)) == 4


WATCHED = """
import subprocess, sys
from sweep.cli import app, tending

def watch(plan, root, store, command, given):
    given.again(frozenset())  # a wave
    code = "from sweep.cli.app import main; main()"
    extend = ["extend", "stub", "--seeds", "1", "--scheduler", "inline", "--yes"]
    subprocess.run([sys.executable, "-c", code, *extend], check=True)
    given.again(frozenset())  # the next

tending.watch_launch = watch
app.main()
"""


def test_the_waves_of_a_watching_launch_leave_an_extension_alone(bench: Bench) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, "launch", bench.sweep(chain=True), "--scheduler", "local"],
        env={**os.environ, "PYTHONPATH": str(bench.code), "PYTHONSAFEPATH": "1",
             "VITOK_RESULTS": str(bench.root.path)},
        cwd=bench.root.path.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sorted(row[3] for row in points(bench).values()) == [0, 0, 1, 1]


def test_an_unknown_sweep_gets_the_nearest(bench: Bench) -> None:
    bench.cli("launch", bench.sweep(chain=True), *INLINE, "--only", "p=16")
    done = bench.cli("extend", "stubb", "--seeds", "1")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no sweep 'stubb'; nearest: stub" in done.stderr


def test_seeds_follow_the_largest_of_any_point(tmp_path: Path) -> None:
    plan = plan_file(write(tmp_path, SEVERAL))
    assert sorted(point.seed for point in plan.points) == [0, 0, 4]
    found = extended(plan.sweep, plan.file, plan.document, 2)
    assert (found.seeds, found.new, found.only) == ((0, 5, 6), (5, 6), "seed=5|6")
    more = plan_of(read(found.document))
    assert sorted(point.seed for point in more.points) == [0, 0, 4, 5, 5, 6, 6]
    assert {point.id for point in plan.points} <= {point.id for point in more.points}
    assert {job.id for job in plan.jobs} <= {job.id for job in more.jobs}


@pytest.mark.parametrize("name", ["quickstart", "bottleneck_256p", "mini_loss_tradeoff"])
def test_a_registration_reads_back_as_the_same_plan(name: str) -> None:
    plan = plan_file(name)
    journalled = json.loads(json.dumps(plan.document))
    again = plan_of(read(extended(plan.sweep, plan.file, journalled, 0).document))
    assert again.points == plan.points
    assert again.jobs == plan.jobs
    assert json.loads(json.dumps(again.document)) == journalled


def test_points_with_seeds_of_their_own_alone_are_refused(tmp_path: Path) -> None:
    text = SWEEP.replace("CHAIN", "true").replace(
        "axes:\n  tokenizer.patch: [8, 16]", "include:\n  - {tokenizer.patch: 8, seeds: [0, 1]}"
    )
    plan = plan_file(write(tmp_path, text))
    with pytest.raises(UserError, match="seeds of its own in `include`"):
        extended(plan.sweep, plan.file, plan.document, 1)


def test_more_seeds_than_a_sweep_has_points_are_refused(tmp_path: Path) -> None:
    document = plan_file(write(tmp_path, SMALL)).document
    with pytest.raises(UserError, match="--seeds 1000000000000: at most 100,000 points"):
        extended("sweep", "sweep.yaml", document, 10**12)
