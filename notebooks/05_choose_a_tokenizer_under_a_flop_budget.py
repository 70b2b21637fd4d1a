# %% [markdown]
# # 05 Choose a tokenizer under a FLOP budget
#
# You have so many GFLOPs for encoding and decoding an image. Which tokenizer? Here: the Pareto
# fronts of the paper's 21 image tokenizers (stage 1, 256 px, ImageNet-1k), what fits a budget,
# and what to expect of a channel width that nobody has trained.
#
# GFLOPs are multiply-accumulates, as in the paper; one is two floating-point operations.

# %%
import matplotlib.pyplot as plt
import numpy as np
import polars as pl
import seaborn as sns

import analysis
from analysis.predict import Query, predict_all
from analysis.series import series
from analysis.stats.holdout import leave_one_group_out
from analysis.stats.pareto import pareto_front
from analysis.stats.quadratic import quadratic
from analysis.surface import fit_surface, tabulate

sns.set_theme(style="ticks", palette="colorblind")

# %% tags=["parameters"]
BUDGET = 40.0  # GFLOPs per image, encoder and decoder
PATCH, CHANNELS = 16, 24  # a tokenizer that was not trained, S-B

# %% [markdown]
# ## Candidates
#
# Reconstruction from Figures 2 and 6, generation (DiT-L, CFG 1.5) from Figures 5 and 8. Of your own
# runs `analysis.load("../results").measurements` has the same columns: filter it by your data set,
# and by your metrics, which have names of their own where the networks differ (the quickstart has
# `rFD[efficientnet-lite0]` in place of rFID, and no generation).

# %%
paper = analysis.load_published()
shape = ["config_id", "encoder", "decoder", "p", "c", "E", "params_m", "gflops"]
scores = pl.concat([
    paper.measured(["2", "6"]).filter(dataset="imagenet1k", metric="rFID"),
    paper.measured(["5", "8"]).filter(metric="gFID", cfg_scale=1.5),
]).unique(["config_id", "metric"], maintain_order=True)  # fmt: skip
candidates = scores.pivot("metric", index=shape, values="value")
candidates = candidates.with_columns(pl.col("gflops").round(0)).sort("gflops", "E")
candidates.group_by("encoder", "decoder", "p", maintain_order=True).agg(
    widths=pl.len(), gflops=pl.max("gflops"), params_m=pl.max("params_m").round(0),
    best_rFID=pl.min("rFID"), best_gFID=pl.min("gFID"),
)  # fmt: skip

# %% [markdown]
# Patch and model size decide the cost; the channel width c costs nothing: within a patch all five
# widths have the same GFLOPs to 0.1%. Below, whole GFLOPs count, so that this 0.1% decides
# nothing.
#
# ## Fronts
#
# A tokenizer is on the front if no other is at least as good in everything and better in
# something.

# %%
scored = candidates.drop_nulls(["rFID", "gFID"])  # patch 8 with 64 channels has no gFID
fronts = {
    metric: candidates.drop_nulls(metric).filter(
        pl.Series(
            pareto_front(candidates.drop_nulls(metric).select("gflops", metric), [False, False])
        )
    )
    for metric in ("rFID", "gFID")
}
figure, panels = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
for axes, (metric, front) in zip(panels, fronts.items(), strict=True):
    for p, marker in zip((8, 16, 32), "os^", strict=True):
        at = candidates.filter(p=p)
        axes.scatter(at["gflops"], at[metric], marker=marker, s=28, label=f"patch {p}")
    axes.step(front["gflops"], front[metric], where="post", color="0.4", lw=1, label="front")
    axes.axvspan(BUDGET, 260, color="0.9", zorder=0, lw=0)
    axes.set(
        xscale="log", xlim=(7, 260), xlabel="GFLOPs per image", title=f"{metric}, lower is better"
    )
    axes.set_xticks([10, 20, 40, 80, 160], ["10", "20", "40", "80", "160"], minor=False)
    axes.minorticks_off()
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter("{x:.2g}")
panels[1].legend(frameon=False, loc="upper right")
sns.despine()
for metric, front in fronts.items():
    steps = front.select("encoder", "decoder", "p", "c", "gflops", metric).rows()
    for encoder, decoder, p, c, gflops, value in steps:
        print(
            f"{metric} front: {encoder}-{decoder}/{p:<2} c{c:<2} {gflops:4.0f} GFLOPs  {value:.3g}"
        )

# %% [markdown]
# The two fronts want different tokenizers. Reconstruction takes as many channels as it gets;
# generation takes few, and S-S does as well as S-B at two thirds of the cost. So choose by both:

# %%
affordable = scored.filter(pl.col("gflops") <= BUDGET)
if affordable.is_empty():
    print(f"nothing within {BUDGET:g} GFLOPs: the cheapest has {scored['gflops'].min():g}")
best = pareto_front(affordable.select("rFID", "gFID"), [False, False])
choice = affordable.filter(pl.Series(best, dtype=pl.Boolean)).sort("gFID")
choice.select("encoder", "decoder", "p", "c", "E", "gflops", "rFID", "gFID")

