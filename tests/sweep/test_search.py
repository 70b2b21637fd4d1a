"""`launch` of a file that searches, over stub jobs: the trials, the study, kills and restarts."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing

import pytest
from optuna.trial import TrialState
from searches import params, study, text, trials
from stubbed import Bench, ends, wait_until

from sweep.search.model import SAMPLERS

BEST = {"best": [16, 16]}


@pytest.fixture
def tuned(bench: Bench) -> Bench:
    """Jobs whose best point is p16 c16."""
    bench.behave(reconstruct=BEST)
    return bench


def test_a_search_runs_its_trials_and_says_the_best(tuned: Bench) -> None:
    file = tuned.sweep(text=text(sampler="gp", trials="8"), name="seek.yaml")
    done = tuned.cli("launch", file, "--scheduler", "inline")
    assert done.returncode == 0, done.stderr
    assert "seek: 8 of 8 trials: 8 complete" in done.stdout
    assert "tokenizer.patch 16, tokenizer.channels 16" in done.stdout, done.stdout
    assert len(params(tuned)) == 8
    assert len({json.dumps(each) for each in params(tuned)}) == 8, "none is tried twice"
    assert list(ends(tuned.root).values()) == [["finished"]] * 16
    found = study(tuned, "seek")
    assert found.metric_names == ["rPSNR on photos-tune"], "what the dashboard's axes say"
    assert [trial.state for trial in found.trials] == [TrialState.COMPLETE] * 8
    assert found.best_value == 0
    assert found.best_params == {"tokenizer.patch": 16, "tokenizer.channels": 16}
    status = json.loads(tuned.cli("status", "seek", "--json").stdout)
    assert status["search"][0]["best"][0]["params"] == found.best_params
    assert tuned.cli("db", "check").returncode == 0
    again = tuned.cli("launch", file, "--scheduler", "inline")
    assert (again.returncode, len(params(tuned))) == (3, 8), again.stderr


@pytest.mark.slow
def test_a_trial_that_a_grid_has_run_costs_nothing(tuned: Bench) -> None:
    grid = text("axes:\n  tokenizer.patch: [8, 16, 32]\n  tokenizer.channels: 4..64 x2\n")
    assert tuned.cli("launch", tuned.sweep(text=grid, name="grid.yaml"), "-j", "2").returncode == 0
    before = ends(tuned.root)
    done = tuned.cli("launch", tuned.sweep(text=text(), name="seek.yaml"))
    assert done.returncode == 0, done.stderr
    assert ends(tuned.root) == before, "no job ran again"
    assert len(study(tuned, "seek").trials) == 6


@pytest.mark.slow
@pytest.mark.parametrize(
    "sampler",
    ["tpe", *(pytest.param(each, marks=pytest.mark.longest) for each in SAMPLERS if each != "tpe")],
)
def test_a_killed_controller_goes_on_as_if_nothing_had_been(bench: Bench, sampler: str) -> None:
    """kill -9 at some moment of each trial, several times: the trials of an undisturbed search."""
    calm, rough = (Bench(bench.root.path.parent / name, bench.code) for name in ("calm", "rough"))
    for each in (calm, rough):
        each.behave(all={"pause": 0.05}, reconstruct=BEST)
    file = bench.sweep(text=text(sampler=sampler, trials="6"), name="seek.yaml")
    assert calm.cli("launch", file, "--scheduler", "inline").returncode == 0
    for count in (1, 3, 4):
        controller = rough.start("launch", file, "--scheduler", "inline")
        wait_until(lambda count=count: len(trials(rough)) >= count)  # type: ignore[misc]
        time.sleep(0.1 * (count % 3))
        controller.kill()
        controller.communicate()
    done = rough.cli("launch", file, "--scheduler", "inline")
    assert done.returncode == 0, done.stderr
    assert params(rough) == params(calm)
    assert len(params(rough)) == 6
    values = [[trial.values for trial in study(each, "seek").trials] for each in (calm, rough)]
    assert values[0] == values[1]
    assert rough.cli("db", "check").returncode == 0


def test_a_lost_study_is_made_anew(tuned: Bench) -> None:
    file = tuned.sweep(text=text(trials="4"), name="seek.yaml")
    assert tuned.cli("launch", file, "--scheduler", "inline").returncode == 0
    before = [(each.params, each.values, each.state) for each in study(tuned, "seek").trials]
    path = tuned.root.searches / "seek.db"
    whole = path.read_bytes()

    def foreign() -> None:
        path.unlink()
        with closing(sqlite3.connect(path)) as other:
            other.execute("CREATE TABLE studies (x)")

    for damage in (
        path.unlink,
        lambda: path.write_bytes(b"no database" * 100),
        lambda: path.write_bytes(whole[:8192] + bytes(40_000) + whole[48_192:]),
        foreign,
    ):
        damage()
        assert tuned.cli("launch", file, "--scheduler", "inline").returncode == 3
        after = [(each.params, each.values, each.state) for each in study(tuned, "seek").trials]
        assert after == before


def test_a_study_that_cannot_be_written_is_one_line(tuned: Bench) -> None:
    file = tuned.sweep(text=text(trials="2"), name="seek.yaml")
    path = tuned.root.searches / "seek.db"
    path.mkdir(parents=True)
    done = tuned.cli("launch", file, "--scheduler", "inline")
    assert (done.returncode, done.stdout) == (2, "")
    said = "cannot be opened or made; the journals have all trials: mend it and launch again"
    assert done.stderr.splitlines()[-1] == f"error: {path}: {said}"
    path.rmdir()
    assert tuned.cli("launch", file, "--scheduler", "inline").returncode == 0


def test_two_controllers_are_one_too_many(tuned: Bench) -> None:
    tuned.behave(all={"pause": 0.3}, reconstruct=BEST)
    file = tuned.sweep(text=text(), name="seek.yaml")
    first = tuned.start("launch", file)
    wait_until(lambda: trials(tuned))
    second = tuned.cli("launch", file)
    assert second.returncode == 2
    assert second.stderr.startswith("error: another launch searches seek")
    first.kill()
    first.communicate()


@pytest.mark.slow
def test_trials_run_at_once_on_the_local_scheduler(tuned: Bench) -> None:
    tuned.behave(all={"pause": 0.2}, reconstruct=BEST)
    file = tuned.sweep(text=text(parallel="3", sampler="qmc"), name="seek.yaml")
    done = tuned.cli("launch", file, "-j", "3")
    assert done.returncode == 0, done.stderr
    began = {each["job"]: each["t"] for each in tuned.trace("began") if each["kind"] == "tokenizer"}
    ended = {each["job"]: each["t"] for each in tuned.trace("ended") if each["kind"] == "tokenizer"}
    together = max(
        sum(began[other] < ended[one] and ended[other] > began[one] for other in began)
        for one in began
    )
    assert together >= 2
    assert len(params(tuned)) == 6


def test_failed_trials_are_told_as_failed(tuned: Bench) -> None:
    first = {"fail_at": 1, "message": "out of luck"}
    tuned.behave(**{"reconstruct": BEST, "tokenizer-64x1-64x1-p8-c4-64p-s0": first})
    file = tuned.sweep(text=text(sampler="grid", trials="3"), name="seek.yaml")
    done = tuned.cli("launch", file, "--scheduler", "inline")
    assert done.returncode == 4, done.stderr
    states = [trial.state for trial in study(tuned, "seek").trials]
    assert states == [TrialState.FAIL, TrialState.COMPLETE, TrialState.COMPLETE]
    assert "trial 1 of 3: failed: failed: tokenizer-64x1-64x1-p8-c4-64p-s0" in done.stderr
    assert "out of luck" in done.stderr


def test_an_absent_metric_ends_the_search_with_one_line(bench: Bench) -> None:
    file = bench.sweep(text=text(sampler="grid", trials="3"), name="seek.yaml")
    done = bench.cli("launch", file, "--scheduler", "inline")
    assert done.returncode == 2
    line = "error: trial 1 of 3: no rPSNR on photos-tune among its results; there is score"
    assert done.stderr.strip().splitlines()[-1] == line
    again = bench.cli("launch", file, "--scheduler", "inline")
    assert again.returncode == 2
    assert "tokenizer.channels 4: no rPSNR on photos-tune among its results" in again.stderr
    assert len(params(bench)) == 1, "nor does another one run"


def test_a_first_trial_that_diverges_fails_alone(bench: Bench) -> None:
    first = "reconstruct-64x1-64x1-p8-c4-64p-s0-photos-tune"
    bench.behave(**{"reconstruct": BEST, first: {"best": [16, float("nan")]}})
    file = bench.sweep(text=text(sampler="grid", trials="2"), name="seek.yaml")
    done = bench.cli("launch", file, "--scheduler", "inline")
    assert done.returncode == 4, done.stderr
    assert "trial 1 of 2: failed: rPSNR on photos-tune is not a number" in done.stderr
    assert [each.state for each in study(bench, "seek").trials] == [
        TrialState.FAIL, TrialState.COMPLETE,
    ]  # fmt: skip


def test_each_combination_of_axes_has_its_search(tuned: Bench) -> None:
    section = """\
