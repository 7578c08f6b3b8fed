"""The program's own appointments as one source of the fact that its vocabulary takes from them. Pure.

A completed appointment is a happening on the civil day of its start, in the program's zone. Everything else is none:
scheduled, arrived, cancelled, missed, entered in error, of unknown status, or of another program. Since only the newest
state of an appointment counts, one that turns out not to have been completed takes its happening away.

Without a completed appointment nothing is said, not that there was none. An empty list would prove that there was no
visit, and decide criteria by it, though the patient may have been seen before the program's appointments were heard
here, or where no feed tells of it; what is unknown is left to a person. Who knows of earlier visits, or of none,
records it as of any list of events: the sources are merged. Once one is known, the list counts as whole.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from zoneinfo import ZoneInfo

from schemas.appointment import AppointmentStatus
from schemas.vocabulary import VISIT_TYPE
from services.trials.domain import Appointment, Offer
from services.trials.facts.values import Happening, RecordedFact

SOURCE = "the program's appointments"


def visits(appointments: Iterable[Appointment], offer: Offer, today: date) -> Iterator[RecordedFact]:
    """That fact, observed ``today`` (in the program's zone); none where the vocabulary or the patient has none.

    Of an appointment that was completed before its day, the fact is observed on that day: until then it isn't seen.
    """
    name = offer.vocabulary.of_appointments
    if name is None:
        return
    typed, zone = VISIT_TYPE in offer.vocabulary.facts[name].fields, ZoneInfo(offer.program.zone)
    happenings = tuple(
        Happening(each.start.astimezone(zone).date(), _fields(each) if typed else {})
        for each in appointments
        if each.program == offer.program.public_code and each.status is AppointmentStatus.FULFILLED
    )
    days = [each.on for each in happenings if each.on is not None]
    if days:
        yield RecordedFact(name, happenings, SOURCE, max(today, min(days)))


def _fields(appointment: Appointment) -> dict[str, str | int | float | bool]:
    return {VISIT_TYPE: appointment.visit_type.reveal()} if appointment.visit_type else {}
