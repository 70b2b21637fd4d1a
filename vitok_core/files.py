"""Files that stand whole or not at all, whoever else writes the same one at once. Torch-free."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def replace_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Replace `path` by what `write` puts into the file it is given; durable on return.

    Should anything fail before that, the old file stays and no other is left.
    """
    with written_beside(path, write) as temporary:
        temporary.replace(path)
    sync_folder(path.parent)


@contextmanager
def written_beside(path: Path, write: Callable[[BinaryIO], object]) -> Iterator[Path]:
    """A durable temporary file in the folder of `path`, removed at the end if still there."""
    # Not the process id: processes on other machines, or in containers, may have the same.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        try:
            with temporary.open("xb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if error.errno is not None and error.filename is None:  # of a write or an fsync
                error.filename = str(path)
            raise
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a new or renamed file durable: on POSIX its name is an entry of the folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
