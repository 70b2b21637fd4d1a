"""`vitok_core.load_tokenizer` and exports, held to the training's own model and to torch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from recording import RecordingContext
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.distributions import Normal

import vitok_core
from vitok_core import jobs
from vitok_core.codec import Code, Tokenizer
from vitok_core.config import FinetuneJob, TokenizerJob
from vitok_core.data.manifest import photos_of
from vitok_core.errors import UserError
from vitok_core.models.build import build_tokenizer
from vitok_core.models.initialise import init_standard
from vitok_core.models.tokenizer import ViTok
from vitok_core.tokenizers import export_tokenizer
from vitok_core.training.checkpoint import load_checkpoint, save_checkpoint, weights_hash

TOWER = {"width": 24, "blocks": 1, "heads": 2}
SIZES = {"encoder": TOWER, "decoder": TOWER, "patch": 16, "channels": 4}
VARIANTS: dict[str, dict[str, Any]] = {
    "simple": {},
    "latent": {"latents": 5},
    "mask_simple": {"lengths": [1, 4]},
    "mask_latent": {"latents": 5, "lengths": [1, 4]},
}
Job = TokenizerJob | FinetuneJob


def job(stage: int = 1, frames: int = 1, **tokenizer: Any) -> Job:
    fields: dict[str, Any] = {
        "tokenizer": {**SIZES, **tokenizer},
        "data": {"name": "photos-train", "resolution": 32, "frames": frames},
    }
    train = {"steps": 2, "batch": 4, "base_lr": 0.1, "precision": "fp32"}
    if stage == 2:
        return FinetuneJob.model_validate({**fields, "finetune": train})
    return TokenizerJob.model_validate({**fields, "train": train})


def made(folder: Path, config: Job, attempt: int = 1, name: str = "final.pt") -> ViTok:
    """A job's folder with a checkpoint of random weights, as a training of `config` leaves it."""
    model = build_tokenizer(config.tokenizer, config.data.frames, config.data.resolution)
    init_standard(model, torch.Generator().manual_seed(attempt))
    weights = model.state_dict()
    place = folder / "checkpoints" / str(attempt)
    place.mkdir(parents=True, exist_ok=True)
    state = {"model": weights, "step": 2, "config": config.model_dump(mode="json"),
             "config_sha256": "x", "weights_sha256": weights_hash(weights)}  # fmt: skip
    save_checkpoint(place / name, state)
    return model.eval()


def photo(height: int = 96, width: int = 160) -> Image.Image:
    with Image.open(photos_of("heldout")[0].path) as image:
        return image.convert("RGB").crop((0, 0, width, height))


def clip_of(image: Image.Image) -> torch.Tensor:
    """(1, 3, 1, h, w) in [-1, 1], by plain torch."""
    pixels = torch.tensor(np.asarray(image)).permute(2, 0, 1).float()
    return (pixels / 127.5 - 1)[None, :, None]


