"""What a cluster does to a running job, and that the job ends as if nothing had happened."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest
from desk import SITE, Desk, attempts
from stubbed import Bench, records, wait_until

pytestmark = pytest.mark.slurm

ONE = ("--only", "p=8", "--no-watch")
STEPS = {"steps": 300, "pause": 0.05}  # a quarter of a minute
TOKENIZER = "tokenizer-64x1-64x1-p8-c4"


@pytest.fixture
def expected(new_bench: Callable[..., Bench]) -> dict[str, str]:
    """The same jobs, undisturbed and in one process."""
    bench = new_bench("undisturbed")
    bench.behave(tokenizer={**STEPS, "pause": 0})
    site = bench.root.path.parent / "site.yaml"
    site.write_text("scheduler: inline\n")
    done = bench.cli("launch", bench.sweep(), *ONE, VITOK_SITE=str(site))
    assert done.returncode == 0, done.stderr
    return Desk(bench, None).weights()  # type: ignore[arg-type]


def launched(desk: Desk, pause: float = 0.05) -> str:
    """The id of the one tokenizer job, once it has taken some steps.

    The floor is at work by then, or done: what a warning finds still starting is lost.
    """
    desk.bench.behave(tokenizer={**STEPS, "pause": pause})
    done = desk.launch(desk.bench.sweep(), *ONE)
    assert done.returncode == 0, done.stderr
    (task,) = desk.cluster.wait_running("tokenizer@")
    folder = desk.bench.folder("tokenizer")
    wait_until(lambda: len(list(folder.checkpoints.glob("1/step-*.pt"))) > 3, 60)
    wait_until(lambda: "floor" in [r["kind"] for r in desk.bench.trace("began")], 60)
    return task


def finished(desk: Desk, expected: dict[str, str], tries: int = 2) -> None:
    """All is done, the tokenizer in so many attempts, each job once, with the expected weights."""
    desk.wait(180, done=3)
    assert desk.weights() == expected
    assert desk.ended() == dict.fromkeys(expected, 1)
    assert len(attempts(desk.bench.folder("tokenizer"))) == tries
    resumed = [r for r in records(desk.bench.folder("tokenizer"), tries) if r["event"] == "resumed"]
    assert resumed
    assert resumed[0]["step"] > 0
    desk.check()


def test_the_time_limit_checkpoints_and_goes_on(desk: Desk, expected: dict[str, str]) -> None:
    # Slurm looks at limits every 30 s, and may warn so much earlier: 20 to 50 s after the start of
    # this minute, when the job has long been at work. Half a minute's warning would reach some
    # tasks before they can take it.
    desk.site.write_text(SITE.replace("hours: 1", "hours: 0.016")
                         + "slurm: {signal_seconds: 10}\n")  # fmt: skip
    desk.bench.behave(tokenizer={**STEPS, "pause": 0.2})
    done = desk.launch(desk.bench.sweep(), *ONE)
    assert done.returncode == 0, done.stderr
    folder = desk.bench.folder("tokenizer")
    wait_until(lambda: "tokenizer" in [r["kind"] for r in desk.bench.trace("began")], 90)
    desk.bench.behave(
        tokenizer={**STEPS, "pause": 0}
    )  # the second attempt is over before a warning
    desk.wait(240, done=3)
    assert desk.weights() == expected
    first = records(folder, 1)[-1]
    assert first["event"] == "preempted"
    assert first["step"] > 0
    assert len(attempts(folder)) == 2
    assert len(desk.batches()) == 3  # requeued, not submitted anew


@pytest.mark.parametrize("partition", ["main", "sudden"])
def test_preempted_jobs_go_on(desk: Desk, expected: dict[str, str], partition: str) -> None:
    """`main` warns and grants some seconds, `sudden` kills at once."""
    desk.site.write_text(SITE.replace("hours: 1", f"hours: 1, partition: {partition}"))
    launched(desk)
    other = desk.cluster.submit("-p", "high", "--exclusive", "-N", "3", wrap="sleep 5")
    try:
        wait_until(lambda: not [j for j, _, _ in desk.cluster.jobs() if j == other], 90)
    finally:
        subprocess.run(["scancel", other], check=False)
    finished(desk, expected)
    if partition == "main":
        assert records(desk.bench.folder("tokenizer"), 1)[-1]["event"] == "preempted"


def test_an_admins_requeue(desk: Desk, expected: dict[str, str]) -> None:
    task = launched(desk)
    desk.cluster.run("scontrol", "requeue", task)
    assert desk.job(TOKENIZER)["state"] in ("submitted", "running", "done")
    finished(desk, expected)


def test_a_killed_process_is_lost_and_taken_up_by_the_next_launch(
    desk: Desk, expected: dict[str, str]
) -> None:
    launched(desk)
    pid = records(desk.bench.folder("tokenizer"), 1)[0]["pid"]
    desk.cluster.run("kill", "-9", str(pid))
    wait_until(lambda: desk.job(TOKENIZER)["state"] == "lost", 60)
    assert "lost" in desk.cli("why", TOKENIZER).stdout
    wait_until(
        lambda: desk.job(TOKENIZER.replace("tokenizer", "reconstruct"))["state"] == "blocked", 60
    )
    assert desk.launch(desk.bench.sweep(), *ONE).returncode == 0
    finished(desk, expected)


def test_a_dead_node_comes_back_and_its_orphan_stops_by_itself(
    desk: Desk, expected: dict[str, str]
) -> None:
    task = launched(desk, pause=1)  # long enough for Slurm to give the node up
    desk.bench.behave(tokenizer=STEPS)
    node = desk.cluster.node_of(task)
    orphan = records(desk.bench.folder("tokenizer"), 1)[0]["pid"]
    desk.cluster.kill(f"slurmd.{node}")
    try:
        folder = desk.bench.folder("tokenizer")
        wait_until(lambda: len(attempts(folder)) == 2, 240)
        # The orphan sees at its next step that a newer attempt owns the folder.
        wait_until(lambda: records(folder, 1)[-1]["event"] == "preempted", 60)
        assert "newer attempt" in records(folder, 1)[-1]["reason"]
        wait_until(lambda: subprocess.run(["kill", "-0", str(orphan)], check=False,
                                          capture_output=True).returncode != 0)  # fmt: skip
        finished(desk, expected)
    finally:
        desk.cluster.mend()
