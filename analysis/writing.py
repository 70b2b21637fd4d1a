"""Files of reports: put below their folder whole or not at all, and a place that refuses named."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import BinaryIO

from vitok_core.errors import UserError
from vitok_core.files import replace_atomically


class Unwritable(UserError):  # noqa: N818  (a finding about a place)
    """A file of a report cannot be put where it was asked for."""


def put(out: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write files by their names below `out`, each replaced as a whole, and return their paths.

    Raises:
        Unwritable: a place that cannot be written; its name, and what the system says of it.
    """
    paths = [out / name for name in files]
    at = out
    try:
        out.mkdir(parents=True, exist_ok=True)
        for at, data in zip(paths, files.values(), strict=True):
            if at.is_dir():
                raise Unwritable(f"cannot write to {at}: expected a file, and this is a folder")
            replace_atomically(at, partial(_write, data))
    except FileExistsError as error:  # of mkdir: files are replaced
        raise Unwritable(f"cannot write to {out}: expected a folder, and this is a file") from error
    except OSError as error:
        raise Unwritable(f"cannot write to {at}: {error.strerror or error}") from error
    return paths


def _write(data: bytes, file: BinaryIO) -> None:
    file.write(data)
