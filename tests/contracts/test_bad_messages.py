"""Bad messages are refused, each for the reason expected and without showing what stood in it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.appointment import PaperworkPosted
from schemas.envelope import Envelope
from schemas.registry import EVENT_TYPES, family_of
from standalone.contracts.__main__ import ROOT

SECRET = "Zoe-Secret"
PERSON = {"given_name": "Zoë", "family_name": "Example", "birth_date": "1980-02-29"}
POSTED: dict[str, dict[str, Any]] = {
    "patient.registered": {"contact": {**PERSON, "email": "zoe@example.org"}, "zone": "America/Los_Angeles"},
    "appointment.scheduled": {
        "patient_id": "3f1f1d2e-6a54-4c39-9d43-0a5f8b7c2e10", "program": "k7q2m9", "start": "2027-03-16T09:30:00-07:00",
        "zone": "America/Los_Angeles", "care": {"visit_type": "consultation"},
    },
    "paperwork.requested": {
        "patient_id": "3f1f1d2e-6a54-4c39-9d43-0a5f8b7c2e10", "program": "k7q2m9",
        "items": [{"item_id": "0d6c5b4a-3e2f-4b1d-9c8a-7f6e5d4c3b2a", "form": "patient-intake"}],
    },
    "consent.granted": {
        "patient_id": "3f1f1d2e-6a54-4c39-9d43-0a5f8b7c2e10", "scope": "email-basic", "text_version": "1",
        "decided_at": "2027-01-01T10:00:00Z", "recorded_by": "desk",
    },
    "enrolment.opened": {"patient_id": "3f1f1d2e-6a54-4c39-9d43-0a5f8b7c2e10", "program": "k7q2m9"},
    "preference.changed": {"patient_id": "3f1f1d2e-6a54-4c39-9d43-0a5f8b7c2e10", "program": "k7q2m9"},
    "facts.recorded": {
        "patient_id": "3f1f1d2e-6a54-4c39-9d43-0a5f8b7c2e10",
        "block": {"facts": [{"name": "age", "value": 1, "source": "form", "observed_at": "2027-01-01T10:00:00Z"}]},
    },
}  # fmt: skip
LEFT_OUT: dict[str, dict[str, Any]] = {
    "patient.registered": {
        "contact.email_verified_at": None, "contact.phone": None, "contact.language": "en", "sex": None,
    },
    "appointment.scheduled": {
        "end": None, "modality": "on-site", "status": "booked", "patient_told_at": None,
        "care.site": None, "care.clinician": None,
    },
    "paperwork.requested": {"appointment_id": None, "items.0.status": "requested"},
    "consent.granted": {"program": None},
    "enrolment.opened": {"outside_network": "not-known"},
    "preference.changed": {"email": True, "reminders": True, "forms": True, "paused_until": None},
    "facts.recorded": {"block.facts.0.unit": None, "block.facts.0.valid_until": None},
}  # fmt: skip
APPOINTMENT = "appointment.scheduled"
FORM = POSTED["paperwork.requested"]["items"][0]
ENVELOPE = {"id": "1", "source": "s", "type": f"org.upright.{APPOINTMENT}.v1", "time": "2027-03-16T09:30:00Z"}
GONE: Any = object()

REFUSED: list[tuple[str, str, Any, str]] = [
    ("patient.registered", "contact.nickname", SECRET, "extra_forbidden"),
    ("patient.registered", "contact.given_name", GONE, "missing"),
    ("patient.registered", "contact.given_name", "", "string_too_short"),
    ("patient.registered", "contact.given_name", SECRET * 30, "string_too_long"),
    ("patient.registered", "contact.given_name", f"{SECRET}\r\nBcc: x", "control character"),
    ("patient.registered", "contact.given_name", f"{SECRET}\x00", "control character"),
    ("patient.registered", "contact.family_name", f"\u202e{SECRET}", "direction of text"),
    ("patient.registered", "contact.email", f"{SECRET}@example.org\r\nBcc: x@example.org", "control character"),
    ("patient.registered", "contact.email", SECRET * 30, "string_too_long"),
    ("patient.registered", "contact.birth_date", SECRET, "date_from_datetime_parsing"),
    ("patient.registered", "contact.language", SECRET, "string_pattern_mismatch"),
    ("patient.registered", "zone", f"{SECRET}; drop", "string_pattern_mismatch"),
    ("patient.registered", "sex", SECRET, "enum"),
    ("patient.registered", "version", 7, "extra_forbidden"),
    (APPOINTMENT, "patient_id", SECRET, "must be a UUID"),
    (APPOINTMENT, "patient_id", f"{SECRET}@example.org" * 9, "string_too_long"),
    (APPOINTMENT, "program", "Cedars-Sinai CSF", "string_pattern_mismatch"),
    (APPOINTMENT, "start", "2027-03-16T09:30:00", "timezone_aware"),
    (APPOINTMENT, "start", "2027-03-16T99:30:00Z", "datetime_from_date_parsing"),
    (APPOINTMENT, "start", "16 March", "needs a date, a time and an offset, such as 2027-03-16T09:30:00-07:00"),
    (APPOINTMENT, "start", "9999-12-31T23:59:59-14:00", "must lie in the years 1 to 9999"),
    (APPOINTMENT, "start", "0001-01-01T00:00:00+14:00", "must lie in the years 1 to 9999"),
    (APPOINTMENT, "start", "1805214600", "needs a date, a time and an offset"),
    (APPOINTMENT, "start", "1805214600.5", "needs a date, a time and an offset"),
    (APPOINTMENT, "start", 1805214600, "needs a date, a time and an offset"),
    (APPOINTMENT, "end", "-1", "needs a date, a time and an offset"),
    (APPOINTMENT, "start", GONE, "missing"),
    (APPOINTMENT, "status", "unknown", "can't be sent"),
    (APPOINTMENT, "status", SECRET, "enum"),
    (APPOINTMENT, "modality", "by-carrier-pigeon", "enum"),
    (APPOINTMENT, "modality", "unknown", "can't be sent"),
    (APPOINTMENT, "care.visit_type", "Blood patch", "string_pattern_mismatch"),
    (APPOINTMENT, "care", SECRET, "model_type"),
    (APPOINTMENT, "appointment_id", "8c2b7d44-1f0e-4a57-b0c6-55d1f9e3a721", "extra_forbidden"),
    ("paperwork.requested", "items", [], "too_short"),
    ("paperwork.requested", "items", [FORM] * 41, "too_long"),
    ("paperwork.requested", "items", [FORM, FORM | {"status": "unknown"}], "can't be sent"),
    ("paperwork.requested", "items", SECRET, "tuple_type"),
    ("consent.granted", "scope", "everything", "enum"),
    ("consent.granted", "recorded_by", "", "string_too_short"),
]


def spoilt(name: str, path: str, value: Any) -> str:
    """The good message with one thing wrong."""
    message = json.loads(json.dumps(POSTED[name]))
    *outer, last = path.split(".")
    place = message
    for step in outer:
        place = place[step]
    if value is GONE:
        del place[last]
    else:
        place[last] = value
    return json.dumps(message)


@pytest.mark.parametrize("name", POSTED)
def test_the_good_ones_are_taken_and_what_they_leave_out_has_a_meaning(name: str) -> None:
    posted = EVENT_TYPES[name].posted
    assert posted is not None
    said = POSTED[name]
    read = dict(leaves(posted.strict_json(json.dumps(said)).model_dump(mode="json")))
    assert {path: value for path, value in read.items() if path not in dict(leaves(said))} == LEFT_OUT[name]


def test_a_request_has_up_to_forty_forms() -> None:
    PaperworkPosted.strict_json(spoilt("paperwork.requested", "items", [FORM] * 40))


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each value that isn't itself made of values, by its path."""
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, node


