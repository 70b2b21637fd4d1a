"""The images' way into a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from recording import RecordingContext
from skimage import data
from torch import Tensor

from vitok_core.metrics import features
from vitok_core.metrics.features import Extractor, Outputs
from vitok_core.metrics.resize import bicubic


@pytest.mark.parametrize("size", [16, 64, 223, 300])
def test_preparing_resizes_as_pillow_does(size: int) -> None:
    photo = data.astronaut()[:size, 100 : 100 + size]
    (found,) = bicubic(torch.from_numpy(photo).permute(2, 0, 1)[None], 224)
    for values, channel in zip(found.numpy(), photo.transpose(2, 0, 1), strict=True):
        # In floats Pillow does not round between its two passes.
        exact = Image.fromarray(channel.astype(np.float32)).resize(
            (224, 224), Image.Resampling.BICUBIC
        )
        assert np.array_equal(values, values.round())
        assert np.abs(values - np.asarray(exact).clip(0, 255)).max() < 0.51


def test_images_of_the_networks_size_are_left_alone() -> None:
    images = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8)
    assert torch.equal(bicubic(images, 224), images)


def tensors(outputs: Outputs) -> list[Tensor]:
    assert outputs.logits is not None
    return [*outputs.layers.values(), outputs.logits]


def test_outputs_do_not_depend_on_the_micro_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extractor = Extractor.open("efficientnet-lite0", RecordingContext(tmp_path))
    assert extractor.protocol == "efficientnet-lite0 579344248a93, 224px bicubic, 8-bit"
    images = torch.from_numpy(data.coffee()[:64, :320]).unfold(1, 64, 64).permute(1, 2, 0, 3)
    outputs = []
    for size in (1, 2, 5):
        monkeypatch.setattr(features, "MICRO_BATCH", size)
        outputs.append(extractor.outputs(images))
    for other in outputs[1:]:
        for found, expected in zip(tensors(other), tensors(outputs[0]), strict=True):
            assert len(found) == 5
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
