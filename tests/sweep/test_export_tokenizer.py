"""`export --tokenizer` after a real training, and what docs/tokenizers.md shows."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from journalled import Lab, line
from typer.testing import CliRunner

import vitok_core
from sweep.cli import storing
from sweep.ranks.meeting import Spawned
from sweep.snapshot import code_identity
from sweep.stopping import Signals
from sweep.worker import Outcome, run_job
from vitok_core.errors import UserError

PAGE = Path(__file__).parent.parent.parent / "docs" / "tokenizers.md"
SLUG = "tokenizer-128x1-128x2-p8-c64-64p-s0"  # as on the page
TOWER = {"width": 24, "blocks": 1, "heads": 2}
CONFIG: dict[str, Any] = {
    "tokenizer": {"encoder": TOWER, "decoder": TOWER, "patch": 8, "channels": 4},
    "data": {"name": "photos-train", "resolution": 32},
    "train": {"steps": 2, "batch": 4, "base_lr": 0.1, "precision": "fp32"},
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Point p1 was trained; p2 was not yet, and its stage 2 hangs on its stage 1."""
    lab = Lab(tmp_path_factory.mktemp("lab") / "results")
    folder = lab.job("a", slug=SLUG, **CONFIG)
    with Spawned(signals := Signals()) as crew:
        assert run_job(folder, signals, crew) is Outcome.FINISHED
    lab.job("r", "a", kind="reconstruct", slug="reconstruct-p1")
    lab.job("b", slug="tokenizer-p2", **CONFIG)
    lab.job("f", "b", kind="finetune", slug="finetune-p2")
    lab.sweep("demo", {"p1": ["a", "r"], "p2": ["b", "f"], "new": ["n"]})
    known = {"id": "n", "kind": "tokenizer", "slug": "tokenizer-new", "parents": []}
    lab.launch("v", line("jobs", jobs=[known]))
    return lab


def run(lab: Lab, *arguments: str) -> str:
    app = typer.Typer()
    storing.register(app)
    result = CliRunner().invoke(app, [*arguments, "--results", str(lab.root.path)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_points_tokenizer_is_exported_with_its_origin(lab: Lab, tmp_path: Path) -> None:
    out = tmp_path / "out"
    printed = run(lab, "export", "--tokenizer", "slug-p1", "--out", str(out)).split()
    assert [Path(path).name for path in printed] == ["model.safetensors", "config.json"]
    document = json.loads((out / "config.json").read_text())
    folder = lab.folder("a", SLUG)
    summary = json.loads((folder.artifacts / "training.json").read_text())
    assert document["weights_sha256"] == summary["weights_sha256"]
    origin = document["origin"]
    assert (origin["job"], origin["slug"], origin["revision"]) == ("a", SLUG, 1)
    assert origin["checkpoint"] == "checkpoints/1/final.pt"
    assert origin["code"] == code_identity()
    assert "torch" in origin["packages"]
    assert [(each["name"], each["version"]) for each in origin["data"]] == [("photos-train", "1")]
    for place in (out, folder.path):
        loaded = vitok_core.load_tokenizer(place)
        assert loaded.weights_sha256 == summary["weights_sha256"]


def test_without_out_it_stands_in_the_results_root(lab: Lab) -> None:
    printed = run(lab, "export", "--tokenizer", "a").split()
    assert Path(printed[1]) == lab.root.path / "export" / f"{SLUG}-a" / "config.json"
    with pytest.raises(UserError, match="exists; --overwrite replaces it"):
        run(lab, "export", "--tokenizer", "a")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--tokenizer", "r"), "'r' trains no tokenizer; name a point"),
        (("--tokenizer", "demo"), "'demo' names several tokenizers: tokenizer-128x1"),
        (("--tokenizer", "p2"), r"finetune-p2-f: no whole final\.pt"),
        (("--tokenizer", "slug-p1", "--step", "1"), r"no whole milestone-000000001\.pt"),
        (("--tokenizer", "nothing"), "no job, point or sweep 'nothing'"),
        (("--tokenizer", "a", "--view", "points"), "takes neither --format nor --view"),
        (("--step", "3"), "say which with --tokenizer"),
    ],
)
def test_what_is_no_tokenizer(lab: Lab, tmp_path: Path, arguments: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(lab, "export", *arguments, "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_the_page_does_what_it_says(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its command makes the folder that its Python opens; nothing else is prepared."""
    monkeypatch.chdir(tmp_path)
    pieces = re.findall(r"^```(\w*)\n(.*?)^```", PAGE.read_text("utf-8"), re.S | re.M)
    (command,) = [shlex.split(text) for kind, text in pieces if kind == ""]
    assert command[0] == "vitok-sweep"
    run(lab, *command[1:])
    scope: dict[str, Any] = {}
    for kind, text in pieces:
        if kind == "python":
            exec(text, scope)
    assert 5 < scope["psnr"] < 60
    assert scope["picture"].size == (scope["photo"].width, scope["photo"].height)
    assert scope["photo"].width != scope["photo"].height