@pytest.mark.parametrize(("name", "path", "value", "reason"), REFUSED)
def test_a_bad_one_is_refused_for_its_reason_and_at_its_field(name: str, path: str, value: Any, reason: str) -> None:
    posted = EVENT_TYPES[name].posted
    assert posted is not None
    with pytest.raises(ValidationError) as caught:
        posted.strict_json(spoilt(name, path, value))
    (error,) = caught.value.errors(include_url=False, include_input=False)
    assert reason in f"{error['type']} {error['msg']}"
    assert error["loc"][: path.count(".") + 1] == tuple(path.split("."))
    assert SECRET not in f"{caught.value} {error}"


@pytest.mark.parametrize(
    "change",
    [
        {"specversion": "0.3"}, {"id": ""}, {"type": "Appointment Scheduled"}, {"type": "org.upright.appointment"},
        {"time": "2027-03-16T09:30:00"}, {"sequence": -1}, {"tenant": "Cedars-Sinai"}, {"origin": "somewhere"},
        {"subject": "x" * 256}, {"nickname": "x"},
    ],
    ids=str,
)  # fmt: skip
def test_a_bad_envelope_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Envelope.strict_data(ENVELOPE | change)


def test_an_envelope_needs_four_attributes_and_is_live_json_unless_it_says_otherwise() -> None:
    read = Envelope.strict_data(ENVELOPE | {"sequence": 0}).model_dump(mode="json", exclude_none=True)
    unless = {"specversion": "1.0", "datacontenttype": "application/json", "origin": "live"}
    assert read == ENVELOPE | unless | {"sequence": 0}
    absent = [name for name, field in Envelope.model_fields.items() if field.default is None]
    assert Envelope.strict_data(ENVELOPE | dict.fromkeys(absent)) == Envelope.strict_data(ENVELOPE)
    for name in ENVELOPE:
        with pytest.raises(ValidationError, match="missing"):
            Envelope.strict_data({each: value for each, value in ENVELOPE.items() if each != name})


