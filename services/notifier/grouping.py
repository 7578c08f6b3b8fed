"""Which deliveries of one patient that are due together make one mail. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.outcomes import Kind
from services.notifier.domain import SAFETY, Delivery, Truth

_RANK = {Kind.LATE_BOOKING: 0, Kind.REMINDER: 1, Kind.PAPERWORK: 2}
"""What may share a mail, the most important first."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """One mail: its deliveries, most important first, and the kind whose template says all of them."""

    kind: Kind
    deliveries: tuple[Delivery, ...]

    @property
    def appointment_ids(self) -> tuple[str, ...]:
        """The visits the mail is about, the soonest first."""
        return tuple(dict.fromkeys(each.appointment_id for each in self.deliveries if each.appointment_id))


def group(due: Sequence[Delivery], truth: Truth) -> tuple[Bundle, ...]:
    """Every delivery of ``due`` (one patient, due now, each with the guard's consent) in exactly one mail.

    One program, so one sender; never two steps of one visit; a safety notice alone, and first; an invitation alone, and
    last. The plan has already put on one instant what belongs together.
    """
    starts = {each.appointment_id: each.start.isoformat() for each in truth.appointments}
    alone = [each for each in due if each.kind in SAFETY]
    last = [each for each in due if each.kind not in SAFETY and each.kind not in _RANK]
    rest = [each for each in due if each.kind in _RANK]
    rest.sort(key=lambda each: (_RANK[each.kind], starts.get(each.appointment_id or "", ""), each.dedup_key))
    mails: list[list[Delivery]] = []
    for each in rest:
        room = (mail for mail in mails if _fits(each, mail))
        riding = (mail for mail in mails if any(other.dedup_key == each.rides for other in mail))
        chosen = next(riding, None) or next(room, None)
        if chosen is None:
            mails.append([each])
        else:
            chosen.append(each)
    together = [Bundle(_kind(mail), tuple(mail)) for mail in mails]
    return (*map(_alone, alone), *together, *map(_alone, last))


def _alone(delivery: Delivery) -> Bundle:
    return Bundle(delivery.kind, (delivery,))


def _fits(delivery: Delivery, mail: Sequence[Delivery]) -> bool:
    same_sender = mail[0].program == delivery.program
    steps = [] if delivery.kind is Kind.PAPERWORK else mail  # asks come last: no step meets one
    return same_sender and all(each.appointment_id != delivery.appointment_id for each in steps)


def _kind(mail: Sequence[Delivery]) -> Kind:
    kinds = {each.kind for each in mail}
    if Kind.LATE_BOOKING in kinds:
        return Kind.LATE_BOOKING
    return Kind.REMINDER_PAPERWORK if kinds == {Kind.REMINDER, Kind.PAPERWORK} else kinds.pop()
