"""Job folders that somebody deleted are forgotten; a results root that is not mounted is not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from databases import Databases
from journalled import Lab, contents, line, rows
from stubbed import Bench

from sweep.store import sync
from sweep.store.check import check

INLINE = ("--scheduler", "inline")


@pytest.fixture
def lab(tmp_path: Path, databases: Databases) -> Lab:
    return Lab(tmp_path / "results", databases.new())


def scored(lab: Lab, job: str, slug: str = "p16-c4", value: float = 1.0) -> None:
    """A finished job with a row in every table that journals and claims fill."""
    folder = lab.job(job, "parent", slug=slug)
    claim = b'{"claim": 1, "t": 1.0, "submission": "s1", "scheduler": "local"}\n'
    (folder.claims / "1.json").write_bytes(claim)
    lines = [
        line("started", attempt=1),
        line("metric", step=1, name="loss", value=value),
        line("data", name="d", version="1", fingerprint="f"),
        line("checkpoint", step=1, path="checkpoints/1/final.pt", sha256="x"),
        line("artifact", path="artifacts/a.png", kind="sheet", bytes=3),
        line("result", name="psnr", value=value, protocol="p"),
        line("finished", seconds=1.0),
    ]
    (folder.journals / "1.jsonl").write_bytes(b"".join(lines))


def test_a_deleted_folder_is_forgotten_once_and_may_come_anew(lab: Lab) -> None:
    scored(lab, "a")
    scored(lab, "b")
    lab.sweep("s", {"point": ["a", "b"]})
    store = lab.synced()
    shutil.rmtree(lab.folder("a").path)
    said = "jobs/p16-c4-a: its folder is gone: 1 results forgotten; "
    assert sync(store, lab.root).warnings == [f"{said}the job counts as never launched"]
    assert sync(store, lab.root).warnings == []
    assert rows(store, "SELECT job_id FROM results") == [("b",)]
    assert rows(store, "SELECT path FROM offsets WHERE path LIKE '%-a/%'") == []
    assert check(store, lab.root) == []
    scored(lab, "a", value=2.0)  # as many bytes, at the same paths
    assert sync(store, lab.root).warnings == []
    assert rows(store, "SELECT value FROM results WHERE job_id = 'a'") == [(2.0,)]
    assert check(store, lab.root) == []


def test_a_renamed_folder_is_the_same_job(lab: Lab) -> None:
    scored(lab, "a")
    scored(lab, "b")
    store = lab.synced()
    lab.folder("a").path.rename(lab.folder("a", slug="other").path)
    sync(store, lab.root)
    assert rows(store, "SELECT folder FROM jobs WHERE job_id = 'a'") == [("jobs/other-a",)]
    assert rows(store, "SELECT job_id, value FROM results ORDER BY 1") == [("a", 1.0), ("b", 1.0)]
    assert check(store, lab.root) == []


@pytest.mark.parametrize("left", ["nothing", "an empty folder", "notes"])
def test_an_unmounted_root_is_not_forgotten(lab: Lab, left: str) -> None:
    for job in "ab":
        scored(lab, job)
    store = lab.synced()
    before = contents(store)
    lab.root.jobs.rename(lab.root.path / "away")
    if left != "nothing":
        lab.root.jobs.mkdir()
    if left == "notes":
        (lab.root.jobs / "read-me").mkdir()
    for _ in range(2):
        report = sync(store, lab.root)
        assert report.unseen == 2
        assert "holds none of the 2 jobs that the index knows" in " ".join(report.warnings)
    assert contents(store) == before
    if left != "nothing":
        shutil.rmtree(lab.root.jobs)
    (lab.root.path / "away").rename(lab.root.jobs)
    assert sync(store, lab.root).warnings == []
    assert contents(store) == before


def test_a_deleted_job_is_launched_once_more(bench: Bench) -> None:
    file = bench.sweep(chain=True)
    assert bench.cli("launch", file, *INLINE).returncode == 0
    floor = next(each for each in bench.launched() if each.slug.startswith("floor"))
    shutil.rmtree(floor.path)
    again = bench.cli("launch", file, *INLINE)
    assert again.returncode == 0, again.stderr
    assert f"jobs/{floor.path.name}: its folder is gone" in again.stderr
    assert [path.name for path in floor.journals.iterdir()] == ["1.jsonl"]
    last = bench.cli("launch", file, *INLINE)
    assert (last.returncode, "is gone" in last.stderr) == (3, False)
    assert bench.cli("db", "check").returncode == 0


def test_nothing_is_launched_below_a_folder_that_is_not_mounted(bench: Bench) -> None:
    file = bench.sweep(chain=True)
    assert bench.cli("launch", file, *INLINE).returncode == 0
    away = bench.root.path / "away"
    bench.root.jobs.rename(away)
    refused = bench.cli("launch", file, *INLINE)
    assert (refused.returncode, bench.root.jobs.exists()) == (2, False)
    assert "mount it again" in refused.stderr.splitlines()[-1]
    away.rename(bench.root.jobs)
    assert bench.cli("launch", file, *INLINE).returncode == 3
