"""Re-planning: load truth and ledger, plan, write the difference, tell the others. One transaction, held by the caller.

The same code runs for events, for time (``replan_at``), for new programs, and after a mail was sent.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import CivilClock
from chassis.metrics import Metrics
from chassis.outbox import Message, put
from chassis.tracing import continuing
from schemas.outcomes import DeliveryState, WorklistItem
from services.notifier.difference import difference
from services.notifier.domain import OPEN_STATES, Delivery, Ledger, Plan, Truth
from services.notifier.outcomes import Publisher
from services.notifier.plan import plan
from services.notifier.programs import AppliedPrograms
from services.notifier.store.changes import Written, write_changes
from services.notifier.store.ledger import load_ledgers
from services.notifier.store.patients import Locked, PatientKey, bump_revisions, record_plans
from services.notifier.store.subjects import load_truths
from services.notifier.store.worklist import HELD, Entry, close_entries, open_entries
from services.notifier.tables import outbox

STUB_AFTER = timedelta(hours=1)
"""How long an event may be ahead of its patient's registration before staff are told."""

PLAN = "plan/"
_NOTHING: Mapping[PatientKey, Written] = {}


@dataclass(frozen=True, slots=True)
class Planner:
    """What planning needs beside the patient."""

    programs: AppliedPrograms
    publisher: Publisher
    clock: CivilClock
    metrics: Metrics

    async def replan(
        self,
        connection: AsyncConnection,
        patients: Sequence[Locked],
        *,
        release_held: bool,
        already: Mapping[PatientKey, Written] = _NOTHING,
    ) -> None:
        """Bring the ledger in line with the plan for patients whose rows the transaction holds.

        ``already`` is what this transaction has changed before, to be told to others with the rest.
        """
        if not patients:
            return
        now = self.clock.now()
        keys = [patient.key for patient in patients]
        truths, ledgers = await load_truths(connection, patients), await load_ledgers(connection, keys)
        programs = await self.programs.current(connection)
        plans = {key: plan(truths[key], programs, ledgers[key], now) for key in keys}
        changes = {key: difference(plans[key], ledgers[key], now, release_held=release_held) for key in keys}
        written = await write_changes(connection, changes, ledgers, now, already)
        await self._worklist(connection, patients, truths, plans, now)
        done = [key for key in keys if not waits(after(ledgers[key], written[key]), now)]
        await self.tell_staff(connection, await close_entries(connection, HELD, done, [], now), now)
        messages: list[Message] = []
        for patient in patients:
            messages += self._outcomes(patient, written[patient.key], ledgers[patient.key], now)
        moments = {each.key: _next(each, plans[each.key], truths[each.key], now) for each in patients}
        await record_plans(connection, [(each, moments[each.key], bool(written[each.key])) for each in patients])
        await put(connection, outbox, messages)

    async def publish(
        self, connection: AsyncConnection, changed: Sequence[tuple[Locked, Ledger, Written]], now: datetime
    ) -> None:
        """Tell others what this transaction changed without planning; each patient's revision is one more then."""
        outcomes = (self._outcomes(patient, written, ledger, now) for patient, ledger, written in changed)
        await put(connection, outbox, [message for its in outcomes for message in its])
        await bump_revisions(connection, [(patient, bool(written)) for patient, _, written in changed])

    def _outcomes(self, patient: Locked, written: Written, ledger: Ledger, now: datetime) -> list[Message]:
        if not written:
            return []
        tenant, patient_id = patient.key
        for each, _ in written.ended:
            self.metrics.count("deliveries_total", kind=each.kind, state=each.state, reason=each.reason or "")
        still_open = [each for each in after(ledger, written) if each.state in OPEN_STATES]
        with continuing(written.trace):
            ended = [self.publisher.outcome(tenant, patient_id, d, version, now) for d, version in written.ended]
            return [*ended, self.publisher.plan_changed(tenant, patient_id, patient.plan_version + 1, still_open, now)]

    async def _worklist(
        self,
        connection: AsyncConnection,
        patients: Sequence[Locked],
        truths: Mapping[tuple[str, str], Truth],
        plans: Mapping[tuple[str, str], Plan],
        now: datetime,
    ) -> None:
        entries = [entry for each in patients for entry in _entries(each, truths[each.key], plans[each.key], now)]
        opened = await open_entries(connection, entries, now)
        keep = [(entry.tenant, entry.key) for entry in entries]
        closed = await close_entries(connection, PLAN, [each.key for each in patients], keep, now)
        await self.tell_staff(connection, [*opened, *closed], now)

    async def tell_staff(
        self, connection: AsyncConnection, items: Sequence[tuple[str, WorklistItem]], now: datetime
    ) -> None:
        """Publish what was opened on the worklist, or closed; each with its tenant."""
        await put(connection, outbox, [self.publisher.worklist(tenant, item, now) for tenant, item in items])
        for _, item in items:
            if item.closed_at is None:
                self.metrics.count("worklist_opened_total", reason=item.code)


def after(ledger: Ledger, written: Written) -> list[Delivery]:
    """The patient's deliveries once ``written`` is."""
    changed = {each.delivery_id: each for each in written.all}
    return [*({each.delivery_id: each for each in ledger.deliveries} | changed).values()]


def waits(deliveries: Iterable[Delivery], now: datetime) -> bool:
    """Whether any is held, or due and may be held once more: until then staff still have something to put right."""
    held, unasked = DeliveryState.HELD, (DeliveryState.PLANNED, DeliveryState.CLAIMED)
    return any(each.state is held or (each.state in unasked and each.due_at <= now) for each in deliveries)


def _entries(patient: Locked, truth: Truth, made: Plan, now: datetime) -> Iterable[Entry]:
    """The plan's tasks that are due for a person, and the stub nobody registered."""
    tenant, patient_id = patient.key
    for task in made.tasks:
        if task.due_at <= now:
            yield Entry(
                tenant, patient_id, f"{PLAN}{patient_id}/{task.key}", task.code, task.program,
                task.appointment_id, task.paperwork_id, due_at=task.due_at,
            )  # fmt: skip
    if truth.patient is None and patient.stub_since and now >= patient.stub_since + STUB_AFTER:
        yield Entry(tenant, patient_id, f"{PLAN}{patient_id}/stub", "unknown_patient")


def _next(patient: Locked, made: Plan, truth: Truth, now: datetime) -> datetime | None:
    """When time alone changes something for this patient: the plan, a task, or a stub's hour."""
    moments = [made.replan_at, *(task.due_at for task in made.tasks)]
    if truth.patient is None and patient.stub_since:
        moments.append(patient.stub_since + STUB_AFTER)
    return min((moment for moment in moments if moment and moment > now), default=None)
