"""The order of shards: each sample once, mixed, in short runs, the same for whoever asks."""

from __future__ import annotations

import time

import numpy as np
import pytest

from vitok_core.data.counter import permutation
from vitok_core.data.order import RUN, SIDE_BY_SIDE, ShardOrder, epoch_order

SIZES = np.array([700, 1, 0, 300, 512, 256, 1000, 90] * 5, np.int64)  # more than two groups


def places(order: ShardOrder) -> list[int]:
    return [order[place] for place in range(len(order))]


def test_without_shards_it_is_the_plain_permutation() -> None:
    assert np.array_equal(epoch_order(7, 3, 8, None), permutation(7, "epoch order", 3, 8))


@pytest.mark.parametrize("sizes", [SIZES, SIZES[:1], SIZES[:16], SIZES[:17], SIZES[2:4]])
def test_every_sample_once(sizes: np.ndarray) -> None:
    order = ShardOrder(0, 0, sizes)
    assert len(order) == sizes.sum()
    assert sorted(places(order)) == list(range(sizes.sum()))


def test_epochs_and_seeds_differ() -> None:
    orders = [places(ShardOrder(*key, SIZES)) for key in ((0, 0), (0, 1), (1, 0))]
    assert len({tuple(order) for order in orders}) == 3


def test_a_place_is_known_without_what_came_before() -> None:
    whole = places(ShardOrder(3, 2, SIZES))
    backwards = ShardOrder(3, 2, SIZES)
    assert [backwards[place] for place in reversed(range(len(whole)))] == whole[::-1]
    assert ShardOrder(3, 2, SIZES)[9999] == whole[9999]


def test_reading_moves_through_few_shards_in_runs_of_neighbours() -> None:
    shard = np.repeat(np.arange(len(SIZES)), SIZES)
    within = np.arange(SIZES.sum()) - (SIZES.cumsum() - SIZES)[shard]
    order = np.array(places(ShardOrder(0, 0, SIZES)))
    window = SIDE_BY_SIDE * RUN
    for start in range(0, len(order) - window, window):
        read = order[start : start + window]
        assert len(set(shard[read])) <= 2 * SIDE_BY_SIDE  # two groups at most
    for number in range(len(SIZES)):
        # Front to back: no later run before an earlier one.
        runs = within[order[shard[order] == number]] // RUN
        assert (np.diff(runs) >= 0).all()


def test_a_batch_mixes_shards_and_is_shuffled() -> None:
    sizes = np.full(64, 1000, np.int64)
    order = np.array(places(ShardOrder(0, 0, sizes)))
    batches = order[: len(order) // 256 * 256].reshape(-1, 256) // 1000
    assert np.mean([len(set(batch)) for batch in batches]) > 0.95 * SIDE_BY_SIDE
    neighbours = np.abs(np.diff(order)) == 1
    assert neighbours.mean() < 0.01


def test_450_million_images_cost_no_more_memory_than_their_shards() -> None:
    sizes = np.full(45_000, 10_000, np.int64)
    began = time.perf_counter()
    order = epoch_order(0, 5, int(sizes.sum()), sizes)
    found = [order[place] for place in (0, 449_999_999, 123_456_789)]
    assert time.perf_counter() - began < 1  # measured: 20 ms
    assert len(set(found)) == 3
    assert isinstance(order, ShardOrder)
    assert sum(getattr(each, "nbytes", 0) for each in vars(order).values()) < 2e6
