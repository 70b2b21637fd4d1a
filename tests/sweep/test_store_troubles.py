"""Full disks, places that cannot be written, odd journals, lost folders, servers that go away."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from databases import SERVER, Databases, Server
from journalled import Lab, contents, line, rows
from sqlalchemy import Connection, event, make_url

import analysis
from sweep.attempt import journals
from sweep.claims import newest_claim
from sweep.cli.jobs import opened
from sweep.store import engine, open_store, sync
from sweep.store.advice import trouble
from sweep.store.check import check
from sweep.store.queries import facts
from sweep.store.rebuild import rebuild
from vitok_core.errors import UserError

# The module, which the package hides behind its function of the same name.
SYNC = sys.modules["sweep.store.sync"]
NOBODY = 65534


@pytest.fixture
def lab(tmp_path: Path, databases: Databases) -> Lab:
    return Lab(tmp_path / "results", databases.new())


def metrics(count: int) -> list[bytes]:
    return [line("metric", float(s), step=s, name="loss", value=s / 2) for s in range(count)]


def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "results")
    store = lab.synced()
    lab.job("a")
    lab.write("a", 1, *metrics(4000))
    pages = rows(store, "PRAGMA page_count")[0][0]
    limit = [pages + 10]
    event.listen(
        store.engine, "connect", lambda raw, _: raw.execute(f"PRAGMA max_page_count = {limit[0]}")
    )
    with pytest.raises(UserError, match="the disk is full; the journals are complete"):
        sync(store, lab.root)
    assert rows(store, "SELECT COUNT(*) FROM offsets") == [(0,)]
    limit[0] = 10**6  # somebody made room
    sync(store, lab.root)
    assert check(store, lab.root) == []
    assert rows(store, "SELECT COUNT(*) FROM metrics") == [(4000,)]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user may enter."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def unprivileged(run: Callable[[], object]) -> int:
    """Run this in a child whom file permissions bind; its exit code, 1 for an exception."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        if os.getuid() == 0:
            os.setuid(NOBODY)
        run()
        code = 0
    finally:
        os._exit(code)


@pytest.mark.parametrize("what", ["folder", "file", "both"])
def test_what_cannot_be_written_can_still_be_read(open_folder: Path, what: str) -> None:
    lab = Lab(open_folder / "results")
    lab.job("a")
    lab.write("a", 1, *metrics(5))
    lab.synced().close()
    lab.write("a", 1, line("finished"))  # newer than the index that is there
    (lab.root.path / "root.json").unlink()
    before = sorted(path.name for path in lab.root.path.iterdir())
    if what != "file":
        lab.root.path.chmod(0o555)
    if what != "folder":
        (lab.root.path / "results.db").chmod(0o444)

    def look() -> None:
        store = open_store(lab.root)
        (note,) = sync(store, lab.root).warnings
        assert "cannot be written, an index in memory stands in" in note
        assert rows(store, "SELECT outcome, last_step FROM attempts") == [("finished", 4)]
        assert facts(store)["a"].finished == 1
        assert check(store, lab.root) == []
        with pytest.raises(UserError, match=r"cannot be (written|opened)"):
            rebuild(lab.root, None)

    assert unprivileged(look) == 0
    after = sorted(path.name for path in lab.root.path.iterdir())
    assert [name for name in after if name != "root.json"] == before


def test_repeated_lines_count_once(lab: Lab) -> None:
    lab.job("a", kind="reconstruct", dataset="d", resolution=64)
    lab.sweep("demo", {"p1": ["a"]})
    once = [
        *metrics(3),
        line("result", 5.0, name="psnr", value=1.0, protocol="p"),
        line("finished", 6.0, seconds=6.0),
    ]
    for each in once:
        lab.write("a", 1, each, each)
    lab.write("a", 1, *once)  # and all of it again
    store = lab.open()
    assert any("5 repeated line(s)" in said for said in sync(store, lab.root).warnings)
    assert rows(store, "SELECT step, value FROM curves ORDER BY step") == [
        (0, 0.0), (1, 0.5), (2, 1.0),
    ]  # fmt: skip
    assert rows(store, "SELECT value FROM point_metrics") == [(1.0,)]
    assert rows(store, "SELECT outcome, seconds FROM attempts") == [("finished", 6.0)]
    assert check(store, lab.root) == []


