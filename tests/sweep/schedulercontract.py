"""The scheduler contract: the tests that every back-end passes.

`test_schedulers.py` and `tests/slurm/test_contract.py` import them, each with a `driver` fixture.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from stubbed import Bench, events, records, wait_until

from sweep.claims import claim
from sweep.layout import JobFolder
from sweep.schedulers.base import Liveness, Scheduler, Submission

_PATIENCE = 120.0  # seconds


class Driver:
    """One back-end with what a test needs of it: to wait, and to cancel while a job runs.

    Args:
        forgotten: what it says of a claim of long ago, made on another machine, that it has no
            record of.
    """

    def __init__(
        self, bench: Bench, back_end: Scheduler, forgotten: Liveness = Liveness.UNKNOWN
    ) -> None:
        self.bench = bench
        self.back_end = back_end
        self.name = back_end.name
        self.forgotten = forgotten

    def claimed(self, submissions: Sequence[Submission]) -> list[Submission]:
        """As `launch` does before it submits."""
        for submission in submissions:
            for folder in submission.folders:
                given = submission.resources.model_dump()
                claim(JobFolder(folder), {"submission": submission.id, "resources": given})
        return list(submissions)

    def run(self, *submissions: Submission) -> Mapping[str, str]:
        """Submit and wait until all of it is over."""
        ids = self.back_end.submit(self.claimed(submissions))
        self.wait_over(ids)
        return ids

    def liveness(self, ids: Mapping[str, str]) -> dict[str, Liveness]:
        return {id: report.liveness for id, report in self.back_end.poll(ids).items()}

    def wait_over(self, ids: Mapping[str, str]) -> None:
        """Until nothing runs, or waits for more than a parent that failed."""

        def over() -> bool:
            reports = self.back_end.poll(ids).values()
            return all(report.liveness is Liveness.GONE or report.stuck for report in reports)

        wait_until(over, _PATIENCE)

    def meanwhile(self, submissions: Sequence[Submission], act: Callable[[], None]) -> None:
        """Submit, act once a job has begun, and wait for the end."""

        def later() -> None:
            wait_until(lambda: self.bench.trace("began"), _PATIENCE)
            act()

        thread = threading.Thread(target=later)
        thread.start()
        ids = self.back_end.submit(self.claimed(submissions))
        thread.join()
        self.wait_over(ids)


def test_a_job_of_several_processes_is_one_attempt(driver: Driver) -> None:
    bench = driver.bench
    job = bench.job("several", kind="tokenizer")
    driver.run(bench.submission(job, processes=2))
    assert sorted(each["rank"] for each in bench.trace("began")) == [0, 1]
    assert {each["size"] for each in bench.trace("began")} == {2}
    assert events(job).count("finished") == 1


def test_a_chain_runs_in_order_in_one_process(driver: Driver) -> None:
    bench = driver.bench
    first = bench.job("first")
    second = bench.job("second", first, kind="reconstruct")
    submission = bench.submission(first, second)
    ids = driver.run(submission)
    assert set(ids) == {submission.id}
    assert bench.order() == ["first", "second"]
    assert len({record["pid"] for record in bench.trace()}) == 1
    started = records(second)[0]
    assert (started["scheduler"], started["submission"]) == (driver.name, submission.id)


def test_dependencies_between_submissions(driver: Driver) -> None:
    bench = driver.bench
    bench.behave(first={"steps": 10, "pause": 0.02})
    first, other = bench.job("first"), bench.job("other")
    child = bench.job("child", first, kind="reconstruct")
    last = bench.job("last", child, kind="reconstruct")
    after = [bench.submission(child, after=(first,)), bench.submission(last, after=(child,))]
    driver.run(bench.submission(first), bench.submission(other), *after)
    order = bench.order()
    assert sorted(order) == ["child", "first", "last", "other"]
    assert order.index("first") < order.index("child") < order.index("last")


def test_children_of_a_failed_job_are_dropped(driver: Driver) -> None:
    bench = driver.bench
    bench.behave(first={"fail_at": 1})
    first, other = bench.job("first"), bench.job("other")
    child = bench.job("child", first, kind="reconstruct")
    last = bench.job("last", child, kind="reconstruct")
    driver.run(bench.submission(first), bench.submission(child, after=(first,)),
               bench.submission(last, after=(child,)), bench.submission(other))  # fmt: skip
    assert bench.order() == ["other"]
    assert events(first)[-1] == "failed"
    assert not child.journals.exists()
    assert not last.journals.exists()


def test_a_parent_that_is_done_holds_up_nobody(driver: Driver) -> None:
    bench = driver.bench
    first = bench.job("first")
    driver.run(bench.submission(first))
    driver.run(bench.submission(bench.job("child", first, kind="reconstruct"), after=(first,)))
    assert bench.order() == ["first", "child"]


def test_polls_follow_a_submission(driver: Driver) -> None:
    bench = driver.bench
    bench.behave(all={"steps": 30, "pause": 0.02})
    one = bench.submission(bench.job("one"))
    two = bench.submission(bench.job("two"), after=(JobFolder(one.folders[0]),))
    seen: list[Mapping[str, Liveness]] = []
    ids = {one.id: "", two.id: ""}  # as after a launcher that died before it recorded them
    driver.meanwhile([one, two], lambda: seen.append(driver.liveness(ids)))
    assert seen[0][one.id] is Liveness.RUNNING
    assert seen[0][two.id] in (Liveness.WAITING, Liveness.RUNNING)
    known = {one.id: "1", two.id: "2"}
    assert driver.liveness(known) == {one.id: Liveness.GONE, two.id: Liveness.GONE}


def test_polls_of_what_nobody_knows(driver: Driver) -> None:
    dead = f"{1_000:013d}-1-abcdef-{driver.bench.uid.split('-', 3)[3]}.1"
    far = f"{1_000:013d}-1-abcdef-another.host.1"
    found = driver.liveness({dead: "", far: ""})
    assert found == {dead: Liveness.GONE, far: driver.forgotten}
    assert driver.back_end.poll({}) == {}
    driver.back_end.cancel({dead: "", far: ""})


def test_a_cancelled_job_checkpoints_and_is_gone(driver: Driver) -> None:
    bench = driver.bench
    bench.behave(all={"steps": 10_000, "pause": 0.01})
    running, waiting = bench.job("running"), bench.job("waiting")
    one, two = bench.submission(running), bench.submission(waiting, after=(running,))
    driver.meanwhile([one, two], lambda: driver.back_end.cancel({one.id: "", two.id: ""}))
    assert events(running)[-2:] == ["checkpoint", "preempted"]
    assert records(running)[-1]["reason"] == "terminated"
    assert not waiting.journals.exists()

    # Submitted anew, it goes on where it was.
    step = records(running)[-1]["step"]
    bench.behave(all={"steps": step + 2})
    driver.run(bench.submission(running), bench.submission(waiting, after=(running,)))
    assert records(running, 2)[2]["step"] == step
    assert bench.order() == ["running", "waiting"]


def test_submitting_anew_after_a_failure(driver: Driver) -> None:
    bench = driver.bench
    bench.behave(all={"fail_at": 2})
    folder = bench.job("floor")
    driver.run(bench.submission(folder))
    bench.behave()
    driver.run(bench.submission(folder))
    assert [events(folder, attempt)[-1] for attempt in (1, 2)] == ["failed", "finished"]


def test_nothing_to_submit(driver: Driver) -> None:
    assert dict(driver.back_end.submit([])) == {}
