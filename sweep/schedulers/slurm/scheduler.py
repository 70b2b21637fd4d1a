"""Jobs on a Slurm cluster: few arrays, tied index by index; asked about with one squeue."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from sweep.launchlog import launcher_of
from sweep.layout import Root
from sweep.schedulers.base import (
    Liveness,
    Report,
    SchedulerUnreachableError,
    Submission,
    SubmissionError,
)
from sweep.schedulers.processes import launcher_liveness
from sweep.schedulers.slurm import arrays, asking, cancelling, limits, polling, waiting
from sweep.schedulers.slurm.accounting import CLOCKS, Accounting
from sweep.schedulers.slurm.arrays import Array, Item
from sweep.schedulers.slurm.batches import Batch, Batches, Member, new_batch, user_name
from sweep.schedulers.slurm.command import CLUSTERS
from sweep.schedulers.slurm.packing import members_per_task, too_large
from sweep.schedulers.slurm.partitions import never_run, partitions_or_none
from sweep.schedulers.slurm.polling import Placed
from sweep.schedulers.slurm.sbatch import Say, with_defaults
from sweep.schedulers.slurm.script import refused_option, script
from sweep.schedulers.slurm.settings import SlurmSettings
from sweep.schedulers.slurm.submitting import Call
from sweep.snapshot import code_identity, freeze, refused_path
from vitok_core.errors import UserError


class SlurmScheduler:
    """The front of a cluster's queue. Kept between looks, it knows what it has read already.

    Args:
        settings: the site's; None: the defaults.
        code: a folder with the packages that the jobs import; None: the running ones, frozen when
            something is submitted.
        say: told what a submission waits for.
    """

    name = "slurm"

    def __init__(
        self,
        root: Root,
        settings: SlurmSettings | None = None,
        code: Path | None = None,
        say: Say = lambda line: None,
    ) -> None:
        self.settings = settings or SlurmSettings.model_validate({})
        self.code = code
        self._say = say
        self._root = root
        self._batches = Batches(root)
        self._accounting = Accounting()

    def refuse(self, submissions: Sequence[Submission]) -> str | None:
        """What no cluster would take, or this one would take and never run; what it does not take
        it says itself."""
        if set("%\\\n") & set(str(self._root.slurm.resolve())):
            path = f"{str(self._root.path)!r}"
            return f"{path}: Slurm reads %, \\ and line breaks in a path as its own; use another"
        for name in CLUSTERS:
            if os.environ.get(name):
                return f"{name} is set: jobs go to this machine's own cluster alone; unset {name}"
        wrong = refused_path(self._root) or refused_option(self.settings)
        wrong = wrong or too_large(submissions, self.settings.node)
        if wrong is not None or not submissions:
            return wrong
        whole = self.settings.node
        threads = {} if whole is None else {"threads": whole.threads, "gpus": 0, "processes": 1}
        asked = {
            (
                "+".join(dict.fromkeys(each.kinds)),
                with_defaults(arrays.shape(each.resources)).model_copy(update=threads),
            )
            for each in submissions
        }
        known = limits.policy_or_default()
        return never_run(sorted(asked, key=str), partitions_or_none(), known)

    def room(self, submissions: Sequence[Submission]) -> int:
        """As many as the limits of the user's account and QOS leave open."""
        living = [row for row in self._rows([user_name()]) if polling.lives(row)]
        given = [with_defaults(submission.resources) for submission in submissions]
        asked = [
            (each.account, each.qos, tasks)
            for each, tasks in zip(given, self._tasks(submissions), strict=True)
        ]
        most = self.settings.max_submit
        known = limits.policy_or_default() if most is None else limits.Policy()
        return limits.room(asked, living, known, most)

    def preview(self, submissions: Sequence[Submission]) -> Sequence[str]:
        """The sbatch scripts; `ARRAY_1` stands for the id of the first one."""
        code = self.code or self._root.code.resolve() / code_identity()
        waits = waiting.items(submissions, waiting.outside(submissions, self._batches), None)
        ids: dict[int, str] = {}
        texts = []
        planned = self._planned(waits.items, submissions, limits.cluster_or_default())
        for number, (array, batch) in enumerate(planned):
            needs = arrays.dependency(array, ids)
            ids[number] = f"ARRAY_{number + 1}"
            texts.append(script(batch, self.settings, array.resources, code, needs))
        return texts

    def prepare(self) -> None:
        """Freeze the code that the jobs will import."""
        self.code = self.code or freeze(self._root)

    def submit(self, submissions: Sequence[Submission]) -> Mapping[str, str]:
        """Hand over as arrays, parents first."""
        if not submissions:
            return {}
        self.code = self.code or freeze(self._root)
        parents = waiting.outside(submissions, self._batches)
        users = {place.batch.user for place in parents.values() if place}
        try:
            cluster = limits.cluster()
            queue = self._queue(users) if users else {}
        except SchedulerUnreachableError as error:
            every = [submission.id for submission in submissions]
            raise SubmissionError(str(error), {}, every, error.exit_code) from None
        waits = waiting.items(submissions, parents, queue)
        call = Call(self.settings, self.code.resolve(), waits.refused, waits.message, self._say)
        for array, batch in self._planned(waits.items, submissions, cluster):
            call.hand_over(array, batch)
        call.check()
        return call.ids

    def poll(self, submissions: Mapping[str, str]) -> Mapping[str, Report]:
        """One squeue for all of them, and one sacct where that leaves something open."""
        reports: dict[str, Report] = {}
        placed: dict[str, Placed] = {}
        for submission, asked in self._asked(submissions).items():
            if isinstance(asked, Placed):
                placed[submission] = asked
            else:
                reports[submission] = asked
        if not placed:
            return reports
        users = {asked.place.batch.user for asked in placed.values()}
        rows = asking.squeue(users)
        left = dict(placed)
        if rows is not None:
            queue, stuck = polling.by_task(rows), polling.stuck_tasks(rows)
            self._accounting.forget(queue)
            for submission, asked in placed.items():
                report = polling.by_queue(asked, queue, stuck)
                if report is not None:
                    reports[submission] = report
                    del left[submission]
        return reports | self._accounted(left, queue_answers=rows is not None)

    def cancel(self, submissions: Mapping[str, str]) -> None:
        """Stop the tasks whose members are all to be stopped; in others, the members alone.

        Raises:
            UserError: some may be in a batch that cannot be read; the others are stopped.
        """
        places = self._batches.places(submissions)
        if places:
            cancelling.mark(places)
            queue = self._queue({place.batch.user for place in places.values()})
            cancelling.scancel(cancelling.whole_tasks(places, queue))
        for submission in submissions.keys() - places.keys():
            damage = self._damage(submission)
            if damage is not None:
                raise UserError(damage)

    def _accounted(self, left: Mapping[str, Placed], queue_answers: bool) -> dict[str, Report]:
        """Reports on what squeue did not show, or could not be asked about."""
        if not left:
            return {}
        records = self._accounting.records(list(left.values()))
        by_id = {id: (asked, records[asked.place.task]) for id, asked in left.items()}
        if queue_answers:
            age = limits.cluster_or_default().min_job_age
            return {id: polling.missing(*asked, age) for id, asked in by_id.items()}
        if all(known is None for known in records.values()):
            raise SchedulerUnreachableError(limits.UNREACHABLE)
        return {id: polling.by_accounting(*asked) for id, asked in by_id.items()}

    def _asked(self, submissions: Mapping[str, str]) -> dict[str, Placed | Report]:
        """What is known here of each, read before Slurm is asked: it may be taken meanwhile."""
        me, now = user_name(), time.time()
        # First, since a launcher ends when it has written its batches.
        alive, foreign = _launchers_alive(submissions)
        places = self._batches.places(submissions)
        batches = {place.batch.folder: place.batch for place in places.values()}
        known = {
            folder: (batch.id(), batch.cancelled(), batch.ended())
            for folder, batch in batches.items()
        }
        found: dict[str, Placed | Report] = {}
        for submission, own in submissions.items():
            place = places.get(submission)
            if submission in foreign:
                found[submission] = Report(Liveness.UNKNOWN, own or None, foreign[submission])
                continue
            if place is None:
                found[submission] = self._without_batch(submission, own, alive[submission])
                continue
            array, cancelled, ended = known[place.batch.folder]
            found[submission] = Placed(
                place,
                f"{array}_{place.index}" if array else own or None,
                alive[submission],
                now - place.batch.t,
                place.batch.user == me,
                submission in cancelled,
                submission in ended,
            )
        return found

    def _without_batch(self, submission: str, own: str, launcher: bool | None) -> Report:
        damage = self._damage(submission)
        if damage is not None:
            return Report(Liveness.UNKNOWN, own or None, damage)
        return polling.without_batch(own, launcher, time.time() - launcher_of(submission).t)

    def _damage(self, submission: str) -> str | None:
        """What is wrong with a batch that may hold it: one that is not older than its launcher."""
        try:
            return self._batches.damage(launcher_of(submission).t - CLOCKS)
        except UserError:  # a foreign one: in no batch of ours
            return None

    def _planned(
        self, items: Sequence[Item], submissions: Sequence[Submission], cluster: limits.Cluster
    ) -> Iterator[tuple[Array, Batch]]:
        by_id = {submission.id: submission for submission in submissions}
        node = self.settings.node
        size = cluster.max_array_size
        for array in arrays.group(items, size, lambda each: members_per_task(each, node)):
            tasks = {
                index: tuple(
                    Member(id, tuple(folder.name for folder in by_id[id].folders)) for id in members
                )
                for index, members in array.tasks.items()
            }
            shared = node if array.resources.nodes == 1 else None  # several nodes are its alone
            yield array, new_batch(self._root, array.kinds, array.resources, shared, tasks)

    def _tasks(self, submissions: Sequence[Submission]) -> list[int]:
        """How many tasks each submission adds to the queue: it may share one."""
        node = self.settings.node
        if node is None:
            return [1] * len(submissions)
        waits = waiting.items(submissions, waiting.outside(submissions, self._batches), None)
        packs = arrays.packs(waits.items, lambda each: members_per_task(each, node))
        first = {pack[0].id for pack in packs}
        return [int(submission.id in first) for submission in submissions]

    @staticmethod
    def _rows(users: Collection[str]) -> list[asking.QueueRow]:
        rows = asking.squeue(users)
        if rows is None:
            raise SchedulerUnreachableError(limits.UNREACHABLE)
        return rows

    def _queue(self, users: Collection[str]) -> polling.Queue:
        return polling.by_task(self._rows(users))


def _launchers_alive(
    submissions: Collection[str],
) -> tuple[dict[str, bool | None], dict[str, str]]:
    """Whether each one's launcher lives (None: it is another machine's), and of those that no
    launcher of ours has named, what is wrong with them."""
    known: dict[str, bool | None] = {}
    foreign: dict[str, str] = {}
    for submission in submissions:
        launch = submission.rpartition(".")[0]
        if launch in known:
            continue
        try:
            liveness = launcher_liveness(submission)
        except UserError as error:
            foreign[submission] = str(error)
        else:
            known[launch] = None if liveness is Liveness.UNKNOWN else liveness is Liveness.RUNNING
    ours = {each for each in submissions if each not in foreign}
    return {each: known[each.rpartition(".")[0]] for each in ours}, foreign
