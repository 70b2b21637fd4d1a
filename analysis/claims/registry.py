"""Every claim, in the paper's order. Regions and margins are frozen: docs/claims.md lists them."""

from __future__ import annotations

from analysis.claims import (
    bottleneck,
    cost,
    gan,
    generation,
    losses,
    patches,
    precision,
    quoted,
    resolution,
    sizes,
    variants,
    video,
)
from analysis.claims.claim import Claim

CLAIMS: tuple[Claim, ...] = (
    *bottleneck.CLAIMS,
    *patches.CLAIMS,
    *precision.CLAIMS,
    *resolution.CLAIMS,
    *generation.CLAIMS,
    *sizes.CLAIMS,
    *losses.CLAIMS,
    *gan.CLAIMS,
    *video.CLAIMS,
    *variants.CLAIMS,
    *cost.CLAIMS,
    *quoted.CLAIMS,
)
