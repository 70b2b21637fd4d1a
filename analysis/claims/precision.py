"""The claim of §3.1 that the precision of training does not move the result (Table 2)."""

from __future__ import annotations

import math

import polars as pl

from analysis.claims.bottleneck import IMAGES
from analysis.claims.claim import Claim
from analysis.claims.contrast import better_by
from analysis.claims.evidence import Data, Sample
from analysis.claims.verdict import Finding, Part, Region
from analysis.published import table


def same_precision(region: Region, sample: Sample) -> Finding:
    """float32 against bfloat16, all else equal, on the first data set; seeds give the error."""
    first = sample.only(stratum=sample.strata[0])
    full, half = (pl.col("precision") == name for name in ("fp32", "bf16"))
    part = better_by(first, full, half, region, truth=0.0)
    return Finding((part,), f"on {first.strata[0]}")


def printed_precision(region: Region) -> Finding:
    """Table 2: one rounded number each."""
    values = dict(table(2).select("precision", "imagenet1k/rFID").rows())
    difference = math.log2(float(values["BFloat16"]) / float(values["Float32"]))
    return Finding(
        (Part(difference, power=0.0),),
        f"Table 2: rFID {values['BFloat16']} and {values['Float32']}, one run each, printed to "
        "three digits: no repeats, so no error to hold the difference against",
    )


_PRECISION = Data("frechet", (), ("precision",), "one tokenizer in bf16 and fp32, with seeds",
                  where=IMAGES, two="precision")  # fmt: skip

CLAIMS = (
    Claim(
        id="precision-rfid",
        statement="Training in float32 or in bfloat16 does not move rFID.",
        paper="§3.1, Table 2",
        family="Table 2",
        unit="log2 rFID, bfloat16 over float32",
        region=Region(-0.07, 0.07),
        margin="5%: about what repeats of one configuration differ by in the paper's figures (4%)",
        data=(_PRECISION,),
        test=same_precision,
        printed=printed_precision,
    ),
)  # fmt: skip
