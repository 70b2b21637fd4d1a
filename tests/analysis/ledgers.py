"""What an index would say of synthetic results: states, attempts, data sets, picture sheets."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

from analysis.frames import Results
from analysis.page.ledger import Ledger

PACKAGES = {"python": "3.11.7", "torch": "2.6.0", "numpy": "2.1.0"}
START = 1_760_000_000.0  # Unix seconds


def ledger(
    made: Results, root: Path, *, sheets: int = 0, samples: int = 0, failed: int = 0,
    clips: bool = False,
) -> Ledger:  # fmt: skip
    """All jobs done but for the last `failed` tokenizers; `sheets` pictures that differ, shared by
    the reconstructions on the first data set; as many as `samples` by the generations, whose
    samples may be clips."""
    kinds = dict(made.jobs.select("job_id", "kind").rows())
    scored = made.point_metrics.unique("job_id", keep="first", maintain_order=True)
    of_job = {row["job_id"]: row for row in scored.to_dicts()}
    trains = [job for job, kind in kinds.items() if kind == "tokenizer"]
    broken = set(trains[len(trains) - failed :])
    pairs = {*scored.select("point_id", "job_id").rows()}
    pairs |= {(job.removeprefix("t-"), job) for job in trains}
    jobs = [
        (job, kind, f"jobs/{kind}-{n}", of_job.get(job, {}).get("dataset"))
        for n, (job, kind) in enumerate(kinds.items())
    ]
    states = {job: "failed" if job in broken else "done" for job in kinds}
    return Ledger(
        root=root,
        statuses=[
            {"id": job, "slug": job, "kind": kinds[job], "state": state, "reason": ""}
            for job, state in states.items()
        ],
        sweeps=_frame([("quickstart", "sweeps/quickstart.yaml", START, len(made.points))],
                      sweep=pl.String, file=pl.String, t=pl.Float64, points=pl.Int64),
        members=_frame(sorted(pairs), point_id=pl.String, job_id=pl.String),
        jobs=_frame(jobs, job_id=pl.String, kind=pl.String, folder=pl.String, dataset=pl.String),
        attempts=pl.DataFrame([_attempt(job, kinds[job], states[job]) for job in kinds]),
        sheets=_frame(_sheets(jobs, root, sheets), job_id=pl.String, path=pl.String),
        samples=_frame(_samples(jobs, root, samples, clips), job_id=pl.String, kind=pl.String,
                       path=pl.String),
        data_sets=_frame([(job, "photos-train", "1", "ab" * 32) for job in trains],
                         job_id=pl.String, name=pl.String, version=pl.String,
                         fingerprint=pl.String),
    )  # fmt: skip


def _frame(rows: list[tuple[Any, ...]], **schema: Any) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=schema, orient="row")


def _attempt(job: str, kind: str, state: str) -> dict[str, Any]:
    seconds = {"tokenizer": 90.0, "reconstruct": 4.0}.get(kind, 2.0)
    finished = state == "done"
    return {
        "job_id": job, "attempt": 1, "outcome": "finished" if finished else "failed",
        "started": START, "ended": START + seconds, "last_t": START + seconds,
        "seconds": seconds if finished else None, "host": "node1", "device": "cpu", "threads": 1,
        "precision": "fp32", "scheduler": "local", "code": "6d7cb091b7100c54",
        "packages": json.dumps(PACKAGES), "adopted": None,
    }  # fmt: skip


def _sheets(
    jobs: list[tuple[str, str, str, str | None]], root: Path, different: int
) -> list[tuple[str, str]]:
    """Pictures of the size of a real sheet, so many of them, linked into the jobs' folders."""
    made = [draw_sheet(root / f"sheet-{n}.png", n) for n in range(different)]
    rows = []
    for job, kind, folder, dataset in jobs:
        if kind in ("reconstruct", "floor", "baseline") and dataset == "photos-heldout" and made:
            target = root / folder / "artifacts" / "sheet.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(made[len(rows) % different], target)
            rows.append((job, "artifacts/sheet.png"))
    return rows


def _samples(
    jobs: list[tuple[str, str, str, str | None]], root: Path, different: int, clips: bool
) -> list[tuple[str, str, str]]:
    """Sheets of what was generated: samples, or frames and the clips that they are of."""
    rows = []
    for job, kind, folder, _ in jobs:
        if kind != "generate" or not different:
            continue
        at = root / folder / "artifacts"
        at.mkdir(parents=True, exist_ok=True)
        still = draw_sheet(at / "samples.png", len(rows) % different)
        rows.append((job, "frames" if clips else "samples", "artifacts/samples.png"))
        if clips:
            with Image.open(still) as first:
                first.save(
                    at / "samples.gif", save_all=True, append_images=[first.rotate(180)],
                    duration=125, loop=0,
                )  # fmt: skip
            rows.append((job, "clips", "artifacts/samples.gif"))
    return rows


def draw_sheet(path: Path, seed: int) -> Path:
    """Three rows of eight smooth pictures."""
    noise = np.random.default_rng(seed)
    rows = [noise.integers(0, 255, (6, 48, 3), dtype=np.uint8) for _ in range(3)]
    picture = Image.fromarray(np.concatenate(rows)).resize((1156, 400), Image.Resampling.BICUBIC)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
    return path
