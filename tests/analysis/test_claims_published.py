"""What the registry finds on the paper's own points: numbers known from its figures and tables."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import analysis
from analysis import published
from analysis.claims import CLAIMS, Verdict, Word, judge

S, C, I, N = Word.SUPPORTED, Word.CONTRADICTED, Word.INCONCLUSIVE, Word.NO_DATA  # noqa: E741


@pytest.fixture(scope="module")
def found() -> dict[str, Verdict]:
    return {one.id: one for one in judge(analysis.load_published())}


# What each statement comes to, and the statistic where it is known independently.
EXPECTED = {
    "e-predicts-rfid": (S, 0.9159),  # the R² that Figure 2 prints, of the data set with the least
    "e-predicts-ris": (S, 0.9068),
    "e-predicts-rssim": (S, 0.9792),
    "e-predicts-rpsnr": (S, 0.9230),
    "e-straight-rfid": (C, None),
    "e-straight-ris": (C, None),
    "e-straight-rpsnr": (C, None),
    "e-alone-rfid": (I, None),
    "equal-e-spread-rfid": (C, 2.4101743 / 1.584158),
    "same-trend-rfid": (I, 1.0480056 / 1.3828901),
    "same-trend-rssim": (S, None),
    "precision-rfid": (I, np.log2(1.63 / 1.62)),
    "512p-needs-4x-rssim": (I, None),
    "512p-needs-4x-rpsnr": (I, None),
    "generation-no-line-gfid": (S, None),
    "generation-second-order-gfid": (S, None),
    "optimum-p16": (S, None),
    "optimum-p8": (S, None),
    "optimum-p32": (S, None),
    "cfg-evens-out-gfid": (S, None),
    "encoder-idle-rfid": (I, None),
    "encoder-idle-rpsnr": (S, None),
    "decoder-helps-rfid": (S, None),
    "decoder-helps-rpsnr": (S, None),
    "e-beats-decoder-rfid": (S, None),
    "loss-trade-off-rssim-rfid": (S, np.sqrt(0.91952)),  # Figure 10 prints R² 0.92
    "loss-trade-off-rpsnr-rfid": (I, np.sqrt(0.56309)),
    "gan-best-setting": (S, 0.603767 / 0.556973),
    "gan-helps-gfid": (N, None),
    "video-e-predicts-rfvd": (S, 0.9763),
    "video-below-16x-rfid": (S, None),
    "video-needs-4-8x-rfid": (I, None),
    "video-needs-4-8x-rssim": (C, None),
    "more-frames-better-rfvd": (I, None),
    "latent-worse-rfid": (S, None),
    "latent-comparable-rfid": (S, None),
    "masks-cross-rfid": (S, np.log2(27.236811 / 20.731384)),
    "masks-cross-rpsnr": (S, 20.515892 - 20.201548),
    "masks-cost-ris": (C, 106.03657 - 118.1749),
    "flops-256p-s-b": (S, 162.2 / 34.8),
    "flops-256p-s-l": (C, 162.2 / 113.4),
    "flops-512p-s-b": (S, 653.8 / 160.8),
    "flops-video-4x8": (S, 505.3 / 160.8),
    "quality-256p-s-b": (C, 4 / 6),
    "quote-gfid-stage-1": (C, 6.1342765),
    "quote-gis-stage-1": (S, 160.18491),
    "quote-gan-rfid": (C, 0.564227),
    "quote-decoder-b": (S, 1.584158),
    "quote-decoder-b-to-l-encoder-s": (S, 1.584158 - 1.3601496),
    "quote-decoder-b-to-l-encoder-b": (C, 1.5515805 - 1.5652217),
    "quote-decoder-b-to-l-encoder-l": (C, 1.5515805 - 1.5451955),
    "quote-e-8192-p16": (C, 0.876486),
    "quote-e-8192-p8": (C, 0.874121),
    "quote-table-2-rfid": (C, 1.584158),
    "quote-table-2-rpsnr": (S, 26.117716),
    "quote-video-rfid-2-kinetics700": (S, None),
    "quote-video-rfid-2-ucf101": (C, None),
    "again-s-b-16-latent": (C, 2.1489231 / 1.584158),
    "again-s-b-4x16-video": (C, 5.1816272 / 4.7664415),
    "quote-512p-axis": (C, 1024.0),
    "quote-masked-e": (C, 4096.0),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_verdicts(found: dict[str, Verdict], name: str) -> None:
    word, statistic = EXPECTED[name]
    assert found[name].verdict is word
    if statistic is not None:
        assert found[name].statistic == pytest.approx(statistic, abs=5e-5, rel=5e-5)


def test_the_spread_at_equal_e_is_told(found: dict[str, Verdict]) -> None:
    said = found["equal-e-spread-rfid"].note
    assert said == "at E = 4096 rFID on imagenet1k runs from 1.584 (p16) to 2.41 (p32)"
    assert "nested F(2, 4)" in found["e-alone-rfid"].note


def test_slopes_of_the_whole_range_and_within(found: dict[str, Verdict]) -> None:
    assert "slope -1.383 log2 over 2^8–2^16, -1.128 within 2^10–2^14" in (
        found["e-straight-rfid"].note
    )
    assert "slope +2.301 dB over 2^8–2^16, +2.018 within 2^10–2^14" in (
        found["e-straight-rpsnr"].note
    )


def test_the_larger_image_needs_about_three_times_the_e(found: dict[str, Verdict]) -> None:
    for metric, low, high in (("rssim", 2.5, 3.2), ("rpsnr", 2.9, 3.7)):
        one = found[f"512p-needs-4x-{metric}"]
        assert one.statistic is not None
        assert low < 2**one.statistic < high
        assert one.interval is not None
        assert one.interval[0] < one.statistic < one.interval[1]
        assert "at equal pixels per channel it gets by with" in one.note


def test_optima_lie_where_the_paper_says(found: dict[str, Verdict]) -> None:
    for patch, E in ((16, 4096), (8, 4096), (32, 2048)):
        one = found[f"optimum-p{patch}"]
        assert f"E = {E}" in one.note  # the best that was measured
        assert one.interval is not None
        assert one.statistic is not None
        assert abs(one.statistic - np.log2(E)) < 0.5
        # fits.csv has the vertices of parabolas that were fitted elsewhere.
        drawn = published.fits().filter(
            pl.col("figure") == "5", pl.col("panel") == "gFID", pl.col("cfg_scale") == 1.5,
            pl.col("subset") == f"p={patch}",
        )  # fmt: skip
        assert drawn["vertex_x"][0] == pytest.approx(one.statistic, abs=1e-6)


def test_families_are_figures_and_holm_is_no_smaller(found: dict[str, Verdict]) -> None:
    assert {one.family for one in found.values() if one.id.startswith("decoder-")} == {
        "Figure 7", "Figure 9",
    }  # fmt: skip
    for one in found.values():
        if one.p is not None and one.p_holm is not None:
            assert one.p <= one.p_holm <= 1
            assert (one.verdict is S) == (one.p_holm < 0.05)


def test_inconclusive_has_a_power_and_evidence_its_runs(found: dict[str, Verdict]) -> None:
    for one in found.values():
        if one.verdict is I:
            assert 0 <= (-1 if one.power is None else one.power) <= 1, one.id
        if one.kind == "effect" and one.verdict in (S, C):
            assert one.runs, one.id
            assert one.n >= one.tokenizers >= 1, one.id
            assert one.interval is not None, one.id
    assert found["encoder-idle-rfid"].n == 7
    assert "S-L/16 c16 256p" in found["decoder-helps-rfid"].runs
    assert (found["e-predicts-rfid"].n, found["e-predicts-rfid"].tokenizers) == (30, 15)


def test_other_points_give_other_verdicts() -> None:
    """p32 made as good as p16 at E = 4096, and the decoder L no better than B."""
    real = analysis.load_published()
    rfid, large = pl.col("metric") == "rFID", pl.col("decoder") == "L"
    p32 = rfid & (pl.col("p") == 32) & (pl.col("E") == 4096) & (pl.col("dataset") == "imagenet1k")
    value = pl.when(p32).then(1.6).when(rfid & large).then(1.9).otherwise(pl.col("value"))

    class Changed(type(real)):  # type: ignore[misc]
        def measured(self, figures: tuple[str, ...] = ()) -> pl.DataFrame:
            return real.measured(figures).with_columns(value=value)

    fields = ("points", "point_metrics", "read_curves", "source", "sources")
    changed = Changed(**{name: getattr(real, name) for name in fields})
    chosen = [one for one in CLAIMS if one.id in ("equal-e-spread-rfid", "decoder-helps-rfid",
                                                  "decoder-helps-rpsnr")]  # fmt: skip
    found = {one.id: one for one in judge(changed, chosen)}
    assert found["decoder-helps-rfid"].verdict is not S
    assert found["decoder-helps-rpsnr"].verdict is S
    assert found["equal-e-spread-rfid"].statistic == pytest.approx(1.8242621 / 1.584158)


def test_a_quote_holds_where_the_plotted_number_rounds_to_it() -> None:
    quote = next(one for one in CLAIMS if one.id == "quote-table-2-rpsnr")
    assert 26.0500001 in quote.region
    assert 26.149 in quote.region
    assert 26.16 not in quote.region
