"""From the views to what figures and tables stand on: one tidy row per measured number.

Trained tokenizers are the jobs of kind `reconstruct`; their PCA floor is the job of kind `floor`
that belongs to the same point. What cannot be used is left out with a note, never silently.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.frames import Results
from analysis.metrics import metric, order
from vitok_core.data.sources import DATASETS
from vitok_core.errors import UserError

SERIES = {"reconstruct": "trained", "floor": "floor"}
COLUMNS = [
    "panel", "dataset", "series", "point_id", "config_id", "seed", "p", "q", "c", "L", "E",
    "metric", "protocol", "value",
]  # fmt: skip

# Splits on which a recipe was trained or chosen: their scores are not evidence for a report.
_SEEN = {"train", "tune"}


@dataclass(frozen=True)
class Observations:
    """Tidy rows (COLUMNS and `job_id`) and what had to be said about them."""

    frame: pd.DataFrame
    notes: tuple[str, ...]

    @property
    def distinct(self) -> pd.DataFrame:
        """Each job's numbers once.

        Sweeps share jobs, and all seeds of a configuration share one floor. A number that belongs
        to several configurations counts for the one with the most points.
        """
        sizes = self.frame.groupby("config_id")["point_id"].transform("nunique")
        ranked = self.frame.assign(_size=-sizes).sort_values(
            ["_size", "config_id", "seed"], kind="stable"
        )
        kept = ranked.drop_duplicates(["series", "job_id", "dataset", "panel", "protocol", "E"])
        return self.frame.loc[kept.index.sort_values()]


def observe(
    results: Results, *, metrics: Sequence[str] | None = None, datasets: Sequence[str] = ()
) -> Observations:
    """What was measured on reconstructions, trained and floor.

    Args:
        results: loaded results, of one sweep or of all.
        metrics: names to keep, in the order of the panels; None: all.
        datasets: names to keep; `all`, or empty, keeps every one.

    Raises:
        UserError: nothing was measured yet, or a data set that the results do not have.
    """
    measured = results.point_metrics[results.point_metrics["kind"].isin(SERIES)]
    if not (measured["kind"] == "reconstruct").any():
        raise UserError(
            f"{results.source}: no reconstruction has been scored yet; "
            "`vitok-sweep launch` runs what is missing, `vitok-sweep status` shows how far it is"
        )
    _check_datasets(measured["dataset"], datasets)
    if datasets and "all" not in datasets:
        measured = measured[measured["dataset"].isin(datasets)]
    if metrics is not None:
        measured = measured[measured["metric"].isin(metrics)]
    frame = _tidy(measured, results.points, list(metrics) if metrics is not None else None)
    usable, notes = _usable(frame)
    return Observations(usable, (*notes, *_mixtures(usable, results.points)))


def reported(datasets: Sequence[str]) -> list[str]:
    """The data sets to draw unless others are asked for: those on which nothing was chosen.

    A set that is registered as train or tune has shaped the recipe; it is drawn only when there
    is no other.
    """
    clean = [name for name in datasets if _split(name) not in _SEEN]
    return clean or list(datasets)


def _split(name: str) -> str:
    return DATASETS[name].split if name in DATASETS else ""


def _tidy(measured: pd.DataFrame, points: pd.DataFrame, metrics: list[str] | None) -> pd.DataFrame:
    columns = ["point_id", "config_id", "seed", "p", "q", "c", "L", "E"]
    frame = measured.merge(points[columns], on="point_id", validate="many_to_one")
    # A masked code is scored at several lengths: its E is that of the evaluated length.
    shortened = frame["eval_E"].notna()
    frame["E"] = frame["E"].where(~shortened, frame["eval_E"]).astype("int64")
    frame["L"] = frame["L"].where(~shortened, frame["eval_length"]).astype("int64")
    frame["series"] = frame["kind"].map(SERIES)
    frame["panel"] = frame["metric"]
    names = sorted(frame["metric"].unique(), key=order) if metrics is None else metrics
    rank = {name: index for index, name in enumerate(names)}
    seen = frame["dataset"].map(lambda name: _split(name) in _SEEN)
    frame = frame.assign(_rank=frame["metric"].map(rank), _seen=seen).sort_values(
        ["_rank", "_seen", "dataset", "protocol", "kind", "p", "q", "c", "config_id", "seed"],
        # trained before floor: "reconstruct" sorts after "floor"
        ascending=[True, True, True, True, False, True, True, True, True, True],
        kind="stable",
    )
    # The floor has no seed: one row per configuration, under its first point.
    floor = frame["series"] == "floor"
    repeated = frame.duplicated(["config_id", "job_id", "panel", "protocol", "E"]) & floor
    frame = frame[~repeated].reset_index(drop=True)
    frame["seed"] = frame["seed"].astype("Int64").mask(frame["series"] == "floor")
    return frame[[*COLUMNS, "job_id"]]


def _usable(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Rows that a fit can take, and a note per metric about those that it cannot."""
    keep = pd.Series(True, index=frame.index)
    notes = []
    for name, rows in frame.groupby("panel", sort=False):
        good = metric(str(name)).usable(rows["value"])
        if not good.all():
            keep.loc[rows.index] = good
            bad = rows[~good]
            where = ", ".join(
                sorted({f"p{p} c{c}" for p, c in zip(bad["p"], bad["c"], strict=True)})
            )
            why = "not finite" if metric(str(name)).transform == "identity" else "not finite or ≤ 0"
            notes.append(f"{name}: {len(bad)} of {len(rows)} values left out ({why}): {where}")
    return frame[keep].reset_index(drop=True), notes


def _mixtures(frame: pd.DataFrame, points: pd.DataFrame) -> list[str]:
    """Notes about points that differ in more than the bottleneck: one line may not mean much."""
    used = points[points["point_id"].isin(frame["point_id"])]
    notes = []
    for column, what in (("resolution", "resolutions"), ("frames", "clip lengths"),
                         ("encoder", "encoders"), ("decoder", "decoders")):  # fmt: skip
        values = sorted({str(value) for value in used[column]})
        if len(values) > 1:
            notes.append(
                f"the points differ in their {what} ({', '.join(values)}): "
                "--sweep NAME keeps one sweep's"
            )
    shapes = used.groupby(["p", "q", "c", "resolution", "frames"])["config_id"].nunique()
    if (shapes > 1).any():
        notes.append(
            f"{int((shapes > 1).sum())} bottlenecks (p, q, c) stand for several configurations, "
            "which differ in something else: --sweep NAME keeps one sweep's"
        )
    return notes


def _check_datasets(known: pd.Series, asked: Sequence[str]) -> None:
    names = sorted(set(known))
    for name in asked:
        if name != "all" and name not in names:
            near = difflib.get_close_matches(name, names, 1)
            hint = f", did you mean {near[0]}?" if near else ""
            raise UserError(
                f"no results on data set {name!r}{hint} (there are: {', '.join(names)})"
            )
