"""Claims of §3.3 on the encoder's and the decoder's size."""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from analysis.claims.bottleneck import IMAGES, overall_slope, sweep
from analysis.claims.claim import HARDLY, IMAGE, NAMES, Claim
from analysis.claims.evidence import Data, Sample
from analysis.claims.linear import Fit, Ratio, stratified
from analysis.claims.verdict import Effect, Finding, Part, Region, decide

# log2 of the parameters that Table 1 counts: S to L, B to L.
_S_TO_L = math.log2(383.7 / 43.3)
_B_TO_L = math.log2(383.7 / 85.8)
_GENERATED = {"frechet": "gFID", "is": "gIS"}


def encoder_idle(region: Region, sizes: Sample, grid: Sample) -> Finding:
    """Encoder S to L at equal decoder, in doublings of E."""
    return _worth(region, sizes, grid, "encoder", _S_TO_L, truth=0.0)


def decoder_helps(region: Region, sizes: Sample, grid: Sample) -> Finding:
    """Decoder B to L at equal encoder, in doublings of E; power at what the text says (1.6 to 1.3
    where doubling E gives 0.8)."""
    return _worth(region, sizes, grid, "decoder", _B_TO_L, truth=math.log2(1.6 / 1.3))


def encoder_harms(region: Region, sample: Sample) -> Finding:
    """Generation quality lost by encoder S to L at equal decoder, at every CFG scale."""
    return _generated(region, sample, "encoder", -1)


def decoder_idle(region: Region, sample: Sample) -> Finding:
    """Generation quality by decoder S to L at equal encoder, at every CFG scale."""
    return _generated(region, sample, "decoder", 1)


def _worth(
    region: Region, sizes: Sample, grid: Sample, tower: str, doublings: float, truth: float
) -> Finding:
    """The effect of a tower over the slope that E has on the same data sets."""
    shared = [name for name in sizes.strata if name in grid.strata]
    slope = overall_slope(grid.where(pl.col("stratum").is_in(shared or list(grid.strata))))
    effect = _partial(sizes).effect(tower)
    whole = Effect(effect.estimate * doublings, effect.standard_error * doublings, effect.dof)
    low, high = whole.interval()
    unit = f" {sizes.metric.unit}" if sizes.metric.unit else ""
    sign = sizes.metric.better
    ends = sorted((sign * low, sign * high))
    note = (f"{tower} {'S' if doublings == _S_TO_L else 'B'} to L: {sign * whole.estimate:+.3g}"
            f"{unit} ({ends[0]:+.3g} … {ends[1]:+.3g}) {sizes.metric.name}")  # fmt: skip
    return Finding((decide(Ratio(whole, slope), region, truth=truth),), note)


def _generated(region: Region, sample: Sample, tower: str, sign: int) -> Finding:
    """Per CFG scale, as a share: log2 of a distance, or relative to the mean of a score."""
    parts: list[Part] = []
    for name, each in sample.each_stratum():
        unit = 1.0 if each.metric.transform == "log2" else float(each.quality.mean()) * math.log(2)
        effect = _partial(each).effect(tower)
        factor = sign * _S_TO_L / unit
        whole = Effect(effect.estimate * factor, effect.standard_error * abs(factor), effect.dof)
        truth = 0.0 if math.isfinite(region.high) else math.log2(1.1)
        parts.append(decide(whole, region, truth=truth, label=name))
    return Finding(tuple(parts), "; ".join(f"{part.label}: {part.estimate:+.3f}"
                                           for part in parts))  # fmt: skip


def _partial(sample: Sample) -> Fit:
    """Both towers at once: in the paper's seven pairs either moves along with the other."""
    columns = {tower: sample.log2(f"{tower}_params_m") for tower in ("encoder", "decoder")}
    centred = {name: np.asarray(column - column.mean()) for name, column in columns.items()}
    return stratified(sample.quality, centred, sample.labels("stratum"),
                      sample.labels("tokenizer"))  # fmt: skip


def _data(family: str, figure: str, tower: str, kind: str = "reconstruct") -> Data:
    what = {"reconstruct": "reconstructions", "generate": "generations"}[kind]
    where = IMAGES if kind == "reconstruct" else None
    needs = f"{what} with several encoder and decoder sizes"
    vary = ("encoder", "decoder")
    return Data(family, (figure,), vary, needs, kind=kind, where=where, two=tower)


CLAIMS = (
    *(
        Claim(
            id=f"encoder-idle-{NAMES[family].lower()}",
            statement=f"Encoder size does not matter for {NAMES[family]}, the decoder being equal.",
            paper="§3.3, Figure 6",
            family="Figure 6",
            unit="encoder S to L, doublings of E",
            region=HARDLY,
            margin="a quarter of a doubling of E for nine times the parameters",
            data=(_data(family, "6", "encoder"), sweep(family)),
            test=encoder_idle,
        )
        for family in IMAGE
    ),
    *(
        Claim(
            id=f"encoder-harms-{_GENERATED[family].lower()}",
            statement=f"A larger encoder makes {_GENERATED[family]} worse, weakly, at every CFG "
            "scale.",
            paper="§3.3, Figure 8",
            family="Figure 8",
            unit="quality lost by encoder S to L, log2",
            region=Region(low=0.0),
            margin="that it harms is the claim; how much is not",
            data=(_data(family, "8", "encoder", "generate"),),
            test=encoder_harms,
        )
        for family in _GENERATED
    ),
    *(
        Claim(
            id=f"decoder-helps-{NAMES[family].lower()}",
            statement=f"A larger decoder improves {NAMES[family]}, the encoder being equal.",
            paper="§3.3, Figure 7",
            family="Figure 7",
            unit="decoder B to L, doublings of E",
            region=Region(low=0.0),
            margin="that it helps is the claim; how much the next claim asks",
            data=(_data(family, "7", "decoder"), sweep(family)),
            test=decoder_helps,
        )
        for family in IMAGE
    ),
    *(
        Claim(
            id=f"e-beats-decoder-{NAMES[family].lower()}",
            statement=f"Doubling E improves {NAMES[family]} by more than a decoder L instead of B.",
            paper="§3.3, Figure 7",
            family="Figure 7",
            unit="decoder B to L, doublings of E",
            region=Region(high=1.0),
            margin="one doubling is what it is compared with",
            data=(_data(family, "7", "decoder"), sweep(family)),
            test=decoder_helps,
        )
        for family in IMAGE
    ),
    *(
        Claim(
            id=f"decoder-idle-{_GENERATED[family].lower()}",
            statement=f"Decoder size does not matter for {_GENERATED[family]}, the encoder being "
            "equal.",
            paper="§3.3, Figure 9",
            family="Figure 9",
            unit="quality by decoder S to L, log2",
            region=Region(-math.log2(1.1), math.log2(1.1)),
            margin="10%: about what the paper's two statements of one gFID differ by (5.5 in the "
            "text, 6.13 in Figure 5)",
            data=(_data(family, "9", "decoder", "generate"),),
            test=decoder_idle,
        )
        for family in _GENERATED
    ),
)
