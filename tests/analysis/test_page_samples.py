"""Samples on the report page: each generator's scales side by side, the best one marked."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import polars as pl
import pytest
from ledgers import ledger
from PIL import Image
from reading import read
from synthetic import quickstart

from analysis.frames import Results
from analysis.page import write_page
from analysis.page.pictures import WIDTH
from analysis.page.samples import Samples, samples

GFD, GIS = "gFD[efficientnet-lite0]", "gIS[efficientnet-lite0]"
SCALES = (1.0, 1.5, 3.0)


@pytest.fixture(scope="module")
def made() -> Results:
    return quickstart(patches=(8, 16), channels=(4, 16), seeds=(0,), cfg=SCALES)


def drawn(made: Results, root: Path, **options: bool) -> Samples:
    slugs = dict(made.points.select("point_id", "slug").rows())
    return samples(made.measurements, slugs, ledger(made, root, samples=2, **options))


def test_scales_stand_side_by_side_and_the_best_is_marked(made: Results, tmp_path: Path) -> None:
    found = drawn(made, tmp_path)
    assert [row.label for row in found.rows] == ["p8-c4-s0", "p8-c16-s0", "p16-c4-s0", "p16-c16-s0"]
    for row in found.rows:
        assert [one.cfg for one in row.scales] == list(SCALES)
        assert {one.width for one in row.scales} == {WIDTH}
        numbers = made.point_metrics.filter(kind="generate", point_id=row.point_id)
        of = {name: part.sort("cfg_scale") for (name,), part in numbers.group_by("metric")}
        at = [of[GFD]["value"].arg_min(), of[GIS]["value"].arg_max()]
        assert [one.best for one in row.scales] == [n == at[0] for n in range(3)]
        for place, name in enumerate((GFD, GIS)):
            scores = [one.scores[place] for one in row.scales]
            assert {one.name for one in scores} == {name}
            assert [one.best for one in scores] == [n == at[place] for n in range(3)]
            assert [float(one.value) for one in scores] == pytest.approx(
                of[name]["value"].to_list(), rel=5e-3
            )
    assert found.judges == [GFD]


def test_one_scale_is_the_best_of_none(tmp_path: Path) -> None:
    alone = quickstart(patches=(8,), channels=(4,), seeds=(0,), cfg=(1.5,))
    (row,) = drawn(alone, tmp_path).rows
    assert not row.scales[0].best
    assert not any(score.best for score in row.scales[0].scores)


def test_values_that_look_the_same_are_not_called_best(made: Results, tmp_path: Path) -> None:
    value = pl.when(pl.col("cfg_scale") == 3).then(468.2).otherwise(468.3)
    rows = made.measurements.with_columns(value=pl.when(metric=GFD).then(value).otherwise("value"))
    found = samples(rows, {}, ledger(made, tmp_path, samples=1))
    assert not any(scale.best or scale.scores[0].best for scale in found.sheets)
    assert {scale.scores[0].value for scale in found.sheets} == {"468"}
    assert any(scale.scores[1].best for scale in found.sheets)


def test_samples_of_another_protocol_are_a_row_of_their_own(made: Results, tmp_path: Path) -> None:
    late = pl.col("cfg_scale") == 3
    protocol = pl.when(late).then(pl.col("protocol") + ", 9 steps").otherwise("protocol")
    slugs = {"cfg-p8c4-s0": "x"}
    rows = made.measurements.with_columns(protocol=protocol)
    found = samples(rows, slugs, ledger(made, tmp_path, samples=1))
    assert [[one.cfg for one in row.scales] for row in found.rows[:2]] in (
        [[1.0, 1.5], [3.0]], [[3.0], [1.0, 1.5]],
    )  # fmt: skip


def test_the_page_has_them_in_their_section(made: Results, tmp_path: Path) -> None:
    page = read(write_page(made, tmp_path, ledger(made, tmp_path, samples=2)).path)
    said = page.said("samples")
    assert "CFG 1, unguided" in said
    assert f"The best scale is that of the best {GFD}" in said
    assert said.split().count("best") >= 4
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    numbers = [str(each["id"]) for each in pictures]
    assert numbers == [f"picture-{n}" for n in range(len(pictures))]
    # A generation's mark shows its own samples.
    (panel,) = [
        one for one in page.data["panels"] if (one["metric"], one["cfg"]) == (GFD, 1.5)
    ]  # fmt: skip
    shown = [str(pictures[n]["alt"]) for n in panel["picture"]]
    assert all(text.startswith("Samples at CFG 1.5, ") for text in shown)
    assert len(set(panel["picture"])) == 4


def test_without_samples_there_is_no_section(made: Results, tmp_path: Path) -> None:
    assert "samples" not in read(write_page(made, tmp_path, ledger(made, tmp_path)).path).sections


def test_clips_move(tmp_path: Path) -> None:
    made = quickstart(patches=(8,), channels=(4,), seeds=(0,), cfg=(1.5, 3.0))
    found = drawn(made, tmp_path, clips=True)
    (first, *_) = found.sheets
    assert first.clips is not None
    data = base64.b64decode(first.clips.removeprefix("data:image/webp;base64,"))
    with Image.open(io.BytesIO(data)) as opened:
        assert (opened.n_frames, opened.width) == (2, WIDTH // 2)  # type: ignore[attr-defined]
        opened.load()
        assert opened.info["duration"] == 120, "GIFs count hundredths of a second"
    page = read(
        write_page(
            made, tmp_path / "page", ledger(made, tmp_path / "l", samples=1, clips=True)
        ).path
    )
    assert page.said("samples").count("Moving") == 2


def test_what_is_left_out_or_unreadable_is_said(made: Results, tmp_path: Path) -> None:
    """Whole generators are left out; they take half of the page's pictures at most."""
    known = ledger(made, tmp_path, samples=2)
    one = drawn(made, tmp_path / "all").rows[0]
    size = sum(len(scale.uri) for scale in one.scales)
    written = write_page(made, tmp_path, known, picture_limit=4 * size + 999)
    assert any(note.startswith("6 of 12 sheets of samples are left out") for note in written.notes)
    for sheet in list(tmp_path.glob("jobs/generate-*/artifacts/samples.png"))[:2]:
        sheet.write_bytes(b"no picture")
    written = write_page(made, tmp_path, known)
    assert "2 of 12 sheets of samples could not be read." in written.notes
    known.samples[0, "path"] = "../../../secret.png"
    notes = write_page(made, tmp_path, known).notes
    assert any("of 12 sheets of samples could not be read." in note for note in notes)
