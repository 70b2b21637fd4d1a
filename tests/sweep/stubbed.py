"""Results roots whose jobs are stubs (`stubs/jobs.py`), and the command line over them."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

from sweep.journal import read_from
from sweep.launchlog import new_uid
from sweep.layout import JobFolder, Root
from sweep.model import Resources
from sweep.schedulers.base import Submission
from sweep.schedulers.queue import Queue
from vitok_core.kinds import KINDS

HERE = Path(__file__).parent
PACKAGES = HERE.parent.parent
ODD = "odd näme 雪 'q' $x"  # for folders: quoting must survive it

SWEEP = """\
sizes:
  T: {width: 64, blocks: 1, heads: 2}
tokenizer: {size: T-T, channels: 4}
data: {name: photos-train, resolution: 64}
train: {steps: 20, batch: 4}
axes:
  tokenizer.patch: [8, 16]
stages:
  - train: stage1
  - reconstruct: [photos-tune]
  - floor: [photos-tune]
resources:
  default: {threads: 1, memory_gb: 0.1, checkpoint_every: 2, chain: CHAIN}
"""


def copy_packages(target: Path) -> Path:
    """The packages without photographs, with the stubs for job functions."""
    for name in ("sweep", "vitok_core"):
        ignore = shutil.ignore_patterns("__pycache__", "*.jpg")
        shutil.copytree(PACKAGES / name, target / name, ignore=ignore)
    shutil.copy2(HERE / "stubs" / "jobs.py", target / "vitok_core" / "jobs.py")
    return target


def stub_functions() -> dict[str, Callable[..., None]]:
    """The stub job functions by kind, for this process."""
    names = runpy.run_path(str(HERE / "stubs" / "jobs.py"))
    return {kind: names[kind] for kind in KINDS if kind in names}


def resources(**fields: Any) -> Resources:
    return Resources.model_validate({"memory_gb": 0.1, "checkpoint_every": 2, **fields})


class Bench:
    """A results root with stub jobs, made by hand, and processes that the test must not leave."""

    def __init__(self, path: Path, code: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.root = Root(path)
        self.code = code
        self.uid = new_uid()
        self._submissions = 0
        self._commands: list[subprocess.Popen[str]] = []

    def behave(self, **behaviours: Mapping[str, Any]) -> None:
        """By slug, kind, or `all`."""
        if "all" in behaviours:
            behaviours["*"] = behaviours.pop("all")
        folder = self.root.path / "stub"
        folder.mkdir(exist_ok=True)
        new = folder / "behaviour.new"
        new.write_text(json.dumps(behaviours))
        new.replace(folder / "behaviour.json")  # jobs that begin just now read it

    def release(self) -> None:
        """Let the jobs that are `held` end."""
        (self.root.path / "stub" / "released").touch()

    def job(self, slug: str, *parents: JobFolder, kind: str = "floor") -> JobFolder:
        """A job's folder with its job.json; every kind of config is a valid one."""
        number = sum(1 for _ in self.root.jobs.iterdir()) if self.root.jobs.exists() else 0
        folder = self.root.job_folder(slug, f"{number:012x}")
        folder.path.mkdir(parents=True)
        data = {"name": "photos-train", "resolution": 64}
        tower = {"width": 64, "blocks": 1, "heads": 2}
        configs = {
            "floor": {"patch": 8, "channels": 4, "data": data, "dataset": "photos-tune"},
            "reconstruct": {"dataset": "photos-tune", "resolution": 64},
            "tokenizer": {
                "tokenizer": {"encoder": tower, "decoder": tower, "patch": 8, "channels": 4},
                "data": data,
                "train": {"steps": 20, "batch": 4},
            },
        }
        spec = {"id": folder.id, "kind": kind, "revision": 1, "slug": slug,
                "config": configs[kind], "parents": [parent.id for parent in parents]}  # fmt: skip
        folder.spec.write_text(json.dumps(spec))
        return folder

    def submission(self, *folders: JobFolder, after: tuple[JobFolder, ...] = (),
                   **fields: Any) -> Submission:  # fmt: skip
        self._submissions += 1
        paths = tuple(folder.path for folder in folders)
        waits = tuple(folder.path for folder in after)
        return Submission(f"{self.uid}.{self._submissions}", paths, waits, resources(**fields))

    def trace(self, event: str | None = None) -> list[dict[str, Any]]:
        path = self.root.path / "stub" / "trace.jsonl"
        records = (
            [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        )
        return [record for record in records if event in (None, record["event"])]

    def order(self) -> list[str]:
        """Slugs of jobs in the order in which they ended."""
        return [record["job"].rpartition("-")[0] for record in self.trace("ended")]

    def cli(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command of the copied packages over this root, and wait for its end."""
        process = self.start(*arguments, **options)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def start(self, *arguments: str, cwd: Path | None = None, **env: str) -> subprocess.Popen[str]:
        """Start a command of the copied packages over this root."""
        process = subprocess.Popen(
            [sys.executable, "-c", "from sweep.cli.app import main; main()", *arguments],
            cwd=cwd or self.root.path.parent,
            env={**os.environ, "PYTHONPATH": str(self.code), "PYTHONSAFEPATH": "1",
                 "VITOK_RESULTS": str(self.root.path), "COLUMNS": "200", **env},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._commands.append(process)
        return process

    def sweep(self, chain: bool = False, text: str = SWEEP, name: str = "stub.yaml") -> str:
        """A sweep file beside the results: two points, six jobs."""
        path = self.root.path.parent / name
        path.write_text(text.replace("CHAIN", str(chain).lower()))
        return str(path)

    def folder(self, start: str) -> JobFolder:
        """The one launched job whose slug starts so."""
        (found,) = [each for each in self.launched() if each.slug.startswith(start)]
        return found

    def launched(self) -> list[JobFolder]:
        """The jobs that were ever claimed; the others of their sweeps have no more than a spec."""
        return [each for each in self.root.job_folders().values() if each.claims.exists()]

    def processes(self, module: str | None = None) -> list[psutil.Process]:
        """Every process that names this root: supervisors, controllers, tasks; or of one module."""
        found = []
        for process in psutil.process_iter():
            try:
                command = process.cmdline()  # asked once: it may end at any moment
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            named = any(str(self.root.path) in argument for argument in command)
            if named and (module is None or module in command):
                found.append(process)
        return [process for process in found if process.pid != os.getpid()]

    def supervisors(self) -> list[psutil.Process]:
        return self.processes("sweep.schedulers.supervisor")

    def supervisor(self) -> psutil.Process:
        """The one supervisor. A child that it forks looks like a second one for a moment."""
        wait_until(lambda: len(self.supervisors()) == 1)
        return self.supervisors()[0]

    def tasks(self) -> list[psutil.Process]:
        return self.processes("submitit.core._submit")

    def controllers(self) -> list[psutil.Process]:
        return self.processes("submitit.local._local")

    def kill_all(self) -> None:
        for command in self._commands:  # first: one that watches starts a new supervisor
            command.kill()
            command.wait()
        for _ in range(5):  # a supervisor may be starting one meanwhile
            for process in self.processes():
                with_signal(process, signal.SIGKILL)

    def wait_idle(self, seconds: float = 40.0) -> None:
        """Until the queue is empty."""
        wait_until(lambda: not Queue(self.root).entries(), seconds)


def with_signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def wait_until(holds: Callable[[], object], seconds: float = 30.0) -> float:
    """Wait for a condition; the seconds that it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, "waited in vain"
        time.sleep(0.02)
    return time.monotonic() - began


def records(folder: JobFolder, attempt: int = 1) -> list[dict[str, Any]]:
    return read_from(folder.journals / f"{attempt}.jsonl")[0]


def events(folder: JobFolder, attempt: int = 1) -> list[str]:
    return [record["event"] for record in records(folder, attempt)]


def ends(root: Root) -> dict[str, list[str]]:
    """The last event of every attempt, by job folder name: read without the store.

    "nothing" of one that was killed before its first whole line.
    """
    found: dict[str, list[str]] = {}
    for folder in root.job_folders().values():
        paths = sorted(folder.journals.glob("*.jsonl"), key=lambda path: int(path.stem))
        found[folder.path.name] = [last_event(path) for path in paths]
    return found


def last_event(path: Path) -> str:
    whole = path.read_bytes().split(b"\n")[:-1]
    return str(json.loads(whole[-1])["event"]) if whole else "nothing"
