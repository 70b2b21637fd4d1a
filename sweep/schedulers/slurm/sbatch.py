"""One sbatch, and what became of it: taken, surely refused, or unknown.

An sbatch that says nothing may have been heard all the same. Then Slurm is asked for the array's
name, which no other sbatch has.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sweep.model import Resources
from sweep.schedulers.slurm import asking
from sweep.schedulers.slurm.batches import Batch
from sweep.schedulers.slurm.command import environment

_PATIENCE = 60.0  # seconds for sbatch
_QUIET = 5.0  # of these, before the user is told
_SEARCH = 60.0  # seconds of looking for an array whose sbatch did not answer
_SURE_AFTER = 10.0  # seconds between two answers of squeue that there is no such array

# The controller has spoken, or the options never reached it.
_REFUSALS = re.compile(
    r"batch job submission failed: (?!.*(timed out|contact|communicat|socket|transport|connect"
    r"|zero bytes|temporarily))|unrecognized option|ambiguous|invalid option|unrecognised"
    r"|invalid argument",
    re.IGNORECASE,
)
# Of these refusals a later try may be taken: other jobs of the account or QOS end.
_LIMITS = re.compile(r"(max|grp)_?submit|submit_?limit|max_?jobs_?per_?(user|account)", re.I)

_ENCLOSING = ("SLURM_", "SLURMD_", "SRUN_")
# The job sees what sbatch sees; a database's address may hold a password, and no job needs it.
_SECRET = frozenset({"VITOK_DB"})
_FILLED = {  # taken where the script leaves it open
    "SBATCH_ACCOUNT": "account",
    "SBATCH_CONSTRAINT": "constraint",
    "SBATCH_PARTITION": "partition",
    "SBATCH_QOS": "qos",
    "SBATCH_RESERVATION": "reservation",
}


@dataclass(frozen=True)
class Taken:
    """Slurm has it."""

    id: str


@dataclass(frozen=True)
class Refused:
    """Slurm surely does not have it.

    Args:
        full: a limit on the number of jobs stands in its way.
        late: it was not there when we looked, long after sbatch had ended; a busy controller might
            still come to it.
    """

    message: str
    full: bool = False
    late: bool = False


@dataclass(frozen=True)
class Unsure:
    """Slurm may have it."""

    message: str


Outcome = Taken | Refused | Unsure


Say = Callable[[str], None]


@dataclass(frozen=True)
class Patience:
    """Seconds: for sbatch, of these in silence, for the search after one that did not answer,
    between two looks."""

    sbatch: float = _PATIENCE
    quiet: float = _QUIET
    search: float = _SEARCH
    sure: float = _SURE_AFTER
    clock: Callable[[], float] = field(default=time.monotonic)
    sleep: Callable[[float], None] = field(default=time.sleep)


def sbatch(
    batch: Batch,
    script: Path,
    patience: Patience = Patience(),
    say: Say = lambda line: None,
) -> Outcome:
    """Submit a batch that was written; what Slurm calls it is recorded in it.

    Args:
        say: told what it waits for, where it must wait.
    """
    outcome = _sorted_out(batch, script, patience, say)
    if isinstance(outcome, Taken):
        batch.record_id(outcome.id)
    return outcome


def _sorted_out(batch: Batch, script: Path, patience: Patience, say: Say) -> Outcome:
    try:
        done = _answer(script, patience, say)
    except FileNotFoundError:
        return Refused("there is no sbatch on this machine; submit from a login node")
    except OSError as error:
        return Refused(f"sbatch cannot be run here: {error.strerror}")
    except subprocess.TimeoutExpired:
        message = f"sbatch did not answer within {patience.sbatch:.0f} s"
        say(f"{message}: looking for its array in the queue, {patience.search:.0f} s at most")
        return _search(batch, patience, None, message)
    answered = re.fullmatch(r"(\d+)(;\S*)?", done.stdout.strip().rpartition("\n")[2])
    if done.returncode == 0 and answered:
        return Taken(answered[1])
    message = _words(done.stderr) or f"sbatch ended with exit code {done.returncode}"
    if done.returncode > 0 and _REFUSALS.search(done.stderr):
        return Refused(message, _LIMITS.search(done.stderr) is not None)
    return _search(batch, patience, done.returncode, message)


def _answer(script: Path, patience: Patience, say: Say) -> subprocess.CompletedProcess[str]:
    """Run sbatch to its end.

    Raises:
        TimeoutExpired: it did not end in time, and was killed.
    """
    process = subprocess.Popen(
        ["sbatch", "--parsable", str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=_environment(script.read_text()),
    )
    with process:
        try:
            texts = _communicate(process, patience, say)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, *texts)


def _communicate(process: subprocess.Popen[str], patience: Patience, say: Say) -> tuple[str, str]:
    quiet = min(patience.quiet, patience.sbatch)
    try:
        return process.communicate(timeout=quiet)
    except subprocess.TimeoutExpired:
        say(f"waiting for sbatch, {patience.sbatch:.0f} s at most")
        return process.communicate(timeout=patience.sbatch - quiet)


def _search(batch: Batch, patience: Patience, code: int | None, message: str) -> Outcome:
    """Look for the array by its name.

    Args:
        code: how sbatch ended; None or a negative one: it was killed, and what it had sent may
            still arrive.
    """
    began, absent_since = patience.clock(), None
    while True:
        found = find(batch)
        now = patience.clock()
        if found is not None and found != "":
            return Taken(found)
        if found is None:
            absent_since = None
        elif absent_since is None:
            absent_since = now
        elif code is not None and code > 0 and now - absent_since >= patience.sure:
            return Refused(message, late=True)
        if now - began >= patience.search:
            return Unsure(message)
        patience.sleep(min(1.0, patience.sure))


def find(batch: Batch) -> str | None:
    """Slurm's id of the array of that name; "": squeue has no such; None: it does not answer."""
    rows = asking.squeue([batch.user], batch.tag)
    found = next((row.array for row in rows or () if row.name == batch.tag), None)
    if found is not None:
        return found
    records = asking.sacct([batch.user], [batch.tag], batch.t - 60.0) or ()
    return next((record.array for record in records), None if rows is None else "")


def with_defaults(resources: Resources) -> Resources:
    """What sbatch makes of them: the user's defaults where they are open."""
    return resources.model_copy(
        update={
            option: os.environ[name]
            for name, option in _FILLED.items()
            if name in os.environ and getattr(resources, option, "") is None
        }
    )


def _environment(script: str) -> Mapping[str, str]:
    """Ours without what an enclosing allocation tells sbatch; of the user's defaults what the
    script leaves open."""
    kept = {
        name: value
        for name, value in environment().items()
        if name == "SLURM_CONF" or not (name.startswith(_ENCLOSING) or name in _SECRET)
    }
    filled = {
        name: os.environ[name]
        for name, option in _FILLED.items()
        if name in os.environ and f"#SBATCH --{option}=" not in script
    }
    return kept | filled


def _words(stderr: str) -> str:
    """What sbatch complains of, in one line."""
    lines = [line.removeprefix("sbatch: ").removeprefix("error: ") for line in stderr.splitlines()]
    return "; ".join(line.strip() for line in lines if line.strip())[:500]
