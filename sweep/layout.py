"""Where things are below a results root. The only module that knows these names.

results/
  jobs/<slug>-<id>/     one job: job.json, claims/, journal/, checkpoints/, artifacts/, logs/
  launches/<uid>.jsonl  what each launcher did: sweeps registered, submissions, cancels, retries
  code/<hash>/          frozen copies of the packages that jobs import
  plugins/<hash>/       frozen copies of users' own packages that jobs name
  data/                 the fingerprint that each data set's name stands for here
  cache/                what jobs share (reference features); safe to delete
  local/                the local scheduler's queue
  slurm/<batch>/        what each sbatch handed over: batch.json, script.sh, logs
  reports/              figures and tables
  mirror/<tracker>/     the journals as other trackers keep them; safe to delete
  rehearsals/           speed.json: measured by `rehearse --real-shapes`; rehearsals on Slurm
  root.json             a random id, by which an index knows its root wherever it is mounted
  results.db            the index; `db rebuild` makes it again
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_DIGITS = 9  # of a claim's or an attempt's number: nobody makes more, and databases take them


def number_of(stem: str) -> int | None:
    """The number that a claim or a journal is called by; None: something else's name."""
    return int(stem) if stem.isdecimal() and len(stem) <= _DIGITS else None


@dataclass(frozen=True)
class Root:
    """A results root (`--results`, VITOK_RESULTS; default `results/`)."""

    path: Path

    @property
    def jobs(self) -> Path:
        return self.path / "jobs"

    @property
    def launches(self) -> Path:
        return self.path / "launches"

    @property
    def code(self) -> Path:
        return self.path / "code"

    @property
    def plugins(self) -> Path:
        return self.path / "plugins"

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def cache(self) -> Path:
        return self.path / "cache"

    @property
    def local(self) -> Path:
        return self.path / "local"

    @property
    def slurm(self) -> Path:
        return self.path / "slurm"

    @property
    def reports(self) -> Path:
        return self.path / "reports"

    @property
    def mirrors(self) -> Path:
        return self.path / "mirror"

    @property
    def rehearsals(self) -> Path:
        return self.path / "rehearsals"

    @property
    def searches(self) -> Path:
        return self.path / "search"

    @property
    def identity(self) -> Path:
        return self.path / "root.json"

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.path / 'results.db'}"

    def job_folders(self) -> dict[str, JobFolder]:
        """Every job's folder by id, from one directory listing."""
        if not self.jobs.is_dir():
            return {}
        folders = (JobFolder(path) for path in self.jobs.iterdir())
        # Not Path.exists: it raises where a colleague's folder may not be entered.
        return {folder.id: folder for folder in folders if os.path.exists(folder.spec)}  # noqa: PTH110

    def job_folder(self, slug: str, job_id: str) -> JobFolder:
        return JobFolder(self.jobs / f"{slug}-{job_id}")


@dataclass(frozen=True)
class JobFolder:
    """One job's folder, `<slug>-<id>`."""

    path: Path

    @property
    def id(self) -> str:
        return self.path.name.rpartition("-")[2]

    @property
    def slug(self) -> str:
        return self.path.name.rpartition("-")[0]

    @property
    def root(self) -> Root:
        return Root(self.path.parent.parent)

    @property
    def spec(self) -> Path:
        return self.path / "job.json"

    @property
    def claims(self) -> Path:
        return self.path / "claims"

    @property
    def journals(self) -> Path:
        return self.path / "journal"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def artifacts(self) -> Path:
        return self.path / "artifacts"

    @property
    def latents(self) -> Path:
        """What the kind `latents` leaves (`vitok_core.data.latents`)."""
        return self.artifacts / "latents"

    @property
    def logs(self) -> Path:
        return self.path / "logs"
