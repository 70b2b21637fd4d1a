"""Results as finished sweeps leave them, made up: grids, seeds, floors, generations, clips."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from analysis.frames import CURVES, EDGES, JOBS, POINT_METRICS, POINTS, Results
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
    "gFD[efficientnet-lite0]": f"Frechet distance, 1280-d {NETWORK}, 50 DDIM steps",
    "gIS[efficientnet-lite0]": "exp mean KL, 1 split, efficientnet-lite0; N=512, 50 DDIM steps",
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


def generations(E: int, c: int, cfg: float, noise: np.random.Generator) -> dict[str, float]:
    """Values with an optimum in the middle and a price for many channels."""
    x = np.log2(E) - 8 + 0.3 * np.log2(c) + noise.normal(0, 0.05)
    return {
        "gFD[efficientnet-lite0]": 2 ** (6 + 0.2 * (x - 2) ** 2 / cfg),
        "gIS[efficientnet-lite0]": 30 - x**2 + 3 * cfg,
    }


def quickstart(
    *,
    seeds: Sequence[int] = (0, 1, 2),
    datasets: Sequence[str] = ("photos-heldout", "photos-tune"),
    patches: Sequence[int] = PATCHES,
    channels: Sequence[int] = CHANNELS,
    floor: bool = True,
    resolution: int = 64,
    frames: int = 1,
    stride: int = 1,
    cfg: Sequence[float] = (),
) -> Results:
    """A results object with every point scored, and generated from at the CFG scales `cfg`."""
    noise = np.random.default_rng(7)
    points: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for p in patches:
        for c in channels:
            L = frames // stride * (resolution // p) ** 2
            for seed in seeds:
                made = point(p, c, L, seed, resolution, frames, stride)
                points.append(made)
                identity = made["point_id"]
                for dataset in datasets:
                    job = f"r-{identity}-{dataset}"
                    rows += metrics(identity, job, "reconstruct", dataset, L * c, p, noise)
                    if floor:
                        job = f"f-p{p}c{c}-{dataset}"
                        rows += metrics(identity, job, "floor", dataset, L * c, p, noise)
                for scale in cfg:
                    rows += generated(identity, L * c, c, scale, noise)
    return results(points, rows)


def point(
    p: int, c: int, L: int, seed: int, resolution: int = 64, frames: int = 1, q: int = 1
) -> dict[str, Any]:
    """One row of the view `points`."""
    config = f"cfg-p{p}c{c}"
    return {
        "point_id": f"{config}-s{seed}", "config_id": config, "seed": seed,
        "slug": f"p{p}-c{c}-s{seed}", "variant": f"T-T/{p}", "encoder": "w128b2h4",
        "decoder": "w128b4h4", "p": p, "q": q, "c": c, "L": L, "E": L * c,
        "resolution": resolution, "frames": frames,
        "pixels_per_channel": 3 * frames * resolution**2 / (L * c), "params_m": 1.5, "gflops": 0.1,
    }  # fmt: skip


def metrics(
    point_id: str, job: str, kind: str, dataset: str, E: int, p: int, noise: np.random.Generator
) -> list[dict[str, Any]]:
    """One job's rows of the view `point_metrics`."""
    shift = 0.3 if dataset.endswith("tune") else 0.0
    values = scores(E, p, noise, kind == "floor")
    scaled = {name: value * (1 + shift / 10) for name, value in values.items()}
    return _rows(point_id, job, kind, dataset, None, scaled)


def generated(
    point_id: str, E: int, c: int, cfg: float, noise: np.random.Generator
) -> list[dict[str, Any]]:
    """One `generate` job's rows: one CFG scale."""
    job = f"g-{point_id}-{cfg:g}"
    return _rows(point_id, job, "generate", "photos-train", cfg, generations(E, c, cfg, noise))


def _rows(
    point_id: str, job: str, kind: str, dataset: str, cfg: float | None, values: dict[str, float]
) -> list[dict[str, Any]]:
    return [
        {
            "point_id": point_id, "job_id": job, "kind": kind, "dataset": dataset,
            "cfg_scale": cfg, "eval_length": None, "eval_E": None, "metric": name,
            "protocol": f"{PROTOCOLS[name]}; {dataset}@1: {CROPS}", "value": value,
        }
        for name, value in values.items()
    ]  # fmt: skip


