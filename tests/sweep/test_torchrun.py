"""Jobs that torchrun starts by hand: its processes run one attempt together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from stubbed import PACKAGES, Bench, events, records, resources

from sweep.claims import claim
from sweep.layout import JobFolder
from sweep.ranks import meeting
from sweep.ranks.channel import listen
from sweep.ranks.meeting import Arriving, find_rank0
from sweep.ranks.place import Place, of_slurm, of_torchrun
from sweep.stopping import Signals
from vitok_core.errors import UserError
from vitok_core.training.trained import load_model

ENVIRON = {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "n1",
           "MASTER_PORT": "29500", "TORCHELASTIC_RUN_ID": "none",
           "TORCHELASTIC_RESTART_COUNT": "0"}  # fmt: skip


def environ(bench: Bench, **more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(bench.code), "PYTHONSAFEPATH": "1",
            "OMP_NUM_THREADS": "1", "VITOK_RESULTS": str(bench.root.path), **more}  # fmt: skip


def two(bench: Bench, *command: str) -> tuple[int, str]:
    """Two processes of this command, as torchrun starts them; the exit code of rank 0, and the
    words of both. Where rank 0 ends badly, the other is told to end, as torchrun does."""
    with listen(only_here=True) as door:
        port = str(door.getsockname()[1])  # held, as by torchrun's agent
        first, second = (
            subprocess.Popen(
                [sys.executable, *command], text=True, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environ(bench, **ENVIRON | {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2",
                            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}),
            )
            for rank in "01"
        )  # fmt: skip
        said, _ = first.communicate(timeout=60)
        if first.returncode:
            second.terminate()
        return first.returncode, said + second.communicate(timeout=20)[0]


def began(bench: Bench) -> list[tuple[str, int, int, int]]:
    return sorted((each["job"].partition("-")[0], each["rank"], each["size"], each["attempt"])
                  for each in bench.trace("began"))  # fmt: skip


def test_its_processes_are_one_attempt(bench: Bench) -> None:
    """As many as it was told, whatever the resources say; a kind that runs as one leaves them
    waiting."""
    alone, shared = bench.job("alone"), bench.job("shared", kind="tokenizer")
    command = ("-m", "sweep.worker", str(alone.path), str(shared.path))
    code, said = two(bench, *command)
    assert code == 0, said
    assert began(bench) == [("alone", 0, 1, 1), ("shared", 0, 2, 1), ("shared", 1, 2, 1)]
    for folder, world in ((alone, 1), (shared, 2)):
        assert [path.name for path in folder.journals.iterdir()] == ["1.jsonl"]
        assert records(folder)[0]["world"] == world
        assert events(folder)[-1] == "finished"
    code, said = two(bench, *command)
    assert (code, said.count("already done\n")) == (0, 4)  # of each on stdout and in the log


def test_what_fails_in_one_of_them_fails_the_job(bench: Bench) -> None:
    folder = bench.job("shared", kind="tokenizer")
    bench.behave(all={"steps": 20}, rank1={"fail_at": 2, "message": "no room"})
    assert two(bench, "-m", "sweep.worker", str(folder.path))[0] == 4
    assert records(folder)[-1]["event"] == "failed"
    assert records(folder)[-1]["message"].endswith("no room")


def test_a_job_that_began_as_another_number_is_refused(bench: Bench) -> None:
    folder = bench.job("shared", kind="tokenizer")
    claim(folder, {"resources": resources(processes=3).model_dump()})
    bench.behave(all={"steps": 5, "fail_at": 3})
    command = ("-m", "sweep.worker", str(folder.path))
    subprocess.run([sys.executable, *command], env=environ(bench), timeout=60, check=False)
    assert "checkpoint" in events(folder)
    bench.behave()
    assert two(bench, *command)[0] == 4
    assert "began as 3 processes and would go on as 2" in records(folder, 2)[-1]["message"]


def test_the_command_line_shares_its_door(bench: Bench) -> None:
    """And where it ends before it opens, nobody stays behind."""
    file = bench.sweep()
    bench.behave(tokenizer={"fail_at": 1})
    bench.cli("launch", file, "--scheduler", "inline", "--only", "p=8")
    folder = bench.folder("tokenizer")
    bench.behave()
    run = ("-c", "from sweep.cli.app import main; main()", "run")
    code, said = two(bench, *run, folder.slug)
    assert code == 0, said
    assert records(folder, 2)[0]["world"] == 2
    assert len(list(folder.journals.iterdir())) == 2
    code, said = two(bench, *run, "nowhere")
    assert (code, said.count("nowhere")) == (2, 1)


@pytest.mark.slow
def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    """With the true torchrun and the true job functions."""
    bench = Bench(tmp_path / "results", PACKAGES)
    one, both = (bench.job(slug, kind="tokenizer") for slug in ("one", "two"))
    for folder in (one, both):
        spec = json.loads(folder.spec.read_text())
        spec["config"]["train"] |= {"steps": 8, "precision": "fp32"}
        spec["config"]["data"] |= {"resolution": 16}
        folder.spec.write_text(json.dumps(spec))
    torchrun = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m")
    for launcher, folder in ((torchrun, both), ((), one)):
        done = subprocess.run(
            [sys.executable, "-m", *launcher, "sweep.worker", str(folder.path)],
            env=environ(bench), timeout=120, check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert [path.name for path in both.journals.iterdir()] == ["1.jsonl"]
    assert (records(one)[0]["world"], records(both)[0]["world"]) == (1, 2)
    assert curve(both) == pytest.approx(curve(one), rel=1e-5)
    ours, theirs = load_model(both.path), load_model(one.path)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        # Adam's steps have the size of the rate whatever the gradient's: compare loosely.
        torch.testing.assert_close(mine, other, atol=1e-4, rtol=1e-3)


def curve(folder: JobFolder) -> list[float]:
    return [each["value"] for each in records(folder)
            if each["event"] == "metric" and each["name"] == "loss"]  # fmt: skip


def test_the_place_that_torchrun_says() -> None:
    """The ports are beside the one that its agent holds; a restart is another meeting."""
    place = of_torchrun(ENVIRON)
    assert place is not None
    assert (place.rank, place.local, place.tasks, place.host) == (3, 1, 4, "n1")
    assert place.ports == [29501, 29502, 29503, 29504]
    high = of_torchrun({**ENVIRON, "MASTER_PORT": "65534"})
    assert high is not None
    assert high.ports == [65533, 65532, 65531, 65530]
    for changed in ("MASTER_ADDR", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT"):
        other = of_torchrun({**ENVIRON, changed: "7"})
        assert other is not None
        assert other.token != place.token


@pytest.mark.parametrize("lacks", [name for name in ENVIRON if "ELASTIC" not in name])
def test_one_process_is_no_torchrun(lacks: str) -> None:
    assert of_torchrun({name: ENVIRON[name] for name in ENVIRON if name != lacks}) is None
    assert of_torchrun({**ENVIRON, "WORLD_SIZE": "1"}) is None
    assert of_slurm(ENVIRON) is None


def test_who_does_not_come_is_missed_when_a_job_needs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meeting, "_PATIENCE", 0.1)
    here = Place(0, 0, 2, "localhost", [0], "word", fixed=True)
    missed = pytest.raises(meeting.PeerDied, match=r"ranks \[1\] did not come")
    with Arriving(Signals(), here) as crew, missed, crew.together(2, {}, lambda why: None):
        pass


def test_a_peer_that_is_told_to_end_does_not_wait_for_rank_0() -> None:
    signals = Signals()
    signals.heard([15])
    place = Place(1, 1, 2, "localhost", [9], "word")
    with pytest.raises(UserError, match="rank 0 was not found"):
        find_rank0(place, signals)


def test_the_place_that_slurm_says() -> None:
    """A requeued run is another meeting; two jobs in a row share no port."""
    task = {"SLURM_NTASKS": "16", "SLURM_JOB_ID": "15", "SLURM_PROCID": "9", "SLURM_LOCALID": "1",
            "SLURM_LAUNCH_NODE_IPADDR": "10.0.0.7"}  # fmt: skip
    place = of_slurm(task)
    assert place == Place(9, 1, 16, "10.0.0.7", [12060, 12061, 12062, 12063], "15.0")
    again = of_slurm({**task, "SLURM_RESTART_COUNT": "1"})
    other = of_slurm({**task, "SLURM_JOB_ID": "16"})
    assert again is not None
    assert other is not None
    assert again.token != place.token
    assert not set(other.ports) & set(place.ports)
    assert of_slurm({**task, "SLURM_NTASKS": "1"}) is None
