"""Results as a finished quickstart leaves them, made up: grids, seeds, floors, protocols."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.frames import CURVES, POINT_METRICS, POINTS, Results
from sweep.journal import Journal
from sweep.layout import Root

PATCHES, CHANNELS = (8, 16, 32), (4, 8, 16, 32, 64)
FRECHET = "rFD[efficientnet-lite0]"
IS = "rIS[efficientnet-lite0]"
NETWORK = "features of efficientnet-lite0 5d3b8f02a1c4, 224px bicubic, 8-bit; N=512"
PROTOCOLS = {
    FRECHET: f"Frechet distance, 1280-d {NETWORK}",
    "rFD[efficientnet-lite0-112]": f"Frechet distance, 112-d {NETWORK}",
    IS: "exp mean KL, 1 split, efficientnet-lite0 5d3b8f02a1c4, 224px bicubic, 8-bit; N=512",
    "rSSIM": "Gaussian 11 sigma 1.5, K .01 .03, RGB mean, valid region, 8-bit, data range 1",
    "rPSNR": "per image then mean, 8-bit, data range 1",
    "kl_bits_per_pixel": "KL(q(z|x) || N(0,1)) per image in bits / (T H W), posterior as trained",
}
CROPS = "512 low-discrepancy crops of 20 photos, 64px, box 2^k then bicubic, antialiased"


def scores(E: int, p: int, noise: np.random.Generator, floor: bool) -> dict[str, float]:
    """Values of a plausible size and shape."""
    x = np.log2(E) + 0.25 * np.log2(p / 16) - (0.35 if floor else 0)
    jitter = 0.0 if floor else noise.normal(0, 0.05)
    frechet = 2 ** (8.6 - 0.05 * (x - 3) ** 1.9 + 2 * jitter)
    return {
        FRECHET: frechet,
        "rFD[efficientnet-lite0-112]": frechet / 7,
        IS: 4 + 1.6 * (x - 3) ** 1.2 + 2 * jitter,
        "rSSIM": float(np.clip(0.99 / (1 + np.exp(-(x - 6.6) / 1.9)) + jitter / 9, 0, 1)),
        "rPSNR": 15.5 + 1.75 * (x - 3) + 0.02 * (x - 8) ** 2 + 2 * jitter,
        "kl_bits_per_pixel": E / 4096,
    }


def quickstart(
    *,
    seeds: Sequence[int] = (0, 1, 2),
    datasets: Sequence[str] = ("photos-heldout", "photos-tune"),
    patches: Sequence[int] = PATCHES,
    channels: Sequence[int] = CHANNELS,
    floor: bool = True,
    resolution: int = 64,
) -> Results:
    """A results object with every point scored."""
    noise = np.random.default_rng(7)
    points: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for p in patches:
        for c in channels:
            L = (resolution // p) ** 2
            for seed in seeds:
                points.append(point(p, c, L, seed, resolution))
                for dataset in datasets:
                    identity = points[-1]["point_id"]
                    job = f"r-{identity}-{dataset}"
                    rows += metrics(identity, job, "reconstruct", dataset, L * c, p, noise)
                    if floor:
                        job = f"f-p{p}c{c}-{dataset}"
                        rows += metrics(identity, job, "floor", dataset, L * c, p, noise)
    return results(points, rows)


def point(p: int, c: int, L: int, seed: int, resolution: int = 64) -> dict[str, Any]:
    """One row of the view `points`."""
    config = f"cfg-p{p}c{c}"
    return {
        "point_id": f"{config}-s{seed}", "config_id": config, "seed": seed,
        "slug": f"p{p}-c{c}-s{seed}", "variant": f"T-T/{p}", "encoder": "128x2x4",
        "decoder": "128x4x4", "p": p, "q": 1, "c": c, "L": L, "E": L * c,
        "resolution": resolution, "frames": 1, "pixels_per_channel": 3 * resolution**2 / (L * c),
        "params_m": 1.5, "gflops": 0.1,
    }  # fmt: skip


def metrics(
    point_id: str, job: str, kind: str, dataset: str, E: int, p: int, noise: np.random.Generator
) -> list[dict[str, Any]]:
    """One job's rows of the view `point_metrics`."""
    shift = 0.3 if dataset.endswith("tune") else 0.0
    return [
        {
            "point_id": point_id, "job_id": job, "kind": kind, "dataset": dataset,
            "cfg_scale": None, "eval_length": None, "eval_E": None, "metric": name,
            "protocol": f"{PROTOCOLS[name]}; {dataset}@1: {CROPS}",
            "value": value * (1 + shift / 10),
        }
        for name, value in scores(E, p, noise, kind == "floor").items()
    ]  # fmt: skip


def results(points: list[dict[str, Any]], rows: list[dict[str, Any]]) -> Results:
    """Frames as `load` gives them."""
    return Results(
        points=pd.DataFrame(points, columns=list(POINTS)),
        point_metrics=pd.DataFrame(rows, columns=list(POINT_METRICS)),
        read_curves=lambda: pd.DataFrame(columns=list(CURVES)),
        source="results",
        sweep="quickstart",
    )


def write_root(folder: Path, made: Results, name: str = "quickstart") -> Path:
    """The journals that a real run of these results leaves behind (docs/records.md)."""
    root = Root(folder)
    root.launches.mkdir(parents=True, exist_ok=True)
    root.jobs.mkdir(exist_ok=True)
    jobs: dict[str, set[str]] = {}
    for (job, kind), rows in made.point_metrics.groupby(["job_id", "kind"], sort=False):
        identity = hashlib.sha256(str(job).encode()).hexdigest()[:12]
        for point_id in rows["point_id"].unique():
            jobs.setdefault(str(point_id), set()).add(identity)
        first = rows[rows["point_id"] == rows["point_id"].iloc[0]]
        write_job(root, identity, str(kind), first)
    points = made.points.rename(columns={"point_id": "id"}).to_dict(orient="records")
    for each in points:
        each["jobs"] = sorted(jobs.get(each["id"], ()))
    journal = Journal(root.launches / f"{name}.jsonl")
    journal.write("sweep", uid=name, name=name, file=f"{name}.yaml", document={}, points=points)
    journal.close()
    return folder


def write_job(root: Root, identity: str, kind: str, rows: pd.DataFrame) -> None:
    """One finished job: job.json and the journal of its only attempt."""
    folder = root.job_folder(kind, identity)
    if folder.path.exists():  # sweeps share jobs
        return
    folder.journals.mkdir(parents=True)
    config = {"dataset": rows["dataset"].iloc[0]}
    spec = {
        "id": identity, "kind": kind, "revision": 1, "slug": kind, "config": config, "parents": [],
    }  # fmt: skip
    folder.spec.write_text(json.dumps(spec))
    journal = Journal(folder.journals / "1.jsonl")
    journal.write("started", attempt=1, host="here", pid=1, scheduler="inline")
    journal.write("metric", step=1, name="loss", value=0.5)
    for row in rows.to_dict(orient="records"):
        journal.write("result", name=row["metric"], value=row["value"], protocol=row["protocol"])
    journal.write("finished", seconds=1.0)
    journal.close()
