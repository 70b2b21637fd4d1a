"""Figure 5 of the paper: generation metrics over log2 E, with an optimum for each patch size.

Beside it the paper's author published the same points over channels and over pixels per channel.
"""

from __future__ import annotations

from dataclasses import replace

from analysis.figures.spec import E_AXIS, GENERATION, Spec, XAxis
from analysis.fits import Line


def _lines(column: str) -> tuple[Line, ...]:
    return Line("quadratic", column), Line("quadratic", column, by=("p",))


SPEC = Spec(
    id="e_vs_generation",
    title="Generation metrics over E: Fréchet and IS at each CFG scale",
    paper="5",
    figures=("5",),
    families=GENERATION,
    kind="generate",
    lines=_lines(E_AXIS.column),
    notes=(
        "the curve through all points is the paper's; those of single patches are ours, and each "
        "has as few as 4 points for its 3 coefficients",
    ),
)
OVER_CHANNELS = replace(
    SPEC,
    id="c_vs_generation",
    title="Generation metrics over the channels of a token",
    paper="5's points",
    figures=("extra",),
    x=XAxis("c", "channels $c$"),
    lines=_lines("c"),
)
OVER_RATE = replace(
    SPEC,
    id="ppc_vs_generation",
    title="Generation metrics over pixels per channel, the compression rate",
    paper="5's points",
    figures=("extra",),
    x=XAxis("pixels_per_channel", "pixels per channel $3THW/E$", name="pixels per channel"),
    lines=_lines("pixels_per_channel"),
)
