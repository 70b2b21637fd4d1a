"""What a plan names and this machine lacks. Asked before anything is submitted: nothing falls back.

One line for each thing that is missing, with how to set it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from sweep.model import Plan, PlannedJob
from sweep.site import Site
from vitok_core import judging
from vitok_core.baselines import table
from vitok_core.config import (
    BaselineJob,
    CodecConfig,
    EvaluationConfig,
    GanConfig,
    SamplingConfig,
)
from vitok_core.data import sources
from vitok_core.kinds import KINDS
from vitok_core.metrics import networks
from vitok_core.metrics.enough import too_few

_VIDEO_REMEDY = "set data.frames=1, or name videos: " + ", ".join(
    name for name, entry in sources.DATASETS.items() if entry.media == "videos"
)
_LEAST_RESOLUTION = 11  # pixels: SSIM's Gaussian window
_MS_SSIM_RESOLUTION = 161  # of which the coarsest of five scales holds that window


def missing(plan: Plan, site: Site) -> list[str]:
    """Everything that the plan's jobs need and this machine lacks; empty when all is here."""
    lines = [sources.missing(name, site.data) for name in data_sets(plan)]
    named = perceptual_networks(plan) + feature_networks(plan)
    lines += [networks.missing(name, site.weights) for name in named]
    lines += [table.missing(codec, site.weights) for codec in codecs(plan)]
    return list(dict.fromkeys(line for line in [*lines, *faults(plan)] if line))


def faults(plan: Plan) -> list[str]:
    """What no machine could run of it as the file has it."""
    lines = [line for job in plan.jobs for line in _processes(job)]
    lines += [line for job in plan.jobs if (line := _uncounted_gpus(job))]
    lines += [line for job in plan.jobs if (line := _judged(job))]
    lines += [line for job in plan.jobs if (line := _perceived(job))]
    lines += [line for job in plan.jobs for line in _unsupported(job)]
    return list(dict.fromkeys(lines))


def _processes(job: PlannedJob) -> Iterator[str]:
    """Processes that the job's kind, its batch or its GPUs cannot have."""
    given, place = job.resources, f"resources.{job.kind}"
    if given.gpus and given.processes > 1:
        yield (
            f"{place}.processes: {given.processes}: is for jobs on the CPU; {place}.gpus is "
            f"{given.gpus}, and each GPU has its process: leave {place}.processes out"
        )
    elif given.world > 1 and not KINDS[job.kind].several:
        field = next(name for name in ("nodes", "gpus", "processes") if getattr(given, name) > 1)
        yield (
            f"{place}.{field}: {getattr(given, field)}: {job.kind} jobs run as one process; set "
            f"{place}.{field}=1"
        )
    section, batch = _batch(job)
    if batch % given.world:
        yield (
            f"{section}.batch: {batch} does not divide by the {given.world} processes of {place} "
            f"({given.nodes} nodes × {given.per_node}); change one of them"
        )


def _batch(job: PlannedJob) -> tuple[str, int]:
    """The section that gives a training job's global batch, and the batch; 0: there is none."""
    section = "finetune" if job.kind == "finetune" else "train"
    named = "generator_train" if job.kind == "generator" else section
    return named, job.config.get(section, {}).get("batch", 0)


def _uncounted_gpus(job: PlannedJob) -> str | None:
    """GPUs that are asked for, but not for the job: it would hold them and train on the CPU."""
    gres = job.resources.gres or ""
    names = [each.partition(":")[0] for each in gres.split(",")]
    if job.resources.gpus or "gpu" not in names:
        return None
    return (
        f"resources.{job.kind}.gres: {gres}: names GPUs, but resources.{job.kind}.gpus is 0; "
        f"set resources.{job.kind}.gpus=1"
    )


def _judged(job: PlannedJob) -> str | None:
    """What the discriminator of a stage 2 would refuse, hours of stage 1 later."""
    if job.kind != "finetune" or job.config.get("gan", {}).get("weight", GanConfig().weight) == 0:
        return None
    given, batch = job.resources, job.config["finetune"]["batch"]
    if batch % given.world:
        return None  # `_processes` has said so
    return judging.fault(job.config["data"]["resolution"], batch, given.world, given.micro_batch)


def _perceived(job: PlannedJob) -> str | None:
    """Frames that the network of the loss cannot look at."""
    name = job.config.get("loss", {}).get("perceptual")
    if not name or job.config["data"]["resolution"] >= networks.NETWORKS[name].least:
        return None
    return (
        f"data.resolution: {job.config['data']['resolution']}: {name} needs "
        f"{networks.NETWORKS[name].least} px or more; or set loss.perceptual to null and "
        "loss.perceptual_weight to 0"
    )


