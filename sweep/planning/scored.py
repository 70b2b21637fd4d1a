"""What a point's reconstruct stages score: kept lengths of the code, milestones on the way."""

from __future__ import annotations

from collections.abc import Iterator

from sweep.planning.sections import Fault, Faulty
from sweep.planning.training import Finetuned, Trained
from sweep.spec.stages import Stage
from vitok_core.config import TrainConfig


def check_scored(stages: tuple[Stage, ...], trained: Trained, finetuned: Finetuned | None) -> None:
    """Whether the lengths and steps that stages name are there; Faulty names those that are not."""
    if not any(stage.lengths.values or stage.steps.values for stage in stages):
        return
    section, train = "train", trained.job.train
    faults: list[Fault] = []
    for stage in stages:
        if stage.arguments == ("stage2",) and finetuned is not None:
            section, train = "finetune", finetuned.job.finetune
        faults += _lengths(stage, trained)
        faults += _steps(stage, section, train)
    if faults:
        raise Faulty(faults)


def lengths(stage: Stage, trained: Trained) -> tuple[int | None, ...]:
    """The lengths to score at; None: the whole code, which its own length means too."""
    whole = trained.shape.tokens
    return tuple(None if each == whole else each for each in stage.lengths.values) or (None,)


def steps(stage: Stage, train: TrainConfig) -> tuple[int | None, ...]:
    """The milestones to score, then None: the final weights."""
    return (*(each for each in stage.steps.values if each != train.steps), None)


def _lengths(stage: Stage, trained: Trained) -> Iterator[Fault]:
    if not stage.lengths.values:
        return
    tokenizer, tokens = trained.job.tokenizer, trained.shape.tokens
    where = stage.lengths.mark, "stages.reconstruct.lengths"
    if not tokenizer.lengths:
        yield (
            *where,
            f"a code of the variant {tokenizer.variant} has one length; lengths are for "
            "mask_simple and mask_latent",
        )
        return
    for length in stage.lengths.values:
        if length > tokens:
            yield *where, f"{length} tokens cannot be kept, the code has {tokens}"


def _steps(stage: Stage, section: str, train: TrainConfig) -> Iterator[Fault]:
    kept = (*train.milestones, train.steps)
    for step in stage.steps.values:
        if step not in kept:
            known = f"known: {', '.join(map(str, kept))}" if train.milestones else "there are none"
            yield (
                stage.steps.mark,
                "stages.reconstruct.steps",
                f"{step} is no step of {section}.milestones, whose weights are kept; {known}",
            )
