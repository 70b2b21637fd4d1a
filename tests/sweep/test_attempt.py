"""What a job function reports, and who is which attempt."""

from __future__ import annotations

import json
from multiprocessing import get_context
from pathlib import Path

import pytest
from stubbed import Bench, records

from sweep.attempt import AttemptContext, DoneJobs, is_done, milestones, numerics, open_journal
from sweep.journal import dump_line
from sweep.layout import JobFolder
from sweep.shown import Shown
from sweep.stopping import SUPERSEDED, Signals, Watch
from vitok_core.context import Machine, Paths
from vitok_core.errors import UserError


@pytest.fixture
def folder(bench: Bench) -> JobFolder:
    return bench.job("floor")


def context(folder: JobFolder, signals: Signals | None = None) -> AttemptContext:
    number, journal = open_journal(folder)
    watch = Watch(signals or Signals(), folder.journals / f"{number + 1}.jsonl")
    return AttemptContext(folder, number, journal, Machine(), Paths(), [], watch, Shown("job"))


def _open(path: str) -> int:
    return open_journal(JobFolder(Path(path)))[0]


def test_attempts_that_start_together_are_different_ones(folder: JobFolder) -> None:
    with get_context("fork").Pool(6) as pool:
        numbers = pool.map(_open, [str(folder.path)] * 30, chunksize=1)
    assert sorted(numbers) == list(range(1, 31))


def test_reports_are_journalled_with_paths_below_the_job(folder: JobFolder) -> None:
    attempt = context(folder)
    sheet = attempt.artifacts / "sheet.png"
    sheet.write_bytes(b"12345")
    saved = attempt.checkpoints / "step-000000007.pt"
    saved.write_bytes(b"abc")
    attempt.metric("loss", 0.25, 7)
    attempt.result("rPSNR", 30, "photos-tune, rounded")
    attempt.artifact(sheet, "sheet")
    attempt.checkpoint(saved, 7)
    attempt.resumed(7, saved)
    found = [{k: v for k, v in record.items() if k != "t"} for record in records(folder)]
    assert found == [
        {"event": "metric", "step": 7, "name": "loss", "value": 0.25},
        {"event": "result", "name": "rPSNR", "value": 30.0, "protocol": "photos-tune, rounded"},
        {"event": "artifact", "path": "artifacts/sheet.png", "kind": "sheet", "bytes": 5},
        {"event": "checkpoint", "step": 7, "path": "checkpoints/1/step-000000007.pt",
         "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"event": "resumed", "step": 7, "path": "checkpoints/1/step-000000007.pt"},
    ]  # fmt: skip


def test_progress_is_thinned_out_but_its_end_is_not(folder: JobFolder) -> None:
    attempt = context(folder)
    for done in range(1, 5001):
        attempt.progress(done, 5000, "images")
    found = [record["done"] for record in records(folder)]
    assert found[0] == 1
    assert found[-1] == 5000
    assert len(found) < 20


def test_checkpoints_of_all_attempts_the_furthest_first(folder: JobFolder) -> None:
    attempt = context(folder)
    names = ["1/step-000000010.pt", "2/step-000000010.pt", "10/step-000000010.pt",
             "1/step-000000100.pt", "2/.step-000000999.pt.12.tmp", "2/final.pt",
             "1/milestone-000000999.pt"]  # fmt: skip
    for name in names:
        path = folder.checkpoints / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = [str(path.relative_to(folder.checkpoints)) for path in attempt.earlier_checkpoints()]
    assert found == ["2/final.pt", "1/step-000000100.pt", "10/step-000000010.pt",
                     "2/step-000000010.pt", "1/step-000000010.pt"]  # fmt: skip
    assert [path.name for path in milestones(folder)] == ["milestone-000000999.pt"]


def test_the_older_attempt_is_told_that_it_is_superseded(folder: JobFolder) -> None:
    clock = [0.0]
    number, _ = open_journal(folder)
    watch = Watch(Signals(), folder.journals / f"{number + 1}.jsonl", clock=lambda: clock[0])
    assert watch.reason(1) is None
    open_journal(folder)
    clock[0] += 0.6
    assert watch.reason(2) == SUPERSEDED


def test_enough_steps(folder: JobFolder) -> None:
    watch = Watch(Signals(), folder.journals / "2.jsonl", limit=3)
    asked = [watch.reason(step) for step in (5, 6, 7, 8)]
    assert asked == [None, None, None, "3 steps were asked for"]


def test_a_data_set_whose_content_changed_is_refused(bench: Bench) -> None:
    context(bench.job("a")).data_fingerprint("photos", "1", "aaaa")
    context(bench.job("b")).data_fingerprint("photos", "1", "aaaa")
    context(bench.job("c")).data_fingerprint("photos", "2", "bbbb")
    other = bench.job("d")
    with pytest.raises(UserError, match="photos@1: its content has changed"):
        context(other).data_fingerprint("photos", "1", "cccc")
    assert records(other)[-1]["fingerprint"] == "cccc"  # journalled all the same


def test_done_means_any_attempt_finished(folder: JobFolder) -> None:
    folder.journals.mkdir()
    done = DoneJobs()

    def append(attempt: int, *events: str) -> None:
        with (folder.journals / f"{attempt}.jsonl").open("ab") as file:
            for event in events:
                file.write(dump_line({"event": event, "device": f"d{attempt}"}))

    assert (is_done(folder), folder in done, numerics(folder)) == (False, False, None)
    append(1, "started", "metric")
    append(2, "started", "checkpoint", "failed")
    assert (is_done(folder), folder in done) == (False, False)
    with (folder.journals / "1.jsonl").open("ab") as file:
        line = dump_line({"event": "finished"})
        file.write(line[:5])
        file.flush()
        assert (is_done(folder), folder in done) == (False, False)
        file.write(line[5:])
    assert (is_done(folder), folder in done) == (True, True)
    append(10, "started")
    started = numerics(folder)
    assert started is not None
    assert started["device"] == "d2"  # the first that left a checkpoint


def test_asking_again_reads_only_what_is_new(
    folder: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sweep import attempt

    folder.journals.mkdir()
    path = folder.journals / "1.jsonl"
    path.write_bytes(dump_line({"event": "metric"}) * 1000)
    offsets = []
    read = attempt.read_from
    monkeypatch.setattr(
        attempt, "read_from", lambda p, offset=0: offsets.append(offset) or read(p, offset)
    )
    done = DoneJobs()
    assert [folder in done, folder in done] == [False, False]
    with path.open("ab") as file:
        file.write(dump_line({"event": "finished"}))
    assert [folder in done, folder in done] == [True, True]
    size = len(dump_line({"event": "metric"})) * 1000
    assert offsets == [0, size, size]


def test_fingerprints_are_registered_whole(bench: Bench) -> None:
    context(bench.job("a")).data_fingerprint("photos", "1", "aaaa")
    (path,) = bench.root.data.iterdir()
    assert json.loads(path.read_text()) == {"fingerprint": "aaaa"}
