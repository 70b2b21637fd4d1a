"""The algebra of the grid: axes × zip × seeds + include − exclude."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sweepfiles import SMALL, replaced, write

from sweep.model import Plan
from sweep.planning.plan import plan_file
from sweep.spec.problems import SpecError

FIELDS = ("tokenizer.patch", "tokenizer.channels", "train.steps", "train.batch")
POWERS = [1, 2, 4, 8, 16]
quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def values_of(plan: Plan) -> list[tuple[int, ...]]:
    return [
        (p.p, p.c, p.config["train"]["steps"], p.config["train"]["batch"], p.seed)
        for p in plan.points
    ]


def document(**top: object) -> str:
    base = yaml.safe_load(
        replaced("axes:\n  tokenizer.patch: [8, 16]\n", "").replace(
            "  tokenizer.channels: [4, 8]\n", ""
        )
    )
    return yaml.safe_dump({**base, **top}, sort_keys=False)


axis = st.lists(st.sampled_from(POWERS), min_size=1, max_size=4, unique=True)
seeds = st.lists(st.integers(0, 99), min_size=1, max_size=3, unique=True)


@quick
@given(axis, axis, axis, axis, seeds)
def test_axes_are_every_combination_in_order(
    tmp_path: Path, p: list[int], c: list[int], steps: list[int], batch: list[int], s: list[int]
) -> None:
    axes = dict(zip(FIELDS, (p, c, steps, batch), strict=True))
    plan = plan_file(write(tmp_path, document(axes=axes, seeds=s)))
    expected = [(*combination, seed) for seed in s for combination in product(p, c, steps, batch)]
    assert values_of(plan) == expected
    assert len({point.id for point in plan.points}) == len(expected)


@quick
@given(axis, st.permutations(POWERS), st.permutations(POWERS), st.integers(1, 5))
def test_zipped_lists_move_together(
    tmp_path: Path, p: list[int], first: Sequence[int], second: Sequence[int], n: int
) -> None:
    zipped = {"train.steps": list(first[:n]), "train.batch": list(second[:n])}
    axes = {"tokenizer.patch": p, "tokenizer.channels": [4]}
    plan = plan_file(write(tmp_path, document(axes=axes, zip=zipped)))
    pairs = list(zip(first[:n], second[:n], strict=True))
    assert values_of(plan) == [(each, 4, *pair, 0) for each in p for pair in pairs]


@quick
@given(axis, axis, st.sampled_from(POWERS), st.lists(st.sampled_from(POWERS), min_size=1))
def test_exclude_takes_away_exactly_what_it_matches(
    tmp_path: Path, p: list[int], c: list[int], patch: int, channels: list[int]
) -> None:
    axes = {"tokenizer.patch": p, "tokenizer.channels": c}
    exclude = [{"tokenizer.patch": patch, "tokenizer.channels": channels}]
    path = write(tmp_path, document(axes=axes, exclude=exclude))
    kept = [each for each in product(p, c) if not (each[0] == patch and each[1] in channels)]
    if len(kept) in (0, len(p) * len(c)):
        with pytest.raises(SpecError, match=r"matches no point|leaves no point"):
            plan_file(path)
    else:
        assert [(point.p, point.c) for point in plan_file(path).points] == kept


def test_without_axes_the_file_is_one_point(tmp_path: Path) -> None:
    tokenizer = {"size": "T-T", "patch": 8, "channels": 4}
    plan = plan_file(write(tmp_path, document(tokenizer=tokenizer)))
    assert [(point.p, point.c) for point in plan.points] == [(8, 4)]


def test_include_alone_makes_the_points(tmp_path: Path) -> None:
    include = [{"tokenizer.patch": p, "tokenizer.channels": 4} for p in (8, 16)]
    plan = plan_file(write(tmp_path, document(include=include)))
    assert [point.p for point in plan.points] == [8, 16]


def test_include_may_override_anything_stages_and_seeds_too(tmp_path: Path) -> None:
    text = SMALL + (
        "include:\n"
        "  - tokenizer.patch: 8\n"
        "    tokenizer.channels: 4\n"
        "    tokenizer.size: S-B\n"
        "    data.resolution: 128\n"
        "    loss.kl: 0.5\n"
        "    stages: [{train: stage1}, {floor: photos-tune}]\n"
        "    seeds: [3, 4]\n"
    )
    plan = plan_file(write(tmp_path, text))
    assert len(plan.points) == 6
    for seed, point in zip((3, 4), plan.points[4:], strict=True):
        assert (point.variant, point.resolution, point.seed) == ("S-B/8", 128, seed)
        assert point.config["loss"] == {"kl": 0.5}
        kinds = [job.kind for job in plan.jobs if job.id in point.jobs]
        assert set(kinds) == {"tokenizer", "floor"}
    assert {job.kind for job in plan.jobs if job.id in plan.points[0].jobs} == {"tokenizer"}
    assert len({point.config_id for point in plan.points[4:]}) == 1
    floors = [job for job in plan.jobs if job.kind == "floor"]
    assert len(floors) == 1, "a floor has no seed"


def test_seeds_of_an_include_replace_the_sweep_seeds(tmp_path: Path) -> None:
    entry = "{tokenizer.patch: 32, tokenizer.channels: 4, seeds: [3, 4]}"
    plan = plan_file(write(tmp_path, f"seeds: [0, 3]\n{SMALL}include:\n  - {entry}\n"))
    assert [point.seed for point in plan.points if point.p == 32] == [3, 4]
    assert len(plan.points) == 2 * 4 + 2


def test_include_comes_before_exclude(tmp_path: Path) -> None:
    text = SMALL + (
        "include:\n  - {tokenizer.patch: 32, tokenizer.channels: 4}\n"
        "exclude:\n  - {tokenizer.patch: [16, 32], tokenizer.channels: 4}\n"
    )
    points = plan_file(write(tmp_path, text)).points
    assert [(point.p, point.c) for point in points] == [(8, 4), (8, 8), (16, 8)]


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        ("{seed: 1}", 4),
        ("{seed: [0, 1], tokenizer.patch: 8}", 4),
        ("{seeds: [1], tokenizer.patch: 8..16 x2, tokenizer.channels: 4}", 6),
        ("{tokenizer.size: T-T, tokenizer.patch: 8}", 4),
        ("{tokenizer.encoder.width: 64, tokenizer.patch: 8}", 4),
        ("{train.precision: bf16, tokenizer.patch: 8}", 4),
        ("{train.betas: [0.9, 0.95], tokenizer.patch: 8}", 4),
        ("{train.betas: [[0.9, 0.95], [0.1, 0.2]], tokenizer.patch: 8}", 4),
    ],
)
def test_exclude_matches_seeds_towers_and_defaults(tmp_path: Path, exclude: str, left: int) -> None:
    text = SMALL + f"seeds: [0, 1]\nexclude:\n  - {exclude}\n"
    assert len(plan_file(write(tmp_path, text)).points) == left


def test_exclude_may_take_away_what_would_not_be_valid(tmp_path: Path) -> None:
    text = replaced("[8, 16]", "[7, 8]")
    with pytest.raises(SpecError, match="patch 7"):
        plan_file(write(tmp_path, text))
    assert (
        len(plan_file(write(tmp_path, text + "exclude:\n  - {tokenizer.patch: 7}\n")).points) == 2
    )


def test_sweeping_sizes_moves_both_towers(tmp_path: Path) -> None:
    text = replaced("{size: T-T}", "{}").replace(
        "axes:\n", "axes:\n  tokenizer.size: [T-T, S-T, S-B]\n"
    )
    variants = [point.variant for point in plan_file(write(tmp_path, text)).points]
    assert variants[::4] == ["T-T/8", "S-T/8", "S-B/8"]
