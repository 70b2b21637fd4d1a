"""The paper's other sweeps as finished runs would leave them, made up: sizes, video, losses, …"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from synthetic import CROPS, PROTOCOLS, generations, scores

from analysis.frames import CURVES, EDGES, JOBS, POINT_METRICS, POINTS, Results
from vitok_core.variants import SIZES, Variant

FVD = "rFVD[r3d-18]"


@dataclass(frozen=True)
class Run:
    """One configuration: its tokenizer, perhaps a fine-tuning, and where it was scored."""

    p: int = 16
    q: int = 1
    c: int = 16
    encoder: str = "S"
    decoder: str = "B"
    form: str = "simple"
    latents: int | None = None  # tokens of a latent tokenizer
    frames: int = 1
    loss: dict[str, Any] = field(default_factory=dict)
    tuned: dict[str, Any] | None = None  # a fine-tuning's configuration
    steps: tuple[int | None, ...] = (None,)  # of the fine-tuning, at which it was scored
    lengths: tuple[int | None, ...] = (None,)  # to which a code was masked
    shift: float = 0.0  # better or worse than E says, in doublings

    @property
    def tokens(self) -> int:
        return self.latents or self.frames // self.q * (64 // self.p) ** 2

    @property
    def name(self) -> str:
        about = [self.p, self.q, self.c, self.encoder, self.decoder, self.form, self.tokens,
                 self.frames, self.loss, self.tuned]  # fmt: skip
        return json.dumps(about)


def build(
    runs: Sequence[Run], *, seeds: Sequence[int] = (0, 1), cfg: Sequence[float] = (),
    datasets: Sequence[str] = ("photos-heldout",),
) -> Results:  # fmt: skip
    """Results that hold every run at every seed."""
    noise = np.random.default_rng(3)
    points, rows, jobs, edges = [], [], [], []
    for run in runs:
        for seed in seeds:
            point, identity = _point(run, seed), f"{run.name} {seed}"
            points.append(point)
            trained = f"t {run.name.replace(json.dumps(run.tuned), '')} {seed}"
            jobs.append((trained, "tokenizer", json.dumps(_tokenizer(run))))
            if run.tuned is not None:
                jobs.append((f"f {identity}", "finetune", json.dumps(run.tuned)))
                edges.append((f"f {identity}", trained))
            for at, values in _scored(run, noise, datasets):
                job = f"r {identity} {at}"
                last = at["step"] in (None, run.steps[-1])  # the final weights: no milestone
                step = {} if last else {"step": at["step"]}
                jobs.append((job, "reconstruct", json.dumps(step)))
                edges.append((job, f"f {identity}" if run.tuned is not None else trained))
                stage = 1 if run.tuned is None else 2
                where = {**at, "step": None, "stage": stage, **step}
                rows += _rows(identity, job, "reconstruct", where, values)
            for scale in cfg:
                at = {"dataset": "photos-train", "cfg_scale": scale}
                job = f"g {identity} {scale}"
                jobs.append((job, "generate", "{}"))
                edges.append((job, trained))
                values = generations(run.tokens * run.c, run.c, scale, noise)
                rows += _rows(identity, job, "generate", at, values)
    return Results(
        points=pl.DataFrame(points, schema=dict(POINTS)),
        point_metrics=pl.DataFrame(rows, schema=dict(POINT_METRICS)),
        read_curves=lambda: pl.DataFrame(schema=dict(CURVES)),
        source="results",
        jobs=pl.DataFrame(jobs, schema=dict(JOBS), orient="row").unique(maintain_order=True),
        edges=pl.DataFrame(edges, schema=dict(EDGES), orient="row").unique(maintain_order=True),
    )


def model_sizes(**changes: Any) -> Results:
    pairs = ("SS", "BS", "SB", "BB", "SL", "BL", "LL")
    gain = {"S": -0.3, "B": 0.0, "L": 0.4}
    return build([Run(encoder=a, decoder=b, shift=gain[b]) for a, b in pairs], **changes)


def video(**changes: Any) -> Results:
    return build(
        [Run(p=p, q=q, frames=16) for p in (8, 16, 32) for q in (1, 2, 4, 8)], seeds=(0,), **changes
    )


def lengths(**changes: Any) -> Results:
    return build([Run(q=4, frames=T, shift=T / 64) for T in (16, 32, 64)], **changes)


def losses(**changes: Any) -> Results:
    kinds = [(base, weight) for base in ("l2", "l1") for weight in (0.0, 0.5, 1.0)]
    runs = [
        Run(
            loss={"reconstruction": base, "perceptual_weight": weight},
            shift=weight + (base == "l2"),
        )
        for base, weight in kinds
    ]  # fmt: skip
    tuned = {"loss": _PERCEPTUAL, "gan": {"weight": 0.05, "disc_lr": 2e-5}}
    return build([*runs, Run(loss=_PERCEPTUAL, tuned=tuned, shift=1.5)], **changes)


def finetunings(**changes: Any) -> Results:
    settings: list[dict[str, Any]] = [
        {"gan": {"weight": 0.0}},
        *({"gan": {"weight": 0.05, "disc_lr": lr}} for lr in (1e-5, 2e-5, 4e-5)),
        {"gan": {"weight": 0.1, "disc_lr": 1e-5}},
        {"gan": {"weight": 0.05, "disc_lr": 2e-5}, "finetune": {"scope": "full"}},
    ]
    steps = tuple(range(10_000, 100_001, 10_000))
    tuned = [{"loss": _PERCEPTUAL, **each} for each in settings]
    for each in tuned:
        each["finetune"] = {**each.get("finetune", {}), "steps": steps[-1]}
    return build([Run(loss=_PERCEPTUAL, tuned=each, steps=steps) for each in tuned], **changes)


def latents(**changes: Any) -> Results:
    simple = [Run(c=c, loss=_PERCEPTUAL) for c in (4, 8, 16, 32, 64)]
    runs = [Run(form="latent", latents=L, loss=_PERCEPTUAL, shift=-0.2) for L in (4, 8, 16, 32, 64)]
    return build([*simple, *runs], **changes)


def masked(**changes: Any) -> Results:
    simple = [Run(c=c) for c in (4, 8, 16)]
    runs = [Run(form=form, lengths=(2, 4, 8, 16)) for form in ("mask_simple", "mask_latent")]
    return build([*simple, *runs], **changes)


_PERCEPTUAL = {"perceptual_weight": 1.0}


def _point(run: Run, seed: int) -> dict[str, Any]:
    E = run.tokens * run.c
    return {
        "point_id": f"{run.name} {seed}", "config_id": run.name, "seed": seed, "slug": run.name,
        "variant": str(Variant(run.encoder, run.decoder, run.p, run.q)), "encoder": run.encoder,
        "decoder": run.decoder, "p": run.p, "q": run.q, "c": run.c, "L": run.tokens, "E": E,
        "resolution": 64, "frames": run.frames,
        "pixels_per_channel": 3 * run.frames * 64**2 / E, "params_m": 1.5, "gflops": 0.1,
    }  # fmt: skip


def _tokenizer(run: Run) -> dict[str, Any]:
    towers = {"encoder": SIZES[run.encoder], "decoder": SIZES[run.decoder]}
    shape = {name: tower.model_dump() for name, tower in towers.items()}
    form = {} if run.form == "simple" else {"variant": run.form}
    return {"tokenizer": {**shape, **form}, "loss": run.loss}


def _scored(
    run: Run, noise: np.random.Generator, datasets: Sequence[str]
) -> list[tuple[dict[str, Any], dict[str, float]]]:
    found = []
    for dataset in datasets:
        for step in run.steps:
            for length in run.lengths:
                size = (length or run.tokens) * run.c * 2 ** (run.shift + (step or 0) / 50_000)
                values = scores(size, run.p, noise, floor=False)
                if run.frames > 1:
                    values[FVD] = values["rFD[efficientnet-lite0]"] * 3
                at = {"dataset": dataset, "step": step, "eval_length": length,
                      "eval_E": length and length * run.c}  # fmt: skip
                found.append((at, values))
    return found


def _rows(
    point_id: str, job: str, kind: str, at: dict[str, Any], values: dict[str, float]
) -> list[dict[str, Any]]:
    names = ("dataset", "cfg_scale", "eval_length", "eval_E", "stage", "step")
    known = {name: at.get(name) for name in names}
    return [
        {
            "point_id": point_id, "job_id": job, "kind": kind, **known, "metric": name,
            "protocol": f"{PROTOCOLS.get(name, 'Frechet distance, 512-d features of r3d-18')}; "
            f"{at['dataset']}@1: {CROPS}", "value": value,
        }
        for name, value in values.items()
    ]  # fmt: skip
