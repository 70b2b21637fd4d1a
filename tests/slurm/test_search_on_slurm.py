"""A search on a real Slurm: trials at once, one pruned by scancel, the controller killed."""

from __future__ import annotations

import pytest
from desk import Desk
from optuna.trial import TrialState
from searches import params, study, text, trials
from stubbed import wait_until

pytestmark = pytest.mark.slurm


def test_a_search_prunes_is_killed_and_goes_on(desk: Desk) -> None:
    slow = "tokenizer-64x1-64x1-p8-c32-64p-s0"
    desk.bench.behave(
        reconstruct={"best": [16, 16]},
        **{slow: {"steps": 4000, "pause": 0.05, "loss": 5e9}},
    )
    pruner = "{minimize: loss, after: 2}"
    options = {"sampler": "grid", "trials": "5", "parallel": "2", "pruner": pruner}
    file = desk.bench.sweep(text=text(**options), name="seek.yaml")
    controller = desk.start("launch", file, "--yes")
    wait_until(lambda: len(trials(desk.bench)) >= 3, 120)
    controller.kill()
    controller.communicate()
    done = desk.launch(file)
    assert done.returncode == 0, done.stderr
    states = [trial.state for trial in study(desk.bench, "seek").trials]
    assert states == [TrialState.COMPLETE] * 3 + [TrialState.PRUNED, TrialState.COMPLETE]
    assert [each["tokenizer.channels"] for each in params(desk.bench)] == [4, 8, 16, 32, 64]
    wait_until(lambda: desk.job(slow)["state"] == "cancelled", 60)
    desk.check()
    assert desk.launch(file).returncode == 3