def as_bytes(clips: torch.Tensor) -> torch.Tensor:
    return ((clips + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


@pytest.fixture
def loaded(tmp_path: Path) -> Tokenizer:
    made(tmp_path, job())
    return vitok_core.load_tokenizer(tmp_path)


def test_the_package_imports_without_torch() -> None:
    code = "import sys, vitok_core; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_training_leaves_is_exported_and_loaded_bit_by_bit(tmp_path: Path) -> None:
    context = RecordingContext(tmp_path / "job")
    config = job()
    assert isinstance(config, TokenizerJob)
    jobs.tokenizer(config, context)
    final = context.checkpoints / "final.pt"
    state = load_checkpoint(final)
    model = build_tokenizer(config.tokenizer, 1, 32)
    model.load_state_dict(state["model"])

    out = tmp_path / "out"
    paths = export_tokenizer(context.folder, out, origin=lambda path: {"checkpoint": path.name})
    assert paths == [out / "model.safetensors", out / "config.json"] == sorted(out.iterdir())[::-1]
    summary = json.loads((context.artifacts / "training.json").read_text())
    exported = load_file(paths[0])
    assert weights_hash(exported) == summary["weights_sha256"] == state["weights_sha256"]
    document = json.loads(paths[1].read_text())
    assert TokenizerJob.model_validate(document["config"]) == config
    assert (document["kind"], document["step"]) == ("tokenizer", 2)
    assert document["origin"] == {"checkpoint": "final.pt"}
    with safe_open(paths[0], "pt") as file:
        assert file.metadata()["weights_sha256"] == document["weights_sha256"]

    image = photo()
    with torch.no_grad():
        mean = model.encode(clip_of(image)).mean
        rebuilt = as_bytes(model.reconstruct(clip_of(image)))[:, :, 0]
    for place in (context.folder, final, out, out / "model.safetensors"):
        tokenizer = vitok_core.load_tokenizer(place)
        assert tokenizer.weights_sha256 == summary["weights_sha256"]
        code = tokenizer.encode(image)
        assert torch.equal(code.z, mean)
        assert (code.grid, code.floats) == ((1, 6, 10), 60 * 4)
        assert torch.equal(tokenizer.decode(code), rebuilt)


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_of_both_stages(tmp_path: Path, variant: str, stage: int) -> None:
    model = made(tmp_path / "job", job(stage, variant=variant, **VARIANTS[variant]))
    export_tokenizer(tmp_path / "job", tmp_path / "out")
    tokenizer = vitok_core.load_tokenizer(tmp_path / "out")
    kind = json.loads((tmp_path / "out" / "config.json").read_text())["kind"]
    assert kind == ("tokenizer", "finetune")[stage - 1]
    code = tokenizer.encode(photo())
    with torch.no_grad():
        z = model.encode(clip_of(photo())).mean
        assert torch.equal(code.z, z)
        for length in (None, 1, 3) if "lengths" in VARIANTS[variant] else (None,):
            shortened = z.clone()
            if length is not None:
                assert model.masking is not None
                shortened[:, length:] = model.masking.token
            rebuilt = model.decode(shortened, code.grid)[:, :, 0]
            floats = tokenizer.decode(code, length=length, as_uint8=False)
            assert torch.equal(floats, rebuilt.clamp(-1, 1))


def test_videos(tmp_path: Path) -> None:
    model = made(tmp_path, job(frames=4, stride=2))
    tokenizer = vitok_core.load_tokenizer(tmp_path)
    assert (tokenizer.frames, tokenizer.resolution) == (4, 32)
    frames = np.stack([np.asarray(photo(32, 48))] * 6)[None]  # (1, 6, 32, 48, 3)
    code = tokenizer.encode(frames)
    assert code.grid == (3, 2, 3)
    clips = torch.tensor(frames).permute(0, 4, 1, 2, 3)
    assert torch.equal(tokenizer.encode(clips).z, code.z)
    with torch.no_grad():
        rebuilt = model.reconstruct(clips.float() / 127.5 - 1)
    assert torch.equal(tokenizer.decode(code), as_bytes(rebuilt))
    with pytest.raises(UserError, match=r"1x32x48 must divide by 2x16x16; give at least"):
        tokenizer.encode(photo(32, 48))


def test_all_forms_of_the_same_pictures(loaded: Tokenizer) -> None:
    image = photo(32, 32)
    array = np.asarray(image)
    pixels = torch.tensor(array).permute(2, 0, 1)
    code = loaded.encode(image).z
    forms: list[Any] = [[image, image], np.stack([array] * 2), torch.stack([pixels] * 2),
                        torch.stack([pixels / 127.5 - 1] * 2)]  # fmt: skip
    for form in forms:
        torch.testing.assert_close(loaded.encode(form).z, code.expand(2, -1, -1))
    singles: list[Any] = [
        array,
        pixels,
        pixels[:, :, ::1].half() / 127.5 - 1,
        image.convert("RGBA"),
    ]
    for single in singles:
        torch.testing.assert_close(loaded.encode(single).z, code, atol=2e-3, rtol=2e-3)
    floats = loaded.decode(Code(code, loaded.model.grid), as_uint8=False)
    assert torch.equal(as_bytes(floats), loaded.decode(code))
    assert floats.abs().max() <= 1


def test_16_bit_pictures_are_not_clipped(loaded: Tokenizer) -> None:
    levels = np.asarray(photo(32, 32).convert("L"))
    deep = Image.fromarray(levels.astype(np.uint16) * 257)
    assert deep.mode == "I;16"
    assert torch.equal(loaded.encode(deep).z, loaded.encode(Image.fromarray(levels)).z)


def test_a_draw_is_of_the_posterior(loaded: Tokenizer) -> None:
    image = photo(32, 32)
    posterior = loaded.model.encode(clip_of(image))
    draw = loaded.encode(image, sample=True, generator=torch.Generator().manual_seed(3)).z
    torch.manual_seed(3)
    q = Normal(posterior.mean, (0.5 * posterior.logvar).exp())
    torch.testing.assert_close(draw, q.sample())
    torch.manual_seed(3)
    assert torch.equal(loaded.encode(image, sample=True).z, draw)
    assert not torch.equal(draw, loaded.encode(image).z)


def test_half_precision_comes_close_and_codes_stay_usable(tmp_path: Path) -> None:
    made(tmp_path, job(variant="mask_latent", **VARIANTS["mask_latent"]))
    full = vitok_core.load_tokenizer(tmp_path)
    half = vitok_core.load_tokenizer(tmp_path, dtype=torch.bfloat16, device="cpu")
    code, rough = full.encode(photo()), half.encode(photo())
    assert rough.z.dtype == torch.float32
    assert 0 < (code.z - rough.z).square().mean() < 1e-3 * code.z.square().mean()
    difference = full.decode(code, as_uint8=False) - half.decode(code, as_uint8=False)
    assert difference.abs().mean() < 0.02
    torch.nn.Linear(4, 1)(code.z).sum().backward()  # a code may be what a generator trains on


def test_milestones_and_the_lowest_attempt(tmp_path: Path) -> None:
    models = {n: weights_hash(made(tmp_path, job(), n).state_dict()) for n in (10, 2)}
    assert vitok_core.load_tokenizer(tmp_path).weights_sha256 == models[2]
    model = made(tmp_path, job(), 7, "milestone-000000040.pt")
    export_tokenizer(tmp_path, tmp_path / "out", step=40)
    milestone = weights_hash(model.state_dict())
    assert vitok_core.load_tokenizer(tmp_path, step=40).weights_sha256 == milestone
    assert vitok_core.load_tokenizer(tmp_path / "out").weights_sha256 == milestone
    with pytest.raises(UserError, match=r"no whole milestone-000000041\.pt"):
        vitok_core.load_tokenizer(tmp_path, step=41)


WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: photo(96, 150), r"1x96x150 must divide by 1x16x16; 1x96x144 would fit"),
    (lambda: torch.zeros(1, 4, 32, 32), r"tensor of shape \(1, 4, 32, 32\); expected \(3, h, w\)"),
    (lambda: torch.zeros(0, 3, 32, 32), "is empty"),
    (lambda: torch.full((3, 32, 32), 255.0), r"floats from 255 to 255; expected \[-1, 1\]"),
    (lambda: torch.full((3, 32, 32), torch.nan), "floats from nan"),
    (lambda: torch.zeros(3, 32, 32, dtype=torch.int64), r"torch\.int64; expected uint8"),
    (lambda: np.zeros((3, 32, 32), np.uint8), r"shape \(3, 32, 32\); expected \(h, w, 3\)"),
    (lambda: np.zeros((32, 32, 3)), "float64.*expected uint8"),
    (lambda: [photo(32, 32), photo(32, 48)], "one size expected, not of 32x32, 48x32"),
    (lambda: photo(12, 64), "must divide by 1x16x16; give at least 1x16x16"),
    (lambda: Image.new("F", (32, 32)), r"floats \(mode F\); expected 8 or 16 bits"),
    (list, "not of none"),
    (lambda: "photo.jpg", "images: str; expected"),
    (lambda: 5, "images: int; expected"),
]


