"""Arrays in files."""

from __future__ import annotations

import errno
import io
from pathlib import Path

import numpy as np
import pytest

from vitok_core.arrays import write_array

FULL = Path("/dev/full")


@pytest.mark.parametrize("shape", [(), (0, 3), (5, 7), (400, 300)])
def test_it_writes_what_numpy_writes(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).normal(size=shape)
    ours, theirs = io.BytesIO(), io.BytesIO()
    write_array(ours, array)
    np.save(theirs, array, allow_pickle=False)
    assert ours.getvalue() == theirs.getvalue()


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")
def test_a_full_disk_is_called_so() -> None:
    """Jobs that meet one are stopped, not failed: the next launch takes them up again."""
    with pytest.raises(OSError, match="No space") as caught, FULL.open("wb") as file:
        write_array(file, np.zeros(2**18))
    assert caught.value.errno == errno.ENOSPC
