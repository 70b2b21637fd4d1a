"""ViTok S-B/16 at 256 px beside timm's ViT blocks and Stable Diffusion's VAE: time and memory.

`python benchmarks/models.py --batch 8 --rounds 5` prints these rows alone.

- The same widths of timm's plain ViT blocks: as large matrix products, no rotary positions, no
  gate. Hence the least that such an auto-encoder can cost.
- The matrix products of a model, timed as GEMMs of its own largest shape in turn with it: the
  share of the machine's speed that it reaches.
- Diffusers' AutoencoderKL in Stable Diffusion's sizes (83.65 M) with random weights, for encode and
  decode. FLOPs are counted; the paper prints 162.2 G for it, 4.66 times S-B/16's 34.8 G.
- A step of stage 2's discriminator, in turn with the tokenizer's.
- Memory: by how much a training step raises a process's resident memory at its peak (Linux).

Peers are timed where they are installed (`pip install -e ".[bench]"`).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import torch
from timing import Row, compare, show_memory
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from vitok_core.config import GanConfig, TokenizerConfig
from vitok_core.models.build import build_tokenizer
from vitok_core.models.discriminator import Discriminator
from vitok_core.models.initialise import init_standard
from vitok_core.models.tokenizer import ViTok
from vitok_core.models.tubelets import from_tubelets, to_tubelets
from vitok_core.objectives.adversarial import discriminator_loss
from vitok_core.variants import SIZES

PIXELS, PATCH, CHANNELS = 256, 16, 16
SIZE = TokenizerConfig(encoder=SIZES["S"], decoder=SIZES["B"], patch=PATCH, channels=CHANNELS)
GEMM = 2048  # rows and columns of the product that measures the machine


def measure(batch: int = 8, rounds: int = 3) -> Iterator[Row]:
    """All rows, one by one."""
    model, clips = vitok(), torch.rand(batch, 3, 1, PIXELS, PIXELS) * 2 - 1
    what = f"S-B/16, {batch} images of {PIXELS} px"
    step = training_step(model, clips)
    yield share_of_peak(f"{what}: forward and backward", step, flops(step), rounds)
    if find_spec("timm"):
        peer = training_step(TimmAutoEncoder(), clips)
        yield compare(f"{what}: forward and backward", rounds, ViTok=step, timm_blocks=peer)
    judge = discriminator_step(clips)
    yield compare(f"{what}: a step of the discriminator", rounds, discriminator=judge, ViTok=step)
    if find_spec("diffusers"):
        few = f"S-B/16, 2 images of {PIXELS} px"  # the VAE takes long
        yield beside_the_vae(few, model, clips[:2], rounds)
    yield memory(batch)


def vitok() -> ViTok:
    """S-B/16 with random weights."""
    model = build_tokenizer(SIZE, 1, PIXELS)
    init_standard(model, torch.Generator().manual_seed(0))
    return model


def training_step(model: nn.Module, clips: Tensor) -> Callable[[], None]:
    """Forward, mean squared error, backward; no optimizer."""

    def run() -> None:
        model.zero_grad(set_to_none=True)
        (model(clips)[0] - clips).square().mean().backward()

    return run


def discriminator_step(clips: Tensor) -> Callable[[], None]:
    """Stage 2's discriminator: originals and reconstructions forward, its loss, backward."""
    model = Discriminator(PIXELS, GanConfig().width, torch.Generator().manual_seed(0))

    def run() -> None:
        model.zero_grad(set_to_none=True)
        discriminator_loss(GanConfig().loss, model(clips), model(clips)).backward()

    return run


def flops(run: Callable[[], object]) -> int:
    """Floating-point operations of the matrix products and convolutions of one call."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def share_of_peak(what: str, run: Callable[[], object], work: int, rounds: int) -> Row:
    """The ratio is the share of the machine's GEMM speed that `run` reaches."""
    a, b = torch.rand(GEMM, GEMM), torch.rand(GEMM, GEMM)
    times = compare(what, rounds, ours=run, gemm=lambda: a @ b).seconds
    bound = times["gemm"] * work / (2 * GEMM**3)
    return Row(what, {"ViTok": times["ours"], f"{work / 1e9:,.0f} GFLOP of GEMM": bound})


def beside_the_vae(what: str, model: ViTok, clips: Tensor, rounds: int) -> Row:
    """Encode and decode; the label says how many times the FLOPs the VAE needs."""
    from diffusers import AutoencoderKL

    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=4,
    ).eval()

    @torch.inference_mode()
    def ours() -> object:
        return model.reconstruct(clips)

    @torch.inference_mode()
    def peer() -> object:
        return vae.decode(vae.encode(clips[:, :, 0]).latent_dist.mode())

    ratio = flops(peer) / flops(ours)
    what = f"{what}: encode and decode (the VAE has {ratio:.2f}× the FLOPs)"
    return compare(what, rounds, **{"ViTok": ours, "SD-VAE": peer})


class TimmAutoEncoder(nn.Module):
    """The same widths and depths of timm's ViT blocks, with learned positions."""

    def __init__(self) -> None:
        super().__init__()
        from timm.models.vision_transformer import Block

        def tower(name: str) -> nn.Sequential:
            size = SIZES[name]
            blocks = [Block(size.width, size.heads) for _ in range(size.blocks)]
            return nn.Sequential(*blocks, nn.LayerNorm(size.width))

        values, width = 3 * PATCH**2, SIZES["S"].width
        self.embed = nn.Linear(values, width)
        self.positions = nn.Parameter(torch.zeros(1, (PIXELS // PATCH) ** 2, width))
        self.encoder, self.moments = tower("S"), nn.Linear(width, 2 * CHANNELS)
        self.from_code, self.decoder = nn.Linear(CHANNELS, width), tower("B")
        self.unembed = nn.Linear(width, values)
        self.grid = build_tokenizer(SIZE, 1, PIXELS).grid

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruction and code, as `ViTok` returns them."""
        tokens = self.encoder(self.embed(to_tubelets(clips, 1, PATCH)) + self.positions)
        mean = self.moments(tokens)[..., :CHANNELS]
        values = self.unembed(self.decoder(self.from_code(mean)))
        return from_tubelets(values, self.grid, 1, PATCH), mean


def memory(batch: int) -> Row:
    """Activation checkpointing: the peak of a step with it, and without."""
    peaks = {}
    for name in ("checkpointed", "plain"):
        command = [sys.executable, __file__, "--batch", str(batch), "--peak", name]
        peaks[name] = float(subprocess.run(command, check=True, capture_output=True).stdout)
    what = f"S-B/16, {batch} images of {PIXELS} px: memory of a training step"
    return Row(what, peaks, show_memory)


def peak(batch: int, checkpointed: bool) -> int:
    """Bytes by which this process's peak rises over a step; the gradients stand there before."""
    model, clips = vitok(), torch.rand(batch, 3, 1, PIXELS, PIXELS)
    model.checkpoint_activations(checkpointed)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak starts anew
    before = resident("VmRSS")
    (model(clips)[0] - clips).square().mean().backward()
    return resident("VmHWM") - before


def resident(name: str) -> int:
    """Bytes of this process in memory: now (VmRSS), or at most (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--peak", choices=["checkpointed", "plain"], help="bytes, of this process")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.peak:
        print(peak(given.batch, given.peak == "checkpointed"))
        return
    for row in measure(given.batch, given.rounds):
        print(row.markdown(), flush=True)


if __name__ == "__main__":
    main()