def test_an_enum_member_of_a_later_version_is_unknown_to_consumers_and_refused_from_producers() -> None:
    record = json.loads((ROOT / "examples/appointment.scheduled.v1/1.json").read_text())
    state = EVENT_TYPES[APPOINTMENT].data
    later = json.dumps({**record["data"], "status": "teleported"})
    assert state.tolerant_json(later).model_dump()["status"] == "unknown"
    for member, reason in (("teleported", "Input should be"), ("unknown", r"it can't be sent \[")):
        with pytest.raises(ValidationError, match=f"^1 validation error .*\nstatus\n.*{reason}"):
            state.strict_json(json.dumps({**record["data"], "status": member}))
    with pytest.raises(ValidationError, match="status"):
        state.model_validate_json(later, context={"tolerant": False})


def test_even_a_consumer_refuses_what_is_no_word_at_all() -> None:
    record = json.loads((ROOT / "examples/appointment.scheduled.v1/1.json").read_text())
    with pytest.raises(ValidationError):
        EVENT_TYPES[APPOINTMENT].data.tolerant_json(json.dumps({**record["data"], "status": 7}))


def test_an_event_names_its_type_and_its_schema_for_good() -> None:
    event = EVENT_TYPES[APPOINTMENT]
    assert event.wire == "org.upright.appointment.scheduled.v1"
    assert event.dataschema == "https://schemas.upright.example/appointment.scheduled.v1.json"


def test_a_later_major_version_of_a_known_family_is_recognised_and_others_are_not_ours() -> None:
    assert family_of("org.upright.appointment.scheduled.v2") == APPOINTMENT
    for foreign in ("org.upright.appointment.teleported", "com.example.appointment.scheduled", APPOINTMENT):
        assert family_of(f"{foreign}.v1") is None
    assert family_of(f"org.upright.{APPOINTMENT}") is None
