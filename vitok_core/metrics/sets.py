"""Scores of a whole set of images against a reference set, by the features of frozen networks.

Results of a network, with the set's prefix: `FD[name]`, of a named layer `FD[name-layer]`; of a
classifier `IS[name]`; by `evaluation.scores` also `KD[name]`, `Precision[name]`, `Recall[name]`.
The standard Inception's are called `FID`, `IS`, `KID`, `Precision`, `Recall`; CLIP's is `CMMD`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitok_core.config import EvaluationConfig
from vitok_core.context import Context
from vitok_core.data.pixels import as_images
from vitok_core.errors import UserError
from vitok_core.metrics.classifier import ClassifierScore
from vitok_core.metrics.features import Extractor
from vitok_core.metrics.frechet import Moments
from vitok_core.metrics.kernel import CMMD_SCALE, CMMD_SIGMA, cmmd, kid, kid_protocol
from vitok_core.metrics.manifold import NEIGHBOURS, precision_recall
from vitok_core.metrics.networks import NETWORKS, Network, Score
from vitok_core.metrics.references import References, cached_references, read_statistics
from vitok_core.metrics.rows import Rows

_log = logging.getLogger(__name__)

# What compares samples with samples, and thus needs their features one by one.
_OF_ROWS: frozenset[Score] = frozenset({"kid", "precision_recall", "cmmd"})


class ReferenceSet(NamedTuple):
    """The images to compare with.

    Args:
        images: how many they are, every frame counted.
        samples: a pass over them in batches, for networks with no cached features of them.
        key: all that they depend on, for that cache.
    """

    images: int
    samples: Callable[[], Iterator[Tensor]]
    key: str


class Gathered:
    """What one network's scores need of one set, gathered batch by batch."""

    def __init__(self, extractor: Extractor, scores: Iterable[Score], context: Context) -> None:
        self.extractor, asked = extractor, frozenset(scores)
        widths = extractor.model.layers
        self.moments = {name: Moments(width) for name, width in widths.items()}
        kept = widths if asked & _OF_ROWS else {}
        self.rows = {name: Rows(width, context.folder) for name, width in kept.items()}
        self.score: ClassifierScore | None = None

    def add(self, samples: Tensor) -> None:
        """Take in one batch; UserError where the network's features are no numbers."""
        outputs = self.extractor.outputs(as_images(samples))
        for layer, features in outputs.layers.items():
            values = self._finite(features)
            self.moments[layer].add(values)
            if layer in self.rows:
                self.rows[layer].add(values)
        if self.score is not None and outputs.logits is not None:
            self.score.add(self._finite(outputs.logits))

    def _finite(self, values: Tensor) -> NDArray[np.floating]:
        if not bool(values.isfinite().all()):
            raise UserError(
                f"network {self.extractor.network.name}: its features of an image are no numbers; "
                "its weights or this device's precision are at fault"
            )
        return values.cpu().numpy()

    def references(self) -> References:
        """This set as the one to compare with."""
        gaussians = {layer: moments.gaussian for layer, moments in self.moments.items()}
        return References(gaussians, {layer: rows.array for layer, rows in self.rows.items()})


