"""Why did, or didn't, this patient get it? The evidence about one delivery, as data and in plain sentences. Pure.

It says ids, codes and times only, so it holds nothing protected; who may see it is the caller's question.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from babel import Locale

from schemas import words as codes
from services.notifier import words
from services.notifier.civil import same_clock, when
from services.notifier.domain import FINAL, ON_EVENT, Reason, Told
from services.notifier.evidence import Evidence
from services.notifier.times import known_zone

_LOCALE = Locale("en", "US")


def explain(evidence: Evidence) -> dict[str, Any]:
    """The answer as JSON: structured, and as ``text``, sentences to be read from top to bottom."""
    delivery = evidence.delivery
    said = codes.delivery(delivery.state, delivery.reason)
    return {
        "delivery_id": delivery.delivery_id,
        "patient_id": evidence.patient_id,
        "kind": delivery.kind,
        "what": codes.KINDS.get(delivery.kind, "A message"),
        "state": delivery.state,
        "reason": delivery.reason,
        "reason_class": reason_class(delivery.reason),
        "status": said.what,
        "todo": said.todo,
        "appointment_id": delivery.appointment_id,
        "paperwork_id": delivery.paperwork_id,
        "rule": _rule(evidence),
        "times": _times(evidence),
        "looked_at": dict(evidence.attempt.looked_at) if evidence.attempt else None,
        "told": _told(evidence),
        "history": _history(evidence),
        "mail": _mail(evidence),
        "same_mail": [
            {"delivery_id": each.delivery_id, "kind": each.kind, "step": each.step, "state": each.state}
            for each in evidence.together
        ],
        "text": list(sentences(evidence)),
    }


def reason_class(reason: Reason | None) -> str | None:
    """What kind of no it is: for good, until a time, or until something changes."""
    if reason is None:
        return None
    if reason in FINAL:
        return "final"
    return "on_event" if reason in ON_EVENT else "until"


def at(instant: datetime, zone: str) -> str:
    """A civil time in words, in that zone; in UTC where this machine doesn't know it."""
    return when(instant, zone if known_zone(zone) else "UTC", _LOCALE)


def _rule(evidence: Evidence) -> dict[str, Any]:
    delivery, program, attempt = evidence.delivery, evidence.program, evidence.attempt
    return {
        "program": delivery.program,
        "version": attempt.program_version if attempt else program.version if program else None,
        "rule": evidence.rule,
        "step": delivery.step,
        "words": words.rule(evidence.rule, program.policy.hour if program else None),
    }


def _times(evidence: Evidence) -> dict[str, Any]:
    delivery, zone = evidence.delivery, evidence.zone
    return {
        "due_at": delivery.due_at.isoformat(),
        "due_local": evidence.due_local,
        "zone": zone,
        "due": at(delivery.due_at, zone),
        "useful_until": delivery.useful_until.isoformat(),
        "useful_until_words": at(delivery.useful_until, zone),
        "planned_at": delivery.created_at.isoformat() if delivery.created_at else None,
        "ended_at": delivery.ended_at.isoformat() if delivery.ended_at else None,
    }


def _told(evidence: Evidence) -> dict[str, Any] | None:
    told = evidence.told
    if told is None:
        return None
    return {
        "at": told.at.isoformat(),
        "by": told.by,
        "certain": told.certain,
        "start": told.start.isoformat() if told.start else None,
        "sequence": told.sequence,
        "words": _told_words(told, evidence),
    }


def _told_words(told: Told, evidence: Evidence) -> str:
    what = f"the visit is on {at(told.start, evidence.zone)}" if told.start else "the visit is cancelled"
    by = "staff" if told.by == "staff" else "this message" if told.by == evidence.delivery.delivery_id else "a message"
    heard = "The patient last heard" if told.certain else "The patient may have heard"
    return f"{heard} by {by} on {at(told.at, evidence.zone)} that {what}."


def _history(evidence: Evidence) -> list[dict[str, Any]]:
    return [
        {
            "at": each.at.isoformat(),
            "local": at(each.at, evidence.zone),
            "from": each.before,
            "to": each.after,
            "reason": each.reason,
            "by": each.by,
            "words": words.change(each.before, each.after, each.reason),
        }
        for each in evidence.history
    ]


def _mail(evidence: Evidence) -> dict[str, Any] | None:
    mail = evidence.attempt
    if mail is None:
        return None
    return {
        "mail_id": mail.mail_id,
        "message_id": mail.message_id,
        "tier": mail.tier,
        "template_version": mail.template_version,
        "sending_at": mail.sending_at.isoformat(),
        "answered_at": mail.ended_at.isoformat() if mail.ended_at else None,
        "verdict": mail.verdict,
        "phase": mail.phase,
        "code": mail.code,
        "enhanced": mail.enhanced,
        "resends": mail.resends,
        "words": words.verdict(mail.verdict, mail.phase, mail.code, mail.enhanced),
    }


def sentences(evidence: Evidence) -> Iterator[str]:
    """The whole answer, to be read aloud."""
    delivery, zone = evidence.delivery, evidence.zone
    said = codes.delivery(delivery.state, delivery.reason)
    yield f"{codes.KINDS.get(delivery.kind, 'A message')}: {said.what}"
    if said.todo:
        yield f"What to do: {said.todo}"
    yield f"Rule: {_rule(evidence)['words']}"
    yield from _times_in_words(evidence)
    if evidence.told:
        yield _told_words(evidence.told, evidence)
    for each in evidence.history:
        change = words.change(each.before, each.after, each.reason)
        yield f"{at(each.at, zone)}, by {words.BY.get(each.by, each.by)}: {change}"
    yield from _mail_in_words(evidence)


def _times_in_words(evidence: Evidence) -> Iterator[str]:
    delivery, zone, program = evidence.delivery, evidence.zone, evidence.program
    yield f"Due {at(delivery.due_at, zone)}; of no use from {at(delivery.useful_until, zone)} on."
    if program and known_zone(zone) and not same_clock(delivery.due_at, zone, program.zone):
        yield f"On the clinic's clock that is {at(delivery.due_at, program.zone)}."


def _mail_in_words(evidence: Evidence) -> Iterator[str]:
    mail = evidence.attempt
    if mail is None:
        return
    said = words.verdict(mail.verdict, mail.phase, mail.code, mail.enhanced)
    again = " It was sent once more, with the same bytes." if mail.resends else ""
    handed_over = f"handed over on {at(mail.sending_at, evidence.zone)}"
    yield f"Mail {mail.message_id}, tier {mail.tier}, {handed_over}. {said}{again}"
    seen = mail.looked_at.get("mails_in_eight_days")
    if seen is not None:
        yield f"Mails in the eight days before, as the last check knew: {seen}."
    for each in evidence.together:
        yield f"In the same mail: {codes.KINDS.get(each.kind, 'a message').lower()}."
