"""What a coordinator may see of a match: pure rules of filter, pseudonym, reasons and sentences."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from schemas.criteria import Cohort, Criterion, Eligibility, Kind
from schemas.trials import MatchState, MatchVerdict, RecruitmentStatus, TrialSite, TrialState
from services.trials import reporting
from services.trials.reporting import Told, criteria, pseudonym, reason, shortened, transition, visible
from services.trials.subscription import Filter
from tests.support.programs import CEDARS
from tests.support.research import VOCABULARIES, new_id

WORDS = VOCABULARIES[CEDARS.public_code]
NOW = datetime(2027, 3, 1, 18, tzinfo=UTC)
PATIENT = new_id()


def criterion(name: str, kind: Kind = Kind.INCLUSION, text: str | None = None) -> Criterion:
    return Criterion(id=name, kind=kind, text=text or f"Sentence {name}")


def trial(eligibility: Eligibility | None = None, **changes: Any) -> TrialState:
    return TrialState(
        trial_id=new_id(), version=1, registry_id="TEST-1", title="T", status=RecruitmentStatus.RECRUITING,
        criteria_version="2.1", eligibility=eligibility or Eligibility(), **changes,
    )  # fmt: skip


def match(verdict: MatchVerdict = MatchVerdict.ELIGIBLE, **changes: Any) -> MatchState:
    return MatchState(
        match_id=new_id(), patient_id=PATIENT, trial_id=new_id(), program=CEDARS.public_code, version=1,
        verdict=verdict, facts_version=1, criteria_version=changes.pop("criteria_version", "2.0"),
        as_of=date(2027, 3, 1), at=NOW, **changes,
    )  # fmt: skip


def test_two_subscriptions_give_one_patient_two_names_and_each_always_the_same() -> None:
    first, second = "11" * 32, "22" * 32
    assert pseudonym(first, PATIENT) == pseudonym(first, PATIENT)
    assert pseudonym(first, PATIENT) != pseudonym(second, PATIENT)
    assert len(pseudonym(first, PATIENT)) == 32
    assert pseudonym("00" * 32, "a") == "9615a95d4a336118c435b9cd54c5e864"  # as OpenSSL has it


@pytest.mark.parametrize(
    ("least", "verdict", "seen"),
    [("possible", "possible", True), ("possible", "eligible", True), ("eligible", "possible", False),
     ("eligible", "eligible", True), ("possible", "unknown", False)],
)  # fmt: skip
def test_below_the_least_verdict_nothing_is_seen(least: str, verdict: str, seen: bool) -> None:
    state = match().model_copy(update={"verdict": MatchVerdict(verdict)})
    assert (visible(Filter(least=MatchVerdict(least)), trial(), state) is not None) is seen


def test_a_withdrawn_match_is_not_seen() -> None:
    assert visible(Filter(), trial(), match(withdrawn="deceased")) is None


def test_a_filter_names_trials_by_their_registry_number() -> None:
    assert visible(Filter(registry_ids=("TEST-2",)), trial(), match()) is None
    assert visible(Filter(registry_ids=("TEST-1",)), trial(), match()) == "eligible"


def test_a_place_is_a_city_or_a_state_where_the_trial_recruits_in_any_case() -> None:
    closed = TrialSite(city="Reno", state="Nevada", status=RecruitmentStatus.COMPLETED)
    open_ = trial(sites=(TrialSite(city="Los Angeles", state="California"), closed))
    seen = {place: visible(Filter(sites=(place,)), open_, match()) for place in ("los angeles", "CALIFORNIA", "Reno")}
    assert seen == {"los angeles": "eligible", "CALIFORNIA": "eligible", "Reno": None}


@pytest.mark.parametrize(
    ("before", "now", "what"),
    [(None, None, None), (None, "possible", Told.FOUND), ("possible", "possible", Told.CHANGED),
     ("possible", "eligible", Told.CHANGED), ("eligible", None, Told.WITHDRAWN)],
)  # fmt: skip
def test_what_is_told_depends_on_what_was_seen_before(before: str | None, now: str | None, what: Told | None) -> None:
    assert transition(before, MatchVerdict(now) if now else None) is what


@pytest.mark.parametrize(
    "why", ["deceased", "consent_withdrawn", "restricted", "minor", "closed_record", "enrolment_closed", "anything_new"]
)
def test_reasons_about_the_person_are_not_told(why: str) -> None:
    assert reason(match(withdrawn=why)) is None


def test_reasons_about_the_trial_are_told() -> None:
    assert reason(match(withdrawn="trial_closed")) == "trial_closed"
    assert reason(match()) == "outside_filter"


def test_each_criterion_is_met_or_to_be_asked_in_the_trials_order() -> None:
    asked = Eligibility(
        minimum_age="18 Years", criteria=(criterion("i1"), criterion("e1", Kind.EXCLUSION, "Pregnant"), criterion("i2"))
    )
    told = criteria(match(unknown=("i2",)), trial(asked), WORDS)
    assert [(each.criterion_id, each.text, each.outcome) for each in told] == [
        ("age", "age at least 18 years", "met"), ("i1", "Sentence i1", "met"), ("e1", "Exclusion: Pregnant", "met"),
        ("i2", "Sentence i2", "not-known"),
    ]  # fmt: skip


def test_criteria_that_mean_something_else_by_now_are_not_told() -> None:
    asked = Eligibility(criteria=(criterion("i1"),))
    assert criteria(match(criteria_version="1.9"), trial(asked), WORDS) == ()


COHORTS = Eligibility(
    criteria=(criterion("i1"),),
    cohorts=(
        Cohort(id="a", name="A", criteria=(criterion("a1"), criterion("x"))),
        Cohort(id="b", name="B", criteria=(criterion("b1"), criterion("x"))),
    ),
)


@pytest.mark.parametrize(
    ("unknown", "told"),
    [((), {"i1": "met"}), (("b1",), {"i1": "met", "b1": "not-known", "x": "met"}),
     (("x",), {"i1": "met", "x": "not-known"})],
)  # fmt: skip
def test_of_a_cohort_that_may_not_be_the_one_nothing_is_told_as_met(
    unknown: tuple[str, ...], told: dict[str, str]
) -> None:
    found = criteria(match(unknown=unknown), trial(COHORTS), WORDS)
    assert {each.criterion_id: each.outcome for each in found} == told


def test_sentences_are_cut_to_what_an_event_can_carry() -> None:
    assert shortened("short", 100) == "short"
    assert shortened("ä" * 2000, 10_000).endswith("ä…")
    assert len(shortened("ä" * 2000, 10_000)) == 1000
    assert len(shortened("ä" * 2000, 101).encode()) <= 101


@pytest.mark.parametrize("number", [40, 250, 2000])
def test_a_trial_with_many_long_criteria_fits_into_an_event(number: int) -> None:
    asked = Eligibility(criteria=tuple(criterion(f"criterion-{each}", text="ä" * 900) for each in range(number)))
    state = match(unknown=tuple(f"criterion-{each}" for each in range(number // 2)))
    told = reporting.report(
        state, trial(asked), Told.FOUND, WORDS, report_id=new_id(), subscription_id=new_id(), alias="0" * 32
    )
    assert told.criteria
    assert len(told.model_dump_json().encode()) < 63_000


def test_of_a_withdrawn_match_nothing_else_is_told() -> None:
    gone = reporting.report(
        match(withdrawn="deceased"), trial(Eligibility(criteria=(criterion("i1"),))), Told.WITHDRAWN, WORDS,
        report_id=new_id(), subscription_id=new_id(), alias="0" * 32,
    )  # fmt: skip
    assert (gone.verdict, gone.withdrawn, gone.criteria) == (None, None, ())