@pytest.mark.parametrize(("images", "message"), WRONG)
def test_what_are_no_pictures(loaded: Tokenizer, images: Callable[[], Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        loaded.encode(images())


def test_what_are_no_codes(loaded: Tokenizer) -> None:
    code = loaded.encode(photo(32, 32))
    with pytest.raises(UserError, match=r"shape \(1, 3, 4\); expected \(b, 4, 4\) for 1x2x2 tub"):
        loaded.decode(code.z[:, :3])
    with pytest.raises(UserError, match="variant simple decodes its whole code"):
        loaded.decode(code, length=2)


def test_pixels_that_are_not_finite_are_not_made_black(loaded: Tokenizer) -> None:
    code = loaded.encode(photo(32, 32)).z * torch.nan
    assert loaded.decode(code, as_uint8=False).isnan().all()
    with pytest.raises(UserError, match=r"not finite, computed in torch\.float32"):
        loaded.decode(code)


def _torn(out: Path) -> None:
    (out / "model.safetensors").write_bytes((out / "model.safetensors").read_bytes()[:100])


def _flipped(out: Path) -> None:
    weights = load_file(out / "model.safetensors")
    weights["embed.bias"] = weights["embed.bias"] + 1e-6
    save_file(weights, out / "model.safetensors")


def _edited(old: str, new: str) -> Callable[[Path], None]:
    def edit(out: Path) -> None:
        text = (out / "config.json").read_text()
        assert old in text
        (out / "config.json").write_text(text.replace(old, new))

    return edit


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_torn, "not readable"),
        (_flipped, r"damaged, not the weights of its config\.json"),
        (lambda out: (out / "model.safetensors").unlink(), "an exported tokenizer is"),
        (lambda out: (out / "config.json").write_text("{"), "not readable"),
        (_edited('"config"', '"cfg"'), r"config\.json: without config; export it again"),
        (_edited('"weights_sha256"', '"sha256"'), "without weights_sha256"),
        (_edited('"step": 2,', '"step": null,'), "without step"),
        (_edited('"config": {', '"config": [], "_": {'), "without config"),
        (_edited("tokenizer 1", "tokenizer 2"), "expected format"),
        (_edited('"channels": 4', '"channels": 8'), "not those of its configuration"),
        (_edited('"channels"', '"chanels"'), r"not of this release: tokenizer\.\w+: "),
    ],
)
def test_damaged_exports_are_named(
    tmp_path: Path, damage: Callable[[Path], Any], message: str
) -> None:
    made(tmp_path / "job", job())
    export_tokenizer(tmp_path / "job", tmp_path / "out")
    damage(tmp_path / "out")
    with pytest.raises(UserError, match=message):
        vitok_core.load_tokenizer(tmp_path / "out")


