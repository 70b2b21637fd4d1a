"""GPUs, by the driver's word."""

from __future__ import annotations

import shutil

from sweep.doctor.finding import Finding, ok, warning
from sweep.doctor.probe import run

_QUERY = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]


def gpus(on_cluster: bool) -> list[Finding]:
    """What nvidia-smi shows.

    Args:
        on_cluster: jobs run elsewhere, so that none are needed here.
    """
    if shutil.which("nvidia-smi") is None:
        where = "as on most login nodes" if on_cluster else "jobs run on the CPU"
        return [ok("GPUs", f"none here: {where}")]
    answer = run(_QUERY)
    if answer.text is None:
        mend = "the driver does not answer: `nvidia-smi` and `dmesg` say more"
        return [warning("GPUs", answer.error, mend)]
    lines = [line.strip() for line in answer.text.splitlines() if line.strip()]
    kinds = [f"{lines.count(line)} x {line}" for line in dict.fromkeys(lines)]
    return [ok("GPUs", "; ".join(kinds) or "none here")]
