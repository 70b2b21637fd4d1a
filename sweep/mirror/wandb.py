"""Offline W&B runs, for `wandb sync`: the job's id is the run's."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wandb

from sweep.mirror.run import Scalars, Score, Shown

_FOLDER = "wandb"  # below the mirror's; W&B's own name


class Wandb:
    """Makes offline runs of one project; nothing goes over the network.

    Args:
        project: its name in W&B.
    """

    name = "wandb"

    def __init__(self, project: str) -> None:
        self._project = project

    def open(self, spec: Mapping[str, Any], out: Path) -> OfflineRun:
        run = wandb.init(
            mode="offline",
            project=self._project,
            dir=out,
            id=spec["id"],
            name=f"{spec['slug']}-{spec['id']}",
            group=spec["kind"],
            config={key: spec[key] for key in ("id", "kind", "revision", "parents", "config")},
            reinit="create_new",
            settings=wandb.Settings(
                console="off", silent=True, disable_git=True, disable_code=True,
                x_disable_meta=True, x_disable_stats=True, x_save_requirements=False,
            ),  # of this machine nothing is said: it is not where the job ran
        )  # fmt: skip
        return OfflineRun(run)

    def remove(self, job: str, out: Path) -> None:
        for folder in (out / _FOLDER).glob(f"offline-run-*-{job}"):
            shutil.rmtree(folder)


class OfflineRun:
    """One job's run. Metrics stand over `step`, since W&B's own counter only ever rises."""

    def __init__(self, run: Any) -> None:
        self._run = run
        self._failed = False
        run.define_metric("*", step_metric="step")

    def show(self, what: Shown) -> None:
        if isinstance(what, Scalars):
            self._run.log({"step": what.step, "unix_time": what.t, **what.values})
        elif isinstance(what, Score):
            self._run.summary[what.name] = what.value
            self._run.summary[f"{what.name} protocol"] = what.protocol
        else:
            self._run.summary["state"] = what.outcome
            self._failed = what.outcome == "failed"

    def flush(self) -> None:
        """W&B's own process writes as it goes."""

    def close(self) -> str:
        folder = Path(self._run.dir).parent
        self._run.finish(exit_code=int(self._failed))
        return f"{_FOLDER}/{folder.name}"
