"""Scores of a whole set of images or clips against a reference set, by features of frozen networks.

Results of a network, with the set's prefix: `FD[name]`, of a named layer `FD[name-layer]`; of a
classifier `IS[name]`; by `evaluation.scores` also `KD[name]`, `Precision[name]`, `Recall[name]`.
The standard Inception's are called `FID`, `IS`, `KID`, `Precision`, `Recall`; CLIP's is `CMMD`.
Those of video networks are in `fvd.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitok_core.config import EvaluationConfig
from vitok_core.context import Context
from vitok_core.errors import UserError
from vitok_core.metrics import fvd
from vitok_core.metrics.classifier import ClassifierScore
from vitok_core.metrics.enough import NEIGHBOURS, image_scores, too_few
from vitok_core.metrics.frechet import Moments
from vitok_core.metrics.kernel import CMMD_SCALE, CMMD_SIGMA, cmmd, kid, kid_protocol
from vitok_core.metrics.manifold import precision_recall
from vitok_core.metrics.networks import NETWORKS, Network, Score
from vitok_core.metrics.references import (
    References,
    find_references,
    keep_references,
    read_statistics,
)
from vitok_core.metrics.rows import Rows
from vitok_core.metrics.views import View, image_view
from vitok_core.training.distributed import World

_log = logging.getLogger(__name__)

# What compares samples with samples, and thus needs their features one by one.
_OF_ROWS: frozenset[Score] = frozenset({"kid", "precision_recall", "cmmd"})


class ReferenceSet(NamedTuple):
    """The images or clips to compare with.

    Args:
        samples: how many they are.
        batches: of them, read only for networks with no cached features of them.
        key: all that they depend on, for that cache.
    """

    samples: int
    batches: Sequence[Tensor]
    key: str


class Seen(NamedTuple):
    """What a network makes of one batch: features (b, width) by layer, and a classifier's logits
    (b, classes)."""

    layers: Mapping[str, NDArray[np.floating]]
    logits: NDArray[np.floating] | None


class Gathered:
    """What one network's scores need of one set: any process looks at a batch, and the first one
    adds what was seen in the set's order.

    Args:
        images: how many there will be, for a classifier's score.
        splits: of that score; None: it is not asked for.
    """

    def __init__(
        self, view: View, context: Context, images: int = 0, splits: int | None = None
    ) -> None:
        self.view = view
        self.moments = {name: Moments(width) for name, width in view.layers.items()}
        kept = view.layers if _OF_ROWS.intersection(view.scores) else {}
        self.rows = {name: Rows(width, context.folder) for name, width in kept.items()}
        self.score: ClassifierScore | None = None
        if view.classes is not None and splits is not None:
            self.score = ClassifierScore(view.classes, images, splits)

    def look(self, samples: Tensor) -> Seen:
        """See one batch; UserError where the network's features are no numbers."""
        outputs = self.view.outputs(samples)
        layers = {layer: self._finite(features) for layer, features in outputs.layers.items()}
        logits = None if self.score is None else outputs.logits
        return Seen(layers, None if logits is None else self._finite(logits))

    def add(self, seen: Seen) -> None:
        """Take in what was seen of the next batch."""
        for layer, values in seen.layers.items():
            self.moments[layer].add(values)
            if layer in self.rows:
                self.rows[layer].add(values)
        if self.score is not None and seen.logits is not None:
            self.score.add(seen.logits)

    def _finite(self, values: Tensor) -> NDArray[np.floating]:
        if not bool(values.isfinite().all()):
            raise UserError(
                f"network {self.view.network.name}: its features of {self.view.one} are no "
                "numbers; its weights or this device's precision are at fault"
            )
        return values.cpu().numpy()

    def references(self) -> References:
        """This set as the one to compare with."""
        gaussians = {layer: moments.gaussian for layer, moments in self.moments.items()}
        return References(gaussians, {layer: rows.array for layer, rows in self.rows.items()})


