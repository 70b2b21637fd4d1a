"""Counter-based randomness: golden values, independence, and shape."""

from __future__ import annotations

import time

import numpy as np
import torch

from vitok_core.data.counter import bits, noise, permutation, uniforms


def test_golden_bits() -> None:
    # What every run's data order rests on: these may never change.
    assert bits(0, "train crops", 0, 2).tolist() == [433172334553470914, 3646456820109898616]
    assert permutation(7, "epoch order", 3, 8).tolist() == [4, 1, 7, 0, 2, 6, 5, 3]


def test_every_part_of_the_key_counts() -> None:
    keys = [(0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1), (0, "a", 2**40), (10, "a", 0)]
    assert len({tuple(bits(*key, 2).tolist()) for key in keys}) == len(keys)
    # Seed and stream are kept apart: ("1", "2/3") is not ("1/2", "3").
    assert bits(1, "2/3", 4, 1) != bits(1, "2", 34, 1)


def test_uniforms_are_uniform() -> None:
    draws = np.concatenate([uniforms(0, "test", i, 4) for i in range(5000)])
    assert draws.min() >= 0
    assert draws.max() < 1
    # Mean of 20,000 uniforms: sd 0.002.
    assert abs(draws.mean() - 0.5) < 0.01
    assert np.abs(np.histogram(draws, 10, (0, 1))[0] / 2000 - 1).max() < 0.1


def test_permutation_is_one_and_differs_by_index() -> None:
    one, two = permutation(0, "o", 0, 1000), permutation(0, "o", 1, 1000)
    assert sorted(one) == list(range(1000))
    assert (one == two).mean() < 0.02


def test_noise_rows_belong_to_their_index() -> None:
    whole = noise(3, "code", range(32), (4, 5))
    assert whole.shape == (32, 4, 5)
    assert whole.dtype == torch.float32
    split = torch.cat([noise(3, "code", range(16, 32), (4, 5)), noise(3, "code", [0, 1], (4, 5))])
    assert torch.equal(split, torch.cat([whole[16:], whole[:2]]))
    assert not torch.equal(whole, noise(4, "code", range(32), (4, 5)))
    assert not torch.equal(whole, noise(3, "other", range(32), (4, 5)))


def test_noise_is_standard_normal_and_rows_are_uncorrelated() -> None:
    z = noise(0, "code", range(200), (1000,))
    assert abs(z.mean().item()) < 0.01
    assert abs(z.std().item() - 1) < 0.01
    correlation = torch.corrcoef(z) - torch.eye(200)
    assert correlation.abs().max() < 0.2  # sd 0.032 over 19,900 pairs


def test_noise_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    noise(0, "code", range(4), (8,))
    assert torch.equal(before, torch.get_rng_state())


def test_noise_is_cheap() -> None:
    noise(0, "code", range(16), (64, 16))
    best = min(_seconds() for _ in range(20))
    assert best < 2e-3  # measured: 0.1 ms


def _seconds() -> float:
    start = time.perf_counter()
    noise(0, "code", range(16), (64, 16))
    return time.perf_counter() - start
