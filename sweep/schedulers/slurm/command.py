"""Slurm's commands as we run them: with a time limit, and in an environment of our own.

What a user's defaults say to them (`SQUEUE_FORMAT`, `SACCT_FEDERATION`, `SLURM_CLUSTERS`, ...)
would change what they mean and print.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

_PATIENCE = 15.0  # seconds for an answer

# Other clusters than this machine's own are not ours to ask, nor to submit to.
CLUSTERS = ("SLURM_CLUSTERS", "SBATCH_CLUSTERS")
_DEFAULTS = ("SQUEUE_", "SACCT_", "SCANCEL_", "SBATCH_")
_OURS = frozenset({*CLUSTERS, "SLURM_TIME_FORMAT", "SLURM_BITSTR_LEN"})


def environment() -> Mapping[str, str]:
    """This process's, without what would tell Slurm's commands something else than we do."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in _OURS and not name.startswith(_DEFAULTS)
    }
    # Index lists of any length, written out.
    return {**kept, "SLURM_BITSTR_LEN": "0"}


def run(
    command: Sequence[str], seconds: float = _PATIENCE
) -> subprocess.CompletedProcess[str] | None:
    """Run a command to its end; None where it does not answer in time, or is not there.

    In a session of its own: signals of Slurm or of a terminal are for this process, not for its
    questions.
    """
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
            env=environment(),
            start_new_session=True,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


def answer(command: Sequence[str], seconds: float = _PATIENCE) -> str | None:
    """What a command prints; None where it fails, does not answer in time, or is not there."""
    done = run(command, seconds)
    return done.stdout if done is not None and done.returncode == 0 else None
