"""Every claim of the registry on every source of a set of results."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import get_args

from analysis.claims.claim import Claim
from analysis.claims.evidence import Evidence, NoData, Sample
from analysis.claims.protocols import told_apart
from analysis.claims.registry import CLAIMS
from analysis.claims.verdict import Finding, Part, Verdict, Word, settle
from analysis.frames import Results, Source
from analysis.stats.inputs import NoFit

_PAPER_ONLY = "judged on the paper's own printed numbers: --source published"


@dataclass(frozen=True)
class _Heard:
    """A claim with what one source has to say; `finding` is None where it has nothing."""

    claim: Claim
    samples: tuple[Sample, ...]
    finding: Finding | None
    note: str = ""


def judge(results: Results, claims: Sequence[Claim] = CLAIMS) -> list[Verdict]:
    """A verdict per claim and source, claim by claim, in the order of the registry.

    Holm's adjustment is over the claims of one family on one source that could be tested.
    """
    sources: list[Source] = [one for one in get_args(Source) if one in results.sources]
    by_source = [_judge_source(results, source, claims) for source in sources]
    return [verdict for same in zip(*by_source, strict=True) for verdict in same]


def _judge_source(results: Results, source: Source, claims: Sequence[Claim]) -> list[Verdict]:
    evidence = Evidence(results, source)
    heard = {claim.id: _hear(claim, evidence) for claim in claims}
    settled: dict[str, tuple[Word, float | None, float | None]] = {}
    for _, family in groupby(sorted(claims, key=lambda one: one.family), lambda one: one.family):
        findings = {claim.id: heard[claim.id].finding for claim in family}
        settled |= settle({name: found for name, found in findings.items() if found is not None})
    return [_verdict(one, source, *settled.get(name, (Word.NO_DATA, None, None)))
            for name, one in heard.items()]  # fmt: skip


def _hear(claim: Claim, evidence: Evidence) -> _Heard:
    samples: tuple[Sample, ...] = ()
    try:
        if claim.printed is not None and evidence.source == "published":
            return _Heard(claim, (), claim.printed(claim.region))
        if claim.test is None:
            return _Heard(claim, (), None, _PAPER_ONLY)
        samples = evidence.samples(claim.data)
        return _Heard(claim, samples, claim.ask(*samples))
    except NoData as lack:
        return _Heard(claim, (), None, str(lack))
    except NoFit as reason:
        # There are data, too few to know how sure they are: no power at all.
        part = Part(estimate=float("nan"), power=0.0)
        return _Heard(claim, samples, Finding((part,), f"too little to tell: {reason}"))


def _verdict(heard: _Heard, source: Source, word: Word, p: float | None,
             against: float | None) -> Verdict:  # fmt: skip
    claim, finding = heard.claim, heard.finding
    rows = heard.samples[0].frame if heard.samples else None
    if finding is not None and finding.rests_on is not None:
        rows = finding.rests_on
    verdict = Verdict(
        id=claim.id,
        statement=claim.statement,
        paper=claim.paper,
        family=claim.family,
        kind=claim.kind,
        source=source,
        verdict=word,
        statistic=None,
        unit=_unit(claim.unit, heard.samples),
        interval=None,
        threshold=claim.region,
        margin=claim.margin,
        needs=claim.needs,
        n=0 if rows is None else len(rows),
        tokenizers=0 if rows is None else rows["tokenizer"].n_unique(),
        runs=tuple(dict.fromkeys(run for sample in heard.samples for run in sample.runs)),
        metric=heard.samples[0].metric.name if heard.samples else None,
        datasets=tuple(dict.fromkeys(
            name for sample in heard.samples for name in sample.frame["dataset"].unique().sort()
        )),
        note=heard.note,
    )  # fmt: skip
    if finding is None:
        return verdict
    worst = finding.worst
    said = f"least sure: {worst.label}" if worst.label and len(finding.parts) > 1 else ""
    notes = list(dict.fromkeys(note for sample in heard.samples for note in sample.notes))
    if len(heard.samples) > 1:
        notes += told_apart(sample.frame for sample in heard.samples)
    return replace(
        verdict,
        statistic=worst.estimate,
        interval=worst.interval,
        n=verdict.n if heard.samples else len(finding.parts),
        p=finding.p,
        p_holm=p,
        p_against=finding.p_against,
        p_against_holm=against,
        power=finding.power,
        note=". ".join(filter(None, [said, "; ".join(filter(None, [finding.note, *notes]))])),
    )


def _unit(unit: str, samples: Sequence[Sample]) -> str:
    """With the metrics that were measured: `rFD[…]` is never called rFID."""
    for sample in samples:
        short, offline, _ = sample.metric.name.partition("[")
        if offline:
            standard = short.replace("FD", "FID")
            unit = re.sub(rf"\b{standard}\b(?!\[)", sample.metric.name, unit)
    return unit
