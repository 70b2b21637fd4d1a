# %% [markdown]
# # 04 Compare two sweeps
#
# How many times the E does one setting need to equal another? Worked out on the paper's 256 px
# against its 512 px tokenizers (Figures 2 and 4), then on your own sweeps, and yours beside the
# paper's.

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
import seaborn as sns

import analysis
from analysis.configurations import configuration_means
from analysis.figures import Request, find
from analysis.fits import fit_lines
from analysis.metrics import metric
from analysis.selection import reported, select
from analysis.stats.ols import ols
from analysis.stats.shift import ancova

sns.set_theme(style="ticks", palette="colorblind")

# %% tags=["parameters"]
RESULTS = os.environ.get("VITOK_RESULTS", "../results")  # `make demo` fills it
PAIR = (
    None  # two of its sweeps, e.g. ("quickstart", "my_sweep"); None: trained against the PCA floor
)

# %% [markdown]
# ## Parallel lines
#
# y = a + d·[second] + s·log2 E. With one slope for both, the second needs 2^(−d/s) times the E
# for equal quality. That factor means something only if the slopes *are* equal, so look at that
# test first. The interval is Fieller's; it may be open, and says so.


# %%
def shift(first: pl.DataFrame, second: pl.DataFrame, names: tuple[str, str]) -> None:
    """For every metric of both: how many times the E of the first the second needs."""
    for name in first["metric"].unique(maintain_order=True):
        parts = [part.filter(metric=name) for part in (first, second)]
        if not metric(name).better or parts[1].is_empty():
            continue
        both = pl.concat(parts)
        groups = np.repeat(names, [len(part) for part in parts])
        found = ancova(both["E"], both["scaled"], groups, reference=names[0])
        (only,) = found.shifts
        slopes = (
            f"slopes equal? p = {found.equal_slopes.p:.2f}" if found.equal_slopes else found.note
        )
        print(f"{name:28} × {only.factor:.2f}, 95% {only.factor_set}; {slopes}")


def panels(first: pl.DataFrame, second: pl.DataFrame, names: tuple[str, str]) -> None:
    """Each metric over E, one colour for each set, with its own line."""
    shared = [name for name in first["metric"].unique(maintain_order=True) if metric(name).better]
    size = (2.9 * len(shared), 3)
    _, row = plt.subplots(1, len(shared), figsize=size, layout="constrained")
    for axes, name in zip(np.atleast_1d(row), shared, strict=True):
        for frame, label, mark in zip((first, second), names, "os", strict=True):
            at = frame.filter(metric=name)
            (dots,) = axes.plot(at["E"], at["value"], mark, ms=5, alpha=0.8, label=label)
            grid = np.geomspace(at["E"].min(), at["E"].max(), 50)
            line = ols(at["E"].log(2), at["scaled"])
            axes.plot(
                grid, metric(name).unscale(line.predict(np.log2(grid))), color=dots.get_color()
            )
        axes.set_xscale("log", base=2)
        if metric(name).transform == "log2":
            axes.set_yscale("log", base=2)
        axes.set(title=name, xlabel="code size E")
    np.atleast_1d(row)[0].legend(frameon=False)
    sns.despine()


# %% [markdown]
# ## The paper: 512 px against 256 px
#
# The paper says that equal quality needs 4 × E at 512 px, that is, equal pixels per channel. Take
# the same three tokenizers at either resolution (c = 16, p = 8, 16, 32).

# %%
paper = analysis.load_published()
sizes = configuration_means(paper.measured(["2", "4"]).filter(dataset="imagenet1k", c=16))
small, large = (sizes.filter(resolution=side) for side in (256, 512))
shift(small, large, ("256 px", "512 px"))
panels(small, large, ("256 px", "512 px"))

