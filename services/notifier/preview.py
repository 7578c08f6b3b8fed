"""What would go out if the truth were this: the plan's difference, and each mail as it would look. Stores nothing.

Nobody is written to, so the preview shows what can't be sent, too, with the reason: a program that isn't filled in gets
visible placeholders, a delivery that the guard would hold is shown with what to do.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from schemas.outcomes import DeliveryState
from schemas.programs import Program
from schemas.protected import Protected
from services.notifier.caps import SentMail
from services.notifier.context import Sending, mail_of
from services.notifier.difference import Changes, difference
from services.notifier.domain import Delivery, KnownTrial, Ledger, Plan, Reason, Truth, Wanted
from services.notifier.grouping import Bundle, group
from services.notifier.lint import lint
from services.notifier.plan import plan
from services.notifier.render import render
from services.notifier.told import told_after_event

S = DeliveryState
_NO_ADDRESS = Protected("no-address@preview.invalid")
_NO_SENDER = Protected("sender-not-set@preview.invalid")
_NO_PAGE = "https://preview.invalid/unsubscribe"
"""A link that works belongs in the patient's hands alone."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the guard would look at beside truth and ledger."""

    sent: tuple[SentMail, ...] = ()
    suppressed: bool = False
    trials: Mapping[str, KnownTrial] | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """One patient's mail as it would be. ``ledger`` holds what would be open, under ids of this preview alone."""

    truth: Truth
    ledger: Ledger
    programs: Mapping[str, Program]
    made: Plan
    changes: Changes
    now: datetime
    seen: Seen
    wanted: Mapping[str, Wanted]
    rows: Mapping[str, Delivery]
    armed: bool


def make_preview(truth: Truth, ledger: Ledger, programs: Mapping[str, Program], now: datetime, seen: Seen) -> Preview:
    """``ledger`` is the stored one. Before arming it is shown what would go out if armed now."""
    told = dict(ledger.told)
    for visit in truth.appointments:
        if heard := told_after_event(told.get(visit.appointment_id), visit):
            told[visit.appointment_id] = heard
    stored = replace(ledger, told=told, armed_at=ledger.armed_at or now)
    made = plan(truth, programs, stored, now)
    changes = difference(made, stored, now, release_held=True)
    rows = {each.dedup_key: each for each in ledger.deliveries}
    wanted = {each.dedup_key: each for each in made.wanted if each.end is None}
    settled = [each for each in ledger.deliveries if each.dedup_key not in wanted and each.state is not S.PLANNED]
    planned = [_delivery(each, rows.get(each.dedup_key), changes) for each in wanted.values()]
    after = replace(stored, deliveries=(*settled, *planned))
    return Preview(truth, after, programs, made, changes, now, seen, wanted, rows, ledger.armed_at is not None)


def _delivery(wanted: Wanted, row: Delivery | None, changes: Changes) -> Delivery:
    """The delivery as it would stand; one that nothing moves keeps what the guard put it off to."""
    touched = {each.delivery_id for each in changes.move} | {each.delivery_id for each in changes.reopen}
    due_at = row.due_at if row and row.delivery_id not in touched else wanted.due_at
    return Delivery(
        delivery_id=row.delivery_id if row else str(uuid.uuid4()),
        dedup_key=wanted.dedup_key,
        kind=wanted.kind,
        program=wanted.program,
        state=S.PLANNED,
        reason=None,
        due_at=due_at,
        useful_until=wanted.useful_until,
        appointment_id=wanted.appointment_id,
        paperwork_id=wanted.paperwork_id,
        step=wanted.step,
        rides=wanted.rides,
    )


def bundles(preview: Preview) -> Iterator[Bundle]:
    """The mails, in the order in which they would go: the plan has put on one instant what belongs together."""
    due: defaultdict[datetime, list[Delivery]] = defaultdict(list)
    for each in preview.ledger.deliveries:
        if each.state is S.PLANNED and each.dedup_key in preview.wanted:
            due[each.due_at].append(each)
    for moment in sorted(due):
        yield from group(due[moment], preview.truth)


def content(
    preview: Preview, bundle: Bundle, program: Program, tier: Literal[0, 1], wanted: Wanted, now: datetime
) -> tuple[dict[str, Any] | None, list[Reason]]:
    """The rendered mail, and what would stop it; no content where it can't be made."""
    truth = preview.truth
    if truth.patient and truth.patient.email is None:
        truth = replace(truth, patient=replace(truth.patient, email=_NO_ADDRESS))
    if program.trials_sender is None:
        program = program.model_copy(update={"trials_sender": _NO_SENDER})
    left = (preview.wanted[each.dedup_key].asks_left for each in bundle.deliveries)
    sending = Sending(
        bundle=bundle, truth=truth, ledger=preview.ledger, program=program, tier=tier, mail_id=str(uuid.uuid4()),
        zone=wanted.zone, asks_left=next((each for each in left if each is not None), None), now=now,
        trials=preview.seen.trials, stop_url=_NO_PAGE,
    )  # fmt: skip
    try:
        made = render(mail_of(sending))
    except Exception:  # whatever it is, the sender would hold the mail for it
        return None, [Reason.RENDER_ERROR]
    hits = lint(made.content, tier, program.deny_list)
    calendar = None if made.calendar is None else made.calendar.decode()
    shown = {
        "subject": made.subject, "preheader": made.preheader, "text": made.text, "html": made.html,
        "calendar": calendar,
    }  # fmt: skip
    return shown, [Reason.PHI_LINT] if hits else []


def filled(program: Program) -> Program:
    """An incomplete program with visible placeholders, so that its mails can be looked at; never used to send."""
    if not program.missing:
        return program
    words_of = {
        "emergency": "[Emergency text: the hospital must fill this in.]",
        "contact_instruction": "[Phone or contact instruction: the hospital must fill this in.]",
        "sender": _NO_SENDER,
        "mail_domain": "preview.invalid",
    }
    lacking = {name: value for name, value in words_of.items() if getattr(program, name) is None}
    if program.phone:
        lacking.pop("contact_instruction", None)
    return program.model_copy(update={**lacking, "missing": ()})
