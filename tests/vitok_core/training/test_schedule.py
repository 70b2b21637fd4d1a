from __future__ import annotations

import pytest

from vitok_core.config import GanConfig, TrainConfig
from vitok_core.training.schedule import discriminator_rate, gan_weight, learning_rate


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


def gan(**changes: float) -> GanConfig:
    return GanConfig.model_validate({"weight": 0.1, "start": 4, "ramp": 8, **changes})


@pytest.mark.parametrize(
    ("step", "weight"), [(0, 0.0), (4, 0.0), (5, 0.0125), (8, 0.05), (12, 0.1), (99, 0.1)]
)
def test_the_gan_term_starts_and_rises(step: int, weight: float) -> None:
    assert gan_weight(gan(), 256, step) == pytest.approx(weight)
    # The same clips at another batch: 256/64 = 4 times as many steps.
    assert gan_weight(gan(), 64, 4 * step) == pytest.approx(weight)


def test_a_gan_term_without_ramp_is_there_at_once() -> None:
    sudden = gan(ramp=0)
    assert [gan_weight(sudden, 256, step) for step in (3, 4)] == [0.0, 0.1]
    assert gan_weight(gan(start=0, ramp=0), 256, 0) == 0.1


def test_the_discriminator_warms_up_and_stays_level() -> None:
    config = gan(disc_lr=2e-5, disc_warmup=10)
    rates = [discriminator_rate(config, 256, step) for step in (0, 4, 9, 10, 10**6)]
    assert rates == pytest.approx([2e-6, 1e-5, 2e-5, 2e-5, 2e-5])
    assert discriminator_rate(config, 128, 9) == pytest.approx(1e-5)
    assert discriminator_rate(gan(disc_lr=2e-5, disc_warmup=0), 256, 0) == 2e-5
    # §2.3: 25k steps of batch 256.
    assert discriminator_rate(GanConfig(), 256, 12_499) == pytest.approx(1e-5)
