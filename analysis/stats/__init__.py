"""Regressions and tests on plain arrays: no frames, no files, no figures.

Arrays in, frozen dataclasses out. What the data cannot carry raises `NoFit`, which says why.
Import from the files; E enters fits as log2 E, Fréchet distances as log2.

| file | asks | gives |
| --- | --- | --- |
| `ols` | a line or plane, how sure? | t and HC3-t intervals, confidence and prediction bands |
| `quadratic` | where is the optimum? | parabola, vertex with Fieller set, place on the grid |
| `power`, `surfaces` | does it level off? | a + b·E^-α against b·E^-α, profile intervals |
| `kriging` | where will the next one fall? | trends with correlated errors, prediction errors |
| `holdout` | does it predict? | the largest E, or one group after another, left out |
| `robust` | do outliers decide? | Huber's and Tukey's fits |
| `compare` | is one model enough? the same? | nested and partial F, equivalence, power, Holm |
| `shift` | how many times the E? | parallel lines over log2 E, factors with Fieller sets |
| `partial`, `clusters` | what does one factor add? | partial effects, cluster-robust errors |
| `seeds` | what do seeds say? | configuration means, pooled sd, lack of fit |
| `pareto` | what is worth its price? | fronts of two or more objectives |
| `bootstrap` | (secondary) | thousands of refits at once, percentile and BCa intervals |
| `fieller`, `inputs` | | confidence sets of ratios; checks, `NoFit` |

Exact for normal errors, and tested to cover 95 ± 1.5% in simulations: t intervals, bands, Fieller
sets, F tests. Approximate, with the coverage that was measured in their files and tests: HC3,
robust, clustered, profile and bootstrap intervals.
"""