def results(points: list[dict[str, Any]], rows: list[dict[str, Any]]) -> Results:
    """Frames as `load` gives them, every score's tokenizer job among them."""
    measured = pl.DataFrame(rows, schema=dict(POINT_METRICS))
    jobs, edges = _jobs(points, measured)
    return Results(
        points=pl.DataFrame(points, schema=dict(POINTS)),
        point_metrics=measured,
        read_curves=lambda: pl.DataFrame(schema=dict(CURVES)),
        source="results",
        sweep="quickstart",
        jobs=jobs,
        edges=edges,
    )


def _jobs(
    points: list[dict[str, Any]], measured: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A tokenizer job per point, before all that scores it; floors stand alone."""
    jobs = [(f"t-{each['point_id']}", "tokenizer", json.dumps(_trained(each))) for each in points]
    edges = []
    for job, kind, point_id in measured.select("job_id", "kind", "point_id").unique(
        "job_id", maintain_order=True
    ).rows():  # fmt: skip
        jobs.append((job, kind, "{}"))
        edges += [(job, f"t-{point_id}")] if kind != "floor" else []
    return (
        pl.DataFrame(jobs, schema=dict(JOBS), orient="row"),
        pl.DataFrame(edges, schema=dict(EDGES), orient="row"),
    )


def _trained(made: dict[str, Any]) -> dict[str, Any]:
    """A tokenizer job's configuration, without what equals its default."""
    tower = {"width": 128, "blocks": 2, "heads": 4}
    return {
        "tokenizer": {"encoder": tower, "decoder": {**tower, "blocks": 4}, "patch": made["p"],
                      "channels": made["c"]},
        "loss": {"perceptual": "lpips-vgg", "perceptual_weight": 1.0},
    }  # fmt: skip


def write_root(folder: Path, made: Results, name: str = "quickstart") -> Path:
    """The journals that a real run of these results leaves behind (docs/records.md)."""
    root = Root(folder)
    root.launches.mkdir(parents=True, exist_ok=True)
    root.jobs.mkdir(exist_ok=True)
    of_point: dict[str, set[str]] = {}
    parents: dict[str, list[str]] = {}
    for job, parent in made.edges.rows():
        parents.setdefault(job, []).append(_id(parent))
    for job, kind, config in made.jobs.rows():
        rows = made.point_metrics.filter(pl.col("job_id") == job)
        for point_id in rows["point_id"].unique():
            of_point.setdefault(point_id, set()).update([_id(job), *parents.get(job, ())])
        first = rows.filter(pl.col("point_id") == pl.col("point_id").first())
        about = json.loads(config)
        if not first.is_empty():
            about |= {"dataset": first["dataset"][0], "cfg_scale": first["cfg_scale"][0]}
        write_job(root, _id(job), kind, about, parents.get(job, []), first)
    points = made.points.rename({"point_id": "id"}).to_dicts()
    for each in points:
        each["jobs"] = sorted(of_point.get(each["id"], ()))
    journal = Journal(root.launches / f"{name}.jsonl")
    journal.write("sweep", uid=name, name=name, file=f"{name}.yaml", document={}, points=points)
    journal.close()
    return folder


def _id(job: str) -> str:
    return hashlib.sha256(job.encode()).hexdigest()[:12]


def write_job(
    root: Root, identity: str, kind: str, config: dict[str, Any], parents: list[str],
    rows: pl.DataFrame,
) -> None:  # fmt: skip
    """One finished job: job.json and the journal of its only attempt."""
    folder = root.job_folder(kind, identity)
    if folder.path.exists():  # sweeps share jobs
        return
    folder.journals.mkdir(parents=True)
    spec = {
        "id": identity, "kind": kind, "revision": 1, "slug": kind, "config": config,
        "parents": parents,
    }  # fmt: skip
    folder.spec.write_text(json.dumps(spec))
    journal = Journal(folder.journals / "1.jsonl")
    journal.write("started", attempt=1, host="here", pid=1, scheduler="inline")
    journal.write("metric", step=1, name="loss", value=0.5)
    for row in rows.to_dicts():
        journal.write("result", name=row["metric"], value=row["value"], protocol=row["protocol"])
    journal.write("finished", seconds=1.0)
    journal.close()
