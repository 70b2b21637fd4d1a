"""What the discriminator asks of frames and batches. Torch-free: planning refuses by it too."""

from __future__ import annotations

LEAST_RESOLUTION = 8
# Clips whose spread its last layers see. Groups are consecutive, so that micro-batches of whole
# groups give what the whole batch gives.
GROUP = 4


def fault(resolution: int, batch: int, processes: int, micro_batch: int | None) -> str | None:
    """Why a training with a discriminator cannot run so, or would do otherwise on another machine.

    Args:
        resolution: height and width of its frames, in pixels.
        batch: of all processes; `micro_batch`: of one forward pass, None: a process's whole share.
    """
    if resolution < LEAST_RESOLUTION:
        return (
            f"data.resolution: {resolution}: the discriminator needs {LEAST_RESOLUTION} px or "
            "more; or set gan.weight to 0"
        )
    share = batch // processes
    size = min(micro_batch or share, share)
    if size < batch and size % GROUP:
        return (
            f"resources.finetune.micro_batch: {size} clips at once: the discriminator compares "
            f"clips in groups of {GROUP}; take a multiple of {GROUP}, or fewer processes, or every "
            "result would depend on it"
        )
    return None
