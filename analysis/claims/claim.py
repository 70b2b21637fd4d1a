"""What a claim is: a statement of the paper's, the data that it needs and the region it names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from analysis.claims.evidence import Data, Sample
from analysis.claims.verdict import Finding, Region

Kind = Literal["effect", "reading", "quoted"]
# The paper's names for the families of metrics.
NAMES = {"frechet": "rFID", "fvd": "rFVD", "is": "rIS", "ssim": "rSSIM", "psnr": "rPSNR"}
IMAGE = ("frechet", "is", "ssim", "psnr")
VIDEO = ("frechet", "fvd", "ssim", "psnr")
# In doublings of E. Frozen before any run of ours was judged.
HARDLY = Region(-0.25, 0.25)
HARDLY_WHY = (
    "a quarter of what one doubling of E brings: below it E counts at least eight times as much "
    "as a step of patch or stride, which changes the tokens fourfold"
)


@dataclass(frozen=True)
class Claim:
    """One entry of the registry.

    Args:
        id: stable.
        statement: what is claimed, in testable words.
        paper: where.
        family: the claims among which Holm's adjustment is made.
        unit: of the statistic.
        region: where the statistic lies if the claim holds.
        margin: why the region ends where it does.
        data: what it needs; empty: the paper's tables or figures as printed, by `printed`.
        test: from the samples, in the order of `data`, to a finding.
        printed: from the paper's printed numbers to a finding; our own runs have no part in it.
        kind: effect: an inference; reading: numbers as they stand; quoted: text against figure.
    """

    id: str
    statement: str
    paper: str
    family: str
    unit: str
    region: Region
    margin: str
    data: tuple[Data, ...] = ()
    test: Callable[..., Finding] | None = None
    printed: Callable[[Region], Finding] | None = None
    kind: Kind = "effect"

    @property
    def needs(self) -> str:
        """The experiments that it takes, in words."""
        named = dict.fromkeys(data.needs for data in self.data)
        return "; ".join(named) or "the paper's printed numbers"

    def ask(self, *samples: Sample) -> Finding:
        """Run the test on samples of one source."""
        assert self.test is not None
        return self.test(self.region, *samples)
