"""The launch lock: where it cannot be had, one line says so."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from sweep.layout import Root
from sweep.turns import turn
from vitok_core.errors import UserError


@pytest.mark.parametrize(
    ("number", "raised"),
    [
        (errno.ENOSYS, UserError),
        (errno.ENOLCK, UserError),
        (errno.EOPNOTSUPP, UserError),
        (errno.EIO, OSError),
    ],
)
def test_a_file_system_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, raised: type[Exception]
) -> None:
    def flock(_fd: int, _how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(raised) as caught, turn(Root(tmp_path), print):
        pytest.fail("it has no turn")
    if raised is UserError:
        assert len(str(caught.value).splitlines()) == 1
        assert "no working locks" in str(caught.value)
        assert "-o flock" in str(caught.value)
