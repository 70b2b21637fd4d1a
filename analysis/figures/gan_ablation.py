"""Figure 18 of the paper: metrics along the adversarial fine-tuning of the decoder, by setting."""

from __future__ import annotations

import polars as pl

from analysis.figures.spec import Mark, Spec, XAxis

_WEIGHT = 0.05  # of the GAN loss where a name gives none: the paper's best (§8.2)
_rate = pl.col("disc_lr").map_elements(lambda lr: f"{lr:g}".replace("e-0", "e-"), pl.String)
_SETTING = (
    pl.when("full_finetune")
    .then(pl.lit("all weights"))
    .when(pl.col("gan_weight") == 0)
    .then(pl.lit("no GAN"))
    .when(pl.col("gan_weight") == _WEIGHT)
    .then(pl.format("lr {}", _rate))
    .otherwise(pl.format("lr {}, w {}", _rate, "gan_weight"))
)
_MARK = Mark(
    "setting",
    "{}",
    "setting (lr: the discriminator's learning rate; w: the weight of the GAN loss, "
    f"{_WEIGHT} where none is named)",
    ("no GAN", "lr 1e-5", "lr 2e-5", "lr 4e-5", "lr 1e-5, w 0.1", "all weights"),
)

SPEC = Spec(
    id="gan_ablation",
    title="Metrics along the adversarial fine-tuning of the decoder",
    paper="18",
    figures=("18",),
    x=XAxis("step", "fine-tuning step", "identity", ticks="values"),
    lines=(),
    mark=_MARK,
    paths=_MARK,
    path_labels=True,
    columns=(_SETTING.alias("setting"),),
    floor=False,
    where=(pl.col("stage") == 2) & pl.col("step").is_not_null(),
    needs="along a fine-tuning",
    varied=("loss", "gan_weight", "disc_lr", "full_finetune"),
    size=(2.5, 2.5),
    notes=(
        "learning rates and weights are §8.2's; of the fine-tuning of all weights two steps are "
        "published",
    ),
)
