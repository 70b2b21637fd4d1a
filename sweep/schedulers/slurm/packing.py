"""Several submissions on one exclusive node, where the site hands out whole nodes. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.model import Resources
from sweep.schedulers.base import Submission
from sweep.schedulers.placement import Capacity, refusal
from sweep.schedulers.slurm.settings import Node


def members_per_task(resources: Resources, node: Node | None) -> int:
    """How many submissions of this shape one task runs at once."""
    if node is None or resources.nodes > 1:
        return 1
    shares = [node.threads // resources.node_threads, int(node.memory_gb / resources.memory_gb)]
    if resources.gpus:
        shares.append(node.gpus // resources.gpus)
    return max(1, min(shares))


def too_large(submissions: Sequence[Submission], node: Node | None) -> str | None:
    """Why a whole node could not hold one of these; None: it can hold each."""
    if node is None:
        return None
    whole = Capacity(node.threads, node.memory_gb, tuple(range(node.gpus)))
    for submission in submissions:
        reason = refusal(submission.resources.model_copy(update={"nodes": 1}), whole)
        if reason is not None:
            return f"{submission.folders[0].name}: {reason} (slurm.node of the site file)"
    return None


def gpu_share(visible: Sequence[str], resources: Resources, member: int) -> list[str]:
    """The GPUs of one member, out of those that the task has been given."""
    return list(visible[member * resources.gpus : (member + 1) * resources.gpus])
