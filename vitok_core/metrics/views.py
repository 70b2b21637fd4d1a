"""How a frozen network looks at a set, and what its scores are called: all that sets of images and
of clips differ in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from vitok_core.config import EvaluationConfig
from vitok_core.context import Context
from vitok_core.data.pixels import as_images
from vitok_core.metrics.enough import image_scores
from vitok_core.metrics.features import Extractor, Outputs
from vitok_core.metrics.networks import Network, Score


@dataclass(frozen=True)
class View:
    """One network, loaded onto this job's device, and what it gives of a set.

    Args:
        scores: in the order in which a set that is too small for one is told of.
        layers: width of each layer's features by its name; "" is the network's own.
        classes: of its logits; None: it is no classifier, or not asked as one.
        protocol: network, weights and input.
        device: "cpu" or "cuda".
        named: (kind of score, layer) → its name without the set's prefix.
        outputs: of samples (b, 3, h, w) or (b, 3, t, h, w), uint8 or floats in [-1, 1].
        one, unit: what it looks at one by one.
        features: what it makes of one, behind the width.
        count: what stands behind N in protocols.
    """

    network: Network
    scores: tuple[Score, ...]
    layers: Mapping[str, int]
    classes: int | None
    protocol: str
    device: str
    named: Callable[[str, str], str]
    outputs: Callable[[Tensor], Outputs]
    one: str = "an image"
    unit: str = "images"
    features: str = "-d features"
    count: str = ""


def image_view(name: str, evaluation: EvaluationConfig, context: Context) -> View:
    """A network that looks at images; of clips, at every frame as one.

    Raises:
        UserError: its weights are absent or not the pinned ones.
    """
    return view_of(Extractor.open(name, context), evaluation)


def view_of(extractor: Extractor, evaluation: EvaluationConfig) -> View:
    """That of a network that is loaded."""
    network = extractor.network
    return View(
        network=network,
        scores=image_scores(network, evaluation),
        layers=extractor.model.layers,
        classes=extractor.model.classes,
        protocol=extractor.protocol,
        device=extractor.device.type,
        named=lambda kind, layer: named(network, kind, layer),
        outputs=lambda samples: extractor.outputs(as_images(samples)),
    )


def named(network: Network, kind: str, layer: str) -> str:
    """An image score's name without the set's prefix."""
    if kind == "CMMD":
        return kind
    if network.standard and not layer:
        return {"FD": "FID", "KD": "KID"}.get(kind, kind)
    return f"{kind}[{network.name}{'-' if layer else ''}{layer}]"
