"""A batch of posted events against the records they touch: decided in their order, all or nothing. Pure."""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.intake.domain import Command, Context, Problem, Record, Refused, decide
from services.intake.domain.record import State, subject_of


@dataclass(frozen=True, slots=True)
class Posted:
    """One event to be accepted. ``fingerprint`` is the same for the same post, in whichever form it came.

    ``trace`` is the ``traceparent`` of the request that it came by.
    """

    event_id: str
    command: Command
    fingerprint: str
    correlation: str | None = None
    causation: str | None = None
    trace: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer for one event; ``recorded_at`` in ISO 8601."""

    event_id: str
    name: str
    subject: str
    version: int
    recorded_at: str


@dataclass(frozen=True, slots=True)
class Before:
    """An event that was accepted earlier. ``fingerprint`` is None when its patient was erased since."""

    accepted: Accepted
    patient_id: str
    fingerprint: str | None

    def is_same(self, posted: Posted) -> bool:
        """Whether ``posted`` is the same event again, and not another one under its id."""
        named = (posted.command.name, posted.command.subject, posted.command.patient_id)
        if named != (self.accepted.name, self.accepted.subject, self.patient_id):
            return False
        return self.fingerprint is None or hmac.compare_digest(self.fingerprint, posted.fingerprint)


@dataclass(frozen=True, slots=True)
class Read:
    """What the store knows of a batch: each patient's record, and its events that were accepted before, by id."""

    records: Mapping[str, Record]
    before: Mapping[str, Before]


@dataclass(frozen=True, slots=True)
class Change:
    """One accepted event and its subject's new state; ``index`` is its place in the batch."""

    index: int
    posted: Posted
    state: State


@dataclass(frozen=True, slots=True)
class Decided:
    """``changes`` are what is new; ``answers`` are one for each event, repeated ones included."""

    changes: Sequence[Change]
    answers: Sequence[Accepted]
    records: Mapping[str, Record]


class BatchRefused(Exception):  # noqa: N818  # an answer, not an error of the program
    """All refusals of a batch, with the index of each event. ``conflict``: only ids that stand for other events."""

    def __init__(self, problems: Sequence[tuple[int, Problem]], *, conflict: bool = False) -> None:
        super().__init__(f"{len(problems)} problems")
        self.problems = problems
        self.conflict = conflict


@dataclass(slots=True)
class _Run:
    """``spoilt`` are patients of whom an event was refused: what follows would only be refused because of it."""

    records: dict[str, Record]
    before: dict[str, Before]
    changes: list[Change] = field(default_factory=list)
    answers: list[Accepted] = field(default_factory=list)
    problems: list[tuple[int, Problem]] = field(default_factory=list)
    conflicts: list[tuple[int, Problem]] = field(default_factory=list)
    spoilt: set[str] = field(default_factory=set)


def decide_batch(batch: Sequence[Posted], read: Read, context: Context) -> Decided:
    """What the whole batch does; ``BatchRefused`` with everything that is wrong in it."""
    run = _Run(dict(read.records), dict(read.before))
    for index, posted in enumerate(batch):
        earlier = run.before.get(posted.event_id)
        if earlier is None:
            _decide_one(run, index, posted, context)
        elif earlier.is_same(posted):
            run.answers.append(earlier.accepted)
        else:
            run.conflicts.append((index, Problem("/id", "this id stands for another event that was accepted before")))
    if run.problems or run.conflicts:
        raise BatchRefused(sorted(run.problems + run.conflicts, key=lambda each: each[0]), conflict=not run.problems)
    return Decided(run.changes, run.answers, run.records)


def _decide_one(run: _Run, index: int, posted: Posted, context: Context) -> None:
    patient_id = posted.command.patient_id
    if patient_id in run.spoilt:
        return
    try:
        state, run.records[patient_id] = decide(run.records[patient_id], posted.command, context)
    except Refused as refused:
        run.problems += [(index, problem) for problem in refused.problems]
        run.spoilt.add(patient_id)
        return
    accepted = answer(posted, state, context.now)
    run.changes.append(Change(index, posted, state))
    run.answers.append(accepted)
    run.before[posted.event_id] = Before(accepted, patient_id, posted.fingerprint)


def answer(posted: Posted, state: State, now: datetime) -> Accepted:
    """What the poster gets."""
    return Accepted(posted.event_id, posted.command.name, subject_of(state), state.version, now.isoformat())
