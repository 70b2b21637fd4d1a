"""The index: its schema, its views, what hides superseded rows, `db rebuild` and `db check`."""

from __future__ import annotations

from pathlib import Path

import pytest
from databases import Databases
from hypothesis import given
from hypothesis import strategies as st
from journalled import Lab, line, rows

from sweep.facts import Claim
from sweep.store import Store, sync
from sweep.store.lineage import Trace, shown
from sweep.store.names import one_job
from sweep.store.queries import facts, resolve_jobs, sweep_jobs
from vitok_core.errors import UserError


@pytest.fixture
def lab(tmp_path: Path, databases: Databases) -> Lab:
    return Lab(tmp_path / "results", databases.new())


def metrics(first: int, last: int) -> list[bytes]:
    return [line("metric", step=s, name="loss", value=float(s)) for s in range(first, last + 1)]


def resumed(step: int, attempt: int) -> bytes:
    return line("resumed", step=step, path=f"checkpoints/{attempt}/step-{step}.pt")


def curve(store: Store) -> list[tuple[int, int]]:
    return rows(store, "SELECT attempt, step FROM curves ORDER BY step, attempt")  # type: ignore[return-value]


def test_a_resumed_attempt_hides_what_came_after_its_checkpoint(lab: Lab) -> None:
    lab.job("a")
    lab.write("a", 1, *metrics(1, 6))
    lab.write("a", 2, resumed(4, 1), *metrics(5, 8))
    expected = [(1, step) for step in range(1, 5)] + [(2, step) for step in range(5, 9)]
    assert curve(lab.synced()) == expected


def test_rows_are_hidden_as_soon_as_the_next_attempt_resumes(lab: Lab) -> None:
    lab.job("a")
    lab.write("a", 1, *metrics(1, 6))
    store = lab.synced()
    assert len(curve(store)) == 6
    lab.write("a", 2, line("started"))
    sync(store, lab.root)
    assert len(curve(store)) == 6  # it may yet resume from the end
    lab.write("a", 2, resumed(2, 1))
    sync(store, lab.root)
    assert curve(store) == [(1, 1), (1, 2)]


def test_an_attempt_from_scratch_hides_all_before_it(lab: Lab) -> None:
    lab.job("a")
    lab.write("a", 1, *metrics(0, 6))
    lab.write("a", 2, line("started"), *metrics(0, 3))
    assert curve(lab.synced()) == [(2, step) for step in range(4)]


def test_an_attempt_that_died_starting_up_hides_nothing(lab: Lab) -> None:
    lab.job("a")
    lab.write("a", 1, *metrics(1, 6))
    lab.write("a", 2, line("started"))
    lab.write("a", 3, resumed(5, 1), *metrics(6, 7))
    assert curve(lab.synced()) == [(1, s) for s in range(1, 6)] + [(3, 6), (3, 7)]


def test_the_curve_follows_the_checkpoint_that_was_taken(lab: Lab) -> None:
    """Attempt 2 began anew (it could not read the checkpoint); attempt 3 went on from attempt 1."""
    lab.job("a")
    lab.write("a", 1, *metrics(1, 6))
    lab.write("a", 2, *metrics(1, 2))
    lab.write("a", 3, resumed(5, 1), *metrics(6, 7))
    assert curve(lab.synced()) == [(1, s) for s in range(1, 6)] + [(3, 6), (3, 7)]


def test_resuming_ever_earlier_cuts_all_attempts_before(lab: Lab) -> None:
    lab.job("a")
    lab.write("a", 1, *metrics(1, 10))
    lab.write("a", 2, line("resumed", step=8, path="elsewhere"), *metrics(9, 12))
    lab.write("a", 3, line("resumed", step=5), *metrics(6, 7))
    assert curve(lab.synced()) == [(1, s) for s in range(1, 6)] + [(3, 6), (3, 7)]


def test_the_last_step_is_the_highest(lab: Lab) -> None:
    lab.job("a")
    lab.write("a", 1, *metrics(5, 9), *metrics(2, 3))
    assert rows(lab.synced(), "SELECT last_step FROM attempts") == [(9,)]


def test_the_curve_ends_in_the_canonical_attempt(lab: Lab) -> None:
    lab.job("a")
    lab.write("a", 1, *metrics(1, 3), line("finished"))
    lab.write("a", 2, *metrics(1, 3), line("finished"))
    assert curve(lab.synced()) == [(1, 1), (1, 2), (1, 3)]


_STEPS = st.none() | st.integers(0, 9)


