"""Limits of a site, whole nodes, and running inside of an allocation."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections import Counter

import pytest
from desk import SITE, Desk
from stubbed import SWEEP, wait_until

pytestmark = pytest.mark.slurm

TOKENIZER = "tokenizer-64x1-64x1-p8"


def test_waves_where_the_site_limits_what_may_queue(desk: Desk) -> None:
    """A QOS of ten jobs at most; twelve to submit, without and with a watch."""
    desk.site.write_text(SITE.replace("hours: 1", "hours: 1, qos: small"))
    text = SWEEP.replace("[8, 16]", "[4, 8, 16, 32]").replace("channels: 4", "channels: 8")
    done = desk.launch(desk.bench.sweep(text=text), "--no-watch")
    assert done.returncode == 0, done.stderr
    assert "later wave" in done.stderr
    assert desk.states()["planned"] == 2
    watched = desk.launch(desk.bench.sweep(text=text))
    assert watched.returncode == 0, watched.stderr
    assert desk.states() == {"done": 12}
    assert desk.ended() == dict.fromkeys(desk.weights(), 1)


def test_a_throttle(desk: Desk) -> None:
    desk.bench.behave(all={"steps": 30, "pause": 0.02})
    text = SWEEP.replace("[8, 16]", "[4, 8, 16, 32]").replace("channels: 4", "channels: 8")
    only = text.replace("  - reconstruct: [photos-tune]\n  - floor: [photos-tune]\n", "")
    done = desk.launch(desk.bench.sweep(text=only), "--jobs", "1")
    assert done.returncode == 0, done.stderr
    events = [record["event"] for record in desk.bench.trace()]
    assert events == ["began", "ended"] * 4


def test_jobs_share_a_whole_node(desk: Desk) -> None:
    """Where nodes are handed out whole, one-GPU jobs are packed, each with a GPU of its own."""
    desk.site.write_text(
        "scheduler: slurm\n"
        "resources: {default: {memory_gb: 0.2, hours: 1, gpus: 1}}\n"
        "slurm: {node: {gpus: 2, threads: 8, memory_gb: 8}}\n"
    )
    desk.bench.behave(all={"steps": 60, "pause": 0.02})
    done = desk.launch(desk.bench.sweep())
    assert done.returncode == 0, done.stderr
    assert desk.states() == {"done": 6}
    assert sorted(len(batch["tasks"]) for batch in desk.batches()) == [1, 1, 1]
    began = [record for record in desk.bench.trace("began") if record["kind"] == "tokenizer"]
    assert Counter(record["cuda"] for record in began) == {"0": 1, "1": 1}
    assert len({record["pid"] for record in began}) == 2
    spans = {
        event: [r["t"] for r in desk.bench.trace(event) if r["kind"] == "tokenizer"]
        for event in ("began", "ended")
    }
    assert max(spans["began"]) < min(spans["ended"])  # side by side


def test_inside_of_an_allocation_the_allocation_is_the_machine(desk: Desk) -> None:
    """The default is `local` there, with the allocation's cores."""
    desk.site.write_text("resources: {default: {memory_gb: 0.2, hours: 1}}\n")
    file = desk.bench.sweep()
    log = desk.bench.root.path.parent / "launch.log"
    command = (
        f"{shlex.quote(sys.executable)} -c 'from sweep.cli.app import main; main()' launch "
        f"{shlex.quote(file)} --yes > {shlex.quote(str(log))} 2>&1"
    )
    env = {**os.environ, **desk.env, "PYTHONPATH": str(desk.bench.code),
           "PYTHONSAFEPATH": "1", "VITOK_RESULTS": str(desk.bench.root.path)}  # fmt: skip
    done = subprocess.run(["srun", "-n1", "-c2", "--mem=1000", "bash", "-c", command],
                          env=env, timeout=180, check=False, capture_output=True)  # fmt: skip
    assert done.returncode == 0, (log.read_text(), done.stderr)
    assert desk.states() == {"done": 6}
    kinds = desk.bench.trace("began")
    assert len(kinds) == 6
    assert not desk.bench.root.slurm.exists()


def test_why_says_what_slurm_waits_for(desk: Desk) -> None:
    desk.site.write_text(SITE.replace("hours: 1", "hours: 1, threads: 8"))
    blockers = [desk.cluster.submit("--exclusive") for _ in range(3)]
    try:
        desk.cluster.wait_running("wrap", 3)
        assert desk.launch(desk.bench.sweep(), "--no-watch").returncode == 0
        wait_until(lambda: re.search("Resources|Priority", desk.cli("why", TOKENIZER).stdout), 60)
        assert "Dependency" in desk.cli("why", "reconstruct-64x1-64x1-p8").stdout
        job = desk.job(TOKENIZER)["scheduler_id"]
        desk.cluster.run("scontrol", "hold", job)
        wait_until(lambda: "held" in desk.cli("why", TOKENIZER).stdout.lower(), 60)
        desk.cluster.run("scontrol", "release", job)
    finally:
        desk.cluster.run("scancel", *blockers)
    desk.wait(done=6)
