"""GPUs, by the driver's word; and on request by torch's."""

from __future__ import annotations

import json
import shutil
import sys

from sweep.doctor.finding import Finding, ok, problem, warning
from sweep.doctor.probe import run

_QUERY = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
_TORCH = 120.0  # seconds to import torch and start CUDA, from a slow disk


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


def computing() -> list[Finding]:
    """One matrix product on each GPU, in a process of its own."""
    check = "torch on GPUs"
    answer = run([sys.executable, "-m", "vitok_core.devices"], _TORCH)
    if answer.text is None:
        return [problem(check, answer.error, "install a torch that fits this driver (pytorch.org)")]
    proof = json.loads(answer.text)
    torch = f"torch {proof['torch']}"
    if not proof["gpus"]:
        if shutil.which("nvidia-smi") is None:
            return [ok(check, f"{torch} sees none")]
        built = f"built for CUDA {proof['cuda']}" if proof["cuda"] else "built without CUDA"
        mend = "install a torch that fits this driver (pytorch.org)"
        return [problem(check, f"{torch}, {built}, sees none", mend)]
    wrong = [gpu["name"] for gpu in proof["gpus"] if not gpu["right"]]
    if wrong:
        mend = "take this GPU out of use (--gpus, or slurm.options.exclude)"
        return [problem(check, f"wrong product on {', '.join(wrong)}", mend)]
    return [ok(check, f"{torch}: right products on {len(proof['gpus'])}")]
