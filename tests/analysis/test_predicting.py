"""`predict`, `plan --predict` and `status --check` on the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer
from synthetic import quickstart, write_root
from typer.testing import CliRunner

import analysis
from analysis.predict import Expectation, Prediction, Query
from analysis.predict import predict as expect
from sweep.cli import jobs, planning, predicting

ASKED = ("predict", "--encoder", "S", "--decoder", "B", "--patch", "16", "--channels", "24")
HERE = ("--source", "db", "--results")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished quickstart, one run of which scored far too low."""
    made = quickstart(datasets=("photos-heldout",), seeds=(0, 1))
    wrong = (pl.col("point_id") == "cfg-p16c16-s1") & (pl.col("metric") == "rPSNR")
    value = pl.when(wrong).then(pl.col("value") - 4).otherwise("value")
    scored = made.point_metrics.with_columns(value=value)
    return write_root(tmp_path_factory.mktemp("results"), replace(made, point_metrics=scored))


def invoke(*arguments: object) -> Any:
    app = typer.Typer()
    app.callback()(lambda: None)
    for module in (predicting, planning, jobs):
        module.register(app)
    return CliRunner().invoke(app, [*map(str, arguments)])


def test_json_is_the_python_predictions() -> None:
    document = json.loads(invoke(*ASKED, "--json").stdout)
    found = expect(analysis.load_published(), Query("S", "B", 16, 24))
    assert document["predictions"] == [each.record() for each in found]
    assert document["query"]["E"] == 256 * 24
    assert document["source"] == "published"
    (one,) = json.loads(invoke(*ASKED, "--metric", "rIS", "--json").stdout)["predictions"]
    assert (one["metric"], one["dataset"]) == ("rIS", "imagenet1k")


def test_text_has_a_line_per_prediction_and_warns_on_stderr() -> None:
    done = invoke(*ASKED, "--dataset", "imagenet1k", "--resolution", 1024)
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("imagenet1k")]
    assert [line[1] for line in lines] == ["rFID", "rIS", "rSSIM", "rPSNR"]
    for line in lines:
        expected, low, high = map(float, line[2:5])
        assert low < expected < high
    assert "published: ViTok" in done.stdout
    assert "warning: extrapolation: imagenet1k: resolution 1024 lies outside" in done.stderr


def test_own_results_are_a_source(root: Path) -> None:
    own = ("predict", "--encoder", "w128b2h4", "--decoder", "w128b4h4", "--patch", 16,
           "--channels", 24, "--resolution", 64, *HERE, root, "--json")  # fmt: skip
    document = json.loads(invoke(*own).stdout)
    assert {each["dataset"] for each in document["predictions"]} == {"photos-heldout"}
    assert {each["source"] for each in document["predictions"]} == {"db"}


def test_what_all_points_share_is_the_default(root: Path) -> None:
    own = ("predict", "--encoder", "w128b2h4", "--decoder", "w128b4h4", "--patch", 16,
           "--channels", 24, *HERE, root, "--json")  # fmt: skip
    done = invoke(*own)
    assert json.loads(done.stdout)["query"]["resolution"] == 64
    assert f"note: resolution 64, as all points of {root} have" in done.stderr
    assert json.loads(invoke(*own, "--resolution", 64).stdout) == json.loads(done.stdout)
    other = invoke(*own, "--resolution", 256)
    assert "every point has resolution 64" in str(other.exception)
    paper = invoke(*ASKED, "--json")  # which has several of each
    assert json.loads(paper.stdout)["query"]["resolution"] == 256
    assert "as all points" not in paper.stderr


def test_bad_input_is_an_error() -> None:
    assert "does not divide" in str(invoke(*ASKED, "--resolution", 250).exception)
    assert "unknown size" in str(invoke(*ASKED, "--encoder", "XL").exception)
    assert invoke(*ASKED[:-2]).exit_code == 2


def test_a_plan_shows_what_to_expect() -> None:
    asked = ("plan", "bottleneck_256p", "--only", "p=16,c=16,seed=0")
    done = invoke(*asked, "--predict")
    lines = done.stdout.splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("Expected"))
    assert "rFID imagenet1k" in lines[at + 1]
    document = json.loads(invoke(*asked, "--predict", "--json").stdout)
    (point,) = document["points"]
    found = expect(analysis.load_published(), Query("S", "B", 16, 16))
    shown = point["expected"]["predictions"]
    assert [each["metric"] for each in shown] == [each.metric for each in found]
    for ours, theirs in zip(shown, found, strict=True):
        # Our formula counts 43.316 M where Table 1 prints 43.3; sizes go by their names.
        assert ours["expected"] == pytest.approx(theirs.expected, rel=1e-9)
    without = json.loads(invoke(*asked, "--json").stdout)
    assert "expected" not in without["points"][0]


def test_a_plan_far_from_all_points_is_marked() -> None:
    done = invoke("plan", "quickstart", "--predict", "--only", "p=16,c=16,seed=0")
    heading, row, remark = done.stdout.partition("Expected")[2].splitlines()[1:4]
    assert heading.split()[:3] == ["point", "rFID", "imagenet1k"]
    assert row.count(")*") == 4  # 64p lies far from 256p: every metric is marked
    assert remark.startswith("* extrapolated")


def test_status_flags_the_spoilt_run(root: Path) -> None:
    document = json.loads(
        invoke("status", "quickstart", "--check", "--json", "--results", root).stdout
    )["check"]
    assert document["scores"] == 5 * 30
    (one,) = (each for each in document["outside"] if each["metric"] == "rPSNR")
    assert one["point_id"] == "cfg-p16c16-s1"
    text = invoke("status", "--check", "--results", root).stdout
    lines = text.splitlines()
    at = next(n for n, line in enumerate(lines) if "of 150 scores fall outside" in line)
    assert lines[at].startswith(f"{len(document['outside'])} of 150")
    assert at <= 4  # not behind a list of what is done
    assert lines[at - 1] == ""
    assert one["job_id"] in text
    # Held are the jobs that are shown, against the whole sweep.
    alone = invoke("status", one["job_id"], "--check", "--json", "--results", root).stdout
    held = json.loads(alone)["check"]
    assert held["scores"] == 5
    assert one in held["outside"]


def test_plain_status_reads_no_analysis(root: Path) -> None:
    assert "check" not in json.loads(invoke("status", "--json", "--results", root).stdout)


def test_nothing_to_check_is_no_error(tmp_path: Path) -> None:
    done = invoke("status", "--check", "--results", tmp_path)
    assert done.exit_code == 0
    assert "0 of 0 scores" in done.stdout


def test_numbers_of_two_protocols_have_columns_of_their_own() -> None:
    one = Prediction("rPSNR", "photos", "this way", "L2", "db", 20.0, 19.0, 21.0, 9)
    other = replace(one, protocol="that way", expected=40.0, low=39.0, high=41.0)
    plain = predicting.expected_table({"p": Expectation((one,), ())}, 5)
    assert plain == [["point", "rPSNR photos"], ["p", "20 (19..21)"]]
    told = predicting.expected_table({"p": Expectation((one, other), ())}, 5)
    assert told == [
        ["point", "rPSNR photos [a]", "rPSNR photos [b]"],
        ["p", "20 (19..21)", "40 (39..41)"],
    ]
