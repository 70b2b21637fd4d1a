"""The same tokenizers on several data sets are no further evidence of what one tokenizer is worth.

Every data set here repeats the scores of the first, so that no p value may be smaller for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
import pytest
from claimsdb import Run, Score, database, grid, judged, values
from scipy import stats

from analysis.claims import Verdict, Word
from analysis.claims.evidence import Sample
from analysis.claims.gan import adversarial
from analysis.claims.verdict import Region
from analysis.metrics import metric
from analysis.stats.inputs import NoFit

DATASETS = ("imagenet1k-val", "coco2017-val", "kinetics700-val")


def on(datasets: Sequence[str], runs: Sequence[Run], scores: Callable[[Run], list[Score]],
       prefix: str) -> dict[str, Verdict]:  # fmt: skip
    """Verdicts where every data set has the scores that `scores` gives for one."""

    def repeated(run: Run) -> list[Score]:
        return [(kind, name, *rest) for kind, _, *rest in scores(run) for name in datasets]  # type: ignore[misc]

    return judged(database(runs, repeated), prefix)


def same_on_three(runs: Sequence[Run], scores: Callable[[Run], list[Score]], prefix: str) -> None:
    one, three = (on(names, runs, scores, prefix) for names in (DATASETS[:1], DATASETS))
    tested = [name for name, verdict in one.items() if verdict.p is not None]
    assert tested, {name: verdict.note for name, verdict in one.items()}
    for name in tested:
        assert three[name].datasets == tuple(sorted(DATASETS))
        for side in ("p", "p_against"):
            assert getattr(three[name], side) == pytest.approx(getattr(one[name], side)), name


def luck(seed: int, sd: float) -> Callable[[Run], float]:
    """Quality that a tokenizer has of its own, the same whenever it is asked."""

    def drawn(run: Run) -> float:
        return float(np.random.default_rng([seed, *repr(run).encode()]).normal(0, sd))

    return drawn


def test_guidance_is_judged_on_one_data_set() -> None:
    own = luck(1, 0.1)

    def scores(run: Run) -> list[Score]:
        return [("generate", "", cfg, None, values(8 + share * run.x + own(run), "g"))
                for cfg, share in ((1.5, 0.5), (3.0, 0.3))]  # fmt: skip

    same_on_three(grid((0,)), scores, "cfg-evens")
    note = on(DATASETS, grid((0,)), scores, "cfg-evens")["cfg-evens-out-gfid"].note
    assert "15 tokenizers, imagenet1k-val" in note


def test_latent_pairs_are_of_tokenizers() -> None:
    own = luck(2, 0.3)
    runs = [Run(16, c) for c in (4, 8, 16, 32, 64)]
    runs += [Run(16, 16, variant="latent", L=L) for L in (4, 8, 16, 32, 64)]
    worse = {"latent": 0.3, "simple": 0.0}

    def latent(run: Run) -> list[Score]:
        return scored(run.x - worse[run.variant] + own(run))

    same_on_three(runs, latent, "latent-worse")


def test_seeds_of_a_precision_are_tokenizers() -> None:
    own = luck(3, 0.05)
    runs = [Run(16, 16, seed, train={"train": {"precision": precision}})
            for precision in ("fp32", "bf16") for seed in range(4)]  # fmt: skip
    same_on_three(runs, lambda run: scored(8 + own(run)), "precision")


def test_fine_tunings_of_one_tokenizer_are_runs() -> None:
    noise = np.random.default_rng(4)
    runs = noise.normal([0.4] * 4 + [0.0] * 3, 0.3)
    level = {name: index for index, name in enumerate(DATASETS)}
    rows = [("t", name, 2, "L2 + GAN" if index < 4 else "L2", run + level[name])
            for name in DATASETS for index, run in enumerate(runs)]  # fmt: skip
    frame = pl.DataFrame(rows, ["tokenizer", "stratum", "stage", "loss", "quality"], orient="row")
    sample = Sample("db", metric("rPSNR"), frame, (), "", strata=DATASETS)
    found = adversarial(Region(low=0.0), sample, sign=1)
    assert found.p == pytest.approx(
        stats.ttest_ind(runs[:4], runs[4:], alternative="greater").pvalue
    )
    with pytest.raises(NoFit, match="one run with"):
        adversarial(Region(low=0.0), sample.where(pl.col("quality").is_in(
            [runs[0], runs[-1]]
        )), sign=1)  # fmt: skip


@pytest.mark.parametrize("lengths", [(8, 64), (8, 16, 32, 64)])
def test_masked_lengths_share_their_seeds(lengths: tuple[int, ...]) -> None:
    """p is that of the t test of the seeds, however many lengths were scored."""
    own = luck(5, 0.2)
    runs = [Run(8, 16, seed, variant=name) for name in ("mask_simple", "mask_latent")
            for seed in range(3)]  # fmt: skip

    def at(run: Run, length: int) -> float:
        side = 1 if run.variant == "mask_simple" else -1
        return 10 + 0.2 * side * (np.log2(length) - 4.5) + own(run)

    def scores(run: Run) -> list[Score]:
        return [("reconstruct", "imagenet1k-val", None, length, values(at(run, length)))
                for length in lengths]  # fmt: skip

    low, high = ([[at(run, end) for run in side] for side in (runs[:3], runs[3:])]
                 for end in (8, 64))  # fmt: skip
    ends = [stats.ttest_ind(low[1], low[0], alternative="greater").pvalue,
            stats.ttest_ind(high[0], high[1], alternative="greater").pvalue]  # fmt: skip
    found = judged(database(runs, scores), "masks-cross-rpsnr")["masks-cross-rpsnr"]
    assert found.p == pytest.approx(max(ends))


def test_what_masking_costs_is_held_against_seeds() -> None:
    """One tokenizer of each variant: p is that of the seeds' pooled spread."""
    own = luck(7, 0.2)
    names = ("simple", "mask_simple", "mask_latent")
    runs = [Run(8, 16, seed, variant=name) for name in names for seed in range(3)]

    def at(run: Run, length: int) -> float:
        return float(np.log2(length)) - 0.3 * (run.variant != "simple") + own(run)

    def scores(run: Run) -> list[Score]:
        lengths = (16, 64) if run.variant != "simple" else (64,)
        return [("reconstruct", "imagenet1k-val", None, length, values(at(run, length)))
                for length in lengths]  # fmt: skip

    groups = [np.array([at(run, 64) for run in runs if run.variant == name]) for name in names]
    error = np.sqrt(np.mean([group.var(ddof=1) for group in groups]) * 2 / 3)
    ps = [stats.t.sf((groups[0].mean() - masked.mean()) / error, 6) for masked in groups[1:]]
    found = judged(database(runs, scores), "masks-cost-rpsnr")["masks-cost-rpsnr"]
    assert found.p == pytest.approx(max(ps))
    single = [run for run in runs if run.seed == 0]
    told = judged(database(single, scores), "masks-cost-rpsnr")["masks-cost-rpsnr"].note
    assert "seeds would tell" in told


def test_scores_of_one_seed_are_no_seeds() -> None:
    """Two evaluations a tokenizer: alone they give no error, beside seeds no more of it."""
    own = luck(6, 0.05)
    runs = [Run(16, 16, seed, train={"train": {"precision": precision}})
            for precision in ("fp32", "bf16") for seed in range(3)]  # fmt: skip

    def twice(run: Run) -> list[Score]:
        return [*scored(8.02 + own(run)), *scored(7.98 + own(run))]

    name = "precision-rfid"
    single = on(DATASETS[:1], [run for run in runs if run.seed == 0], twice, name)[name]
    assert single.verdict is Word.INCONCLUSIVE
    assert "seeds would tell" in single.note
    once = on(DATASETS[:1], runs, lambda run: scored(8 + own(run)), name)[name]
    both = on(DATASETS[:1], runs, twice, name)[name]
    assert both.p is not None
    assert (both.statistic, both.p) == pytest.approx((once.statistic, once.p))


def scored(quality: float) -> list[Score]:
    return [("reconstruct", "", None, None, values(quality))]