def test_another_file_in_a_journals_place_is_not_mixed_in(lab: Lab) -> None:
    """A job's folder was deleted and launched again; its new journal has outgrown the old one."""
    lab.job("a")
    lab.job("b")
    path = lab.write("a", 1, *metrics(3))
    store = lab.synced()
    path.write_bytes(line("started", host="another host with a long name") + b"".join(metrics(9)))
    lab.write("b", 1, *metrics(2))
    assert any("another file" in said for said in sync(store, lab.root).warnings)
    assert rows(store, "SELECT job_id, COUNT(*) FROM metrics GROUP BY 1 ORDER BY 1") == [
        ("a", 3), ("b", 2),
    ]  # fmt: skip
    rebuild(lab.root, lab.db)
    assert rows(store, "SELECT COUNT(*) FROM metrics") == [(11,)]
    assert check(store, lab.root) == []


def test_many_deleted_folders_are_said_in_few_lines(lab: Lab) -> None:
    for number in range(8):
        lab.job(f"a{number}", slug="s")
        lab.folder(f"a{number}", "s").journals.joinpath("1.jsonl").write_bytes(metrics(1)[0])
    store = lab.synced()
    for number in range(7):
        folder = lab.folder(f"a{number}", "s")
        folder.path.rename(lab.root.path / f"away-{number}")
    lab.folder("a7", "s").journals.joinpath("2.jsonl").write_bytes(metrics(1)[0])
    said = sync(store, lab.root).warnings
    assert said[0].startswith("jobs/s-a0: its folder is gone: 0 results forgotten")
    assert len(said) == 6
    assert said[5] == "… and 2 more folders are gone: 0 results forgotten"
    assert rows(store, "SELECT COUNT(*) FROM metrics") == [(2,)]  # the other's are taken in
    assert check(store, lab.root) == []


def test_a_clock_that_jumps_back_changes_no_order(lab: Lab) -> None:
    """Numbers say which attempt and claim is the newest, not times."""
    lab.job("a")
    lab.claim("a", 1, t=900.0, submission="s1")
    lab.claim("a", 2, t=100.0, submission="s2")
    lab.write("a", 1, line("started", 901.0, submission="s1"),
              line("metric", 905.0, step=1, name="loss", value=1.0),
              line("metric", 95.0, step=2, name="loss", value=2.0),
              line("failed", 96.0, **{"class": "E", "message": "old"}))  # fmt: skip
    lab.write("a", 2, line("started", 101.0, submission="s2"),
              line("resumed", 50.0, step=1, path="checkpoints/1/step-1.pt"),
              line("metric", 40.0, step=2, name="loss", value=3.0))  # fmt: skip
    store = lab.synced()
    found = facts(store)["a"]
    assert found.newest is not None
    assert found.claim is not None
    assert (found.newest.attempt, found.claim.claim, found.claim_taken) == (2, 2, True)
    assert rows(store, "SELECT attempt, step FROM curves ORDER BY step") == [(1, 1), (2, 2)]
    lab.write("a", 2, line("finished", 30.0))
    lab.write("a", 3, line("started", 5.0), line("finished", 6.0))
    sync(store, lab.root)
    assert facts(store)["a"].finished == 2
    assert check(store, lab.root) == []


def test_a_writer_that_holds_on_is_named_not_waited_for_for_ever(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "PATIENCE", 0.4 if lab.open().sqlite else 1.0)
    lab.job("a")
    other, store = lab.open(), lab.open()
    with other.write(), pytest.raises(UserError, match="another process has held it"):
        sync(store, lab.root)
    sync(store, lab.root)
    assert rows(store, "SELECT job_id FROM jobs") == [("a",)]


@pytest.mark.postgres
def test_two_indexes_in_one_server_do_not_wait_for_each_other(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "PATIENCE", 1.0)
    with Lab(tmp_path / "results", server.new()).open().write():
        other = Lab(tmp_path / "other", server.new())
        other.job("b")
        assert rows(other.synced(), "SELECT job_id FROM jobs") == [("b",)]


