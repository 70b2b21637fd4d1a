"""A plan as people and scripts see it: JSON, tables, totals. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweep.model import Plan, PlannedJob, Point
from sweep.planning.estimate import device, is_guess, latents_bytes, samples
from sweep.planning.speeds import devices
from sweep.search.planned import lines, planned
from sweep.spec.fields import SIZE, STAGE2, TOWERS, fields
from sweep.spec.own import LOSSES, in_words
from sweep.spec.problems import shown
from vitok_core.config import LatentsJob

MOST_ROWS = 40
PLANNED = "planned"
_NO_CODE: Mapping[str, str] = {}
_NOT_ASKED: Mapping[str, Mapping[str, Any]] = {}

_POINT_FIELDS = (
    "id", "config_id", "slug", "variant", "encoder", "decoder", "p", "q", "c", "L", "E",
    "resolution", "frames", "pixels_per_channel", "params_m", "gflops", "seed",
)  # fmt: skip
_SHOWN = {
    SIZE, *TOWERS, "tokenizer.patch", "tokenizer.stride", "tokenizer.channels", "data.resolution",
    "data.frames",
}  # fmt: skip

# Kinds that a requeue takes up where they were; the others start anew.
_RESUMED = frozenset({"tokenizer", "finetune", "latents", "generator", "generate"})

Table = list[list[str]]  # the first row is the heading


def plan_json(
    plan: Plan,
    states: Mapping[str, str],
    other_code: Mapping[str, str] = _NO_CODE,
    expected: Mapping[str, Mapping[str, Any]] = _NOT_ASKED,
    missing: Sequence[str] = (),
) -> Iterator[str]:
    """The `plan --json` document in pieces: one point or job per line, so that long ones are quick
    to write (json's own indentation is not) and still readable.

    Args:
        expected: what points are expected to score, by their ids (`plan --predict`).
        missing: what this machine lacks for it, one line each.
    """
    yield f'{{"sweep": {json.dumps(plan.sweep)}, "file": {json.dumps(plan.file)},\n"points": [\n'
    yield ",\n".join(json.dumps(_point(point, expected)) for point in plan.points)
    yield '\n],\n"jobs": [\n'
    yield ",\n".join(json.dumps(_job(job, states, other_code)) for job in plan.jobs)
    yield f'\n],\n"missing": {json.dumps(list(missing))}'
    yield f',\n"totals": {json.dumps(totals(plan, states))}}}\n'


def _point(point: Point, expected: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    fields = {name: getattr(point, name) for name in _POINT_FIELDS}
    known = {"expected": expected[point.id]} if point.id in expected else {}
    return {**fields, "jobs": list(point.jobs), **known}


def _job(
    job: PlannedJob, states: Mapping[str, str], other_code: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "id": job.id,
        "kind": job.kind,
        "slug": job.slug,
        "point": job.point,
        "parents": list(job.parents),
        "state": states.get(job.id, PLANNED),
        "other_code": other_code.get(job.id),
        "train_flops": job.train_flops,
        "device_hours": job.device_hours,
        "measured_on": job.measured_on,
    }


def totals(plan: Plan, states: Mapping[str, str]) -> dict[str, Any]:
    """Counts, training FLOPs, bytes of cached latents and device-hours of the whole plan, and of
    what is not done yet."""
    left = [job for job in plan.jobs if states.get(job.id, PLANNED) != "done"]
    return {
        "points": len(plan.points),
        "jobs": len(plan.jobs),
        "kinds": dict(Counter(job.kind for job in plan.jobs)),
        "states": dict(Counter(states.get(job.id, PLANNED) for job in plan.jobs)),
        "train_flops": sum(job.train_flops for job in plan.jobs),
        "device_hours": sum(job.device_hours for job in plan.jobs),
        "device_hours_left": sum(job.device_hours for job in left),
        "device": plan.device,
        "latents_bytes": sum(latents_bytes(*each) for each in _latents(plan)),
        **({} if plan.search is None else {"search": planned(plan)}),
    }


def _latents(plan: Plan) -> list[tuple[LatentsJob, int]]:
    """The jobs that cache codes, and E of each."""
    sizes = {point.id: point.E for point in plan.points}
    return [
        (LatentsJob.model_validate(job.config), sizes[job.point])
        for job in plan.jobs
        if job.kind == "latents"
    ]


def point_table(plan: Plan) -> Table:
    """The points; what is the same for all (one frame, one seed) has no column."""
    points = plan.points[:MOST_ROWS]
    video = any(point.frames > 1 for point in plan.points)
    seeds = len({point.seed for point in plan.points}) > 1
    swept = _swept_elsewhere(plan)
    stages = len({_stage(point) for point in plan.points}) > 1
    heading = ["point", "variant", "p", *(["q", "T"] if video else []), "c", "L", "E", "px/ch"]
    heading += ["px", "params M", "GFLOPs", *(["stage"] if stages else [])]
    heading += [*(["seed"] if seeds else []), *swept]
    table = [heading]
    for point in points:
        row = [point.id, point.variant, str(point.p)]
        row += [str(point.q), str(point.frames)] if video else []
        row += [str(point.c), str(point.L), str(point.E), f"{point.pixels_per_channel:.4g}"]
        row += [str(point.resolution), _three(point.params_m), _three(point.gflops)]
        row += [_stage(point)] if stages else []
        row += [str(point.seed)] if seeds else []
        table.append(row + [_cell(point, path) for path in swept])
    return table


def _stage(point: Point) -> str:
    """The last one that it trains."""
    return "2" if "finetune" in point.config else "1"


def _three(value: float | None) -> str:
    """Three decimals: the paper prints one."""
    return "-" if value is None else f"{value:,.3f}"


def _swept_elsewhere(plan: Plan) -> list[str]:
    """The swept fields of training that no other column shows."""
    swept = [*plan.document.get("axes", {}), *plan.document.get("zip", {})]
    swept += plan.document.get("search", {}).get("space", {})
    for entry in plan.document.get("include", []):
        swept += [path for path in entry if path in fields()]
    trained = ("tokenizer.", "data.", "loss.", "train.", *(f"{name}." for name in STAGE2))
    return [p for p in dict.fromkeys(swept) if p.startswith(trained) and p not in _SHOWN]


def _cell(point: Point, path: str) -> str:
    if path.partition(".")[0] in STAGE2 and _stage(point) == "1":
        return "-"
    value = _value(point, path)
    if path == LOSSES:
        return ", ".join(map(in_words, value)) or "-"
    return shown(value)


def _value(point: Point, path: str) -> Any:
    value: Any = point.config
    for key in path.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return fields()[path].default
        value = value[key]
    return value


def job_table(plan: Plan, states: Mapping[str, str]) -> Table:
    """The jobs, parents before children."""
    table = [["job", "kind", "state", "parents", "train FLOPs", "device-hours", "slug"]]
    for job in plan.jobs[:MOST_ROWS]:
        flops = f"{job.train_flops:.2e}" if job.train_flops else "-"
        state = states.get(job.id, PLANNED)
        parents = ",".join(job.parents) or "-"
        table.append([job.id, job.kind, state, parents, flops, f"{job.device_hours:.3g}", job.slug])
    return table


def summary(
    plan: Plan, states: Mapping[str, str], other_code: Mapping[str, str] = _NO_CODE
) -> list[str]:
    """The totals in words."""
    total = totals(plan, states)
    kinds = _counted(total["kinds"])
    profile = device(plan.device)
    hours = f"{total['device_hours']:,.3g} device-hours on {plan.device}"
    if total["device_hours_left"] != total["device_hours"]:
        hours += f", {total['device_hours_left']:,.3g} of them still to run"
    old = Counter(other_code.values())
    code = [f"results made by other code than this: {_counted(old)}"] if old else []
    return [
        f"{len(plan.points):,} points, {len(plan.jobs):,} jobs: {kinds}",
        f"states: {_counted(total['states'])}",
        *code,
        *plan.notes,
        *lines(plan),
        f"training {total['train_flops']:.3g} FLOPs; {hours}, the start-up of jobs not counted",
        *_bases(plan, profile.basis),
        *_overlong(plan),
        *_room(plan, total["latents_bytes"]),
        "GFLOPs are multiply-accumulates of one sample's forward pass, as in the paper's tables; "
        "training FLOPs are true ones (2 per multiply-accumulate, forward and backward)",
    ]


def _bases(plan: Plan, assumed: str) -> list[str]:
    """What the device-hours rest on."""
    measured = Counter(job.measured_on for job in plan.jobs if job.measured_on)
    lines = [f"(device-hours of {n:,} jobs: measured on {name})" for name, n in measured.items()]
    if measured.total() < len(plan.jobs):
        rest = "the others' assume" if measured else "a device-hour assumes"
        lines.append(f"({rest} {assumed})")
    return lines


def _overlong(plan: Plan) -> list[str]:
    """Of each kind the jobs that take longer than one submission may."""
    on_gpus = device(plan.device).word is not None
    over: dict[tuple[str, float], list[tuple[float, PlannedJob]]] = {}
    for job in plan.jobs:
        given = job.resources
        hours = job.device_hours / devices(given)
        if hours > given.hours and on_gpus == (given.gpus > 0):
            over.setdefault((job.kind, given.hours), []).append((hours, job))
    return [_overlong_line(kind, limit, jobs) for (kind, limit), jobs in over.items()]


def _overlong_line(kind: str, limit: float, jobs: list[tuple[float, PlannedJob]]) -> str:
    hours, longest = max(jobs, key=lambda each: each[0])
    given = longest.resources
    held, unit = devices(given), "GPU" if given.gpus else "core"
    where = f"{held} {unit}{'s' if held > 1 else ''}"
    if kind in _RESUMED:
        fate = "will be requeued"
    else:
        fate = f"would be stopped and start anew: raise resources.{kind}.hours"
    return (
        f"{kind} above hours: {limit:g}: up to {hours:,.3g} h on {where} ({longest.slug}); "
        f"{len(jobs):,} job{'s' if len(jobs) > 1 else ''} {fate}"
    )


def _room(plan: Plan, latents: int) -> list[str]:
    """What the plan leaves on the disk."""
    if not latents:
        return []
    unknown = {job.dataset: samples(job, job.dataset) for job, _ in _latents(plan)
               if is_guess(job, job.dataset)}  # fmt: skip
    guessed = "".join(
        f" ({name}, whose size is not known here, taken for {n:,} samples)"
        for name, n in unknown.items()
    )
    return [f"latents: {_size(latents)}{guessed}"]


def _size(n: float) -> str:
    """Bytes with three digits: `2.56 TB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n < 999.5:
            return f"{n:.3g} {unit}"
        n /= 1000
    return f"{n:,.3g} TB"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in counts.items())


def text_table(table: Sequence[Sequence[str]], whole: int) -> str:
    """Aligned columns, numbers to the right; says how many of the `whole` rows are not shown."""
    if len(table) == 1:
        return "(none)"
    widths = [max(len(row[n]) for row in table) for n in range(len(table[0]))]
    right = [all(_is_number(row[n]) for row in table[1:]) for n in range(len(table[0]))]
    lines = []
    for row in table:
        cells = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    left_out = whole - (len(table) - 1)
    if left_out > 0:
        lines.append(f"... {left_out:,} more; --json prints all")
    return "\n".join(lines)


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", ""))
    except ValueError:
        return cell == "-"
    return True
