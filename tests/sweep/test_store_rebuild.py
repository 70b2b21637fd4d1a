"""`db rebuild` and `db check`; databases that are damaged, old, foreign or elsewhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from databases import Databases
from journalled import Lab, contents, line, rows
from sqlalchemy import inspect, text

from sweep.layout import Root
from sweep.store import Store, open_store, sync
from sweep.store.check import check
from sweep.store.engine import connect
from sweep.store.rebuild import rebuild
from vitok_core.errors import UserError


@pytest.fixture
def lab(tmp_path: Path, databases: Databases) -> Lab:
    return Lab(tmp_path / "results", databases.new())


def metrics(first: int, last: int) -> list[bytes]:
    return [line("metric", step=s, name="loss", value=float(s)) for s in range(first, last + 1)]


def resumed(step: int, attempt: int) -> bytes:
    return line("resumed", step=step, path=f"checkpoints/{attempt}/step-{step}.pt")


def filled(lab: Lab) -> Store:
    lab.job("a")
    lab.job("b", "a")
    lab.sweep("demo", {"p1": ["a", "b"]})
    lab.claim("a")
    lab.write("a", 1, line("started", submission="s1"), *metrics(1, 300), line("failed"))
    lab.write("a", 2, resumed(100, 1), *metrics(101, 400), line("finished"))
    return lab.synced()


def meddle(store: Store, *statements: str) -> None:
    """Change the index behind its back."""
    with store.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_a_rebuild_equals_the_index(lab: Lab) -> None:
    store = filled(lab)
    before = contents(store)
    assert check(store, lab.root) == []
    rebuild(lab.root, lab.db)
    assert contents(store) == before
    assert check(store, lab.root) == []
    assert not list(lab.root.path.glob(".*rebuild*"))


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE metrics SET value = value + 1 WHERE step = 7",
        "DELETE FROM metrics WHERE step = 400",
        "INSERT INTO metrics VALUES ('a', 1, -1, 0, 0, 'loss', 0)",
        "UPDATE attempts SET outcome = NULL WHERE attempt = 2",
        "UPDATE attempts SET shown_to = 5",
        "DELETE FROM claims",
        "DELETE FROM jobs WHERE job_id = 'b'",
        "DELETE FROM sweep_jobs",
        "UPDATE offsets SET \"offset\" = 10 WHERE path LIKE '%claims%'",
    ],
)
def test_check_sees_any_damage_and_a_rebuild_mends_it(lab: Lab, damage: str) -> None:
    store = filled(lab)
    meddle(store, damage)
    assert check(store, lab.root) != []
    rebuild(lab.root, lab.db)
    assert check(store, lab.root) == []


def test_readers_keep_what_they_saw_during_a_rebuild(lab: Lab) -> None:
    store = filled(lab)
    every = "SELECT * FROM metrics ORDER BY job_id, attempt, at"
    before = rows(store, every)
    with store.read() as connection:
        connection.exec_driver_sql("SELECT COUNT(*) FROM jobs").scalar()  # its moment begins
        lab.write("b", 1, *metrics(1, 500))
        sync(store, lab.root)  # in the write-ahead log, which the reader keeps alive
        lab.write("b", 2, *metrics(1, 500))
        rebuild(lab.root, lab.db)
        assert [tuple(row) for row in connection.exec_driver_sql(every)] == before
    assert rows(store, "SELECT COUNT(*) FROM metrics") == [(1600,)]
    lab.write("b", 2, *metrics(501, 501))
    sync(store, lab.root)  # a store opened before goes on in the same file
    assert check(store, lab.root) == []


def test_a_rebuild_killed_at_any_moment_leaves_a_whole_index(lab: Lab) -> None:
    filled(lab)
    code = (
        "import sys\nfrom pathlib import Path\nfrom sweep.layout import Root\n"
        "from sweep.store.rebuild import rebuild\n"
        "while True: rebuild(Root(Path(sys.argv[1])), sys.argv[2]); print(flush=True)\n"
    )
    for wait in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(lab.root.path), str(lab.db)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()  # at least one is through
        try:
            process.wait(0.013 * wait)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert check(lab.open(), lab.root) == []
    rebuild(lab.root, lab.db)
    assert not list(lab.root.path.glob(".*rebuild*"))  # of the killed ones


def test_another_schema_asks_for_a_rebuild_and_gets_it(lab: Lab) -> None:
    store = filled(lab)
    meddle(
        store,
        "UPDATE meta SET value = '0' WHERE key = 'schema'",
        "ALTER TABLE metrics DROP COLUMN t",
    )
    with pytest.raises(UserError, match="db rebuild"):
        lab.open()
    rebuild(lab.root, lab.db)
    assert check(lab.open(), lab.root) == []


def test_a_damaged_file_is_put_aside_not_deleted(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "results")
    file = lab.root.path / "results.db"
    filled(lab).close()
    noise = os.urandom(8192)
    file.write_bytes(noise)
    with pytest.raises(UserError, match="db rebuild"):
        lab.open()
    report = rebuild(lab.root, lab.db)
    assert (lab.root.path / "results.db.damaged-1").read_bytes() == noise
    assert any("damaged-1" in warning for warning in report.warnings)
    assert check(lab.open(), lab.root) == []


def test_other_peoples_databases_are_not_touched(lab: Lab) -> None:
    theirs = connect(None, lab.db)
    meddle(theirs, "CREATE TABLE precious (x INTEGER)", "INSERT INTO precious VALUES (7)")
    for touch in (open_store, rebuild):
        with pytest.raises(UserError, match="not of vitok-sweep"):
            touch(lab.root, lab.db)
    assert inspect(theirs.engine).get_table_names() == ["precious"]
    assert rows(theirs, "SELECT x FROM precious") == [(7,)]


@pytest.mark.parametrize(
    "url", ["results.db", "nonsense://x", "sqlite:////no/such/folder/x.db", "postgresql+nope://x/y"]
)
def test_bad_urls_are_one_line(tmp_path: Path, url: str) -> None:
    with pytest.raises(UserError) as caught:
        open_store(Lab(tmp_path / "results").root, url)
    assert "\n" not in str(caught.value)


def test_several_indexes_over_one_root_agree(lab: Lab, databases: Databases) -> None:
    first, url = filled(lab), databases.new()
    other = open_store(lab.root, url)
    sync(other, lab.root)
    assert contents(other) == contents(first)
    rebuild(lab.root, url)
    assert check(other, lab.root) == []
    sync(own := open_store(lab.root), lab.root)  # the root's own results.db, whatever the other is
    assert contents(own) == contents(first)


def test_an_index_belongs_to_one_root(lab: Lab, tmp_path: Path) -> None:
    filled(lab)
    other = Lab(tmp_path / "other", lab.db)
    other.job("c")
    with pytest.raises(UserError, match="another results root"):
        other.open()
    lab.root.path.rename(tmp_path / "moved")  # or mounted elsewhere
    moved = Lab(tmp_path / "moved", lab.db)
    assert check(moved.open(), moved.root) == []
    if other.db is not None:
        with pytest.raises(UserError, match="another results root"):
            rebuild(other.root, other.db)
        never = Lab(tmp_path / "never", lab.db)
        never.root.path.rmdir()  # a root that is not there yet: nothing of this one is shown
        with pytest.raises(UserError, match="another results root"):
            never.open()
    assert check(moved.open(), moved.root) == []
    rebuild(other.root, other.db, replace=True)  # on demand the index changes hands
    assert check(other.open(), other.root) == []
    with pytest.raises(UserError, match="another results root"):
        moved.open()


def test_check_holds_while_others_write_and_sync(lab: Lab) -> None:
    store = filled(lab)
    code = (
        "import sys\nfrom pathlib import Path\nfrom sweep.journal import Journal\n"
        "from sweep.layout import Root\nfrom sweep.store import open_store, sync\n"
        "root = Root(Path(sys.argv[1])); store = open_store(root, sys.argv[2]); n = 0\n"
        "journal = Journal(root.job_folder('p16-c4', 'b').journals / '1.jsonl')\n"
        "while True:\n"
        "    n += 1\n    journal.write('metric', step=n, name='loss', value=0.5)\n"
        "    if n % 20 == 0: sync(store, root)\n    if n == 20: print(flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(lab.root.path), str(lab.db)], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        for _ in range(3):
            assert check(store, lab.root) == []
    finally:
        process.kill()
        process.wait()


def test_rebuild_needs_a_root(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such results root"):
        rebuild(Root(tmp_path / "none"), None)
    assert not (tmp_path / "none").exists()
