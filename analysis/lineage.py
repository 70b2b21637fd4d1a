"""What stands behind a score: the tokenizer that was scored, its stage and its losses.

A scoring job's parents lead to the train jobs before it (kinds `tokenizer` and `finetune`). Values
that equal their default are not in a job's configuration, so defaults are taken from the classes.
`step` is a milestone's; after stage 2 the final weights have that of its last step.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from vitok_core.config import (
    FinetuneConfig,
    GanConfig,
    GeneratorConfig,
    GeneratorTrainConfig,
    LossConfig,
    Science,
    TokenizerConfig,
)
from vitok_core.cost import tower_parameters
from vitok_core.variants import DIT_SIZES, SIZES, Tower

SCHEMA = {
    "job_id": pl.String, "tokenizer": pl.String, "form": pl.String,
    "encoder_params_m": pl.Float64, "decoder_params_m": pl.Float64, "stage": pl.Int64,
    "loss": pl.String, "gan_weight": pl.Float64, "disc_lr": pl.Float64,
    "full_finetune": pl.Boolean, "step": pl.Int64, "job_resolution": pl.Int64,
    "job_frames": pl.Int64, "generator": pl.String,
}  # fmt: skip

_FORM = TokenizerConfig.model_fields["variant"].default

_BATCH = 256  # a generator's, in the paper

Json = Mapping[str, Any]


@dataclass(frozen=True)
class _Job:
    kind: str
    config: Json


def lineage(jobs: pl.DataFrame, edges: pl.DataFrame) -> pl.DataFrame:
    """One row per job that has a tokenizer before it or scores something; columns: SCHEMA.

    `tokenizer` is the stage-1 job, whose encoder all later stages share: measurements with the
    same one are not independent. `form` is simple, latent, mask_simple, mask_latent, or a class of
    the user's own. `generator` says which one made the samples, by what it is, not by its seed.
    """
    known = {job: _Job(kind, json.loads(config)) for job, kind, config in jobs.rows()}
    parents: dict[str, list[str]] = {}
    for job, parent in edges.rows():
        parents.setdefault(job, []).append(parent)
    rows = [_facts(job, known, parents) for job in known]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def tower_millions(name: str) -> float | None:
    """Parameters (millions, Table 1's count) of a tower that is known by its name alone."""
    return _millions(SIZES[name]) if name in SIZES else None


def loss_label(loss: Json, *, adversarial: bool = False) -> str:
    """A loss as Figure 10 calls it: `L1`, `L2 + 0.5*LP`, `L2+LP+GAN`, with users' own by name."""
    base = str(loss.get("reconstruction", LossConfig().reconstruction)).upper()
    weight = float(loss.get("perceptual_weight", LossConfig().perceptual_weight))
    extra: Sequence[Json] = loss.get("extra", ())
    if adversarial:
        names = [each["name"] for each in extra]
        return "+".join([base, *(["LP"] if weight else []), *names, "GAN"])
    perceptual = [f"{weight}*LP"] if weight else []
    own = [f"{each['weight']:g}*{each['name']}" for each in extra]
    return " + ".join([base, *perceptual, *own])


def _facts(
    job: str, known: Mapping[str, _Job], parents: Mapping[str, list[str]]
) -> tuple[Any, ...]:
    line = [each for each in _line(job, parents) if each in known]
    trains = [each for each in line if known[each].kind in ("tokenizer", "finetune")]
    root = next((each for each in trains if known[each].kind == "tokenizer"), None)
    scored = known[job].config
    own = (
        scored.get("step"), scored.get("resolution"), scored.get("frames"), _generator(line, known)
    )  # fmt: skip
    if root is None:
        return (job, None, None, None, None, None, None, None, None, None, *own)
    tokenizer: Json = known[root].config.get("tokenizer", {})
    nearest = known[trains[0]]
    stage = 2 if nearest.kind == "finetune" else 1
    gan, disc_lr, full = _tuning(nearest.config) if stage == 2 else (0.0, None, False)
    if stage == 2 and known[job].kind in ("reconstruct", "probe") and own[0] is None:
        own = (nearest.config.get("finetune", {}).get("steps"), *own[1:])
    return (
        job,
        root,
        str(tokenizer.get("class") or tokenizer.get("variant") or _FORM),
        _tower(tokenizer.get("encoder")),
        _tower(tokenizer.get("decoder")),
        stage,
        loss_label(nearest.config.get("loss", {}), adversarial=gan > 0),
        gan,
        disc_lr,
        full,
        *own,
    )


def _tuning(config: Json) -> tuple[float, float | None, bool]:
    """Of stage 2: λ, the discriminator's rate (None without one), whether the encoder moved too."""
    gan: Json = config.get("gan", {})
    weight = float(gan.get("weight", _default(GanConfig, "weight")))
    rate = float(gan.get("disc_lr", _default(GanConfig, "disc_lr")))
    scope = config.get("finetune", {}).get("scope", _default(FinetuneConfig, "scope"))
    return weight, rate if weight > 0 else None, scope == "full"


def _default(config: type[Science], name: str) -> Any:
    return config.model_fields[name].default


def generator_label(config: Json, data: str | None = None) -> str:
    """A generator by its model, its objective and its training: `DiT-L, noise, 500000 steps`.

    What else differs from the paper's way is said too: `DiT-S, flow, 100000 steps, lr 0.0002`.

    Args:
        data: what it learned from, where that is other data than its tokenizer's.
    """
    generator: Json = config.get("generator", {})
    train: Json = config.get("train", {})
    objective = str(generator.get("objective", _default(GeneratorConfig, "objective")))
    said = ("model", "objective")
    others = [_in_words(*each) for each in generator.items() if each[0] not in said]
    steps = [f"{train['steps']} steps"] if "steps" in train else []
    rate, batch = train.get("base_lr"), train.get("batch", _BATCH)
    lr = [f"lr {rate:g}"] if rate and rate != _default(GeneratorTrainConfig, "base_lr") else []
    size = [f"batch {batch}"] if batch != _BATCH else []
    on = [f"on {data}"] if data else []
    return ", ".join([_model(generator.get("model")), objective, *others, *steps, *size, *lr, *on])


def _model(config: Json | None) -> str:
    if config is None:
        return "DiT"
    tower = Tower.model_validate(dict(config))
    known = (name for name, size in DIT_SIZES.items() if size == tower)
    return next(known, f"DiT {tower.width}x{tower.blocks}")


def _in_words(field: str, value: Any) -> str:
    """A generator's field that differs from its default."""
    if isinstance(value, str):
        return f"{field} {value}"
    words = {"learned_sigma": "learned sigma", "classes": "no classes"}
    return words.get(field, f"{field.replace('_', ' ')} {value}")


def _generator(line: Sequence[str], known: Mapping[str, _Job]) -> str | None:
    """The nearest one; None of what no generator made."""
    nearest = next((known[each] for each in line if known[each].kind == "generator"), None)
    if nearest is None:
        return None
    learned = next((known[each] for each in line if known[each].kind == "latents"), None)
    root = next((known[each] for each in line if known[each].kind == "tokenizer"), None)
    data = None if learned is None else learned.config.get("dataset")
    own = None if root is None else root.config.get("data", {}).get("name")
    return generator_label(nearest.config, data if data != own else None)


def _line(job: str, parents: Mapping[str, list[str]]) -> list[str]:
    """The job and its ancestors, the nearest first, each once."""
    found = [job]
    for each in found:
        found += [parent for parent in parents.get(each, ()) if parent not in found]
    return found


def _tower(config: Json | None) -> float | None:
    return None if config is None else _millions(Tower.model_validate(dict(config)))


def _millions(tower: Tower) -> float:
    return tower_parameters(tower) / 1e6
