"""From a happening of the story to the CloudEvent that is posted to intake."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.envelope import TYPE_PREFIX
from standalone.demo.story import CAST, Happening

SOURCE = "https://desk.example.org/demo"


@dataclass(frozen=True, slots=True)
class Posts:
    """Makes the events of one run: subjects and events of two runs have different ids."""

    run: uuid.UUID

    def id_of(self, person: str, thing: str) -> str:
        """The id of a subject in the person's record, such as ``visit``; ``patient`` is the person's own."""
        return str(uuid.uuid5(self.run, f"{person}/{thing}"))

    def person_of(self, patient_id: str) -> str | None:
        return next((name for name in CAST if self.id_of(name, "patient") == patient_id), None)

    def event(self, happening: Happening) -> dict[str, Any]:
        """Structured CloudEvent; the same happening always makes the same one."""
        patient_id = self.id_of(happening.person, "patient")
        family = happening.event.partition(".")[0]
        at = happening.at.isoformat()
        return {
            "specversion": "1.0",
            "id": str(uuid.uuid5(self.run, f"{happening.person}/{happening.event}/{happening.thing}/{at}")),
            "source": SOURCE,
            "type": f"{TYPE_PREFIX}{happening.event}.v1",
            "subject": f"{family}/{self.id_of(happening.person, happening.thing)}",
            "time": at,
            "partitionkey": patient_id,
            "datacontenttype": "application/json",
            "data": self._data(happening, family, patient_id),
        }

    def _data(self, happening: Happening, family: str, patient_id: str) -> Mapping[str, Any]:
        name, data = happening.person, happening.data
        person = CAST[name]
        if family == "patient":
            return data or self._contact(name, happening.at.isoformat())
        mine = {"patient_id": patient_id, "program": person.program}
        if family == "enrolment":
            return mine | {"outside_network": person.outside}
        if family == "facts":
            facts = [_fact(fact, said, happening.at.isoformat()) for fact, said in data["facts"].items()]
            return {"patient_id": patient_id, "block": {"facts": facts}}
        if family == "paperwork":
            items = [dict(each) | {"item_id": self.id_of(name, each["form"])} for each in data["items"]]
            return mine | {"appointment_id": self.id_of(name, "visit"), "items": items}
        return mine | dict(data)

    def _contact(self, name: str, at: str) -> dict[str, Any]:
        person = CAST[name]
        contact = {
            "given_name": name,
            "family_name": person.family,
            "birth_date": person.born,
            "email": person.mailbox or f"{name.lower()}@example.org",
            "email_verified_at": at,
            "language": person.language,
        }
        return {"contact": contact, "zone": person.zone}


def _fact(name: str, said: Any, at: str) -> dict[str, Any]:
    """A pair is a value and its unit."""
    value, unit = said if isinstance(said, tuple) else (said, None)
    return {"name": name, "value": value, "unit": unit, "source": "Demo desk", "observed_at": at}
