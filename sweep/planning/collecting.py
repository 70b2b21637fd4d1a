"""The jobs of a plan as they come together, point by point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sweep.model import PlannedJob, Resources
from sweep.planning.estimate import Device, device_hours
from sweep.planning.points import Draft
from sweep.spec.read import Spec
from vitok_core.config import TrainConfig
from vitok_core.kinds import KINDS


@dataclass(frozen=True)
class Parent:
    """A train job that later stages build on; `slug` is its point's, as far as it is trained.

    `encoder` is the tokenizer whose code it decodes, where that is another.
    """

    id: str
    slug: str
    train: TrainConfig
    encoder: Parent | None = None


class Collected:
    """The jobs of points, by id. Equal jobs are one job; its first point's resources hold."""

    def __init__(self, sweep: Spec, profile: Device) -> None:
        self.jobs: dict[str, PlannedJob] = {}
        self._sweep = sweep
        self._profile = profile
        swept = [*sweep.axes, *sweep.zipped]
        paths = [axis.path for axis in swept] + [p for e in sweep.include for p in e.values]
        self._own_resources = any(path.startswith("resources.") for path in paths)

    def add(
        self,
        key: str,
        kind: str,
        slug: str,
        config: Mapping[str, Any],
        parents: tuple[str, ...],
        draft: Draft,
        train: TrainConfig,
        training: float,
        flops: float,
        hours: float = 0.0,
    ) -> None:
        """Plan a job, unless it is planned already.

        Args:
            draft: of the first point that has it.
            train: whose precision it computes in.
            training: FLOPs of training; 0: it trains nothing.
            flops: all of its FLOPs.
            hours: device-hours besides those of its FLOPs.
        """
        if key in self.jobs:
            return
        self.jobs[key] = PlannedJob(
            id=key,
            kind=kind,
            revision=KINDS[kind].revision,
            slug=slug,
            config=config,
            parents=parents,
            resources=self.resources(kind, draft),
            point=draft.id,
            train_flops=training,
            device_hours=device_hours(flops, self._profile, train.precision, training > 0) + hours,
        )

    def resources(self, kind: str, draft: Draft) -> Resources:
        """What a point's job of this kind is given."""
        shared = self._sweep.resources[kind]
        if not self._own_resources:
            return shared
        own: dict[str, Any] = {}
        for scope in ("default", kind):
            prefix = f"resources.{scope}."
            own |= {
                path.removeprefix(prefix): given.value
                for path, given in draft.row.values.items()
                if path.startswith(prefix)
            }
        return shared.model_copy(update=own) if own else shared
