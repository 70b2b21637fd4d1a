"""What `plan --budget` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweep.cli.budgeting import DONE, Fit
from sweep.cli.printing import print_json


def print_budgeted(found: Mapping[str, Any], as_json: bool) -> None:
    """The document as text, or as it is."""
    if as_json:
        print_json(found)
        return
    from sweep.planning.planview import text_table

    points = found["points"]
    new = [each for each in points if each["order"]]
    what = "slope over log2 E" if found["fit"] == Fit.SLOPE else "vertex over log2 E, per patch"
    print(f"{found['sweep']} ({found['file']}): the points to run first")
    print(f"fit: {what}; {found['criterion']}-optimal; budget {_budget(found['budget'])}\n")
    print(text_table(_table(points), len(points)))
    print(
        f"\n{len(points)} of {found['configurations']} configurations, {len(new)} to run: "
        f"{found['device_hours']:,.4g} of {found['grid_device_hours']:,.4g} device-hours on "
        f"{found['device']}"
    )
    print("width: of the 95% interval as expected, over that of all configurations;")
    print("s.e.: the same of the standard error, which leaves out the degrees of freedom")
    for note in found["notes"]:
        print(note)
    print(f"\n{found['command'] or 'nothing to run'}")


def _budget(budget: Mapping[str, Any]) -> str:
    return f"{budget['amount']:,.6g} {budget['unit'].replace('_', '-')}"


def _table(points: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    groups = [each["group"] for each in points[0]["groups"]]
    heading = ["", "point", "variant", "p", "c", "E", "device-hours", "cumulated", "width", "s.e."]
    table = [[*heading, *groups]]
    for each in points:
        table.append(
            [str(each["order"] or DONE), each["id"], each["variant"]]
            + [str(each[name]) for name in ("p", "c", "E")]
            + [f"{each['device_hours']:,.4g}", f"{each['cumulated_device_hours']:,.4g}"]
            + [_ratio(each["relative_width"]), _ratio(each["relative_error"])]
            + [_ratio(one["relative_width"]) for one in each["groups"]]
        )
    return table


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