# %% [markdown]
# For rPSNR and rSSIM the factor is 2.5 to 2.8; rSSIM's interval leaves 4 out, rPSNR's holds it.
# For rFID the two share one line: no factor at all. For rIS the set has no upper end that means
# anything: six points in a bend. The points say the same without a model: at equal pixels per
# channel (same p and c) every 512 px tokenizer scores *better* than its 256 px twin. One reason
# may be the images: many of ImageNet's are not much larger than 512 px, and enlarged ones are
# smooth. With three tokenizers in each set the test of equal slopes can hardly reject.
#
# With all 15 tokenizers at 256 px in the reference the answers stay close, on more degrees of
# freedom:

# %%
everything = configuration_means(paper.measured(["2"]).filter(dataset="imagenet1k"))
shift(everything, large, ("256 px", "512 px"))

# %% [markdown]
# ## Your own
#
# With two sweeps on the same grid the sharper comparison is *point by point*: the same p, q and c
# in both, their difference, and the spread of that. It needs no line. Both sweeps must share data
# set, metric and protocol; rows that do not, find no partner.

# %%
ours = "://" in RESULTS or any(Path(RESULTS).glob("jobs/*"))
names, frames = PAIR or ("PCA floor", "trained"), []
if ours and PAIR:
    frames = [select(analysis.load(RESULTS, sweep=name)).distinct for name in PAIR]
    frames = [frame.filter(series="trained") for frame in frames]
elif ours:
    mine = select(analysis.load(RESULTS)).distinct
    frames = [mine.filter(series=name) for name in ("floor", "trained")]
else:
    print("no results here: `make demo` makes some; what follows is for your own sweeps")
comparable = bool(frames) and not frames[0].is_empty()

# %%
if comparable:
    dataset = reported(frames[1]["dataset"].unique(maintain_order=True).to_list())[0]
    first, second = (configuration_means(frame.filter(dataset=dataset)) for frame in frames)
    key = ["metric", "protocol", "p", "q", "c", "E"]
    pairs = first.join(second, on=key, suffix="_second", maintain_order="left").with_columns(
        difference=pl.col("scaled_second") - pl.col("scaled")
    )
    print(f"{names[1]} minus {names[0]} on {dataset}, at equal p, q and c:")
    for (name,), rows in pairs.group_by("metric", maintain_order=True):
        change = rows["difference"] * metric(name).better
        print(
            f"{name:28} better at {(change > 0).sum()} of {len(rows)}; difference from "
            f"{rows['difference'].min():+.3g} to {rows['difference'].max():+.3g}, "
            f"median {rows['difference'].median():+.3g} {metric(name).unit}"
        )

# %% [markdown]
# Differences are in dB, in log2 units of a Fréchet distance, or in the metric's own unit. One
# seed per configuration says nothing about the noise of a difference: launch with `--set
# 'seeds=[0,1,2]'` before you call a small one real.

# %% [markdown]
# The same as a shift of lines. Its intervals are much wider: the spread around a line is mostly
# that of the shapes p and c, which pairs cancel. On the quickstart trained tokenizers beat the
# floor's rPSNR at 14 of 15 shapes, and the lines cannot tell the two apart.

# %%
if comparable:
    shift(first, second, names)
    panels(first, second, names)

# %% [markdown]
# ## Yours beside the paper's
#
# Other data, other resolution, other networks: the levels are not comparable, so each source has
# its own row of panels and its own axes.

# %%
twins = analysis.load(RESULTS).with_published() if ours else paper
find("e_vs_metrics").draw(twins, Request()).canvas

# %% [markdown]
# What may be read beside each other is the *shape*: R² and the change per doubling of E. Even
# that depends on the range of E and on the images.

# %%
own = select(analysis.load(RESULTS)).distinct if ours else paper.measured(["2"]).clear()
theirs = paper.measured(["2"]).filter(dataset="imagenet1k")
for fit in fit_lines(pl.concat([own.filter(series="trained"), theirs])):
    if fit.metric.family in ("psnr", "ssim") and fit.model is not None:
        low, high = fit.slope_ci
        print(
            f"{fit.source:10} {fit.dataset:16} {fit.panel:6} {fit.slope:+.3f} "
            f"[{low:+.3f}, {high:+.3f}] {fit.metric.unit} per doubling, R² {fit.r2:.2f}"
        )
