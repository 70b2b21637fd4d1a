"""Pareto fronts against their definition, pair by pair."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.stats.ols import NoFit
from analysis.stats.pareto import pareto_front


def _by_definition(rows: np.ndarray, maximise: list[bool]) -> list[bool]:
    signed = [[-v if up else v for v, up in zip(row, maximise, strict=True)] for row in rows]
    return [
        not any(
            all(a <= b for a, b in zip(other, mine, strict=True)) and other != mine
            for other in signed
        )
        for mine in signed
    ]


@given(
    st.integers(1, 4).flatmap(
        lambda m: st.tuples(
            st.lists(st.lists(st.integers(0, 4), min_size=m, max_size=m), min_size=1, max_size=25),
            st.lists(st.booleans(), min_size=m, max_size=m),
        )
    )
)
def test_a_front_is_what_nothing_dominates(case: tuple[list[list[int]], list[bool]]) -> None:
    rows, maximise = case
    table = np.array(rows, dtype=float)
    assert pareto_front(table, maximise).tolist() == _by_definition(table, maximise)


def test_the_papers_table_3() -> None:
    """GFLOPs down, COCO rFID down: SD-VAE costs more and gives less than either ViTok."""
    table = [[162.2, 4.63], [34.8, 3.94], [113.4, 3.87]]
    assert pareto_front(table, [False, False]).tolist() == [False, True, True]


def test_many_points_by_blocks() -> None:
    noise = np.random.default_rng(0)
    rows = noise.normal(size=(5000, 3))
    front = pareto_front(rows, [True, False, True])
    signed = rows * [-1, 1, -1]
    for row in signed[~front][:200]:
        assert np.any((signed[front] <= row).all(axis=1))
    for row in signed[front]:
        assert ((signed <= row).all(axis=1)).sum() == 1


def test_degenerate_input_says_why() -> None:
    with pytest.raises(NoFit, match="not finite"):
        pareto_front([[1, np.nan]], [False, False])
    with pytest.raises(ValueError, match="2 objectives, 1 directions"):
        pareto_front([[1, 2]], [False])
