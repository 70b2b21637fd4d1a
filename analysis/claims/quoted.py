"""Numbers that the paper's text or tables quote, against what its own figures plot.

A quoted number holds where the plotted one rounds to it. These claims judge the paper's text, so
runs of our own have no part in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl

from analysis.claims.claim import Claim
from analysis.claims.verdict import Finding, Region, reading
from analysis.published import drawn

_SB16: dict[str, Any] = {"encoder": "S", "decoder": "B", "p": 16, "c": 16, "dataset": "imagenet1k"}
_SHORT = {"imagenet1k": "ImageNet", "kinetics700": "Kinetics-700", "ucf101": "UCF-101",
          "shutterstock": "Shutterstock"}  # fmt: skip


@dataclass(frozen=True)
class _Mark:
    """One mark of a figure."""

    figure: str
    panel: str
    where: dict[str, Any]

    @property
    def row(self) -> dict[str, Any]:
        asked = [pl.col("panel") == self.panel]
        asked += [pl.col(name).eq_missing(value) for name, value in self.where.items()]
        # Figure 10 draws a metric in several panels: the same number.
        found = drawn(self.figure).filter(asked).unique("value")
        if len(found) != 1:
            raise ValueError(
                f"{len(found)} marks of {self.panel} in Figure {self.figure}: {self.where}"
            )
        return found.row(0, named=True)

    @property
    def value(self) -> float:
        return float(self.row["value"])


def plotted(region: Region, *, mark: _Mark, quote: str) -> Finding:
    """The plotted number, against the quoted one give or take half its last decimal."""
    note = f"quoted {quote}, plotted {mark.value:.6g} in Figure {mark.figure}"
    return Finding((reading(mark.value, region),), note)


def drop(region: Region, *, before: _Mark, after: _Mark) -> Finding:
    """By how much a plotted number falls."""
    note = f"plotted {before.value:.4g} to {after.value:.4g} in Figure {after.figure}"
    return Finding((reading(before.value - after.value, region),), note)


def between(region: Region, *, marks: tuple[_Mark, _Mark], quote: float) -> Finding:
    """Where the quote lies between two plotted numbers: 0 at the first, 1 at the second."""
    first, second = (mark.value for mark in marks)
    note = f"plotted {first:.4g} and {second:.4g} in Figure {marks[0].figure}"
    return Finding((reading((first - quote) / (first - second), region),), note)


def ratio(region: Region, *, one: _Mark, other: _Mark) -> Finding:
    """One plotted number over another."""
    note = f"{one.value:.4g} in Figure {one.figure}, {other.value:.4g} in Figure {other.figure}"
    return Finding((reading(one.value / other.value, region),), note)


def axis(region: Region, *, mark: _Mark, column: str, note: str) -> Finding:
    """Where a mark stands along x, or what its true E is."""
    row = mark.row
    said = f"{note}: drawn at {row['x_plotted']:.0f}, its E is {row['E']}"
    return Finding((reading(float(row[column]), region),), said)


def _rounds_to(quote: str) -> Region:
    decimals = len(quote.partition(".")[2])
    half = 0.5 * 10.0**-decimals
    return Region(float(quote) - half, float(quote) + half)


def _quote(identity: str, statement: str, paper: str, quote: str, unit: str, mark: _Mark) -> Claim:
    return Claim(
        id=f"quote-{identity}",
        statement=statement,
        paper=f"{paper} against Figure {mark.figure}",
        family="quoted",
        unit=unit,
        region=_rounds_to(quote),
        margin="half a unit of the last decimal that is printed",
        printed=partial(plotted, mark=mark, quote=quote),
        kind="quoted",
    )


def _decoder(encoder: str, before: str, after: str) -> Claim:
    size: dict[str, Any] = {"dataset": "imagenet1k"}
    marks = [_Mark("7", "rFID", {**size, "encoder": name[0], "decoder": name[2]})
             for name in (before, after)]  # fmt: skip
    return Claim(
        id=f"quote-decoder-b-to-l-encoder-{encoder.lower()}",
        statement="Decoder B to L takes rFID from 1.6 to 1.3: "
        f"encoder {encoder}, {before} to {after}.",
        paper="§3.3 against Figure 7",
        family="quoted",
        unit="fall of rFID",
        region=Region(0.2, 0.4),
        margin="0.3, each of its two ends being printed to ± 0.05",
        printed=partial(drop, before=marks[0], after=marks[1]),
        kind="quoted",
    )


def _video(dataset: str) -> Claim:
    ends = [_Mark("11", "rFID", {"dataset": dataset, "p": 16, "q": q}) for q in (4, 2)]
    return Claim(
        id=f"quote-video-rfid-2-{dataset}",
        statement=f"Video reaches rFID 2.0 between E 16384 and 32768, on {_SHORT[dataset]}.",
        paper="§3.5 against Figure 11",
        family="quoted",
        unit="place of rFID 2.0 between p16 q4 (0) and p16 q2 (1)",
        region=Region(0.0, 1.0),
        margin="between the two E as stated",
        printed=partial(between, marks=(ends[0], ends[1]), quote=2.0),
        kind="quoted",
    )


def _again(identity: str, what: str, one: _Mark, other: _Mark) -> Claim:
    return Claim(
        id=f"again-{identity}",
        statement=f"{what} has one rFID in both figures that show it.",
        paper=f"Figure {one.figure} against Figure {other.figure}",
        family="quoted",
        unit=f"rFID in Figure {one.figure} over Figure {other.figure}",
        region=Region(0.99, 1.01),
        margin="1%: figures were read to 7 digits, so a true repeat would agree to all of them",
        printed=partial(ratio, one=one, other=other),
        kind="quoted",
    )


_FIG2 = _Mark("2", "rFID", _SB16)
_SIMPLE = {**_SB16, "variant": "simple"}
_GAN = {"dataset": "imagenet1k", "loss_label": "L2+LP+GAN"}
_UCF = {"dataset": "ucf101", "p": 16, "q": 4}

CLAIMS = (
    _quote("gfid-stage-1", "The stage-1 S-B/16 reaches gFID 5.5 at CFG 1.5.", "§3.4", "5.5", "gFID",
           _Mark("5", "gFID", {**_SB16, "cfg_scale": 1.5})),
    _quote("gis-stage-1", "The stage-1 S-B/16 reaches gIS 160 at CFG 1.5.", "§3.4", "160", "gIS",
           _Mark("5", "gIS", {**_SB16, "cfg_scale": 1.5})),
    _quote("gan-rfid", "GAN fine-tuning achieves rFID 0.50.", "§3.4, Table 3", "0.50", "rFID",
           _Mark("10", "rFID", _GAN)),
    _quote("gan-psnr", "The S-B/16 with GAN has PSNR 24.36.", "Table 3", "24.36", "rPSNR, dB",
           _Mark("10", "rPSNR", _GAN)),
    _quote("decoder-b", "With decoder B rFID is 1.6 at E = 4096.", "§3.3", "1.6", "rFID", _FIG2),
    _decoder("S", "S-B", "S-L"),
    _decoder("B", "B-B", "B-L"),
    _decoder("L", "B-B", "L-L"),
    *(
        _quote(f"e-8192-p{p}", f"Doubling E to 8192 brings rFID to 0.8 (p{p} c{c}).", "§3.3", "0.8",
               "rFID", _Mark("2", "rFID", {"dataset": "imagenet1k", "p": p, "c": c}))
        for p, c in ((16, 32), (8, 8))
    ),
    *(
        _quote(f"table-2-{panel.lower()}", f"bfloat16 {panel} of S-B/16 is {quote}.", "Table 2",
               quote, panel, _Mark("2", panel, _SB16))
        for panel, quote in (("rFID", "1.63"), ("rIS", "194"), ("rSSIM", "0.79"), ("rPSNR", "26.1"))
    ),
    *map(_video, ("kinetics700", "ucf101", "shutterstock")),
    _again("s-b-16-masked", "Simple S-B/16 c16", _Mark("20", "rFID", _SIMPLE), _FIG2),
    _again("s-b-16-latent", "Simple S-B/16 c16", _Mark("19", "rFID", _SIMPLE), _FIG2),
    _again("s-b-4x16-video", "S-B/4x16 of 16 frames on UCF-101",
           _Mark("13", "rFID", {**_UCF, "frames": 16}), _Mark("12", "rFID", _UCF)),
    Claim(
        id="quote-512p-axis",
        statement="Figure 4's x axis is E = 512²/p² · c, as its caption says (p32 c16).",
        paper="Figure 4 against its caption",
        family="quoted",
        unit="E at which p32 is drawn",
        region=Region(4096.0, 4096.0),
        margin="E is a whole number",
        printed=partial(axis, mark=_Mark("4", "rFID", {"p": 32, "dataset": "imagenet1k"}),
                        column="x_plotted", note="p32 c16 at 512p"),
        kind="quoted",
    ),
    Claim(
        id="quote-masked-e",
        statement="A masked code has E = l_eval · 2c (256 tokens, c 16: 8192).",
        paper="§8.3 against Figure 20",
        family="quoted",
        unit="E at which 256 tokens are drawn",
        region=Region(8192.0, 8192.0),
        margin="E is a whole number",
        printed=partial(axis, column="x_plotted", note="mask simple, 256 tokens, c 16", mark=_Mark(
            "20", "rFID", {"variant": "mask_simple", "latent_tokens": 256})),
        kind="quoted",
    ),
)  # fmt: skip
