"""Claims judged on databases whose truth is known, and on data in which there is none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from claimsdb import Run, Score, database, grid, image, judged, values

from analysis.claims import Word
from analysis.frames import Results

S, C, I, N = Word.SUPPORTED, Word.CONTRADICTED, Word.INCONCLUSIVE, Word.NO_DATA  # noqa: E741
FIGURE_2 = ("e-predicts", "e-straight", "e-alone", "equal-e-spread")


def noisy(seed: int, sd: float = 0.02) -> np.random.Generator:
    return np.random.default_rng([seed, round(1e6 * sd)])


def images(
    truth: str, seed: int = 0, sd: float = 0.02, seeds: Sequence[int] = (0, 1, 2)
) -> Results:
    """The grid, quality in doublings of E."""
    noise = noisy(seed, sd)
    step = {8: 1, 16: 0, 32: -1}

    def quality(run: Run) -> float:
        by = {
            "E": run.x,
            "E and L": run.x + 0.8 * step[run.p],
            "flipped": 14 - run.x,
            "bent": run.x + 0.08 * (run.x - 8) ** 2,
            "nothing": 8.0,
        }[truth]
        return float(by + noise.normal(0, sd))

    return database(grid(seeds), lambda run: [image(quality(run))])


def shuffled(seed: int) -> Results:
    """The grid's qualities handed out at random: E says nothing."""
    runs = grid((0,))
    noise = noisy(seed)
    dealt = iter(noise.permutation([run.x for run in runs]) + noise.normal(0, 0.02, len(runs)))
    return database(runs, lambda run: [image(float(next(dealt)))])


def words(made: Results, *prefixes: str) -> dict[str, Word]:
    return {name: one.verdict for name, one in judged(made, *prefixes).items()}


def test_e_alone_where_it_is_so() -> None:
    found = words(images("E"), *FIGURE_2)
    assert set(found.values()) == {S}, found


@pytest.mark.parametrize("seed", range(8))
def test_shuffled_e_supports_nothing(seed: int) -> None:
    assert S not in words(shuffled(seed), *FIGURE_2).values()


@pytest.mark.parametrize("seed", range(4))
def test_an_effect_of_patch_at_equal_e_is_never_called_none(seed: int) -> None:
    found = words(images("E and L", seed), "e-alone", "equal-e-spread")
    assert set(found.values()) == {C}, found
    noisier = words(images("E and L", seed, sd=0.4), "e-alone", "equal-e-spread")
    assert S not in noisier.values()


@pytest.mark.parametrize("seed", range(4))
def test_a_flipped_sign_supports_nothing(seed: int) -> None:
    found = words(images("flipped", seed), *FIGURE_2)
    assert S not in [word for name, word in found.items() if "spread" not in name]
    assert {word for name, word in found.items() if "predicts" in name} == {C}


def test_a_bend_is_no_line() -> None:
    found = words(images("bent"), "e-predicts", "e-straight")
    assert {word for name, word in found.items() if "straight" in name} == {C}
    assert {word for name, word in found.items() if "predicts" in name} == {S}


def test_noise_makes_sameness_inconclusive_and_says_how_blind_it_is() -> None:
    one = judged(images("E", sd=1.0), "e-alone-rpsnr")["e-alone-rpsnr"]
    assert one.verdict is I
    assert one.power is not None
    assert one.power < 0.5


def test_few_points_are_inconclusive() -> None:
    noise = noisy(0)
    for count in (1, 2, 3):
        runs = [Run(16, c) for c in (4, 8, 16)][:count]
        made = database(runs, lambda run: [image(run.x + noise.normal(0, 0.3))])
        one = judged(made, "e-predicts-rpsnr")["e-predicts-rpsnr"]
        assert one.verdict is I
        assert one.n == count
        assert one.power is not None
        assert one.power < 0.3


def test_one_run_each_cannot_be_read() -> None:
    one = judged(images("E", seeds=(0,)), "equal-e-spread-rfid")["equal-e-spread-rfid"]
    assert one.verdict is I
    assert "seeds would tell" in one.note


# --- sizes ---------------------------------------------------------------------------------------
PAIRS = ("S-S", "B-S", "S-B", "B-B", "S-L", "B-L", "L-L")
LAYERS = {"S": 0, "B": 1, "L": 3.2}  # about log2 of their parameters


def sized(encoder: float, decoder: float, sd: float = 0.01) -> Results:
    """Two sweeps at once: the grid, and seven sizes at p16 c16."""
    noise = noisy(3, sd)
    runs = {(run.p, run.c, run.encoder, run.decoder, run.seed): run for run in [
        *grid((0,)), *(Run(16, 16, 0, pair[0], pair[2]) for pair in PAIRS)
    ]}  # fmt: skip

    def scores(run: Run) -> list[Score]:
        towers = encoder * LAYERS[run.encoder] + decoder * LAYERS[run.decoder]
        reconstructed = image(run.x + towers + noise.normal(0, sd))
        made = [("generate", "imagenet1k-val", cfg, None,
                 values(8 + towers + noise.normal(0, sd), "g")) for cfg in (1.5, 3.0)]  # fmt: skip
        return [reconstructed, *made]

    return database(runs.values(), scores)