def _unsupported(job: PlannedJob) -> Iterator[str]:
    """What this release cannot train or score, said before hours are spent on it."""
    shape = {**job.config.get("data", {}), **job.config}
    if shape.get("frames", 1) > 1:
        for name in _data_sets(job):
            if sources.data_set(name).media != "videos":
                yield f"data.frames: {shape['frames']}: {name} holds images; {_VIDEO_REMEDY}"
    yield from _statistics(job)
    if job.kind == "probe" and sources.data_set(job.config["dataset"]).layout == "flat":
        yield (
            f"stages.probe: {job.config['dataset']} is one flat folder without classes, and a "
            "probe tells classes apart; name another data set"
        )
    if not _scores(job):
        return
    yield from _unscored(job, shape["resolution"], shape.get("frames", 1))
    if "codec" in job.config:
        reason = table.fault(BaselineJob(**job.config))
        if reason is not None:
            yield f"data.{reason}" if reason.startswith("resolution") else reason
    yield from _too_few(job, shape.get("frames", 1))
    if shape["resolution"] < _LEAST_RESOLUTION and job.kind != "generate":
        yield (
            f"data.resolution: {shape['resolution']}: SSIM's window needs images of at least "
            f"{_LEAST_RESOLUTION} px"
        )


def _too_few(job: PlannedJob, frames: int) -> Iterator[str]:
    """Samples that are fewer than their scores need; every frame is an image. Without a number
    said, the data set's own is taken, which is not known here."""
    evaluation = EvaluationConfig.model_validate(job.config.get("evaluation", {}))
    asked: list[tuple[str, int, bool]] = []
    generated = job.kind == "generate"
    if generated:
        sampling = SamplingConfig.model_validate(job.config.get("sampling", {}))
        asked.append(("sampling.samples", sampling.samples, True))
    if evaluation.samples is not None:
        asked.append(("evaluation.samples", evaluation.samples, not generated))
    for network in (networks.NETWORKS[name] for name in evaluation.networks):
        for field, samples, classified in asked:
            reason = too_few(field, samples * frames, network, evaluation, classified)
            if reason is not None:
                yield reason


def _statistics(job: PlannedJob) -> Iterator[str]:
    """What statistics cannot do that stand for a data set, or for a set of references."""
    reference = job.config.get("reference")
    for name in _data_sets(job):
        if sources.data_set(name).kind != "statistics":
            continue
        if name != reference:
            yield f"data set {name}: holds statistics and no images; it is for references"
            continue
        evaluation = EvaluationConfig.model_validate(job.config.get("evaluation", {}))
        alien = [each for each in evaluation.networks if not networks.NETWORKS[each].standard]
        for field, asked in (
            ("networks", alien),
            ("scores", evaluation.scores),
            ("video", evaluation.video),
        ):
            if asked:
                yield (
                    f"evaluation.{field}: {', '.join(asked)}: the reference {name} holds "
                    "statistics of inception-2015 alone; leave it out, or name a reference of "
                    "images"
                )


def _unscored(job: PlannedJob, resolution: int, frames: int) -> Iterator[str]:
    """Metrics that images or clips are too small for."""
    evaluation = job.config.get("evaluation", {})
    if evaluation.get("ms_ssim") and resolution < _MS_SSIM_RESOLUTION:
        yield (
            f"evaluation.ms_ssim: its five scales need images of {_MS_SSIM_RESOLUTION} px or more, "
            f"data.resolution is {resolution}; leave it out"
        )
    for name in evaluation.get("video", ()):
        if frames < networks.VIDEO_FRAMES:
            yield (
                f"evaluation.video: {name} looks at clips of {networks.VIDEO_FRAMES} frames, "
                f"data.frames is {frames}; leave it out, or raise data.frames"
            )


def _scores(job: PlannedJob) -> bool:
    """Whether it evaluates: some kinds only read their data set."""
    return "evaluation" in KINDS[job.kind].config.model_fields


def data_sets(plan: Plan) -> list[str]:
    """The data sets that the plan's jobs read, in the order of the jobs."""
    return list(dict.fromkeys(name for job in plan.jobs for name in _data_sets(job)))


def _data_sets(job: PlannedJob) -> Iterator[str]:
    if "data" in job.config:
        yield job.config["data"]["name"]
    for field in ("dataset", "reference"):
        if field in job.config:
            yield job.config[field]


def perceptual_networks(plan: Plan) -> list[str]:
    """The networks of the plan's losses and of its perceptual scores."""
    found = (job.config.get("loss", {}).get("perceptual") for job in plan.jobs)
    scored = (job.config.get("evaluation", {}).get("perceptual", ()) for job in plan.jobs)
    return list(dict.fromkeys([*(name for name in found if name), *chain(*scored)]))


def codecs(plan: Plan) -> list[CodecConfig]:
    """The codecs of the plan's baselines."""
    found = (CodecConfig(**job.config["codec"]) for job in plan.jobs if "codec" in job.config)
    return list(dict.fromkeys(found))


def feature_networks(plan: Plan) -> list[str]:
    """The networks of the plan's evaluations. A job's canonical form leaves the default out."""
    default = EvaluationConfig(samples=None).networks
    names: dict[str, None] = {}
    for job in plan.jobs:
        if _scores(job):
            evaluation = job.config.get("evaluation", {})
            names |= dict.fromkeys(evaluation.get("networks", default))
            names |= dict.fromkeys(evaluation.get("video", ()))
    return list(names)
