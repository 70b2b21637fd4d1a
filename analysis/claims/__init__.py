"""The paper's claims as a registry, judged on its own points and on ours.

    from analysis.claims import judge

    for verdict in judge(analysis.load("results").with_published()):
        print(verdict.id, verdict.source, verdict.verdict, verdict.note)

`verdict` says how a verdict is reached, `registry` lists the claims; each other file holds one
group of claims and their tests. Every claim with its margin: docs/claims.md.
"""

from analysis.claims.judge import judge
from analysis.claims.registry import CLAIMS
from analysis.claims.verdict import Verdict, Word

__all__ = ["CLAIMS", "Verdict", "Word", "judge"]