@pytest.mark.parametrize(
    ("encoder", "decoder", "expected"),
    [
        (0.0, 0.15, {"encoder-idle": S, "decoder-helps": S, "e-beats-decoder": S}),
        (0.3, -0.1, {"encoder-idle": C, "decoder-helps": C, "e-beats-decoder": S}),
        (0.0, 1.0, {"encoder-idle": S, "decoder-helps": S, "e-beats-decoder": C}),
        (-0.3, 0.0, {"encoder-idle": C, "encoder-harms": S, "decoder-idle": S}),
        (0.3, 0.8, {"encoder-harms": C, "decoder-idle": C}),
    ],
)
def test_sizes(encoder: float, decoder: float, expected: dict[str, Word]) -> None:
    found = words(sized(encoder, decoder), *expected)
    for prefix, word in expected.items():
        assert {one for name, one in found.items() if name.startswith(prefix)} == {word}, found


def test_one_size_says_nothing_of_sizes() -> None:
    found = judged(images("E"), "encoder-", "decoder-", "e-beats-decoder")
    assert {one.verdict for one in found.values()} == {N}
    assert "several encoder and decoder sizes" in found["encoder-idle-rfid"].note


# --- resolution, video ---------------------------------------------------------------------------
@pytest.mark.parametrize(("times", "word"), [(2.0, S), (0.5, C), (3.5, C)])
def test_larger_images(times: float, word: Word) -> None:
    """`times`: doublings of E that the larger image needs more."""
    noise = noisy(5)
    runs = [*grid((0,)), *(Run(p, 16, 0, resolution=128) for p in (8, 16, 32))]

    def scores(run: Run) -> list[Score]:
        later = times if run.resolution == 128 else 0
        return [image(run.x - later + noise.normal(0, 0.02))]

    found = judged(database(runs, scores), "512p-needs-4x")
    assert {one.verdict for one in found.values()} == {word}
    for one in found.values():
        assert one.statistic == pytest.approx(times, abs=0.1)


@pytest.mark.parametrize(
    ("later", "stride", "expected"),
    [
        (2.5, 0.0, {"video-needs-4-8x": S, "video-below-16x": S, "stride-for-patch": S}),
        (5.0, 0.5, {"video-needs-4-8x": C, "video-below-16x": C, "stride-for-patch": C}),
    ],
)
def test_video(later: float, stride: float, expected: dict[str, Word]) -> None:
    noise = noisy(6)
    runs = [*grid((0,)), *(Run(p, 16, 0, frames=16, q=q) for p in (8, 16, 32)
                           for q in (1, 2, 4, 8))]  # fmt: skip

    def scores(run: Run) -> list[Score]:
        if run.frames == 1:
            return [image(run.x + noise.normal(0, 0.02))]
        quality = run.x - later + stride * np.log2(run.q) / 2 + noise.normal(0, 0.02)
        return [image(quality, name) for name in ("ucf101", "kinetics700-val")]

    found = words(database(runs, scores), *expected)
    for prefix, word in expected.items():
        several = {one for name, one in found.items() if name.startswith(prefix)}
        assert several - {N} == {word}, (prefix, found)  # rFVD was not scored


# --- generation ----------------------------------------------------------------------------------
def generated(optimum: dict[int, float], spread: float) -> Results:
    """At 256p; `spread` is what the highest CFG scale leaves of the differences."""
    noise = noisy(7)

    def scores(run: Run) -> list[Score]:
        quality = -0.3 * (run.x - optimum[run.p]) ** 2
        return [
            ("generate", "imagenet1k-val", cfg, None,
             values(8 + part * quality + noise.normal(0, 0.01), "g"))
            for cfg, part in ((1.5, 1.0), (3.0, spread))
        ]  # fmt: skip

    return database(grid((0,), resolution=256), scores)


def test_optima_and_guidance() -> None:
    prefixes = ("optimum", "cfg-evens", "generation-second-order")
    agreed = words(generated({8: 12.2, 16: 12, 32: 11}, 0.3), *prefixes)
    assert set(agreed.values()) == {S}, agreed
    moved = words(generated({8: 14, 16: 10.5, 32: 9.5}, 1.5), *prefixes)
    assert {word for name, word in moved.items() if "second" not in name} == {C}, moved


def test_no_optimum_without_256p() -> None:
    made = database(grid((0,)), lambda run: [("generate", "d", 1.5, None, values(run.x, "g"))])
    found = judged(made, "optimum")
    assert {one.verdict for one in found.values()} == {N}


