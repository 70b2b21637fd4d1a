"""kill -9 of anything at any moment: launch again, and in the end all is done and nothing lost."""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
import time
from pathlib import Path

import psutil
import pytest
from stubbed import PACKAGES, Bench, ends, wait_until

STEPS = 16
ROUNDS = [
    pytest.param(3, id="few", marks=pytest.mark.slow),
    pytest.param(40, id="many", marks=pytest.mark.longest),
]
ONE_TOKENIZER = """\
extends: protocols/image_64p_photos.yaml
tokenizer: {patch: 32, channels: 4}
train: {steps: 40}
stages:
  - train: stage1
resources:
  tokenizer: {checkpoint_every: 5}
"""


def expected_weights() -> str:
    """What an undisturbed stub ends with."""
    value = ""
    for step in range(STEPS):
        value = hashlib.sha256(f"{value}{step}".encode()).hexdigest()
    return value


def journalled(bench: Bench) -> set[tuple[str, int, str, str, str]]:
    """All complete rows of metrics and results, read without the product's reader."""
    rows = set()
    for path in bench.root.jobs.glob("*/journal/*.jsonl"):
        job = path.parent.parent.name.rpartition("-")[2]
        for line in path.read_bytes().split(b"\n")[:-1]:
            record = json.loads(line)
            if record["event"] in ("metric", "result"):
                where = str(record["step"]) if record["event"] == "metric" else record["protocol"]
                rows.add((job, int(path.stem), record["name"], where, str(record["value"])))
    return rows


def indexed(bench: Bench) -> set[tuple[str, int, str, str, str]]:
    with sqlite3.connect(bench.root.path / "results.db") as connection:
        rows = connection.execute(
            "SELECT job_id, attempt, name, CAST(step AS TEXT), value FROM metrics UNION ALL "
            "SELECT job_id, attempt, name, protocol, value FROM results"
        )
        return {(*row[:4], str(row[4])) for row in rows}


def kill_some(processes: list[psutil.Process], dice: random.Random) -> None:
    for process in dice.sample(processes, min(len(processes), dice.randint(1, 3))):
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


def finish(bench: Bench, *launch: str) -> None:
    """Launch until nothing is to be done."""
    for _ in range(8):
        done = bench.cli("launch", *launch)
        if done.returncode == 3:
            return
        assert done.returncode in (0, 4), done.stderr
    raise AssertionError(done.stderr)


@pytest.mark.parametrize(
    ("rounds", "chain"),
    [
        pytest.param(3, False, id="few", marks=pytest.mark.slow),
        pytest.param(12, True, id="some-chained", marks=pytest.mark.slow),
        pytest.param(40, False, id="many", marks=pytest.mark.longest),
        pytest.param(40, True, id="many-chained", marks=pytest.mark.longest),
    ],
)
def test_killing_anything_at_random(bench: Bench, rounds: int, chain: bool) -> None:
    dice = random.Random(rounds + chain)
    bench.behave(all={"steps": STEPS, "pause": 0.04})
    launch = (bench.sweep(chain), "-j", "2")
    seen: set[tuple[str, int, str, str, str]] = set()
    for _ in range(rounds):
        launcher = bench.start("launch", *launch)
        time.sleep(dice.uniform(0.3, 2.0))
        kill_some([psutil.Process(launcher.pid), *bench.processes()], dice)
        time.sleep(dice.uniform(0.0, 0.3))
        launcher.kill()
        launcher.communicate()
        assert seen <= journalled(bench)
        seen = journalled(bench)
    finish(bench, *launch)
    found = ends(bench.root)
    assert len(found) == 6
    assert [attempts.count("finished") for attempts in found.values()] == [1] * 6
    weights = {path.read_text() for path in bench.root.jobs.glob("*/artifacts/weights.txt")}
    assert weights == {expected_weights()}
    assert seen <= journalled(bench) == indexed(bench)
    assert bench.cli("db", "check").returncode == 0


@pytest.mark.parametrize("rounds", ROUNDS)
def test_killing_the_launcher_at_random(bench: Bench, rounds: int) -> None:
    """Its jobs go on, and no job is ever started twice."""
    dice = random.Random(rounds)
    bench.behave(all={"steps": 6, "pause": 0.02})
    file = bench.sweep()
    for _ in range(rounds):
        launcher = bench.start("launch", file, "-j", "2", "--no-watch")
        time.sleep(dice.uniform(0.3, 1.2))
        launcher.kill()
        launcher.communicate()
    finish(bench, file, "-j", "2")
    assert list(ends(bench.root).values()) == [["finished"]] * 6
    assert bench.cli("db", "check").returncode == 0


def trained(bench: Bench) -> dict[str, object]:
    path = bench.folder("tokenizer").artifacts / "training.json"
    return dict(json.loads(path.read_text()))


@pytest.mark.longest
def test_a_real_tokenizer_ends_with_the_same_weights(tmp_path: Path) -> None:
    """Killed several times, once while a checkpoint is being written."""
    (tmp_path / "protocols").symlink_to(PACKAGES / "sweeps" / "protocols")
    file = tmp_path / "one.yaml"
    file.write_text(ONE_TOKENIZER)
    calm, rough = (Bench(tmp_path / name / "results", PACKAGES) for name in ("calm", "rough"))
    try:
        assert calm.cli("launch", str(file)).returncode == 0
        kills = 0
        for writing in (True, False, False, True):
            assert rough.cli("launch", str(file), "--no-watch").returncode in (0, 3)
            before = len(list(rough.root.jobs.glob("*/checkpoints/*/*.pt")))

            def due(writing: bool = writing, before: int = before) -> bool:
                if list(rough.root.jobs.glob("*/artifacts/training.json")):
                    return True
                if writing:
                    return bool(list(rough.root.jobs.glob("*/checkpoints/*/.*.tmp")))
                return len(list(rough.root.jobs.glob("*/checkpoints/*/*.pt"))) > before

            began = time.monotonic()
            while not due():
                assert time.monotonic() - began < 120
            for task in rough.tasks():
                task.kill()
                kills += 1
            rough.wait_idle()
        finish(rough, str(file))
        attempts = next(iter(ends(rough.root).values()))
        assert kills >= 2
        assert len(attempts) >= 3
        assert attempts[-1] == "finished"
        one, other = trained(calm), trained(rough)
        hashes = [name for name in one if "sha256" in name or "hash" in name]
        assert hashes
        assert {name: one[name] for name in hashes} == {name: other[name] for name in hashes}
        wait_until(lambda: not rough.tasks())
    finally:
        calm.kill_all()
        rough.kill_all()
