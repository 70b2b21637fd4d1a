"""Every complete line exactly once: any cut, any number of callers, any moment of death."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from databases import Databases
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journalled import Lab, contents, journalled_metrics, line, rows, stored_metrics

from sweep.layout import Root
from sweep.store import open_store, sync
from sweep.store.check import check
from sweep.store.rebuild import rebuild

# The module, which the package hides behind its function of the same name.
SYNC = sys.modules["sweep.store.sync"]


@pytest.fixture
def lab(tmp_path: Path, databases: Databases) -> Lab:
    return Lab(tmp_path / "results", databases.new())


def test_lines_are_taken_once_and_as_they_come(lab: Lab) -> None:
    lab.job("a")
    store = lab.open()
    for step in range(5):
        lab.write("a", 1, line("metric", 0.5, step=step, name="loss", value=step / 4))
        sync(store, lab.root)
        sync(store, lab.root)
    assert stored_metrics(store) == journalled_metrics(lab.root)
    assert rows(store, "SELECT COUNT(*) FROM metrics") == [(5,)]


def test_a_torn_last_line_is_left_until_it_is_whole(lab: Lab) -> None:
    lab.job("a")
    store = lab.open()
    whole = line("metric", step=1, name="loss", value=0.5)
    path = lab.write("a", 1, line("started"), whole[:20])
    sync(store, lab.root)
    assert rows(store, "SELECT COUNT(*) FROM metrics") == [(0,)]
    with path.open("ab") as file:
        file.write(whole[20:])
    sync(store, lab.root)
    assert rows(store, "SELECT step, value FROM metrics") == [(1, 0.5)]


@pytest.mark.parametrize(
    "bad",
    [
        b"\xff\xfe garbage\n",
        b"[1, 2]\n",
        b'{"event": ["metric"]}\n',
        b'{"event": "metric", "step": 1, "name": ["x"], "value": 1.0, "t": 1.0}\n',
        b'{"event": "metric", "step": 1, "name": "x", "value": "much"}\n',
        b'{"event": "metric", "step": 1e400, "name": "x", "value": 1}\n',
        b'{"event": "metric", "step": 99999999999999999999, "name": "x", "value": 1.0, "t": 1.0}\n',
        b'{"event": "metric", "step": true, "name": "x", "value": 1}\n',
        b'{"event": "metric", "name": "x", "value": 1}\n',
        b'{"event": "result", "name": "x", "value": 1}\n',
        b'{"event": "resumed", "step": null}\n',
        b"[" * 100_000 + b"\n",
    ],
)
def test_a_bad_line_is_reported_and_stops_nobody(lab: Lab, bad: bytes) -> None:
    lab.job("a")
    good = line("metric", 1.0, step=7, name="loss", value=0.25)
    lab.write("a", 1, good, bad, good)
    store = lab.open()
    report = sync(store, lab.root)
    assert any("1 unreadable line(s)" in warning for warning in report.warnings)
    assert rows(store, "SELECT step, value FROM metrics") == [(7, 0.25)] * 2
    assert check(store, lab.root) == []


def test_odd_values_become_what_any_database_takes(lab: Lab) -> None:
    lab.job("a")
    odd = ["nan", "inf", "-inf", 3, float("nan")]
    lab.write("a", 1, *(line("metric", step=i, name="x", value=v) for i, v in enumerate(odd)))
    lab.write("a", 1, b'{"event":"failed","t":1.0,"class":"E","message":"\\ud800 \\u0000"}\n')
    store = lab.open()
    assert sync(store, lab.root).warnings == []
    values = [value for (value,) in rows(store, "SELECT value FROM metrics ORDER BY step")]
    assert values == [None, float("inf"), float("-inf"), 3.0, None]
    assert rows(store, "SELECT outcome FROM attempts") == [("failed",)]


def test_a_shrunk_or_vanished_journal_is_said_and_its_rows_are_kept(lab: Lab) -> None:
    lab.job("a")
    lab.job("b")
    for job in "ab":
        lab.write(job, 1, *(line("metric", step=s, name="loss", value=1.0) for s in range(4)))
    store = lab.open()
    sync(store, lab.root)
    path = lab.folder("a").journals / "1.jsonl"
    os.truncate(path, path.stat().st_size // 2)
    (lab.folder("b").journals / "1.jsonl").unlink()
    warnings = " ".join(sync(store, lab.root).warnings)
    assert "has shrunk" in warnings
    assert "is gone" in warnings
    assert rows(store, "SELECT COUNT(*) FROM metrics") == [(8,)]
    assert any("metrics: 6 row(s) only in the index" in said for said in check(store, lab.root))
    rebuild(lab.root, lab.db)
    assert check(store, lab.root) == []
    assert sync(store, lab.root).warnings == []


def test_a_claim_counts_from_the_moment_it_exists(lab: Lab) -> None:
    folder = lab.job("a")
    store = lab.open()
    path = folder.claims / "1.json"
    for content in ("", '{"claim": 1, "t"'):
        path.write_text(content)
        sync(store, lab.root)
        assert rows(store, "SELECT claim, submission FROM claims") == [(1, None)]
    lab.claim("a", submission="s9")
    sync(store, lab.root)
    assert rows(store, "SELECT claim, submission FROM claims") == [(1, "s9")]
    assert check(store, lab.root) == []


def test_foreign_and_half_made_folders_are_left_alone(lab: Lab) -> None:
    lab.job("a")
    (lab.root.jobs / "notes").mkdir()
    (lab.root.jobs / "p16-c4-being").mkdir()  # no job.json yet
    lab.job("b").spec.write_text("{")
    lab.write("b", 1, line("metric", step=1, name="loss", value=1.0))
    store = lab.open()
    report = sync(store, lab.root)
    assert rows(store, "SELECT job_id FROM jobs") == [("a",)]
    assert rows(store, "SELECT job_id FROM metrics") == [("b",)]  # its journal is the truth still
    assert any("job.json" in warning for warning in report.warnings)
    lab.job("b")
    assert sync(store, lab.root).warnings == []
    assert rows(store, "SELECT job_id FROM jobs ORDER BY 1") == [("a",), ("b",)]


def test_two_folders_of_one_job_do_not_mix(lab: Lab) -> None:
    for slug, value in (("zz", 1.0), ("aa", 2.0)):
        folder = lab.job("a", slug=slug)
        (folder.journals / "1.jsonl").write_bytes(line("metric", step=1, name="x", value=value))
        store = lab.open()
        report = sync(store, lab.root)
    assert any("a second folder of job a" in warning for warning in report.warnings)
    assert rows(store, "SELECT value FROM metrics") == [(1.0,)]


def test_large_journals_are_read_in_several_transactions(
    lab: Lab, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.job("a")
    lab.job("b")
    for job in "ab":
        lab.write(job, 1, *(line("metric", step=s, name="loss", value=1.0) for s in range(200)))
        lab.write(job, 1, line("finished", seconds=1.0))
    once = open_store(lab.root, databases.new())
    sync(once, lab.root)
    monkeypatch.setattr(SYNC, "_BYTES", 500)
    monkeypatch.setattr(SYNC, "_FILES", 2)
    small = open_store(lab.root, databases.new())
    assert sync(small, lab.root).files == 4
    assert contents(small) == contents(once)


_CUTS = st.lists(st.integers(0, 4000), max_size=6)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    records=st.lists(
        st.sampled_from(
            [
                line("started", 1.0, host="h", pid=1, submission="s1"),
                line("resumed", 2.0, step=3, path="checkpoints/1/step-3.pt"),
                line("progress", 3.0, done=5, total=9, unit="steps"),
                line("progress", 4.0, done=1, total=2, unit="images"),
                line("metric", 5.0, step=4, name="loss", value=0.5),
                line("metric", 5.0, step=2, name="größe", value="nan"),
                line("result", 6.0, name="psnr", value=20.0, protocol="p"),
                line("data", 6.0, name="d", version="1", fingerprint="f"),
                line("artifact", 6.0, path="artifacts/a.png", kind="sheet", bytes=3),
                line("checkpoint", 6.0, step=3, path="checkpoints/1/step-3.pt", sha256="x"),
                line("failed", 7.0, **{"class": "E", "message": "m", "traceback": "t"}),
                line("preempted", 7.0, reason="time", step=4),
                line("finished", 8.0, seconds=3.0),
                b"torn by a full disk\n",
            ]
        ),
        max_size=25,
    ),
    cuts=_CUTS,
)
def test_any_cuts_give_what_one_sync_gives(
    tmp_path_factory: pytest.TempPathFactory,
    databases: Databases,
    records: list[bytes],
    cuts: list[int],
) -> None:
    lab = Lab(tmp_path_factory.mktemp("cuts"), databases.new())
    lab.job("a")
    lab.write("a", 1, line("metric", step=1, name="loss", value=1.0))
    store = lab.open()
    data = b"".join(records)
    last = 0
    for cut in [*sorted(min(cut, len(data)) for cut in cuts), len(data)]:
        lab.write("a", 2, data[last:cut])
        last = cut
        sync(store, lab.root)
    once = open_store(lab.root, databases.new())
    sync(once, lab.root)
    assert contents(store) == contents(once)
    assert stored_metrics(store).total() == journalled_metrics(lab.root).total()


def test_nothing_new_reads_no_file(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for job in range(20):
        lab.job(f"{job:06x}")
        lab.claim(f"{job:06x}")
        lab.write(f"{job:06x}", 1, line("started"), line("finished", seconds=1.0))
    store = lab.open()
    assert sync(store, lab.root).files == 60

    def reading(*given: object, **named: object) -> None:
        raise AssertionError("a file was read")

    monkeypatch.setattr(Path, "open", reading)
    monkeypatch.setattr(Path, "read_bytes", reading)
    assert sync(store, lab.root).files == 0


def test_a_root_that_is_not_there_is_an_empty_index(tmp_path: Path) -> None:
    missing = open_store(Root(tmp_path / "none"))
    assert sync(missing, Root(tmp_path / "none")).files == 0
    assert not (tmp_path / "none").exists()  # looking leaves no trace
