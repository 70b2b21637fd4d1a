"""Whose weights a name stands for, and where they come from: what an exported tokenizer says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sweep.journal import read_from
from sweep.layout import JobFolder, Root
from sweep.store import Store, queries
from vitok_core.errors import UserError

_TRAINS = frozenset({"tokenizer", "finetune"})


def trained_by(store: Store, root: Root, name: str) -> JobFolder:
    """The job that trained the tokenizer so named; of a point with two stages the second.

    Raises:
        UserError: nothing has this name, or what has it trains no tokenizer, or several.
    """
    named = queries.resolve_jobs(store, name)
    jobs = queries.facts(store, named)
    trains = [job for job in named if job in jobs and jobs[job].kind in _TRAINS]
    tuned = {parent for job in trains for parent in jobs[job].parents}
    last = [job for job in trains if job not in tuned]
    if not last:
        raise UserError(f"{name!r} trains no tokenizer; name a point, or the job that trains it")
    if len(last) > 1:
        slugs = ", ".join(f"{jobs[job].slug}-{job}" for job in last[:6])
        more = f" and {len(last) - 6} more" if len(last) > 6 else ""
        raise UserError(f"{name!r} names several tokenizers: {slugs}{more}; name one")
    folder = root.job_folders().get(last[0])
    if folder is None:
        raise UserError(f"{jobs[last[0]].slug}-{last[0]} was never launched: it has no weights")
    return folder


def origin(folder: JobFolder, checkpoint: Path) -> dict[str, Any]:
    """What made a checkpoint of the job: its identity, the code, the packages and the data."""
    spec = json.loads(folder.spec.read_text())
    attempt = checkpoint.parent.name
    records = read_from(folder.journals / f"{attempt}.jsonl")[0]
    started = next((each for each in records if each["event"] == "started"), {})
    return {
        "job": spec["id"],
        "slug": spec["slug"],
        "revision": spec["revision"],
        "parents": spec["parents"],
        "checkpoint": checkpoint.relative_to(folder.path).as_posix(),
        "code": started.get("code"),
        "packages": started.get("packages", {}),
        "data": [
            {key: each[key] for key in ("name", "version", "fingerprint")}
            for each in records
            if each["event"] == "data"
        ],
    }
