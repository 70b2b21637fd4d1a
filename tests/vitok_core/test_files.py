"""The one atomic writer."""

from __future__ import annotations

from pathlib import Path
from threading import Barrier, Thread
from typing import BinaryIO

import pytest

from vitok_core.files import replace_atomically


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for content in (b"a longer first one", b"second"):
        replace_atomically(path, lambda file, content=content: file.write(content))
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_keeps_the_old_file_and_leaves_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    seen = []

    def fail(file: BinaryIO) -> None:
        file.write(b"torn")
        seen.extend(each.name for each in tmp_path.iterdir() if each != path)
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        replace_atomically(path, fail)
    assert len(seen) == 1
    assert seen[0].startswith(".a.")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_writers_of_one_process_do_not_meet(tmp_path: Path) -> None:
    path, both = tmp_path / "a", Barrier(2, timeout=10)
    failures: list[Exception] = []

    def put(content: bytes) -> None:
        def write(file: BinaryIO) -> None:
            both.wait()  # both temporary files are open now
            file.write(content)

        try:
            replace_atomically(path, write)
        except Exception as error:
            failures.append(error)

    threads = [Thread(target=put, args=(content,)) for content in (b"one", b"other")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert path.read_bytes() in (b"one", b"other")
    assert list(tmp_path.iterdir()) == [path]
