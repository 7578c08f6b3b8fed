"""Asks the notifier for invitations whose trial is released, as the caps allow."""

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.outbox import put
from schemas.outcomes import Kind, MessageRequest
from schemas.trials import TrialState
from services.trials.domain import Known
from services.trials.inviting import choose_approval, due_after, expires_at, midnight
from services.trials.judging import see
from services.trials.store.catalogue import find_trial
from services.trials.store.invitations import (
    Invitation,
    State,
    count_since,
    list_due,
    load_invitations,
    record_invitations,
)
from services.trials.store.patients import Locked, lock_patients
from services.trials.store.subjects import load_known
from services.trials.tables import outbox
from services.trials.timers import WAVE, Timer

NO_WORDS = timedelta(minutes=15)
"""Before an invitation that lacks approved words, or its program, is looked at again."""


class Inviter(Timer):
    """One wave: the patients of whom an invitation is due."""

    name = "inviter"

    async def wave(self) -> int:
        now = self.evaluator.clock.now()
        async with self.store.read() as connection:
            if not await list_due(connection, now, 1):
                return 0
        async with self.store.write() as connection:
            if not await self.holds(connection):
                return 0
            keys = await list_due(connection, now, WAVE)
            await self.evaluator.catalogue.catch_up(connection)
            locked = await lock_patients(connection, keys, self.master)
            known = await load_known(connection, locked.values())
            invited = await load_invitations(connection, keys)
            for key in keys:
                await self._patient(connection, locked[key], known[key], list(invited[key].values()), now)
        return len(keys)

    async def _patient(
        self, connection: AsyncConnection, patient: Locked, known: Known, invited: list[Invitation], now: datetime
    ) -> None:
        """The first that may go; all others wait until the caps let them."""
        last = max((each.requested_at for each in invited if each.requested_at), default=None)
        for each in sorted(invited, key=lambda each: (each.due_at, each.trial_id)):
            if each.state is not State.WAITING or each.due_at > now:
                continue
            trial = await find_trial(connection, patient.tenant, each.trial_id)
            if trial is None or trial.released_at is None or trial.published is None:
                continue
            moved = await self._one(connection, patient, known, each, trial.published, last, now)
            await record_invitations(connection, [moved])
            last = moved.requested_at or last

    async def _one(
        self, connection: AsyncConnection, patient: Locked, known: Known, each: Invitation, trial: TrialState,
        last: datetime | None, now: datetime,
    ) -> Invitation:  # fmt: skip
        offer = self.evaluator.offers.get(each.program)
        if offer is None:  # its files are gone
            return replace(each, due_at=now + NO_WORDS)
        today = midnight(now, offer.program)
        sent_today = await count_since(connection, patient.tenant, each.trial_id, today)
        if later := due_after(last, sent_today, now, offer.program):
            return replace(each, due_at=later)
        seen = see(known, offer, now).picture
        language = seen.value("language")
        languages = [*([language] if isinstance(language, str) else []), "en"]
        approval = choose_approval(trial.approvals, languages, seen.as_of)
        if approval is None or patient.incomplete:
            return replace(each, due_at=now + NO_WORDS)
        asked = replace(
            each, state=State.REQUESTED, version=each.version + 1, requested_at=now, approval_id=approval.approval_id,
            text_version=approval.text_version, language=approval.language,
        )  # fmt: skip
        request = MessageRequest(
            request_id=each.request_id, patient_id=patient.patient_id, version=asked.version,
            kind=Kind.TRIAL_INVITATION, program=each.program, trial_id=each.trial_id,
            approval_id=approval.approval_id, text_version=approval.text_version, language=approval.language,
            expires_at=expires_at(now, offer.program),
        )  # fmt: skip
        await put(connection, outbox, [self.evaluator.publisher.request(patient.tenant, request, now)])
        return asked
