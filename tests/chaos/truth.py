"""What went in against what came out: per patient and intent, by the mail server first and by the ledger second.

The number of different mails that a patient got is held against what the load owed them, whatever the ledger says; the
ledger then has to explain each of them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from schemas.outcomes import DeliveryState, Kind
from services.notifier.domain import OPEN_STATES, SAFETY
from services.notifier.reconcile import Report, reconcile
from services.notifier.tables import deliveries, mails
from tests.chaos.load import Life, address_of
from tests.chaos.log import Log
from tests.chaos.site import Site
from tests.chaos.watch import LATER, collapsed
from tests.support.smtp_server import ReceivedMail

S = DeliveryState
FRESH = timedelta(seconds=60 + 5)
"""The guard acts on truth of up to a minute ago, and what it let pass takes up to five seconds to the line."""
ON_THE_LINE = timedelta(seconds=20)
"""Between the guard's yes and the mail server's, where a fault lets it think."""


@dataclass(slots=True)
class Outcome:
    """Of one round. All but the first six have to be empty."""

    patients: int = 0
    owed: int = 0
    sent: int = 0
    missed: int = 0  # its use was over while nothing could be sent
    uncertain: int = 0
    repeated: int = 0  # notices sent once more out of ``uncertain``
    waits: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    after_cancellation: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def well(self) -> bool:
        return not any((self.waits, self.lost, self.doubled, self.stale, self.after_cancellation, self.wrong))


async def judge(site: Site, lives: Sequence[Life], log: Log, dead_letters: int) -> Outcome:
    """Once everything is at rest, or nothing moves any more. ``dead_letters``: how many there must be in all."""
    ids = {each.id: each for each in lives}
    rows, attempts = await _ledger(site, ids)
    async with site.stores["notifier"].read() as connection:
        report = await reconcile(connection, datetime.now(UTC))
    outcome = Outcome(patients=len(lives))
    arrived = {each: _arrived(site.smtp.mails, each) for each in ids}
    for life in lives:
        Judge(outcome, life, rows[life.id], attempts, arrived[life.id], report).judge()
        _late_mails(outcome, life, arrived[life.id], log, attempts)
    _whole(outcome, report)
    buried = await site.dead_letters()
    if buried != dead_letters:
        outcome.wrong.append(f"{buried} dead letters instead of {dead_letters}")
    return outcome


async def _ledger(site: Site, ids: Iterable[str]) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    """Deliveries by patient that are due by now, and mails by Message-ID."""
    found: dict[str, list[Any]] = {each: [] for each in ids}
    soon = datetime.now(UTC) + LATER
    async with site.stores["notifier"].read() as connection:
        mine = deliveries.c.patient_id.in_(list(found)) & (deliveries.c.due_at < soon)
        for row in await connection.execute(select(deliveries).where(mine)):
            found[row.patient_id].append(row)
        made = await connection.execute(select(mails).where(mails.c.patient_id.in_(list(found))))
        return found, {row.message_id: row for row in made}


def _arrived(mails: Iterable[ReceivedMail], patient_id: str) -> list[ReceivedMail]:
    return [each for each in mails if address_of(patient_id) in each.recipients]


def message_id(mail: ReceivedMail) -> str:
    return str(mail.message["Message-ID"]).strip()


@dataclass(slots=True)
class Judge:
    """One patient. ``attempts`` are the ledger's mails by Message-ID."""

    outcome: Outcome
    life: Life
    rows: Sequence[Any]
    attempts: Mapping[str, Any]
    arrived: Sequence[ReceivedMail]
    report: Report

    def judge(self) -> None:
        copies = Counter(message_id(each) for each in self.arrived)
        told = any(each.state in (S.SENT, S.UNCERTAIN) and each.kind == Kind.LATE_BOOKING for each in self.rows)
        owed = self.life.owed(told)
        self.outcome.owed += sum(owed.values())
        if len(copies) > self.life.most:
            self._say(self.outcome.doubled, f"{len(copies)} different mails for {self.life.most} intents")
        if not self.life.ended:
            self._say(self.outcome.lost, "a life that did not end")
        for kind, number in owed.items():
            self._kind(kind, number, copies)
        self._explained(copies)

    def _kind(self, kind: Kind, number: int, copies: Counter[str]) -> None:
        """Sent and there, or on the list of what nobody knows, or missed where that is right; else it waits."""
        mine = [each for each in self.rows if each.kind == kind]
        states = Counter(each.state for each in mine)
        ended = states[S.SENT] + states[S.UNCERTAIN] + (states[S.MISSED] if self.life.may_miss else 0)
        self.outcome.sent += states[S.SENT]
        self.outcome.missed += states[S.MISSED]
        self.outcome.uncertain += states[S.UNCERTAIN]
        if ended > number:
            self._say(self.outcome.doubled, f"{kind} {dict(states)}")
        elif ended < number and self._told_by_the_booking(mine):
            self.outcome.missed += 1
        elif ended < number and any(each.state in OPEN_STATES for each in mine):
            self._say(self.outcome.waits, f"{kind} {[(each.state, each.reason) for each in mine]}")
        elif ended < number:
            self._say(self.outcome.lost, f"{kind} {[(each.state, each.reason) for each in mine]}")
        for each in mine:
            if each.state == S.UNCERTAIN and each.delivery_id not in self.report.uncertain:
                self._say(self.outcome.wrong, f"{kind} is uncertain and not listed")
            if each.state == S.SENT and not self._copies(each, copies):
                self._say(self.outcome.lost, f"{kind} is sent and did not arrive")

    def _told_by_the_booking(self, mine: Sequence[Any]) -> bool:
        booking = any(each.kind == Kind.LATE_BOOKING for each in self.rows)
        return self.life.may_miss and booking and any(collapsed(each) for each in mine)

    def _copies(self, delivery: Any, copies: Counter[str]) -> int:
        return sum(copies[name] for name, mail in self.attempts.items() if mail.mail_id == delivery.mail_id)

    def _explained(self, copies: Counter[str]) -> None:
        """Every mail is of an intent; a second copy only of a notice, once, out of ``uncertain``."""
        by_mail = {each.mail_id: each for each in self.rows if each.mail_id}
        for name, number in copies.items():
            mail = self.attempts.get(name)
            delivery = by_mail.get(mail.mail_id) if mail else None
            if mail is None or delivery is None:
                self._say(self.outcome.doubled, f"a mail of no intent, {name}")
                continue
            repeats = number - 1
            if repeats and (delivery.kind not in SAFETY or repeats > mail.resends or repeats > 1):
                self._say(self.outcome.doubled, f"{delivery.kind} × {number}, repeats allowed {mail.resends}")
            elif repeats:
                self.outcome.repeated += repeats
            last = max(each.at for each in self.arrived if message_id(each) == name)
            if last > delivery.useful_until + ON_THE_LINE:
                self._say(self.outcome.stale, f"{delivery.kind} {last - delivery.useful_until} past its use")

    def _say(self, where: list[str], what: str) -> None:
        where.append(f"{self.life.name} {self.life.id}: {what}")


def _late_mails(
    outcome: Outcome, life: Life, arrived: Iterable[ReceivedMail], log: Log, attempts: Mapping[str, Any]
) -> None:
    """No mail but the notice goes out once the cancellation is known, which takes a minute at most."""
    cancelled_at = log.cancelled.get(life.id)
    for each in arrived:
        mail = attempts.get(message_id(each))
        if cancelled_at and mail is not None and mail.kind not in SAFETY and each.at > cancelled_at + FRESH:
            outcome.after_cancellation.append(f"{life.name} {life.id}: {mail.kind} {each.at - cancelled_at} later")


def _whole(outcome: Outcome, report: Report) -> None:
    if not report.balanced:
        outcome.wrong.append(f"the ledger does not add up: {report.findings} {report.total}")
