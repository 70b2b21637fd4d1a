"""What a job used: the peak of memory since its begin, not since its process's."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vitok_core import used

# In a process of its own: in one that ran other tests, their libraries give memory back at any
# moment. Three blocks: 300 MB before the job, then its begin, then 200 MB in it.
_JOB = """
import resource
from vitok_core import used

def fill(size):
    block = bytearray(size)
    block[::4096] = b"x" * len(block[::4096])

fill(300_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
used.begin("cpu")
print(used.peak_bytes("cpu"))
fill(200_000_000)
print(used.peak_bytes("cpu"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not forget a peak")
def test_the_peak_is_of_the_job_that_runs() -> None:
    done = subprocess.run([sys.executable, "-c", _JOB], capture_output=True, text=True, check=True)
    before, begun, ended = map(int, done.stdout.split())
    assert begun < before - 200_000_000
    assert begun + 180_000_000 < ended < before


def test_the_device_has_a_name() -> None:
    assert used.device_name("cpu")
