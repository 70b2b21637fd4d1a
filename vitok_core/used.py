"""What a job used of its machine: the device's name, and the most memory. Torch-free to import.

On a GPU it is what torch allocated there; on the CPU the process's resident memory.
"""

from __future__ import annotations

import platform
import resource
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

_CPUS = Path("/proc/cpuinfo")
_PEAK_RESET = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def begin(device: str) -> None:
    """Count from here on, in a process that did other jobs before. Where the system cannot, the
    peak is the whole process's."""
    if device == "cuda":
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_initialized():  # else nothing is to be forgotten
            torch.cuda.reset_peak_memory_stats()
        return
    try:
        _PEAK_RESET.write_text("5")  # man 5 proc: the peak of the resident memory
    except OSError:  # not Linux, or a container that forbids it
        return


def _cuda(device: str) -> Any:
    """torch.cuda, where this job computed on a GPU: a job that never met torch did not."""
    torch = sys.modules.get("torch")
    return torch.cuda if device == "cuda" and torch and torch.cuda.is_available() else None


def peak_bytes(device: str) -> int:
    """The most memory since `begin`, in bytes: of this process's current GPU, or resident."""
    cuda = _cuda(device)
    if cuda is not None:
        return int(cuda.max_memory_allocated())
    try:
        lines = _STATUS.read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("VmHWM:"))) * 1024
    except (OSError, StopIteration):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def device_name(device: str) -> str:
    """What the maker calls it: `NVIDIA H100 80GB HBM3`, `Intel(R) Xeon(R) …`."""
    cuda = _cuda(device)
    return _processor() if cuda is None else str(cuda.get_device_name())


def used(device: str) -> dict[str, Any]:
    """Both, as a record keeps them."""
    return {"device_name": device_name(device), "peak_bytes": peak_bytes(device)}


@lru_cache(maxsize=1)
def _processor() -> str:
    try:
        lines = _CPUS.read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()
