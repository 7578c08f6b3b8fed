"""The notifier's ledger as the demo shows it: each delivery with its person, and what changed since the last look."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from schemas import words
from schemas.outcomes import DeliveryState
from services.notifier.tables import deliveries, history, mails
from standalone.demo.posts import Posts
from standalone.system import System

S = DeliveryState
WORTH_TELLING = (S.SENT, S.HELD, S.SKIPPED, S.CANCELLED, S.MISSED, S.FAILED, S.UNCERTAIN)


@dataclass(frozen=True, slots=True)
class Entry:
    """One delivery as it stands. ``due_local`` is in ``zone``, the recipient's; ``message_id`` once it had a mail."""

    delivery_id: str
    tenant: str
    program: str
    person: str
    kind: str
    step: str | None
    state: str
    reason: str | None
    due_at: datetime
    due_local: str
    zone: str
    tier: int | None
    ended_at: datetime | None
    message_id: str | None

    @property
    def what(self) -> str:
        """``Appointment reminder, P14D``."""
        kind = words.KINDS.get(self.kind, "Message")
        return f"{kind}, {self.step}" if self.step else kind

    @property
    def status(self) -> str:
        return words.delivery(self.state, self.reason).what


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a delivery's state, at a civil time."""

    id: int
    at: datetime
    entry: Entry
    state: str
    reason: str | None

    @property
    def status(self) -> str:
        return words.delivery(self.state, self.reason).what


_COLUMNS = (
    deliveries.c.delivery_id, deliveries.c.tenant, deliveries.c.program, deliveries.c.patient_id, deliveries.c.kind,
    deliveries.c.step, deliveries.c.state, deliveries.c.reason, deliveries.c.due_at, deliveries.c.due_local,
    deliveries.c.zone, deliveries.c.tier, deliveries.c.ended_at, mails.c.message_id,
)  # fmt: skip
_WITH_MAIL = deliveries.outerjoin(mails, deliveries.c.mail_id == mails.c.mail_id)


async def entries(system: System, posts: Posts) -> list[Entry]:
    """The whole ledger, by due time, then person."""
    async with system.notifier.store.read() as connection:
        rows = (await connection.execute(select(*_COLUMNS).select_from(_WITH_MAIL))).all()
    found = [_entry(row, posts) for row in rows]
    return sorted(found, key=lambda each: (each.due_at, each.person, each.kind, each.delivery_id))


async def changes(system: System, posts: Posts, after: int = 0) -> list[Change]:
    """What became of deliveries since the change ``after``, oldest first."""
    said = (history.c.id, history.c.at, history.c.to_state, history.c.reason.label("why"))
    telling = (history.c.id > after) & history.c.to_state.in_(WORTH_TELLING)
    joined = history.join(deliveries, history.c.delivery_id == deliveries.c.delivery_id).outerjoin(
        mails, deliveries.c.mail_id == mails.c.mail_id
    )
    async with system.notifier.store.read() as connection:
        query = select(*said, *_COLUMNS).select_from(joined).where(telling).order_by(history.c.id)
        rows = (await connection.execute(query)).all()
    return [Change(row.id, row.at, _entry(row, posts), row.to_state, row.why) for row in rows]


def _entry(row: object, posts: Posts) -> Entry:
    named = row._mapping  # type: ignore[attr-defined]  # a row of _COLUMNS
    fields = {column.name: named[column] for column in _COLUMNS if column is not deliveries.c.patient_id}
    return Entry(person=posts.person_of(named[deliveries.c.patient_id]) or "?", **fields)
