"""What the table says of pretrained tokenizers' costs, counted anew from configurations."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import pytest

from vitok_core.baselines.count import CONFIGURATIONS, Count, count, resnet_autoencoder
from vitok_core.baselines.table import KNOWN

needs_diffusers = pytest.mark.skipif(
    find_spec("diffusers") is None, reason="needs the extra baselines"
)
SD_PARAMETERS = 83_653_863  # as is well known


OWN = {name: known for name, known in KNOWN.items() if name not in ("sd-vae-ft-ema", "sdxl-vae")}


@pytest.mark.slow
@needs_diffusers
@pytest.mark.parametrize("name", OWN)
def test_the_table_holds_what_is_counted(name: str) -> None:
    known = KNOWN[name]
    third = max(128, 2 * known.factor)
    *two, other = count(name, 256, 512, third)
    assert two == [Count(known.parameters, macs) for macs in known.macs]
    assert other.macs == pytest.approx(known.macs_at(third), rel=2e-3)


def test_the_rest_share_stable_diffusions_network() -> None:
    for name in KNOWN.keys() - OWN.keys():
        assert CONFIGURATIONS[name] == CONFIGURATIONS["sd-vae"]
        assert replace(KNOWN[name], name="", title="", source="") == replace(
            KNOWN["sd-vae"], name="", title="", source=""
        )


def test_the_layers_of_cosmos_are_counted_as_diffusers_networks_are() -> None:
    """The same count of Stable Diffusion's VAE: of diffusers' network, and layer by layer."""
    by_layer = resnet_autoencoder(256, 1, 128, (128, 256, 512, 512), 3, 2, (8, 4))
    assert by_layer.parameters == SD_PARAMETERS == KNOWN["sd-vae"].parameters
    assert by_layer.macs == KNOWN["sd-vae"].macs[0]


def test_attention_grows_with_the_square_of_the_pixels() -> None:
    known = KNOWN["sd-vae"]
    assert [known.macs_at(side) for side in (256, 512)] == pytest.approx(known.macs)
    # Two layers of attention, 512 wide, over L = 32² places: QKᵀ and AV are 2·L²·512 each.
    attention = (known.macs[1] - 4 * known.macs[0]) / 12
    assert attention == pytest.approx(2 * 2 * 1024**2 * 512, rel=1e-3)
