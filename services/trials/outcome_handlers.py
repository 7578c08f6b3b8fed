"""Kafka in: what became of the invitations that trials asked the notifier for. One transaction, by the consumer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import CivilClock
from chassis.dead_letters import DeadLetter
from chassis.decoding import Event
from chassis.sealing import Keyring
from schemas.outcomes import DeliveryOutcome, DeliveryState, Kind
from services.trials.store.invitations import Invitation, State, load_invitations, record_invitations
from services.trials.store.matches import record_invited
from services.trials.store.patients import PatientKey, lock_patients

GROUP = "trials.outcomes"
USES = frozenset({
    "delivery.sent", "delivery.delivered", "delivery.bounced", "delivery.complained", "delivery.skipped",
    "delivery.cancelled", "delivery.missed", "delivery.failed", "delivery.uncertain",
})  # fmt: skip

WITHDRAWN_BY_US = "match_withdrawn"
"""Why the notifier cancels what trials no longer ask for: trials know, and may have asked again since."""

_WENT_OUT = frozenset({
    DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.BOUNCED, DeliveryState.COMPLAINED,
    DeliveryState.UNCERTAIN,
})  # fmt: skip
_DID_NOT = frozenset({DeliveryState.SKIPPED, DeliveryState.CANCELLED, DeliveryState.MISSED, DeliveryState.FAILED})


@dataclass(frozen=True, slots=True)
class OutcomeHandlers:
    """Handles ``notifier.outcomes.v1``: deliveries of invitations, told by the request they answer."""

    master: Keyring
    clock: CivilClock

    async def apply(self, connection: AsyncConnection, events: Sequence[Event[Any]]) -> int:
        """Move each invitation to where its delivery stands; how many changed nothing."""
        told = [(event.envelope.tenant or "", event.data) for event in events if _is_ours(event.data)]
        keys = {(tenant, outcome.patient_id) for tenant, outcome in told}
        await lock_patients(connection, keys, self.master)
        known = await load_invitations(connection, keys)
        stale = len(events) - len(told)
        for tenant, outcome in told:
            moved = self._moved(known.get((tenant, outcome.patient_id), {}), outcome)
            if moved is None:
                stale += 1
                continue
            await self._record(connection, (tenant, outcome.patient_id), moved)
            known[tenant, outcome.patient_id] = {**known[tenant, outcome.patient_id], moved.trial_id: moved}
        return stale

    def _moved(self, invitations: Mapping[str, Invitation], outcome: DeliveryOutcome) -> Invitation | None:
        """The invitation as this outcome leaves it; None when it is nobody's, or changes nothing.

        What went out stays so, whatever else arrives or in what order. An end that isn't final (the notifier may open
        it again) gives way to a mail that went out after all.
        """
        view = outcome.delivery
        known = next((each for each in invitations.values() if each.request_id == view.request_id), None)
        if known is None or known.state is State.SENT:
            return None
        at = view.at or self.clock.now()
        if view.state in _WENT_OUT:
            return replace(known, state=State.SENT, ended_at=at, reason=None)
        if view.state not in _DID_NOT or view.reason == WITHDRAWN_BY_US or known.state is not State.REQUESTED:
            return None
        return replace(known, state=State.ENDED, ended_at=at, reason=view.reason or view.state)

    async def _record(self, connection: AsyncConnection, key: PatientKey, moved: Invitation) -> None:
        await record_invitations(connection, [moved])
        if moved.state is State.SENT:
            await record_invited(connection, key, moved.trial_id)

    async def buried(self, _connection: AsyncConnection, _letters: Sequence[DeadLetter]) -> None:
        """An invitation's state is behind until the letter is redriven; nothing is sent on it."""

    async def released(self, _connection: AsyncConnection, _letter: DeadLetter, _event: Event[Any] | None) -> bool:
        return False


def _is_ours(outcome: DeliveryOutcome) -> bool:
    return outcome.delivery.kind is Kind.TRIAL_INVITATION and outcome.delivery.request_id is not None
