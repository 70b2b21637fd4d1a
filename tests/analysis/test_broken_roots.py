"""Records that no launch writes, an index that lacks parts, places that refuse: one clear line."""

from __future__ import annotations

import json
import sqlite3
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from synthetic import quickstart, write_root

import analysis
from analysis.frames import POINTS
from analysis.outliers import check
from analysis.predict import Query, predict_all
from analysis.report import draw
from analysis.rows import frame
from analysis.writing import Unwritable, put
from sweep.layout import Root
from sweep.store import open_store
from vitok_core.errors import UserError


@pytest.fixture(scope="module")
def made() -> analysis.frames.Results:
    return quickstart(seeds=(0,), datasets=("photos-heldout",))


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        *((name, value, "at least 1") for name in ("p", "c", "L", "E") for value in (0, None)),
        ("E", 2**70, "at least 1"),
        ("resolution", -64, "at least 1"),
        ("config_id", None, "a value"),
        ("gflops", -1.0, "above 0"),
    ],
)
def test_a_point_that_is_no_tokenizer(tmp_path: Path, name: str, value: Any, wanted: str) -> None:
    root = write_root(tmp_path, quickstart(seeds=(0,), patches=(16,), channels=(4, 8)))
    journal = root / "launches" / "quickstart.jsonl"
    (record,) = map(json.loads, journal.read_text().splitlines())
    record["points"][1][name] = value
    journal.write_text(json.dumps(record) + "\n")
    with pytest.raises(UserError, match=rf"point p16-c8-s0 has {name} .*{wanted}.*launch its"):
        analysis.load(root)


def test_a_value_of_another_type_is_told() -> None:
    with pytest.raises(UserError, match=r"here: a value of .* is of another type"):
        frame([("a", "many")], {"point_id": pl.String, "p": pl.Int64}, "here")
    assert frame([], POINTS, "here").is_empty()


@pytest.mark.parametrize("lost", ["VIEW points", "VIEW curves", "TABLE edges"])
def test_an_index_without_a_part(tmp_path: Path, lost: str) -> None:
    root = write_root(tmp_path, quickstart(seeds=(0,), patches=(16,), channels=(4,)))
    analysis.load(root)
    with sqlite3.connect(root / "results.db") as database:
        database.execute(f"DROP {lost}")
    with pytest.raises(UserError, match=rf"results.db: lacks {lost.split()[1]}; .*db rebuild"):
        open_store(Root(root))


def test_an_index_whose_schema_is_noise(tmp_path: Path) -> None:
    root = write_root(tmp_path, quickstart(seeds=(0,), patches=(16,), channels=(4,)))
    analysis.load(root)
    file = root / "results.db"
    for leftover in root.glob("results.db-*"):
        leftover.unlink()
    data = file.read_bytes()
    file.write_bytes(data.replace(b"CREATE TABLE edges", b"CREATE\xffTABLE\x85edges"))
    with pytest.raises(UserError, match=r"results.db: is damaged; .*db rebuild"):
        open_store(Root(root))


def test_an_index_that_is_a_loop_of_links(tmp_path: Path) -> None:
    root = write_root(tmp_path, quickstart(seeds=(0,), patches=(16,), channels=(4,)))
    (root / "results.db").symlink_to("results.db")
    with pytest.raises(UserError, match=r"results.db: cannot be opened"):
        open_store(Root(root))


def test_a_server_that_is_none_of_ours() -> None:
    with pytest.raises(UserError, match="mysql") as told:
        open_store(None, "mysql://me:secret@host/x")
    assert "secret" not in str(told.value)
    assert "pip install" not in str(told.value)


def test_places_that_refuse_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "taken.csv").mkdir()
    with pytest.raises(Unwritable, match=r"/file: expected a folder, and this is a file"):
        put(tmp_path / "file", {"a.csv": b""})
    with pytest.raises(Unwritable, match=r"/taken.csv: expected a file, and this is a folder"):
        put(tmp_path, {"taken.csv": b""})
    with pytest.raises(Unwritable, match=r"/x{300}.csv: File name too long"):
        put(tmp_path, {f"{'x' * 300}.csv": b""})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "taken.csv"]


def test_signs_that_the_font_lacks_are_one_note(
    made: analysis.frames.Results, tmp_path: Path
) -> None:
    rows = made.point_metrics.with_columns(protocol=pl.lit("漢字: ") + pl.col("protocol"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        left = draw(replace(made, point_metrics=rows), "e_vs_rfid", tmp_path, formats=["svg"])
    assert "the figures' font lacks 漢 字: boxes stand for them" in left.notes
    assert not any("font lacks" in n for n in draw(made, "e_vs_rfid", tmp_path).notes)


def test_names_of_metrics_in_wide(made: analysis.frames.Results) -> None:
    assert made.wide(metrics="rPSNR").equals(made.wide(metrics=["rPSNR"]))
    with pytest.raises(UserError, match=r"no metric 'rPSRN' \(there are: .*rPSNR"):
        made.wide(metrics="rPSRN")


def test_queries_that_no_points_tell_of(made: analysis.frames.Results) -> None:
    for channels in (0, 2**31, 10**20):
        with pytest.raises(UserError, match="channels must be from 1 to"):
            Query("S", "B", 16, channels)
    asked = [Query("w128b2h4", "w128b4h4", 8, c, resolution=64) for c in (192, 193)]
    fine, fat = predict_all(made, asked, metrics=["rPSNR"])
    assert len(fine.predictions) == 1
    assert fat.predictions == ()
    assert fat.notes[0].startswith("rPSNR on photos-heldout: no prediction, channels exceed")


def test_what_has_no_prediction_names_metric_and_protocol() -> None:
    few = quickstart(seeds=(0,), datasets=("photos-heldout",), patches=(16,))
    at = pl.when(pl.col("point_id") == "cfg-p16c4-s0").then(pl.lit("another"))
    rows = few.point_metrics.with_columns(protocol=at.otherwise("protocol"))
    several = replace(few, point_metrics=rows)
    (found,) = predict_all(several, [Query("w128b2h4", "w128b4h4", 16, 4, resolution=64)])
    assert any("rPSNR on photos-heldout (another; loss " in note for note in found.notes)
    assert any("rPSNR on photos-heldout (another; loss " in note for note in check(several).notes)
