"""The index as trials and patients come, change and go, and the times that it asks to be told of."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.criteria import Eligibility
from schemas.expressions import AllOf, AtLeast, Fact, Op
from services.trials.facts.picture import Happening, Picture, Value
from services.trials.index import PatientIndex, TrialIndex, cut_points, windows
from services.trials.index.bits import bitmap_of, slots_of
from services.trials.index.pairs import joined
from services.trials.index.slices import Slices
from services.trials.index.slots import Slots
from services.trials.index.spans import AFTER, BEFORE, HIGHEST, LOWEST
from services.trials.matching.verdict import Verdict, verdict
from tests.support.made_trials import AS_OF, DERIVATIONS, eligibilities, known, seen

PATCH = {"event": "patch", "where": {"field": "level", "op": "eq", "value": "thoracic"}, "within": "P60D"}


def _trial(*trees: Mapping[str, Any]) -> Eligibility:
    criteria = [{"id": f"i{each}", "kind": "inclusion", "expression": tree} for each, tree in enumerate(trees)]
    return Eligibility.model_validate({"criteria": criteria})


def _picture(**values: Value) -> Picture:
    return seen({name.replace("_", "-"): value for name, value in values.items()}, AS_OF)


PRESSURE = _trial({"fact": "pressure", "op": "le", "value": 6})


def test_a_patient_is_judged_only_by_trials_that_nothing_known_rules_out() -> None:
    trials = {high: _trial({"fact": "pressure", "op": "le", "value": high}) for high in range(100)}
    assert sorted(TrialIndex(trials).candidates(_picture(pressure=97.5))) == [98, 99]


def test_what_two_facts_decide_only_together_is_judged_exactly() -> None:
    either = {"any_of": [{"fact": "pressure", "op": "le", "value": 6}, {"fact": "pregnant", "op": "eq", "value": True}]}
    index = TrialIndex({"either": _trial(either)})
    assert not index.match(_picture(pressure=7, pregnant=False))
    assert index.match(_picture(pressure=7))["either"].verdict is Verdict.POSSIBLE
    assert index.match(_picture(pressure=6))["either"].verdict is Verdict.ELIGIBLE


def _comparisons() -> dict[str, Eligibility]:
    """Every comparison with a number, as inclusion and as exclusion."""
    operands: list[tuple[str, object]] = [("in", [2, 4]), ("not_in", [2, 4]), ("between", [2, 4]), ("between", [4, 2])]
    operands += [(op, number) for op in ("lt", "le", "gt", "ge", "eq") for number in (2, 3, 4)]
    return {
        f"{kind} {op} {value}": Eligibility.model_validate(
            {"criteria": [{"id": "x", "kind": kind, "expression": {"fact": "pressure", "op": op, "value": value}}]}
        )
        for op, value in operands
        for kind in ("inclusion", "exclusion")
    }


def _met(trials: Mapping[str, Eligibility], pressure: float) -> set[str]:
    return {name for name, each in trials.items() if verdict(each, _picture(pressure=pressure)).failed == ()}


def test_every_comparison_is_parted_where_it_turns_also_when_others_come_and_go() -> None:
    trials = _comparisons()
    index: TrialIndex[str] = TrialIndex()
    for name, each in trials.items():
        index.change({name: each})
    for gone in ("3", "eq", "inclusion", "4", "exclusion"):
        for half in range(2, 11):
            assert set(index.candidates(_picture(pressure=half / 2))) == _met(trials, half / 2)
        index.change({name: None for name in trials if gone in name})
        trials = {name: each for name, each in trials.items() if gone not in name}


def test_every_comparison_finds_the_patients_it_holds_for() -> None:
    index: PatientIndex[float] = PatientIndex()
    index.change({half / 2: _picture(pressure=half / 2) for half in range(2, 11)})
    for name, each in _comparisons().items():
        assert index.match(each, AS_OF) == (
            [half / 2 for half in range(2, 11) if name in _met({name: each}, half / 2)],
            [],
        )


def _ago(days: int | None, level: str = "thoracic") -> Happening:
    return Happening(None if days is None else AS_OF - timedelta(days=days), {"level": level})


HISTORIES: dict[str, Picture] = {
    name: _picture(patch=events, onset=AS_OF - timedelta(days=len(name)))
    for name, events in {
        "none": (),
        "just now": (_ago(0),),
        "long ago": (_ago(30), _ago(100)),
        "lumbar": (_ago(29, "lumbar"), _ago(31)),
        "undated": (_ago(None), _ago(30)),
        "of unknown level": (Happening(AS_OF, {}), _ago(31, "lumbar")),
    }.items()
} | {"unknown": _picture()}


def _questions_of_events() -> dict[str, Eligibility]:
    thoracic = {"event": "patch", "where": {"field": "level", "op": "eq", "value": "thoracic"}}
    selections: list[dict[str, Any]] = [{"event": "patch"}, thoracic, {"event": "patch", "within": "P30D"}]
    asked: list[dict[str, Any]] = [
        {key: events, "op": op, "value": number}
        for events in selections
        for key, numbers in (("count", (0, 1, 2)), ("days_since", (0, 29, 30, 31)))
        for number in numbers
        for op in ("le", "ge", "eq")
    ]
    asked += [{"exists": events} for events in selections] + [{"fact": "patch", "op": "exists"}]
    asked += [{"last": events, "field": "level", "op": "in", "value": ["lumbar"]} for events in selections]
    asked += [{"last": events, "field": "level", "op": "not_in", "value": ["lumbar"]} for events in selections]
    derived: list[dict[str, Any]] = [
        {"fact": "days-since-patch"},
        {"days_since": {"fact": "onset"}},
        {"fact": "months-since-onset"},
    ]
    asked += [{**what, "op": op, "value": days} for what in derived for op in ("le", "ge") for days in (0, 4, 8, 30)]
    return {f"{turned} {tree}": _trial({"not": tree} if turned else tree) for tree in asked for turned in (False, True)}


def test_every_question_of_events_and_days_is_answered_as_by_asking_each_patient() -> None:
    trials = _questions_of_events()
    expected = {
        (who, name): found.verdict
        for who, picture in HISTORIES.items()
        for name, each in trials.items()
        if (found := verdict(each, picture)).verdict is not Verdict.INELIGIBLE
    }
    by_patient, by_trial = TrialIndex(trials, selections=99), PatientIndex[str](DERIVATIONS)
    by_trial.change(HISTORIES)
    there = {(who, name): v.verdict for who, one in HISTORIES.items() for name, v in by_patient.match(one).items()}
    back: dict[tuple[str, str], Verdict] = {}
    for name, each in trials.items():
        eligible, possible = by_trial.match(each, AS_OF)
        back |= {(who, name): Verdict.ELIGIBLE for who in eligible} | {
            (who, name): Verdict.POSSIBLE for who in possible
        }
    assert there == expected
    assert back == expected


def test_no_trial_that_needs_an_event_is_judged_for_who_never_had_one() -> None:
    index = TrialIndex({"needs": _trial({"exists": PATCH}), "refuses": _trial({"not": {"exists": PATCH}})})
    assert index.candidates(HISTORIES["none"]) == ["refuses"]


@given(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15)), max_size=5), st.integers(0, 6))
def test_at_least_so_many_are_counted_for_each_bit(pairs: list[tuple[int, int]], least: int) -> None:
    parts = [Fact(fact=f"f{each}", op=Op.EXISTS) for each in range(len(pairs))]
    told = dict(zip(map(id, parts), pairs, strict=True))
    for tree, asked in ((AtLeast(at_least=least, of=tuple(parts)), least), (AllOf(all_of=tuple(parts)), len(parts))):
        true, could = joined(tree, lambda atom: told[id(atom)], 15)
        for bit in range(4):
            assert true >> bit & 1 == (sum(one >> bit & 1 for one, _ in pairs) >= asked)
            assert could >> bit & 1 == (sum(other >> bit & 1 for _, other in pairs) >= asked)


def test_digits_that_numbers_get_later_are_those_of_negative_numbers_too() -> None:
    slices = Slices()
    slices.change(0, {0: -1, 1: 1})
    slices.change(0, {2: 1000})
    assert [slots_of(slices.below(whole)) for whole in (-1, 0, 2, 1000, 1001)] == [[], [0], [0, 1], [0, 1], [0, 1, 2]]


def test_a_set_is_ruled_out_by_one_code_that_excludes_and_by_none_that_is_asked_for() -> None:
    asked = {"fact": "allergies", "op": "has_any", "value": ["a", "b"]}
    trials = {"asked": _trial(asked), "excluded": _trial({"not": asked}), "both": _trial({**asked, "op": "has_all"})}
    index = TrialIndex(trials)
    found = {codes: set(index.candidates(_picture(allergies=frozenset(codes)))) for codes in ("", "b", "c", "ab")}
    assert found == {
        "": {"excluded"},
        "b": {"asked", "both"},
        "c": {"excluded"},
        "ab": {"asked", "both"},
    }


def test_a_patient_of_whom_nothing_is_known_may_match_every_trial() -> None:
    index = TrialIndex({"pressure": PRESSURE, "anybody": _trial()})
    found = {trial: each.verdict for trial, each in index.match(Picture(AS_OF, {})).items()}
    assert found == {"pressure": Verdict.POSSIBLE, "anybody": Verdict.ELIGIBLE}


def test_a_changed_trial_is_matched_as_it_is_now() -> None:
    index = TrialIndex({"one": PRESSURE, "other": PRESSURE})
    index.change({"one": _trial({"fact": "pressure", "op": "ge", "value": 6.5})})
    assert set(index.match(_picture(pressure=7))) == {"one"}
    assert set(index.match(_picture(pressure=5))) == {"other"}


def test_a_changed_patient_is_found_as_they_are_now() -> None:
    index: PatientIndex[str] = PatientIndex(DERIVATIONS)
    for pressure in (7, 5, 5):
        index.change({"one": _picture(pressure=pressure)})
    assert index.match(PRESSURE, AS_OF) == (["one"], [])
    index.change({"one": _picture()})
    assert index.match(PRESSURE, AS_OF) == ([], ["one"])


def test_a_patient_who_left_is_nobodys_candidate() -> None:
    index: PatientIndex[str] = PatientIndex()
    index.change({"one": _picture(), "other": _picture(), "never came": None})
    index.change({"one": None})
    assert index.match(PRESSURE, AS_OF) == ([], ["other"])
    assert ("one" in index, len(index)) == (False, 1)


def test_age_is_asked_of_the_day_of_judgement_and_not_of_the_day_of_the_last_update() -> None:
    index: PatientIndex[str] = PatientIndex()
    index.change({"one": _picture(birth_date=date(2009, 3, 17))})
    adults = Eligibility.model_validate({"minimum_age": "18 Years"})
    assert index.match(adults, AS_OF) == ([], [])
    assert index.match(adults, AS_OF + timedelta(days=1)) == (["one"], [])


def test_events_are_looked_at_only_of_those_whom_nothing_else_rules_out() -> None:
    recent = Happening(AS_OF - timedelta(days=9), {"level": "thoracic"})
    index: PatientIndex[str] = PatientIndex()
    index.change({"one": _picture(pressure=5, patch=(recent,)), "other": _picture(pressure=7, patch=(recent,))})
    asked = _trial({"fact": "pressure", "op": "le", "value": 6}, {"exists": PATCH})
    assert index.candidates(asked, AS_OF) == ["one"]
    assert index.match(asked, AS_OF) == (["one"], [])
    assert index.match(asked, AS_OF + timedelta(days=90)) == ([], [])


@given(st.dictionaries(st.integers(0, 9), eligibilities), st.sampled_from([256, 1, 0]))
def test_trials_that_went_leave_nothing_behind(trials: dict[int, Eligibility], limit: int) -> None:
    index: TrialIndex[int] = TrialIndex(limit=limit, selections=limit)
    empty: TrialIndex[int] = TrialIndex(limit=limit, selections=limit)
    for each in range(2):
        index.change(trials)
        index.change(dict.fromkeys(sorted(trials, reverse=bool(each))))
        assert _parts(index) == _parts(empty)


@given(st.dictionaries(st.integers(0, 9), known))
def test_patients_who_went_leave_nothing_behind(patients: dict[int, dict[str, Value]]) -> None:
    index: PatientIndex[int] = PatientIndex(DERIVATIONS)
    index.change({key: seen(told, AS_OF) for key, told in patients.items()})
    for key in patients:
        index.change({key: None})
    assert len(index._columns) == 0
    assert index._events == {}
    assert _parts(index._slots) == _parts(Slots())


def _parts(of: object) -> dict[str, Any]:
    return {name: _parts(each) if isinstance(each, Slots) else each for name, each in vars(of).items()}


def test_a_free_slot_is_given_again_before_a_new_one() -> None:
    slots: Slots[str] = Slots()
    assert [slots.take(each) for each in "abca"] == [0, 1, 2, 0]
    slots.free("b")
    assert (slots.take("d"), slots.take("e")) == (1, 3)
    with pytest.raises(KeyError):
        slots.free("b")


@given(st.frozensets(st.integers(0, 300)))
def test_a_bitmap_gives_back_the_slots_it_was_made_of(slots: frozenset[int]) -> None:
    assert slots_of(bitmap_of(slots)) == sorted(slots)


_NUMBERS = st.one_of(
    st.integers(-300, 300),
    st.floats(-50, 50).map(lambda number: round(number, 2)),
    st.sampled_from([0.0001, 10**30, -(10**30), 1e-300, float("inf"), 2.0**40, 0.1 + 0.2]),
)


@given(st.lists(st.dictionaries(st.integers(0, 5), _NUMBERS), max_size=4), st.lists(_NUMBERS, min_size=2, max_size=2))
def test_numbers_in_slices_are_compared_as_numbers_are(changes: list[dict[int, float]], ends: list[float]) -> None:
    slices, held = Slices(), dict[int, float]()
    for numbers in changes:
        slices.change(bitmap_of(numbers), numbers)
        held |= numbers
    low, high = sorted(ends)
    assert set(slots_of(slices.known)) == set(held)
    if float("inf") not in (low, high):
        assert set(slots_of(slices.within([((low, BEFORE), HIGHEST)]))) == {
            s for s, each in held.items() if each >= low
        }
        assert set(slots_of(slices.within([(LOWEST, (high, BEFORE))]))) == {
            s for s, each in held.items() if each < high
        }
        between = {slot for slot, each in held.items() if low < each <= high}
        assert set(slots_of(slices.within([((low, AFTER), (high, AFTER))]))) == between


def test_cut_points_are_the_numbers_that_times_and_facts_are_compared_with() -> None:
    trial = Eligibility.model_validate(
        {
            "minimum_age": "18 Years",
            "maximum_age": "30 Days",
            "criteria": [
                {"id": "i1", "kind": "inclusion", "expression": {"fact": "age", "op": "between", "value": [20, 65]}},
                {"id": "e1", "kind": "exclusion", "expression": {"days_since": PATCH, "op": "le", "value": 30}},
            ],
            "cohorts": [
                {
                    "id": "late",
                    "name": "Late",
                    "criteria": [
                        {"id": "i2", "kind": "inclusion", "expression": {"not": {"exists": {**PATCH, "within": "P1Y"}}}}
                    ],
                }
            ],
        }
    )
    assert cut_points([trial, trial]) == {"age": [18, 20, 65], "birth-date": [30], "patch": [30]}
    assert windows([trial, trial]) == {"patch": ["P1Y", "P60D"]}
