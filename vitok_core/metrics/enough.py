"""What a network is asked for, and how many images that needs. Torch-free: planning asks it too."""

from __future__ import annotations

from vitok_core.config import EvaluationConfig
from vitok_core.metrics.networks import Network, Score

NEIGHBOURS = 3  # of a sample, by which precision and recall draw a set's manifold


def image_scores(network: Network, evaluation: EvaluationConfig) -> tuple[Score, ...]:
    """What a network gives of a set of images, and what it is asked for besides."""
    return (*network.scores, *evaluation.scores)


def too_few(
    field: str, images: int, network: Network, evaluation: EvaluationConfig, classified: bool = True
) -> str | None:
    """Why so many images are too few for a network's scores, as one line; None: they are enough.

    Args:
        field: that says how many they are.
        classified: whether the set has an Inception Score of its own; references have none.
    """
    splits = (evaluation.splits or network.splits) if classified else 1
    needs = {
        "frechet": (2, "a Fréchet distance"),
        "classifier": (splits, f"an Inception Score of {splits} splits"),
        "kid": (2, "a kernel distance"),
        "precision_recall": (NEIGHBOURS + 1, f"a manifold of {NEIGHBOURS} neighbours"),
        "cmmd": (1, ""),
    }
    for least, what in (needs[each] for each in image_scores(network, evaluation)):
        if images < least:
            return (
                f"{field}: {images}: {what} needs {least} or more; raise it or set "
                "evaluation.networks: []"
            )
    return None
