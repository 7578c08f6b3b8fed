"""Enrolments, consents, preferences and facts: short rules, one subject each."""

import json
import math
from collections.abc import Iterator
from typing import Any

from schemas.patient import (
    ConsentDecision,
    ConsentPosted,
    EnrolmentPosted,
    EnrolmentStatus,
    Fact,
    FactsPosted,
    PreferencePosted,
)
from schemas.text import clean
from services.intake.domain.checks import in_force, in_order, program_is_known
from services.intake.domain.commands import Command, Context, posted_as
from services.intake.domain.record import Consent, Enrolment, Facts, Preference, Record
from services.intake.domain.refusals import Problem, refuse, refuse_all

MAX_FACTS = 200
MAX_FACT_CHARACTERS = 2000


def decide_enrolment(record: Record, command: Command, context: Context) -> Enrolment:
    """Opened again with another answer about the network corrects it; one open place per program."""
    posted: EnrolmentPosted = posted_as(EnrolmentPosted, command)
    before = record.find(Enrolment, command.subject_id)
    refuse_all([program_is_known(posted.program, context), _same_program(before, posted.program)])
    version = before.version + 1 if before else 1
    if command.name == "enrolment.closed":
        if before is None or before.status is not EnrolmentStatus.OPEN:
            raise refuse("/type", "the enrolment is not open")
        return Enrolment(before.id, version, before.program, EnrolmentStatus.CLOSED, posted.outside_network)
    refuse_all([in_force(record), in_order(record, command)])
    opened = Enrolment(command.subject_id, version, posted.program, EnrolmentStatus.OPEN, posted.outside_network)
    if before is not None and (before.status, before.outside_network) == (opened.status, opened.outside_network):
        raise refuse("/type", "the enrolment is already open")
    if before is None and record.enrolled(posted.program):
        raise refuse("/data/program", "the patient is in this program already, under another enrolment")
    if before is not None and before.status is EnrolmentStatus.CLOSED and record.enrolled(posted.program):
        raise refuse("/data/program", "the patient is in this program already, under another enrolment")
    return opened


def decide_consent(record: Record, command: Command, context: Context) -> Consent:
    """A withdrawal may come first (a refusal). A grant older than a decision on record doesn't overturn it."""
    posted: ConsentPosted = posted_as(ConsentPosted, command)
    before = record.find(Consent, command.subject_id)
    refuse_all([program_is_known(posted.program, context), context.not_ahead("/data/decided_at", posted.decided_at)])
    if before is not None and (before.scope, before.program) != (posted.scope, posted.program):
        raise refuse("/data/scope", "the consent is about another scope or program; send it under another id")
    granted = command.name == "consent.granted"
    if granted:
        refuse_all([in_force(record), in_order(record, command)])
    if granted and before is not None and posted.decided_at < before.decided_at:
        raise refuse("/data/decided_at", "a later decision is on record")
    return Consent(
        command.subject_id, before.version + 1 if before else 1, posted.program, posted.scope,
        ConsentDecision.PERMIT if granted else ConsentDecision.DENY,
        posted.text_version, posted.decided_at, posted.recorded_by,
    )  # fmt: skip


def decide_preference(record: Record, command: Command, context: Context) -> Preference:
    """One set of preferences for each program."""
    posted: PreferencePosted = posted_as(PreferencePosted, command)
    before = record.find(Preference, command.subject_id)
    refuse_all(
        [
            program_is_known(posted.program, context),
            _same_program(before, posted.program),
            in_order(record, command),
        ]
    )
    if before is None and any(each.program == posted.program for each in record.all(Preference)):
        raise refuse("/subject", "the patient's preferences for this program are kept under another id")
    return Preference(
        command.subject_id, before.version + 1 if before else 1, posted.program,
        posted.email, posted.reminders, posted.forms, posted.paused_until,
    )  # fmt: skip


def decide_facts(record: Record, command: Command, context: Context) -> Facts:
    """All facts of one document, form or visit; each posted again replaces what was there."""
    posted: FactsPosted = posted_as(FactsPosted, command)
    before = record.find(Facts, command.subject_id)
    facts = posted.block.facts
    problems = [
        problem for index, fact in enumerate(facts) for problem in _fact(f"/data/block/facts/{index}", fact, context)
    ]
    too_many = Problem("/data/block/facts", f"more than {MAX_FACTS} facts") if len(facts) > MAX_FACTS else None
    refuse_all([in_order(record, command), too_many, *problems])
    return Facts(command.subject_id, before.version + 1 if before else 1, posted.block)


def _same_program(before: Enrolment | Preference | None, program: str) -> Problem | None:
    if before is None or before.program == program:
        return None
    return Problem("/data/program", "can't be changed; send it under another id")


def _fact(pointer: str, fact: Fact, context: Context) -> Iterator[Problem | None]:
    yield context.not_ahead(f"{pointer}/observed_at", fact.observed_at)
    if fact.valid_until is not None and fact.valid_until <= fact.observed_at:
        yield Problem(f"{pointer}/valid_until", "is not after the observation")
    try:
        if len(json.dumps(fact.value)) > MAX_FACT_CHARACTERS:
            yield Problem(f"{pointer}/value", f"is longer than {MAX_FACT_CHARACTERS} characters")
        _plain(fact.value)
    except ValueError as error:
        yield Problem(f"{pointer}/value", str(error))


def _plain(value: Any) -> None:
    """``ValueError`` for text with control characters, and for numbers that JSON doesn't know."""
    if isinstance(value, str):
        clean(value)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("is not a number that JSON knows")
    elif isinstance(value, dict):
        for each in (*value.keys(), *value.values()):
            _plain(each)
    elif isinstance(value, list):
        for each in value:
            _plain(each)
