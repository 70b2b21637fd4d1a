"""Codecs and others' tokenizers in the analysis: once each, by their own size, beside ours."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from ledgers import ledger
from reading import read
from synthetic import FRECHET, PROTOCOLS, quickstart

from analysis.external import external_source
from analysis.floor import against_codecs, differences, uncompared
from analysis.frames import JOBS, POINT_METRICS, Results
from analysis.page import write_page
from analysis.report import overview
from analysis.summary import codec_table, signed
from analysis.tables import table
from vitok_core.baselines.table import KNOWN

HELDOUT = "photos-heldout"
CODEC = pl.col("codec").is_not_null()


def with_baselines(made: Results, side: int = 64, dataset: str = HELDOUT) -> Results:
    """JPEG at the E of every point, 1 dB above p8's and 1 dB below p16's trained mean; SD-VAE."""
    jobs: dict[str, dict[str, Any]] = {}
    rows = []
    trained = made.point_metrics.filter(
        kind="reconstruct", metric="rPSNR", dataset=dataset
    ).join(made.points, on="point_id")  # fmt: skip
    of_p8 = dict(trained.filter(p=8).group_by("E").agg(pl.col("value").mean()).rows())
    of_p16 = dict(trained.filter(p=16).group_by("E").agg(pl.col("value").mean()).rows())
    for point, E in made.points.select("point_id", "E").rows():
        for name, codec in (
            (f"jpeg-{E}", {"name": "jpeg", "kind": "jpeg", "values": E}),
            ("sd-vae", {"name": "sd-vae", "kind": "AutoencoderKL"}),
        ):
            jobs[name] = {"codec": codec, "dataset": dataset, "resolution": side}
            value = of_p8[E] + 1 if E in of_p8 else of_p16[E] - 1 if E in of_p16 else 0.0
            for metric, score in (("rPSNR", value), (FRECHET, 5.0), ("bits_per_pixel", 1.0)):
                protocol = (
                    trained["protocol"][0] if metric == "rPSNR" else PROTOCOLS.get(metric, "")
                )
                rows.append((point, name, "baseline", dataset, metric, protocol, score))
    columns = ["point_id", "job_id", "kind", "dataset", "metric", "protocol", "value"]
    scored = pl.DataFrame(rows, schema=columns, orient="row")
    scored = scored.with_columns(
        pl.lit(None, dtype=kind).alias(name)
        for name, kind in POINT_METRICS.items()
        if name not in columns
    ).select(pl.col(name).cast(kind) for name, kind in POINT_METRICS.items())
    known = [(name, "baseline", json.dumps(config)) for name, config in jobs.items()]
    return replace(
        made,
        point_metrics=pl.concat([made.point_metrics, scored]),
        jobs=pl.concat([made.jobs, pl.DataFrame(known, schema=dict(JOBS), orient="row")]),
    )


@pytest.fixture(scope="module")
def made() -> Results:
    return quickstart(seeds=(0, 1), datasets=(HELDOUT,))


def test_a_codec_stands_once_by_its_own_size(made: Results) -> None:
    rows = with_baselines(made).measurements.filter(CODEC, metric="rPSNR").sort("E")
    sizes = sorted(made.points["E"].unique())
    jpeg, vae = (rows.filter(pl.col("codec") == name) for name in ("JPEG 8 bits/value", "SD-VAE"))
    assert jpeg["E"].to_list() == sizes
    assert vae.height == 1
    assert vae["E"].item() == 8 * 8 * 4
    assert vae["params_m"].item() == KNOWN["sd-vae"].parameters / 1e6
    assert vae["gflops"].item() == pytest.approx(KNOWN["sd-vae"].macs_at(64) / 1e9)
    assert vae["pixels_per_channel"].item() == 64 * 64 * 3 / 256
    for name in ("p", "c", "L", "seed", "encoder", "variant", "stage", "loss"):
        assert rows[name].is_null().all(), name
    assert set(rows["series"]) == {"baseline"}


def test_figures_and_fits_do_not_see_them(made: Results) -> None:
    alone, beside = overview(made), overview(with_baselines(made))
    assert [fit.record() for fit in beside.fits] == [fit.record() for fit in alone.fits]
    assert beside.floor == alone.floor
    assert beside.differences.equals(alone.differences)
    assert alone.codecs == []


def test_the_report_says_where_a_codec_of_equal_e_is_not_beaten(made: Results) -> None:
    found = {(one.panel, one.codec): one for one in overview(with_baselines(made)).codecs}
    psnr = found["rPSNR", "JPEG 8 bits/value"]
    # JPEG is above every p8 point of its E and below those p16 points that share no E with p8.
    e_of_p8 = set(made.points.filter(p=8)["E"])
    expected = {f"p8 c{c}" for c in (4, 8, 16, 32, 64)}
    assert expected <= set(psnr.unbeaten)
    above = made.points.filter(p=16, seed=0).filter(~pl.col("E").is_in(list(e_of_p8)))
    assert above.height > 0
    assert not {f"p16 c{c}" for c in above["c"]} & set(psnr.unbeaten)
    assert psnr.n == 15
    assert psnr.better + len(psnr.unbeaten) == 15
    assert psnr.low <= -1 + 1e-9
    assert ("bits_per_pixel", "JPEG 8 bits/value") not in found
    assert found["rPSNR", "SD-VAE"].n == made.points.filter(pl.col("E") == 256, seed=0).height
    text = codec_table(list(found.values()), [])
    assert "not beaten at" in text
    shown = ", ".join(psnr.unbeaten)
    if psnr.better < len(psnr.unbeaten):
        shown = f"all but {', '.join(psnr.beaten)}"
    assert shown in text
    none = dataclasses.replace(psnr, better=0, beaten=(), unbeaten=psnr.beaten + psnr.unbeaten)
    assert codec_table([none], []).endswith("any")
    assert overview(with_baselines(made)).record()["codecs"][0]["unbeaten"] is not None


def test_the_page_has_the_tables_of_floor_and_codecs(made: Results, tmp_path: Path) -> None:
    name = "<b>&mine"
    both = with_baselines(quickstart(seeds=(0, 1), datasets=(name,)), dataset=name)
    page = read(write_page(both, tmp_path).path)
    said = page.said("fits")
    seen = overview(both)
    assert "Trained minus PCA floor, by configuration" in said
    assert "Trained minus codecs at equal E, by configuration" in said
    for one in (*seen.floor, *seen.codecs):
        assert f"{one.better} of {one.n} {signed(one.low)} {signed(one.high)}" in said
    assert name in said, "text, not markup"
    alone = read(write_page(made, tmp_path / "alone").path).said("fits")
    assert "codecs" not in alone


def test_codecs_without_a_point_of_their_e_are_named(made: Results, tmp_path: Path) -> None:
    rivals = [
        {"name": "bicubic-8", "kind": "bicubic", "factor": 8},
        {"name": "jpeg", "kind": "jpeg", "bits_per_pixel": 0.5},
    ]
    both = with_baselines(made)
    (job,) = both.jobs.filter(job_id="sd-vae").to_dicts()
    scored = both.point_metrics.filter(job_id="sd-vae")
    for codec in rivals:
        config = json.dumps({**json.loads(job["config"]), "codec": codec})
        jobs = both.jobs.vstack(pl.DataFrame([{**job, "job_id": codec["name"], "config": config}],
                                             schema=both.jobs.schema))  # fmt: skip
        rows = scored.with_columns(job_id=pl.lit(codec["name"]))
        both = replace(both, jobs=jobs, point_metrics=both.point_metrics.vstack(rows))
    seen = overview(both)
    assert seen.uncompared == [("JPEG 0.5 bits/pixel", None), ("bicubic ×8", 192)]
    assert seen.record()["codecs_not_compared"][1] == {"codec": "bicubic ×8", "E": 192}
    line = "not compared, no point of its E: JPEG 0.5 bits/pixel (E unknown), bicubic ×8 (E 192)"
    assert codec_table(seen.codecs, seen.uncompared).endswith(f"\n{line}")
    assert codec_table([], seen.uncompared) == line
    assert f"Codecs {line}." in read(write_page(both, tmp_path).path).said("fits")
    titles = both.measurements.filter(codec="bicubic ×8")["config_id"].unique().to_list()
    assert titles == ["bicubic ×8, E 192, 64p"]
    assert uncompared(with_baselines(made).measurements) == []


def test_imported_runs_are_not_compared(made: Results) -> None:
    ours = with_baselines(made).measurements
    theirs = ours.filter(series="trained").with_columns(
        source=pl.lit(external_source("theirs")),
        config_id=pl.concat_str(pl.lit("theirs/"), "config_id"),
        value=pl.col("value") + 100,
    )
    found = against_codecs(ours)
    assert found
    assert against_codecs(pl.concat([ours, theirs])) == found


def test_other_protocols_are_not_compared(made: Results) -> None:
    both = with_baselines(made)
    other = pl.when(pl.col("kind") == "baseline").then(pl.lit("other")).otherwise("protocol")
    both = replace(both, point_metrics=both.point_metrics.with_columns(protocol=other))
    assert against_codecs(both.measurements) == []


def test_table_3_has_a_row_for_each_codec() -> None:
    made = quickstart(
        seeds=(0,), datasets=("imagenet1k-val",), patches=(16,), channels=(16,), resolution=256
    )
    shown = table(3, with_baselines(made, 256, "imagenet1k-val").with_published())
    ours = {row.cells[0].text: row for row in shown.rows if row.source == "db"}
    assert list(ours) == ["w128b2h4-w128b4h4/16 c16", "JPEG 8 bits/value, E 4096", "SD-VAE"]
    at = [column.key for column in shown.columns]
    cells = dict(zip(at, ours["SD-VAE"].cells, strict=True))
    assert cells["params_m"].value == KNOWN["sd-vae"].parameters / 1e6
    assert cells["gflops"].value == pytest.approx(KNOWN["sd-vae"].macs[0] / 1e9)
    assert cells["imagenet1k/rPSNR"].value is not None
    assert (
        dict(zip(at, ours["JPEG 8 bits/value, E 4096"].cells, strict=True))["gflops"].value is None
    )
    printed = [row.cells[0].text for row in shown.rows if row.source == "published"]
    assert printed[0] == "SD-VAE"


def test_a_floor_has_the_e_of_its_patches_and_a_shorter_code_none() -> None:
    made = quickstart(seeds=(0,), datasets=(HELDOUT,), patches=(8,), channels=(16,))
    latent = replace(made, points=made.points.with_columns(L=pl.lit(16), E=pl.lit(256)))
    rows = latent.measurements.filter(metric="rPSNR")
    assert dict(rows.select("series", "E").rows()) == {"trained": 256, "floor": 64 * 16}
    assert differences(rows).is_empty()


def test_the_page_shows_their_pictures_and_keeps_them_out_of_its_charts(tmp_path: Path) -> None:
    made = quickstart(seeds=(0,), datasets=(HELDOUT,), patches=(16,))
    alone = write_page(made, tmp_path / "a", ledger(made, tmp_path / "a")).path.read_text()
    beside = with_baselines(made)
    text = write_page(beside, tmp_path / "b", ledger(beside, tmp_path / "b", sheets=1)).path
    shown = text.read_text()
    assert "<b>JPEG 8 bits/value, E 64, 64p</b> photos-heldout" in shown
    assert "<b>SD-VAE, 64p</b> photos-heldout" in shown

    def places(page: str) -> int:
        return len(re.findall(r'"series":\[(.*?)\]', page)[0].split(","))

    assert places(shown) == places(alone) == 2 * 5