# --- losses, variants, precision -----------------------------------------------------------------
def loss(weight: float, kind: str = "l2") -> dict[str, object]:
    return {"loss": {"reconstruction": kind, "perceptual_weight": weight}}


@pytest.mark.parametrize(("sign", "word"), [(1, S), (-1, C)])
def test_losses_trade(sign: int, word: Word) -> None:
    noise = noisy(8)
    runs = [Run(16, 16, 0, train=loss(weight, kind))
            for weight in (0.0, 0.25, 0.5, 1.0) for kind in ("l1", "l2")]  # fmt: skip

    def scores(run: Run) -> list[Score]:
        weight = float(run.train["loss"]["perceptual_weight"])
        visual = values(6 + weight + noise.normal(0, 0.02))
        faithful = values(6 - sign * weight + noise.normal(0, 0.02))
        kept = {name: faithful[name] for name in ("rSSIM", "rPSNR")}
        return [("reconstruct", "imagenet1k-val", None, None, {**visual, **kept})]

    found = words(database(runs, scores), "loss-trade-off", "lpips-costs", "lpips-helps")
    for prefix in ("loss-trade-off", "lpips-costs"):
        assert {one for name, one in found.items() if name.startswith(prefix)} == {word}, found
    assert found["lpips-helps-rfid"] is S


@pytest.mark.parametrize(("worse", "expected"), [(0.2, (S, S)), (1.5, (S, C)), (-1.0, (C, C))])
def test_latent_against_simple(worse: float, expected: tuple[Word, Word]) -> None:
    noise = noisy(9)
    runs = [Run(16, c) for c in (4, 8, 16, 32, 64)]
    runs += [Run(16, 16, 0, variant="latent", L=L) for L in (4, 8, 16, 32, 64)]

    def scores(run: Run) -> list[Score]:
        return [image(run.x - worse * (run.variant == "latent") + noise.normal(0, 0.02))]

    found = words(database(runs, scores), "latent-worse", "latent-comparable")
    for prefix, word in zip(("latent-worse", "latent-comparable"), expected, strict=True):
        assert {one for name, one in found.items() if name.startswith(prefix)} == {word}, found


def test_trainings_by_two_recipes_are_two_experiments() -> None:
    """Longer trainings at the grid's corners, and variants that began otherwise than the grid."""
    noise = noisy(12)
    longer = {"train": {"steps": 500}}
    plain = {"tokenizer": {"init": "standard"}, **longer}
    corners = [Run(p, c, train=longer) for p in (8, 32) for c in (4, 64)]
    variants = [Run(8, c, train=plain) for c in (4, 8, 16)]
    variants += [Run(8, 16, variant="latent", L=L, train=plain) for L in (16, 32, 64)]

    def scores(run: Run) -> list[Score]:
        gain = {None: 0.0, 500: 3.0}[run.train.get("train", {}).get("steps")]
        return [image(run.x + gain + noise.normal(0, 0.02))]

    found = judged(database([*grid(), *corners, *variants], scores), *FIGURE_2, "latent-")
    assert {one.verdict for one in found.values() if one.family == "Figure 2"} == {S}
    assert found["e-predicts-rpsnr"].n == 15
    assert found["latent-comparable-rpsnr"].n == 6
    assert found["latent-comparable-rpsnr"].verdict is S


@pytest.mark.parametrize(("tilt", "word"), [(0.3, S), (-0.3, C)])
def test_masks_cross(tilt: float, word: Word) -> None:
    noise = noisy(10)
    runs = [Run(8, 16, seed, variant=name) for name in ("mask_simple", "mask_latent")
            for seed in (0, 1, 2)]  # fmt: skip

    def scores(run: Run) -> list[Score]:
        side = 1 if run.variant == "mask_simple" else -1
        return [
            ("reconstruct", "imagenet1k-val", None, length,
             values(np.log2(16 * length) + side * tilt * (np.log2(length) - 4.5)
                    + noise.normal(0, 0.02)))
            for length in (8, 16, 32, 64)
        ]  # fmt: skip

    assert set(words(database(runs, scores), "masks-cross").values()) == {word}


@pytest.mark.parametrize(("gap", "word"), [(0.0, S), (0.5, C)])
def test_precision(gap: float, word: Word) -> None:
    noise = noisy(11)
    runs = [Run(16, 16, seed, train={"train": {"precision": precision}})
            for precision in ("fp32", "bf16") for seed in range(4)]  # fmt: skip

    def scores(run: Run) -> list[Score]:
        full = run.train["train"]["precision"] == "fp32"
        return [image(8 + gap * full + noise.normal(0, 0.02))]

    assert words(database(runs, scores), "precision") == {"precision-rfid": word}
    single = database([run for run in runs if run.seed == 0], scores)
    assert words(single, "precision") == {"precision-rfid": I}