def test_what_is_no_tokenizer(tmp_path: Path) -> None:
    made(tmp_path, job())
    final = tmp_path / "checkpoints" / "1" / "final.pt"
    step = final.with_name("step-000000001.pt")
    save_checkpoint(step, {"model": {}, "step": 1})
    final.with_name("torn.pt").write_bytes(final.read_bytes()[:-200])
    for place, message in (
        (tmp_path / "nowhere", "no such file or folder"),
        (step, r"what a training resumes from; name its final\.pt"),
        (final.with_name("torn.pt"), "not a readable checkpoint"),
        (tmp_path / "checkpoints", r"no whole final\.pt"),
    ):
        with pytest.raises(UserError, match=message):
            vitok_core.load_tokenizer(place)
    with pytest.raises(UserError, match=r"step 3.*job's folder alone"):
        vitok_core.load_tokenizer(final, step=3)
    with pytest.raises(UserError, match="device: cuda:7: "):
        vitok_core.load_tokenizer(final, device="cuda:7")


def test_an_export_is_replaced_only_when_asked_and_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path / "job", job())
    out = tmp_path / "out"
    export_tokenizer(tmp_path / "job", out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    other = made(tmp_path / "other", job(), 5)
    with pytest.raises(UserError, match=r"model\.safetensors: exists; --overwrite replaces it"):
        export_tokenizer(tmp_path / "other", out)

    def full(*arguments: object) -> bytes:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("vitok_core.training.trained.save", full)
        with pytest.raises(OSError, match="No space"):
            export_tokenizer(tmp_path / "other", out, overwrite=True)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    export_tokenizer(tmp_path / "other", out, overwrite=True)
    assert len(list(out.iterdir())) == 2
    assert vitok_core.load_tokenizer(out).weights_sha256 == weights_hash(other.state_dict())
