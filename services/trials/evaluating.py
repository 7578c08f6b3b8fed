"""Evaluating: load what is known of patients, judge, store the steps of their pairs, tell the others.

One transaction, held by the caller, who has locked the patients. The same code runs for events, for time, for changed
trials: only transitions are stored and told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import CivilClock
from chassis.metrics import Metrics
from chassis.outbox import Message, put
from schemas.outcomes import RequestWithdrawal
from schemas.patient import PatientStatus
from schemas.trials import MatchState, MatchVerdict, TrialState
from services.trials.catalogue import Catalogue, is_open
from services.trials.domain import Known, Offers
from services.trials.inviting import may_invite
from services.trials.judging import Found, Judged, judge
from services.trials.matching.gates import Gate
from services.trials.matching.transitions import Pair, Stamp, Transition, step
from services.trials.publisher import Publisher
from services.trials.store.invitations import (
    Invitation,
    State,
    load_invitations,
    new_invitation,
    record_invitations,
)
from services.trials.store.matches import (
    PairRow,
    StoredPair,
    criteria_version,
    load_pairs,
    match_id,
    record_pairs,
)
from services.trials.store.patients import Locked, PatientKey, record_judged
from services.trials.store.subjects import load_known
from services.trials.tables import outbox

_BY_GATE: Mapping[Gate, str] = {
    Gate.CONSENT: "consent_withdrawn", Gate.ALIVE: "closed_record", Gate.RESTRICTED: "restricted",
    Gate.MINOR: "minor", Gate.PROGRAM: "trials_not_offered",
}  # fmt: skip
_NO_STAMP = (0, 0)


@dataclass(frozen=True, slots=True)
class Evaluator:
    """What evaluating needs beside the patients."""

    offers: Offers
    catalogue: Catalogue
    publisher: Publisher
    clock: CivilClock
    metrics: Metrics

    async def evaluate(self, connection: AsyncConnection, patients: Sequence[Locked]) -> None:
        """Bring the pairs of locked patients in line with what is known now."""
        if not patients:
            return
        now = self.clock.now()
        await self.catalogue.catch_up(connection)
        keys = [each.key for each in patients]
        known, pairs = await load_known(connection, patients), await load_pairs(connection, keys)
        invited = await load_invitations(connection, keys)
        work = _Work(self, now)
        for patient in patients:
            work.patient(patient, known[patient.key], pairs.get(patient.key, {}), invited.get(patient.key, {}))
        await record_pairs(connection, work.pairs, now)
        await record_invitations(connection, work.invitations)
        await record_judged(connection, work.moments)
        await put(connection, outbox, work.messages)


class _Work:
    """The steps of one transaction, gathered patient by patient."""

    def __init__(self, evaluator: Evaluator, now: datetime) -> None:
        self.of, self.now = evaluator, now
        self.pairs: list[PairRow] = []
        self.invitations: list[Invitation] = []
        self.moments: list[tuple[PatientKey, datetime | None]] = []
        self.messages: list[Message] = []

    def patient(
        self, patient: Locked, known: Known, stored: Mapping[str, StoredPair], invited: Mapping[str, Invitation]
    ) -> None:
        judged = judge(known, self.of.offers, self.of.catalogue.shelves(patient.tenant), self.now)
        self.moments.append((patient.key, judged.next_change))
        for trial_id in dict.fromkeys([*stored, *judged.found]):
            self._pair(patient, known, judged, trial_id, stored.get(trial_id))
        for trial_id in dict.fromkeys([*invited, *judged.found]):
            self._invitation(patient.key, judged.found.get(trial_id), trial_id, invited.get(trial_id))

    def _pair(self, patient: Locked, known: Known, judged: Judged, trial_id: str, stored: StoredPair | None) -> None:
        found = judged.found.get(trial_id)
        trial = self.of.catalogue.get(patient.tenant, trial_id)
        program = found.program if found else stored.program if stored else ""
        stamp = self._stamp(patient, judged, trial, program)
        next_step = step(stored.pair if stored else None, found.verdict if found else None, stamp)
        if next_step is None:
            return
        reason = None if found else _why(known, judged, trial, program)
        row = self._row(patient.key, trial_id, program, stored, next_step.pair, reason)
        if next_step.transition is None:
            row = replace(row, version=row.version - 1, withdrawn=stored.withdrawn if stored else None)
        else:
            self._tell(patient.key, trial_id, row, next_step.transition)
        self.pairs.append(PairRow(patient.key, trial_id, row))

    def _stamp(self, patient: Locked, judged: Judged, trial: TrialState | None, program: str) -> Stamp:
        """Of a program that sees the patient no longer, the day in its own zone all the same."""
        offer = self.of.offers.get(program)
        zone = ZoneInfo(offer.program.zone) if offer else self.now.tzinfo
        as_of = judged.as_of.get(program) or self.now.astimezone(zone).date()
        return Stamp(patient.facts_version, criteria_version(trial.criteria_version) if trial else _NO_STAMP, as_of)

    def _row(
        self, key: PatientKey, trial_id: str, program: str, stored: StoredPair | None, pair: Pair, reason: str | None
    ) -> StoredPair:
        if stored is None:
            return StoredPair(match_id(*key, trial_id), program, 1, pair, self.now, reason)
        again = stored.pair.verdict is None and pair.verdict is not None
        found_at = self.now if again else stored.found_at
        return replace(
            stored, program=program, version=stored.version + 1, pair=pair, found_at=found_at, withdrawn=reason
        )

    def _tell(self, key: PatientKey, trial_id: str, row: StoredPair, transition: Transition) -> None:
        tenant, patient_id = key
        state = MatchState(
            match_id=row.match_id, patient_id=patient_id, trial_id=trial_id, program=row.program,
            version=row.version, verdict=MatchVerdict(row.pair.verdict or MatchVerdict.POSSIBLE),
            facts_version=row.pair.stamp.facts, criteria_version="{}.{}".format(*row.pair.stamp.criteria),
            as_of=row.pair.stamp.as_of, unknown=row.pair.unknown, withdrawn=row.withdrawn, at=self.now,
        )  # fmt: skip
        self.messages.append(self.of.publisher.match(f"match.{transition}", tenant, state, self.now))
        self.of.metrics.count("matches_total", transition=transition)

    def _invitation(self, key: PatientKey, found: Found | None, trial_id: str, known: Invitation | None) -> None:
        trial = self.of.catalogue.get(key[0], trial_id)
        wanted = found is not None and trial is not None and may_invite(trial, found.verdict)
        if wanted and found and (known is None or known.state is State.WITHDRAWN):
            again = known or new_invitation(key, trial_id, found.program, self.now)
            self.invitations.append(
                replace(again, state=State.WAITING, program=found.program, due_at=self.now, reason=None)
            )
        elif not wanted and known and known.state in (State.WAITING, State.REQUESTED):
            ended = replace(known, state=State.WITHDRAWN, reason="match_withdrawn", ended_at=self.now)
            if known.state is State.REQUESTED:
                ended = replace(ended, version=known.version + 1)
                withdrawal = RequestWithdrawal(
                    request_id=known.request_id, patient_id=key[1], version=ended.version, reason="match_withdrawn"
                )
                self.messages.append(self.of.publisher.request(key[0], withdrawal, self.now))
            self.invitations.append(ended)


def _why(known: Known, judged: Judged, trial: TrialState | None, program: str) -> str:
    """Why a pair doesn't stand any more."""
    if known.patient.status is PatientStatus.DECEASED:
        return "deceased"
    if program not in judged.as_of:
        return "enrolment_closed"
    if closed := judged.closed.get(program):
        return _BY_GATE[closed[0]]
    return "not_eligible" if trial is not None and is_open(trial) else "trial_closed"