class SetScores:
    """All set scores of an evaluation: add every sample of the set, then report.

    Args:
        prefix: "r" of reconstructions, of which sample i belongs to original i; "g" of generated
            samples.
        images: how many there will be, every frame counted.
        references: what to compare with, or an archive of its Inception statistics.

    Raises:
        UserError: a set is too small for a score, a network's weights are not here, or statistics
            are given that are not those of the networks.
    """

    def __init__(
        self,
        prefix: str,
        images: int,
        references: ReferenceSet | Path,
        evaluation: EvaluationConfig,
        context: Context,
    ) -> None:
        self.prefix, self.images, self.context = prefix, images, context
        self.asked: tuple[Score, ...] = evaluation.scores
        self.splits = evaluation.splits
        for name in evaluation.networks:
            network = NETWORKS[name]
            field = "evaluation.samples" if prefix == "r" else "sampling.samples"
            _check_number(field, images, self._scores(network), self._splits(network))
            if isinstance(references, Path):
                _check_statistics(references, network, self._scores(network))
            else:
                field = "evaluation.samples"
                _check_number(field, references.images, self._scores(network), 1)
        extractors = [Extractor.open(name, context) for name in evaluation.networks]
        self._gathered = [self._gather(each) for each in extractors]
        for each in self._gathered:
            classes = each.extractor.model.classes
            if classes is not None:
                splits = self._splits(each.extractor.network)
                each.score = ClassifierScore(classes, images, splits)
        self._references = {each.network.name: self._known(each, references) for each in extractors}

    def _gather(self, extractor: Extractor) -> Gathered:
        return Gathered(extractor, self._scores(extractor.network), self.context)

    def _scores(self, network: Network) -> tuple[Score, ...]:
        return (*network.scores, *self.asked)

    def _splits(self, network: Network) -> int:
        return self.splits or network.splits

    def add(self, samples: Tensor) -> None:
        """Take in one batch, in the set's order: images or clips, uint8 or floats in [-1, 1]."""
        for each in self._gathered:
            each.add(samples)

    def report(self, measured: str) -> None:
        """Report all results; `measured` says on which data, for protocols."""
        for each in self._gathered:
            references = self._references[each.extractor.network.name]()
            self._report(each, references, measured)

    def _known(
        self, extractor: Extractor, references: ReferenceSet | Path
    ) -> Callable[[], References]:
        """How to come by what the network's scores need to know of the reference set."""
        layers, protocol = extractor.model.layers, extractor.protocol
        if isinstance(references, Path):
            given = References({"": read_statistics(references, layers[""], protocol)}, {})
            return lambda: given
        kept = bool(frozenset(self._scores(extractor.network)) & _OF_ROWS)

        def compute() -> References:
            gathered = self._gather(extractor)
            for samples in references.samples():
                gathered.add(samples)
            return gathered.references()

        # The library's version is part of the key: kernels may differ in the last bits.
        key = f"{references.key}; {protocol}; torch {torch.__version__}; {extractor.device.type}"
        return lambda: cached_references(key, self.context.cache, layers, kept, compute)

    def _report(self, gathered: Gathered, references: References, measured: str) -> None:
        extractor = gathered.extractor
        network, protocol = extractor.network, extractor.protocol
        layers = extractor.model.layers
        if line := bias(network, layers, gathered.score, self.images, self.prefix):
            _log.warning(line)

        def result(kind: str, layer: str, value: float, how: str) -> None:
            name = self.prefix + named(network, kind, layer)
            self.context.result(name, value, f"{how}; N={self.images}; {measured}")

        scores = self._scores(network)
        for layer, width in layers.items():
            of = f"{width}-d features of {protocol}"
            if "frechet" in scores:
                value = references.gaussians[layer].distance(gathered.moments[layer].gaussian)
                result("FD", layer, value, f"Frechet distance, {of}")
            if not frozenset(scores) & _OF_ROWS:
                continue
            x, y = gathered.rows[layer].array, references.rows[layer]
            if "kid" in scores:
                paired = self.prefix == "r"
                how = f"{kid_protocol(len(x), len(y), paired)}, kernel (x.y/d + 1)^3, {of}"
                result("KD", layer, kid(x, y, paired), how)
            if "precision_recall" in scores:
                precision, recall = precision_recall(x, y)
                how = f"k={NEIGHBOURS} nearest neighbours, {of}"
                result("Precision", layer, precision, how)
                result("Recall", layer, recall, how)
            if "cmmd" in scores:
                how = f"{CMMD_SCALE:g} x MMD^2, Gaussian kernel sigma {CMMD_SIGMA:g}, biased, {of}"
                result("CMMD", layer, cmmd(x, y), how)
        if gathered.score is not None:
            splits = gathered.score.splits
            of = f"{splits} split{'s' if splits > 1 else ''}, {protocol}"
            result("IS", "", gathered.score.value, f"exp mean KL, {of}")


def named(network: Network, kind: str, layer: str) -> str:
    """A score's name without the set's prefix."""
    if kind == "CMMD":
        return kind
    if network.standard and not layer:
        return {"FD": "FID", "KD": "KID"}.get(kind, kind)
    return f"{kind}[{network.name}{'-' if layer else ''}{layer}]"


def bias(network: Network, layers: Mapping[str, int], score: ClassifierScore | None, images: int,
         prefix: str) -> str | None:  # fmt: skip
    """Which of a network's scores so many images are too few for, as one line; None: of none."""
    lines = []
    wide = {layer: width for layer, width in layers.items() if images <= width}
    if wide and "frechet" in network.scores:
        layer, width = max(wide.items(), key=lambda each: each[1])
        narrow = min(layers, key=lambda each: layers[each])
        safer = "evaluation.scores: [kid] is" if narrow in wide else (
            f"{prefix}{named(network, 'FD', narrow)} is"
        )  # fmt: skip
        lines.append(
            f"{prefix}{named(network, 'FD', layer)}: {images} images for {width}-d features: the "
            f"covariance is rank-deficient and the distance biased upwards; {safer} safer"
        )
    if score is not None and images // score.splits < score.classes:
        lines.append(
            f"{prefix}{named(network, 'IS', '')}: {images // score.splits} images a split for "
            f"{score.classes} classes: biased downwards"
        )
    return "; ".join(lines) or None


def _check_statistics(path: Path, network: Network, scores: Iterable[Score]) -> None:
    """UserError where a file of Inception statistics is not what a network's scores need."""
    if not network.standard:
        raise UserError(
            f"evaluation.networks: {network.name}: {path} holds statistics of inception-2015 "
            "alone; leave it out, or name a reference set of images"
        )
    for score in scores:
        if score in _OF_ROWS:
            raise UserError(
                f"evaluation.scores: {score}: {path} holds statistics and no samples; leave it "
                "out, or name a reference set of images"
            )


def _check_number(field: str, images: int, scores: Iterable[Score], splits: int) -> None:
    """UserError where a set is too small for one of the scores."""
    needs = {
        "frechet": (2, "a Fréchet distance"),
        "classifier": (splits, f"an Inception Score of {splits} splits"),
        "kid": (2, "a kernel distance"),
        "precision_recall": (NEIGHBOURS + 1, f"a manifold of {NEIGHBOURS} neighbours"),
        "cmmd": (1, ""),
    }
    for least, what in (needs[each] for each in scores):
        if images < least:
            raise UserError(
                f"{field}: {images}: {what} needs {least} or more; raise it or set "
                "evaluation.networks: []"
            )
