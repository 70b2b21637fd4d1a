# %% [markdown]
# # 01 A first look at a results database
#
# A launch leaves a *results root*; `analysis.load` reads it into polars frames. Here: what is in
# it, one table, one plot, one fit, the training curves. Every number comes with the protocol by
# which it was measured.
#
# `make demo` fills `results/` in about five minutes. Without results this notebook shows the
# paper's published points in the same form.

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import polars as pl
import seaborn as sns
from matplotlib.colors import LogNorm

import analysis
from analysis.figures import Request, find
from analysis.fits import fit_lines
from analysis.metrics import choose, metric
from analysis.selection import reported, select

sns.set_theme(style="ticks", palette="colorblind")

# %% tags=["parameters"]
RESULTS = os.environ.get("VITOK_RESULTS", "../results")  # or a database's URL
SWEEP = None  # one sweep's name; None: everything that is there

# %%
ours = "://" in RESULTS or any(Path(RESULTS).glob("jobs/*"))
results = analysis.load(RESULTS, sweep=SWEEP) if ours else analysis.load_published()
print(
    f"results of: {results.source}" + ("" if ours else " (no results here: `make demo` makes some)")
)

# %% [markdown]
# ## Points
#
# One row per point: a tokenizer's configuration and its seed. E = L·c is the size of its code, L
# the number of tokens, c the channels of each. Points that differ in the seed alone share a
# `config_id`.

# %%
results.points.select("slug", "p", "c", "L", "E", "seed", "params_m", "gflops").sort("E", "p")

# %% [markdown]
# ## Measurements
#
# One row per number. What has been measured, on what, and how often:

# %%
frame = select(results, figures=["2"]).distinct  # of the paper's: Figure 2
frame.group_by("dataset", "series", "metric", maintain_order=True).agg(
    configurations=pl.col("config_id").n_unique(), lowest=pl.min("value"), highest=pl.max("value")
)

# %% [markdown]
# `trained` is a trained tokenizer. `floor` is PCA of patches with as many numbers per token: what
# a linear code reaches without training. A training result means something only beside it.
#
# Data sets called *train* or *tune* have shaped the recipe; reports look at the others first.

# %%
datasets = reported(frame["dataset"].unique(maintain_order=True).to_list())
dataset = "imagenet1k" if "imagenet1k" in datasets else datasets[0]
qualities = [name for name in frame["metric"].unique() if metric(name).better]  # no rates
frame = frame.filter(pl.col("dataset") == dataset, pl.col("metric").is_in(qualities))
for name, protocol in frame.select("metric", "protocol").unique(maintain_order=True).rows():
    print(f"{name:28} {protocol}")

# %% [markdown]
# Never compare a metric over two protocols. `rFID` is the standard network's; `rFD[…]` names
# another network, and is comparable with itself alone.
#
# ## One table
#
# `wide` makes a column of each metric, and refuses to mix protocols in one. The same E stands on
# a diagonal: half the patch size gives four times the tokens.

# %%
wide = results.wide(dataset=dataset, figures=["2"])  # of the paper's: Figure 2
wide.pivot("p", index="c", values="rPSNR", aggregate_function="mean", sort_columns=True).sort("c")

# %% [markdown]
# ## One plot
#
# Does reconstruction follow log E, and does the patch matter at equal E? Each mark is one
# tokenizer (one seed).

# %%
shown = [choose(family, frame["metric"].unique()) for family in ("frechet", "psnr")]
drawn = frame.filter(pl.col("metric").is_in([name for name in shown if name]))
grid = sns.relplot(
    drawn.to_pandas(), x="E", y="value", hue="p", style="series", col="metric",
    palette="colorblind", s=55, height=3.4, aspect=1.15, facet_kws={"sharey": False},
)  # fmt: skip
grid.set(xscale="log")
for name, axes in grid.axes_dict.items():
    axes.set_xscale("log", base=2)
    axes.set_title(name)
    axes.set_ylabel("dB" if name == "rPSNR" else "distance, lower is better")
    if name != "rPSNR":
        axes.set_yscale("log", base=2)

# %% [markdown]
# ## One fit
#
# `fit_lines` fits every metric over log2 E, on means over seeds: seeds are repeats, not new
# evidence about E, so n counts configurations. The slope is the change per doubling of E, with
# its 95% interval.

# %%
for fit in fit_lines(frame):
    if fit.slope_ci is None:
        print(f"{fit.panel:28} {fit.series:8} no line: {fit.note}")
        continue
    low, high = fit.slope_ci
    print(
        f"{fit.panel:28} {fit.series:8} slope {fit.slope:+.3f} [{low:+.3f}, {high:+.3f}] "
        f"R² {fit.r2:.2f}  residual sd {fit.residual_sd:.3f}  n {fit.n}"
    )

# %% [markdown]
# A high R² says that E explains much *over this range*. It does not say that the line is
# straight, nor that it goes on; notebooks 02 and 03 look at both. Compare `trained` with `floor`:
# where the two lines nearly agree, the law is mostly the linear code's.
#
# The same as a figure of the report (`vitok-sweep report --figure e_vs_metrics` writes it as PDF,
# SVG, PNG, with its data and fits):

# %%
find("e_vs_metrics").draw(results, Request(datasets=(dataset,))).canvas

# %% [markdown]
# ## Training curves
#
# They can be millions of rows and are read when first asked for. A curve that still falls at its
# end belongs to a tokenizer that could have gone further: compare it with others of the same
# steps only. (The quickstart's tokenizers start as the PCA of patches, so theirs are flat.)

# %%
curves = results.curves.filter(pl.col("metric") == "loss")
jobs = select(results).frame.select("tokenizer", "p", "c", "E").unique()
curves = curves.join(jobs, left_on="job_id", right_on="tokenizer")
if curves.is_empty():
    print(f"no training curves in {results.source}")
else:
    _, axes = plt.subplots(figsize=(6.4, 3.4))
    sns.lineplot(
        curves.to_pandas(), x="step", y="value", hue="E", hue_norm=LogNorm(),
        units="job_id", estimator=None, palette="viridis", lw=1, ax=axes, legend="full",
    )  # fmt: skip
    axes.set(yscale="log", ylabel="training loss")
    sns.move_legend(axes, "center left", bbox_to_anchor=(1, 0.5), frameon=False)
    sns.despine()
