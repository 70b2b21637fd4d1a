"""What a large sweep costs its user: handing it to Slurm, and looking at it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from timing import Row, compare

from sweep.journal import dump_line
from sweep.layout import Root

SUBMITTED, LOOKED_AT = 1000, 10_000
KINDS = ("tokenizer", "reconstruct", "floor", "reconstruct")
SWEEP = """\
extends: protocols/image_64p_photos.yaml
axes: {{tokenizer.patch: [8], tokenizer.channels: [4], loss.kl: {values}}}
stages:
  - train: stage1
  - reconstruct: [photos-tune, photos-heldout]
  - floor: [photos-tune]
resources: {{default: {{chain: false}}}}
"""
SITE = "scheduler: slurm\nslurm: {options: {hold: true}}\n"


def measure(folder: Path) -> Iterator[Row]:
    """`status` of many jobs; `launch` of a sweep where a Slurm answers (its jobs are held)."""
    root = _launched(folder / "looked at", LOOKED_AT)
    look = ("status", "--results", str(root.path))
    yield compare(f"status, {LOOKED_AT:,} jobs", 5, vitok_sweep_status=lambda: _run(*look))
    if os.environ.get("SLURM_CONF") and shutil.which("sbatch"):
        yield _launch(folder)


def _launch(folder: Path) -> Row:
    points = (SUBMITTED - 1) // 3  # a tokenizer and two evaluations each, and one floor for all
    values = [round(1e-6 * (1 + n), 9) for n in range(points)]
    file, site = folder / "submitted.yaml", folder / "site.yaml"
    file.write_text(SWEEP.format(values=values))
    site.write_text(SITE)
    numbers = count()

    def ours() -> None:
        results = folder / f"submitted-{next(numbers)}"
        command = ("launch", str(file), "--no-watch", "--yes", "--results", str(results))
        _run(*command, "--site", str(site))

    def one_by_one() -> None:
        for _ in range(SUBMITTED):
            subprocess.run(["sbatch", "--hold", "-o", "/dev/null", "--wrap", "true"],
                           check=True, capture_output=True)  # fmt: skip

    try:
        what = f"submit {3 * points + 1:,} jobs to Slurm"
        return compare(what, 1, vitok_sweep_launch=ours, bare_sbatch_each=one_by_one)
    finally:
        subprocess.run(["scancel", "-u", os.environ.get("USER", "root")], check=False)


def _run(*arguments: str) -> None:
    code = "from sweep.cli.app import main; main()"
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True)


def _launched(path: Path, jobs: int) -> Root:
    """A results root of points with four jobs each, most of them done."""
    root, now = Root(path), time.time()
    launch = f"{int(now * 1000):013d}-1-abcdef-bench"
    lines = []
    for number in range(jobs):
        first = f"{number - number % 4:012x}"
        job, kind = f"{number:012x}", KINDS[number % 4]
        parents = [first] if kind == "reconstruct" else []
        folder = root.job_folder(f"{kind}-p{number}", job)
        folder.claims.mkdir(parents=True)
        folder.journals.mkdir()
        spec = {"id": job, "kind": kind, "revision": 1, "slug": folder.slug, "config": {}}
        folder.spec.write_text(json.dumps({**spec, "parents": parents}))
        submission = f"{launch}.{number}"
        by = {"submission": submission, "scheduler": "local", "t": now}
        claim = {**by, "claim": 1, "host": "bench", "launch": launch}
        (folder.claims / "1.json").write_text(json.dumps(claim))
        lines.append({"event": "submission", **by, "scheduler_id": submission, "jobs": [job]})
        records = [
            {"event": "started", **by, "attempt": 1, "host": "bench", "pid": 5},
            {"event": "progress", "t": now + 1, "done": 5, "total": 10, "unit": "steps"},
        ]
        if number % 50:
            records.append({"event": "finished", "t": now + 9, "seconds": 9.0})
        (folder.journals / "1.jsonl").write_bytes(b"".join(map(dump_line, records)))
    root.launches.mkdir()
    (root.launches / f"{launch}.jsonl").write_bytes(b"".join(map(dump_line, lines)))
    return root
