"""Somebody else's tokenizer, loss, metric and data set in a sweep: the example of the docs, run."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from borrowed import Lab, write_lab

from sweep.layout import JobFolder, Root
from sweep.model import Plan
from sweep.planning import counting
from sweep.planning.plan import plan_file
from sweep.snapshot import freeze_plugins
from sweep.worker import Worker
from vitok_core import plugins
from vitok_core.data.sources import check_version, data_set
from vitok_core.errors import UserError


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The package on the path of this process too, with a cache of its own and no counting."""
    made = write_lab(tmp_path / "lab")
    monkeypatch.syspath_prepend(str(made.folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def count(asked: Sequence[Any]) -> list[dict[str, int]]:
        counts = {"parameters": 1_000_000, "encoder_macs": 500_000_000, "decoder_macs": 10**9}
        return [counts for _ in asked]

    monkeypatch.setattr(counting, "_count", count)
    return made


def plan(lab: Lab, *sets: str) -> Plan:
    return plan_file(str(lab.sweep), sets)


def ids(made: Plan) -> dict[str, str]:
    """Job ids by the end of their slugs."""
    return {job.slug.rpartition("-s0")[2].strip("-") or job.kind: job.id for job in made.jobs}


def test_the_example_is_as_short_as_promised(lab: Lab) -> None:
    for module in ("tok", "losses", "metrics", "data"):
        lines = [line for line in lab.source(module).read_text().splitlines() if line.strip()]
        assert len(lines) - 1 <= 20, module  # the first line says the file's name


def test_what_a_plan_says_of_it(lab: Lab) -> None:
    made = plan(lab)
    (point,) = made.points
    assert point.slug == "mylab-tok-Build-128x1-128x2-p8-c4-64p-s0"
    assert (point.L, point.E) == (64, 256)
    assert (point.params_m, point.gflops) == (1.0, 1.5)
    tokenizer = point.config["tokenizer"]
    assert tokenizer["class"] == "mylab.tok:Build"
    (loss,) = point.config["loss"]["extra"]
    assert (loss["name"], loss["weight"]) == ("mylab-edges", 0.1)
    assert loss["code"] == "mylab.losses:edges"
    assert len(loss["sha256"]) == 64
    assert loss["sha256"] == tokenizer["class_sha256"]
    stripes = next(job for job in made.jobs if job.config.get("dataset") == "mylab-stripes")
    assert stripes.config["version"] == f"1.0+{loss['sha256'][:12]}"
    assert json.loads(json.dumps(made.document))["tokenizer"]["class"] == "mylab.tok:Build"


def test_the_source_is_in_the_identity(lab: Lab) -> None:
    first = ids(plan(lab))
    assert ids(plan(lab)) == first
    (lab.folder / "mylab" / "notes.txt").write_text("no Python")
    assert ids(plan(lab)) == first
    lab.edit("losses", "mean()", "mean() * 1.0")
    second = ids(plan(lab))
    assert set(second) == set(first)
    assert not set(second.values()) & set(first.values())
    lab.edit("losses", "mean() * 1.0", "mean()")
    assert ids(plan(lab)) == first


def test_a_point_without_it_does_not_know_of_it(lab: Lab) -> None:
    """Ours beside theirs, as an axis; an edit of theirs moves no point of ours."""
    sweep = lab.sweep.read_text()
    sweep = sweep.replace("class: mylab.tok:Build, ", "").replace("{mylab-edges: 0.1}", "{}")
    sweep = sweep.replace("axes:\n", "axes:\n  tokenizer.class: [null, mylab.tok:Build]\n")
    lab.sweep.write_text(sweep)
    ours, theirs = plan(lab).points
    assert "class" not in ours.config["tokenizer"]
    assert "extra" not in ours.config["loss"]
    assert theirs.config["tokenizer"]["class"] == "mylab.tok:Build"
    lab.edit("tok", "nn.SiLU()", "nn.GELU()")
    again = plan(lab).points
    assert (again[0].id, again[1].id == theirs.id) == (ours.id, False)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("tokenizer.class=mylab.tok:Biuld", "has no 'Biuld'; did you mean mylab.tok:Build?"),
        ("tokenizer.class=mylab.tko:Build", "there is no module 'mylab.tko'"),
        ("tokenizer.class=mylab", "expected MODULE:NAME"),
        ("tokenizer.class=sweep.model:Plan", "is no package of yours"),
        ("tokenizer.class_sha256=abc", "is filled in when the sweep is planned; leave it out"),
        ("tokenizer.init=pca", "class goes with variant: simple and init: standard"),
        ("loss.extra={mylab-egdes: 1}", "unknown loss 'mylab-egdes'; did you mean mylab-edges?"),
        ("loss.extra={mylab-edges: much}", "expected its weight, a number, got 'much'"),
        ("loss.extra=[mylab-edges]", "expected a mapping of losses to weights"),
        ("evaluation.extra=[sharpness]", "did you mean mylab-sharpness?"),
        ("evaluation.extra=[rFID]", "'rFID' is a metric of ours"),
        ("data.name=mylab-strips", "did you mean mylab-stripes?"),
    ],
)
def test_mistakes(lab: Lab, override: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        plan(lab, override)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_class_that_cannot_be_counted_is_planned(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "_count", lambda asked: [{"error": "No: not so"}] * len(asked))
    made = plan(lab)
    assert (made.points[0].params_m, made.points[0].gflops) == (None, None)
    (note,) = made.notes
    assert "mylab.tok:Build could not be counted" in note
    assert "No: not so" in note


def test_a_source_that_changed_since_the_plan_is_not_frozen(lab: Lab, tmp_path: Path) -> None:
    made, root = plan(lab), Root(tmp_path / "results")
    lab.edit("tok", "SiLU", "GELU")
    with pytest.raises(UserError, match="has changed since this was planned; launch again"):
        freeze_plugins(root, made.jobs)
    assert not list(root.plugins.glob("*"))


def test_data_of_another_version_are_refused(lab: Lab) -> None:
    planned = data_set("mylab-stripes").version
    check_version("mylab-stripes", planned)
    lab.edit("data", "120 * ", "100 * ")
    with pytest.raises(UserError, match=f"was planned with version {re.escape(planned)}, here"):
        check_version("mylab-stripes", planned)


def test_weights_start_from_the_seed(lab: Lab) -> None:
    """Whatever torch's generator was at; and what is no tokenizer is refused in one line."""
    import torch

    from vitok_core.config import TokenizerJob
    from vitok_core.training.setup import initial_model

    (point,) = plan(lab).points

    def start(**changes: Any) -> Any:
        torch.rand(1)
        config = TokenizerJob.model_validate({**point.config, **changes})
        return initial_model(config, None)  # type: ignore[arg-type]

    with plugins.activated([lab.folder]):
        first, again, other = start(), start(), start(seed=1)
        assert torch.equal(first.down[0].weight, again.down[0].weight)
        assert not torch.equal(first.down[0].weight, other.down[0].weight)
        lab.edit("data", "self, path)", "self, *path)")
        tokenizer = {**point.config["tokenizer"], "class": "mylab.data:Stripes"}
        tokenizer["class_sha256"] = plugins.source_sha256("mylab")
        with pytest.raises(UserError, match=r"mylab.data:Stripes must derive from .*AutoEncoder"):
            start(tokenizer=tokenizer)


def test_a_missing_package_is_one_line_and_exit_2(lab: Lab) -> None:
    lab.sweep.write_text("\n".join(
        line for line in lab.sweep.read_text().splitlines()
        if not line.startswith(("loss", "evaluation"))
    ).replace(", mylab-stripes", ""))  # fmt: skip
    done = lab.cli("plan", "mine.yaml", path="")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: mine.yaml:3: tokenizer.class: there is no package 'mylab'")
    assert "PYTHONPATH" in line


@pytest.mark.slow
def test_from_the_sweep_file_to_the_database(lab: Lab) -> None:
    done = lab.cli("launch", "mine.yaml", "--scheduler", "inline")
    assert done.returncode == 0, done.stderr
    (point,) = json.loads(lab.cli("plan", "mine.yaml", "--json").stdout)["points"]
    # By hand: two convolutions of the patch and two of 3x3 for 64 tokens.
    d, c, values = 128, 4, 3 * 8 * 8
    macs = 64 * (values * d + 9 * d * 2 * c + 9 * c * d + d * values)
    assert point["gflops"] == pytest.approx(macs / 1e9)
    weights = 2 * values * d + 9 * d * 2 * c + 9 * c * d
    assert point["params_m"] == pytest.approx((weights + d + 2 * c + d + 3) / 1e6)

    query = "SELECT dataset, metric, protocol, value FROM point_metrics ORDER BY dataset, metric"
    rows = json.loads(lab.cli("query", query, "--json").stdout)
    scores = {(row["dataset"], row["metric"]): row for row in rows}
    assert {data for data, _ in scores} == {"photos-tune", "mylab-stripes"}
    for data in ("photos-tune", "mylab-stripes"):
        found = scores[data, "mylab-sharpness"]
        assert 0 < found["value"] < 10
        assert found["protocol"].startswith("mylab.metrics:sharpness 1.0, source ")
        assert f"N=16; {data}@" in found["protocol"]
        assert (data, "rPSNR") in scores
    (trained,) = (lab.folder / "results" / "jobs").glob("tokenizer-*/journal/1.jsonl")
    records = [json.loads(line) for line in trained.read_text().splitlines()]
    points = [record for record in records if record["event"] == "metric"]
    curve = [point["value"] for point in points if point["name"] == "loss_mylab-edges"]
    assert len(curve) == 20
    assert curve[-1] < curve[0]
    assert lab.cli("db", "check").returncode == 0


def test_edits_do_not_reach_what_is_queued(lab: Lab, tmp_path: Path) -> None:
    made, root = plan(lab, "train.steps=1"), Root(tmp_path / "results")
    freeze_plugins(root, made.jobs)
    job = next(job for job in made.jobs if job.kind == "tokenizer")
    folders = [root.job_folder(f"{job.slug}{number}", job.id) for number in (1, 2)]
    for folder in folders:
        folder.path.mkdir(parents=True)
        folder.spec.write_text(json.dumps(job.spec()))
    lab.edit("tok", "def encode(self, x):", "def encode(self, y):")  # would not run
    assert worked(folders[0]) == "finished"
    shutil.rmtree(root.plugins)
    assert worked(folders[1]) == "failed"
    *_, failed = folders[1].journals.joinpath("1.jsonl").read_text().splitlines()
    failure = json.loads(failed)
    assert failure["user"] is True
    assert ": its source has sha256" in failure["message"]
    assert not [name for name in sys.modules if name.partition(".")[0] == "mylab"]


def worked(folder: JobFolder) -> str:
    """The outcome of a worker on one job."""
    return Worker((str(folder.path),))()[folder.path.name]
