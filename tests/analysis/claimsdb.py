"""Databases with a known truth, for the claims: any kind of run, its scores given by a function."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
from synthetic import point, results

from analysis.claims import CLAIMS, Verdict, judge
from analysis.frames import EDGES, JOBS, Results

TOWERS = {
    "S": {"width": 768, "blocks": 6, "heads": 12},
    "B": {"width": 768, "blocks": 12, "heads": 12},
    "L": {"width": 1152, "blocks": 24, "heads": 16},
}
FRECHET, IS = "rFD[efficientnet-lite0]", "rIS[efficientnet-lite0]"


@dataclass(frozen=True)
class Run:
    """One tokenizer and what it scores: (kind, data set, CFG scale, length) → metric → value."""

    p: int
    c: int
    seed: int = 0
    encoder: str = "S"
    decoder: str = "B"
    resolution: int = 64
    frames: int = 1
    q: int = 1
    variant: str = "simple"
    L: int | None = None
    train: dict[str, Any] = field(default_factory=dict)  # of the tokenizer's configuration

    @property
    def tokens(self) -> int:
        return self.L or self.frames // self.q * (self.resolution // self.p) ** 2

    @property
    def x(self) -> float:
        """log2 E."""
        return float(np.log2(self.tokens * self.c))


Score = tuple[str, str, float | None, int | None, dict[str, float]]


def image(quality: float, dataset: str = "imagenet1k-val") -> Score:
    """Scores of one quality, in doublings of E: any metric says the same."""
    return ("reconstruct", dataset, None, None, values(quality))


def values(quality: float, kind: str = "r") -> dict[str, float]:
    return {
        f"{kind}FD[efficientnet-lite0]": 2.0 ** (9 - 0.8 * quality),
        f"{kind}IS[efficientnet-lite0]": 4 + 1.5 * quality,
        **({"rSSIM": 0.2 + 0.04 * quality, "rPSNR": 12 + 1.9 * quality} if kind == "r" else {}),
    }


def database(runs: Iterable[Run], scores: Callable[[Run], Sequence[Score]]) -> Results:
    """Every run scored by `scores`."""
    points, rows, jobs, edges = [], [], [], []
    for run in runs:
        made = point(run.p, run.c, run.tokens, run.seed, run.resolution, run.frames, run.q)
        rest = json.dumps([run.encoder, run.decoder, run.resolution, run.frames, run.q,
                           run.variant, run.L, run.train])  # fmt: skip
        made["config_id"] += rest
        made["point_id"] = f"{made['config_id']}-s{run.seed}"
        made |= {"encoder": run.encoder, "decoder": run.decoder}
        points.append(made)
        job = f"t-{made['point_id']}"
        tokenizer = {"encoder": TOWERS[run.encoder], "decoder": TOWERS[run.decoder],
                     "variant": run.variant}  # fmt: skip
        tokenizer |= run.train.get("tokenizer", {})
        jobs.append((job, "tokenizer", json.dumps({**run.train, "tokenizer": tokenizer})))
        for index, (kind, dataset, cfg, length, metrics) in enumerate(scores(run)):
            scored = f"{kind}-{index}-{made['point_id']}"
            jobs.append((scored, kind, "{}"))
            edges.append((scored, job))
            rows += [
                {"point_id": made["point_id"], "job_id": scored, "kind": kind, "dataset": dataset,
                 "cfg_scale": cfg, "eval_length": length,
                 "eval_E": None if length is None else length * run.c, "metric": name,
                 "protocol": f"{name} on {dataset}", "value": value}
                for name, value in metrics.items()
            ]  # fmt: skip
    return replace(
        results(points, rows),
        jobs=pl.DataFrame(jobs, schema=dict(JOBS), orient="row"),
        edges=pl.DataFrame(edges, schema=dict(EDGES), orient="row"),
    )


def grid(seeds: Sequence[int] = (0, 1, 2), **rest: Any) -> list[Run]:
    """The paper's grid of patches and channels."""
    return [Run(p, c, seed, **rest) for p in (8, 16, 32) for c in (4, 8, 16, 32, 64)
            for seed in seeds]  # fmt: skip


def judged(made: Results, *prefixes: str) -> dict[str, Verdict]:
    """Verdicts on our own runs of the claims whose ids start so; all without a prefix."""
    chosen = [claim for claim in CLAIMS if claim.id.startswith(prefixes or ("",))]
    assert chosen, prefixes
    return {one.id: one for one in judge(made, chosen) if one.source == "db"}