axes:
  tokenizer.patch: [8, 16]
search:
  space:
    tokenizer.channels: 4..64 x2
  objectives: [{maximize: rPSNR}, {minimize: gflops}]
  trials: 2
"""
    file = tuned.sweep(text=text(section, sampler="nsga2"), name="seek.yaml")
    done = tuned.cli("launch", file, "--scheduler", "inline")
    assert done.returncode == 0, done.stderr
    assert "seek: tokenizer.patch=8: 2 of 2 trials" in done.stdout
    for patch in (8, 16):
        found = study(tuned, f"seek: tokenizer.patch={patch}", "seek").trials
        assert len(found) == 2
        assert all(trial.user_attrs["point"].count(f"-p{patch}-") for trial in found)


def test_an_edited_file_keeps_what_it_still_means(tuned: Bench) -> None:
    file = tuned.sweep(text=text(sampler="grid", trials="3"), name="seek.yaml")
    assert tuned.cli("launch", file, "--scheduler", "inline").returncode == 0
    narrow = text(sampler="grid", trials="4").replace("4..64 x2", "[8, 16]")
    done = tuned.cli("launch", tuned.sweep(text=narrow, name="seek.yaml"), "--scheduler", "inline")
    assert done.returncode == 0, done.stderr
    assert "1 trials of other versions of the file are left out" in done.stderr
    values = [trial.params["tokenizer.channels"] for trial in study(tuned, "seek").trials]
    assert values == [8, 16, 8, 16]
    assert list(ends(tuned.root).values()) == [["finished"]] * 10
    assert "4 of 4 trials" in tuned.cli("status", "seek").stdout


def test_what_an_edit_leaves_out_is_not_the_best(tuned: Bench) -> None:
    """Where every trial that the file still means has ended, too."""
    wide = text(sampler="grid", trials="5").replace("[8, 16, 32]", "[16]")
    file = tuned.sweep(text=wide, name="seek.yaml")
    assert tuned.cli("launch", file, "--scheduler", "inline").returncode == 0
    tuned.sweep(text=wide.replace("4..64 x2", "[4, 8]"), name="seek.yaml")
    done = tuned.cli("launch", file, "--scheduler", "inline")
    assert done.returncode == 3, done.stderr
    assert "seek: 2 of 2 trials: 2 complete" in done.stdout
    assert "best so far: rPSNR on photos-tune -1 (" in done.stdout
    assert tuned.cli("db", "check").returncode == 0


def test_a_space_of_one_point_is_one_trial(tuned: Bench) -> None:
    alone = text().replace("[8, 16, 32]", "[16]").replace("4..64 x2", "[4]")
    done = tuned.cli("launch", tuned.sweep(text=alone, name="seek.yaml"), "--scheduler", "inline")
    assert done.returncode == 0, done.stderr
    assert params(tuned) == [{"tokenizer.patch": 16, "tokenizer.channels": 4}]


@pytest.mark.slow
def test_a_hopeless_trial_is_cancelled(bench: Bench) -> None:
    """Three trials end with what stubs end with; the fourth has a curve above theirs."""
    slow = "tokenizer-64x1-64x1-p8-c32-64p-s0"
    bench.behave(reconstruct=BEST, tokenizer={"steps": 6},
                 **{slow: {"steps": 400, "pause": 0.05, "loss": 5e9}})  # fmt: skip
    pruner = "{minimize: loss, after: 4}"
    file = bench.sweep(text=text(sampler="grid", trials="5", pruner=pruner), name="seek.yaml")
    done = bench.cli("launch", file)
    assert done.returncode == 0, done.stderr
    states = [trial.state for trial in study(bench, "seek").trials]
    assert states == [TrialState.COMPLETE] * 3 + [TrialState.PRUNED, TrialState.COMPLETE]
    assert "its best loss is" in done.stderr
    assert ends(bench.root)[bench.folder(slow).path.name] == ["preempted"]
    assert "4 complete, 1 pruned" in done.stdout
    assert bench.cli("launch", file).returncode == 3, "and stays so"
    assert bench.cli("db", "check").returncode == 0
