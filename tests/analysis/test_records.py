"""What jobs left besides scores: thinned curves, device time, where pictures are."""

from __future__ import annotations

import math
from pathlib import Path

import polars as pl
import pytest
from databases import Databases
from polars.testing import assert_frame_equal
from synthetic import quickstart, write_root
from trained import append, artifact, jobs, metric, root_of

import analysis
from analysis.page.origin import device_hours
from analysis.records import NoRecords
from sweep.cli.reportpage import ledger_of
from sweep.layout import Root
from sweep.store import engine


@pytest.fixture
def small(tmp_path: Path) -> Path:
    made = quickstart(seeds=(0,), patches=(16,), channels=(4,), datasets=("photos-heldout",))
    return root_of(tmp_path, made).path


def bin_of(step: int) -> int:
    """Eight bins for each doubling from 16 steps on, by logarithms."""
    if step < 16:
        return step
    octave = math.floor(math.log2(step))
    return step - step % 2 ** (octave - 3)


def test_a_curve_is_the_mean_of_bins_of_steps(small: Path) -> None:
    (job,) = jobs(Root(small), "tokenizer")
    steps = [1, 2, 5, *range(7, 3000, 7), 2**30 + 5]
    append(job, 1, [metric(step, step % 13 + 0.25, "loss_rec") for step in steps])
    append(job, 1, [metric(step, 7.0, "lr") for step in (1, 2)])
    curves = analysis.load(small).records.curves("loss_")
    assert set(curves["metric"]) == {"loss_rec"}
    expected = (
        pl.DataFrame({"step": steps, "value": [step % 13 + 0.25 for step in steps],
                      "bin": [bin_of(step) for step in steps]})
        .group_by("bin").agg(pl.col("step", "value").mean(), n=pl.len()).sort("bin")
    )  # fmt: skip
    assert len(curves) == len(expected) < 90
    for column in ("step", "value", "n"):
        assert curves[column].to_list() == pytest.approx(expected[column].to_list(), rel=1e-12)


def test_superseded_rows_are_not_in_a_curve(small: Path) -> None:
    (job,) = jobs(Root(small), "tokenizer")
    checkpoint = "checkpoints/1/step-4.pt"
    lines = (job.journals / "1.jsonl").read_text().splitlines(keepends=True)
    (job.journals / "1.jsonl").write_text("".join(lines[:1]))
    append(
        job, 1, [*(metric(step, 1.0) for step in range(1, 9)), {"event": "preempted", "step": 4}]
    )
    started = {"event": "started", "attempt": 2, "host": "here", "pid": 1, "scheduler": "inline"}
    append(job, 2, [
        started, {"event": "resumed", "step": 4, "path": checkpoint},
        *(metric(step, 2.0) for step in range(5, 9)), {"event": "finished", "seconds": 1.0},
    ])  # fmt: skip
    curves = analysis.load(small).records.curves("loss")
    curve = curves.filter(pl.col("job_id") == job.id)
    assert curve["value"].to_list() == [1.0] * 4 + [2.0] * 4


def test_time_counts_every_attempt_and_threads(small: Path) -> None:
    (job,) = jobs(Root(small), "tokenizer")
    started = {"event": "started", "attempt": 2, "host": "here", "pid": 1, "scheduler": "inline",
               "device": "cpu", "threads": 2}  # fmt: skip
    append(job, 2, [started, {**metric(1, 0.5), "t": 1030.0}])  # died without a word
    append(job, 3, [{**started, "attempt": 3}, {"event": "finished", "seconds": 12.5}])
    times = analysis.load(small).records.times().filter(pl.col("job_id") == job.id)
    assert times.filter(pl.col("threads") == 2)["seconds"].to_list() == [42.5]
    assert times["seconds"].sum() == 43.5


def test_the_page_and_the_figures_count_the_same_time(small: Path) -> None:
    (job,) = jobs(Root(small), "tokenizer")
    started = {"event": "started", "attempt": 2, "host": "here", "pid": 1, "scheduler": "inline",
               "device": "cpu", "threads": 1}  # fmt: skip
    append(job, 2, [started, {**metric(1, 0.5), "t": 1030.0}])  # died without a word
    append(job, 3, [{**started, "attempt": 3}, {**metric(1, 0.5), "t": 400.0}])  # clock set back
    times = analysis.load(small).records.times()
    assert times.filter(pl.col("job_id") == job.id)["seconds"].sum() == 31.0
    hours = device_hours(ledger_of(small, None, None))
    assert hours == pytest.approx(times["seconds"].sum() / 3600, rel=1e-12)


