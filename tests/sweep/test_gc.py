"""`gc`: what goes, what stays whatever is asked, and that a resume and a child miss nothing."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from journalled import Lab, line
from stubbed import Bench, records

from sweep.gc import Garbage, Keep, delete, find
from sweep.journal import read_from
from sweep.launchlog import LaunchLog
from sweep.layout import JobFolder
from sweep.snapshot import code_identity
from sweep.spent import read_out, spent
from sweep.store import open_store, queries, sync
from sweep.store.check import check
from sweep.turns import turn
from vitok_core.errors import UserError

OLD = time.time() - 2 * 86_400


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "results")


def checkpoint(lab: Lab, job: str, attempt: int, name: str, content: str = "") -> Path:
    """A checkpoint with the record that its attempt makes of it."""
    data = (content or f"{job} {attempt} {name}").encode()
    path = lab.folder(job).checkpoints / str(attempt) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    relative = f"checkpoints/{attempt}/{name}"
    lab.write(job, attempt, line("checkpoint", step=1, path=relative, sha256=digest))
    return path


def finished(lab: Lab, job: str, attempt: int = 1, *results: bytes) -> None:
    lab.write(job, attempt, line("started", attempt=attempt), *results, line("finished", seconds=1))


def look(lab: Lab, keep: Keep = Keep.LAST, better: int = 0) -> list[Garbage]:
    store = open_store(lab.root)
    sync(store, lab.root)
    weights = spent(store, queries.facts(store), "rPSNR", better) if better else frozenset()
    return find(lab.root, store, None, keep, weights)


def names(found: list[Garbage], lab: Lab) -> set[str]:
    return {str(path.relative_to(lab.root.path)) for each in found for path in each.paths}


def left(folder: JobFolder) -> set[str]:
    return {f"{path.parent.name}/{path.name}" for path in folder.checkpoints.glob("*/*")}


def test_an_unfinished_job_resumes_from_what_is_left(bench: Bench) -> None:
    bench.behave(tokenizer={"steps": 8, "fail_at": 5})
    file = bench.sweep()
    only = ("--only", "p=16", "--scheduler", "inline")
    assert bench.cli("launch", file, *only).returncode == 4
    job = bench.folder("tokenizer")
    assert left(job) == {"1/step-000000002.pt", "1/step-000000004.pt"}
    done = bench.cli("gc", "--yes")
    assert done.returncode == 0, done.stderr
    assert left(job) == {"1/step-000000004.pt"}
    assert bench.cli("db", "check").returncode == 0
    bench.behave(tokenizer={"steps": 8})
    assert bench.cli("retry", job.id).returncode == 0
    again = bench.cli("launch", file, *only)
    assert again.returncode == 0, again.stderr
    (resumed,) = [each for each in records(job, 2) if each["event"] == "resumed"]
    assert (resumed["step"], resumed["path"]) == (4, "checkpoints/1/step-000000004.pt")


def test_behind_a_damaged_checkpoint_the_next_whole_one_stays(lab: Lab) -> None:
    lab.job("a")
    lab.write("a", 1, line("started", attempt=1))
    for step in (1, 2, 3):
        checkpoint(lab, "a", 1, f"step-00000000{step}.pt")
    lab.write("a", 1, line("failed", message="x", **{"class": "E"}))
    (lab.folder("a").checkpoints / "1" / "step-000000003.pt").write_bytes(b"cut")
    assert names(look(lab), lab) == {"jobs/p16-c4-a/checkpoints/1/step-000000001.pt"}
    (lab.folder("a").checkpoints / "1" / "step-000000002.pt").write_bytes(b"cut")
    assert look(lab) == []  # the last one is the only whole one


def test_milestones_stay_until_their_job_is_spent(lab: Lab) -> None:
    lab.job("a")
    lab.write("a", 1, line("started", attempt=1))
    for name in ("milestone-000000001.pt", "step-000000002.pt", "step-000000003.pt"):
        checkpoint(lab, "a", 1, name)
    lab.write("a", 1, line("failed", message="x", **{"class": "E"}))
    assert names(look(lab), lab) == {"jobs/p16-c4-a/checkpoints/1/step-000000002.pt"}
    checkpoint(lab, "a", 2, "final.pt")
    finished(lab, "a", 2)
    steps = {f"jobs/p16-c4-a/checkpoints/1/step-00000000{step}.pt" for step in (2, 3)}
    assert names(look(lab), lab) == steps
    store = open_store(lab.root)
    all_of_it = names(find(lab.root, store, None, Keep.LAST, spent={"a"}), lab)
    assert all_of_it == steps | {
        "jobs/p16-c4-a/checkpoints/1/milestone-000000001.pt",
        "jobs/p16-c4-a/checkpoints/2/final.pt",
    }


def test_the_second_look_reads_no_checkpoint_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.job("a")
    for step in (1, 2):
        checkpoint(lab, "a", 1, f"step-00000000{step}.pt")
    lab.write("a", 1, line("failed", message="x", **{"class": "E"}))
    found = look(lab)
    assert len(found) == 1
    monkeypatch.delattr(hashlib, "file_digest")
    assert look(lab) == found


def test_it_waits_for_a_launch_and_looks_again(bench: Bench) -> None:
    """What may go at first is in use by the time that the launch has ended."""
    bench.behave(tokenizer={"steps": 8, "fail_at": 5})
    bench.cli("launch", bench.sweep(), "--only", "p=16", "--scheduler", "inline")
    job = bench.folder("tokenizer")
    before = left(job)
    me = psutil.Process()
    with turn(bench.root, print):
        process = bench.start("gc", "--yes")
        said = ""
        assert process.stderr is not None
        while "is at work" not in said:
            said = process.stderr.readline()
            assert said, "it ended without waiting"
        alive = {"host": os.uname().nodename, "pid": me.pid, "pid_start": me.create_time()}
        (job.journals / "2.jsonl").write_bytes(line("started", time.time(), attempt=2, **alive))
    process.communicate(timeout=120)
    assert (process.returncode, left(job)) == (0, before)


def test_a_finished_job_keeps_its_final_weights(lab: Lab) -> None:
    lab.job("a")
    checkpoint(lab, "a", 1, "step-000000003.pt")
    checkpoint(lab, "a", 2, "step-000000004.pt")
    final = checkpoint(lab, "a", 2, "final.pt")
    checkpoint(lab, "a", 3, "final.pt")  # a duplicate finished too
    finished(lab, "a", 2)
    finished(lab, "a", 3)
    found = look(lab)
    delete(lab.root, found)
    assert left(lab.folder("a")) == {"2/final.pt"}
    (launch,) = lab.root.launches.glob("*.jsonl")
    (record,) = read_from(launch)[0]
    assert (record["event"], record["job"]) == ("gc", "a")
    assert set(record["paths"]) == names(found, lab)
    store = open_store(lab.root)
    sync(store, lab.root)
    assert check(store, lab.root) == []
    assert look(lab) == []
    final.write_bytes(b"cut")  # what is left of a damaged training is left alone
    checkpoint(lab, "a", 4, "step-000000004.pt")
    assert look(lab) == []


def test_what_may_be_at_work_is_left_alone(lab: Lab) -> None:
    me = psutil.Process()
    host = os.uname().nodename
    for job in ("running", "unknown", "killed"):
        lab.job(job)
        for step in (1, 2):
            checkpoint(lab, job, 1, f"step-00000000{step}.pt")
        temporary = lab.folder(job).checkpoints / "1" / ".step-000000003.pt.0.tmp"
        temporary.write_bytes(b"x")
        os.utime(temporary, (OLD, OLD))
    alive = {"host": host, "pid": me.pid, "pid_start": me.create_time()}
    lab.write("running", 1, line("started", attempt=1, **alive))
    lab.write("killed", 1, line("started", attempt=1, **{**alive, "pid_start": 1.0}))
    lab.write("unknown", 1, line("started", attempt=1, host="elsewhere", pid=1))
    for keep in (Keep.LAST, Keep.ALL):
        found = look(lab, keep)
        assert {each.job for each in found} == {"killed"}, found


def test_all_frees_only_what_crashes_left(lab: Lab) -> None:
    lab.job("a")
    for step in (1, 2):
        checkpoint(lab, "a", 1, f"step-00000000{step}.pt")
    lab.write("a", 1, line("started", attempt=1, code="ran"), line("failed", message="x"))
    artifacts = lab.folder("a").artifacts
    for place in (lab.root.path / "cache", artifacts, artifacts / "latents", lab.root.launches):
        place.mkdir(parents=True, exist_ok=True)
        for name, t in ((".old.1.tmp", OLD), (".new.2.tmp", time.time())):
            (place / name).write_bytes(b"x")
            os.utime(place / name, (t, t))
    for code, t in (("ran", OLD), ("unused", OLD), ("new", time.time()), (code_identity(), OLD)):
        folder = lab.root.code / code / "sweep"
        folder.mkdir(parents=True)
        (folder / "x.py").write_bytes(b"x" * 10)
        os.utime(folder.parent, (t, t))
    found = look(lab, Keep.ALL)
    assert names(found, lab) == {
        "cache/.old.1.tmp", "launches/.old.1.tmp", "jobs/p16-c4-a/artifacts/.old.1.tmp",
        "jobs/p16-c4-a/artifacts/latents/.old.1.tmp", "code/unused",
    }  # fmt: skip
    delete(lab.root, found)
    assert {path.name for path in lab.root.code.iterdir()} == {"ran", "new", code_identity()}
    lab.job("b")
    (lab.folder("b").claims / "1.json").write_text("{")  # unknown: it may be about to import one
    (lab.root.code / "unused").mkdir()
    os.utime(lab.root.code / "unused", (OLD, OLD))
    assert look(lab, Keep.ALL) == []


def test_copies_of_packages_go_with_the_last_job_that_ran_them(lab: Lab) -> None:
    """Those of a tokenizer stay for whoever loads it; those of what was never tried do not."""
    keys = {name: f"{number:012x}" for number, name in enumerate(("ran", "planned", "new", "none"))}
    for name in ("ran", "planned"):
        own = {"class": "mylab.tok:Build", "class_sha256": keys[name] * 5}
        lab.job(name, tokenizer=own)
    lab.write("ran", 1, line("started", attempt=1), line("failed", message="x"))
    for name, key in keys.items():
        folder = lab.root.plugins / key / "mylab"
        folder.mkdir(parents=True)
        (folder / "tok.py").write_bytes(b"x" * 10)
        t = time.time() if name == "new" else OLD
        os.utime(folder.parent, (t, t))
    found = look(lab, Keep.ALL)
    assert names(found, lab) == {f"plugins/{keys[name]}" for name in ("planned", "none")}
    (lab.folder("planned").claims / "1.json").write_text("{")  # unknown: it may be importing one
    assert look(lab, Keep.ALL) == []
    (lab.folder("planned").claims / "1.json").unlink()
    delete(lab.root, found)
    assert {path.name for path in lab.root.plugins.iterdir()} == {keys["ran"], keys["new"]}


def _scored_sweep(lab: Lab, **scores: dict[str, float]) -> None:
    """Tokenizers with a score for each data set; all of one sweep."""
    points = {}
    for token, of in scores.items():
        lab.job(token)
        checkpoint(lab, token, 1, "final.pt")
        finished(lab, token)
        children = []
        for dataset, value in of.items():
            child = f"{token}{dataset}"
            lab.job(child, token, kind="reconstruct", dataset=dataset)
            score = line("result", name="rPSNR", value=value, protocol="p")
            finished(lab, child, 1, score)
            children.append(child)
        points[f"point{token}"] = [token, *children]
    lab.sweep("s", points)


def test_best_keeps_the_best_of_each_data_set(lab: Lab) -> None:
    _scored_sweep(lab, a={"x": 20, "y": 31}, b={"x": 25, "y": 30}, c={"x": 24, "y": 29})
    assert names(look(lab, Keep.BEST, better=1), lab) == {"jobs/p16-c4-c/checkpoints/1/final.pt"}
    lower = names(look(lab, Keep.BEST, better=-1), lab)
    assert lower == {"jobs/p16-c4-b/checkpoints/1/final.pt"}  # a is lowest on x, c on y


def test_best_keeps_what_is_still_needed_or_not_compared(lab: Lab) -> None:
    _scored_sweep(lab, a={"x": 20}, b={"x": 25}, c={"x": 10}, d={"x": 5}, e={})
    lab.job("open", "c", kind="reconstruct", dataset="y")  # c has a child that is not done
    other = {"pointd": ["d"], "pointe": ["e"]}  # and nothing scores d in this other sweep
    lab.sweep("t", other, launch="v")
    found = look(lab, Keep.BEST, better=1)
    assert [(each.job, each.final) for each in found] == [("a", True)]
    store = open_store(lab.root)
    with pytest.raises(UserError, match=r"--by rFID: no finished job has this result"):
        spent(store, {}, "rFID", -1)


def test_best_frees_latents_whose_generators_are_done(lab: Lab) -> None:
    _scored_sweep(lab, a={"x": 20})
    for job in ("read", "needed", "unused", "open"):
        lab.job(job, "a", kind="latents")
        lab.folder(job).latents.mkdir(parents=True)
        (lab.folder(job).latents / "shard-00000.safetensors").write_bytes(b"codes")
        if job != "open":
            finished(lab, job)
    for child, parent in (("g1", "read"), ("g2", "read"), ("g3", "needed"), ("g4", "needed")):
        lab.job(child, parent, kind="generator")
        if child != "g4":
            finished(lab, child)
    store = lab.synced()
    facts = queries.facts(store)
    assert read_out(facts) == {"read"}
    found = find(lab.root, store, None, Keep.BEST, read_out(facts))
    assert [(each.job, each.kind, each.final, each.bytes) for each in found] == [
        ("read", "latents", True, 5)
    ]
    assert names(found, lab) == {"jobs/p16-c4-read/artifacts/latents"}
    assert find(lab.root, store, None, Keep.LAST) == []
    delete(lab.root, found)
    assert not lab.folder("read").latents.exists()
    assert lab.folder("read").artifacts.is_dir()
    assert find(lab.root, store, None, Keep.BEST, read_out(facts)) == []


@pytest.mark.slow
def test_as_typed(bench: Bench) -> None:
    """Away from a terminal nothing goes without --yes; then it does, and then nothing is left."""
    assert bench.cli("gc", "--results", "nowhere").returncode == 2
    bench.behave(tokenizer={"steps": 8, "fail_at": 7})
    bench.cli("launch", bench.sweep(), "--only", "p=16", "--scheduler", "inline")
    job = bench.folder("tokenizer")
    before = left(job)
    shown = bench.cli("gc")
    assert (shown.returncode, left(job)) == (0, before)
    assert job.path.name in shown.stdout
    assert "nothing was deleted: --yes" in shown.stderr
    listed = json.loads(bench.cli("gc", "stub", "--json").stdout)
    (row,) = listed["garbage"]
    assert (row["job"], row["state"], len(row["paths"])) == (job.id, "failed", len(before) - 1)
    assert bench.cli("gc", "--keep", "most").returncode == 2
    assert bench.cli("gc", "--keep", "best", "--by", "score").returncode == 2
    assert bench.cli("gc", "--keep", "all", "--yes").returncode == 3
    assert bench.cli("gc", "stub", "--yes").returncode == 0
    assert len(left(job)) == 1
    assert bench.cli("gc").returncode == 3


def test_on_a_full_disk_what_goes_makes_room_for_its_record(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.job("a")
    for step in (1, 2):
        checkpoint(lab, "a", 1, f"step-00000000{step}.pt")
    lab.write("a", 1, line("failed", message="x", **{"class": "E"}))
    found = look(lab)
    (old,) = [path for each in found for path in each.paths]
    write_all = LaunchLog.write_all

    def full(log: LaunchLog, event: str, records: Any) -> None:
        if old.exists():
            raise OSError(errno.ENOSPC, "No space left on device", "launches")
        write_all(log, event, records)

    monkeypatch.setattr(LaunchLog, "write_all", full)
    delete(lab.root, found)
    assert not old.exists()
    (record,) = [r for p in lab.root.launches.glob("*.jsonl") for r in read_from(p)[0]]
    assert record["paths"] == [old.relative_to(lab.root.path).as_posix()]
