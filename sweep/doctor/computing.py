"""What torch does on this machine's GPUs: `python -m vitok_core.health`, check by check.

One after the other, each in a session of its own with a time limit: a crash, a hang or a driver
that kills its process is one finding, and hides nothing of the rest.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sweep.doctor.finding import Finding, ok, problem, warning
from sweep.planning.estimate import DEVICES

_MODULE = "vitok_core.health"
_LITTLE = 0.4  # of the maker's peak, for a large matrix product: a healthy GPU reaches more

# Seconds to wait for each check, the import of torch from a slow disk included.
CHECKS: Mapping[str, float] = {
    "devices": 120.0,
    "products": 120.0,
    "block": 120.0,
    "compile": 300.0,
    "all-reduce": 240.0,
    "training": 240.0,
    "resume": 300.0,
    "loading": 180.0,
}
_MENDS: Mapping[str, str] = {
    "devices": "take this GPU out of use (--gpus, or slurm.options.exclude)",
    "products": "take this GPU out of use (--gpus, or slurm.options.exclude)",
    "block": "train in fp32 (train.precision), and send us the report",
    "compile": "set compile: false in the resources, and send us the report",
    "all-reduce": "train on one GPU; NCCL_DEBUG=INFO says what NCCL does",
    "training": "send us the report",
    "resume": "send us the report",
    "loading": "set workers: 0 in the resources; is /dev/shm large enough?",
}
_NONE = "install a torch that fits this driver (pytorch.org), or ask for a GPU (salloc, srun)"


@dataclass(frozen=True)
class Checked:
    """One check: its finding, and the numbers behind it for the report."""

    finding: Finding
    seconds: float
    values: Mapping[str, Any] = field(default_factory=dict)


def compute(
    device: str, say: Callable[[str], None], checks: Collection[str] = tuple(CHECKS)
) -> list[Checked]:
    """Run the checks on `cuda`, or in small on `cpu`. Where there is no GPU nothing else is asked.

    Args:
        say: told which check runs.
    """
    found: list[Checked] = []
    name = ""
    for check in checks:
        say(f"{check} (up to {CHECKS[check] / 60:.0f} min)")
        done = _checked(check, device, name)
        found.append(done)
        devices = done.values.get("devices") if check == "devices" else None
        if devices == []:
            break
        name = devices[0]["name"] if devices else name
    return found


def _checked(check: str, device: str, name: str) -> Checked:
    began = time.monotonic()
    text, error = isolated([sys.executable, "-m", _MODULE, check, device], CHECKS[check])
    took = round(time.monotonic() - began, 1)
    if text is None:
        return Checked(problem(check, error, _MENDS[check]), took)
    said = json.loads(text.splitlines()[-1])
    values = {**said["values"], **({"flops": said["flops"]} if said["flops"] else {})}
    if not said["right"]:
        mend = _NONE if values.get("devices") == [] else _MENDS[check]
        return Checked(problem(check, said["found"], mend), took, values)
    shares = _shares(said["flops"], name)
    listed = ", ".join(f"{share:.0%} of the {kind} peak" for kind, share in shares.items())
    line = f"{said['found']} ({listed})" if shares else said["found"]
    values |= {"share_of_peak": shares} if shares else {}
    if check == "products" and shares and min(shares.values()) < _LITTLE:
        mend = "is something else running there, is it hot or capped? `nvidia-smi -q` says"
        return Checked(warning(check, line, mend), took, values)
    return Checked(ok(check, line), took, values)


def _shares(flops: Mapping[str, float], name: str) -> dict[str, float]:
    """Of a known GPU, the reached share of the maker's peak, by precision."""
    profile = next((each for each in DEVICES.values() if each.fits(name, gpu=True)), None)
    if profile is None:
        return {}
    return {kind: rate / profile.peak[kind] for kind, rate in flops.items()}


def isolated(command: Sequence[str], seconds: float) -> tuple[str | None, str]:
    """What a command prints; None with the reason where it fails or takes longer. All processes
    that it started end with it."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            _end(process)
            return None, f"no answer in {seconds:.0f} s"
        except BaseException:  # Ctrl-C is for this process alone: the other is in its own session
            _end(process)
            raise
    if process.returncode == 0:
        return out, ""
    if process.returncode < 0:
        return None, f"killed by {signal.Signals(-process.returncode).name}"
    said = [line.strip() for line in err.splitlines() if line.strip()]
    return None, said[-1] if said else f"ended with {process.returncode}"


def _end(process: subprocess.Popen[str]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
