"""`adopt`: weights from elsewhere as a planned stage 1, and everything that is refused."""

from __future__ import annotations

import errno
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from journalled import rows
from safetensors.torch import save_file
from stubbed import SWEEP, Bench, events, records
from sweepfiles import write

from sweep.adopt import adopt, planned
from sweep.layout import Root
from sweep.model import Plan
from sweep.planning.plan import full_config, plan_file
from sweep.reconcile import JobState, State
from sweep.status import Observed
from sweep.store import Store, open_store, sync
from vitok_core import load_tokenizer
from vitok_core.config import TokenizerJob
from vitok_core.errors import UserError
from vitok_core.models.build import build_tokenizer
from vitok_core.models.initialise import init_standard
from vitok_core.tokenizers import export_tokenizer
from vitok_core.training.adopted import Adoptable
from vitok_core.training.checkpoint import config_sha256, save_checkpoint, weights_hash

INLINE = ("--scheduler", "inline")
TEXT = SWEEP.replace("CHAIN", "true")


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return plan_file(write(tmp_path, TEXT, "stub.yaml"))


@pytest.fixture
def root(tmp_path: Path) -> Root:
    (tmp_path / "results").mkdir()
    return Root(tmp_path / "results")


@pytest.fixture
def store(root: Root) -> Store:
    return open_store(root)


def trained(folder: Path, plan: Plan, name: str = "p16", **changed: Any) -> Path:
    """A `final.pt` as the training of a point leaves it, with drawn weights."""
    config = full_config("tokenizer", planned(plan, point(plan, name)).config)
    assert isinstance(config, TokenizerJob)
    model = build_tokenizer(config.tokenizer, config.data.frames, config.data.resolution)
    init_standard(model, torch.Generator().manual_seed(1))
    weights = model.state_dict()
    folder.mkdir(exist_ok=True)
    state = {
        "model": weights,
        "step": config.train.steps,
        "config": config.model_dump(mode="json"),
        "config_sha256": config_sha256(config),
        "weights_sha256": weights_hash(weights),
    }
    save_checkpoint(folder / "final.pt", {**state, **changed})
    return folder / "final.pt"


def point(plan: Plan, part: str) -> str:
    (found,) = [each.id for each in plan.points if f"-{part}-" in f"-{each.slug}-"]
    return found


def quiet(line: str) -> None:
    pass


def test_a_checkpoint_becomes_the_result(
    tmp_path: Path, plan: Plan, root: Root, store: Store
) -> None:
    source = trained(tmp_path / "elsewhere", plan)
    folder, found = adopt(planned(plan, point(plan, "p16")), source, root, store, quiet)
    assert events(folder) == ["started", "adopted", "checkpoint", "finished"]
    told = records(folder)[1]
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert (told["source"], told["sha256"]) == (str(source), digest)
    assert (told["form"], found.form) == ("checkpoint", "checkpoint")
    checkpoint = folder.path / records(folder)[2]["path"]
    assert hashlib.sha256(checkpoint.read_bytes()).hexdigest() == records(folder)[2]["sha256"]
    ours, theirs = load_tokenizer(folder.path), load_tokenizer(source)
    assert ours.weights_sha256 == theirs.weights_sha256 == told["weights_sha256"]
    assert not list(checkpoint.parent.glob(".*"))


@pytest.mark.parametrize("form", ["safetensors", "pt", "nested", "half", "export", "folder"])
def test_what_may_be_adopted(
    form: str, tmp_path: Path, plan: Plan, root: Root, store: Store
) -> None:
    source = trained(tmp_path / "elsewhere", plan)
    weights = load_tokenizer(source).model.state_dict()
    file = tmp_path / "weights"
    if form == "safetensors":
        save_file(weights, file := file.with_suffix(".safetensors"))
    elif form in ("pt", "nested", "half"):
        weights = {k: v.half() for k, v in weights.items()} if form == "half" else weights
        torch.save({"state_dict": weights, "epoch": 3} if form == "nested" else weights, file)
    elif form == "export":
        export_tokenizer(source, file)
    else:
        (file / "checkpoints" / "2").mkdir(parents=True)
        source.rename(file / "checkpoints" / "2" / "final.pt")
    folder, found = adopt(planned(plan, point(plan, "p16")), file, root, store, quiet)
    expected = {"export": "export", "folder": "checkpoint"}.get(form, "weights")
    assert found.form == expected
    adopted = load_tokenizer(folder.path).model.state_dict()
    assert all(torch.equal(adopted[k], v.float()) for k, v in weights.items())


