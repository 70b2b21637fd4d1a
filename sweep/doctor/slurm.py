"""The cluster: whether it answers, what it allows, and what the site file asks of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence

from sweep.doctor.finding import Finding, ok, problem, warning
from sweep.doctor.probe import run
from sweep.schedulers.slurm.batches import user_name
from sweep.schedulers.slurm.command import CLUSTERS
from sweep.schedulers.slurm.limits import policy_or_default
from sweep.schedulers.slurm.partitions import partitions_or_none
from sweep.site import Site
from sweep.spec.problems import nearest

_DOWN = (
    "`scontrol ping` says which controller is down: wait, or ask the site's admin; on this machine "
    "jobs run all the same with `launch --scheduler local`"
)
_NO_ACCOUNTING = (
    "works without; but what ended while nobody looked is known by its journal alone: ask the "
    "admin for slurmdbd"
)


def slurm(site: Site) -> list[Finding]:
    """Everything that can be asked without submitting; after the first silence nothing more is."""
    for name in CLUSTERS:
        if os.environ.get(name):
            found = f"{name} is set, and jobs go to this machine's own cluster alone"
            return [problem("slurm", found, f"unset {name}")]
    queue = run(["squeue", "-h", "-u", user_name(), "-o", "%T"])
    if queue.text is None:
        return [problem("slurm", queue.error, _DOWN)]
    config = run(["scontrol", "show", "config"])
    if config.text is None:
        return [problem("slurm", config.error, _DOWN)]
    settings = dict(re.findall(r"^(\w+) *= *(.*?) *$", config.text, re.MULTILINE))
    version, name = settings.get("SLURM_VERSION", "?"), settings.get("ClusterName", "?")
    mine = len(queue.text.splitlines())
    answers = ok("slurm", f"{name}, Slurm {version}, answers; {mine} jobs of yours in its queue")
    return [answers, *_accounting(settings), *_rules(settings), *_names(site)]


def _accounting(settings: Mapping[str, str]) -> Iterator[Finding]:
    check = "accounting"
    if not settings.get("AccountingStorageType", "").endswith("slurmdbd"):
        yield warning(check, "this cluster keeps none", _NO_ACCOUNTING)
        return
    answer = run(["sacct", "-n", "-X", "-P", "-S", "now-1minutes", "--format", "JobID"])
    if answer.text is None:
        yield warning(check, f"sacct: {answer.error}", "is slurmdbd down? squeue serves meanwhile")
        return
    yield ok(check, "sacct answers")
    yield from _limit()


def _limit() -> Iterator[Finding]:
    """How many jobs the user may have in the queue."""
    known = policy_or_default()
    if not known.account:
        user = user_name()
        mend = "ask the admin for an account (sacctmgr), or work where none is enforced"
        yield warning("submit limit", f"{user} has no account in this cluster's accounting", mend)
        return
    limits = [
        f"{limit.most} jobs" + (f" of QOS {limit.qos}" if limit.qos else f" of {limit.account}")
        for limit in known.limits
        if limit.counts(known.account, known.qos)
    ]
    found = f"account {known.account}, QOS {known.qos}: {', '.join(limits) or 'none'}"
    yield ok("submit limit", f"{found}; larger sweeps go in waves (launch --watch)")


def _rules(settings: Mapping[str, str]) -> Iterator[Finding]:
    """What the cluster does with arrays, and with jobs that it stops."""
    size = int(settings.get("MaxArraySize", "0") or 0)
    if size < 2:
        mend = "ask the admin for MaxArraySize of 1001 or more"
        yield problem("arrays", "MaxArraySize allows no job arrays", mend)
    else:
        yield ok("arrays", f"MaxArraySize {size}: larger sweeps are split")
    wait = settings.get("KillWait", "?")
    requeue = "by default" if settings.get("JobRequeue") == "1" else "where asked for, as we do"
    yield ok("time limit", f"jobs are requeued {requeue}; KillWait {wait} after the time limit")
    mode, kind = settings.get("PreemptMode", "OFF"), settings.get("PreemptType", "none")
    if mode == "OFF" or kind.endswith("none"):
        yield ok("preemption", "off")
    elif "REQUEUE" in mode:
        warned = "preempt_send_user_signal" in settings.get("SlurmctldParameters", "")
        how = "after a warning" if warned else "without a warning: set resources.checkpoint_every"
        yield ok("preemption", f"{mode}: preempted jobs are requeued, {how}")
    else:
        mend = "`vitok-sweep launch --watch` takes preempted jobs up again; or ask for REQUEUE"
        yield warning("preemption", f"PreemptMode {mode}: preempted jobs are not requeued", mend)


def _names(site: Site) -> Iterator[Finding]:
    """Whether the partitions, accounts and QOS that the site file names are there."""
    user = user_name()
    questions = {
        "account": ["sacctmgr", "-nP", "show", "assoc", f"user={user}", "format=account"],
        "qos": ["sacctmgr", "-nP", "show", "qos", "format=name"],
    }
    yield from _compared("partition", _named(site, "partition"), list(partitions_or_none().known))
    for field, command in questions.items():
        places = _named(site, field)
        if not places:
            continue
        answer = run(command)
        if answer.text is None:
            mend = f"submitting tells whether {', '.join(places)} is right"
            yield warning(field, f"{command[0]}: {answer.error}", mend)
            continue
        known = list(dict.fromkeys(line for line in answer.text.splitlines() if line))
        yield from _compared(field, places, known, f" of {user}" if field == "account" else "")


def _compared(
    field: str, places: Mapping[str, str], known: Sequence[str], whose: str = ""
) -> Iterator[Finding]:
    for name, place in places.items():
        if name in known:
            yield ok(field, f"{name} ({place})")
        else:
            found = f"{place}: this cluster has no {field} {name}{whose}"
            yield problem(field, found, f"mend the site file{nearest(name, known)}")


def _named(site: Site, field: str) -> dict[str, str]:
    """The names that the site file gives, each with the first place of it."""
    found: dict[str, str] = {}
    for kind, given in site.resources.items():
        for name in str(given.get(field) or "").split(","):
            if name:
                found.setdefault(name, f"resources.{kind}.{field}")
    return found
