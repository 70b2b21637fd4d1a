"""Frozen copies of the packages that jobs import: editing while jobs queue changes nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from sweep.layout import Root
from sweep.model import PlannedJob
from vitok_core import plugins
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

    def fill(folder: Path) -> str:
        for source in _files(_HERE):
            _copy(source, folder / source.relative_to(_HERE))
        (folder / "origin.json").write_text(json.dumps(_origin(), indent=1) + "\n")
        return _identity(folder)  # somebody may have edited meanwhile

    return _whole(root.code, fill)


def freeze_plugins(root: Root, jobs: Iterable[PlannedJob]) -> None:
    """Copy the packages that the jobs name of others' under `plugins/<hash>/`, unless they are
    there; UserError where one is no longer what was planned."""
    named = {use: None for job in jobs for use in plugins.used(job.config)}
    for key, code in named:
        if (root.plugins / key).is_dir():
            continue
        top = plugins.top_of(code or "")
        if not top or plugins.source_sha256(top)[: len(key)] != key:
            raise UserError(f"{code}: its source has changed since this was planned; launch again")
        _whole(root.plugins, partial(_fill_plugin, key, top))


def plugin_copies(root: Root, configs: Iterable[Mapping[str, Any]]) -> list[Path]:
    """Where the frozen packages of these configurations stand, as far as there are any."""
    keys = dict.fromkeys(key for config in configs for key, _ in plugins.used(config))
    return [root.plugins / key for key in keys if (root.plugins / key).is_dir()]


def _fill_plugin(key: str, top: str, folder: Path) -> str:
    place = plugins.place_of(top)
    for source in sorted(place.rglob("*")) if place.is_dir() else [place]:
        inside = source.relative_to(place.parent)
        if source.is_file() and not any(_skipped(part) for part in inside.parts):
            _copy(source, folder / inside)
    for name, texts in plugins.metadata_of(top).items():
        for file, text in texts.items():
            (folder / name).mkdir(exist_ok=True)
            (folder / name / file).write_text(text)
    return key


def _skipped(part: str) -> bool:
    return part in _SKIPPED or part.startswith(".")


def _whole(parent: Path, fill: Callable[[Path], str]) -> Path:
    """A folder that appears whole, by a rename, under the name that `fill` returns."""
    parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".copy-", dir=parent))
    target = parent / temporary.name
    try:
        target = parent / fill(temporary)
        temporary.chmod(0o755)
        temporary.rename(target)
    except OSError as error:
        if not target.is_dir():  # else another launcher made the same copy meanwhile
            why = error.strerror or error
            raise UserError(f"{parent}: cannot keep the code that jobs run: {why}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _copy(source: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, place)


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
