"""The measurements that a claim rests on, of one source: chosen, averaged over seeds, labelled.

A claim declares its data (`Data`); what comes back (`Sample`) differs in nothing but what the claim
varies: of our own runs the largest such set is taken, of the paper's those that its figures draw.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from analysis.claims.linear import Labels
from analysis.claims.protocols import one_protocol
from analysis.configurations import KEYS, configuration_means
from analysis.frames import Results, Source
from analysis.guidance import UNGUIDED
from analysis.measurements import distinct, final
from analysis.metrics import Metric, choose, metric
from analysis.selection import reported
from analysis.stats.inputs import Array
from vitok_core.config import TrainConfig

# What tells one experiment from another; p and c fix L, and with the resolution E.
DESIGN = (
    "variant", "encoder", "decoder", "p", "q", "c", "resolution", "frames", "stage", "loss",
    "gan_weight", "disc_lr", "full_finetune", "precision", "generator", "recipe",
)  # fmt: skip

# What these say of a tokenizer's configuration; the rest of it (steps, rate, data, initialisation
# …) is its recipe, and trainings by two recipes are not one experiment.
_SAID = {
    "tokenizer": (
        "variant", "encoder", "decoder", "patch", "stride", "channels", "latents", "lengths",
    ),
    "data": ("resolution", "frames"),
    "loss": ("reconstruction", "perceptual", "perceptual_weight", "extra"),
    "train": ("precision", "milestones"),
}  # fmt: skip


class NoData(Exception):  # noqa: N818  (a finding, not a failure)
    """Nothing was measured that bears on the claim; the message says what it would take."""


@dataclass(frozen=True)
class Data:
    """What a claim needs.

    Args:
        family: of metrics: frechet, fvd, is, ssim or psnr.
        figures: the paper's, whose points count; each as drawn there.
        vary: the columns in which the measurements may differ.
        needs: the experiment in words, for who lacks it.
        kind: reconstruct or generate.
        where: which of our own measurements belong here.
        cfg: of generations, `all` CFG scales that guide (above 1) or the `lowest` of them, as the
            paper has no others.
        last_step: of each fine-tuning, the last scores only; of stage 1 they always are.
        two: a column that must take two values at least, in the set that is taken.
    """

    family: str
    figures: tuple[str, ...]
    vary: tuple[str, ...]
    needs: str
    kind: str = "reconstruct"
    where: pl.Expr | None = None
    cfg: str = "all"
    last_step: bool = False
    two: str = ""


@dataclass(frozen=True, eq=False)
class Sample:
    """Means over seeds of one metric, one row per configuration, stratum, length and step.

    `frame` has the columns of `fits.configuration_means`, `tokenizer`, `stratum` (data set and
    CFG scale) and `quality`: the value on the scale of its fit, larger being better.
    """

    source: Source
    metric: Metric
    frame: pl.DataFrame
    runs: tuple[str, ...]
    needs: str
    notes: tuple[str, ...] = ()
    strata: tuple[str, ...] = field(default=())

    @property
    def n(self) -> int:
        return len(self.frame)

    @property
    def quality(self) -> Array:
        return self.frame["quality"].to_numpy()

    @property
    def doublings(self) -> Array:
        """log2 E."""
        return self.log2("E")

    def log2(self, column: str) -> Array:
        """(n,): log2 of a size.

        Raises:
            NoData: the size is not known for all.
        """
        sizes = self.frame[column].cast(pl.Float64)
        if sizes.null_count():
            raise NoData(f"needs {column} of every run")
        return np.asarray(np.log2(sizes.to_numpy()))

    def labels(self, column: str) -> Labels:
        return np.asarray(self.frame[column].cast(pl.String).fill_null("").to_list(), dtype=np.str_)

    def only(self, **equal: Any) -> Sample:
        """The rows where columns have these values."""
        kept = [pl.col(name).eq_missing(value) for name, value in equal.items()]
        return self.where(pl.all_horizontal(kept))

    def where(self, predicate: pl.Expr) -> Sample:
        frame = self.frame.filter(predicate)
        left = set(frame["stratum"])
        return replace(self, frame=frame, strata=tuple(one for one in self.strata if one in left))

    def each_stratum(self) -> list[tuple[str, Sample]]:
        return [(name, self.only(stratum=name)) for name in self.strata]

    def value(self, **equal: Any) -> float:
        """The one number of a configuration, in the metric's own unit.

        Raises:
            NoData: there is none, or more than one.
        """
        found = self.only(**equal).frame["value"]
        if len(found) != 1:
            asked = ", ".join(f"{name} {value}" for name, value in equal.items())
            raise NoData(f"needs {self.needs}; there are {len(found)} with {asked}")
        return float(found[0])


@dataclass(frozen=True, eq=False)
class Evidence:
    """All measurements of one source."""

    results: Results
    source: Source

    def samples(self, wanted: Sequence[Data]) -> tuple[Sample, ...]:
        """What each of `wanted` asks for; those of one family in one metric, since numbers of two
        metrics cannot be held against each other.

        Raises:
            NoData: nothing of the kind was measured, or nothing in a metric that all have.
        """
        found = [self._asked(data) for data in wanted]
        names = [_family(data, rows) for data, rows in zip(wanted, found, strict=True)]
        samples = []
        for data, rows in zip(wanted, found, strict=True):
            alike = [own for other, own in zip(wanted, names, strict=True)
                     if other.family == data.family]  # fmt: skip
            name = choose(data.family, set.intersection(*alike))
            if name is None:
                said = " and ".join(", ".join(sorted(own)) for own in alike)
                raise NoData(f"needs one metric of all that is compared; there are {said}")
            samples.append(self._sample(data, rows, name))
        return tuple(samples)

    def _asked(self, data: Data) -> pl.DataFrame:
        """All measurements of the kind, in any metric."""
        rows = self._rows(data.figures).filter(pl.col("kind") == data.kind)
        if data.where is not None and self.source == "db":
            rows = rows.filter(data.where)
        along = pl.col("stage") == 2 if not data.last_step else False
        return rows.filter(final() | along)

    def _sample(self, data: Data, rows: pl.DataFrame, name: str) -> Sample:
        rows = rows.filter(pl.col("metric") == name)
        good = metric(name).usable(rows["value"].fill_null(float("nan")).to_numpy())
        told = f"left out: {(~good).sum()} of {len(good)} values, which no fit can take"
        notes = [] if good.all() else [told]
        rows = rows.filter(pl.Series(good, dtype=pl.Boolean))
        rows = _largest(rows, data.vary, data.two)
        rows = rows.filter(pl.col("dataset").is_in(reported(rows["dataset"].unique().to_list())))
        rows, mixed = one_protocol(_scales(rows, data.cfg))
        if rows.is_empty() or (data.two and rows[data.two].n_unique() < 2):
            raise NoData(f"needs {data.needs}")
        return self._averaged(rows, name, data, (*notes, *mixed))

    @cached_property
    def _own(self) -> pl.DataFrame:
        rows = distinct(self.results.measured()).filter(
            pl.col("source") == self.source, pl.col("series") == "trained"
        )
        trained = self.results.jobs.filter(pl.col("kind") == "tokenizer").select(
            tokenizer="job_id",
            precision=pl.col("config").str.json_path_match("$.train.precision"),
            recipe=pl.col("config").map_elements(_recipe, return_dtype=pl.String),
        )
        default = TrainConfig.model_fields["precision"].default
        return rows.join(trained, on="tokenizer", how="left", maintain_order="left").with_columns(
            pl.col("precision").fill_null(default)
        )

    def _rows(self, figures: Sequence[str]) -> pl.DataFrame:
        if self.source == "db":
            return self._own
        rows = self.results.measured(figures).filter(pl.col("source") == "published")
        default = TrainConfig.model_fields["precision"].default
        return rows.with_columns(precision=pl.lit(default), recipe=pl.lit(""))

    def _averaged(
        self, rows: pl.DataFrame, name: str, data: Data, notes: tuple[str, ...]
    ) -> Sample:
        first = (
            rows.sort("seed", nulls_last=True, maintain_order=True)
            .group_by("config_id", maintain_order=True)
            .agg(pl.col("tokenizer", "precision").first())
        )
        scale = pl.when(pl.col("cfg_scale").is_null()).then(pl.lit("")).otherwise(
            pl.format(" CFG {}", "cfg_scale")
        )  # fmt: skip
        kind = metric(name)
        means = (
            configuration_means(_per_seed(rows.drop("precision"), kind))
            .join(first, on="config_id", how="left", maintain_order="left")
            .with_columns(
                stratum=pl.concat_str("dataset", scale),
                quality=pl.col("scaled") * (kind.better or 1),
            )
        )
        runs = tuple(rows["point_id"].unique().sort())
        # ImageNet first: the paper's own yardstick.
        strata = sorted(
            means["stratum"].unique(), key=lambda at: (not at.startswith("imagenet"), at)
        )
        return Sample(self.source, kind, means, runs, data.needs, notes, tuple(strata))


def _per_seed(rows: pl.DataFrame, kind: Metric) -> pl.DataFrame:
    """One value a seed, the mean on the scale of the fit: what was scored, or generated from,
    twice is no second seed. The paper's points, of which no seed is known, stay as they are."""
    if rows["seed"].null_count() == len(rows):
        return rows
    keys = [*KEYS, "config_id", "L", "E", "step", "seed"]
    rest = [name for name in rows.columns if name not in (*keys, "value")]
    scaled = rows.with_columns(value=pl.Series(kind.scale(rows["value"].to_numpy())))
    means = scaled.group_by(keys, maintain_order=True).agg(
        pl.col(rest).first(), pl.col("value").mean()
    )
    return means.with_columns(value=pl.Series(kind.unscale(means["value"].to_numpy())))


