"""All checks, side by side, each with its own time limit."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from sweep import site as sites
from sweep.doctor import disk, gpus, inputs
from sweep.doctor.database import database
from sweep.doctor.finding import Finding, ok, problem, unreadable
from sweep.doctor.probe import PATIENCE, Check
from sweep.doctor.scheduler import chosen, scheduler
from sweep.doctor.slurm import slurm
from sweep.doctor.versions import versions
from sweep.layout import Root
from sweep.site import Site
from sweep.sitefile import DEFAULT
from vitok_core.config import EvaluationConfig
from vitok_core.errors import UserError

# What it is about, seconds to wait for it, and the check.
_Asked = tuple[str, float, Callable[[], Sequence[Finding]]]

_LONG = 180.0  # seconds for what is many questions, or one long one


def examine(results: Path, db: str | None, option: Path | None) -> list[Finding]:
    """Everything there is to say, in a fixed order.

    Args:
        db, option: as given by --db and --site.
    """
    site, found = _site(option)
    on_cluster = chosen(site) == "slurm"
    checks: list[_Asked] = [
        ("versions", PATIENCE, versions),
        ("scheduler", PATIENCE, partial(scheduler, site)),
    ]
    if shutil.which("squeue") is not None and (on_cluster or shutil.which("sbatch") is not None):
        checks.append(("slurm", _LONG, partial(slurm, site)))
    # Connecting waits by itself, and is patient with a database that is busy.
    checks.append(("database", _LONG, partial(database, Root(results), site.database(db))))
    checks.append(("disk", PATIENCE, partial(disk.disk, results)))
    if on_cluster:
        checks.append(("results on nodes", PATIENCE, partial(disk.shared, results)))
    for name in site.data:
        checks.append((f"data {name}", PATIENCE, partial(inputs.data_set, name, site)))
    # What only some sweeps need may be absent, unless the site file names it.
    asked = dict.fromkeys((*site.weights, *EvaluationConfig().networks))
    for name in asked:
        checks.append((f"weights {name}", _LONG, partial(inputs.weights, name, site)))
    checks.append(("networks", _LONG, partial(inputs.other_networks, asked, site)))
    checks.append(("GPUs", PATIENCE + 1, partial(gpus.gpus, on_cluster)))
    return [*found, *_side_by_side(checks)]


def _side_by_side(checks: Sequence[_Asked]) -> list[Finding]:
    begun = [(Check(name, check), seconds) for name, seconds, check in checks]
    for check, _ in begun:
        check.start()
    return [finding for check, seconds in begun for finding in check.result(seconds)]


def _site(option: Path | None) -> tuple[Site, list[Finding]]:
    """The site file; where it is broken each mistake is a finding, and nothing of it holds."""
    try:
        site = sites.load(option)
    except UserError as error:
        mend = "mend the site file; until then nothing of it holds here"
        return Site(), [problem("site file", line, mend) for line in str(error).splitlines()]
    except OSError as error:
        return Site(), [unreadable("site file", error)]
    if site.file is None:
        return site, [ok("site file", f"none ({DEFAULT}): photos only, default scheduler")]
    return site, [ok("site file", str(site.file))]
