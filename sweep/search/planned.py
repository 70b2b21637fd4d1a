"""What `plan` says of a search before it runs. Pure."""

from __future__ import annotations

from typing import Any

from sweep.model import Plan
from sweep.search.costs import costs
from sweep.search.model import Interval


def planned(plan: Plan) -> dict[str, Any] | None:
    """The size of a search's space, its trials, and the range of what they cost; None: no search.

    Device-hours are those of the cheapest and of the dearest trials that there may be.
    """
    search = plan.search
    if search is None:
        return None
    jobs = {job.id: job for job in plan.jobs}
    hours = [costs(point, jobs)["device_hours"] or 0.0 for point in plan.points]
    seeds = len({point.seed for point in plan.points})
    size = len(plan.points) // seeds if search.finite else None
    asked = None if search.trials is None else search.trials * search.studies
    trials = min(each for each in (asked, size) if each is not None)
    few, many = sorted(hours), sorted(hours, reverse=True)
    if size is None:
        few, many = few[:1] * (trials * seeds), many[:1] * (trials * seeds)
    return {
        "space": size,
        "studies": search.studies,
        "trials": trials,
        "parallel": search.parallel,
        "sampler": search.sampler,
        "objectives": [
            f"{'maximize' if each.maximize else 'minimize'} {each}" for each in search.objectives
        ],
        "least_device_hours": sum(few[: trials * seeds]),
        "most_device_hours": sum(many[: trials * seeds]),
    }


def lines(plan: Plan) -> list[str]:
    """The same in words."""
    found, search = planned(plan), plan.search
    if found is None or search is None:
        return []
    size = "no end of" if found["space"] is None else f"{found['space']:,}"
    bounded = " within the constraints" if search.constraints else ""
    ends = any(isinstance(each, Interval) for each in search.space)
    shown = "; of an interval the points above are the ends" if ends else ""
    several = f" in {found['studies']} studies" if found["studies"] > 1 else ""
    return [
        f"search: {size} combinations{bounded}, of which {found['trials']:,} trials{several} by "
        f"{search.sampler}, {search.parallel} at once{shown}",
        *(f"search: {each}" for each in found["objectives"]),
        f"search: from {found['least_device_hours']:,.3g} to {found['most_device_hours']:,.3g} "
        f"device-hours on {plan.device}, less what is done already; the tables hold all that "
        "there is to choose from",
    ]
