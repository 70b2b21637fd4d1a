"""Where things are below a results root. The only module that knows these names.

results/
  jobs/<slug>-<id>/     one job: job.json, claims/, journal/, checkpoints/, artifacts/, logs/
  launches/<uid>.jsonl  what each launcher did: sweeps registered, submissions, cancels, retries
  code/<hash>/          frozen copies of the packages that jobs import
  data/                 the fingerprint that each data set's name stands for here
  cache/                what jobs share (reference features); safe to delete
  local/                the local scheduler's queue
  reports/              figures and tables
  results.db            the index; `db rebuild` makes it again
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
    def data(self) -> Path:
        return self.path / "data"

    @property
    def cache(self) -> Path:
        return self.path / "cache"

    @property
    def local(self) -> Path:
        return self.path / "local"

    @property
    def reports(self) -> Path:
        return self.path / "reports"

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.path / 'results.db'}"

    def job_folders(self) -> dict[str, JobFolder]:
        """Every job's folder by id, from one directory listing."""
        if not self.jobs.is_dir():
            return {}
        folders = (JobFolder(path) for path in self.jobs.iterdir())
        return {folder.id: folder for folder in folders if folder.spec.exists()}

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
    def logs(self) -> Path:
        return self.path / "logs"
