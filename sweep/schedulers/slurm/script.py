"""The text that sbatch is given: submitit's own, with our parameters. Pure."""

from __future__ import annotations

import math
import re
import shlex
import sys
from pathlib import Path

from submitit.slurm.slurm import _make_sbatch_string

from sweep.model import Resources
from sweep.schedulers.slurm.arrays import index_list
from sweep.schedulers.slurm.batches import Batch
from sweep.schedulers.slurm.settings import Node, SlurmSettings

# Libraries that would otherwise start a thread for every core of the node.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)

# sbatch options that are ours to set, with what the user may set instead.
_OURS = {
    **dict.fromkeys(("partition", "account", "qos", "constraint", "gres"), "resources.{}"),
    **dict.fromkeys(("gpus", "gpus-per-node", "gpus-per-task"), "resources.gpus"),
    "nodes": "resources.nodes",
    **dict.fromkeys(("ntasks", "ntasks-per-node"), "resources.processes"),
    **dict.fromkeys(("cpus-per-task", "cpus-per-gpu"), "resources.threads"),
    **dict.fromkeys(("mem", "mem-per-cpu", "mem-per-gpu"), "resources.memory_gb"),
    "time": "resources.hours",
    "signal": "slurm.signal_seconds",
    "kill-on-invalid-dep": "slurm.kill_on_invalid_dependency",
    **dict.fromkeys(
        ("array", "dependency", "job-name", "output", "error", "open-mode", "chdir"), None
    ),
    **dict.fromkeys(("requeue", "no-requeue"), None),
    **dict.fromkeys(("export", "clusters", "cluster"), None),
    **dict.fromkeys(("test-only", "wait", "wrap", "parsable", "help", "usage", "version"), None),
}


def refused_option(settings: SlurmSettings) -> str | None:
    """Why one of the site's own sbatch options cannot be taken; None: all can."""
    for name, value in settings.options.items():
        if re.search(r"[\x00-\x1f\x7f]", f"{name}{value}"):
            return f"slurm.options.{name!r}: expected one line; take its control characters out"
        key = name.removeprefix("--").replace("_", "-")
        if key not in _OURS:
            continue
        instead = _OURS[key]
        advice = "leave it out" if instead is None else f"use {instead.format(key)}"
        return f"slurm.options.{name}: this option is set for every array; {advice}"
    return None


def script(
    batch: Batch, settings: SlurmSettings, resources: Resources, code: Path, dependency: str | None
) -> str:
    """The sbatch script of one batch.

    Args:
        resources: of each member, with the site's setup lines and container.
        code: the folder of the packages that the jobs import.
        dependency: for `--dependency`.
    """
    # Members that share a node start their processes themselves; else Slurm starts each.
    processes = resources.per_node if batch.node is None else 1
    whole = batch.node or Node(
        gpus=resources.gpus, threads=resources.threads, memory_gb=resources.memory_gb
    )
    options: dict[str, str | int | bool] = {
        "array": index_list(tuple(batch.tasks), settings.throttle),
        "output": str(batch.folder / "%A_%a.out"),
        "chdir": str(batch.folder),
        "requeue": True,
        "ntasks-per-node": processes,
    }
    if settings.node is not None:
        options["exclusive"] = True
    if settings.kill_on_invalid_dependency:
        options["kill-on-invalid-dep"] = "yes"
    options |= {
        name.removeprefix("--"): value
        for name, value in settings.options.items()
        if value is not False
    }
    text: str = _make_sbatch_string(
        command=_command(batch, settings, resources, processes, whole.threads),
        folder=batch.folder,
        job_name=batch.tag,
        nodes=resources.nodes,
        partition=resources.partition,
        account=resources.account,
        qos=resources.qos,
        constraint=resources.constraint,
        gres=resources.gres,
        gpus_per_node=None if resources.gres else whole.gpus or None,
        cpus_per_task=whole.threads,
        mem=f"{math.ceil(whole.memory_gb * 1024)}M",
        time=minutes(resources),
        dependency=dependency,
        # Not sooner than half-way: jobs of a few minutes would be warned before they have begun.
        signal_delay_s=min(settings.signal_seconds, minutes(resources) * 60 // 2),
        setup=[*resources.setup, *_exports(resources.threads, code)],
        wckey=None,  # type: ignore[arg-type]  # submitit's own would be refused by some sites
        stderr_to_stdout=True,
        use_srun=False,  # ours below: submitit's would write logs of its own
        additional_parameters=options,
    )
    return text


def minutes(resources: Resources) -> int:
    """The time limit as Slurm counts it."""
    return max(1, math.ceil(resources.hours * 60))


def _exports(threads: int, code: Path) -> list[str]:
    """The job's environment; after the site's setup, whose modules may set the same variables."""
    return [
        *(f"export {name}={threads}" for name in _THREAD_VARIABLES),
        f"export PYTHONPATH={shlex.quote(str(code))}${{PYTHONPATH:+:$PYTHONPATH}}",
        "export PYTHONSAFEPATH=1",
    ]


def _command(
    batch: Batch, settings: SlurmSettings, resources: Resources, processes: int, threads: int
) -> str:
    """Through srun: Slurm sends its warnings to job steps, not to the script.

    srun must be told the threads again: since Slurm 22.05 it does not take them from the script.
    It hands on the script's exports whatever the user's own defaults for srun are. Of several
    processes none outlives one that was killed, and rank 0 may stay on alone, to be requeued.
    A shell ignores the warning until Python listens to it: one that came sooner would end the task.
    """
    python = shlex.quote(settings.python or sys.executable)
    tasks = resources.nodes * processes
    words = [f"srun --unbuffered --export=ALL --ntasks={tasks} --cpus-per-task={threads}"]
    if tasks > 1:
        words.append(f"--ntasks-per-node={processes} --kill-on-bad-exit=1 --wait=0")
    words.append("""sh -c 'trap "" USR2; exec "$@"' sh""")
    if resources.container:
        words.append(resources.container)
    words += [python, "-u -m sweep.schedulers.slurm.task", shlex.quote(str(batch.folder))]
    return " ".join(words)
