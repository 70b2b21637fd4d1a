"""Tables 1-7: the paper's printed numbers, our rows beside them, what is best among what."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import gmean
from synthetic import point, quickstart, results

import analysis
from analysis.configurations import configuration_means
from analysis.frames import Results
from analysis.tables import Cell, Row, Table, table
from vitok_core.errors import UserError

PUBLISHED = "published: ViTok, arXiv 2501.09755, Table 3"
FID = "FID of the standard Inception; N=50000; imagenet1k-val@1: center crop, 256px"
OFFLINE = "Frechet distance of efficientnet-lite0; N=50000; imagenet1k-val@1: center crop, 256px"
RFD = "rFD[efficientnet-lite0]"
DIVERSE = {"frames": 16, "resolution": 128, "q": 4}


def scored(
    c: int, values: Sequence[float], *, metric: str = "rFID", protocol: str = FID,
    dataset: str = "imagenet1k-val", cfg: float | None = None, **shape: Any,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:  # fmt: skip
    """One configuration S-B/16 with one value for each of its seeds: points and scores."""
    shape = {"resolution": 256, **shape}
    made, rows = [], []
    for seed, value in enumerate(values):
        each = point(16, c, 256, seed, **shape) | {"encoder": "S", "decoder": "B"}
        each |= {"params_m": 128.999, "gflops": 34.774}
        kind = "reconstruct" if cfg is None else "generate"
        made.append(each)
        rows.append({
            "point_id": each["point_id"], "kind": kind, "dataset": dataset, "cfg_scale": cfg,
            "job_id": f"{kind}-{each['point_id']}-{dataset}-{protocol}-{cfg}", "eval_length": None,
            "eval_E": None, "metric": metric, "protocol": protocol, "value": value,
        })  # fmt: skip
    return made, rows


def measured(*parts: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> Results:
    points = {each["point_id"]: each for made, _ in parts for each in made}
    return results(list(points.values()), [row for _, rows in parts for row in rows])


def both(*parts: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> Results:
    return measured(*parts).with_published()


def cells(made: Table, row: Row) -> dict[str, Cell]:
    return {one.key: cell for one, cell in zip(made.columns, row.cells, strict=True)}


def column(made: Table, key: str) -> list[Cell]:
    return [cells(made, row)[key] for row in made.rows]


def bold(made: Table, key: str) -> list[str]:
    return [cell.text for cell in column(made, key) if cell.best]


def names(made: Table, source: str = "db") -> list[str]:
    return [row.cells[0].text for row in made.rows if row.source == source]


@pytest.mark.parametrize(
    ("number", "row", "printed"),
    [
        (2, 1, ["Float32", "1.62", "194", "0.80", "26.1"]),
        (3, 0, ["SD-VAE", "59.3", "162.2", "0.78", "25.08", "0.705", "4.63", "24.82", "0.720"]),
        (3, 1, ["SDXL-VAE", "–", "–", "0.68", "26.04", "0.834", "4.07", "25.76", "0.845"]),
        (4, 1, ["ViTok S-B/16", "129.0", "160.8", "0.18", "26.72", "0.803", "2.00", "26.14",
                "0.790"]),
        (5, 3, ["LARP-L-Long", "174", "505.3", "1024", "–", "20", "–", "–"]),
        (5, 0, ["TATS", "32", "–", "2048", "–", "162", "–", "–"]),
        (6, 4, ["ViTok S-B/16", "DiT-XL", "675", "2.45", "284.39", "3.41", "251.46"]),
        (7, 5, ["ViTok S-B/4x8", "DiT", "1024", "400", "6.67", "27.44"]),
    ],
)  # fmt: skip
def test_the_paper_s_rows_are_as_printed(number: int, row: int, printed: list[str]) -> None:
    made = table(number, analysis.load_published())
    assert [cell.text for cell in made.rows[row].cells] == printed
    assert all(one.cited for one in made.rows)
    assert f"as printed in ViTok, arXiv 2501.09755, Table {number}" in made.caption


@pytest.mark.parametrize(
    ("number", "best"),
    [
        (2, ["1.62", "194", "194", "0.80", "26.1", "26.1"]),  # ties are both best
        (3, ["0.46", "31.74", "0.834", "3.87", "31.74", "0.845"]),
        (4, ["0.18"]),  # the other columns have one number: best of nothing
        (5, ["2.13", "8.04", "30.11", "0.923"]),
        (6, ["2.27", "284.39", "2.49", "251.46"]),
        (7, ["6.67", "27.44"]),
    ],
)
def test_the_best_of_every_printed_column(number: int, best: list[str]) -> None:
    made = table(number, analysis.load_published())
    assert [text for one in made.columns for text in bold(made, one.key)] == best


def test_arrows_follow_the_metric() -> None:
    made = table(3, analysis.load_published())
    assert [one.heading for one in made.columns[:6]] == [
        "Name", "Params (M)", "GFLOPs", "rFID ↓", "rPSNR ↑", "rSSIM ↑",
    ]  # fmt: skip


def test_sizes_are_counted_to_the_printed_digits() -> None:
    made = table(1, analysis.load_published())
    rows = [cells(made, row) for row in made.rows]
    assert [row["name"].text for row in rows] == ["Small (S)", "Base (B)", "Large (L)"]
    assert [row["params_m_computed"].text for row in rows] == ["43.316", "85.843", "383.748"]
    assert [row["gflops_computed"].text for row in rows] == ["11.638", "23.126", "101.766"]
    for row in rows:
        for key in ("params_m", "gflops"):
            residual = row[f"{key}_computed"].value - float(row[key].text)  # type: ignore[operator]
            assert row[f"{key}_residual"].value == pytest.approx(residual)
            assert abs(residual) < 0.05
    assert rows[2]["gflops_residual"].text == "−0.034"


def test_ours_are_means_over_seeds_with_their_sd() -> None:
    values = [0.61, 0.55, 0.70]
    made = table(3, both(scored(16, values)))
    row = cells(made, made.rows[-1])
    assert names(made) == ["S-B/16 c16"]
    assert row["params_m"].text == "129.0"
    assert row["gflops"].text == "34.8"
    found = row["imagenet1k/rFID"]
    assert found.value == pytest.approx(gmean(values))  # as the lines of the figures have it
    assert found.sd == pytest.approx(np.std(values, ddof=1))
    assert (found.text, found.spread) == ("0.62", "0.08")
    assert "means over 3 seeds" in made.caption
    assert [str(one) for one in made.protocols] == [f"ImageNet rFID: {FID}"]


def test_other_metrics_have_arithmetic_means() -> None:
    values = [20.0, 22.0, 27.0]
    made = table(3, both(scored(16, values, metric="rPSNR")))
    assert column(made, "imagenet1k/rPSNR")[-1].value == pytest.approx(23.0)


def test_a_row_and_a_line_have_the_same_numbers() -> None:
    made = both(scored(16, [0.5, 2.0]), scored(32, [0.25, 0.5]))
    means = configuration_means(made.measurements.filter(source="db"))
    shown = [cell.value for cell in column(table(3, made), "imagenet1k/rFID")[-2:]]
    np.testing.assert_allclose(shown, means["value"], rtol=1e-12)
    np.testing.assert_allclose(shown, [1.0, 0.125**0.5], rtol=1e-12)


def test_a_single_value_keeps_its_digits() -> None:
    values = [0.1 * n + 0.01 for n in range(1, 20)]
    made = table(3, measured(*(scored(c, [one]) for c, one in enumerate(values, 1))))
    assert {cell.value for cell in column(made, "imagenet1k/rFID")} == set(values)


def test_one_seed_has_no_sd() -> None:
    made = table(3, both(scored(16, [0.61])))
    found = column(made, "imagenet1k/rFID")[-1]
    assert (found.text, found.spread, found.sd) == ("0.61", "", None)
    assert "one seed" in made.caption


def test_best_is_told_within_a_protocol_only() -> None:
    """Ours are lower than any printed rFID, and the paper's best stays the paper's."""
    made = table(3, both(scored(16, [0.30]), scored(32, [0.20])))
    assert bold(made, "imagenet1k/rFID") == ["0.46", "0.20"]
    alone = table(3, both(scored(16, [0.30])))
    assert bold(alone, "imagenet1k/rFID") == ["0.46"]


def test_a_number_under_the_paper_s_own_protocol_competes_with_it() -> None:
    made = table(3, both(scored(16, [0.30], protocol=PUBLISHED)))
    assert bold(made, "imagenet1k/rFID") == ["0.30"]


def test_offline_networks_have_columns_of_their_own() -> None:
    offline = [scored(c, [value], metric=RFD, protocol=OFFLINE) for c, value in ((16, 9), (32, 5))]
    made = table(3, both(*offline))
    assert [one.key for one in made.columns][-1] == f"imagenet1k-val/{RFD}"
    ours = [cells(made, row) for row in made.rows if row.source == "db"]
    assert [row["imagenet1k/rFID"] for row in ours] == [Cell(), Cell()]
    assert bold(made, f"imagenet1k-val/{RFD}") == ["5.00"]
    assert all(cell == Cell() for cell in column(made, f"imagenet1k-val/{RFD}")[:6])


def test_two_protocols_in_a_column_are_marked_and_not_compared() -> None:
    few = FID.replace("50000", "5000")
    made = table(3, both(scored(16, [0.5]), scored(32, [0.4]), scored(64, [0.9], protocol=few)))
    ours = column(made, "imagenet1k/rFID")[6:]
    assert [cell.mark for cell in ours] == ["a", "a", "b"]
    assert [cell.best for cell in ours] == [False, True, False]
    assert [(one.mark, one.text) for one in made.protocols] == [("a", FID), ("b", few)]


def test_one_configuration_under_two_protocols_has_two_rows() -> None:
    few = FID.replace("50000", "5000")
    made = table(3, both(scored(16, [0.5, 0.6]), scored(16, [0.9, 0.8], protocol=few)))
    assert names(made) == ["S-B/16 c16", "S-B/16 c16"]
    ours = column(made, "imagenet1k/rFID")[6:]
    assert {(cell.text, cell.protocol) for cell in ours} == {("0.55", FID), ("0.85", few)}


def test_two_data_sets_share_a_row() -> None:
    coco = FID.replace("imagenet1k", "coco2017")
    other = scored(16, [4.0, 4.2], protocol=coco, dataset="coco2017-val")
    made = table(3, both(scored(16, [0.5, 0.6]), other))
    (row,) = (cells(made, row) for row in made.rows if row.source == "db")
    assert (row["imagenet1k/rFID"].text, row["coco2017/rFID"].text) == ("0.55", "4.10")


def test_equal_names_are_told_apart() -> None:
    made = measured(scored(16, [0.5]), scored(32, [0.4]))
    twins = made.points.with_columns(c=pl.lit(16), L=pl.lit(256))
    shown = table(3, Results(twins, made.point_metrics, made.read_curves, "results",
                             jobs=made.jobs, edges=made.edges))  # fmt: skip
    assert names(shown) == ["S-B/16 c16 (cfg-p16c16)", "S-B/16 c16 (cfg-p16c32)"]


def test_image_sizes_part_between_tables_3_and_4() -> None:
    made = both(
        scored(16, [0.5]), scored(32, [0.2], resolution=512), scored(8, [9.0], resolution=64)
    )
    assert names(table(3, made)) == ["S-B/16 c8, 64p", "S-B/16 c16"]
    assert "images up to 256 px" in table(3, made).caption
    assert "images above 256 px" in table(4, made).caption
    assert names(table(4, made)) == ["S-B/16 c32"]
    assert column(table(4, made), "imagenet1k/rFID")[-1].text == "0.20"


def test_stage_1_is_told_beside_the_paper_s_stage_2() -> None:
    made = both(scored(16, [0.5]))
    assert any("adversarial" in note for note in table(3, made).notes)
    assert not any("adversarial" in note for note in table(3, measured(scored(16, [0.5]))).notes)


def test_clips() -> None:
    made = both(scored(16, [4.0], dataset="ucf101-train", **DIVERSE),
                scored(32, [3.0], dataset="ucf101-train", **DIVERSE | {"frames": 32}))  # fmt: skip
    shown = table(5, made)
    assert names(shown) == ["S-B/4x16 c16", "S-B/4x16 c32, 32 frames"]
    last = cells(shown, shown.rows[-2])
    assert (last["tokens"].text, last["ucf101/rFID"].text) == ("256", "4.00")


def test_generations_by_resolution_and_cfg_scale() -> None:
    made = both(
        scored(16, [6.1], metric="gFID", cfg=1.5), scored(16, [9.9], metric="gFID", cfg=3.0),
        scored(32, [5.0], metric="gFID", cfg=1.5, resolution=512),
        scored(64, [7.0], metric="gFID", cfg=1.5, resolution=64),
    )  # fmt: skip
    shown = table(6, made)
    by_name = {row.cells[0].text: cells(shown, row) for row in shown.rows if row.source == "db"}
    assert by_name["S-B/16 c16, CFG 1.5"]["imagenet1k@256/gFID"].text == "6.10"
    assert by_name["S-B/16 c16, CFG 3"]["imagenet1k@256/gFID"].text == "9.90"
    assert by_name["S-B/16 c32, 512p, CFG 1.5"]["imagenet1k@512/gFID"].text == "5.00"
    assert by_name["S-B/16 c64, 64p, CFG 1.5"]["imagenet1k-val/gFID"].text == "7.00"
    clips = table(7, both(scored(16, [8.0], metric="gFVD", cfg=1.5, dataset="ucf101-train",
                                 **DIVERSE)))  # fmt: skip
    assert column(clips, "ucf101/gFVD")[-1].text == "8.00"


def in_precision(made: Results, precisions: dict[int, str]) -> Results:
    """The same results, trained in the precision that `precisions` gives their channels."""
    jobs = []
    for job, kind, config in made.jobs.rows():
        about = json.loads(config)
        if kind == "tokenizer":
            about["train"] = {"precision": precisions[about["tokenizer"]["channels"]]}
        jobs.append((job, kind, json.dumps(about)))
    points = made.points.with_columns(c=pl.lit(16), E=pl.lit(4096))
    frame = pl.DataFrame(jobs, schema=made.jobs.schema, orient="row")
    return Results(points, made.point_metrics, made.read_curves, "results", jobs=frame,
                   edges=made.edges, sources=("db", "published"))  # fmt: skip


def test_precisions_stand_side_by_side() -> None:
    made = measured(scored(16, [1.60, 1.66]), scored(32, [1.61, 1.65]))
    shown = table(2, in_precision(made, {16: "bf16", 32: "fp32"}))
    assert names(shown) == ["BFloat16, S-B/16 c16", "Float32, S-B/16 c16"]
    one = table(2, in_precision(made, {16: "bf16", 32: "bf16"}))
    assert names(one) == []
    assert any("in two precisions has been scored yet" in note for note in one.notes)


def test_numbers_that_are_none_are_left_out_with_a_note() -> None:
    made = table(3, both(scored(16, [0.5, float("nan")]), scored(32, [float("inf")])))
    assert names(made) == ["S-B/16 c16"]
    assert column(made, "imagenet1k/rFID")[-1].text == "0.50"
    assert any(note.startswith("rFID: 2 of 3 values left out") for note in made.notes)


def test_a_laptop_s_sweep_stands_beside_the_paper() -> None:
    made = quickstart(seeds=(0, 1))
    shown = table(3, made.with_published())
    assert len(names(shown, "published")) == 6
    assert len(names(shown)) == 15  # trained; floors are no rows
    keys = [one.key for one in shown.columns]
    assert "photos-heldout/rPSNR" in keys
    assert not any("photos-tune" in key for key in keys)  # a recipe was chosen on it
    assert not any("kl_bits" in key for key in keys)
    assert any("kl_bits_per_pixel" in note for note in shown.notes)
    means = made.wide(dataset="photos-heldout").group_by("config_id").agg(pl.col("rPSNR").mean())
    assert bold(shown, "photos-heldout/rPSNR") == [f"{means['rPSNR'].max():.2f}"]
    alone = table(3, made)
    assert [row.source for row in alone.rows] == ["db"] * 15
    assert not any("imagenet1k" in one.key for one in alone.columns)
    tuned = table(3, made, datasets=["photos-tune"])
    assert {one.group for one in tuned.columns} == {"", "photos-tune"}


def test_a_data_set_of_the_paper_s_may_be_chosen() -> None:
    made = table(3, quickstart(seeds=(0,)).with_published(), datasets=["coco2017"])
    assert {one.group for one in made.columns} == {"", "COCO", "photos-heldout"}


@pytest.mark.parametrize(
    ("number", "datasets", "message"),
    [
        (8, [], r"no table 8 \(there are: 1, 2, 3, 4, 5, 6, 7\)"),
        (0, [], "no table 0"),
        (4, [], "no reconstruction of images above 256 px has been scored yet, and Table 4"),
        (5, [], "no reconstruction of video has been scored yet"),
        (6, [], "no generation of images has been scored yet"),
        (3, ["photos-held"], "did you mean photos-heldout"),
    ],
)
def test_mistakes_are_told(number: int, datasets: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        table(number, quickstart(seeds=(0,), patches=(16,)), datasets=datasets)


def test_nothing_of_ours_is_a_note_beside_the_paper_s() -> None:
    made = table(4, quickstart(seeds=(0,), patches=(16,)).with_published())
    assert len(made.rows) == 2
    assert any("no row of ours; results: no reconstruction" in note for note in made.notes)
