"""Turns: who launches into a results root, cancels there, or frees its disk, does so alone."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sweep.layout import Root
from vitok_core.errors import UserError

# What file systems say that are mounted without locks.
_LOCKLESS = frozenset({errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP})


@contextmanager
def turn(root: Root, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the results root's launch lock; a dying process lets go of it.

    Args:
        say: told where somebody else holds it and this one waits.

    Raises:
        UserError: the results root is on a file system without locks.
    """
    root.launches.mkdir(parents=True, exist_ok=True)
    # For a team that shares the root: the umask decides who may take a turn.
    fd = os.open(root.launches / "lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _lock(fd, root, say)
        yield
    finally:
        os.close(fd)


@contextmanager
def alone(root: Root, name: str) -> Iterator[None]:
    """Be the one controller of a search; a dying process ceases to be.

    Raises:
        UserError: another one is at work, or the file system has no locks.
    """
    root.searches.mkdir(parents=True, exist_ok=True)
    fd = os.open(root.searches / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if not _take(fd, root, fcntl.LOCK_EX | fcntl.LOCK_NB):
            raise UserError(
                f"another launch searches {name} in {root.path}: `vitok-sweep status {name} "
                "--watch` shows it; one search has one controller"
            )
        yield
    finally:
        os.close(fd)


def _lock(fd: int, root: Root, say: Callable[[str], None]) -> None:
    if not _take(fd, root, fcntl.LOCK_EX | fcntl.LOCK_NB):
        say(f"another launch, cancel or gc is at work in {root.path}; waiting for it")
        _take(fd, root, fcntl.LOCK_EX)


def _take(fd: int, root: Root, how: int) -> bool:
    """Take a lock; False: somebody else has it."""
    try:
        fcntl.flock(fd, how)
        return True
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _LOCKLESS:
            raise
        raise UserError(
            f"{root.path}: this file system has no working locks (flock); mount it with them "
            "(Lustre: -o flock), or name another --results"
        ) from None
