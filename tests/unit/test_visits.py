"""Appointments as a fact: which of them are visits, on which day, and what nobody knows."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from schemas.appointment import AppointmentStatus
from schemas.criteria import Eligibility
from schemas.patient import Fact
from schemas.protected import Protected
from schemas.vocabulary import Vocabulary
from services.trials.criteria.lint import lint
from services.trials.domain import Appointment, Facts, Known, Offer
from services.trials.facts.moments import next_change
from services.trials.facts.picture import NEVER, Happening, Unknown, Value
from services.trials.judging import see
from services.trials.visits import SOURCE, visits
from tests.support.programs import CEDARS
from tests.support.research import OFFERS

OFFER = OFFERS[CEDARS.public_code]
S = AppointmentStatus
NOON = datetime(2027, 3, 10, 19, 0, tzinfo=UTC)
TODAY = date(2027, 3, 10)
VISIT = "program-visit"


def visit(
    day: int, status: AppointmentStatus = S.FULFILLED, program: str = CEDARS.public_code, hour: int = 19
) -> Appointment:
    """In March; 19:00 UTC is noon in Los Angeles."""
    return Appointment(program, status, datetime(2027, 3, day, hour, 0, tzinfo=UTC), Protected("follow-up"))


def happened(day: int) -> Happening:
    return Happening(date(2027, 3, day), {"visit-type": "follow-up"})


def known(*appointments: Appointment, facts: tuple[Facts, ...] = (), offer: Offer = OFFER) -> Value:
    return see(Known(facts=facts, appointments=appointments), offer, NOON).picture.value(VISIT)


def recorded(*events: dict[str, Any]) -> tuple[Facts, ...]:
    fact = Fact.strict_data({"name": VISIT, "value": list(events), "source": "chart", "observed_at": NOON})
    return (Facts((fact,)),)


def test_completed_appointments_are_visits() -> None:
    assert known(visit(1), visit(8)) == (happened(1), happened(8))


@pytest.mark.parametrize("status", [each for each in S if each is not S.FULFILLED])
def test_what_isnt_completed_is_no_visit(status: AppointmentStatus) -> None:
    assert known(visit(1), visit(8, status)) == (happened(1),)


def test_a_visit_of_another_program_is_none_here() -> None:
    assert known(visit(1), visit(8, program="r4w8t3")) == (happened(1),)


def test_without_a_completed_appointment_nothing_is_known() -> None:
    assert known() is Unknown.MISSING
    assert known(visit(8, S.BOOKED), visit(9, S.NO_SHOW)) is Unknown.MISSING


def test_a_visit_is_on_the_day_of_the_programs_zone() -> None:
    assert known(visit(2, hour=7)) == (happened(1),)
    assert known(visit(2, hour=8)) == (happened(2),)


def test_what_a_record_tells_is_merged_and_a_day_counts_once() -> None:
    assert known(visit(8), facts=recorded({"on": "2027-03-01"}, {"on": "2027-03-08"})) == (
        Happening(date(2027, 3, 1)), happened(8),
    )  # fmt: skip
    assert known(facts=recorded()) == ()
    assert known(visit(8), facts=recorded()) == (happened(8),)


def test_a_visit_that_was_completed_before_its_day_isnt_seen_before_and_nobody_concludes_that_there_was_none() -> None:
    early = see(Known(appointments=(visit(12),)), OFFER, NOON)
    assert early.picture.value(VISIT) is Unknown.MISSING
    assert next_change(early.recorded, early.traits, OFFER.vocabulary, {}, TODAY) == date(2027, 3, 12)
    assert known(visit(8), visit(12)) == (happened(8),)


def test_time_since_the_last_visit_crosses_its_number_on_the_day_computed() -> None:
    seen = see(Known(appointments=(visit(8),)), OFFER, NOON)
    assert next_change(seen.recorded, seen.traits, OFFER.vocabulary, {VISIT: (90,)}, TODAY) == date(2027, 6, 6)
    within = next_change(seen.recorded, seen.traits, OFFER.vocabulary, {}, TODAY, {VISIT: ("P7D",)})
    assert within == date(2027, 3, 16)


def test_the_source_is_the_programs_appointments_and_shows_no_visit() -> None:
    (fact,) = visits([visit(8)], OFFER, TODAY)
    assert (fact.source, fact.observed_on) == (SOURCE, TODAY)
    assert "follow-up" not in repr(fact)
    assert "follow-up" not in repr(visit(8))


def test_a_vocabulary_that_doesnt_ask_gets_none_and_one_without_the_field_gets_days_alone() -> None:
    silent = Offer(CEDARS, Vocabulary())
    assert list(visits([visit(8)], silent, TODAY)) == []
    seen = {"label": "visit", "type": "events", "source": "appointments"}
    days = Offer(CEDARS, Vocabulary.strict_data({"facts": {VISIT: seen}}))
    assert known(visit(8), offer=days) == (Happening(date(2027, 3, 8)),)


def test_a_derived_fact_can_come_from_it() -> None:
    seen = {"label": "visit", "type": "events", "source": "appointments"}
    since = {"label": "days since the last visit", "derive": "days-since", "of": VISIT}
    offer = Offer(CEDARS, Vocabulary.strict_data({"facts": {VISIT: seen}, "derived": {"since": since}}))
    picture = see(Known(appointments=(visit(8),)), offer, NOON).picture
    assert (picture.value("since"), picture.behind["since"][0].source) == (2, SOURCE)
    assert see(Known(facts=recorded()), offer, NOON).picture.value("since") == NEVER


def test_lint_knows_the_types_of_visits() -> None:
    def problems(visit_type: str) -> list[str]:
        where = {"field": "visit-type", "op": "eq", "value": visit_type}
        asked = {"count": {"event": VISIT, "where": where}, "op": "ge", "value": 1}
        criteria = {"criteria": [{"id": "i1", "kind": "inclusion", "expression": asked}]}
        return [str(each) for each in lint("T-1", Eligibility.strict_data(criteria), OFFER.vocabulary)]

    assert problems("follow-up") == []
    (wrong,) = problems("followup")
    assert "followup" in wrong
