"""Fine-tunings of our own along their steps: whether the distance rises again, judged by seeds."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from analysis.claims.evidence import Sample
from analysis.claims.gan import unstable
from analysis.claims.verdict import Region
from analysis.metrics import metric
from analysis.stats.inputs import NoFit

REGION = Region(low=1.1)
STEPS = (25, 50, 75, 100)
SD = 0.02  # between seeds, in log2


def along(top: tuple[float, ...], seeds: int) -> Sample:
    """Means over seeds of three discriminator rates; `top`: those of the highest."""
    falling = (240.0, 236.0, 233.0, 232.0)
    rows = [
        {"config_id": f"{rate}", "tokenizer": "t", "stratum": "photos", "stage": 2, "E": 256,
         "loss": "L2 + LP + GAN", "gan_weight": 0.05, "disc_lr": rate, "full_finetune": False,
         "step": step, "value": value, "quality": -float(np.log2(value)), "n_seeds": seeds,
         "seed_sd": SD if seeds > 1 else None}
        for rate, values in ((1e-3, falling), (2e-3, falling), (4e-3, top))
        for step, value in zip(STEPS, values, strict=True)
    ]  # fmt: skip
    frame = pl.DataFrame(rows, schema_overrides={"seed_sd": pl.Float64})
    return Sample("db", metric("rFID"), frame, (), "", strata=("photos",))


@pytest.mark.parametrize(
    ("top", "rise"),
    [((240.0, 230.0, 300.0, 368.0), 1.6), ((240.0, 236.0, 233.0, 232.0), 1.0)],
    ids=["rises", "falls"],
)
def test_the_rise_is_tested_against_the_seeds(top: tuple[float, ...], rise: float) -> None:
    found = unstable(REGION, along(top, 3))
    (part,) = found.parts
    t = np.log2(rise / REGION.low) / (SD * np.sqrt(2 / 3))
    assert part.estimate == pytest.approx(rise)
    assert part.p == pytest.approx(stats.t.sf(t, 6))  # three rates of three seeds each
    assert f"lr 0.004: {rise:.2f}" in found.note


def test_without_seeds_nothing_is_said() -> None:
    with pytest.raises(NoFit, match="seeds would tell"):
        unstable(REGION, along((240.0, 230.0, 300.0, 368.0), 1))
