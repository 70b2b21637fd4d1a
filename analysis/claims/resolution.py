"""Claims of §3.1 on resolution: 512p follows E too, and needs four times as much of it."""

from __future__ import annotations

import numpy as np
import polars as pl

from analysis.claims.association import explains
from analysis.claims.bottleneck import IMAGES
from analysis.claims.claim import IMAGE, NAMES, Claim
from analysis.claims.evidence import Data, NoData, Sample
from analysis.claims.linear import stratified
from analysis.claims.verdict import Finding, Region, decide


def needs_e(region: Region, sample: Sample) -> Finding:
    """Doublings of E by which the larger images' line lies to the right, slopes being equal."""
    small, large = _sides(sample)
    both = sample.where(pl.col("resolution").is_in([small, large]))
    x = both.doublings - both.doublings.mean()
    worse = (both.frame["resolution"].to_numpy() == large).astype(float)
    columns = {"worse": -worse, "E": x}
    fit = stratified(both.quality, columns, both.labels("stratum"), both.labels("tokenizer"),
                     sloped=("E",))  # fmt: skip
    ratio = fit.ratio("worse", "E")
    part = decide(ratio, region, truth=2.0)
    return Finding((part,), _factors(part.estimate, part.interval, large, small, both))


def large_follow_e(region: Region, sample: Sample) -> Finding:
    """R² over log2 E of the larger images alone, on every data set."""
    alone = sample.only(resolution=_sides(sample)[1])
    parts = [
        explains(each.doublings, each.quality, region, truth=0.9, label=name)
        for name, each in alone.each_stratum()
    ]
    return Finding(tuple(parts), rests_on=alone.frame)


def _sides(sample: Sample) -> tuple[int, int]:
    """The smallest resolution of which the double was measured too."""
    sides = sorted(sample.frame["resolution"].unique())
    found = [side for side in sides if 2 * side in sides]
    if not found:
        raise NoData(f"needs {sample.needs}")
    return found[0], 2 * found[0]


def _factors(
    doublings: float, interval: tuple[float, float] | None, large: int, small: int, both: Sample
) -> str:
    if interval is None:
        return f"{2.0**doublings:.2f} × E at {large}p, without a bound"
    low, high = (2.0**end for end in interval)
    four = "4 lies in" if low <= 4 <= high else "4 lies outside"
    rate = doublings - 2
    kind = "less" if rate < 0 else "more"
    sets = ", ".join(both.strata)
    return (f"{large}p needs {2.0**doublings:.2f} × the E of {small}p ({low:.2f} … {high:.2f}; "
            f"{four} it), {sets}; at equal pixels per channel it gets by with "
            f"{2.0 ** np.abs(rate):.2f} times {kind}")  # fmt: skip


def _data(family: str) -> Data:
    needs = "image reconstructions at a resolution and at its double"
    return Data(family, ("2", "4"), ("p", "c", "resolution"), needs, where=IMAGES)


CLAIMS = (
    *(
        Claim(
            id=f"512p-needs-4x-{NAMES[family].lower()}",
            statement=f"Equal {NAMES[family]} at 512p needs 4 times the E of 256p: pixels per "
            "channel is what counts.",
            paper="§3.1, Figure 4",
            family="Figure 4",
            unit="doublings of E at equal quality",
            region=Region(1.5, 2.5),
            margin="of the grid's doublings of E, 4 is the nearest (2.8 to 5.7)",
            data=(_data(family),),
            test=needs_e,
        )
        for family in ("ssim", "psnr")
    ),
    *(
        Claim(
            id=f"512p-e-predicts-{NAMES[family].lower()}",
            statement=f"At 512p log E predicts {NAMES[family]} as it does at 256p.",
            paper="§3.1, Figure 4",
            family="Figure 4",
            unit="R² of a line over log2 E",
            region=Region(low=0.5),
            margin="E explains more of the variance than all else together",
            data=(_data(family),),
            test=large_follow_e,
        )
        for family in IMAGE
    ),
)