class SetScores:
    """All set scores of an evaluation: look at every batch, add what was seen, then report.

    Args:
        prefix: "r" of reconstructions, of which sample i belongs to original i; "g" of generated
            samples.
        samples: how many there will be.
        frames: of a sample of either set; of an image 1.
        references: what to compare with, or an archive of its Inception statistics.
        world: the job's processes, of which the first adds and reports.

    Raises:
        UserError: a set is too small for a score, clips are too short, a network's weights are not
            here, or statistics are given that are not those of the networks.
    """

    def __init__(
        self,
        prefix: str,
        samples: int,
        frames: int,
        references: ReferenceSet | Path,
        evaluation: EvaluationConfig,
        context: Context,
        world: World,
    ) -> None:
        self.prefix, self.context, self.world = prefix, context, world
        images = samples * frames
        for network in (NETWORKS[name] for name in evaluation.networks):
            field = "evaluation.samples" if prefix == "r" else "sampling.samples"
            reason = too_few(field, images, network, evaluation)
            if isinstance(references, Path):
                _check_statistics(references, network, image_scores(network, evaluation))
            else:
                others = references.samples * frames
                reason = reason or too_few("evaluation.samples", others, network, evaluation, False)
            if reason is not None:
                raise UserError(reason)
        known = samples if isinstance(references, Path) else references.samples
        for video in evaluation.video:
            fvd.check(video, frames, min(samples, known))
        views = [
            *(image_view(name, evaluation, context) for name in evaluation.networks),
            *(fvd.video_view(name, evaluation, context) for name in evaluation.video),
        ]
        splits = [evaluation.splits or view.network.splits for view in views]
        self._gathered = [
            Gathered(view, context, images, parts)
            for view, parts in zip(views, splits, strict=True)
        ]
        self._references = [self._known(view, references) for view in views]

    def look(self, samples: Tensor) -> list[Seen]:
        """See one batch of images or clips, uint8 or floats in [-1, 1]."""
        return [each.look(samples) for each in self._gathered]

    def add(self, seen: Sequence[Seen]) -> None:
        """Take in what was seen of the next batch, in the set's order."""
        for each, part in zip(self._gathered, seen, strict=True):
            each.add(part)

    def report(self, measured: str) -> None:
        """Report all results; `measured` says on which data, for protocols.

        All processes must call it: they look at the references together.
        """
        for gathered, known in zip(self._gathered, self._references, strict=True):
            references = known()
            if references is not None:
                self._report(gathered, references, measured)

    def _known(
        self, view: View, references: ReferenceSet | Path
    ) -> Callable[[], References | None]:
        """How the first process comes by what scores need to know of the reference set."""
        if isinstance(references, Path):
            statistics = read_statistics(references, view.layers[""], view.protocol)
            given = References({"": statistics}, {}) if self.world.first else None
            return lambda: given
        return lambda: self._looked_up(view, references)

    def _looked_up(self, view: View, references: ReferenceSet) -> References | None:
        world, context = self.world, self.context
        # The library's version is part of the key: kernels may differ in the last bits.
        key = f"{references.key}; {view.protocol}; torch {torch.__version__}; {view.device}"
        kept = bool(_OF_ROWS.intersection(view.scores))
        place = key, context.cache
        found = find_references(*place, view.layers, kept) if world.first else None
        if world.tell(found is not None):
            return found
        gathered = Gathered(view, context)
        batches = references.batches
        for seen in world.in_turn(len(batches), lambda k: gathered.look(batches[k]), context):
            gathered.add(seen)
        if not world.first:
            return None
        computed = gathered.references()
        keep_references(*place, computed)
        return computed

    def _report(self, gathered: Gathered, references: References, measured: str) -> None:
        view, scores = gathered.view, gathered.view.scores
        n = next(iter(gathered.moments.values())).n
        if line := bias(view, gathered.score, n, self.prefix):
            _log.warning(line)

        def result(kind: str, layer: str, value: float, how: str) -> None:
            name = self.prefix + view.named(kind, layer)
            self.context.result(name, value, f"{how}; N={n}{view.count}; {measured}")

        for layer, width in view.layers.items():
            of = f"{width}{view.features} of {view.protocol}"
            if "frechet" in scores:
                value = references.gaussians[layer].distance(gathered.moments[layer].gaussian)
                result("FD", layer, value, f"Frechet distance, {of}")
            if not _OF_ROWS.intersection(scores):
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
            of = f"{splits} split{'s' if splits > 1 else ''}, {view.protocol}"
            result("IS", "", gathered.score.value, f"exp mean KL, {of}")


def bias(view: View, score: ClassifierScore | None, n: int, prefix: str) -> str | None:
    """Which of a network's scores n images or clips are too few for, as one line; None: of none."""
    lines, layers = [], view.layers
    wide = {layer: width for layer, width in layers.items() if n <= width}
    if wide and "frechet" in view.scores:
        layer, width = max(wide.items(), key=lambda each: each[1])
        narrow = min(layers, key=lambda each: layers[each])
        safer = "evaluation.scores: [kid] is" if narrow in wide else (
            f"{prefix}{view.named('FD', narrow)} is"
        )  # fmt: skip
        lines.append(
            f"{prefix}{view.named('FD', layer)}: {n} {view.unit} for {width}{view.features}: the "
            f"covariance is rank-deficient and the distance biased upwards; {safer} safer"
        )
    if score is not None and n // score.splits < score.classes:
        lines.append(
            f"{prefix}{view.named('IS', '')}: {n // score.splits} images a split for "
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
