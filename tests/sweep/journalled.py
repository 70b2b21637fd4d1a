"""A results root written by hand, record by record, and its journals read independently."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import text

from sweep.layout import JobFolder, Root
from sweep.store import Store, open_store, schema, sync

POINT = {
    "config_id": "c0", "seed": 0, "variant": "S-B/16", "encoder": "S", "decoder": "B", "p": 16,
    "q": 1, "c": 4, "L": 16, "E": 64, "resolution": 64, "frames": 1, "pixels_per_channel": 192.0,
    "params_m": 129.0, "gflops": 34.8,
}  # fmt: skip


def line(event: str, t: float = 0.0, **fields: Any) -> bytes:
    return json.dumps({"event": event, "t": t, **fields}).encode() + b"\n"


class Lab:
    """Writes what launchers and workers write, with any content and at any time."""

    def __init__(self, path: Path, db: str | None = None) -> None:
        """Args: db: the URL of its index; None: the root's own."""
        path.mkdir(parents=True, exist_ok=True)
        self.root = Root(path)
        self.db = db

    def open(self) -> Store:
        return open_store(self.root, self.db)

    def synced(self) -> Store:
        store = self.open()
        sync(store, self.root)
        return store

    def folder(self, job: str, slug: str = "p16-c4") -> JobFolder:
        return self.root.job_folder(slug, job)

    def job(self, job: str, *parents: str, kind: str = "tokenizer", slug: str = "p16-c4",
            **config: Any) -> JobFolder:  # fmt: skip
        folder = self.folder(job, slug)
        for place in (folder.claims, folder.journals, folder.logs):
            place.mkdir(parents=True, exist_ok=True)
        spec = {"id": job, "kind": kind, "revision": 1, "slug": slug, "config": config,
                "parents": list(parents)}  # fmt: skip
        folder.spec.write_text(json.dumps(spec))
        return folder

    def claim(self, job: str, claim: int = 1, t: float = 1.0, submission: str = "s1",
              scheduler: str = "local") -> None:  # fmt: skip
        content = {"claim": claim, "t": t, "submission": submission, "scheduler": scheduler,
                   "host": "h", "launch": "u"}  # fmt: skip
        (self.folder(job).claims / f"{claim}.json").write_text(json.dumps(content))

    def write(self, job: str, attempt: int, *lines: bytes) -> Path:
        path = self.folder(job).journals / f"{attempt}.jsonl"
        return _append(path, lines)

    def launch(self, launch: str, *lines: bytes) -> Path:
        self.root.launches.mkdir(exist_ok=True)
        return _append(self.root.launches / f"{launch}.jsonl", lines)

    def sweep(self, name: str, points: dict[str, Iterable[str]], t: float = 0.0,
              launch: str = "u", **changed: Any) -> None:  # fmt: skip
        records = [
            {**POINT, "id": point, "slug": f"slug-{point}", "jobs": list(jobs), **changed}
            for point, jobs in points.items()
        ]
        self.launch(launch, line("sweep", t, uid=launch, name=name, file=f"{name}.yaml",
                                 document={}, points=records))  # fmt: skip


def _append(path: Path, lines: Iterable[bytes]) -> Path:
    with path.open("ab") as file:
        file.write(b"".join(lines))
    return path


def rows(store: Store, sql: str) -> list[tuple[Any, ...]]:
    with store.read() as connection:
        return [tuple(row) for row in connection.execute(text(sql))]


def contents(store: Store) -> dict[str, Counter[tuple[Any, ...]]]:
    """Every table as a multiset of rows."""
    return {name: Counter(rows(store, f"SELECT * FROM {name}")) for name in schema.metadata.tables}


def journalled_metrics(root: Root) -> Counter[tuple[Any, ...]]:
    """Metric rows as the journals have them, parsed without the code under test."""
    found: Counter[tuple[Any, ...]] = Counter()
    for path in root.path.glob("jobs/*/journal/*.jsonl"):
        job = path.parent.parent.name.split("-")[-1]
        for raw in path.read_bytes().split(b"\n")[:-1]:  # what follows the last newline is torn
            try:
                record = json.loads(raw)
            except ValueError:
                continue
            if record["event"] == "metric":
                found[job, int(path.stem), record["step"], record["name"], record["value"]] += 1
    return found


def stored_metrics(store: Store) -> Counter[tuple[Any, ...]]:
    return Counter(rows(store, "SELECT job_id, attempt, step, name, value FROM metrics"))