def test_what_does_not_fit_is_refused_and_leaves_nothing(
    tmp_path: Path, plan: Plan, root: Root, store: Store
) -> None:
    job = planned(plan, point(plan, "p16"))
    weights = load_tokenizer(trained(tmp_path / "good", plan)).model.state_dict()
    name = next(iter(weights))
    bad: dict[str, Any] = {
        f"no {name}": {k: v for k, v in weights.items() if k != name},
        "unknown extra": {**weights, "extra": torch.zeros(1)},
        f"{name} is .*, planned": {**weights, name: torch.zeros(3)},
        f"{name} is not finite": {**weights, name: torch.full_like(weights[name], torch.nan)},
        f"{name} is not fini": {**weights, name: torch.full_like(weights[name].double(), 1e300)},
        "expected tensors by name": {"model": [1, 2]},
    }
    before = sorted(root.path.rglob("*"))
    for words, content in bad.items():
        torch.save(content, tmp_path / "bad.pt")
        with pytest.raises(UserError, match=words):
            adopt(job, tmp_path / "bad.pt", root, store, quiet)
    (tmp_path / "text.pt").write_text("no checkpoint")
    for source, words in (
        (trained(tmp_path / "other", plan, "p8"), "tokenizer.patch is 8, planned 16"),
        (trained(tmp_path / "short", plan, step=7), "unfinished, 7 of 20 steps"),
        (tmp_path / "text.pt", "cannot read it"),
        (tmp_path / "none.pt", "no such file"),
    ):
        with pytest.raises(UserError, match=words):
            adopt(job, source, root, store, quiet)
    assert sorted(root.path.rglob("*")) == before


class Evil:
    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self._mark,))


def test_a_pickle_that_runs_code_is_refused(
    tmp_path: Path, plan: Plan, root: Root, store: Store
) -> None:
    torch.save({"model": Evil(tmp_path / "ran")}, tmp_path / "evil.pt")
    with pytest.raises(
        UserError, match=r"weights_only=True.* more than tensors by name"
    ) as refused:
        adopt(planned(plan, point(plan, "p16")), tmp_path / "evil.pt", root, store, quiet)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "ran").exists()


