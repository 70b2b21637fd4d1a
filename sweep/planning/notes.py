"""What a plan's author should know of it, and could not see in its numbers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sweep.planning.points import Draft
from vitok_core.training.schedule import gan_weight


def unseen_gans(chosen: Sequence[Draft]) -> Iterator[str]:
    """Of each stage 2 that ends before the tokenizer sees its GAN term: that it does."""
    jobs = [draft.finetuned.job for draft in chosen if draft.finetuned is not None]
    late = [
        (job.finetune, job.gan)
        for job in jobs
        if job.gan.weight > 0
        and gan_weight(job.gan, job.finetune.batch, job.finetune.steps - 1) == 0
    ]
    for tuned, start in dict.fromkeys(((f.steps, f.batch), gan.start) for f, gan in late):
        steps, batch = tuned
        yield (
            f"stage 2 never sees its GAN term: gan.start is {start:,} steps of 256 clips, "
            f"finetune's {steps:,} steps of {batch:,} are {steps * batch / 256:,.3g} of them"
        )
