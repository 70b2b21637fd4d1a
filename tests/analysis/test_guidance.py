"""Guidance: the best scale by the metric's direction, beside none at all."""

from __future__ import annotations

import polars as pl
import pytest

import analysis
from analysis.guidance import best_scale, guidance
from analysis.measurements import SCHEMA
from analysis.page.guided import guidance_table
from analysis.summary import best_cfg
from analysis.summary import guidance_table as text_table

MADE = {
    "source": "db", "series": "trained", "kind": "generate", "dataset": "imagenet1k-val",
    "generator": "DiT-L", "protocol": "N=9", "variant": "simple", "encoder": "S", "decoder": "B",
    "p": 16, "q": 1,
}  # fmt: skip


def rows(*numbers: tuple[str, int, int, float, float | None]) -> pl.DataFrame:
    """(metric, c, seed, CFG scale, value) each."""
    made = [
        {**MADE, "metric": name, "c": c, "E": 256 * c, "config_id": f"c{c}", "seed": seed,
         "point_id": f"c{c}s{seed}", "job_id": f"{name}{c}{seed}{cfg}", "cfg_scale": cfg,
         "value": value}
        for name, c, seed, cfg, value in numbers
    ]  # fmt: skip
    blank = {name: None for name in SCHEMA if name not in made[0]}
    return pl.DataFrame([{**row, **blank} for row in made], schema=SCHEMA)


FRAME = rows(
    ("gFID", 16, 0, 3.0, 20.0), ("gFID", 16, 0, 1.0, 40.0), ("gFID", 16, 0, 1.5, 8.0),
    ("gFID", 16, 1, 1.5, 2.0),
    ("gFID", 64, 0, 3.0, 12.0), ("gFID", 64, 0, 1.5, 15.0),
    ("gIS", 16, 0, 1.0, 30.0), ("gIS", 16, 0, 3.0, 90.0),
    ("gFID", 8, 0, 1.5, 9.0),
    ("gFID", 32, 0, 1.5, 9.0), ("gFID", 32, 0, 3.0, float("nan")),
)  # fmt: skip


def test_the_best_scale_beside_none() -> None:
    found = {(row["metric"], row["c"]): row for row in guidance(FRAME).to_dicts()}
    # One scale alone, or one whose other value is no number, says nothing on guidance.
    assert set(found) == {("gFID", 16), ("gFID", 64), ("gIS", 16)}
    first = found["gFID", 16]
    assert first["scales"] == [1.0, 1.5, 3.0]
    assert first["values"] == pytest.approx([40.0, 4.0, 20.0]), "geometric mean of two seeds"
    assert (first["unguided"], first["best_scale"]) == (pytest.approx(40.0), 1.5)
    assert found["gFID", 64]["best_scale"] == 3.0
    assert found["gFID", 64]["unguided"] is None
    assert found["gIS", 16]["best"] == pytest.approx(90.0)


def test_the_papers_best_scales_cross() -> None:
    """Its narrow codes are best at 1.5, its widest at 3.0; IS always rises."""
    found = guidance(analysis.load_published().measurements)
    by_family = {
        (metric, c): set(part["best_scale"])
        for (metric, c), part in found.filter(p=16).group_by("metric", "c")
    }
    assert by_family["gFID", 4] == {1.5}
    assert by_family["gFID", 64] == {3.0}
    assert {scale for (name, _), scales in by_family.items() if name == "gIS" for scale in scales}
    assert all(scales == {3.0} for (name, _), scales in by_family.items() if name == "gIS")


@pytest.mark.parametrize(
    ("best", "said"), [(1.0, "unguided"), (1.5, "1.5"), (3.0, "≥ 3"), (0.5, "≤ 0.5")]
)
def test_a_best_scale_at_the_edge_is_said_to_be_one(best: float, said: str) -> None:
    assert best_scale(best, [0.5, 1.0, 1.5, 3.0]) == said


def test_scales_that_look_the_same_are_not_called_better() -> None:
    found = guidance(rows(
        ("gFID", 4, 0, 1.5, 468.3), ("gFID", 4, 0, 3.0, 468.2),
        ("gFID", 8, 0, 1.0, 416.1), ("gFID", 8, 0, 1.5, 415.9), ("gFID", 8, 0, 3.0, 417.2),
    ))  # fmt: skip
    assert [best_cfg(row) for row in found.to_dicts()] == ["alike", "unguided or 1.5"]
    assert "alike: to the digits shown" in text_table(found)
    assert [row[-2].text for row in guidance_table(found).rows] == ["alike", "unguided or 1.5"]


def test_tables() -> None:
    found = guidance(FRAME)
    text = text_table(found)
    assert "Guidance: gFID ↓, imagenet1k-val, DiT-L" in text
    (line,) = [line for line in text.splitlines() if line.split()[:3] == ["16", "64", "16384"]]
    assert line.split() == ["16", "64", "16384", "–", "15.0", "12.0", "≥", "3", "12.0"]
    assert "p   c      E  unguided  CFG 1.5  CFG 3  best CFG  best" in text
    assert "≥, ≤: the highest or the lowest scale that was sampled" in text
    table = guidance_table(found)
    labels = [column.label for column in table.columns]
    assert labels[-5:] == ["unguided", "CFG 1.5", "CFG 3", "best CFG", "best"]
    assert labels[:3] == ["metric", "c", "E"], "what all rows share is said once"
    assert "ours; data set imagenet1k-val; generator DiT-L; encoder S; decoder B; p 16; q 1" in (
        table.caption
    )
    assert [row[-2].text for row in table.rows] == ["1.5", "≥ 3", "≥ 3"]
    assert [row[-2].value for row in table.rows] == [1.5, 3.0, 3.0]
    assert guidance_table(found.clear()).rows == []