# %% [markdown]
# Each row trades one for the other; which to take depends on what the tokenizer is for.
# Differences of a few hundredths (S-S against S-B in gFID) are no differences: there is one run
# of each, and no seeds.
#
# Is a larger decoder worth its cost? At p 16, c 16 it may be, but channels are cheaper:

# %%
for encoder, decoder, c in (("S", "B", 16), ("S", "L", 16), ("S", "B", 32)):
    row = candidates.filter(encoder=encoder, decoder=decoder, c=c, p=16).row(0, named=True)
    print(
        f"{encoder}-{decoder}/16 c{c:2}: {row['gflops']:3.0f} GFLOPs, rFID {row['rFID']:.2f}, "
        f"gFID {row['gFID']:.2f}"
    )

# %% [markdown]
# ## A width that nobody has trained
#
# rFID: what `vitok-sweep predict` says, from all patches of Figures 2, 4 and 6 (the model:
# docs/analysis.md). Generation it does not predict: gFID is a parabola for the patch alone, since
# each patch has its own optimum. The intervals are for *one new tokenizer*, not for the mean.

# %%
tokens = (256 // PATCH) ** 2
widths = sorted({*range(4, 65), CHANNELS})
queries = [Query("S", "B", PATCH, c) for c in widths]
rfid = [
    one.predictions[0]
    for one in predict_all(paper, queries, metrics=["rFID"], datasets=["imagenet1k"])
]
same = candidates.filter(encoder="S", decoder="B", p=PATCH)
generated = same.drop_nulls("gFID")
gfid = quadratic(np.log2(generated["E"].to_numpy()), np.log2(generated["gFID"].to_numpy()))
E = CHANNELS * tokens
at = rfid[widths.index(CHANNELS)]
print(f"S-B/{PATCH} with {CHANNELS} channels, E = {E}")
print(f"rFID: {at.expected:.2f}, 95% prediction interval {at.low:.2f} to {at.high:.2f}")
mean, low, high = (2 ** float(values[0]) for values in gfid.prediction_band([np.log2(E)]))
print(f"gFID: {mean:.2f}, 95% prediction interval {low:.2f} to {high:.2f}")
if at.warnings or not generated["E"].min() <= E <= generated["E"].max():
    print("WARNING: extrapolated", *at.warnings, sep="\n  ")

# %% [markdown]
# ## May that interval be trusted?
#
# Predict each S-B tokenizer from those of the other E, and from those of the other patches:

# %%
(points,) = series(paper, ["rFID"], ["imagenet1k"])
trained = points.rows.filter(encoder="S", decoder="B")
table = tabulate(trained.to_dict(as_series=False))
for name in ("E", "p"):
    tried = leave_one_group_out(table, trained["scaled"], trained[name], fit=fit_surface)
    missed = trained[np.flatnonzero(~tried.inside)].select("resolution", "p", "c").rows()
    print(
        f"left out by {name}: {tried.inside.sum()} of {len(trained)} inside, "
        f"rmse {tried.rmse:.2f} log2; missed: "
        + (", ".join(f"{pixels} px p{p} c{c}" for pixels, p, c in missed) or "none")
    )

figure, axes = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
span = np.array(widths) * tokens
axes.plot(span, [one.expected for one in rfid], lw=1, label="rFID, predicted")
axes.fill_between(span, [one.low for one in rfid], [one.high for one in rfid], alpha=0.2, lw=0)
mean, low, high = gfid.prediction_band(np.log2(span))
axes.plot(span, 2**mean, lw=1, label=f"gFID, parabola of patch {PATCH}")
axes.fill_between(span, 2**low, 2**high, alpha=0.2, lw=0)
for name, colour in (("rFID", "C0"), ("gFID", "C1")):
    axes.scatter(same["E"], same[name], s=25, color=colour)
axes.axvline(E, color="0.5", lw=1, ls=":")
axes.set_xscale("log", base=2)
axes.set_yscale("log", base=2)
axes.yaxis.set_major_formatter("{x:.2g}")
axes.set(xlabel="code size E", title=f"S-B/{PATCH}: predicted, with trained points")
axes.legend(frameon=False)
sns.despine()

# %% [markdown]
# Both misses have 64 channels, where their patch has no wider one: rFID falls there faster than the
# others lead one to expect. So inside the trained E an interval deserves trust, and at the edge
# less. For a patch that nobody trained it is wide, and so are the errors: three patches tell little
# of a fourth. The gFID's is narrow because it rests on its own patch alone, with five points for
# three coefficients. Outside the trained E believe neither.
#
# **Before you rely on it:** GFLOPs here are those of the tokenizer. A generator's cost grows with
# the number of tokens, so patch 8 (1,024 tokens) costs the generator four times as many as patch
# 16. rFID after stage 1 is not that after adversarial fine-tuning. And on your own data fit your
# own points: levels do not carry over between data sets.
