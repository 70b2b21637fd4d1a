"""The sbatch script, golden: `golden/*.sh`. After a change that is meant, read the difference and
write them anew with `GOLDEN=write`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from stubbed import ODD, resources

from sweep.layout import Root
from sweep.model import Resources
from sweep.schedulers.slurm.batches import Batch, Member
from sweep.schedulers.slurm.script import refused_option, script
from sweep.schedulers.slurm.settings import SlurmSettings

GOLDEN = Path(__file__).parent / "golden"
FULL = {
    "partition": "gpu", "account": "lab", "qos": "long", "gres": "gpu:h100:1",
    "constraint": "ib&h100", "setup": ("module load cuda", "export HF_HOME='/big disk'"),
    "container": "apptainer exec --nv /images/vitok.sif", "gpus": 1, "threads": 8,
    "memory_gb": 60.5, "hours": 36.5,
}  # fmt: skip
SITE = {"python": "/opt/my env/bin/python", "throttle": 4, "signal_seconds": 120}


def batch(root: Path, tasks: tuple[int, ...] = (0,), **fields: Any) -> Batch:
    given: dict[str, Any] = {
        "folder": Root(root).slurm / "0001-ab", "tag": "tokenizer+reconstruct@0001-ab", "t": 0.0,
        "host": "here", "user": "me", "resources": resources(), "node": None,
        "tasks": {index: (Member(f"s{index}", ("job",)),) for index in tasks}, **fields,
    }  # fmt: skip
    return Batch(**given)


def settings(**fields: Any) -> SlurmSettings:
    return SlurmSettings.model_validate({**SITE, **fields})


CASES: dict[str, tuple[Batch, SlurmSettings, Resources, str | None]] = {
    "small": (batch(Path("/results")), settings(throttle=None), resources(), None),
    "full": (
        batch(Path("/shared") / ODD, (0, 1, 2, 7)),
        settings(options={"mail-type": "FAIL", "reservation": "july", "overcommit": True,
                          "contiguous": False}, kill_on_invalid_dependency=True),
        resources(**FULL),
        "aftercorr:12:13",
    ),
    "whole_node": (
        batch(Path("/results"), (0, 1),
              node=settings(node={"gpus": 8, "threads": 96, "memory_gb": 900}).node),
        settings(node={"gpus": 8, "threads": 96, "memory_gb": 900}),
        resources(gpus=1, threads=12, hours=0.001),
        "afterok:12_0:12_1",
    ),
    "several_nodes": (
        batch(Path("/results"), (0, 1)), settings(),
        resources(nodes=2, gpus=8, threads=12, memory_gb=900, hours=48), None,
    ),
    "processes_of_a_whole_node": (
        batch(Path("/results"), node=settings(node={"gpus": 8, "threads": 96,
                                                    "memory_gb": 900}).node),
        settings(node={"gpus": 8, "threads": 96, "memory_gb": 900}),
        resources(gpus=4, threads=12), None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_script_is_as_it_was(name: str) -> None:
    given, site, asked, needs = CASES[name]
    text = script(given, site, asked, Path("/results/code/0123 x"), needs)
    path = GOLDEN / f"{name}.sh"
    if os.environ.get("GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()
    subprocess.run(["bash", "-n", path], check=True)


def test_the_job_sees_the_frozen_code_first_and_its_own_threads(tmp_path: Path) -> None:
    """Run by bash, with an `srun` that shows what the job would see."""
    root = tmp_path / ODD
    given, code = batch(root), root / "code" / "0123"
    given.folder.mkdir(parents=True)
    tools = tmp_path / "tools"
    tools.mkdir()
    show = 'echo "$OMP_NUM_THREADS|$PYTHONPATH"; printf "%s\\n" "$@"'
    (tools / "srun").write_text(f"#!/bin/bash\n{show}\n")
    (tools / "srun").chmod(0o755)
    path = tmp_path / "script.sh"
    asked = resources(threads=3, setup=("export OMP_NUM_THREADS=64 PYTHONPATH=/theirs",))
    path.write_text(script(given, settings(), asked, code, None))
    done = subprocess.run(
        ["bash", str(path)], capture_output=True, text=True, check=True,
        env={"PATH": f"{tools}:/usr/bin:/bin"},
    )  # fmt: skip
    first, *arguments = done.stdout.splitlines()
    assert first == f"3|{code}:/theirs"
    assert arguments[-5:] == ["/opt/my env/bin/python", "-u", "-m", "sweep.schedulers.slurm.task",
                              str(given.folder)]  # fmt: skip


def test_a_warning_before_python_listens_to_it_does_not_end_the_task(tmp_path: Path) -> None:
    """Run by bash, with an `srun` that starts one task, and a Python that is warned at once."""
    given = batch(tmp_path)
    given.folder.mkdir(parents=True)
    skip = 'while [ "${1#--}" != "$1" ]; do shift; done'
    for name, does in {"srun": f'{skip}; exec "$@"', "python": "kill -USR2 $$; echo $3"}.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{does}\n")
        (tmp_path / name).chmod(0o755)
    python = settings(python=str(tmp_path / "python"))
    done = subprocess.run(
        ["bash"], input=script(given, python, resources(), tmp_path, None), capture_output=True,
        text=True, check=False, env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
    )  # fmt: skip
    assert done.stdout == "sweep.schedulers.slurm.task\n"


@pytest.mark.parametrize(
    ("option", "advice"),
    [("array", "leave it out"), ("job_name", "leave it out"), ("--time", "resources.hours"),
     ("partition", "resources.partition"), ("nodes", "resources.nodes"),
     ("mem", "resources.memory_gb"),
     ("export", "leave it out"), ("clusters", "leave it out")],
)  # fmt: skip
def test_options_that_are_ours_are_refused(option: str, advice: str) -> None:
    reason = refused_option(settings(options={option: "1"}))
    assert reason is not None
    assert option in reason
    assert advice in reason


@pytest.mark.parametrize(
    "given", [{"comment": "a\n#SBATCH --array=0"}, {"comment\n#SBATCH --x": 1}, {"comment": "\x1b"}]
)
def test_an_option_is_one_line(given: dict[str, Any]) -> None:
    """Another line would be another option, or a command."""
    reason = refused_option(settings(options=given))
    assert reason is not None
    assert "slurm.options." in reason
    assert reason.isprintable()


@pytest.mark.parametrize(("hours", "seconds"), [(0.01, 30), (0.05, 90), (1, 120), (24, 120)])
def test_a_short_job_is_not_warned_before_half_of_its_time(hours: float, seconds: int) -> None:
    """Slurm would warn it as soon as it has begun, and requeue it for ever."""
    text = script(batch(Path("/r")), settings(), resources(hours=hours), Path("/c"), None)
    assert f"#SBATCH --signal=USR2@{seconds}\n" in text


def test_other_options_are_taken() -> None:
    assert refused_option(settings(options={"mail-type": "FAIL", "reservation": "x"})) is None
