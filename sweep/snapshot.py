"""A frozen copy of the packages that jobs import: editing while jobs queue changes nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from sweep.layout import Root
from vitok_core.errors import UserError

PACKAGES = ("sweep", "vitok_core")
_HERE = Path(__file__).resolve().parent.parent  # the folder that holds the packages
_SKIPPED = frozenset({"__pycache__"})  # Python writes it into the copy too
_HASH_DIGITS = 16


def refused_path(root: Root) -> str | None:
    """Why jobs could not import their frozen code from this results root; None: they can."""
    if os.pathsep in str(root.code.resolve()):
        return f"{root.path}: Python splits its search path at {os.pathsep!r}; use another path"
    return None


def freeze(root: Root) -> Path:
    """Copy the packages under `code/<hash>/` unless they are there; returns that folder.

    The copy appears whole, by a rename, under the hash of what was copied. `origin.json` beside the
    packages says which commit it was and what differed from it.
    """
    target = root.code / _identity(_HERE)
    if target.is_dir():
        return target
    root.code.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".copy-", dir=root.code))
    try:
        for source in _files(_HERE):
            place = temporary / source.relative_to(_HERE)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, place)
        (temporary / "origin.json").write_text(json.dumps(_origin(), indent=1) + "\n")
        temporary.chmod(0o755)
        target = root.code / _identity(temporary)  # somebody may have edited meanwhile
        temporary.rename(target)
    except OSError as error:
        if not target.is_dir():  # else another launcher made the same copy meanwhile
            why = error.strerror or error
            raise UserError(f"{root.code}: cannot keep the code that jobs run: {why}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


@lru_cache(maxsize=1)
def code_identity() -> str:
    """Hash over the names and bytes of the running packages' files, when first asked for."""
    return _identity(_HERE)


def _identity(base: Path) -> str:
    digest = hashlib.sha256()
    for path in _files(base):
        digest.update(f"{path.relative_to(base).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:_HASH_DIGITS]


def _files(base: Path) -> Iterator[Path]:
    for package in PACKAGES:
        for path in sorted((base / package).rglob("*")):
            if path.is_file() and not _SKIPPED & set(path.relative_to(base).parts):
                yield path


def _origin() -> dict[str, str | None]:
    """Commit and difference of the packages alone: nothing else of the checkout is recorded."""
    return {
        "commit": _git("rev-parse", "HEAD"),
        "diff": _git("diff", "HEAD", "--", *PACKAGES),
    }


def _git(*arguments: str) -> str | None:
    if not (_HERE / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(_HERE), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:  # no git on this machine
        return None
    return done.stdout.strip() if done.returncode == 0 else None
