"""Pictures that jobs left: only those in a job's own folder, and only those that can be read."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from PIL import Image

# What Pillow raises on files that are missing, damaged, no pictures, or too large to be any.
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError,
              Image.DecompressionBombWarning)  # fmt: skip


def own_file(root: Path, place: str) -> Path:
    """The file at `jobs/<folder>/…` below a results root.

    Raises:
        OSError: it lies outside of that job's folder, as a journal, or a link, may say.
    """
    folder = root.joinpath(*PurePosixPath(place).parts[:2]).resolve()
    path = (root / place).resolve()
    if not path.is_relative_to(folder):
        raise OSError(f"{place}: outside of its job's folder")
    return path
