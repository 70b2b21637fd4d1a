"""How many images scores need. Torch-free: planning asks it too."""

from __future__ import annotations

from vitok_core.config import EvaluationConfig
from vitok_core.metrics.networks import Network, Score

NEIGHBOURS = 3  # of the manifold of precision and recall


def image_scores(network: Network, evaluation: EvaluationConfig) -> tuple[Score, ...]:
    """What a network gives of a set of images, and what it is asked for besides."""
    return (*network.scores, *evaluation.scores)


def too_few(
    field: str,
    images: int,
    network: Network,
    evaluation: EvaluationConfig,
    *,
    references: bool = False,
) -> str | None:
    """Why a set is too small for a network's scores, in words that begin with the field that gives
    the number of its images; None: it is not.

    Args:
        references: of them there is no Inception Score.
    """
    splits = 1 if references else evaluation.splits or network.splits
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
