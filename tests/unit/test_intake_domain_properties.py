"""Whatever is posted in whatever order: a refusal or a version one higher, and nothing else."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake.batch import Posted, Read, decide_batch
from services.intake.domain import Command, Record, Refused, decide, patients
from services.intake.domain import appointments as visits
from services.intake.domain.record import State
from tests.support.commands import (
    CONTEXT,
    NOW,
    PATIENT,
    SOURCE,
    START,
    VISIT,
    command,
    enrol,
    forms,
    reason,
    register,
    visit,
)

OTHER = "00000000-0000-4000-8000-0000000000aa"
hours = st.integers(-400, 400).map(lambda count: timedelta(hours=count))
statuses = st.sampled_from(["requested", "received", "waived"])
TOLD: dict[str, Any] = {"patient_told_at": NOW}
any_visit = st.builds(
    lambda name, subject, by, told, modality: visit(
        name.partition(".")[2], subject, start=START + by, modality=modality, **(TOLD if told else {})
    ),
    st.sampled_from(["appointment.scheduled", *visits.MOVES]),
    st.sampled_from([VISIT, OTHER]),
    st.sampled_from([timedelta(0), timedelta(days=1), timedelta(days=-30)]),
    st.booleans(),
    st.sampled_from(["on-site", "video"]),
)
any_forms = st.builds(
    lambda name, found, tied: forms(name, *found, appointment_id=VISIT if tied else None),
    st.sampled_from(["requested", "received", "waived", "reopened"]),
    st.lists(statuses, min_size=1, max_size=4),
    st.booleans(),
)
closing = command("enrolment.closed", {"patient_id": PATIENT, "program": "k7q2m9"})
simple = st.sampled_from([register(), enrol(), enrol(outside_network="yes"), closing, *map(reason, patients.MOVES)])
commands = st.builds(
    lambda each, by, source: replace(each, time=NOW + by, source=source),
    any_visit | any_forms | simple,
    hours,
    st.sampled_from([SOURCE, "https://another.example/feed"]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(commands, max_size=30))
def test_versions_go_up_by_one_and_nothing_but_refusals_is_raised(events: list[Command]) -> None:
    record, versions = Record(PATIENT), dict[str, int]()
    for each in [register(), enrol(), *events]:
        before: State | None = record.subjects.get(each.subject)
        try:
            state, record = decide(record, each, CONTEXT)
        except Refused:
            continue
        assert (before.version if before else 0) == versions.get(each.subject, 0)
        assert state.version == versions.get(each.subject, 0) + 1
        versions[each.subject] = state.version
        assert record.subjects[each.subject] is state


@settings(max_examples=100, deadline=None)
@given(st.lists(commands, min_size=1, max_size=10), st.integers(0, 9))
def test_a_batch_and_its_repetition_get_the_same_answer(events: list[Command], again: int) -> None:
    good, record = [], Record(PATIENT)
    for each in [register(), enrol(), *events]:
        try:
            _, record = decide(record, each, CONTEXT)
        except Refused:
            continue
        good.append(each)
    batch = [Posted(f"event-{index}", each, f"print-{index}") for index, each in enumerate(good)]
    batch.append(batch[again % len(batch)])
    decided = decide_batch(batch, Read({PATIENT: Record(PATIENT)}, {}), CONTEXT)
    assert len(decided.changes) == len(good)
    assert decided.answers[-1] == decided.answers[again % len(good)]
    assert decided.records[PATIENT].subjects == record.subjects
