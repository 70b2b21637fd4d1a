"""What a job used: the peak of memory since its begin, not since its process's."""

from __future__ import annotations

import resource
import sys

import pytest

from vitok_core import used

_MUCH = 300_000_000  # bytes


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not forget a peak")
def test_the_peak_is_of_the_job_that_runs() -> None:
    block = bytearray(_MUCH)
    block[::4096] = b"x" * len(block[::4096])
    del block
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    used.begin("cpu")
    after = used.peak_bytes("cpu")
    assert after < most - _MUCH / 2
    again = bytearray(_MUCH)
    again[::4096] = b"x" * len(again[::4096])
    assert used.peak_bytes("cpu") >= after + 0.9 * _MUCH
    assert used.device_name("cpu")