def test_a_disk_without_room_is_left_without_an_attempt(
    tmp_path: Path, plan: Plan, root: Root, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = trained(tmp_path / "elsewhere", plan)
    job = planned(plan, point(plan, "p16"))

    def full(self: Adoptable, path: Path) -> None:
        path.write_bytes(b"torn")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(Adoptable, "save", full)
        with pytest.raises(OSError, match="No space"):
            adopt(job, source, root, store, quiet)
    (folder,) = root.job_folders().values()
    assert [path.name for path in folder.path.rglob("*") if path.is_file()] == ["job.json"]
    adopt(job, source, root, store, quiet)
    assert events(folder) == ["started", "adopted", "checkpoint", "finished"]


def test_names_of_no_stage_1_are_refused(plan: Plan) -> None:
    with pytest.raises(UserError, match="no job, point or sweep 'nosuch'"):
        planned(plan, "nosuch")
    floor = next(job for job in plan.jobs if job.kind == "floor")
    with pytest.raises(UserError, match="names no stage 1"):
        planned(plan, floor.id)
    with pytest.raises(UserError, match="'stub' names 2 stage 1; name one point"):
        planned(plan, "stub")


def test_as_typed_and_then_launched(bench: Bench, tmp_path: Path, plan: Plan) -> None:
    file = bench.sweep(chain=True)
    name = point(plan, "p16")
    source = trained(tmp_path / "elsewhere", plan)
    done = bench.cli("adopt", str(source), "--as", name, "--sweep", file)
    assert done.returncode == 0, done.stderr
    folder = bench.root.path.parent / done.stdout.strip()
    (folder / "artifacts").mkdir()
    (folder / "artifacts" / "weights.txt").touch()  # what stubs look for in a parent
    again = bench.cli("adopt", str(source), "--as", name, "--sweep", file)
    assert again.returncode == 2
    assert f"has a result already: adopted from {source}" in again.stderr

    launched = bench.cli("launch", file, *INLINE)
    assert launched.returncode == 0, launched.stderr
    assert sorted(slug.partition("-")[0] for slug in bench.order()) == [
        "floor", "floor", "reconstruct", "reconstruct", "tokenizer",
    ]  # fmt: skip
    jobs = json.loads(bench.cli("status", "--json").stdout)["jobs"]
    (adopted,) = [job for job in jobs if job["adopted"]]
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert adopted["adopted"] == f"{source} (sha256 {digest[:12]}…)"
    assert (adopted["state"], adopted["attempts"]) == ("done", 1)
    assert f"adopted from {source}" in bench.cli("status", "--all").stdout
    assert f"Adopted from {source}" in bench.cli("why", adopted["id"]).stdout
    assert bench.cli("db", "check").returncode == 0
    trained_here = bench.cli("adopt", str(source), "--as", point(plan, "p8"))
    assert "has a result already: attempt 1 finished" in trained_here.stderr


def test_a_running_job_is_left_alone(bench: Bench, tmp_path: Path, plan: Plan) -> None:
    bench.behave(tokenizer={"held": True})
    file = bench.sweep()
    assert bench.cli("launch", file, "--no-watch", "--only", "p=16").returncode == 0
    source = trained(tmp_path / "elsewhere", plan)
    done = bench.cli("adopt", str(source), "--as", point(plan, "p16"))
    assert done.returncode == 2
    assert "vitok-sweep cancel" in done.stderr
    bench.release()
    bench.wait_idle()


@pytest.mark.parametrize("state", list(State))
def test_only_what_can_not_be_at_work_is_replaced(
    state: State, tmp_path: Path, plan: Plan, root: Root, store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    job = planned(plan, point(plan, "p16"))
    seen = Observed({}, {}, {job.id: JobState(state, "so it is")})
    monkeypatch.setattr("sweep.adopt.observe", lambda *given: seen)
    idle = (State.PLANNED, State.BLOCKED, State.FAILED, State.CANCELLED, State.LOST)
    expected = "no such file" if state in idle else "so it is"  # it comes to read the weights
    with pytest.raises(UserError, match=expected):
        adopt(job, tmp_path / "none.pt", root, store, quiet)


@pytest.mark.longest
def test_it_scores_as_where_it_was_trained(tmp_path: Path) -> None:
    """The true jobs: trained in one root, adopted in another."""
    file = write(tmp_path, TEXT.replace("[8, 16]", "[16]"), "true.yaml")
    here, there = tmp_path / "here", tmp_path / "there"
    assert command("launch", file, "--results", there, *INLINE) == 0
    (source,) = (there / "jobs").glob("tokenizer-*")
    assert command("adopt", source, "--as", source.name, "--sweep", file, "--results", here) == 0
    assert command("launch", file, "--results", here, *INLINE) == 0
    found = [scores(Root(each)) for each in (here, there)]
    assert found[0] == found[1] != []


def command(*arguments: str | Path) -> int:
    code = "from sweep.cli.app import main; main()"
    return subprocess.run([sys.executable, "-c", code, *arguments], check=False).returncode


def scores(root: Root) -> list[tuple[Any, ...]]:
    store = open_store(root)
    sync(store, root)
    return rows(store, "SELECT job_id, name, protocol, value FROM canonical_results ORDER BY 1, 2")
