"""The 108 expected verdicts of csf-trials, gates beside them, and what changes between two verdicts."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.criteria import Eligibility
from schemas.trial_files import load_trial_files
from schemas.trials import RecruitmentStatus, TrialSite
from services.trials.facts.picture import Picture
from services.trials.matching.gates import Gate, Person, blocking, gates, kilometres
from services.trials.matching.transitions import Pair, Stamp, Step, Transition, step
from services.trials.matching.verdict import Matcher, TrialVerdict, Verdict, of_truths, verdict
from tests.support.fixture_trials import (
    AS_OF,
    in_fixture_form,
    patient,
    read_expected,
    read_patients,
    read_trials,
    trial,
)

EXPECTED = read_expected()
TRIALS, PATIENTS, SHIPPED = read_trials(), read_patients(), load_trial_files()

RECRUITING = RecruitmentStatus.RECRUITING
ADULT = Person(trial_contact=True, age=40, program_offers_trials=True)


def test_there_are_108_pairs() -> None:
    assert len(EXPECTED) == 108


@pytest.mark.parametrize(("who", "which"), EXPECTED)
def test_the_verdict_is_the_expected_one(who: str, which: str) -> None:
    assert in_fixture_form(verdict(TRIALS[which].eligibility, PATIENTS[who])) == EXPECTED[who, which]


@pytest.mark.parametrize(("who", "which"), EXPECTED)
def test_the_shipped_file_gives_the_same_verdict(who: str, which: str) -> None:
    assert in_fixture_form(verdict(SHIPPED[which].eligibility(), PATIENTS[who])) == EXPECTED[who, which]


def test_every_trial_of_the_fixture_ships() -> None:
    assert {name: (each.title, each.status) for name, each in SHIPPED.items()} == {
        name: (each.title, None if each.status is RecruitmentStatus.UNKNOWN else each.status)
        for name, each in TRIALS.items()
    }


def test_a_fact_without_a_row_is_taken_over_under_its_own_name() -> None:
    found = trial(
        {
            "nct": "T-1",
            "criteria": [
                {"id": "i1", "kind": "inclusion", "expr": {"fact": "Foo_Bar", "op": "has", "value": "Some_Code"}},
                {"id": "i2", "kind": "inclusion", "expr": {"fact": "x_y", "op": "!=", "value": 3}},
                {
                    "id": "i3",
                    "kind": "inclusion",
                    "expr": {
                        "at_most": 1,
                        "of": [
                            {
                                "all": [
                                    {"fact": "a", "op": "==", "value": 1},
                                    {"not": {"fact": "b", "op": ">", "value": 2}},
                                ]
                            }
                        ],
                    },
                },
                {"id": "e1", "kind": "exclusion"},
            ],
        }
    ).eligibility
    known = patient({"Foo_Bar": ["Some_Code"], "x_y": 4, "a": 1, "b": None, "c": "UNKNOWN"})
    assert known.values == {"foo-bar": frozenset({"some-code"}), "x-y": 4, "a": 1}
    judged = verdict(found, known)
    assert (judged.verdict, judged.failed, judged.unknown) == (Verdict.POSSIBLE, (), ("e1",))
    assert verdict(found, patient({"x_y": 3, "Foo_Bar": []})).failed == ("i1", "i2")


def _aged(**known: object) -> Picture:
    return Picture(AS_OF, known)  # type: ignore[arg-type]  # values by keyword


@pytest.mark.parametrize(
    ("limits", "known", "failed", "unknown"),
    [
        ({"maximum_age": "65 Years"}, {"age": 65}, (), ()),
        ({"maximum_age": "65 Years"}, {"age": 66}, ("age",), ()),
        ({"minimum_age": "18 Years"}, {"age": 17}, ("age",), ()),
        ({"minimum_age": "18 Years"}, {}, (), ("age",)),
        ({"minimum_age": "6 Months"}, {"age-in-months": 6}, (), ()),
        ({"minimum_age": "6 Months"}, {"age-in-months": 5}, ("age",), ()),
        ({"maximum_age": "2 Weeks"}, {"birth-date": date(2027, 3, 2)}, (), ()),
        ({"maximum_age": "2 Weeks"}, {"birth-date": date(2027, 3, 1)}, ("age",), ()),
        ({"minimum_age": "72 Hours"}, {"birth-date": date(2027, 3, 13)}, (), ()),
        ({"minimum_age": "73 Hours"}, {"birth-date": date(2027, 3, 13)}, ("age",), ()),
        ({"maximum_age": "60 Minutes"}, {"birth-date": AS_OF}, (), ()),
        ({"maximum_age": "60 Minutes"}, {"birth-date": date(2027, 3, 15)}, ("age",), ()),
        ({"sex": "female"}, {"sex": "male"}, ("sex",), ()),
        ({"sex": "female"}, {}, (), ("sex",)),
        ({}, {}, (), ()),
    ],
)
def test_structured_age_and_sex_are_criteria(
    limits: dict[str, str], known: dict[str, object], failed: tuple[str, ...], unknown: tuple[str, ...]
) -> None:
    found = verdict(Eligibility.strict_data(limits), Picture(AS_OF, known))  # type: ignore[arg-type]  # parametrized
    assert (found.failed, found.unknown) == (failed, unknown)


def _is(name: str, fact: str) -> dict[str, object]:
    return {"id": name, "kind": "inclusion", "expression": {"fact": fact, "op": "eq", "value": True}}


COHORTS = Matcher(
    Eligibility.strict_data(
        {
            "minimum_age": "18 Years",
            "criteria": [_is("i1", "shared")],
            "cohorts": [
                {"id": "a", "name": "A", "criteria": [_is("a1", "only-a")]},
                {"id": "b", "name": "B", "criteria": [_is("b1", "only-b")]},
            ],
        }
    )
)


@pytest.mark.parametrize(
    ("known", "result", "cohort"),
    [
        ({"only_a": True, "only_b": False}, Verdict.ELIGIBLE, "a"),
        ({"only_a": False, "only_b": True}, Verdict.ELIGIBLE, "b"),
        ({"only_a": False}, Verdict.POSSIBLE, "b"),
        ({}, Verdict.POSSIBLE, "a"),
        ({"only_b": True}, Verdict.ELIGIBLE, "b"),
        ({"only_a": False, "only_b": False}, Verdict.INELIGIBLE, "a"),
    ],
)
def test_a_trial_is_the_best_of_its_cohorts(known: dict[str, bool], result: Verdict, cohort: str) -> None:
    found = COHORTS.verdict(patient({"age": 40, "shared": True, **known}))
    assert (found.verdict, found.cohort) == (result, cohort)
    assert [*found.truths] == ["age", "i1", f"{cohort}1"]


def test_a_shared_criterion_closes_every_cohort() -> None:
    found = COHORTS.verdict(patient({"age": 17, "shared": True, "only_a": True}))
    assert (found.verdict, found.failed) == (Verdict.INELIGIBLE, ("age",))


def _notes(person: Person, status: RecruitmentStatus, *sites: TrialSite) -> dict[Gate, str | None]:
    return {each.gate: each.note for each in gates(person, status, sites) if each.note or not each.open}


def _closed(person: Person, status: RecruitmentStatus = RECRUITING, *sites: TrialSite) -> tuple[Gate, ...]:
    return blocking(gates(person, status, sites))


@pytest.mark.parametrize(
    ("person", "closed"),
    [
        (ADULT, ()),
        (Person(age=40, program_offers_trials=True), (Gate.CONSENT,)),
        (Person(trial_contact=True, age=40, program_offers_trials=True, deceased=True), (Gate.ALIVE,)),
        (Person(trial_contact=True, age=40, program_offers_trials=True, restricted=True), (Gate.RESTRICTED,)),
        (Person(trial_contact=True, age=17, program_offers_trials=True), (Gate.MINOR,)),
        (Person(trial_contact=True, age=18, program_offers_trials=True), ()),
        (Person(trial_contact=True, age=17, guardian=True, program_offers_trials=True), ()),
        (Person(trial_contact=True, program_offers_trials=True), (Gate.MINOR,)),
        (Person(trial_contact=True, age=40), (Gate.PROGRAM,)),
    ],
)
def test_each_gate_of_the_patient_closes_by_itself(person: Person, closed: tuple[Gate, ...]) -> None:
    assert _closed(person) == closed


@pytest.mark.parametrize("status", [each for each in RecruitmentStatus if each is not RECRUITING])
def test_only_a_recruiting_study_is_open(status: RecruitmentStatus) -> None:
    assert _closed(ADULT, status, TrialSite(status=RECRUITING)) == (Gate.STUDY,)


def test_a_study_is_watched_before_it_recruits_and_never_mailed_where_it_invites_itself() -> None:
    assert "watched" in str(_notes(ADULT, RecruitmentStatus.NOT_YET_RECRUITING)[Gate.STUDY])
    assert "nobody is written to" in str(_notes(ADULT, RecruitmentStatus.ENROLLING_BY_INVITATION)[Gate.STUDY])


def test_a_site_must_recruit_and_the_studys_status_counts_where_no_site_has_one() -> None:
    done = TrialSite(status=RecruitmentStatus.COMPLETED)
    assert _closed(ADULT, RECRUITING, done) == (Gate.SITE,)
    assert Gate.SITE not in _notes(ADULT, RECRUITING, done, TrialSite(status=RECRUITING))
    assert "study's status counts" in str(_notes(ADULT, RECRUITING, TrialSite())[Gate.SITE])


def test_only_a_site_that_recruits_and_lies_beyond_travel_is_too_far() -> None:
    home = Person(trial_contact=True, age=40, program_offers_trials=True, home=(34.08, -118.38), travel_km=100)
    near, far = TrialSite(latitude=34.0, longitude=-118.0), TrialSite(latitude=40.71, longitude=-74.01)
    assert _closed(home, RECRUITING, near, far) == ()
    assert _closed(home, RECRUITING, far) == (Gate.TRAVEL,)
    assert _closed(home, RECRUITING, far, near.model_copy(update={"status": RecruitmentStatus.COMPLETED})) == (
        Gate.TRAVEL,
    )
    assert _closed(home, RECRUITING, far, TrialSite()) == ()
    assert "not known" in str(_notes(home, RECRUITING, far, TrialSite())[Gate.TRAVEL])
    assert "not known" in str(_notes(ADULT, RECRUITING, far)[Gate.TRAVEL])


def test_a_quarter_of_a_great_circle_is_ten_thousand_kilometres() -> None:
    assert kilometres((0, 0), (0, 90)) == pytest.approx(10_007.5, abs=0.1)


NOW = Stamp(3, (1, 0), AS_OF)
LATER = Stamp(4, (1, 0), AS_OF)
ELIGIBLE, POSSIBLE = of_truths({}), TrialVerdict(Verdict.POSSIBLE, (), ("i1",), {})
INELIGIBLE = TrialVerdict(Verdict.INELIGIBLE, ("i1",), (), {})
STORED = Pair(Verdict.POSSIBLE, ("i1",), NOW)
WITHDRAWN = Pair(None, (), NOW)


@pytest.mark.parametrize(
    ("stored", "found", "told"),
    [
        (None, ELIGIBLE, Transition.FOUND),
        (WITHDRAWN, POSSIBLE, Transition.FOUND),
        (STORED, ELIGIBLE, Transition.CHANGED),
        (STORED, TrialVerdict(Verdict.POSSIBLE, (), ("i2",), {}), Transition.CHANGED),
        (STORED, INELIGIBLE, Transition.WITHDRAWN),
        (STORED, None, Transition.WITHDRAWN),
        (STORED, POSSIBLE, None),
        (WITHDRAWN, INELIGIBLE, None),
    ],
)
def test_a_newer_verdict_is_stored_and_told_where_it_differs(
    stored: Pair | None, found: TrialVerdict | None, told: Transition | None
) -> None:
    next_ = step(stored, found, LATER)
    assert next_ is not None
    assert (next_.transition, next_.pair.stamp) == (told, LATER)


@pytest.mark.parametrize("found", [INELIGIBLE, None])
def test_who_never_matched_gets_no_row(found: TrialVerdict | None) -> None:
    assert step(None, found, NOW) is None


def test_the_same_verdict_again_is_nothing() -> None:
    assert step(STORED, POSSIBLE, NOW) is None


@pytest.mark.parametrize(
    "older", [Stamp(2, (9, 9), AS_OF), Stamp(9, (0, 9), AS_OF), Stamp(9, (9, 9), date(2027, 3, 15))]
)
def test_what_is_older_in_any_part_overwrites_nothing(older: Stamp) -> None:
    assert step(STORED, ELIGIBLE, older) is None


@given(st.permutations([Stamp(2, (1, 0), AS_OF), Stamp(1, (2, 0), AS_OF), Stamp(2, (2, 0), AS_OF), NOW]))
def test_verdicts_in_any_order_and_twice_end_in_the_same_row(order: list[Stamp]) -> None:
    newest = Stamp(3, (2, 0), AS_OF)
    found = {newest: ELIGIBLE, NOW: INELIGIBLE}
    stored: Pair | None = WITHDRAWN
    for stamp in [*order, newest, *order]:
        taken = step(stored, found.get(stamp, POSSIBLE), stamp)
        stored = taken.pair if isinstance(taken, Step) else stored
    assert stored == Pair(Verdict.ELIGIBLE, (), newest)
