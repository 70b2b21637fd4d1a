"""One writer, one line per write, and readers that never see half a line."""

from __future__ import annotations

import errno
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sweep import journal as module
from sweep.journal import Journal, Replaced, dump_line, read_from, read_lines, write_atomic


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "1.jsonl"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_second_writer_is_refused(path: Path) -> None:
    journal = Journal(path)
    with pytest.raises(FileExistsError):
        Journal(path)
    journal.write("metric", step=1, name="loss", value=0.5)
    journal.close()
    with pytest.raises(OSError, match=r"[Bb]ad file"):
        journal.write("metric", step=2, name="loss", value=0.5)
    with pytest.raises(FileExistsError):
        Journal(path)


def test_lines_are_complete_as_soon_as_written(path: Path) -> None:
    journal = Journal(path, Clock())
    journal.write("metric", step=1, name="loss", value=0.5)
    assert path.read_bytes() == (
        b'{"event":"metric","t":1000.0,"step":1,"name":"loss","value":0.5}\n'
    )


def test_one_system_call_per_record(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: sizes.append(len(data)) or write(fd, data))
    journal = Journal(path)
    journal.write("failed", message="é" * 100_000)
    assert sizes == [path.stat().st_size]


@given(st.dictionaries(st.text(), st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
), max_size=4))  # fmt: skip
def test_any_record_is_one_line_of_strict_json(record: dict[str, Any]) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    line = dump_line(record)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    json.loads(line.decode(), parse_constant=refuse)


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@given(
    st.sampled_from(["metric", "progress", "result"]),
    st.floats(0, 2**40),
    st.dictionaries(
        (st.sampled_from(["step", "name", "value", "done"]) | st.text())
        .filter(lambda key: key not in ("event", "t", "self")),
        _SCALARS
        | st.sampled_from(["loss", "größe", "a b", "C:\\\\x", 'say "so"', "\u2028", "\ud800"]),
        max_size=4,
    ),
)  # fmt: skip
@example("metric", 1.0, {"name": "\ud800"})
@example("metric", 1.0, {"step": True, "value": math.inf})
def test_the_short_way_writes_the_same_bytes(
    tmp_path_factory: Any, event: str, t: float, fields: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("short") / "1.jsonl"
    journal = Journal(path, lambda: t)
    journal.write(event, **fields)
    journal.close()
    assert path.read_bytes() == dump_line({"event": event, "t": t, **fields})


@pytest.mark.parametrize(
    ("value", "text"), [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")]
)
def test_non_finite_values_are_strings(path: Path, value: float, text: str) -> None:
    Journal(path).write("metric", value=value, nested=[{"deep": value}])
    ((record,), _) = read_from(path)
    assert record["value"] == text
    assert record["nested"] == [{"deep": text}]


def test_what_is_not_unicode_does_not_cost_the_record(path: Path) -> None:
    Journal(path).write("failed", message=os.fsdecode(b"no such file: caf\xe9.jpg"))
    ((record,), _) = read_from(path)
    assert record["message"] == "no such file: caf?.jpg"
    record["message"].encode()  # a database takes it


@given(st.lists(st.text(max_size=20), max_size=5), st.integers(0, 400))
def test_a_torn_line_is_left_for_later(tmp_path_factory: Any, texts: list[str], cut: int) -> None:
    path = tmp_path_factory.mktemp("torn") / "1.jsonl"
    whole = b"".join(dump_line({"event": "e", "text": text}) for text in texts)
    path.write_bytes(whole[:cut])
    first, offset = read_from(path)
    path.write_bytes(whole)
    second, end = read_from(path, offset)
    assert [record["text"] for record in first + second] == texts
    assert end == len(whole)


def test_offsets_are_those_of_lines(path: Path) -> None:
    path.write_bytes(b'{"event":"a"}\nrubbish\n[1]\n{"event":"b"}\n{"event":"c"')
    lines, end = read_lines(path)
    assert [(at, record and record["event"]) for at, record in lines] == [
        (0, "a"), (14, None), (22, None), (26, "b"),
    ]  # fmt: skip
    assert end == 40
    assert read_lines(path, end) == ([], 40)


def test_a_file_in_anothers_place_is_noticed(path: Path) -> None:
    path.write_bytes(b'{"event":"a"}\n')
    _, end = read_lines(path)
    path.write_bytes(b'{"event":"another one"}\n{"event":"b"}\n')
    with pytest.raises(Replaced):
        read_lines(path, end)
    assert [record["event"] for record in read_from(path, end)[0]] == ["another one", "b"]


def test_a_short_write_raises_and_later_records_are_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(path)
    journal.write("metric", step=1)
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:7]))
    with pytest.raises(OSError, match="only 7 of"):
        journal.write("metric", step=2)
    monkeypatch.setattr(os, "write", write)
    journal.write("metric", step=3)
    journal.write("metric", step=4)
    assert [record["step"] for record in read_from(path)[0]] == [1, 3, 4]


def test_a_full_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """First the rest of the disk, then nothing; then somebody makes room."""
    journal = Journal(path)
    write, room = os.write, [30]

    def full(fd: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = write(fd, data[: room[0]])
        room[0] -= done
        return done

    monkeypatch.setattr(os, "write", full)
    for _ in range(3):
        with pytest.raises(OSError, match=r"disk full|No space left") as caught:
            journal.write("failed", message="disk full")
        assert caught.value.filename == str(path)
    monkeypatch.setattr(os, "write", write)
    journal.write("finished", seconds=1.0)
    assert [record["event"] for record in read_from(path)[0]] == ["finished"]


def test_what_is_durable_at_once_and_what_is_not(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(module.os, "fsync", synced.append)
    clock = Clock()
    journal = Journal(path, clock)
    synced.clear()

    def syncs(event: str) -> int:
        before = len(synced)
        journal.write(event)
        return len(synced) - before

    durable = ("started", "resumed", "data", "checkpoint", "result", "artifact", "finished",
               "failed", "preempted", "claim", "sweep")  # fmt: skip
    assert [syncs(event) for event in durable] == [1] * len(durable)
    assert [syncs("metric"), syncs("progress")] == [0, 0]
    clock.now += 29.9
    assert syncs("metric") == 0
    clock.now += 0.2
    assert [syncs("metric"), syncs("metric")] == [1, 0]
    journal.close()
    assert len(synced) == len(durable) + 2


def test_write_atomic_keeps_the_old_content_on_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "job.json"
    write_atomic(path, b"old")

    def fail(fd: int) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(module.os, "fsync", fail)
    with pytest.raises(OSError, match="broken"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["job.json"]


def test_a_short_write_is_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "1.jsonl")
    monkeypatch.setattr(os, "write", lambda fd, data: len(data) - 1)
    with pytest.raises(OSError, match="disk full") as caught:
        journal.write("finished")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(journal.path))
