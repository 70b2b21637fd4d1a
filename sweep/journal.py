"""Append-only journals: one writer, one file, one complete JSON line per `os.write`.

See docs/records.md. The reader takes complete lines only, from a byte offset, so that a torn last
line is left for later and any number of readers may follow a living writer.
"""

from __future__ import annotations

import errno
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from vitok_core.files import replace_atomically, written_beside
from vitok_core.files import sync_folder as sync_folder

_SYNC_EVERY = 30.0  # seconds between fsyncs of lines that need not be durable at once
_LAZY = frozenset({"metric", "progress"})
_LARGEST = sys.float_info.max
_NAMES: set[str] = set()
_MOST_NAMES = 10_000
_decode = json.JSONDecoder().raw_decode
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode


class Replaced(ValueError):  # noqa: N818  (a file's fate, not a failure)
    """A journal that is not the one which was read before: they only ever grow."""


class Journal:
    """The one writer of a journal file, which it creates exclusively.

    Raises FileExistsError when the file is there already: an attempt has one writer.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._clock = clock
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        self._synced = clock()
        self._torn = False
        sync_folder(path.parent)

    def write(self, event: str, **fields: Any) -> None:
        """Append one record; durable on return unless it is a metric or progress."""
        now = self._clock()
        line = _short_line(event, now, fields) if event in _LAZY else None
        self._append(line or dump_line({"event": event, "t": now, **fields}))
        if event not in _LAZY or now - self._synced >= _SYNC_EVERY:
            self._sync(now)

    def write_all(self, event: str, records: Iterable[Mapping[str, Any]]) -> None:
        """Append many records of one event, durable together on return."""
        now = self._clock()
        for fields in records:
            self._append(dump_line({"event": event, "t": now, **fields}))
        self._sync(now)

    def _append(self, line: bytes) -> None:
        if self._torn:  # end the torn line: the reader drops it, and what follows stays readable
            line = b"\n" + line
        try:
            written = os.write(self._fd, line)
        except OSError as error:  # which does not say where
            raise OSError(error.errno, error.strerror, str(self.path)) from error
        if written != len(line):
            self._torn = not line[:written].endswith(b"\n")
            words = f"only {written} of {len(line)} bytes were written (disk full?)"
            raise OSError(errno.ENOSPC, words, str(self.path))
        self._torn = False

    def _sync(self, now: float) -> None:
        os.fsync(self._fd)
        self._synced = now

    def close(self) -> None:
        """Flush to disk and close; further writes raise."""
        if self._fd >= 0:
            os.fsync(self._fd)
            os.close(self._fd)
            self._fd = -1


def dump_line(record: dict[str, Any]) -> bytes:
    """One strict-JSON line; non-finite floats become the strings "nan", "inf", "-inf".

    What is not Unicode (a file name's stray bytes in an error message) becomes "?".
    """
    try:
        text = _encode(record)
    except ValueError:  # rare, and looking first would cost as much as writing
        text = _encode(_finite(record))
    return text.encode(errors="replace") + b"\n"


def _short_line(event: str, now: float, fields: Mapping[str, Any]) -> bytes | None:
    """The line of `dump_line`, in half the time, for numbers and names; None for any other value.

    A training loop waits for this, once per metric and step.
    """
    parts = [f'{{"event":"{event}","t":{now!r}']
    for key, value in fields.items():
        kind = type(value)
        if key not in _NAMES and not _is_name(key):
            return None
        if kind is int or (kind is float and -_LARGEST <= value <= _LARGEST):
            parts.append(f'"{key}":{value!r}')
        elif kind is str and (value in _NAMES or _is_name(value)):
            parts.append(f'"{key}":"{value}"')
        else:
            return None
    return (",".join(parts) + "}\n").encode()


def _is_name(text: str) -> bool:
    """Whether a string is its own JSON; remembered, since a job has few names."""
    if len(_NAMES) < _MOST_NAMES and _encode(text) == f'"{text}"' and text.isprintable():
        _NAMES.add(text)
    return text in _NAMES


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def read_from(path: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Complete records from byte `offset`, and the offset after the last complete line.

    A line that is not a JSON object (torn by a full disk or a dying machine) is skipped for good.
    A file that has been replaced by another is read from its beginning.
    """
    try:
        lines, end = read_lines(path, offset)
    except Replaced:
        lines, end = read_lines(path)
    return [record for _, record in lines if record is not None], end


def read_lines(
    path: Path, offset: int = 0, end: int | None = None, at_least: int | None = None
) -> tuple[list[tuple[int, dict[str, Any] | None]], int]:
    """As `read_from`, each record with its line's own byte offset; None for an unreadable line.

    Args:
        end: read as if the file ended at this offset; None: its true end.
        at_least: stop at the first complete line after so many bytes; None: read everything.

    Raises:
        Replaced: no line begins at `offset`.
    """
    with path.open("rb") as file:
        file.seek(max(0, offset - 1))
        if offset and file.read(1) not in (b"\n", b""):
            raise Replaced(f"{path}: another file than the one that was read up to byte {offset}")
        left = None if end is None else max(0, end - offset)
        if at_least is None or (left is not None and left <= at_least):
            data = file.read() if left is None else file.read(left)
        else:
            data = file.read(at_least) + file.readline()
            data = data if left is None else data[:left]
    stop = data.rfind(b"\n") + 1
    return list(_records(data[:stop], offset)), offset + stop


def _records(data: bytes, at: int) -> Iterator[tuple[int, dict[str, Any] | None]]:
    for line in data.split(b"\n")[:-1]:
        yield at, _record(line)
        at += len(line) + 1


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        text = line.decode()
        record, end = _decode(text)
        if end != len(text):
            record = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and "event" in record else None


def write_atomic(path: Path, data: bytes) -> None:
    """Replace `path` as a whole: temp file beside it, fsync, `os.replace`, fsync of the folder."""
    replace_atomically(path, lambda file: file.write(data))


def create_atomic(path: Path, data: bytes) -> bool:
    """Create `path` as a whole and exclusively; False: another was first."""
    with written_beside(path, lambda file: file.write(data)) as temporary:
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            return False
    sync_folder(path.parent)
    return True