def test_pictures_are_those_of_finished_jobs(small: Path) -> None:
    root = Root(small)
    (scored,) = jobs(root, "reconstruct")
    (trained,) = jobs(root, "tokenizer")
    append(scored, 1, [artifact("sheet.png", "sheet"), artifact("notes.json", "summary")])
    append(trained, 1, [artifact("sheet.png", "sheet")])
    lines = (trained.journals / "1.jsonl").read_text().splitlines(keepends=True)
    kept = [line for line in lines if '"finished"' not in line]
    (trained.journals / "1.jsonl").write_text("".join(kept))
    loaded = analysis.load(small).records
    found = loaded.pictures(["sheet"])
    assert found["path"].to_list() == [f"jobs/{scored.path.name}/artifacts/sheet.png"]
    assert loaded.root == small
    assert loaded.pictures(["frames"]).is_empty()


def test_records_are_of_one_sweep(tmp_path: Path) -> None:
    for patches, sweep in (((8, 16), "quickstart"), ((16,), "p16")):
        made = quickstart(seeds=(0,), patches=patches, channels=(4,), datasets=("photos-heldout",))
        write_root(tmp_path, made, sweep)
    every, one = analysis.load(tmp_path).records, analysis.load(tmp_path, sweep="p16").records
    assert set(one.members()["point_id"]) == {"cfg-p16c4-s0"}
    assert len(every.curves("loss")) == 2 * len(one.curves("loss")) > 0
    assert set(one.times()["job_id"]) < set(every.times()["job_id"])


def test_records_are_read_where_the_index_is_in_memory(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_writable", lambda _: False)
    loaded = analysis.load(small)
    assert not loaded.records.curves("loss").is_empty()
    assert not loaded.curves.is_empty()


def test_the_paper_has_none() -> None:
    records = analysis.load_published().records
    assert isinstance(records, NoRecords)
    assert records.members().is_empty()
    assert records.curves("loss").is_empty()
    assert records.times().is_empty()
    assert records.pictures(["sheet"]).is_empty()


def _troubled(small: Path) -> str:
    """A job of three attempts that superseded rows, a line that stands twice, and no numbers."""
    (job,) = jobs(Root(small), "tokenizer")
    started = {"event": "started", "host": "here", "pid": 1, "scheduler": "inline"}
    for attempt, first, last in ((2, 1, 300), (3, 201, 700), (4, 650, 900)):
        lines: list[dict[str, object]] = [{**started, "attempt": attempt}]
        if attempt > 2:
            path = f"checkpoints/{attempt - 1}/step-{first - 1}.pt"
            lines.append({"event": "resumed", "step": first - 1, "path": path})
        for step in range(first, last + 1):
            value = math.nan if step % 50 == 3 else attempt + math.sin(step)
            lines += [metric(step, value, name) for name in ("loss", "loss_rec", "lr")]
            lines += [metric(step, value)] * (step % 20 == 7)
        append(job, attempt, lines)
    journal = (job.journals / "1.jsonl").read_text().splitlines(keepends=True)
    (job.journals / "1.jsonl").write_text("".join(line for line in journal if "fini" not in line))
    return job.id


def test_thinned_curves_are_bins_of_the_view(small: Path, databases: Databases) -> None:
    troubled = _troubled(small)
    loaded = analysis.load(small, db=databases.new())
    shown = loaded.curves.filter(pl.col("metric").str.starts_with("loss"))
    assert set(shown.filter(job_id=troubled)["attempt"]) == {2, 3, 4}
    expected = (
        shown.with_columns(bin=pl.col("step").map_elements(bin_of, pl.Int64))
        .group_by("job_id", "metric", "bin")
        .agg(pl.col("step", "value").mean(), n=pl.col("value").count())
        .filter(pl.col("n") > 0)
        .sort("job_id", "metric", "step")
        .drop("bin")
    )
    got = loaded.records.curves("loss")
    assert_frame_equal(got, expected, check_dtypes=False, rel_tol=1e-12)
    assert got.filter(job_id=troubled)["n"].sum() == 2 * (900 - 18)