def _family(data: Data, rows: pl.DataFrame) -> set[str]:
    """The metrics of the family in which something was measured."""
    names = {name for name in rows["metric"].unique() if metric(name).family == data.family}
    if not names:
        raise NoData(f"needs {data.needs}")
    return names


def _recipe(config: str) -> str:
    """What a tokenizer's configuration says beyond the columns of DESIGN, as canonical JSON."""
    left = {
        name: {key: value for key, value in section.items() if key not in _SAID.get(name, ())}
        for name, section in json.loads(config).items()
        if name != "seed"
    }
    left = {name: section for name, section in left.items() if section}
    return json.dumps(left, sort_keys=True)


def _largest(rows: pl.DataFrame, vary: Sequence[str], two: str = "") -> pl.DataFrame:
    """The rows of the experiment with the most different settings of `vary`, of those that have
    two values of `two`; ties: the first."""
    fixed = [name for name in DESIGN if name not in vary]
    if two:
        rows = rows.filter(pl.col(two).n_unique().over(fixed) > 1)
    sizes = rows.with_columns(_size=pl.struct(*vary).n_unique().over(fixed)).sort(
        "_size", *fixed, descending=[True, *[False] * len(fixed)], nulls_last=True,
        maintain_order=True,
    )  # fmt: skip
    return sizes.join(sizes.select(fixed).head(1), on=fixed, how="semi", nulls_equal=True).drop(
        "_size"
    )


def _scales(rows: pl.DataFrame, cfg: str) -> pl.DataFrame:
    scale = pl.col("cfg_scale")
    rows = rows.filter(scale.is_null() | (scale > UNGUIDED))
    if cfg == "all":
        return rows
    return rows.filter(scale == scale.min())
