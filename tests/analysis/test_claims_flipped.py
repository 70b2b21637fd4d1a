"""Every claim on databases in which E harms: nothing may then be said in doublings of E."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from claimsdb import TOWERS, Run, Score, database, grid, image, judged, values

from analysis.claims import CLAIMS, Verdict, Word
from analysis.claims.linear import Ratio
from analysis.claims.verdict import Effect, Region, decide

PARTS = (*grid(), *grid(resolution=256),
         *(Run(16, 16, seed, one, other) for one in TOWERS for other in TOWERS for seed in range(3)
           if (one, other) != ("S", "B")),
         *(Run(p, c, seed, resolution=128) for p in (8, 16) for c in (4, 16) for seed in (0, 1)),
         *(Run(p, 16, seed, frames=16, q=q) for p in (8, 16) for q in (1, 2, 4) for seed in (0, 1)),
         *(Run(16, 16, seed, variant="latent", L=L) for L in (4, 8, 16, 32) for seed in (0, 1)),
         *(Run(16, 16, seed, train={"loss": {"perceptual_weight": weight}})
           for weight in (0.0, 0.5) for seed in (0, 1)))  # fmt: skip


@cache
def harmful(other: float) -> dict[str, Verdict]:
    """Quality falls with E; all else that distinguishes runs moves it by `other`, either way."""
    noise = np.random.default_rng(1)

    def quality(run: Run) -> float:
        rest = ["SBL".index(run.encoder), "SBL".index(run.decoder), 2 * (run.frames > 1),
                 run.variant == "latent", math.log2(run.q), run.resolution == 128]  # fmt: skip
        return float(20 - run.x + other * sum(rest) + noise.normal(0, 0.05))

    def scores(run: Run) -> list[Score]:
        hollow = 0.1 * (18 - run.x) ** 2 + other + noise.normal(0, 0.05)
        made = values(hollow, "g")
        generations = [("generate", "imagenet1k-val", cfg, None, made) for cfg in (1.5, 3.0)]
        return [image(quality(run)), *generations]

    return judged(database(PARTS, scores))


@pytest.mark.parametrize("other", [-3.0, 0.0, 3.0])
def test_what_is_supported_lies_where_it_was_claimed(other: float) -> None:
    found = harmful(other)
    assert len(found) == len(CLAIMS)
    supported = {name: one for name, one in found.items() if one.verdict is Word.SUPPORTED}
    assert supported  # decoders, losses and the like are measured in their own unit
    for name, one in supported.items():
        assert one.statistic is not None, name
        assert one.statistic in one.threshold, name


@pytest.mark.parametrize("other", [-3.0, 0.0, 3.0])
def test_nothing_is_supported_in_doublings_of_an_e_that_harms(other: float) -> None:
    words = {name: one.verdict for name, one in harmful(other).items()
             if "doublings of E" in one.unit or name.startswith("optimum")}  # fmt: skip
    assert Word.SUPPORTED not in words.values(), words
    assert list(words.values()).count(Word.NO_DATA) < len(words) / 3, words


@pytest.mark.parametrize("region", [Region(low=0.0), Region(high=1.0), Region(-0.25, 0.25)])
@pytest.mark.parametrize("above", [-3.0, 0.0, 3.0])
def test_a_ratio_over_what_is_negative_supports_nothing(region: Region, above: float) -> None:
    part = decide(Ratio(Effect(above, 0.1, 20.0), Effect(-1.0, 0.1, 20.0)), region, truth=0.0)
    assert part.p is not None
    assert part.p > 0.95
