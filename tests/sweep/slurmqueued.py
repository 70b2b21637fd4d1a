"""One submission in the played Slurm (`slurmfake.py`), and what is said of it."""

from __future__ import annotations

import json

from slurmfake import Fake
from stubbed import Bench

from sweep.schedulers.base import Liveness, Report, Submission
from sweep.schedulers.slurm.scheduler import SlurmScheduler

WAITING, RUNNING, GONE = Liveness.WAITING, Liveness.RUNNING, Liveness.GONE


class Queued:
    """One submission that Slurm took, and what it is asked about it."""

    def __init__(self, bench: Bench, fake: Fake) -> None:
        self.fake = fake
        self.root = bench.root
        self.submission: Submission = bench.submission(bench.job("one"))
        made = SlurmScheduler(bench.root, code=bench.code)
        self.ids = made.submit([self.submission])
        (self.batch,) = bench.root.slurm.iterdir()
        self.tag = json.loads((self.batch / "batch.json").read_text())["tag"]

    def report(self, recorded: bool = True) -> Report:
        """What a new process is told; not recorded: its launcher knows no id."""
        if not recorded:
            (self.batch / "id").unlink(missing_ok=True)
        asked = self.ids if recorded else {self.submission.id: ""}
        scheduler = SlurmScheduler(self.root)
        return scheduler.poll(asked)[self.submission.id]

    def row(self, state: str, reason: str = "None", array: str = "101", name: str = "") -> str:
        return f"{array}|0|{state}|{reason}||lab|normal|{name or self.tag}"

    def record(self, state: str, code: str = "0:0", t: str = "2026-01-01T10:00:00") -> str:
        return f"101_0|{state}|{code}|{t}|{self.tag}"

    def shows(self, *rows: str) -> None:
        self.fake.queue(*rows)

    def accounts(self, *records: str) -> None:
        lines = "; ".join(f"echo '{record}'" for record in records)
        self.fake.plays("sacct", lines or "true")

    def edit(self, **fields: object) -> None:
        """As if the batch had been written so."""
        path = self.batch / "batch.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
