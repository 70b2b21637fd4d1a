"""The parts of a search that need no jobs: space, samplers, pruning rule, what plans say."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import jsonschema
import optuna
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from searches import SEARCH, text, trials_of
from sweepfiles import write

from sweep.planning.plan import plan_file
from sweep.planning.planview import summary, totals
from sweep.search.model import (
    SAMPLERS,
    Constraint,
    Interval,
    Objective,
    Params,
    Pruner,
    Search,
)
from sweep.search.outcome import Outcome, Score, TrialState, best, values
from sweep.search.pruning import verdict
from sweep.search.samplers import Within, distributions, meant, told
from sweep.search.space import nearest
from sweep.search.trials import Trial, Trials
from sweep.spec.problems import Mark
from sweep.spec.schema import sweep_schema

MIXED = """\
search:
  space:
    tokenizer.size: [T-T, S-B]
    tokenizer.channels: [4, 16, 8]
    train.steps: {low: 10, high: 1k, log: true}
    train.base_lr: {low: 1e-4, high: 1e-2, log: true}
    loss.kl: {low: 0, high: 1}
  objectives: [{maximize: rPSNR}]
  trials: 12
"""


def mixed(folder: Path) -> Trials:
    return trials_of(folder, text(MIXED).replace("{size: T-T}", "{patch: 8}"))


def asked(trials: Trials, value: Callable[[Params], float], total: int) -> list[Params]:
    """What a search chooses, as its controller does."""
    study = optuna.create_study(direction="maximize")
    chosen: list[Trial] = []

    def accept(params: Params) -> Trial | None:
        trial = trials.trial(trials.studies[0], params)
        known = {each.jobs for each in chosen}
        return None if trial is None or trial.jobs in known else trial

    for number in range(total):
        study.sampler = sampler = Within(trials.search, number, total, accept)
        one = study.ask(fixed_distributions=distributions(trials.search))
        assert sampler.taken is not None
        assert meant(trials.search, one.params) == sampler.taken.params
        study.tell(one, value(sampler.taken.params))
        chosen.append(sampler.taken)
    return [each.params for each in chosen]


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samplers_stay_within_and_never_repeat(tmp_path: Path, sampler: str) -> None:
    """All 11 combinations within the constraint, none of the 4 others, whatever is proposed."""
    trials = trials_of(tmp_path, text(sampler=sampler, trials="11", constraints="[E <= 512]"))
    study = trials.studies[0]
    assert trials.size(study) == 11
    params = asked(trials, lambda each: -abs(math.log2(float(each["tokenizer.channels"])) - 3), 11)
    assert len({json.dumps(each) for each in params}) == 11
    for each in params:
        cost = 4096 // int(each["tokenizer.patch"]) ** 2 * int(each["tokenizer.channels"])
        assert cost <= 512


@pytest.mark.parametrize("sampler", sorted(set(SAMPLERS) - {"grid"}))
def test_mixed_spaces(tmp_path: Path, sampler: str) -> None:
    trials = mixed(tmp_path)
    search = Search(**{**vars(trials.search), "sampler": sampler})
    trials.search = search
    params = asked(trials, lambda each: -abs(math.log10(float(each["train.base_lr"])) + 3), 12)
    for each in params:
        assert each["tokenizer.size"] in ("T-T", "S-B")
        assert each["tokenizer.channels"] in (4, 8, 16)
        assert isinstance(each["train.steps"], int)
        assert 10 <= each["train.steps"] <= 1000
        assert 1e-4 <= float(each["train.base_lr"]) <= 1e-2
    assert len({json.dumps(each) for each in params}) == 12


def test_a_grid_is_tried_in_the_files_order(tmp_path: Path) -> None:
    trials = trials_of(tmp_path, text(sampler="grid"))
    params = asked(trials, lambda each: 0.0, 7)
    pairs = [(each["tokenizer.patch"], each["tokenizer.channels"]) for each in params]
    assert pairs == [(8, c) for c in (4, 8, 16, 32, 64)] + [(16, 4), (16, 8)]


def test_trials_are_the_grids_points(tmp_path: Path) -> None:
    trials = trials_of(tmp_path, text())
    axes = "axes:\n  tokenizer.patch: [8, 16, 32]\n  tokenizer.channels: 4..64 x2\n"
    grid = plan_file(write(tmp_path, text(axes), "grid.yaml"))
    of_grid = {(p.p, p.c): (p.id, p.jobs) for p in grid.points}
    for (p, c), (point, jobs) in of_grid.items():
        trial = trials.trial(trials.studies[0], {"tokenizer.patch": p, "tokenizer.channels": c})
        assert trial is not None
        assert (trial.points, set(trial.jobs)) == ((point,), set(jobs))


def test_excluded_points_are_no_trials(tmp_path: Path) -> None:
    file = text() + "exclude: [{tokenizer.patch: 8, tokenizer.channels: [4, 8]}]\n"
    trials = trials_of(tmp_path, file)
    assert trials.size(trials.studies[0]) == 13


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.data())
def test_the_nearest_that_is_taken(seed: int, data: st.DataObject) -> None:
    """No combination that is taken is nearer to the proposal than the one that is chosen."""
    space = [_lists("a", [1, 2, 4, 8]), _lists("b", ["x", "y", "z"])]
    every = [{"a": a, "b": b} for a in (1, 2, 4, 8) for b in "xyz"]
    taken = data.draw(st.lists(st.sampled_from(every), min_size=1))
    proposed = data.draw(st.sampled_from(every))

    def far(one: dict[str, Any]) -> float:
        apart = (math.log2(one["a"]) - math.log2(proposed["a"])) / 3
        return apart**2 + float(one["b"] != proposed["b"])

    found = nearest(space, proposed, lambda one: dict(one) if one in taken else None, Random(seed))
    assert found is not None
    assert far(found) == pytest.approx(min(map(far, taken)))
    assert nearest(space, proposed, lambda one: None, Random(seed)) is None


def _lists(path: str, labels: list[Any]) -> Any:
    from sweep.search.model import Listed

    return Listed(path, tuple(labels), ({},) * len(labels), Mark("here"))


@given(st.floats(0, 1))
def test_intervals_keep_their_ends(unit: float) -> None:
    for log in (False, True):
        for whole in (False, True):
            interval = Interval("train.steps", 3.0, 700.0, log, whole, Mark("here"))
            number = interval.at(unit)
            assert 3 <= float(number) <= 700
            assert interval.values(number)["train.steps"].value == number
            assert isinstance(number, int) is whole


def test_parameters_come_back_as_they_were(tmp_path: Path) -> None:
    trials = mixed(tmp_path)
    params = {"tokenizer.size": "S-B", "tokenizer.channels": 16, "train.steps": 31,
              "train.base_lr": 1e-3, "loss.kl": 0.5}  # fmt: skip
    assert meant(trials.search, told(trials.search, params)) == params


def test_long_values_are_told_apart(tmp_path: Path) -> None:
    """They differ where a message would have cut them."""
    values = "train.milestones: [[1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 8]]"
    head = text().replace("{size: T-T}", "{size: T-T, channels: 4}")
    searched = trials_of(tmp_path, head.replace("tokenizer.channels: 4..64 x2", values))
    assert searched.size(searched.studies[0]) == 6
    swept = head.replace("    tokenizer.channels: 4..64 x2\n", "") + f"axes:\n  {values}\n"
    assert len({each.name for each in trials_of(tmp_path, swept).studies}) == 2


def score(metric: str, value: float | None, **given: Any) -> Score:
    fields = {"point": "p", "job": "j", "dataset": "d", "cfg": None, "stage": 1, "length": 16}
    return Score(**{**fields, **given}, metric=metric, value=value)


def test_values_of_trials(tmp_path: Path) -> None:
    objective = trials_of(tmp_path, text()).search.objectives[0]
    trial = Trial("s", {}, ("p", "q"), ("j",), "", {"gflops": 3.0})
    rows = [score("rPSNR", 20.0, point=point, dataset="photos-tune") for point in "pq"]
    rows += [score("rPSNR", 1.0, dataset="other"), score("rSSIM", 0.5, dataset="photos-tune")]
    assert values(trial, [objective], rows) == (20.0,)
    rows[1] = score("rPSNR", 30.0, point="q", dataset="photos-tune", stage=2)
    assert values(trial, [objective], rows) == (25.0,), "the mean of the seeds, of the last stage"
    rows[1] = score("rPSNR", None, point="q", dataset="photos-tune")
    assert values(trial, [objective], rows) == "rPSNR on photos-tune is not a number"
    lacking = values(trial, [objective], rows[:1])
    assert lacking == "no rPSNR on photos-tune among its results; there is nothing"


def test_values_of_one_of_several_scores() -> None:
    """Which stage, which length of an adaptive code, which guidance scale."""
    trial = Trial("s", {}, ("p",), ("j",), "", {})
    last = Objective("rPSNR", True, "d", None, None, Mark(""))
    stages = [score("rPSNR", 20.0, stage=1), score("rPSNR", 19.0, stage=2)]
    for rows in (stages, stages[::-1]):
        assert values(trial, [last], rows) == (19.0,)
        assert values(trial, [replace(last, stage=1)], rows) == (20.0,)
    lengths = [score("rPSNR", 15.0, length=32), score("rPSNR", 20.0, length=256)]
    assert values(trial, [last], lengths) == values(trial, [last], lengths[::-1]) == (20.0,)
    guided = [score("gFID", 9.0, cfg=1.5), score("gFID", 12.0, cfg=3.0)]
    generation = Objective("gFID", False, "d", 3.0, None, Mark(""))
    assert values(trial, [generation], guided) == (12.0,)
    assert values(trial, [replace(generation, cfg=None)], guided) == "2 results are gFID on d"


def test_bounds_hold_on_both_sides() -> None:
    most, least = Constraint("E", True, 4096), Constraint("E", False, 4096)
    assert [most.holds({"E": e}) for e in (2048, 4096, 8192, None)] == [True, True, False, False]
    assert [least.holds({"E": e}) for e in (2048, 4096, 8192, None)] == [False, True, True, False]


def test_the_best_and_the_front(tmp_path: Path) -> None:
    two = text(SEARCH, objectives="[{maximize: rPSNR}, {minimize: gflops}]")
    objectives = trials_of(tmp_path, two).search.objectives
    given = [(20.0, 5.0), (25.0, 9.0), (19.0, 6.0), (25.0, 10.0), (26.0, 10.0)]
    ended = {n: Outcome(TrialState.COMPLETE, pair) for n, pair in enumerate(given)}
    ended[5] = Outcome(TrialState.FAILED)
    assert best(ended, objectives) == [4, 1, 0]
    one = {n: Outcome(TrialState.COMPLETE, each.values[:1]) for n, each in ended.items() if n < 5}
    assert best(one, objectives[:1]) == [4]


def curve(*losses: float) -> dict[int, float]:
    return dict(enumerate(losses, 1))


def test_the_rule_of_pruning() -> None:
    median = Pruner("loss", False, "median", 2)
    others = [[curve(9, 5, 4, 1)], [curve(9, 6, 5, 1)], [curve(9, 7, 6, 1)], [curve(9, 8, 2, 1)]]
    assert verdict(median, [curve(99)], others) is None, "before `after`"
    assert verdict(median, [curve(9, 6.4)], others) is None, "the median is 6.5"
    assert verdict(median, [curve(9, 6.6)], others) is not None
    assert verdict(median, [curve(6.4, 9)], others) is None, "its best so far counts"
    assert verdict(median, [curve(9, 9)], others[:2]) is None, "too few to compare with"
    assert verdict(median, [curve(9, 9)], others[:3]) is not None, "three are enough"
    assert verdict(median, [curve(9, 9), {}], others) is None, "a seed that has not begun"
    assert verdict(median, [curve(9, 9, 9, 9, 3)], others) is not None, "theirs ended before"
    quartile = Pruner("loss", False, "quartile", 2)
    assert verdict(quartile, [curve(9, 7.2)], others) is None, "the third quartile is 7.25"
    assert verdict(quartile, [curve(9, 7.3)], others) is not None
    rising = Pruner("accuracy", True, "median", 2)
    assert verdict(rising, [curve(1, 6.6)], others) is not None, "9 was their best"
    assert verdict(rising, [curve(1, 9.1)], others) is None


def test_a_plan_says_what_a_search_costs(tmp_path: Path) -> None:
    plan = plan_file(write(tmp_path, text(trials="4", constraints="E <= 512")))
    said = totals(plan, {})["search"]
    hours = sorted(sum(job.device_hours for job in plan.jobs if job.id in point.jobs)
                   for point in plan.points)  # fmt: skip
    assert (said["space"], said["trials"], len(plan.points)) == (11, 4, 11)
    assert said["least_device_hours"] == pytest.approx(sum(hours[:4]))
    assert said["most_device_hours"] == pytest.approx(sum(hours[-4:]))
    lines = summary(plan, {})
    assert any("11 combinations within the constraints, of which 4 trials" in x for x in lines)


def test_set_reaches_the_space(tmp_path: Path) -> None:
    file = write(tmp_path, text())
    sets = [
        "tokenizer.channels=[4, 8]",
        "search.trials=2",
        "search.space.train.steps={low: 5, high: 9}",
    ]
    search = plan_file(file, sets).search
    assert search is not None
    assert [each.path for each in search.space][-1] == "train.steps"
    assert search.space[1].labels == (4, 8)  # type: ignore[union-attr]
    assert search.trials == 2


def test_the_section_fits_the_schema() -> None:
    validator = jsonschema.Draft202012Validator(sweep_schema())
    for each in (text(), text(MIXED), text(pruner="{minimize: loss, rule: quartile, after: 1}")):
        validator.validate(yaml.safe_load(each))
    wrong = ("sampler: tpe2", "trials: 0", "objectives: [{minimize: E, maximize: L}]",
             "constraints: [gflop <= 3]", "pruner: {minimize: loss, rule: mean}")  # fmt: skip
    for each in wrong:
        key, _, value = each.partition(": ")
        assert not validator.is_valid(yaml.safe_load(text(**{key: value}))), each


def test_planning_and_status_meet_no_optuna(tmp_path: Path) -> None:
    file = write(tmp_path, text())
    for command in (["plan", file], ["status"], ["--help"]):
        code = f"""
import sys
sys.argv[1:] = {command!r}
from sweep.cli.app import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
sys.exit("optuna" in sys.modules or "torch" in sys.modules)
"""
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