@given(st.lists(st.tuples(_STEPS, st.integers(1, 5), _STEPS, st.booleans()), max_size=5))
def test_a_history_has_one_attempt_per_step(
    attempts: list[tuple[int | None, int, int, bool]],
) -> None:
    traces = [
        Trace(number, step, f"checkpoints/{parent}/step-{step}.pt", last, done)
        for number, (step, parent, last, done) in enumerate(attempts, start=1)
    ]
    limits = shown(traces)
    assert set(limits) == {trace.attempt for trace in traces}
    for step in range(10):
        # An attempt has rows above the step it resumed from only.
        showing = [
            trace.attempt
            for trace in traces
            if trace.last_step is not None
            and (trace.resumed_step if trace.resumed_step is not None else -1) < step
            and step <= trace.last_step
            and ((limit := limits[trace.attempt]) is None or step <= limit)
        ]
        assert len(showing) <= 1


def test_point_metrics_take_the_lowest_finished_attempt(lab: Lab) -> None:
    lab.job("a", kind="reconstruct", dataset="photos-held-out", resolution=64)
    lab.sweep("demo", {"p1": ["a"]})
    result = {"name": "psnr", "protocol": "float, n=8"}
    lab.write("a", 1, line("result", value=1.0, **result), line("failed"))
    lab.write("a", 2, line("result", value=2.0, **result), line("result", value=2.5, **result))
    lab.write("a", 2, line("finished"))
    lab.write("a", 3, line("result", value=3.0, **result), line("finished"))
    lab.write("a", 4, line("result", value=4.0, **result))
    assert rows(lab.synced(), "SELECT * FROM point_metrics") == [
        ("p1", "a", "reconstruct", "photos-held-out", None, None, None, 16, 64, "psnr",
         "float, n=8", 2.5)
    ]  # fmt: skip


def test_point_metrics_tell_stages_and_milestones_apart(lab: Lab) -> None:
    """A point may score one metric after stage 1, after stage 2 and along it."""
    lab.job("t", kind="tokenizer", data={"name": "d", "resolution": 64})
    lab.job("f", "t", kind="finetune", data={"name": "d", "resolution": 64})
    lab.job("after 1", "t", kind="reconstruct", dataset="d", resolution=64)
    lab.job("after 2", "f", kind="reconstruct", dataset="d", resolution=64)
    lab.job("along 2", "f", kind="reconstruct", dataset="d", resolution=64, step=10)
    every = ["after 1", "after 2", "along 2"]
    lab.sweep("demo", {"p1": ["t", "f", *every]})
    for job in every:
        lab.write(job, 1, line("result", name="x", value=1, protocol="p"), line("finished"))
    found = rows(lab.synced(), "SELECT job_id, stage, step FROM point_metrics ORDER BY job_id")
    assert found == [("after 1", 1, None), ("after 2", 2, None), ("along 2", 2, 10)]


def test_length_and_e_at_evaluation(lab: Lab) -> None:
    lab.job("same", kind="reconstruct", dataset="d", resolution=64)
    lab.job("large", kind="reconstruct", dataset="d", resolution=128)
    lab.job("long", kind="reconstruct", dataset="d", resolution=64, frames=4)
    lab.job("cut", kind="reconstruct", dataset="d", resolution=64, length=8)
    lab.job("train", data={"name": "t", "resolution": 64, "frames": 1})
    lab.job("gen", kind="generate", dataset="d", cfg_scale=1.5)
    every = ["same", "large", "long", "cut", "train", "gen"]
    lab.sweep("demo", {"p1": every})
    for job in every:
        lab.write(job, 1, line("result", name="x", value=1, protocol="p"), line("finished"))
    found = rows(
        lab.synced(), 'SELECT job_id, dataset, cfg_scale, eval_length, "eval_E" FROM point_metrics'
    )
    assert sorted(found) == [
        ("cut", "d", None, 8, 32),
        ("gen", "d", 1.5, 16, 64),
        ("large", "d", None, 64, 256),
        ("long", "d", None, 64, 256),
        ("same", "d", None, 16, 64),
        ("train", "t", None, 16, 64),
    ]


