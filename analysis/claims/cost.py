"""Claims of §4 on cost: fewer FLOPs than other tokenizers at equal quality, from Tables 3-5."""

from __future__ import annotations

from functools import partial

import polars as pl

from analysis.claims.claim import Claim
from analysis.claims.verdict import Finding, Region, reading
from analysis.published import table

_SD = "SD-VAE"


def fewer_flops(region: Region, *, number: int, ours: str, theirs: str) -> Finding:
    """GFLOPs of `theirs` over those of `ours`, as printed."""
    costs = [float(_cell(number, name, "gflops")) for name in (theirs, ours)]
    note = f"Table {number}: {theirs} {costs[0]:g}, {ours} {costs[1]:g} GFLOPs"
    return Finding(
        (reading(costs[0] / costs[1], region),), f"{note}; {_quality(number, ours, theirs)}"
    )


def no_worse(region: Region, *, number: int, ours: str, theirs: str) -> Finding:
    """Of the metrics that both have, the share in which `ours` is at least as good."""
    pairs = _both(number, ours, theirs)
    better = [_better(name, one, other) for name, one, other in pairs]
    return Finding((reading(sum(better) / len(better), region),), _quality(number, ours, theirs))


def _quality(number: int, ours: str, theirs: str) -> str:
    said = []
    for name, one, other in _both(number, ours, theirs):
        word = "no worse" if _better(name, one, other) else "worse"
        said.append(f"{name} {one:g} against {other:g} ({word})")
    return f"{ours} against {theirs}: " + ", ".join(said)


def _both(number: int, ours: str, theirs: str) -> list[tuple[str, float, float]]:
    names = [name for name in table(number).columns if "/" in name]
    cells = [(name, _cell(number, ours, name), _cell(number, theirs, name)) for name in names]
    return [
        (name, float(one), float(other)) for name, one, other in cells if "-" not in (one, other)
    ]


def _better(name: str, one: float, other: float) -> bool:
    return one <= other if name.split("/")[1] in ("rFID", "rFVD") else one >= other


def _cell(number: int, name: str, column: str) -> str:
    return str(table(number).filter(pl.col("name") == name)[column][0])


def _claim(identity: str, of: str, paper: str, number: int, ours: str, theirs: str) -> Claim:
    return Claim(
        id=identity,
        statement=f"{of} costs 2 to 5 times fewer FLOPs than {theirs}.",
        paper=paper,
        family="Tables 3-5",
        unit="times fewer GFLOPs",
        region=Region(2.0, 5.0),
        margin="2 to 5 as stated in the abstract",
        printed=partial(fewer_flops, number=number, ours=ours, theirs=theirs),
        kind="reading",
    )


CLAIMS = (
    _claim("flops-256p-s-b", "ViTok S-B/16 at 256p", "Abstract, Table 3", 3, "ViTok S-B/16", _SD),
    _claim("flops-256p-s-l", "ViTok S-L/16 at 256p", "Abstract, Table 3", 3, "ViTok S-L/16", _SD),
    _claim("flops-512p-s-b", "ViTok S-B/16 at 512p", "Abstract, Table 4", 4, "ViTok S-B/16", _SD),
    _claim("flops-video-4x8", "ViTok S-B/4x8 on video", "Abstract, Table 5", 5, "ViTok S-B/4x8",
           "LARP-L-Long"),
    *(
        Claim(
            id=f"quality-{identity}",
            statement=f"{of} is at least as good as {theirs} in every metric that both report.",
            paper=paper,
            family="Tables 3-5",
            unit="share of the metrics in which it is no worse",
            region=Region(1.0, 1.0),
            margin="matches or surpasses, read strictly: in every one",
            printed=partial(no_worse, number=number, ours=ours, theirs=theirs),
            kind="reading",
        )
        for identity, of, paper, number, ours, theirs in (
            ("256p-s-b", "ViTok S-B/16 at 256p", "§1, Table 3", 3, "ViTok S-B/16", _SD),
            ("512p-s-b", "ViTok S-B/16 at 512p", "§1, Table 4", 4, "ViTok S-B/16", _SD),
            ("video-4x8", "ViTok S-B/4x8 on video", "§1, Table 5", 5, "ViTok S-B/4x8",
             "LARP-L-Long"),
        )
    ),
)  # fmt: skip