@pytest.mark.postgres
@pytest.mark.parametrize("moment", ["begin", "commit", "after_cursor_execute"])
def test_a_server_that_goes_away_in_the_middle(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    lab = Lab(tmp_path / "results", server.new())
    for job in "ab":
        lab.job(job)
        lab.write(job, 1, *metrics(500))
    store, other = lab.open(), lab.open()
    monkeypatch.setattr(SYNC, "_BYTES", 10_000)  # several transactions
    left = [4]

    def cut(connection: Connection, *_: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            raw: Any = connection.connection.driver_connection
            rows(other, f"SELECT pg_terminate_backend({raw.info.backend_pid})")

    event.listen(store.engine, moment, cut)
    with pytest.raises(UserError, match="server") as caught:
        sync(store, lab.root)
    assert "\n" not in str(caught.value)
    sync(store, lab.root)
    assert check(store, lab.root) == []
    assert rows(store, "SELECT COUNT(*) FROM metrics") == [(1000,)]


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"port": 1}, "refuses connections"),
        ({"database": "no_such_database"}, "no such database"),
        ({"username": "no_such_user"}, "no such user"),
        ({"host": "no-such-host.invalid"}, "name is not known"),
    ],
)
def test_servers_that_cannot_be_reached(tmp_path: Path, change: dict[str, str], said: str) -> None:
    url = make_url(os.environ[SERVER]).set(password="secret", **change)  # type: ignore[arg-type]
    lab = Lab(tmp_path / "results", url.render_as_string(hide_password=False))
    for touch in (lab.open, lambda: rebuild(lab.root, lab.db)):
        with pytest.raises(UserError, match=said) as caught:
            touch()
        assert "\n" not in str(caught.value)
        assert "secret" not in str(caught.value)


def test_no_order_of_files_matters(lab: Lab, databases: Databases) -> None:
    """Journals before their job.json, children before parents: the same index in the end."""
    folders = [lab.job("a"), lab.job("b", "a")]
    specs = [folder.spec.read_bytes() for folder in folders]
    for job in "ba":
        lab.write(job, 1, *metrics(3), line("finished"))
    for folder in folders:
        folder.spec.write_text("{")  # not whole yet
    store = lab.synced()
    for folder, spec in reversed(list(zip(folders, specs, strict=True))):
        folder.spec.write_bytes(spec)
        sync(store, lab.root)
    once = Lab(lab.root.path, databases.new()).synced()
    assert contents(store) == contents(once)


def test_a_full_disk_can_be_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = Lab(tmp_path / "results")
    lab.job("a")

    def full(store: Any, root: Any) -> Any:
        if store.file is not None:
            raise trouble(Exception("database or disk is full"), store.name) or AssertionError
        return sync(store, root)

    monkeypatch.setattr("sweep.store.sync", full)
    store, _ = opened(lab.root.path, None)
    assert list(facts(store)) == ["a"]
    assert "in memory stands in" in capsys.readouterr().err
    with pytest.raises(UserError, match="the disk is full") as caught:
        analysis.load(lab.root.path)
    assert caught.value.exit_code == 1, "nothing is wrong with what was typed"


def test_a_folder_that_may_not_be_entered_stops_nothing_else(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A colleague's, made with a narrow umask."""
    for job in ("a", "b"):
        lab.job(job)
        lab.write(job, 1, line("started", attempt=1))
    closed = f"{lab.folder('a').path}/"
    before = os.stat, os.listdir

    def refused(call: Callable[..., Any], path: Any, *rest: Any, **named: Any) -> Any:
        if str(path).startswith(closed):
            raise PermissionError(13, "Permission denied", str(path))
        return call(path, *rest, **named)

    store = lab.open()
    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", lambda *a, **k: refused(before[0], *a, **k))
        patch.setattr(os, "listdir", lambda *a, **k: refused(before[1], *a, **k))
        report = sync(store, lab.root)
    assert list(facts(store)) == ["b"]
    (said,) = report.warnings
    assert "p16-c4-a: Permission denied" in said
    assert sync(store, lab.root).warnings == []
    assert sorted(facts(store)) == ["a", "b"]


def test_a_name_that_no_number_has_is_passed_over(lab: Lab) -> None:
    folder = lab.job("a")
    for place in (folder.claims / f"{10**22}.json", folder.journals / f"{10**22}.jsonl"):
        place.write_text("{}\n")
    store = lab.synced()
    assert facts(store)["a"].claims == 0
    assert newest_claim(folder).submission is None
    assert journals(folder) == []