def test_views_show_the_newest_registration_of_each_sweep(lab: Lab) -> None:
    lab.job("a")
    lab.sweep("demo", {"p1": ["a"], "p2": []}, t=1.0, launch="u1")
    lab.sweep("demo", {"p2": [], "p3": ["a"]}, t=2.0, launch="u2", gflops=9.0)
    lab.sweep("other", {"p2": ["a"]}, t=3.0, launch="u3", gflops=7.0)
    store = lab.synced()
    assert rows(store, "SELECT point_id, gflops FROM points ORDER BY 1") == [
        ("p2", 7.0), ("p3", 9.0),
    ]  # fmt: skip
    members = rows(store, "SELECT sweep, point_id FROM sweep_members ORDER BY 1, position")
    assert members == [("demo", "p2"), ("demo", "p3"), ("other", "p2")]
    assert rows(store, "SELECT COUNT(*) FROM sweep_points") == [(5,)]  # history stays
    assert sweep_jobs(store, "demo") == ["a"]


def test_registrations_of_the_same_moment_are_ordered_by_uid(lab: Lab) -> None:
    for launch, point in (("u2", "later"), ("u1", "earlier")):
        lab.sweep("demo", {point: []}, t=1.0, launch=launch)
    assert rows(lab.synced(), "SELECT point_id FROM points") == [("later",)]


def test_facts_gather_what_states_need(lab: Lab) -> None:
    lab.job("a")
    lab.job("b", "a", kind="reconstruct")
    for claim, submission in ((1, "s1"), (2, "s2")):
        lab.claim("a", claim, float(claim), submission)
    lab.launch("u", line("submission", submission="s2", scheduler="local", scheduler_id="77",
                         jobs=["a"]), line("cancel", 5.0, job="a"), line("cancel", 4.0, job="a"),
               line("retry", 6.0, job="a"))  # fmt: skip
    lab.write("a", 1, line("started", 2.0, submission="s1", host="h"), line("finished", 3.0))
    lab.write("a", 2, line("started", 4.0, submission="s2", pid=7), line("failed", 5.0, **{
        "class": "ValueError", "message": "no"}))  # fmt: skip
    found = facts(lab.synced(), ["b"])
    assert list(found) == ["b", "a"]  # its ancestors too
    a = found["a"]
    assert (a.finished, a.attempts, a.cancelled, a.retried) == (1, 2, 5.0, 6.0)
    assert a.newest is not None
    assert a.claim is not None
    assert (a.newest.attempt, a.newest.message, a.newest.pid) == (2, "ValueError: no", 7)
    assert (a.claim.claim, a.claim.scheduler_id, a.claim_taken) == (2, "77", True)
    assert found["b"].parents == ("a",)


def test_a_torn_claim_counts_only_where_there_is_no_whole_one(lab: Lab) -> None:
    folder = lab.job("a")
    (folder.claims / "1.json").write_text("{")
    store = lab.synced()
    assert facts(store)["a"].claim == Claim(1)
    for claim in (2, 3):
        lab.claim("a", claim, submission=f"s{claim}")
    (folder.claims / "4.json").touch()
    sync(store, lab.root)
    found = facts(store)["a"].claim
    assert found is not None
    assert found.claim == 3


@pytest.mark.parametrize("many", [1, 3000])
def test_facts_of_few_and_of_many_agree(lab: Lab, many: int) -> None:
    lab.job("a")
    lab.job("b", "a")
    lab.job("c")
    store = lab.synced()
    asked = ["b", *(f"not-there-{n}" for n in range(many))]
    assert facts(store, asked) == {job: facts(store)[job] for job in ("b", "a")}


def test_names(lab: Lab) -> None:
    lab.job("aaa1", slug="p8-c4")
    lab.job("aab2", slug="p16-c4")
    lab.job("abc3", slug="p16-c4-rec")
    lab.sweep("demo", {"9p1": ["aaa1"], "9q2": ["aab2", "abc3"]})
    store = lab.synced()
    both = ["aab2", "abc3"]
    for name, jobs in {
        "aaa1": ["aaa1"], "aaa": ["aaa1"], "p8-c4": ["aaa1"], "p8": ["aaa1"],
        "p16-c4-aab2": ["aab2"], "9p": ["aaa1"], "9q2": both, "slug-9q2": both,
        "demo": ["aaa1", *both],
    }.items():  # fmt: skip
        assert resolve_jobs(store, name) == jobs, name
    for name, message in {
        "aa": "names several", "p16": "names several", "demi": "nearest: demo",
        "zzzz": "there are: demo", "": "there are: demo",
    }.items():  # fmt: skip
        with pytest.raises(UserError, match=message):
            resolve_jobs(store, name)
    (lab.folder("abc3", "p16-c4-rec").journals / "1.jsonl").write_bytes(line("started", 5.0))
    sync(store, lab.root)
    assert one_job(store, "9q2") == "abc3"
