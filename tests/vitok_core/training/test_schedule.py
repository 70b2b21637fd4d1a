from __future__ import annotations

import pytest

from vitok_core.config import TrainConfig
from vitok_core.training.schedule import learning_rate


def config(**changes: float) -> TrainConfig:
    fields = {"steps": 100, "batch": 1024, "base_lr": 1e-4, "final_lr": 1e-5, "warmup": 0.1}
    return TrainConfig.model_validate({**fields, **changes})


def test_the_peak_follows_the_papers_linear_rule() -> None:
    assert config().peak_lr(1) == pytest.approx(4e-4)
    assert config(batch=256).peak_lr(16) == pytest.approx(1.6e-3)


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 4e-5), (4, 2e-4), (9, 4e-4), (10, 4e-4), (55, 2.05e-4), (99, 1.011879e-5)],
)
def test_values(step: int, rate: float) -> None:
    assert learning_rate(config(), 1, step) == pytest.approx(rate, rel=1e-5)


def test_no_warmup_starts_at_the_peak() -> None:
    assert learning_rate(config(warmup=0.0), 1, 0) == pytest.approx(4e-4)


def test_warmup_all_along_never_divides_by_zero() -> None:
    assert learning_rate(config(warmup=1.0), 1, 99) == pytest.approx(4e-4)


def test_a_peak_below_the_end_stays_level() -> None:
    small = config(base_lr=1e-7, warmup=0.0)
    assert {learning_rate(small, 1, step) for step in (0, 50, 99)} == {4e-7}
