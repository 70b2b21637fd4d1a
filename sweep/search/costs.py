"""What a point costs, known before it runs: what constraints bound and objectives may name."""

from __future__ import annotations

from collections.abc import Mapping

from sweep.model import PlannedJob, Point

Costs = Mapping[str, float | None]  # by a name of `model.COSTS`; None: nobody could count it


def costs(point: Point, jobs: Mapping[str, PlannedJob]) -> Costs:
    """A point's costs: `device_hours` of all of its jobs, in the plan's profile of a device."""
    return {
        "gflops": point.gflops,
        "params_m": point.params_m,
        "E": point.E,
        "L": point.L,
        "device_hours": sum(jobs[job].device_hours for job in point.jobs),
    }
